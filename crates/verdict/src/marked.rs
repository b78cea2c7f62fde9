//! Which calls are tries of one and the same? An idempotency key or a trace says it, however many users overlap. It is believed only
//! where one mark is one call in health: a request that makes several calls in one trace makes no further try.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;

use murphy_core::{AttemptOf, HttpCall};

use crate::edge::{Call, EdgeView};
use crate::phase::RunView;

/// What a call says of which one it is a try, in little room: calls with one mark, one method and one route are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(NonZeroU64);

impl Mark {
    pub fn of(call: &HttpCall) -> Option<Mark> {
        let (kind, text) = match call.attempt_of.as_ref()? {
            AttemptOf::Key(key) => (0u8, key),
            AttemptOf::Trace(trace) => (1u8, trace),
        };
        // Only whether two are the same counts, never which comes first: what a judgement says does not hang on the hash.
        let mut hasher = DefaultHasher::new();
        (kind, text, &call.method, &call.route).hash(&mut hasher);
        Some(Mark(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN)))
    }
}

/// Marks in health, to say that one of them is one call.
const FEWEST_USUAL: usize = 10;
/// A call that is tried again is so within this, and within three times the longest wait that was seen; in microseconds.
const SETTLED: u64 = 2_000_000;

/// The tries of each call whose first one was made in the fault and failed, by beginning, where all of them were seen; `None` where marks do not
/// tell: failing calls carry none, or one mark is more than one call in health.
pub(crate) fn tries<'a>(run: &RunView<'_>, edge: &'a EdgeView) -> Option<Vec<Vec<&'a Call>>> {
    let failing = || edge.within(&edge.hurt).filter(|call| call.touched && edge.is_failing(call));
    let unmarked = failing().filter(|call| call.mark.is_none()).count();
    if unmarked * 10 > failing().count() {
        return None;
    }
    let health = by_mark(edge.within(&run.baseline));
    let usual = health.chunk_by(same).count();
    let more = health.chunk_by(same).filter(|calls| calls.len() > 1).count();
    if usual < FEWEST_USUAL || more * 20 > usual {
        return None;
    }
    // Whose request was in flight when the fault came may have made tries that are not looked at here.
    let across = run.loads.iter().flat_map(|load| &load.across).filter_map(|point| point.sent).min();
    let begun_before: BTreeSet<Mark> = edge
        .calls
        .iter()
        .filter(|call| across.is_some_and(|from| from <= call.began) && !edge.hurt.holds(call.began))
        .take_while(|call| run.first_armed().is_some_and(|armed| call.began < armed))
        .filter_map(|call| call.mark)
        .collect();
    let sick = by_mark(edge.within(&edge.hurt));
    let wait = |calls: &[(Mark, &Call)]| {
        calls.windows(2).map(|pair| pair[1].1.began.saturating_sub(pair[0].1.ended)).max().unwrap_or(0)
    };
    let longest = sick.chunk_by(same).map(wait).max().unwrap_or(0);
    let settled = SETTLED.max(longest.saturating_mul(3));
    let whole = |calls: &&[(Mark, &Call)]| {
        let (Some((_, first)), Some((_, last))) = (calls.first(), calls.last()) else { return false };
        let Some(part) = edge.hurt.iter().find(|part| part.holds(first.began)) else { return false };
        let over = if edge.is_failing(last) { last.ended.saturating_add(settled) } else { last.ended };
        let is_first = calls.first().is_none_or(|(mark, _)| !begun_before.contains(mark));
        is_first && first.touched && edge.is_failing(first) && over <= part.to.min(run.last.saturating_add(1))
    };
    let calls = sick.chunk_by(same).filter(whole);
    Some(calls.map(|calls| calls.iter().map(|(_, call)| *call).collect()).collect())
}

fn same(one: &(Mark, &Call), other: &(Mark, &Call)) -> bool {
    one.0 == other.0
}

/// Calls that carry a mark, those of one mark behind each other and by beginning.
fn by_mark<'a>(calls: impl Iterator<Item = &'a Call>) -> Vec<(Mark, &'a Call)> {
    let mut marked: Vec<(Mark, &Call)> = calls.filter_map(|call| Some((call.mark?, call))).collect();
    marked.sort_by_key(|(mark, call)| (*mark, call.began, call.ended));
    marked
}
