//! What a test says that cannot run here, and where it must not say so.

use std::fmt::Display;
use std::io::Write as _;

/// Says on stderr why something is skipped. Not by a print macro: the test harness keeps those of a passing test to itself, and a
/// suite that skips in silence proves nothing.
pub fn skipped(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// As [`skipped`]; fails where the test must be run, with `CI=true`.
#[track_caller]
pub fn skip(why: impl Display) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true, but {why}");
    skipped(why);
}
