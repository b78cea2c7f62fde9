//! How often does the caller try one call? (verdicts 2.2) Where calls say by an idempotency key or a trace which one they are,
//! they are counted by that. Else a journal does not tell whose call is whose, and calls are counted for user requests that were
//! alone in the system; where users overlap, a request cannot have tried more often than calls fit one after another into its
//! life, and that bound is said to be one. Where the caller turns its own calls away, the number that was seen is the fewest.

mod bound;
mod cut_short;

use cut_short::Shut;

pub(crate) use cut_short::SETTLE as CUT_SHORT;

use super::{Found, amplification, params};
use crate::edge::{Call, EdgeView};
use crate::judgement::{Reading, State};
use crate::marked;
use crate::phase::RunView;
use crate::solo::{Solo, alone, made_by_others, met_by_others, usual_calls};
use crate::stats::quantile;
use crate::words;

/// User requests that were alone, or calls that say which one they are, to say that tries are bounded: 30 of 30 leave at most 10 %
/// that try more.
const FEWEST: usize = 30;
/// Failed calls below which there was little to try again.
const FEWEST_FAILED: usize = 5;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if edge.hurt.is_empty() {
        return Found::not_applicable("no fault sits on this edge");
    }
    if edge.blind {
        return Found::inconclusive(
            "refused connections leave no trace at the proxy, so tries cannot be counted",
            "use `reset` or `hang` instead of `refuse`",
        );
    }
    let failing = edge.within(&edge.hurt).filter(|call| call.touched && !edge.is_good(call)).count();
    if failing < FEWEST_FAILED {
        return Found::not_applicable(
            "fewer than 5 calls failed or were given up: there was little to try again",
        );
    }
    let found = told(run, edge);
    if had_to_try_again(edge) || tells_of_tries(&found.state) { found } else { nothing_to_try_again() }
}

/// True if so many calls failed in a way that every caller must take for a failure.
pub(super) fn had_to_try_again(edge: &EdgeView) -> bool {
    edge.within(&edge.hurt).filter(|call| call.touched && edge.is_failing(call)).count() >= FEWEST_FAILED
}

/// What is said where no try was seen, and none was due: a caller that rightly takes a 404 for an answer may well try a 503 again.
pub(super) fn nothing_to_try_again() -> Found {
    Found::not_applicable("what was answered in the callee's stead is nothing that a caller must try again")
}

/// True if calls were seen to be tried again, or nothing at all was; false if they were not, or only how often at most.
fn tells_of_tries(state: &State) -> bool {
    match state {
        State::Present { .. } | State::NotApplicable { .. } => true,
        State::Absent { .. } => false,
        State::Inconclusive { params, .. } => {
            !params.contains_key("most") && params.get("least").is_none_or(|least| least.value > Some(1.0))
        }
    }
}

/// What calls on an edge on which enough of them failed tell.
fn told(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let shut = Shut::of(run, edge);
    let marked = marked::tries(run, edge).unwrap_or_default();
    if is_borne_out(run, edge, &marked) {
        let went_on = shut.spared(&marked);
        let seen = |calls| Seen { calls, each: 1, whose: Whose::Marked, others: 0.0, strangers: 0.0 };
        return held_against(run, edge, &shut, &seen(marked), &seen(went_on));
    }
    let lives = run.lives();
    let each = usual_calls(lives, edge, run).max(1);
    let hit: Vec<Solo<'_>> =
        alone(lives, edge, &edge.hurt).into_iter().filter(|solo| !solo.calls.is_empty()).collect();
    if hit.len() < FEWEST {
        return bound::bounded(run, edge, each, &shut)
            .unwrap_or_else(|| cut_short::fewest(run, edge, &hit, &marked, &shut));
    }
    if let Some(found) = unended(&hit, each, met_by_others(run, edge, &hit)) {
        return found;
    }
    let went_on: Vec<Solo<'_>> =
        hit.iter().filter(|solo| !shut.meets(solo.life.from, solo.life.to)).copied().collect();
    let (all, went_on) = (Seen::alone(run, edge, &hit, each), Seen::alone(run, edge, &went_on, each));
    held_against(run, edge, &shut, &all, &went_on)
}

/// The calls that were made for each of these.
struct Seen<'a> {
    calls: Vec<Vec<&'a Call>>,
    /// Calls of each in health.
    each: u64,
    whose: Whose,
    /// So many of them may have met somebody else's.
    others: f64,
    /// So many of somebody else's there are in all.
    strangers: f64,
}

