//! Are writes lost, or kept more often than they were sent? (verdicts 2.16) Each write has an id; what is kept is read back
//! when all is over. Only a write that was acknowledged can be lost: of one that failed or timed out nobody knows, and that
//! it is there all the same is no fault. One that a queue holds, or its dead letters, is not lost, and is no second one of what is
//! kept: effects are counted, not deliveries. What is gone is gone, so one is enough; that none is gone needs writes just where
//! losses happen, at the beginning and the end of a fault.

use murphy_core::{Aside, Kept, LedgerRead, ReadBack};

use super::{Found, params};
use crate::judgement::{Finding, Reading, State};
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

/// How many of the acknowledged writes a queue has still, or its dead letters.
struct Elsewhere {
    dead: u64,
    queued: u64,
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

    /// True if a write is anywhere.
    fn has(&self, n: u64) -> bool {
        let aside = &self.read.aside;
        self.kept.times(n) > 0 || aside.is_dead(n) || aside.is_queued(n)
    }

    fn elsewhere(&self, writes: &[&Write]) -> Elsewhere {
        let count = |is: &dyn Fn(u64) -> bool| writes.iter().filter(|write| is(write.n)).count() as u64;
        let aside = &self.read.aside;
        Elsewhere { dead: count(&|n| aside.is_dead(n)), queued: count(&|n| aside.is_queued(n)) }
    }

    fn changing() -> Found {
        Found::inconclusive(
            "what is kept was still changing when the time for reading was up",
            "a longer `within` of the ledger",
        )
    }
}

impl Elsewhere {
    fn words(&self) -> String {
        match (self.dead, self.queued) {
            (0, 0) => String::new(),
            (dead, 0) => format!("; {dead} with the dead letters"),
            (0, queued) => format!("; {queued} queued still"),
            (dead, queued) => format!("; {dead} with the dead letters, {queued} queued still"),
        }
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
    let gone: Vec<&Write> = acknowledged.iter().copied().filter(|write| !read.has(write.n)).collect();
    let lost = gone.len() as u64;
    // Nobody knew of these, and they are there.
    let recovered = ledger.writes.iter().filter(|write| !write.acknowledged && read.has(write.n));
    let elsewhere = read.elsewhere(&acknowledged);
    let share = wilson(Share { p: lost as f64 / n.max(1) as f64, n: n as f64 });
    let mut found = params([
        ("lost", Reading::count(lost, n).says(format!("{lost} of {n}"))),
        ("share", Reading::share(lost, n, (n > 0).then_some((share.low, share.high)))),
        ("recovered", Reading::count(recovered.count() as u64, ledger.writes.len() as u64)),
    ]);
    let Aside { dead_letters, queued } = &read.read.aside;
    for (name, asked, count) in [
        (Finding::DEAD_LETTERED, dead_letters.is_some(), elsewhere.dead),
        ("queued", queued.is_some(), elsewhere.queued),
    ] {
        if asked {
            found.insert(name.to_owned(), Reading::count(count, n).says(format!("{count} of {n}")));
        }
    }
    if lost > 0 {
        if !read.settled {
            return Some(Read::changing());
        }
        if is_part(run, &acknowledged, &read) {
            return Some(part(lost, n));
        }
        let ids = named(&gone, &read);
        let text = format!(
            "{lost} of {} gone ({ids}), {}{}",
            words::plural(n, "acknowledged write"),
            acknowledged_when(run, &gone),
            elsewhere.words()
        );
        return Some(Found::present(found, text));
    }
    match none(run, &read, &acknowledged) {
        // What was counted is known all the same.
        Some(Found { state: State::Inconclusive { why, settle, .. }, .. }) if read.settled => {
            Some(Found::undecided(found, why, settle))
        }
        Some(open) => Some(open),
        None => {
            let most = words::percent(3, n.max(3));
            let there = if read.read.aside.is_unasked() { "kept" } else { "there" };
            let said = elsewhere.words();
            let text = format!("all of {n} acknowledged writes are {there}: at most {most} are lost{said}");
            Some(Found::absent(found, text))
        }
    }
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
    let missing = acknowledged.iter().filter(|write| !read.has(write.n)).count() as u64;
    if missing > 0 && is_part(run, &acknowledged, &read) {
        return Some(part(missing, acknowledged.len() as u64));
    }
    // These are delivered once more, and what comes of that is not seen.
    let again = there.iter().filter(|write| read.read.aside.is_queued(write.n)).count() as u64;
    if again > 0 && read.settled {
        return Some(Found::inconclusive(
            format!(
                "{again} of {n} writes are kept and queued all the same: delivered again, they may be kept twice"
            ),
            "a longer `within` of the ledger, so that its queue is empty",
        ));
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
fn is_part(run: &RunView<'_>, acknowledged: &[&Write], read: &Read<'_>) -> bool {
    let (there, missing): (Vec<&Write>, Vec<&Write>) =
        acknowledged.iter().partition(|write| read.has(write.n));
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
mod tests;
