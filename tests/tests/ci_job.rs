//! A whole job of a pipeline on the example stack, from nothing to reports: what a team waits for at each push.

use std::time::{Duration, Instant};

use murphy_testkit::engine_or_skip;
use murphy_tests::{Bench, action, base_image, expecting, free_ports, repository, whole_example};

/// A network, a slow and a silent dependency, a database that stands still and a replica that dies.
const SCENARIOS: [&str; 5] = ["partition", "cache-slow", "payments-hang", "db-paused", "replica-killed"];

/// The bar: beyond it nobody waits for a gate.
const BAR: Duration = Duration::from_secs(300);

#[test]
fn a_job_on_the_example_stack_takes_less_than_five_minutes_from_nothing_to_reports() {
    if !whole_example() {
        println!("not run: a job of some minutes; `make compose` runs it (MURPHY_COMPOSE=all)");
        return;
    }
    let Some(engine) = engine_or_skip("a_job_on_the_example_stack") else { return };
    let Some(base) = base_image() else { return };
    let bench = Bench::new();
    let [port] = free_ports();
    let files = SCENARIOS.map(|name| repository().join(format!("scenarios/compose-{name}.yaml")));
    let scenarios = files.map(|file| file.display().to_string()).join(" ");
    let args = format!("--set BASE={base} --set PORT={port}");
    let mut took = Duration::ZERO;
    let ended = expecting(0, || {
        let begun = Instant::now();
        let ended = action(&bench, &[("MURPHY_SCENARIOS", &scenarios), ("MURPHY_ARGS", &args)]);
        took = begun.elapsed();
        println!("{} scenarios, exit code {}, in {:.0} s", SCENARIOS.len(), ended.code, took.as_secs_f64());
        ended
    });
    let ended = ended.says("5 scenarios");

    let read = |name: &str| std::fs::read_to_string(bench.path().join(name)).unwrap_or_default();
    let junit = read("murphy-reports/junit.xml");
    assert_eq!(junit.matches("<testsuite ").count(), SCENARIOS.len(), "{junit}");
    assert!(read("murphy-reports/report.html").ends_with("</html>\n"));
    let json: serde_json::Value = serde_json::from_str(&read("murphy-reports/report.json")).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(SCENARIOS.len()));
    let summary = read("summary");
    assert!(summary.matches(": GRACEFUL").count() >= SCENARIOS.len(), "{summary}");
    assert!(read("output").contains("verdict=graceful\n"));
    let filter = "filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3Dmurphy-shop%22%5D%7D";
    for left in ["/containers/json?all=true&", "/networks?"] {
        let left = engine.call("GET", &format!("{left}{filter}"), None).expect("an answer").json();
        assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}\n{}", ended.stderr);
    }
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    assert!(took < BAR, "{took:?}");
}
