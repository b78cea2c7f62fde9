//! What `learn: all` proposes is pasted into a scenario, read as a scenario is read, and held against the run that it was learned from:
//! every line of it must be known and must hold, or the first thing that somebody sees of a paste is a failure.

use murphy_core::{Answer, Event, EventKind, Expectation, Learn, RunBrief, Seed, Span};
use murphy_scenario::{Colour, Settings, load_text};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::judge;

/// The scenario of a golden journal, up to its `expect:`.
const SCENARIO: &str = r#"murphy: 1
name: learned
edges: { cart-cache: { listen: "127.0.0.1:16379", to: "127.0.0.1:6379" } }
load: { browse: { http: "GET http://127.0.0.1:8000/cart/7", rate: 30/s } }
probes: { ready: { http: "GET http://127.0.0.1:8000/ready", every: 1s } }
phases: { warm-up: 2s, baseline: 20s, fault: 20s, recovery: 15s }
faults: [{ edge: cart-cache, inject: { FAULT } }]
"#;

fn with(mut journal: Vec<Event>, change: impl FnOnce(&mut RunBrief)) -> Vec<Event> {
    let EventKind::RunStarted(brief) = &mut journal[0].kind else {
        panic!("a journal begins with its brief")
    };
    change(brief);
    journal
}

/// What a scenario with this block asks for.
fn asked(fault: &str, block: &str) -> Vec<Expectation> {
    let text = SCENARIO.replace("FAULT", fault) + block;
    match load_text("learned.yaml", &text, &Settings::default()) {
        Ok(loaded) => loaded.plan.expectations,
        Err(problems) => panic!("{}\n{text}", problems.render(Colour::Never)),
    }
}

#[test]
fn a_pasted_block_is_read_and_holds_for_the_run_that_it_was_learned_from() {
    let late = Span::from_millis(800);
    for (caller, broken, fault, least) in [
        (Caller::careful(), Break::Latency(late), "latency: 800ms", 5),
        (Caller::careful(), Break::Hang, "blackhole: {}", 5),
        (Caller::careful(), Break::Reset, "reset: {}", 4),
        (Caller::careless(), Break::Latency(late), "latency: 800ms", 4),
        (Caller { pool: Some(10), ..Caller::careless() }, Break::Latency(late), "latency: 800ms", 3),
    ] {
        let journal = Golden::new("learned", caller, broken).journal();
        let block = judge(&with(journal.clone(), |brief| brief.learn = Learn::All)).learned;
        let expectations = asked(fault, &block);
        assert!(expectations.len() >= least, "{fault}: so few were learned:\n{block}");
        let judgement = judge(&with(journal, |brief| brief.expectations = expectations.clone()));
        assert_eq!(judgement.rows.len(), expectations.len(), "{fault}:\n{block}");
        for row in &judgement.rows {
            assert_eq!(row.answer, Answer::Pass, "{fault}: {}: {}\n{block}", row.label, row.reason);
        }
    }
}

/// The same services, at other moments: users come at others, and the fault ends at another one of a breaker's open window.
#[test]
fn another_run_of_the_same_services_fails_none_of_it() {
    let slow_to_close = Caller { breaker: Some((5, Span::from_secs(5))), ..Caller::careful() };
    for (caller, broken, fault) in [
        (Caller::careful(), Break::Latency(Span::from_millis(800)), "latency: 800ms"),
        (Caller::careful(), Break::Reset, "reset: {}"),
        (slow_to_close, Break::Reset, "reset: {}"),
        (Caller::careless(), Break::Latency(Span::from_millis(800)), "latency: 800ms"),
    ] {
        let of =
            |seed| Golden { seed: Seed(seed), ..Golden::new("learned", caller.clone(), broken) }.journal();
        for seed in 20..26 {
            let block = judge(&with(of(seed), |brief| brief.learn = Learn::All)).learned;
            let expectations = asked(fault, &block);
            let again = judge(&with(of(seed + 100), |brief| brief.expectations = expectations));
            let mut held = 0;
            for row in &again.rows {
                let told = || format!("{fault}, seed {seed}: {}: {}\n{block}", row.label, row.reason);
                assert_ne!(row.answer, Answer::Fail, "{}", told());
                held += usize::from(row.answer == Answer::Pass);
            }
            assert!(held * 2 > again.rows.len(), "{fault}, seed {seed}: {:?}\n{block}", again.rows);
        }
    }
}
