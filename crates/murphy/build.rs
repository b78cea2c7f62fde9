//! Asks the linker for a smaller binary: packed relocations (RELR, 0.4 MB) and one copy of functions that are the same, byte for byte
//! (identical code folding). Each only where it is known to be understood; it must never fail a build.

use std::env;
use std::path::Path;
use std::process::Command;

/// The first glibc whose loader applies packed relocations (its NEWS for 2.36).
const PACKED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Another linker may be chosen by them.
    println!("cargo::rerun-if-env-changed=RUSTFLAGS");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let here = of("HOST") == of("TARGET")
        && of("CARGO_CFG_TARGET_OS") == "linux"
        && of("CARGO_CFG_TARGET_ENV") == "gnu";
    if !here || of("PROFILE") != "release" {
        return;
    }
    // What this machine builds against is the oldest that the binary may meet.
    if glibc().is_some_and(|version| version >= PACKED) {
        // A linker that does not know the keyword warns and goes on.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // A linker that does not know this one stops.
    if links_with_lld() {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}

fn of(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// True if it is rustc's own lld that will link: the default on x86-64 since Rust 1.90, where it was not built without it and nobody
/// has chosen another.
fn links_with_lld() -> bool {
    let chosen = !of("RUSTC_LINKER").is_empty() || of("CARGO_ENCODED_RUSTFLAGS").contains("link");
    let sysroot = Command::new(of("RUSTC")).args(["--print", "sysroot"]).output();
    let sysroot = sysroot.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let own = Path::new(sysroot.trim()).join("lib/rustlib").join(of("TARGET")).join("bin/gcc-ld/ld.lld");
    !chosen && of("TARGET") == "x86_64-unknown-linux-gnu" && own.exists()
}

/// The version of this machine's glibc, as in `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
