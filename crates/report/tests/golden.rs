//! Reports of golden runs, as they stand in a log. Each snapshot was read by a person before it was kept.

use murphy_core::{Chance, Quantile, Rule, Served, Span, Subject, SuccessRule, Undo};
use murphy_report::{Glyphs, Ink, Style, json, markdown, terminal};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};
use murphy_verdict::{Judgement, judge};

const SLOW: Break = Break::Latency(Span::from_millis(800));

fn retrying() -> Caller {
    let (timeout, back_off) = (Some(Span::from_millis(500)), Span::from_millis(300));
    Caller { breaker: None, timeout, back_off, ..Caller::careful() }
}

/// The usual questions.
fn asked(golden: Golden) -> Judgement {
    judge(&with_questions(golden).journal())
}

fn with_questions(golden: Golden) -> Golden {
    let users = || Subject::Load(Golden::load());
    let edge = || Subject::Edge(Golden::edge());
    let least = SuccessRule::AtLeast(Chance::from_fraction(0.99).unwrap());
    golden
        .expect("browse.success", users(), Rule::Success { rule: least, may: vec![Served::Stale] }, ">= 99%")
        .expect(
            "browse.p99",
            users(),
            Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) },
            "<= 600ms",
        )
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .expect("cart-cache.attempts", edge(), Rule::Attempts { at_most: 3 }, "<= 3")
        .expect("cart-cache.amplification", edge(), Rule::Amplification { at_most: 1.2 }, "<= 1.2")
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }, "<= 10s")
}

/// But for the number of tries, which nobody sees behind an open breaker.
fn asked_without_tries(golden: Golden) -> Judgement {
    let mut golden = with_questions(golden);
    golden.expectations.retain(|asked| asked.id != "cart-cache.attempts");
    judge(&golden.journal())
}

fn golden(name: &str, caller: Caller, broken: Break) -> Golden {
    Golden::new(name, caller, broken)
}

macro_rules! snapshot {
    ($name:ident, $golden:expr) => {
        snapshot!($name, $golden, asked);
    };
    ($name:ident, $golden:expr, $asked:ident) => {
        #[test]
        fn $name() {
            let text = terminal(&$asked($golden), Style::default());
            assert!(text.is_ascii());
            for line in text.lines() {
                assert!(line.len() <= 104 || line.starts_with("again:"), "{} columns: {line}", line.len());
                assert_eq!(line, line.trim_end());
            }
            insta::assert_snapshot!(text);
        }
    };
}

snapshot!(
    a_careful_caller_is_graceful,
    golden("a slow cart cache does not slow the shop", Caller::careful(), SLOW),
    asked_without_tries
);
snapshot!(an_open_breaker_hides_how_often_is_tried, golden("a slow cart cache", Caller::careful(), SLOW));
snapshot!(
    a_careless_caller_hands_latency_on,
    golden("a slow cart cache, careless", Caller::careless(), SLOW)
);
snapshot!(retries_add_up_to_the_latency_seen, golden("a slow cart cache, tried again", retrying(), SLOW));
snapshot!(a_careless_caller_hangs, golden("a silent cart cache", Caller::careless(), Break::Hang));
snapshot!(
    a_careless_caller_hands_resets_on,
    golden("a cart cache that resets", Caller::careless(), Break::Reset)
);
snapshot!(
    a_careless_caller_hands_refusals_on,
    golden("a cart cache that is down", Caller::careless(), Break::Refuse)
);
snapshot!(a_careful_caller_is_refused, golden("a cart cache that is down", Caller::careful(), Break::Refuse));
snapshot!(
    a_full_pool_makes_users_queue,
    golden("ten places", Caller { pool: Some(10), ..Caller::careless() }, SLOW)
);
snapshot!(a_fault_without_effect, golden("nothing happens", Caller::careful(), Break::Nothing));
snapshot!(
    an_unhealthy_baseline,
    golden("sick from the start", Caller::careful(), Break::Reset).with(Trouble::SickBaseline(30))
);
snapshot!(
    a_late_sender,
    golden("late", Caller::careless(), SLOW).with(Trouble::LateSender(Span::from_millis(80)))
);
snapshot!(
    a_sender_that_drops,
    golden("dropping", Caller::careful(), Break::Reset).with(Trouble::DroppingSender(5))
);
snapshot!(lost_events, golden("lost", Caller::careful(), Break::Reset).with(Trouble::LostEvents(9)));
snapshot!(
    a_crash,
    golden("a crash", Caller::careful(), Break::Reset).with(Trouble::Crash(Span::from_secs(3)))
);
snapshot!(
    an_interrupted_run,
    golden("interrupted", Caller::careful(), Break::Hang).with(Trouble::Interrupt(Span::from_secs(9)))
);
snapshot!(
    a_slow_recovery,
    golden("slow to recover", Caller::careful(), Break::Reset)
        .with(Trouble::SlowRecovery(Span::from_secs(12)))
);
snapshot!(too_few_requests, Golden { rate: 1.0, ..golden("one a second", Caller::careful(), Break::Reset) });