impl<'a> Seen<'a> {
    fn alone(run: &RunView<'_>, edge: &EdgeView, hit: &[Solo<'a>], each: u64) -> Seen<'a> {
        let calls = hit.iter().map(|solo| solo.calls.iter().collect()).collect();
        let others = met_by_others(run, edge, hit);
        Seen { calls, each, whose: Whose::Alone, others, strangers: made_by_others(run, edge) }
    }

    fn tries(&self) -> Vec<u64> {
        self.calls.iter().map(|calls| (calls.len() as u64).div_ceil(self.each)).collect()
    }
}

/// Only those whose tries went on tell how often one is tried; of all others it is known how often they were.
fn held_against(
    run: &RunView<'_>,
    edge: &EdgeView,
    shut: &Shut,
    all: &Seen<'_>,
    went_on: &Seen<'_>,
) -> Found {
    if shut.is_empty() {
        return sequences(all);
    }
    if let Some(found) = hedged(all) {
        return found;
    }
    let turned_away = shut.turned_away(run, edge);
    if cut_short::tells(edge, went_on) {
        return cut_short::noted(sequences(went_on), turned_away);
    }
    let tries = all.tries();
    let least = if may_be_others(&tries, tries.len(), all.others) { 1 } else { most_of(&tries, all.others) };
    cut_short::at_least(least, turned_away)
}

/// Of users who leave while they are tried for, more than one in ten: it is known how often they were, and not how often they would
/// have been. What is left of earlier ones only adds to the calls, so that the fewest are told.
fn unended(hit: &[Solo<'_>], each: u64, others: f64) -> Option<Found> {
    let n = hit.len() as u64;
    let tries = hit.iter().filter(|solo| solo.life.cut).map(|solo| (solo.calls.len() as u64).div_ceil(each));
    let left: Vec<u64> = tries.filter(|tries| *tries > 1).collect();
    let fewest = left.iter().copied().min()?;
    if left.len() as u64 * 10 <= n || may_be_others(&left, hit.len(), others) {
        return None;
    }
    // Those who stayed, while nobody had left before whose tries could be among theirs, were tried for so often as well.
    let stayed: Vec<u64> = hit
        .iter()
        .take_while(|solo| !solo.life.cut)
        .map(|solo| (solo.calls.len() as u64).div_ceil(each))
        .collect();
    let seen = if further(&stayed, 1) as f64 > others { stayed.iter().copied().max() } else { None };
    let least = fewest.max(seen.unwrap_or(0));
    let count = left.len() as u64;
    let found = params([
        ("least", Reading::count(least, count).says(format!(">= {least}"))),
        ("retried", Reading::share(count, n, None)),
    ]);
    let mut text = format!(
        "tries until its user leaves: {fewest} attempts or more, and no last one, in {count} of {n} {}",
        Whose::Alone.name()
    );
    if least > fewest {
        text += &format!(", and {least} where users stayed");
    }
    Some(Found::present(found, text))
}

/// Calls beyond so many in each of these sequences, together.
fn further(tries: &[u64], beyond: u64) -> u64 {
    tries.iter().map(|tries| tries.saturating_sub(beyond)).sum()
}

/// True if somebody else's calls may have been taken for second tries in these sequences of so many: they are as many, or meet so
/// many that none is left to compare with.
fn may_be_others(tries: &[u64], all: usize, others: f64) -> bool {
    let further = further(tries, 1);
    further > 0 && (further as f64 <= others || others * 2.0 >= all as f64)
}

/// What tells that calls belong to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The request was alone in the system.
    Alone,
    /// They say so.
    Marked,
}

impl Whose {
    fn name(self) -> &'static str {
        match self {
            Whose::Alone => "requests that were alone",
            Whose::Marked => "failing calls that say which one they are",
        }
    }
}

/// True if there are enough of them, and no more calls for each request than they tell: a caller that draws a new key or begins a
/// new trace for each try looks as if it tried once.
fn is_borne_out(run: &RunView<'_>, edge: &EdgeView, tries: &[Vec<&Call>]) -> bool {
    if tries.len() < FEWEST {
        return false;
    }
    let Some(least) = amplification::ratio(run, edge).and_then(|ratio| ratio.low) else { return false };
    let made: usize = tries.iter().map(Vec::len).sum();
    least <= 1.1 * made as f64 / tries.len() as f64
}

