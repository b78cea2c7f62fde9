//! The run that is kept in the repository (`crates/report/tests/kept.rs`), judged by the program: the bytes are those that were kept,
//! whatever the surroundings are.

use std::fs;

use murphy_tests::{Bench, repository};

#[test]
fn the_kept_run_is_reported_with_the_same_bytes_wherever_it_lies_and_whatever_is_set() {
    let kept = repository().join("crates/report/tests/kept_run");
    let bench = Bench::new();
    let here = bench.path().join("another place");
    fs::create_dir(&here).expect("a directory can be made");
    fs::copy(kept.join("journal.ndjson"), here.join("journal.ndjson")).expect("a journal can be copied");
    for (output, name) in [("json", "judgement.json"), ("text", "report.txt")] {
        let wanted = fs::read_to_string(kept.join(name)).expect("what was kept");
        for (zone, language) in [("UTC", "C"), ("Pacific/Auckland", "tr_TR.UTF-8")] {
            let run = here.display().to_string();
            let mut report = bench.command(&["report", &run, "--output", output]);
            report.env("TZ", zone).env("LC_ALL", language).current_dir(&here);
            let done = report.output().expect("the binary starts");
            assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
            let said = String::from_utf8(done.stdout).expect("text");
            assert_eq!(said, wanted, "{output} in {zone}, {language}");
        }
    }
}
