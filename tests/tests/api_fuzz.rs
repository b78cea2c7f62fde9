//! The native API under schemathesis, which makes requests out of its own OpenAPI document: good ones and bad
//! ones. Bounded in time. Fetched from PyPI; without network the test says so, and fails where `CI=true`.

use std::process::Command;

use murphy_tests::{Bench, Daemon, kept_python, run, skip};
use nix::sys::signal::Signal;

#[test]
fn no_request_made_of_the_document_meets_a_server_error_or_a_hang() {
    let python = match kept_python("fuzz-requirements.txt") {
        Ok(python) => python,
        Err(why) => return skip(&why),
    };
    let seconds = std::env::var("MURPHY_FUZZ_SECONDS").unwrap_or_else(|_| "120".into());
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    let checks =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let finished = run(Command::new(python.with_file_name("schemathesis"))
        .args(["run", "--phases", "fuzzing", "--max-examples", "10", "--workers", "1"])
        .args(["--checks", checks, "--max-time", &seconds, "--seed", "7"])
        // Longer than any answer may take; reached only by a hang.
        .args(["--request-timeout", "10", "--max-response-time", "5"])
        // These answer for as long as the client listens: `endless` of murphy-control has them.
        .args(["--exclude-path", "/v1/events", "--exclude-path", "/v1/leases/{lease}/hold"])
        .args(["--suppress-health-check", "all", "--no-color"])
        .arg(format!("{}/v1/openapi.json", daemon.url))
        .current_dir(bench.path()));
    // It is well, and still answers the other API.
    daemon.cli(&bench, "list").expect(0);
    let (code, words) = daemon.end(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert!(!words.contains("panicked"), "{words}");
    finished.expect(0);
}