/// A second call that is made while the first is still open is a hedge: it does not wait for a failure.
fn hedged(seen: &Seen<'_>) -> Option<Found> {
    let several: Vec<&Vec<&Call>> =
        seen.calls.iter().filter(|calls| calls.len() as u64 > seen.each).collect();
    let hedged = several.iter().filter(|calls| calls[1].began < calls[0].ended).count();
    if seen.each > 1 || several.len() < FEWEST_FAILED || hedged * 10 < several.len() * 8 {
        return None;
    }
    let n = seen.calls.len() as u64;
    let found = params([("hedged", Reading::share(hedged as u64, n, None))]);
    let text = format!(
        "no retry: a second call is sent while the first is open (hedged), in {hedged} of {n} requests"
    );
    Some(Found::absent(found, text))
}

/// What the calls of each of these tell.
fn sequences(seen: &Seen<'_>) -> Found {
    hedged(seen).unwrap_or_else(|| counted(&seen.tries(), seen.whose, seen.others, seen.strangers))
}

/// The most tries in one of these. Nobody is said to try more often than most do for what somebody else may have called.
fn most_of(tries: &[u64], others: f64) -> u64 {
    let median = median(tries);
    if further(tries, median) as f64 <= others { median } else { tries.iter().copied().max().unwrap_or(0) }
}

fn median(values: &[u64]) -> u64 {
    let values: Vec<(u64, bool)> = values.iter().map(|value| (*value, false)).collect();
    quantile(&values, 0.5).map_or(0, |median| median.value as u64)
}

fn counted(tries: &[u64], whose: Whose, others: f64, strangers: f64) -> Found {
    let median = median(tries);
    let n = tries.len() as u64;
    let same = tries.iter().filter(|count| **count == median).count();
    let retried = tries.iter().filter(|count| **count > 1).count() as u64;
    if may_be_others(tries, tries.len(), others) || retried > 0 && further(tries, 1) as f64 <= strangers {
        return Found::undecided(
            params([("retried", Reading::share(retried, n, None))]),
            format!(
                "more than one call in {retried} of {n} {}, but calls that no request asked for come as often, as a poller's",
                whose.name()
            ),
            "an edge that nobody else calls",
        );
    }
    let most = most_of(tries, others);
    let params = params([
        ("attempts", Reading::count(median, n).says(format!("{median} ({same} of {n})"))),
        ("most", Reading::count(most, n)),
        ("retried", Reading::share(retried, n, None)),
    ]);
    let text = match retried {
        0 => format!("no retry in {n} {}", whose.name()),
        _ => format!(
            "{} for one call in {same} of {n} {}, {most} at most",
            words::plural(median, "attempt"),
            whose.name()
        ),
    };
    if retried > 0 { Found::present(params, text) } else { Found::absent(params, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_who_are_tried_for_often_are_not_hidden_behind_somebody_elses_calls() {
        let tries: Vec<u64> = [vec![2; 940], vec![5; 60]].concat();
        // As many as 71 of these calls may be somebody else's; the 60 made 180 beyond the usual.
        let found = counted(&tries, Whose::Alone, 71.0, 71.0);
        let State::Present { params } = &found.state else { panic!("{}", found.text) };
        assert_eq!((params["attempts"].value, params["most"].value), (Some(2.0), Some(5.0)));
        let few: Vec<u64> = [vec![2; 940], vec![3; 60]].concat();
        let State::Present { params } = &counted(&few, Whose::Alone, 71.0, 71.0).state else {
            panic!("they are tries")
        };
        assert_eq!(params["most"].value, Some(2.0));
    }

    #[test]
    fn calls_that_somebody_else_makes_in_the_beat_of_the_requests_are_no_tries() {
        // Chance would have put 5 of them beside a request; in one beat with the requests 6 came, of 14 that there are in all.
        let tries: Vec<u64> = [vec![1; 39], vec![2; 6]].concat();
        let state = counted(&tries, Whose::Alone, 5.0, 14.0).state;
        assert!(matches!(state, State::Inconclusive { .. }), "{state:?}");
        let state = counted(&tries, Whose::Alone, 5.0, 5.5).state;
        assert!(matches!(state, State::Present { .. }), "{state:?}");
    }
}
