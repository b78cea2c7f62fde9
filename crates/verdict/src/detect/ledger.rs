//! Are writes lost, or kept more often than they were sent? (verdicts 2.16) Each write has an id; what is kept is read back
//! when all is over. Only a write that was acknowledged can be lost: of one that failed or timed out nobody knows, and that
//! it is there all the same is no fault. What is gone is gone, so one is enough; that none is gone needs writes just where
//! losses happen, at the beginning and the end of a fault.

use murphy_core::{Kept, LedgerRead, ReadBack};

use super::{Found, params};
use crate::judgement::Reading;
use crate::phase::{LedgerView, LoadView, RunView, Write};
use crate::stats::{Share, wilson};
use crate::words;

/// Acknowledged writes needed to say that none is lost: of 100 without a loss, at most 3 of 100 are lost.
const ACKNOWLEDGED: u64 = 100;
/// Writes under way within [`NEAR`] of the beginning or the end of a fault, needed to say so.
const AT_EDGES: u64 = 20;
const NEAR: u64 = 1_000_000;
/// How long after it acts a fault may be told of, and the other way round.
const TOLD_LATE: u64 = 250_000;
/// So many ids are named.
const NAMED: usize = 3;

/// What was read, if it can be relied on.
struct Read<'a> {
    read: &'a LedgerRead,
    kept: &'a Kept,
    settled: bool,
}

