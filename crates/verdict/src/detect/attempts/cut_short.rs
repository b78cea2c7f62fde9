//! Tries that end because the caller turns its own calls away, as behind an open breaker, and not because it has tried often enough: how
//! often was tried then is the fewest that it tries. A caller that calls again before the next request comes is not known as one that
//! turns calls away: nothing is seen of it from outside.

use super::super::amplification::{self, Further};
use super::super::{Found, breaker, params, stands_by};
use super::{FEWEST, Seen, further, most_of};
use crate::edge::{Call, EdgeView};
use crate::judgement::{Reading, State};
use crate::phase::{RunView, Window, Windows};
use crate::solo::{APART, Life, Solo, alone, met_by_others};

/// Requests in health that tell how often one makes no call, or how many it makes at most.
const FEWEST_USUAL: usize = 10;
/// A try may follow the one before within so many times the longest wait that was seen.
const LONGER: u64 = 3;
/// And within this where none was seen, in microseconds.
const UNSEEN: u64 = 2_000_000;

/// What would tell the number all the same.
pub(crate) const SETTLE: &str =
    "30 failing requests that are not turned away: faults that end before it opens, or the caller without it";

/// When the caller turned calls away, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shut(Vec<Window>);

impl Shut {
    /// While it was silent as a breaker is, or while requests made no call that make one in health. Each such stretch is as long as the
    /// silence on the edge.
    pub fn of(run: &RunView<'_>, edge: &EdgeView) -> Shut {
        let mut found = breaker::silences_in_fault(run, edge);
        for index in 0..run.loads.len() {
            found.extend(turned_away_unseen(run, edge, index));
        }
        Shut(Windows::union(found).iter().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if calls were turned away at some moment of this stretch, its end included: the last call of it may be what opened a breaker.
    pub fn meets(&self, from: u64, to: u64) -> bool {
        let next = self.0.partition_point(|shut| shut.to <= from);
        self.0.get(next).is_some_and(|shut| shut.from <= to)
    }

    /// True if they were turned away at its end, or began to be in its midst.
    fn ends(&self, from: u64, to: u64) -> bool {
        let next = self.0.partition_point(|shut| shut.to <= to);
        let before = next.checked_sub(1).and_then(|last| self.0.get(last));
        self.0.get(next).is_some_and(|shut| shut.from <= to) || before.is_some_and(|shut| from <= shut.from)
    }

    /// Those of these tries behind which one more was due that would not have been turned away.
    pub fn spared<'a>(&self, tries: &[Vec<&'a Call>]) -> Vec<Vec<&'a Call>> {
        let waits = tries.iter().flat_map(|calls| calls.windows(2));
        let longest = waits.map(|pair| pair[1].began.saturating_sub(pair[0].ended)).max();
        let wait = longest.map_or(UNSEEN, |longest| APART.max(longest.saturating_mul(LONGER)));
        let went_on = |calls: &&Vec<&Call>| match (calls.first(), calls.last()) {
            (Some(first), Some(last)) => !self.meets(first.began, last.ended.saturating_add(wait)),
            _ => false,
        };
        tries.iter().filter(went_on).cloned().collect()
    }

    /// How many requests in the fault ended while calls were turned away, or lived when that began, of loads that call this edge.
    pub fn turned_away(&self, run: &RunView<'_>, edge: &EdgeView) -> Reading {
        let callers = run.loads.iter().filter(|load| stands_by(run, load, &[edge]) != Some(true));
        let (mut turned_away, mut all) = (0, 0);
        for point in callers.flat_map(|load| load.within(&edge.hurt)) {
            all += 1;
            turned_away += u64::from(point.sent.is_some_and(|sent| self.ends(sent, point.ended)));
        }
        Reading::count(turned_away, all)
    }
}

/// The silences around requests of a load that were answered without any call on the edge meanwhile; none if they are no more than health
/// and chance let expect.
fn turned_away_unseen(run: &RunView<'_>, edge: &EdgeView, load: usize) -> Vec<Window> {
    let answered = |windows: &Windows| -> Vec<Life> {
        let of_load = run.lives().iter().filter(|life| life.load == load && !life.cut);
        of_load.filter(|life| windows.holds(life.from) && windows.holds(life.to)).copied().collect()
    };
    let is_without = |life: &&Life| {
        edge.in_window(Window { from: life.from, to: life.to.saturating_add(APART) }).is_empty()
    };
    let (usual, sick) = (answered(&run.baseline), answered(&edge.hurt));
    if usual.len() < FEWEST_USUAL {
        return Vec::new();
    }
    let usually = usual.iter().filter(is_without).count();
    // None of so many may be three of them (95 %).
    let expected = (usually + 3) as f64 / usual.len() as f64 * sick.len() as f64;
    let without: Vec<&Life> = sick.iter().filter(is_without).collect();
    if usually * 20 > usual.len() || without.len() as f64 <= expected + 3.0 * expected.sqrt() {
        return Vec::new();
    }
    without.into_iter().filter_map(|life| silence_around(edge, life)).collect()
}

