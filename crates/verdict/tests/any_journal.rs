//! A judge must survive every journal: torn, shuffled, doubled, absurd. And one journal has one judgement.

use std::sync::LazyLock;

use murphy_core::{
    Chance, ConnId, Event, EventKind, ExchangeEnd, HandDeed, Offset, Phase, Quantile, Rule, Sample,
    SampleOutcome, Served, Span, Subject, SuccessRule, Tally,
};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden};
use murphy_verdict::{Judgement, judge};
use proptest::prelude::*;

fn full(caller: Caller, broken: Break) -> Vec<Event> {
    let users = || Subject::Load(Golden::load());
    let edge = || Subject::Edge(Golden::edge());
    let share = |fraction| Chance::from_fraction(fraction).unwrap();
    let golden = Golden { rate: 10.0, bystander: Bystander::Sharing, ..Golden::new("any", caller, broken) };
    golden
        .expect(
            "a",
            users(),
            Rule::Success { rule: SuccessRule::AtLeast(share(0.99)), may: vec![Served::Stale] },
            "",
        )
        .expect(
            "b",
            users(),
            Rule::Success { rule: SuccessRule::WithinOfBaseline(share(0.01)), may: vec![] },
            "",
        )
        .expect(
            "c",
            users(),
            Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) },
            "<= 600ms",
        )
        .expect("d", Subject::Probe(Golden::probe()), Rule::Always, "")
        .expect("e", Subject::Run, Rule::Recovery { at_most: Span::from_secs(5) }, "")
        .expect("f", edge(), Rule::Timeout { at_most: Span::from_millis(500) }, "")
        .expect("g", edge(), Rule::Attempts { at_most: 2 }, "")
        .expect("h", edge(), Rule::Amplification { at_most: 1.2 }, "")
        .expect("i", edge(), Rule::BreakerOpens, "")
        .expect("j", Subject::Run, Rule::Isolation { loads: vec![Golden::bystander()] }, "")
        .expect("m", users(), Rule::FailFast { at_most: Span::from_secs(2) }, "<= 2s")
        // Rules that do not fit their subject.
        .expect("k", Subject::Run, Rule::BreakerOpens, "")
        .expect("l", edge(), Rule::Always, "")
        .journal()
}

static JOURNALS: LazyLock<Vec<Vec<Event>>> = LazyLock::new(|| {
    vec![
        full(Caller::careful(), Break::Latency(Span::from_millis(800))),
        full(Caller { pool: Some(3), ..Caller::careless() }, Break::Hang),
        full(Caller::careless(), Break::Kill),
    ]
});

/// Times that break arithmetic if anything does.
fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![0..100_000_000u64, Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
        .prop_map(Offset::from_micros)
}

fn kind() -> impl Strategy<Value = EventKind> {
    let outcome = prop_oneof![
        Just(SampleOutcome::Ok),
        Just(SampleOutcome::Status),
        Just(SampleOutcome::Timeout),
        Just(SampleOutcome::Dropped),
        Just(SampleOutcome::Unfinished)
    ];
    let sample = (any::<u64>(), offset(), proptest::option::of(offset()), offset(), outcome).prop_map(
        |(n, intended, sent, ended, outcome)| {
            EventKind::Sample(Sample {
                load: Golden::load(),
                n,
                intended,
                sent,
                ended,
                outcome,
                status: None,
                served: Served::Fresh,
                age: None,
                retry_after: None,
            })
        },
    );
    let end = prop_oneof![
        Just(ExchangeEnd::Answered),
        Just(ExchangeEnd::GivenUp),
        Just(ExchangeEnd::Failed),
        Just(ExchangeEnd::Open)
    ];
    let exchange = (any::<u64>(), offset(), proptest::option::of(offset()), offset(), end, any::<bool>())
        .prop_map(|(conn, began, answered, ended, end, touched)| EventKind::Exchange {
            edge: Golden::edge(),
            conn: ConnId(conn),
            began,
            answered,
            ended,
            end,
            touched,
        });
    let phase =
        prop_oneof![Just(Phase::WarmUp), Just(Phase::Baseline), Just(Phase::Fault), Just(Phase::Recovery)]
            .prop_map(|phase| EventKind::PhaseStarted { phase });
    let fault = || "latency-1".parse().unwrap();
    prop_oneof![
        4 => sample,
        4 => exchange,
        1 => phase,
        1 => Just(EventKind::FaultArmed { fault: fault() }),
        1 => any::<u64>().prop_map(move |hits| EventKind::FaultLifted {
            fault: fault(),
            tally: Tally { connections: hits, hits, bytes: hits }
        }),
        1 => any::<u64>().prop_map(|planned| EventKind::LoadEnded {
            load: Golden::load(),
            planned,
            in_flight_max: planned
        }),
        1 => any::<u64>().prop_map(|count| EventKind::EventsLost { count }),
        1 => Just(EventKind::ByHand(Box::new(HandDeed::Done { text: "kill web-1".into() }))),
        1 => Just(EventKind::RunEnded),
    ]
}

/// A detector that panics is caught and answers "internal error"; here that is a failure.
fn no_detector_panicked(judgement: &Judgement) -> bool {
    judgement.findings.iter().all(|finding| !finding.text.contains("internal error"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_torn_or_shuffled_journal_is_judged(
        which in 0usize..3,
        from in 0.0f64..1.0,
        length in 0.0f64..1.0,
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        let whole = &JOURNALS[which];
        let start = if from < 0.3 { 0 } else { (from * whole.len() as f64) as usize };
        let end = (start + (length * whole.len() as f64) as usize).min(whole.len());
        let mut journal = whole[start..end].to_vec();
        for (a, b) in swaps {
            if !journal.is_empty() {
                let (a, b) = (a.index(journal.len()), b.index(journal.len()));
                journal.swap(a, b);
            }
        }
        let first = judge(&journal);
        prop_assert_eq!(&first, &judge(&journal));
        prop_assert!(no_detector_panicked(&first));
        prop_assert!(first.rows.iter().all(|row| !row.reason.is_empty()));
    }

    #[test]
    fn an_absurd_journal_is_judged(
        events in proptest::collection::vec((any::<u64>(), offset(), kind()), 0..200),
        which in proptest::option::of(0usize..3),
    ) {
        let brief = which.map(|which| JOURNALS[which][0].clone());
        let events = events.into_iter().map(|(seq, at, kind)| Event { seq, at, kind });
        let journal: Vec<Event> = brief.into_iter().chain(events).collect();
        let judgement = judge(&journal);
        prop_assert!(no_detector_panicked(&judgement));
        prop_assert!(serde_json::to_string(&judgement).is_ok());
    }
}

#[test]
fn the_same_bytes_in_give_the_same_bytes_out() {
    let text = |journal: &[Event]| serde_json::to_string(&judge(journal)).unwrap();
    for journal in JOURNALS.iter() {
        let bytes: Vec<u8> = journal.iter().fold(Vec::new(), |mut bytes, event| {
            murphy_core::write_line(&mut bytes, event).unwrap();
            bytes
        });
        let read = murphy_core::read_journal(bytes.as_slice()).unwrap();
        assert_eq!(text(journal), text(&read));
    }
}
