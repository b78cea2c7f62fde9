//! A scenario whose probes ask a real PostgreSQL, past an edge and through it, by the real binary.

use murphy_testkit::{Postgres, postgres_or_skip};
use murphy_tests::{Bench, free_ports};

#[test]
fn probes_of_postgres_meet_the_faults_of_the_edge_that_they_ask_through_and_no_others() {
    let Some(server) = postgres_or_skip() else { return };
    let bench = Bench::new();
    let ([edge], port) = (free_ports(), server.port());
    let text = format!(
        r#"murphy: 1
name: what the database says
secrets: [WORD]
edges: {{ db: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{port}", protocol: postgres }} }}
probes:
  through:
    postgres: "127.0.0.1:{edge}"
    password: ${{WORD}}
    query: select sum(n) from generate_series(1, 4) n
    reply: ">= 10"
    every: 200ms
    within: 10s
  beside:
    postgres: "127.0.0.1:{port}"
    password: ${{WORD}}
    query: select 'a1', null
    reply: a1|nil
    every: 1s
    within: 10s
  missing:
    postgres: "127.0.0.1:{port}"
    password: ${{WORD}}
    query: select count(*) from order_lines
    reply: ">= 0"
    every: 1s
    within: 10s
phases: {{ warm-up: 500ms, baseline: 2s, fault: 3s, recovery: 4s }}
faults: [{{ edge: db, inject: {{ reset: {{}} }} }}]
expect:
  through: {{ before: good, after: good within 3s }}
  beside: {{ always: true }}
"#
    );
    bench.file("s.yaml", &text);
    let word = format!("WORD={}", Postgres::PASSWORD);
    bench.run(&["plan", "s.yaml", "--set", &word]).expect(0).says("order_lines");
    let ended = bench.run_expecting(0, &["run", "s.yaml", "--set", &word]).says("GRACEFUL");
    let answers: Vec<_> = bench.timed("probe").into_iter().map(|(_, answer)| answer).collect();
    let said = |name: &str, ok: bool| {
        let of = answers.iter().filter(|answer| answer["probe"] == name && answer["ok"] == ok);
        of.map(|answer| answer["saw"].as_str().expect("words")).collect::<Vec<_>>()
    };
    let (good, bad) = (said("through", true), said("through", false));
    assert!(good.len() >= 4 && good.iter().all(|saw| *saw == "10"), "{answers:?}");
    assert!(bad.len() >= 3, "it met the fault: {answers:?}");
    assert!(said("beside", true).iter().all(|saw| *saw == "a1|nil"), "{answers:?}");
    assert!(said("beside", false).is_empty() && !said("beside", true).is_empty(), "{answers:?}");
    // What the database refuses is no good answer, and its SQLSTATE is told.
    let refused = said("missing", false);
    assert!(said("missing", true).is_empty(), "{answers:?}");
    assert!(!refused.is_empty() && refused.iter().all(|saw| saw.contains("42P01")), "{answers:?}");
    let journal =
        std::fs::read_to_string(bench.journals().pop().expect("a journal")).expect("it can be read");
    assert!(!journal.contains(Postgres::PASSWORD) && !ended.stdout.contains(Postgres::PASSWORD));
}