/// From the end of the last call before this life to the beginning of the next one, within the fault.
fn silence_around(edge: &EdgeView, life: &Life) -> Option<Window> {
    let part = edge.hurt.iter().find(|part| part.holds(life.from))?;
    let next = edge.calls.partition_point(|call| call.began < life.from);
    let before = next.checked_sub(1).and_then(|last| edge.calls.get(last)).map(|call| call.ended);
    let from = before.map_or(part.from, |ended| ended.clamp(part.from, life.from));
    let to = edge.calls.get(next).map_or(part.to, |call| call.began.min(part.to));
    Some(Window { from, to })
}

/// True if these tries, which nothing is known to have cut short, tell how often one is tried: there are enough of them, and of those
/// that failed to the last hardly one stopped before the others did, as where calls are turned away by chance.
pub(super) fn tells(edge: &EdgeView, went_on: &Seen<'_>) -> bool {
    let tries = went_on.tries();
    let most = most_of(&tries, went_on.others);
    let in_vain = |calls: &[&Call]| calls.last().is_some_and(|last| !edge.is_good(last));
    let failed: Vec<u64> = tries
        .iter()
        .zip(&went_on.calls)
        .filter(|(_, calls)| in_vain(calls))
        .map(|(tries, _)| *tries)
        .collect();
    let stopped_before = failed.iter().filter(|tries| **tries < most).count();
    tries.len() >= FEWEST && stopped_before * 10 <= failed.len()
}

/// The same with the number of those who were turned away, if any were.
pub(super) fn noted(mut found: Found, turned_away: Reading) -> Found {
    if let State::Present { params } | State::Absent { params } | State::Inconclusive { params, .. } =
        &mut found.state
        && turned_away.value > Some(0.0)
    {
        params.insert("turned-away".to_owned(), turned_away);
    }
    found
}

/// So many tries were seen, and more may have been due.
pub(super) fn at_least(least: u64, turned_away: Reading) -> Found {
    let cut = format!(
        "{} of {} requests were turned away in the fault, as by a breaker, and their tries with them",
        turned_away.text, turned_away.n
    );
    let found = params([
        ("least", Reading::count(least, turned_away.n).says(format!(">= {least}"))),
        ("turned-away", turned_away),
    ]);
    if least > 1 {
        return Found::present(found, format!("{least} attempts or more for one call: {cut}"));
    }
    Found::undecided(found, format!("no second try was seen, but {cut}"), SETTLE)
}

