//! What a test says that cannot run here.

use std::fmt::Display;
use std::io::Write as _;

/// Says on stderr why something is skipped. Not by a print macro: the test harness keeps those of a passing test to itself, and a
/// suite that skips in silence proves nothing.
pub fn skipped(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
