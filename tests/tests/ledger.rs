//! Writes that are lost, or kept twice, are found by the id that each of them has, and those that are only refused are not.

use std::net::SocketAddr;

use murphy_tests::{Bench, Finished, Keeping, answering, free_ports, keeping};

/// A run in which the dependency of a service that keeps writes hangs.
fn run(how: Keeping, code: i32) -> (Bench, Finished) {
    run_asking(how, None, code)
}

/// The same, with one more place at which the ledger asks: its key, and the path at the service.
fn run_asking(how: Keeping, more: Option<(&str, &str)>, code: i32) -> (Bench, Finished) {
    let bench = Bench::new();
    let [edge] = free_ports();
    let service = keeping(SocketAddr::from(([127, 0, 0, 1], edge)), how);
    let db = answering("{}");
    let more = more.map(|(key, path)| format!("{key}: {{ http: \"http://{service}{path}\" }}, "));
    let more = more.unwrap_or_default();
    let text = format!(
        "murphy: 1
name: what is acknowledged is kept
seed: 7
edges: {{ db: {{ listen: \"127.0.0.1:{edge}\", to: \"{db}\" }} }}
load:
  order:
    http: \"POST http://{service}/write/${{order.id}}\"
    rate: 50/s
    ledger: {{ read: {{ http: \"http://{service}/writes\" }}, {more}settle: 200ms, within: 2s }}
phases: {{ warm-up: 500ms, baseline: 4s, fault: 4s, recovery: 3s }}
faults: [ {{ edge: db, inject: {{ blackhole: {{}} }} }} ]
expect: {{ order: {{ lost: none, duplicates: none }} }}
learn: all
"
    );
    bench.file("s.yaml", &text);
    let finished = bench.run_expecting(code, &["run", "s.yaml", "--json", "out.json"]);
    (bench, finished)
}

#[test]
fn a_write_that_is_acknowledged_and_forgotten_fails_with_its_id_and_what_to_change() {
    let (bench, finished) = run(Keeping::OrForgets, 1);
    let report = finished.words();
    for says in
        ["acknowledged writes gone (", "after the fault began", "acknowledge a write only when it is on disk"]
    {
        assert!(report.contains(says), "does not say {says}:\n{}", finished.stdout);
    }
    let text = std::fs::read_to_string(bench.path().join("out.json")).expect("a judgement");
    let judgement: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let answer = |id: &str| {
        let rows = judgement[0]["rows"].as_array().expect("rows");
        rows.iter().find(|row| row["id"] == id).map(|row| row["answer"].clone())
    };
    assert_eq!(answer("order.lost"), Some("fail".into()), "{text}");
    assert_eq!(answer("order.duplicates"), Some("pass".into()), "{text}");
}

#[test]
fn a_write_that_is_kept_twice_fails_and_is_no_loss() {
    let (_bench, finished) = run(Keeping::OrKeepsTwice, 1);
    let report = finished.words();
    assert!(report.contains("writes are kept more often than they were sent"), "{}", finished.stdout);
    assert!(report.contains("make it unique") && !report.contains(" gone ("), "{}", finished.stdout);
}

#[test]
fn what_is_refused_is_neither_and_what_was_learnt_can_be_asked_for() {
    let (_bench, finished) = run(Keeping::OrRefuses, 0);
    assert!(finished.stdout.contains("lost: none, duplicates: none"), "{}", finished.stdout);
}

/// How many writes the fact `lost` tells by this name, of a run in which none is lost and none there twice.
#[track_caller]
fn elsewhere(how: Keeping, place: (&str, &str), name: &str) -> f64 {
    let (bench, finished) = run_asking(how, Some(place), 0);
    let text = std::fs::read_to_string(bench.path().join("out.json")).expect("a judgement");
    let judgement: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let findings = judgement[0]["findings"].as_array().expect("findings");
    let lost = findings.iter().find(|finding| finding["detector"] == "lost").expect("the fact");
    let reading = &lost["state"]["absent"]["params"][name];
    reading["value"].as_f64().unwrap_or_else(|| panic!("{lost}\n{}", finished.stdout))
}

#[test]
fn what_is_with_the_dead_letters_is_not_lost_and_is_counted() {
    let dead = elsewhere(Keeping::OrSetsAside, ("dead-letters", "/dead"), "dead-lettered");
    assert!(dead > 0.0, "{dead}");
}

#[test]
fn what_is_queued_still_when_the_time_is_up_is_not_lost_and_is_counted() {
    let queued = elsewhere(Keeping::OrQueues, ("queued", "/queued"), "queued");
    assert!(queued > 0.0, "{queued}");
}

#[test]
fn dead_letters_that_nobody_asks_for_are_lost() {
    let (_bench, finished) = run(Keeping::OrSetsAside, 1);
    assert!(finished.words().contains("acknowledged writes gone ("), "{}", finished.stdout);
}