#[test]
fn a_run_that_asserts_nothing_prints_facts() {
    let judgement = judge(&golden("facts only", Caller::careful(), SLOW).journal());
    insta::assert_snapshot!(terminal(&judgement, Style::default()));
}

#[test]
fn an_empty_journal_is_a_report_too() {
    insta::assert_snapshot!(terminal(&judge(&[]), Style::default()));
}

#[test]
fn a_journal_torn_anywhere_is_still_a_page_of_104_columns() {
    let journal = golden("torn", Caller { pool: Some(4), ..Caller::careless() }, Break::Hang).journal();
    for end in (0..journal.len()).step_by(journal.len() / 40) {
        let text = terminal(&judge(&journal[..end]), Style::default());
        assert!(text.lines().all(|line| line.len() <= 104 || line.starts_with("again:")), "{text}");
    }
}

#[test]
fn colour_changes_no_word() {
    let judgement = asked(golden("colour", Caller::careless(), SLOW));
    let colour = terminal(&judgement, Style { ink: Ink::Colour, glyphs: Glyphs::Ascii });
    assert!(colour.contains("\u{1b}[1;31mFAIL\u{1b}[0m"));
    let mut bare = String::new();
    let mut rest = colour.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        bare.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    bare.push_str(rest);
    let trim = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trim(&bare), trim(&terminal(&judgement, Style::default())));
}

#[test]
fn what_was_not_taken_back_is_loud() {
    let mut judgement = asked(golden("left", Caller::careful(), SLOW));
    let undo = Undo::Continue {
        process: murphy_core::ProcessIdentity { pid: 7, born: 1 },
        name: "redis".to_owned(),
    };
    judgement.leftovers.push(format!("{undo}: no such process"));
    let text = terminal(&judgement, Style::default());
    assert!(text.contains("NOT TAKEN BACK: let redis (process 7) go on: no such process"), "{text}");
    assert!(text.contains("murphy undo"));
}

#[test]
fn json_has_stable_ids_and_unrounded_numbers() {
    let judgement = asked(golden("json", Caller::careless(), SLOW));
    let value: serde_json::Value = serde_json::from_str(&json(&judgement).unwrap()).unwrap();
    assert_eq!(value["verdict"], "not-graceful");
    let row = &value["rows"][1];
    assert_eq!((row["id"].as_str(), row["answer"].as_str()), (Some("browse.p99"), Some("fail")));
    assert_eq!(row["during"]["unit"], "seconds");
    assert!(row["during"]["value"].as_f64().unwrap() > 0.8);
    assert_eq!(value["why"][0]["cause"], "no-timeout");
    assert_eq!(json(&judgement).unwrap(), json(&asked(golden("json", Caller::careless(), SLOW))).unwrap());
}

#[test]
fn markdown_says_the_same() {
    insta::assert_snapshot!(markdown(&asked(golden("a slow cart cache", Caller::careless(), SLOW))));
}
