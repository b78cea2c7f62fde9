//! Writes that are lost, or kept twice, are found by the id that each of them has, and those that are only refused are not.

use std::net::SocketAddr;

use murphy_tests::{Bench, Finished, Keeping, answering, free_ports, keeping};

/// A run in which the dependency of a service that keeps writes hangs.
fn run(how: Keeping, code: i32) -> (Bench, Finished) {
    let bench = Bench::new();
    let [edge] = free_ports();
    let service = keeping(SocketAddr::from(([127, 0, 0, 1], edge)), how);
    let db = answering("{}");
    let text = format!(
        "murphy: 1
name: what is acknowledged is kept
seed: 7
edges: {{ db: {{ listen: \"127.0.0.1:{edge}\", to: \"{db}\" }} }}
load:
  order:
    http: \"POST http://{service}/write/${{order.id}}\"
    rate: 50/s
    ledger: {{ read: {{ http: \"http://{service}/writes\" }}, settle: 200ms, within: 2s }}
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
