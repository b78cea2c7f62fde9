//! A part of the score (`tests/score`): services whose truth is known, through the real proxy. `make score` runs all of it.

use std::path::PathBuf;
use std::process::Command;

use murphy_tests::{Bench, murphy};
use murphy_verdict::DETECTORS;
use serde_json::json;

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

/// A cell's row of what the score says.
#[derive(Debug)]
struct Scored {
    caller: String,
    runs: u32,
    right: u32,
    open: u32,
    wrong: u32,
}

/// The row of `name` in what the score says, in columns; without the name.
#[track_caller]
fn row<'a>(said: &'a str, name: &str) -> Vec<&'a str> {
    let begins = format!("| {name} | ");
    let mut rows = said.lines().filter_map(|line| line.strip_prefix(begins.as_str()));
    let row = rows.next().unwrap_or_else(|| panic!("no row of {name}: {said}"));
    row.trim_end_matches(" |").split(" | ").collect()
}

#[track_caller]
fn scored(said: &str, cell: &str) -> Scored {
    let row = row(said, cell);
    let [caller, counts @ ..] = &row[..] else { panic!("{cell}: {row:?}") };
    let counts: Vec<u32> = counts.iter().map(|count| count.parse().expect("a count")).collect();
    let [runs, right, open, wrong] = counts[..] else { panic!("{cell}: {row:?}") };
    Scored { caller: (*caller).to_owned(), runs, right, open, wrong }
}

#[test]
fn every_detector_is_right_about_a_service_whose_truth_is_known() {
    let Some(mut score) = score(&[]) else { return };
    // Each is three programs. Eight of them at once are more than two processors have for them. What is left open is tried again
    // alone, and then has no excuse but requests that were sent late.
    let said = said(score.args(["--smoke", "--jobs", "5", "--again", "2"]));
    // A harness that ran nothing would be content as well.
    assert!(said.contains("| f4_breaker | own loop | 1 | 2 | 0 | 0 |"), "{said}");
    // A cell that was skipped is no run, and the cells of others' code alone may be skipped.
    for words in DETECTORS {
        let row = row(&said, words.detector.name());
        assert!(row[0].parse::<u32>().is_ok_and(|runs| runs > 0), "{}: {row:?}", words.detector.name());
    }
    // Others' code as well, where it is there.
    for (cell, library) in [("f1_nginx", "nginx"), ("f1_tower", "tower")] {
        let scored = scored(&said, cell);
        assert!(scored.caller.starts_with(library), "{scored:?}");
        if scored.caller.contains("(skipped: ") {
            murphy_testkit::skip(format!("{cell}: {}", scored.caller));
            continue;
        }
        assert!(scored.runs == 1 && scored.wrong == 0, "{scored:?}\n{said}");
        assert_eq!(scored.right + scored.open, 2, "a timeout, and how soon users are told: {said}");
    }
}

/// Ten runs of a cell whose truth is `wanted`, each with what its detector said.
fn ten_runs(wanted: &str, said: [&str; 10]) -> String {
    let run = |(seed, said): (usize, &str)| {
        let answer =
            json!({ "detector": "timeout", "wanted": wanted, "said": said, "text": "", "parameters": {} });
        json!({ "cell": "f1_made_up", "seed": seed, "library": null, "late": false, "gates": [], "answers": [answer] })
    };
    said.into_iter().enumerate().map(|(seed, said)| format!("{}\n", run((seed, said)))).collect()
}

const OPEN: &str = "inconclusive";

/// What a whole score of these results says, and how it ends; `None` where there is no Python for it.
fn of_results(bench: &Bench, results: &str) -> Option<(Option<i32>, String)> {
    let mut score = score(&[])?;
    let file = bench.file("results", results);
    let done = score.arg("--from-results").arg("--results").arg(file).output().expect("python3 runs");
    Some((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
}

#[test]
fn a_score_in_which_a_detector_misses_a_bar_is_not_passed() {
    let bench = Bench::new();
    let held = |results: &str| of_results(&bench, results);
    let mut said = ["present"; 10];
    said[0] = OPEN;
    let Some((code, told)) = held(&ten_runs("present", said)) else { return };
    assert!(code == Some(0) && told.contains("1 of 1 detectors meet all of them."), "{told}");
    said[1] = OPEN;
    let (code, told) = held(&ten_runs("present", said)).expect("Python");
    assert!(code == Some(1) && told.contains("**missed**: open 2 of 10"), "{told}");
    // Open about a trap is right, and to call it present is never made good by other answers.
    said = [OPEN; 10];
    let (code, told) = held(&ten_runs("trap", said)).expect("Python");
    assert!(code == Some(0) && told.contains("| met |"), "{told}");
    said[9] = "present";
    let (code, told) = held(&ten_runs("trap", said)).expect("Python");
    assert!(code == Some(1) && told.contains("traps called present 1"), "{told}");
}

#[test]
fn what_nobody_can_tell_must_be_left_open_and_what_hardly_shows_is_not_absent() {
    let bench = Bench::new();
    let held = |wanted: &str, last: &str| {
        let mut said = [OPEN; 10];
        said[9] = last;
        of_results(&bench, &ten_runs(wanted, said))
    };
    let Some((code, told)) = held("open", OPEN) else { return };
    assert!(code == Some(0) && told.contains("| f1_made_up | own loop | 10 | 10 | 0 | 0 |"), "{told}");
    for decided in ["present", "absent"] {
        let (code, told) = held("open", decided).expect("Python");
        assert!(code == Some(1) && told.contains("wrong 1 of 1"), "{decided}: {told}");
    }
    let (code, told) = held("veiled", "present").expect("Python");
    assert!(code == Some(0) && told.contains("| f1_made_up | own loop | 10 | 10 | 0 | 0 |"), "{told}");
    let (code, told) = held("veiled", "absent").expect("Python");
    assert!(code == Some(1) && told.contains("wrong 1 of 1"), "{told}");
}

#[test]
fn a_cell_whose_library_is_not_there_is_skipped_by_name_and_is_no_error() {
    // -S: without whatever is installed.
    let Some(mut score) = score(&["-S"]) else { return };
    let said = said(score.args(["--only", "f3_httpx", "--runs", "1"]).env_remove("PYTHONPATH"));
    let row = "| f3_httpx | httpx HTTPTransport(retries) (skipped: no httpx) | 0 | 0 | 0 | 0 |";
    assert!(said.contains(row), "{said}");
}
