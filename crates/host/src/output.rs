//! The last lines of what a service wrote. Reading is bounded, whatever the service has written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// At most this much of the file's end is looked at.
const READ_MAX: u64 = 64 * 1024;
/// A longer line is cut here, in characters.
const LINE_MAX: usize = 400;

/// The last `lines` lines of a file, oldest first. Of a file that cannot be read: none. Colour codes and other control
/// characters are taken out, since the lines end up in reports and on terminals.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let Ok(text) = end_of(path) else { return Vec::new() };
    let mut last: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(plain).collect();
    last.reverse();
    last
}

fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(READ_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is most likely not whole, unless it is the only one.
    let whole = if start > 0 { text.split_once('\n').map(|(_, rest)| rest.to_owned()) } else { None };
    Ok(whole.unwrap_or(text))
}

fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    let mut length = 0;
    while let Some(c) = chars.next() {
        if length == LINE_MAX {
            out.push('…');
            break;
        }
        match c {
            // A CSI sequence (ECMA-48): ESC [ parameters, then one final byte of @ to ~.
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.by_ref().find(|c| ('@'..='~').contains(c));
                }
            }
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
        length += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(content: &[u8], lines: usize) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, content).unwrap();
        tail(&path, lines)
    }

    #[test]
    fn the_last_lines_come_oldest_first() {
        assert_eq!(tail_of(b"a\nb\n\nc\n", 2), ["b", "c"]);
        assert_eq!(tail_of(b"", 3), [""; 0]);
        assert_eq!(tail_of(b"no end", 3), ["no end"]);
        assert_eq!(tail(Path::new("/no/such/file"), 3), [""; 0]);
    }

    #[test]
    fn megabytes_and_endless_lines_stay_bounded() {
        let many = "0123456789\n".repeat(400_000);
        assert_eq!(tail_of(many.as_bytes(), 3), ["0123456789"; 3]);
        let endless = vec![b'x'; 3_000_000];
        let last = tail_of(&endless, 3);
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].chars().count(), LINE_MAX + 1);
    }

    #[test]
    fn colours_and_broken_text_do_not_reach_a_report() {
        assert_eq!(tail_of(b"\x1b[31mred\x1b[0m\r\n\xff\x07ok", 2), ["red", "\u{fffd}ok"]);
    }
}
