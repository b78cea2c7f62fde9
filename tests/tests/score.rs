//! A part of the score (`tests/score`): services whose truth is known, through the real proxy. `make score` runs all of it.

use std::path::PathBuf;
use std::process::Command;

use murphy_tests::murphy;

/// The score of the tested binary, with these options for Python; `None` where there is no Python for it.
fn score(options: &[&str]) -> Option<Command> {
    let python =
        Command::new("python3").args(["-c", "import sys; assert sys.version_info >= (3, 9)"]).output();
    if !python.is_ok_and(|python| python.status.success()) {
        murphy_testkit::skip("there is no python3 of 3.9 or later on the PATH");
        return None;
    }
    let mut score = Command::new("python3");
    // -B: no compiled files beside the sources.
    score.arg("-B").args(options);
    score.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("score/score.py"));
    score.arg("--murphy").arg(murphy());
    Some(score)
}

/// What it says, once it has ended with 0.
#[track_caller]
fn said(score: &mut Command) -> String {
    let done = score.output().expect("python3 runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    said
}

#[test]
fn no_detector_is_wrong_about_a_service_whose_truth_is_known() {
    let Some(mut score) = score(&[]) else { return };
    // Each is three programs. Eight of them at once are more than two processors have for them.
    let said = said(score.args(["--smoke", "--jobs", "5", "--again", "2"]));
    // A harness that ran nothing would be content as well.
    assert!(said.contains("| f4_breaker | own loop | 1 | 1 | 0 | 0 |"), "{said}");
}

#[test]
fn a_cell_whose_library_is_not_there_is_skipped_by_name_and_is_no_error() {
    // -S: without whatever is installed.
    let Some(mut score) = score(&["-S"]) else { return };
    let said = said(score.args(["--only", "f3_httpx", "--runs", "1"]).env_remove("PYTHONPATH"));
    let row = "| f3_httpx | httpx HTTPTransport(retries) (skipped: no httpx) | 0 | 0 | 0 | 0 |";
    assert!(said.contains(row), "{said}");
}
