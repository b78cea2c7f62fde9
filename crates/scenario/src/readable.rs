//! The text of a file, or why there is none. At most [`LARGEST`] bytes are read.

use std::io::{ErrorKind, Read};
use std::path::Path;

/// The largest file, and the most that a scenario may be with all that it includes, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Why a file gives no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("there is no such file")]
    Missing,
    #[error("this is a directory")]
    Directory,
    #[error("this file may not be read: {0}")]
    Denied(std::io::Error),
    #[error("this file cannot be read: {0}")]
    Failed(std::io::Error),
    #[error("larger than 1 MiB")]
    TooLarge,
    #[error("written in UTF-16")]
    Utf16,
    #[error("a binary file, not text")]
    Binary,
    /// The text with stand-ins for what is none, and the byte at which that begins.
    #[error("not UTF-8 from here on")]
    NotUtf8 { lossy: String, good: usize },
}

impl Unreadable {
    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Unreadable::Missing => "check the path; `murphy init` writes a first one",
            Unreadable::Directory => "give the file in it",
            Unreadable::Denied(_) => "check its permissions",
            Unreadable::Failed(_) => "check that it is a plain file",
            Unreadable::TooLarge => "no scenario needs this size; is it the right file?",
            Unreadable::Utf16 | Unreadable::NotUtf8 { .. } => "save it as UTF-8",
            Unreadable::Binary => "give a YAML file",
        }
    }
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Unreadable {
        match error.kind() {
            ErrorKind::NotFound => Unreadable::Missing,
            ErrorKind::IsADirectory => Unreadable::Directory,
            ErrorKind::PermissionDenied => Unreadable::Denied(error),
            _ => Unreadable::Failed(error),
        }
    }
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    text(bytes)
}

/// The text that bytes are, without a mark of byte order.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::TooLarge);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Unreadable::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err(Unreadable::Binary);
    }
    String::from_utf8(bytes).map_err(|error| Unreadable::NotUtf8 {
        good: error.utf8_error().valid_up_to(),
        lossy: String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}
