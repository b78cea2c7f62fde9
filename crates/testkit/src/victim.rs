//! The image that containers of tests run: one static program from `fixtures/victim.rs`, built by rustc once and imported
//! into the engine under a tag that depends on its text. Nothing is pulled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::sync::Mutex;

use crate::Engine;

const SOURCE: &str = include_str!("../fixtures/victim.rs");
const REPOSITORY: &str = "murphy-test-victim";

/// The image's name; it is made if the engine does not have it.
///
/// # Panics
/// If rustc or the engine does not do its part.
pub fn victim_image(engine: &Engine) -> String {
    // One builder a process; two processes that build at once import the same bytes under the same tag.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let tag = format!("{:016x}", hasher.finish());
    let image = format!("{REPOSITORY}:{tag}");
    let there = engine.call("GET", &format!("/images/{image}/json"), None).expect("an engine that answers");
    if there.status != 200 {
        let program = build();
        // With the tag in it: Podman does not heed one beside it.
        let path =
            format!("/images/create?fromSrc=-&repo={image}&changes=ENTRYPOINT%20%5B%22%2Fvictim%22%5D");
        let answer = engine.send("POST", &path, "application/x-tar", &archive("victim", &program));
        answer.expect("an engine that answers").expect("import of the test image");
    }
    image
}

fn build() -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (source, program) = (directory.path().join("victim.rs"), directory.path().join("victim"));
    std::fs::write(&source, SOURCE).expect("to write the source");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    // A target of its own: with it, the flags do not apply to build scripts and macros of the host.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(rustc)
        .args([
            "--edition=2021",
            "-O",
            "-Cstrip=symbols",
            "-Ctarget-feature=+crt-static",
            "--target",
            &target,
        ])
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .output()
        .expect("rustc");
    assert!(output.status.success(), "rustc: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(&program).expect("the program")
}

/// A tar archive (POSIX ustar) of one executable file and an empty `/tmp`.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = header("tmp/", 0, b'5', 0o1777);
    tar.extend(header(name, content.len(), b'0', 0o755));
    tar.extend_from_slice(content);
    let padded = tar.len().next_multiple_of(512) + 1024;
    tar.resize(padded, 0);
    tar
}

fn header(name: &str, size: usize, kind: u8, mode: u32) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(257, "ustar");
    put(263, "00");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_one_that_tar_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, archive("victim", b"hello")).unwrap();
        let listing = Command::new("tar").arg("-tvf").arg(&path).output().unwrap();
        let text = String::from_utf8(listing.stdout).unwrap();
        assert!(listing.status.success() && text.contains("-rwxr-xr-x") && text.contains("victim"), "{text}");
    }
}
