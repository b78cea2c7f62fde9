//! Calls of services that make more or fewer than one for each user request, from journals whose truth is known.

use murphy_core::{Event, EventKind, Offset, Rule, SampleOutcome, Served, Span, Subject};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, State, judge};

fn edge() -> Subject {
    Subject::Edge(Golden::edge())
}

fn fact<'a>(judgement: &'a Judgement, detector: Detector, subject: &Subject) -> &'a Finding {
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == detector && &finding.subject == subject)
        .expect("every detector answers")
}

fn armed(journal: &[Event]) -> Offset {
    let mut events = journal.iter();
    events.find(|event| matches!(event.kind, EventKind::FaultArmed { .. })).expect("a fault").at
}

/// The same run, of a service whose cache spares it three calls in four while nothing is broken.
fn cached(mut journal: Vec<Event>) -> Vec<Event> {
    let armed = armed(&journal);
    let mut calls = 0;
    journal.retain(|event| {
        let EventKind::Exchange { began, .. } = &event.kind else { return true };
        calls += 1;
        *began >= armed || calls % 4 == 0
    });
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    journal
}

/// The same run, of a service that answers from what it has from the fault on, whatever becomes of its calls.
fn at_once(mut journal: Vec<Event>) -> Vec<Event> {
    let armed = armed(&journal);
    for event in &mut journal {
        if let EventKind::Sample(sample) = &mut event.kind
            && let Some(sent) = sample.sent.filter(|sent| *sent >= armed)
        {
            sample.ended = Offset::from_micros(sent.as_micros() + 2_000);
            (sample.outcome, sample.status, sample.served) = (SampleOutcome::Ok, Some(200), Served::Fresh);
        }
    }
    journal
}

/// The same run, with the users of both loads in one: half of them need the callee.
fn in_one(mut journal: Vec<Event>) -> Vec<Event> {
    journal.retain(|event| {
        let EventKind::LoadEnded { load, .. } = &event.kind else { return true };
        *load != Golden::bystander()
    });
    let mut samples: Vec<_> = journal
        .iter_mut()
        .filter_map(|event| match &mut event.kind {
            EventKind::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect();
    samples.sort_by_key(|sample| sample.intended);
    let all = samples.len() as u64;
    for (n, sample) in samples.into_iter().enumerate() {
        (sample.load, sample.n) = (Golden::load(), n as u64);
    }
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
        match &mut event.kind {
            EventKind::RunStarted(brief) => brief.loads.truncate(1),
            EventKind::LoadEnded { planned, .. } => *planned = all,
            _ => {}
        }
    }
    journal
}

#[test]
fn calls_that_a_cache_spares_in_health_are_no_tries_when_it_is_empty() {
    let found = |attempts| {
        let caller = Caller { attempts, ..Caller::careless() };
        let mut golden = Golden::new("cache", caller, Break::Reset);
        golden.phases.baseline = Span::from_secs(40);
        let judgement = judge(&cached(golden.journal()));
        fact(&judgement, Detector::Amplification, &edge()).clone()
    };
    let empty = found(1);
    assert!(matches!(empty.state, State::Inconclusive { .. }), "{}", empty.text);
    let spared = empty.param("spared").and_then(|spared| spared.value).expect("a share");
    assert!((0.6..0.9).contains(&spared), "{spared}");
    assert!(empty.param("ratio").and_then(|ratio| ratio.low).is_some_and(|low| low > 3.0), "{}", empty.text);
    // Who is seen to try again does.
    let again = found(2);
    assert!(again.is_present() && again.param("spared").is_none(), "{}", again.text);
}

#[test]
fn calls_that_fill_a_cache_beside_the_answers_are_no_tries() {
    let caller = Caller { timeout: Some(Span::from_millis(300)), ..Caller::careless() };
    let judgement = judge(&at_once(cached(Golden::new("cache", caller, Break::Hang).journal())));
    let found = fact(&judgement, Detector::Amplification, &edge());
    assert!(found.param("spared").is_some(), "{}", found.text);
}

#[test]
fn of_users_of_whom_half_need_the_callee_tries_are_told_where_they_overlap() {
    let of = |attempts| {
        let caller = Caller { attempts, timeout: Some(Span::from_millis(300)), ..Caller::careless() };
        let mut golden = Golden { rate: 15.0, ..Golden::new("cache", caller, Break::Hang) };
        golden.bystander = Bystander::Apart;
        fact(&judge(&in_one(golden.journal())), Detector::Amplification, &edge()).clone()
    };
    // There are no more calls than requests, but half of these are answered before a call can have ended.
    let twice = of(2);
    assert!(twice.is_present() && twice.param("spared").is_none(), "{}", twice.text);
    assert!(!of(1).is_present(), "{}", of(1).text);
}

#[test]
fn what_comes_before_a_breaker_opens_is_not_lost_in_the_mean() {
    // Three tries for each of 30 users a second: it opens after some seven seconds, and the mean is then that of one try.
    let caller = Caller { attempts: 3, breaker: Some((600, Span::from_secs(10))), ..Caller::careful() };
    let journal = |caller| Golden::new("opens", caller, Break::Reset).journal();
    let judgement = judge(&journal(caller));
    let found = fact(&judgement, Detector::Amplification, &edge());
    let value = |name| found.param(name).and_then(|reading| reading.value).expect("a number");
    assert!(value("ratio") < 1.5, "{}", found.text);
    assert!((2.8..=3.2).contains(&value("until-open")), "{}", found.text);
    assert!((2.8..=3.6).contains(&value("worst")), "{found:?}");
    assert!(found.text.contains(" until calls stop for the first time"), "{}", found.text);
    // Without a breaker there is nothing to tell apart.
    let judgement = judge(&journal(Caller { attempts: 3, breaker: None, ..Caller::careful() }));
    let found = fact(&judgement, Detector::Amplification, &edge());
    assert!(found.is_present() && found.param("until-open").is_none(), "{}", found.text);
}

#[test]
fn a_bound_on_calls_that_a_cache_spared_is_told_without_a_word_of_tries() {
    let within = Rule::Amplification { at_most: 1.2 };
    let golden = Golden::new("cache", Caller::careless(), Break::Reset);
    let golden = golden.expect("cart.amplification", edge(), within, "<= 1.2");
    let judgement = judge(&cached(golden.journal()));
    let why = judgement.why.iter().find(|why| why.row == "cart.amplification").expect("it fails");
    assert!(why.mechanism.contains("as from a cache") && !why.change.contains("retry"), "{why:?}");
}