/// What the few calls tell of which it is known whose they are, and the mean before the first of them was turned away.
pub(super) fn fewest(
    run: &RunView<'_>,
    edge: &EdgeView,
    hit: &[Solo<'_>],
    marked: &[Vec<&Call>],
    shut: &Shut,
) -> Found {
    let one_by_one = |calls: &[Call]| {
        let hedged = calls.windows(2).any(|pair| pair[1].began < pair[0].ended);
        if hedged { 1 } else { calls.len() as u64 }
    };
    let usual = alone(run.lives(), edge, &run.baseline);
    let usual: Vec<u64> = usual.iter().map(|solo| solo.calls.len() as u64).collect();
    let calls: Vec<u64> = hit.iter().map(|solo| one_by_one(solo.calls)).collect();
    let alone = most_tries(&usual, &calls, met_by_others(run, edge, hit));
    let marked = marked.iter().map(|calls| calls.len() as u64).max().unwrap_or(1);
    at_least(alone.max(marked).max(mean(run, edge)), shut.turned_away(run, edge))
}

/// The most tries of requests that were alone and made so many calls, of which so many may be somebody else's. Where a request makes several
/// calls in health, only more than the most of them are tries; how many it makes is not known where too few were alone.
fn most_tries(usual: &[u64], calls: &[u64], others: f64) -> u64 {
    if usual.len() < FEWEST_USUAL {
        return 1;
    }
    let each = usual.iter().copied().max().unwrap_or(1).max(1);
    let tries: Vec<u64> = calls.iter().map(|calls| calls.div_ceil(each)).collect();
    if further(&tries, 1) as f64 > others { tries.into_iter().max().unwrap_or(1) } else { 1 }
}

/// If there are so many calls for each request in the mean, somebody was tried for as often.
fn mean(run: &RunView<'_>, edge: &EdgeView) -> u64 {
    let told = [amplification::ratio(run, edge), amplification::ratio_until_open(run, edge)];
    let further = told.into_iter().flatten().filter_map(|ratio| Some((ratio.low?, ratio.high?)));
    let low = further
        .filter(|(low, high)| Further::told_by(*low, *high) == Further::Made)
        .map(|(low, _)| low)
        .fold(1.0, f64::max);
    if low > 1.0 && amplification::spared(run, edge).is_none() { more_than(low) } else { 1 }
}

/// The fewest tries that make more than such a mean. One in forty intervals begins a little above the truth, which is a whole number where
/// all of them try as often: so much is no further try.
fn more_than(mean: f64) -> u64 {
    (mean / amplification::BUDGET).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::attempts::Whose;
    use crate::edge::Harm;
    use murphy_core::{EdgeName, ExchangeEnd};

    fn call(began: u64, ended: u64) -> Call {
        Call {
            began,
            answered: None,
            ended,
            end: ExchangeEnd::Failed,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        }
    }

    fn edge(calls: Vec<Call>) -> EdgeView {
        EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls,
            conns: Vec::new(),
            harm: Harm::Error,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![Window { from: 1_000, to: 10_000 }]),
        }
    }

    fn shut(windows: &[(u64, u64)]) -> Shut {
        Shut(windows.iter().map(|&(from, to)| Window { from, to }).collect())
    }

    #[test]
    fn the_call_that_opens_a_breaker_is_cut_short_by_it_and_one_that_ended_before_is_not() {
        let shut = shut(&[(100, 200), (300, 400)]);
        assert!(shut.meets(50, 100) && shut.meets(150, 160) && shut.meets(199, 250) && shut.meets(0, 1_000));
        assert!(!shut.meets(50, 99) && !shut.meets(200, 299) && !shut.meets(400, 500));
    }

    #[test]
    fn who_finds_it_closed_at_the_end_was_not_turned_away() {
        let shut = shut(&[(100, 200), (300, 400)]);
        assert!(shut.ends(50, 100) && shut.ends(150, 160) && shut.ends(90, 250) && shut.ends(200, 300));
        // Who asks whether it is well again, and is served.
        assert!(!shut.ends(199, 250) && !shut.ends(50, 99) && !shut.ends(200, 299));
    }

    #[test]
    fn the_silence_around_a_request_without_a_call_ends_with_the_fault() {
        let edge = edge(vec![call(1_100, 1_200), call(5_000, 5_100)]);
        let around = |from, to| silence_around(&edge, &Life { from, to, cut: false, load: 0 });
        assert_eq!(around(2_000, 2_100), Some(Window { from: 1_200, to: 5_000 }));
        assert_eq!(around(1_020, 1_030), Some(Window { from: 1_000, to: 1_100 }));
        assert_eq!(around(6_000, 6_100), Some(Window { from: 5_100, to: 10_000 }));
        assert_eq!(around(500, 600), None, "no fault yet");
    }

    #[test]
    fn tries_that_would_have_gone_on_within_the_silence_are_no_whole_ones() {
        // A wait of 30 ms between two tries was seen; another may be three times as long.
        let calls = [call(0, 10_000), call(40_000, 50_000), call(220_000, 230_000), call(300_000, 310_000)];
        let tries = vec![vec![&calls[0], &calls[1]], vec![&calls[2]], vec![&calls[3]]];
        let spared = shut(&[(310_000, 900_000)]).spared(&tries);
        assert_eq!(spared, vec![vec![&calls[0], &calls[1]]]);
        assert_eq!(shut(&[]).spared(&tries), tries);
    }

    #[test]
    fn tries_of_different_number_beside_turned_away_calls_tell_no_number() {
        let edge = edge(Vec::new());
        let failed = [call(2_000, 2_001), call(2_002, 2_003), call(2_004, 2_005)];
        let of = |tries: usize| failed[..tries].iter().collect::<Vec<&Call>>();
        let told = |whole: usize, short: usize| {
            let calls = [vec![of(3); whole], vec![of(1); short]].concat();
            tells(&edge, &Seen { calls, each: 1, whose: Whose::Alone, others: 0.0, strangers: 0.0 })
        };
        assert!(told(30, 0) && told(40, 4));
        assert!(!told(29, 0), "too few");
        assert!(!told(40, 5), "they may have been cut short as well");
    }

    #[test]
    fn calls_that_each_request_makes_are_no_tries_also_where_health_does_not_tell_how_many() {
        // Three calls for each request, and one that was tried again.
        let usual = [3; FEWEST_USUAL];
        assert_eq!(most_tries(&usual, &[3, 3, 1], 0.0), 1);
        assert_eq!(most_tries(&usual, &[3, 6, 1], 0.0), 2);
        assert_eq!(most_tries(&usual, &[3, 6, 1], 1.0), 1, "somebody else's");
        // Users overlapped in health, and hardly one was alone.
        assert_eq!(most_tries(&usual[1..], &[3, 6, 1], 0.0), 1);
        assert_eq!(most_tries(&[], &[3], 0.0), 1);
    }

    #[test]
    fn a_mean_that_is_a_little_above_a_whole_number_is_no_further_try() {
        assert_eq!([1.11, 1.9, 2.0, 2.04, 3.1].map(more_than), [2, 2, 2, 2, 3]);
        assert_eq!([2.3, 3.4].map(more_than), [3, 4]);
    }

    #[test]
    fn one_try_behind_an_open_breaker_is_no_proof_of_one() {
        let found = at_least(1, Reading::count(300, 400));
        let State::Inconclusive { params, settle, .. } = &found.state else { panic!("{}", found.text) };
        assert_eq!((params["least"].text.as_str(), params["turned-away"].value), (">= 1", Some(300.0)));
        assert_eq!(settle, SETTLE);
        assert!(matches!(at_least(2, Reading::count(300, 400)).state, State::Present { .. }));
    }
}
