//! What is asked of a breaker, from the text of a scenario to the verdict: as it is written, read, and held against a run whose truth is
//! known.

use murphy_core::{Answer, EventKind, Span, Verdict};
use murphy_scenario::{Colour, Settings, load_text};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Judgement, judge};

const SCENARIO: &str = r#"murphy: 1
name: breaker
edges: { cart-cache: { listen: "127.0.0.1:16379", to: "127.0.0.1:6379" } }
load: { browse: { http: "GET http://127.0.0.1:8000/cart/7", rate: 30/s } }
phases: { warm-up: 2s, baseline: 20s, fault: 20s, recovery: 15s }
faults: [{ edge: cart-cache, inject: { reset: {} } }]
expect: { cart-cache: { RULES } }
"#;

/// A run of a caller with this breaker, judged by what the scenario asks.
fn judged(breaker: Option<(u32, Span)>, rules: &str) -> Judgement {
    let text = SCENARIO.replace("RULES", rules);
    let plan = match load_text("breaker.yaml", &text, &Settings::default()) {
        Ok(loaded) => loaded.plan,
        Err(problems) => panic!("{}\n{text}", problems.render(Colour::Never)),
    };
    let mut journal = Golden::new("breaker", Caller { breaker, ..Caller::careful() }, Break::Reset).journal();
    let EventKind::RunStarted(brief) = &mut journal[0].kind else {
        panic!("a journal begins with its brief")
    };
    brief.expectations = plan.expectations;
    judge(&journal)
}

fn answers(judgement: &Judgement) -> Vec<(&str, Answer)> {
    judgement.rows.iter().map(|row| (row.id.as_str(), row.answer)).collect()
}

#[test]
fn what_is_written_of_a_breaker_decides_the_verdict() {
    let rules = r#"calls-to-open: "<= 10", half-open-every: ">= 2s""#;
    let (calls, every) = ("cart-cache.calls-to-open", "cart-cache.half-open-every");
    let two = Span::from_secs(2);
    let held = judged(Some((5, two)), rules);
    assert_eq!(answers(&held), [(calls, Answer::Pass), (every, Answer::Pass)]);
    assert_eq!(held.verdict, Verdict::Graceful);
    // One that opens late, one that tries often, and none.
    for (breaker, told) in [
        (Some((40, two)), [Answer::Fail, Answer::Pass]),
        (Some((5, Span::from_secs(1))), [Answer::Pass, Answer::Fail]),
        (None, [Answer::Fail, Answer::Fail]),
    ] {
        let failed = judged(breaker, rules);
        assert_eq!(answers(&failed), [(calls, told[0]), (every, told[1])], "{breaker:?}: {:?}", failed.rows);
        assert_eq!(failed.verdict, Verdict::NotGraceful);
        assert!(failed.why.iter().all(|why| !why.change.is_empty()), "{:?}", failed.why);
    }
}