impl<'a> Read<'a> {
    fn of(ledger: &'a LedgerView) -> Result<Read<'a>, Found> {
        let Some(read) = &ledger.read else {
            return Err(Found::inconclusive(
                "what was written was not read back: the run ended before",
                "a run that comes to its end",
            ));
        };
        match &read.back {
            ReadBack::Settled { kept } => Ok(Read { read, kept, settled: true }),
            ReadBack::Changing { kept } => Ok(Read { read, kept, settled: false }),
            ReadBack::Failed { why } => Err(Found::inconclusive(
                format!("what was written could not be read back: {why}"),
                "a `ledger` that can be read after the run, past all that is broken",
            )),
        }
    }

    fn changing() -> Found {
        Found::inconclusive(
            "what is kept was still changing when the time for reading was up",
            "a longer `within` of the ledger",
        )
    }
}

/// `None` for a load whose writes are not looked for.
pub(super) fn lost(run: &RunView<'_>, load: &LoadView) -> Option<Found> {
    let ledger = load.ledger.as_ref()?;
    let read = match Read::of(ledger) {
        Ok(read) => read,
        Err(found) => return Some(found),
    };
    let acknowledged: Vec<&Write> = ledger.writes.iter().filter(|write| write.acknowledged).collect();
    let n = acknowledged.len() as u64;
    let gone: Vec<&Write> =
        acknowledged.iter().copied().filter(|write| read.kept.times(write.n) == 0).collect();
    let lost = gone.len() as u64;
    // Nobody knew of these, and they are there.
    let recovered = ledger.writes.iter().filter(|write| !write.acknowledged && read.kept.times(write.n) > 0);
    let share = wilson(Share { p: lost as f64 / n.max(1) as f64, n: n as f64 });
    let found = params([
        ("lost", Reading::count(lost, n).says(format!("{lost} of {n}"))),
        ("share", Reading::share(lost, n, (n > 0).then_some((share.low, share.high)))),
        ("recovered", Reading::count(recovered.count() as u64, ledger.writes.len() as u64)),
    ]);
    if lost > 0 {
        if !read.settled {
            return Some(Read::changing());
        }
        if is_part(run, &acknowledged, read.kept) {
            return Some(part(lost, n));
        }
        let ids = named(&gone, &read);
        let text = format!(
            "{lost} of {} gone ({ids}), {}",
            words::plural(n, "acknowledged write"),
            acknowledged_when(run, &gone)
        );
        return Some(Found::present(found, text));
    }
    Some(none(run, &read, &acknowledged).unwrap_or_else(|| {
        let most = words::percent(3, n.max(3));
        Found::absent(found, format!("all of {n} acknowledged writes are kept: at most {most} are lost"))
    }))
}

/// `None` for a load whose writes are not looked for.
pub(super) fn duplicates(run: &RunView<'_>, load: &LoadView) -> Option<Found> {
    let ledger = load.ledger.as_ref()?;
    let read = match Read::of(ledger) {
        Ok(read) => read,
        Err(found) => return Some(found),
    };
    // An answer may name each id several times; what counts is which ones it names more often than the others.
    let usual = usual(read.kept);
    let twice: Vec<&Write> = ledger.writes.iter().filter(|write| read.kept.times(write.n) > usual).collect();
    let there: Vec<&Write> = ledger.writes.iter().filter(|write| read.kept.times(write.n) > 0).collect();
    let n = there.len() as u64;
    let count = twice.len() as u64;
    let found = params([("duplicates", Reading::count(count, n).says(format!("{count} of {n}")))]);
    if count > 0 {
        if !read.settled {
            return Some(Read::changing());
        }
        let unanswered = twice.iter().filter(|write| !write.acknowledged).count();
        let text = format!(
            "{count} of {n} writes are kept more often than they were sent ({}); the users of {unanswered} of them saw no \
             success, and none of them was sent twice",
            named(&twice, &read)
        );
        return Some(Found::present(found, text));
    }
    let acknowledged: Vec<&Write> = ledger.writes.iter().filter(|write| write.acknowledged).collect();
    let missing = acknowledged.iter().filter(|write| read.kept.times(write.n) == 0).count() as u64;
    if missing > 0 && is_part(run, &acknowledged, read.kept) {
        return Some(part(missing, acknowledged.len() as u64));
    }
    Some(
        none(run, &read, &there).unwrap_or_else(|| {
            Found::absent(found, format!("each of {n} writes that are kept is there once"))
        }),
    )
}

/// Why it cannot be said that there is none.
fn none(run: &RunView<'_>, read: &Read<'_>, writes: &[&Write]) -> Option<Found> {
    let n = writes.len() as u64;
    if !read.settled {
        return Some(Read::changing());
    }
    if n < ACKNOWLEDGED {
        return Some(Found::inconclusive(
            format!("only {}", words::plural(n, "write")),
            format!("{ACKNOWLEDGED} writes or more"),
        ));
    }
    let edges: Vec<u64> = run.faults.iter().flat_map(|fault| [fault.armed, fault.lifted]).flatten().collect();
    let near = |write: &&&Write| {
        let (from, to) = (write.sent.saturating_sub(NEAR), write.ended.saturating_add(NEAR));
        edges.iter().any(|at| (from..=to).contains(at))
    };
    let at_edges = writes.iter().filter(near).count() as u64;
    (!edges.is_empty() && at_edges < AT_EDGES).then(|| {
        Found::inconclusive(
            format!(
                "only {} within 1s of the beginning and the end of a fault, where writes are lost",
                words::plural(at_edges, "write")
            ),
            "more writes a second",
        )
    })
}

fn part(missing: u64, n: u64) -> Found {
    Found::inconclusive(
        format!(
            "{missing} of {} not in what was read, and these are all up to a moment, or all from one on, at which no fault \
             began or ended and no service ended",
            words::plural(n, "acknowledged write")
        ),
        "a `ledger` that gives all that is kept, and not a page of it, with the ids as they were sent",
    )
}

/// True if what was read is probably a part of what is kept: none, the latest or the first ones. That is also what is seen when a
/// service forgets all in one blow; then a fault begins or ends in the gap, or something ends that was run. Writes that were under
/// way at once may be kept in either order.
fn is_part(run: &RunView<'_>, acknowledged: &[&Write], kept: &Kept) -> bool {
    let (there, missing): (Vec<&Write>, Vec<&Write>) =
        acknowledged.iter().partition(|write| kept.times(write.n) > 0);
    let first_end = |writes: &[&Write]| writes.iter().map(|write| write.ended).min();
    let last_sent = |writes: &[&Write]| writes.iter().map(|write| write.sent).max();
    // From the last of those before the gap to the first of those behind it, both while they were under way.
    let gap = |before: &[&Write], behind: &[&Write]| {
        let (from, to) = (last_sent(before)?, first_end(behind)?);
        (from <= to).then_some(from.saturating_sub(TOLD_LATE)..=to.saturating_add(TOLD_LATE))
    };
    if there.is_empty() {
        return true;
    }
    let Some(gap) = gap(&missing, &there).or_else(|| gap(&there, &missing)) else { return false };
    let edges = run.faults.iter().flat_map(|fault| [fault.armed, fault.lifted]).flatten();
    let mut blows = edges.chain(run.exits.iter().map(|exit| exit.at));
    !blows.any(|blow| gap.contains(&blow))
}

/// How often each id stands in the form of what was read: every count is a multiple of it. Not the most frequent count, for in a
/// long fault most writes may be kept twice.
fn usual(kept: &Kept) -> u64 {
    let counts = kept.runs().iter().map(|(_, _, times)| *times);
    counts.fold(0, common).max(1)
}

/// The greatest common divisor.
fn common(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common(other, one % other) }
}

