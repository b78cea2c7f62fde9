//! A part of the score (`tests/score`): services whose truth is known, through the real proxy. `make score` runs all of it.

use std::path::PathBuf;
use std::process::Command;

use murphy_tests::murphy;

#[test]
fn no_detector_is_wrong_about_a_service_whose_truth_is_known() {
    let score = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("score/score.py");
    let python =
        Command::new("python3").args(["-c", "import sys; assert sys.version_info >= (3, 9)"]).output();
    if !python.is_ok_and(|python| python.status.success()) {
        murphy_testkit::skip("there is no python3 of 3.9 or later on the PATH");
        return;
    }
    // -B: no compiled files beside the sources.
    let done = Command::new("python3")
        .arg("-B")
        .arg(score)
        .arg("--murphy")
        .arg(murphy())
        // Each is three programs. Eight of them at once are more than two processors have for them.
        .args(["--smoke", "--jobs", "5", "--again", "2"])
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // A harness that ran nothing would be content as well.
    assert!(said.contains("| f4_breaker | own loop | 1 | 1 | 0 | 0 |"), "{said}");
}