fn named(writes: &[&Write], read: &Read<'_>) -> String {
    let ids: Vec<String> = writes.iter().take(NAMED).map(|write| read.read.ids.id(write.n)).collect();
    let more = if writes.len() > NAMED { ", …" } else { "" };
    ids.join(", ") + more
}

/// When these were acknowledged, as seen from the fault.
fn acknowledged_when(run: &RunView<'_>, writes: &[&Write]) -> String {
    let first = writes.iter().map(|write| write.ended).min().unwrap_or(0);
    let last = writes.iter().map(|write| write.ended).max().unwrap_or(0);
    let seen = |at: u64| match run.first_armed() {
        Some(armed) if at < armed => format!("{} before the fault", words::micros((armed - at) as f64)),
        Some(armed) => format!("{} after the fault began", words::micros((at - armed) as f64)),
        None => format!("at {}", words::micros(at as f64)),
    };
    let (first, last) = (seen(first), seen(last));
    if first == last {
        format!("acknowledged {first}")
    } else {
        format!("acknowledged from {first} to {last}")
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{
        Answer, Event, EventKind, ExitCause, Offset, ProcessStatus, Rule, SampleOutcome, Seed, ServiceName,
        Subject, WriteIds,
    };
    use murphy_testkit::golden::{Break, Caller, Golden};

    use super::*;
    use crate::judge::judge;
    use crate::judgement::{Detector, Judgement, State};
    use crate::phase::Point;

    /// A run whose load has a ledger; `back` makes what was found of the acknowledged writes.
    fn run(caller: Caller, back: impl Fn(&[u64]) -> Option<ReadBack>) -> Judgement {
        run_with(caller, None, back)
    }

    /// The same, in which the store crashes at this microsecond.
    fn run_with(caller: Caller, crash: Option<u64>, back: impl Fn(&[u64]) -> Option<ReadBack>) -> Judgement {
        let users = Subject::Load(Golden::load());
        let golden = Golden::new("a", caller, Break::Hang)
            .expect("browse.lost", users.clone(), Rule::NoneLost, "none")
            .expect("browse.duplicates", users, Rule::NoneTwice, "none");
        let mut events: Vec<Event> = golden.journal();
        if let Some(at) = crash.map(Offset::from_micros) {
            let kind = EventKind::ServiceExited {
                service: ServiceName::new("redis").unwrap(),
                status: ProcessStatus::Signal(9),
                cause: ExitCause::Itself,
                last_output: Vec::new(),
            };
            let place = events.iter().position(|event| event.at > at).expect("a later event");
            events.insert(place, Event { seq: 0, at, kind });
            events.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
        }
        let mut acknowledged = Vec::new();
        for event in &mut events {
            match &mut event.kind {
                EventKind::RunStarted(brief) => brief.loads[0].ledger = Some("GET http://a/".into()),
                EventKind::Sample(sample) if sample.outcome == SampleOutcome::Ok => {
                    acknowledged.push(sample.n);
                }
                _ => {}
            }
        }
        if let Some(back) = back(&acknowledged) {
            let end = events.pop().expect("an end");
            let read = LedgerRead { asked: Offset::ZERO, ids: WriteIds::of(Seed(1)), back };
            let kind = EventKind::LedgerRead { load: Golden::load(), read: Box::new(read) };
            events.push(Event { seq: end.seq, at: end.at, kind });
            events.push(Event { seq: end.seq + 1, ..end });
        }
        judge(&events)
    }

    fn settled(found: &[u64]) -> Option<ReadBack> {
        Some(ReadBack::Settled { kept: Kept::of(found.to_vec()) })
    }

    fn state(judgement: &Judgement, detector: Detector) -> (&State, &str) {
        let found = judgement.findings.iter().find(|finding| finding.detector == detector);
        let found = found.expect("a finding");
        (&found.state, &found.text)
    }

    #[test]
    fn one_acknowledged_write_that_is_gone_is_a_loss_and_fails_what_was_asked() {
        let judgement = run(Caller::careful(), |all| settled(&[&all[..40], &all[41..]].concat()));
        let (found, text) = state(&judgement, Detector::Lost);
        assert!(matches!(found, State::Present { .. }), "{text}");
        assert!(
            text.starts_with("1 of ") && text.contains(" gone (") && text.contains("before the fault"),
            "{text}"
        );
        let row = judgement.row("browse.lost").unwrap();
        assert_eq!(row.answer, Answer::Fail, "{row:?}");
        assert!(judgement.why.iter().any(|why| why.row == "browse.lost" && why.change.contains("on disk")));
        assert!(matches!(state(&judgement, Detector::Duplicates).0, State::Absent { .. }));
        assert_eq!(judgement.row("browse.duplicates").unwrap().answer, Answer::Pass);
    }

    #[test]
    fn a_write_that_is_kept_twice_is_a_duplicate_unless_all_are_named_twice() {
        let judgement = run(Caller::careful(), |all| settled(&[all, &all[7..9]].concat()));
        let (found, text) = state(&judgement, Detector::Duplicates);
        assert!(matches!(found, State::Present { .. }) && text.starts_with("2 of "), "{text}");
        assert_eq!(judgement.row("browse.duplicates").unwrap().answer, Answer::Fail);
        assert!(matches!(state(&judgement, Detector::Lost).0, State::Absent { .. }));
        let judgement = run(Caller::careful(), |all| settled(&[all, all].concat()));
        assert!(matches!(state(&judgement, Detector::Duplicates).0, State::Absent { .. }));
    }

    #[test]
    fn writes_are_duplicates_also_where_most_are_kept_twice() {
        let judgement = run(Caller::careful(), |all| settled(&[all, &all[300..]].concat()));
        let (found, text) = state(&judgement, Detector::Duplicates);
        assert!(matches!(found, State::Present { .. }), "{text}");
    }

    #[test]
    fn a_write_that_failed_and_is_kept_all_the_same_is_no_fault() {
        // All that was sent is there, though most users of the careless one saw an error.
        let judgement = run(Caller::careless(), |_| settled(&(0..5000).collect::<Vec<u64>>()));
        for detector in [Detector::Lost, Detector::Duplicates] {
            let (found, text) = state(&judgement, detector);
            assert!(matches!(found, State::Absent { .. }), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_does_not_settle_decides_nothing() {
        let failed = run(Caller::careful(), |_| Some(ReadBack::Failed { why: "refused".into() }));
        let changing =
            run(Caller::careful(), |all| Some(ReadBack::Changing { kept: Kept::of(all[..9].to_vec()) }));
        let never = run(Caller::careful(), |_| None);
        for (judgement, why) in [(failed, "refused"), (changing, "still changing"), (never, "not read back")]
        {
            let (found, text) = state(&judgement, Detector::Lost);
            assert!(matches!(found, State::Inconclusive { .. }) && text.contains(why), "{text}");
            assert_eq!(judgement.row("browse.lost").unwrap().answer, Answer::Inconclusive);
        }
    }

    #[test]
    fn a_page_of_what_is_kept_shows_no_loss_but_one_that_ends_at_the_fault_does() {
        // 30 users a second: the fault begins after 22s.
        let latest = run(Caller::careful(), |all| settled(&all[all.len() - 200..]));
        let in_the_fault = run(Caller::careful(), |all| settled(&all[960..]));
        let first = run(Caller::careful(), |all| settled(&all[..100]));
        let none = run(Caller::careful(), |_| settled(&[]));
        for judgement in [latest, in_the_fault, first, none] {
            let (found, text) = state(&judgement, Detector::Lost);
            assert!(
                matches!(found, State::Inconclusive { .. }) && text.contains("not in what was read"),
                "{text}"
            );
        }
    }

    /// How many of the acknowledged writes had ended so long after the fault began, or before it was lifted.
    fn ended_at(armed: i64, lifted: i64) -> [usize; 2] {
        let events = Golden::new("a", Caller::careful(), Break::Hang).journal();
        let micros = |at: Offset| i64::try_from(at.as_micros()).expect("a short run");
        let at = |is: fn(&EventKind) -> bool| {
            micros(events.iter().find(|event| is(&event.kind)).expect("a fault").at)
        };
        let begins = at(|kind| matches!(kind, EventKind::FaultArmed { .. })) + armed;
        let ends = at(|kind| matches!(kind, EventKind::FaultLifted { .. })) + lifted;
        [begins, ends].map(|until| {
            let done = |event: &&Event| match &event.kind {
                EventKind::Sample(sample) => {
                    sample.outcome == SampleOutcome::Ok && micros(sample.ended) < until
                }
                _ => false,
            };
            events.iter().filter(done).count()
        })
    }

    #[test]
    fn all_that_is_gone_up_to_a_fault_or_from_one_on_is_a_loss() {
        let [begins, ends] = ended_at(0, 0);
        for at in [begins, ends] {
            for forgot in [
                run(Caller::careful(), |all| settled(&all[at..])),
                run(Caller::careful(), |all| settled(&all[..at])),
            ] {
                let (found, text) = state(&forgot, Detector::Lost);
                assert!(matches!(found, State::Present { .. }), "{at}: {text}");
            }
        }
    }

    #[test]
    fn all_that_is_gone_up_to_a_crash_in_the_midst_of_a_fault_is_a_loss() {
        const LATER: i64 = 5_000_000;
        let events = Golden::new("a", Caller::careful(), Break::Hang).journal();
        let armed = events.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
        let crash = armed.expect("a fault").at.as_micros() + LATER.unsigned_abs();
        let [at, _] = ended_at(LATER, 0);
        let forgot = |crash| run_with(Caller::careful(), crash, |all| settled(&all[at..]));
        let (crashed, calm) = (forgot(Some(crash)), forgot(None));
        let (found, text) = state(&crashed, Detector::Lost);
        assert!(matches!(found, State::Present { .. }), "{text}");
        let (found, text) = state(&calm, Detector::Lost);
        assert!(matches!(found, State::Inconclusive { .. }), "{text}");
    }

    #[test]
    fn a_page_that_ends_beside_a_fault_and_not_in_its_beginning_or_end_is_no_loss() {
        // 30 users a second: the latest hundred of a recovery of 5s begin 1.7s after the lift.
        for at in ended_at(-1_000_000, 1_700_000).into_iter().chain(ended_at(1_000_000, 600_000)) {
            let page = run(Caller::careful(), |all| settled(&all[at..]));
            let (found, text) = state(&page, Detector::Lost);
            assert!(matches!(found, State::Inconclusive { .. }), "{at}: {text}");
        }
    }

    #[test]
    fn an_expected_answer_that_is_no_2xx_acknowledges_nothing() {
        let write = |status| {
            let point = Point {
                n: 1,
                intended: 0,
                sent: Some(0),
                ended: 1,
                outcome: SampleOutcome::Ok,
                status: Some(status),
                served: murphy_core::Served::Fresh,
                age: None,
                retry_after: None,
            };
            Write::of(&point).is_some_and(|write| write.acknowledged)
        };
        assert!(write(201) && !write(503) && !write(302));
    }

    #[test]
    fn a_load_without_a_ledger_has_no_such_finding() {
        let judgement = judge(&Golden::new("a", Caller::careful(), Break::Hang).journal());
        let of_ledger = |detector: Detector| matches!(detector, Detector::Lost | Detector::Duplicates);
        assert!(!judgement.findings.iter().any(|finding| of_ledger(finding.detector)));
    }
}
