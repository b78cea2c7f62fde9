//! How often does the caller try one call? (verdicts 2.2) Where calls say by an idempotency key or a trace which one they are,
//! they are counted by that. Else a journal does not tell whose call is whose, and calls are counted for user requests that were
//! alone in the system; where users overlap, a request cannot have tried more often than calls fit one after another into its
//! life, and that bound is said to be one.

use super::amplification::Further;
use super::{Found, amplification, params};
use crate::edge::{Call, EdgeView};
use crate::judgement::{Reading, State};
use crate::marked;
use crate::phase::RunView;
use crate::solo::{APART, Life, Solo, alone, met_by_others, usual_calls};
use crate::stats::quantile;
use crate::words;

/// User requests that were alone, or calls that say which one they are, to say that tries are bounded: 30 of 30 leave at most 10 %
/// that try more.
const FEWEST: usize = 30;
/// Failed calls below which there was little to try again.
const FEWEST_FAILED: usize = 5;
/// With fewer calls than this share of what is usual, some requests make none.
const KEPT: f64 = 0.8;
/// Calls looked at for the bound; beyond it a stride of the requests is looked at.
const MOST_WORK: usize = 4_000_000;

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
        State::Inconclusive { params, .. } => !params.contains_key("most"),
    }
}

/// What calls on an edge on which enough of them failed tell.
fn told(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if let Some(tries) = marked::tries(run, edge)
        && is_borne_out(run, edge, &tries)
    {
        return sequences(&tries, 1, Whose::Marked, 0.0);
    }
    let lives = run.lives();
    let each = usual_calls(lives, edge, run).max(1);
    let hit: Vec<Solo<'_>> =
        alone(lives, edge, &edge.hurt).into_iter().filter(|solo| !solo.calls.is_empty()).collect();
    if hit.len() < FEWEST {
        return bounded(run, edge, lives, each);
    }
    let others = met_by_others(run, edge, &hit);
    if let Some(found) = unended(&hit, each, others) {
        return found;
    }
    let calls: Vec<Vec<&Call>> = hit.iter().map(|solo| solo.calls.iter().collect()).collect();
    sequences(&calls, each, Whose::Alone, others)
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
    let Some(least) = amplification::ratio(run, edge).and_then(|ratio| ratio.low) else { return false };
    let made: usize = tries.iter().map(Vec::len).sum();
    tries.len() >= FEWEST && least <= 1.1 * made as f64 / tries.len() as f64
}

/// What the calls of each of these tell, of which there are `each` in health, and of which so many may have met somebody else's.
fn sequences(hit: &[Vec<&Call>], each: u64, whose: Whose, others: f64) -> Found {
    // A second call that is made while the first is still open is a hedge: it does not wait for a failure.
    let several: Vec<&Vec<&Call>> = hit.iter().filter(|calls| calls.len() as u64 > each).collect();
    let hedged = several.iter().filter(|calls| calls[1].began < calls[0].ended).count();
    if each == 1 && several.len() >= FEWEST_FAILED && hedged * 10 >= several.len() * 8 {
        let n = hit.len() as u64;
        let found = params([("hedged", Reading::share(hedged as u64, n, None))]);
        let text = format!(
            "no retry: a second call is sent while the first is open (hedged), in {hedged} of {n} requests"
        );
        return Found::absent(found, text);
    }
    let tries: Vec<u64> = hit.iter().map(|calls| (calls.len() as u64).div_ceil(each)).collect();
    counted(&tries, whose, others)
}

fn median(values: &[u64]) -> u64 {
    let values: Vec<(u64, bool)> = values.iter().map(|value| (*value, false)).collect();
    quantile(&values, 0.5).map_or(0, |median| median.value as u64)
}

fn counted(tries: &[u64], whose: Whose, others: f64) -> Found {
    let median = median(tries);
    let n = tries.len() as u64;
    let same = tries.iter().filter(|count| **count == median).count();
    let retried = tries.iter().filter(|count| **count > 1).count() as u64;
    if may_be_others(tries, tries.len(), others) {
        return Found::undecided(
            params([("retried", Reading::share(retried, n, None))]),
            format!(
                "more than one call in {retried} of {n} {}, but calls that no request asked for come as often, as a poller's",
                whose.name()
            ),
            "an edge that nobody else calls",
        );
    }
    // Nobody is said to try more often than most do for what somebody else may have called.
    let most = if further(tries, median) as f64 <= others {
        median
    } else {
        tries.iter().copied().max().unwrap_or(0)
    };
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

/// The most calls that fit one after another into one request's life. The mean tells whether there are retries at all.
fn bounded(run: &RunView<'_>, edge: &EdgeView, lives: &[Life], each: u64) -> Found {
    let settle = "a load so slow that users do not overlap";
    let Some((most, n)) = longest_chain(edge, lives) else {
        return Found::inconclusive("no request lived while a call was made", settle);
    };
    let most = most.div_ceil(each);
    let ratio = amplification::ratio(run, edge);
    let mean = ratio.as_ref().and_then(|ratio| ratio.value).unwrap_or(0.0);
    let interval = ratio.as_ref().and_then(|ratio| Some((ratio.low?, ratio.high?)));
    let further = interval.map_or(Further::Untold, |(low, high)| Further::told_by(low, high));
    // A call that a cache spared in health is no try.
    let is_spared = further == Further::Made && amplification::spared(run, edge).is_some();
    let further = if is_spared { Further::Untold } else { further };
    let retries = further == Further::Made;
    let at_most = Reading::count(most, n).says(format!("<= {most}"));
    let mut found = params([("most", at_most), ("bound", Reading::count(most, n))]);
    if most == 1 {
        found.insert("attempts".to_owned(), Reading::count(1, n).says("1"));
        return Found::absent(
            found,
            format!("no retry: in none of {n} requests do two calls follow one another"),
        );
    }
    if retries && mean.round() as u64 == most {
        let text = format!("{most} (mean {})", words::ratio(mean));
        found.insert("attempts".to_owned(), Reading::count(most, n).says(text));
        let text =
            format!("{most} attempts for one call: {} calls a request, and no more fit", words::ratio(mean));
        return Found::present(found, text);
    }
    if further == Further::Made
        && let Some(whole) = whole_policy(edge, ratio.as_ref(), each)
    {
        let text = format!("{whole} (mean {})", words::ratio(mean));
        let count = Reading::count(whole, n);
        let found = params([("attempts", count.clone().says(text)), ("most", count)]);
        let text = format!(
            "{whole} attempts for one call: every call failed, and there are {} a request",
            words::ratio(mean)
        );
        return Found::present(found, text);
    }
    if retries && most as f64 > mean * 3.0 {
        return Found::inconclusive(
            format!(
                "users overlap: {} calls a request in the mean, but up to {most} may belong to one",
                words::ratio(mean)
            ),
            settle,
        );
    }
    // Behind an open breaker most requests make none, and those that do may well try again: there are not more calls for that.
    if further == Further::None && interval.is_some_and(|(_, high)| high < KEPT) {
        let why = format!(
            "at most {most} attempts; so few requests call that the number of calls does not tell retries from none"
        );
        let settle = format!("{FEWEST} that do while they are alone: a longer fault");
        return Found::undecided(found, why, settle);
    }
    let text = format!("at most {most} attempts: no more calls follow one another in any of {n} requests");
    match further {
        Further::Made => Found::present(found, text),
        Further::None => Found::absent(found, text),
        Further::Untold => Found::undecided(
            found,
            format!("{text}, and the number of calls does not tell retries from none"),
            settle,
        ),
    }
}

/// If every call failed, every request ran its whole policy, and a mean that is a whole number is that policy. (A mixture
/// around it would have the same mean; callers that are configured once do not mix.)
fn whole_policy(edge: &EdgeView, ratio: Option<&Reading>, each: u64) -> Option<u64> {
    let (value, low, high) = ratio.and_then(|ratio| Some((ratio.value?, ratio.low?, ratio.high?)))?;
    let all_failed = edge.within(&edge.hurt).all(|call| call.touched && !edge.is_good(call));
    let whole = value.round();
    let sure = (value - whole).abs() <= 0.15 && high - low <= 0.5;
    (all_failed && each == 1 && whole >= 2.0 && sure).then_some(whole as u64)
}

/// The longest run of calls, each begun after the one before had failed, within one life; and how many lives were looked at.
fn longest_chain(edge: &EdgeView, lives: &[Life]) -> Option<(u64, u64)> {
    let calls = |life: &Life| -> &[Call] {
        let from = edge.calls.partition_point(|call| call.began < life.from);
        let to = edge.calls.partition_point(|call| call.began <= life.to);
        &edge.calls[from..to.max(from)]
    };
    // A life that reaches beyond the fault meets calls that were cut short or healed.
    let whole =
        |life: &&Life| edge.hurt.holds(life.from) && edge.hurt.holds(life.to) && !calls(life).is_empty();
    let hurt: Vec<&Life> = lives.iter().filter(whole).collect();
    let work: usize = hurt.iter().map(|life| calls(life).len()).sum();
    let stride = (work / MOST_WORK).max(1);
    let chains = hurt.iter().step_by(stride).map(|life| chain(edge, calls(life), life));
    let (most, n) = chains.fold((0, 0), |(most, n), chain| (most.max(chain), n + 1));
    (n > 0 && most > 0).then_some((most, n))
}

fn chain(edge: &EdgeView, calls: &[Call], life: &Life) -> u64 {
    // The user is answered after the last call, unless the user has gone.
    let until = if life.cut { u64::MAX } else { life.to + APART };
    let mut by_end: Vec<&Call> = calls.iter().filter(|call| call.touched).collect();
    by_end.sort_unstable_by_key(|call| call.ended);
    let (mut length, mut free) = (0, 0);
    for call in by_end {
        if call.began < free || call.ended > until {
            continue;
        }
        length += 1;
        // Nothing is tried again after a success.
        if edge.is_good(call) {
            break;
        }
        free = call.ended;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Harm;
    use crate::phase::Windows;
    use murphy_core::{EdgeName, ExchangeEnd};

    #[test]
    fn a_few_who_are_tried_for_often_are_not_hidden_behind_somebody_elses_calls() {
        let tries: Vec<u64> = [vec![2; 940], vec![5; 60]].concat();
        // As many as 71 of these calls may be somebody else's; the 60 made 180 beyond the usual.
        let found = counted(&tries, Whose::Alone, 71.0);
        let State::Present { params } = &found.state else { panic!("{}", found.text) };
        assert_eq!((params["attempts"].value, params["most"].value), (Some(2.0), Some(5.0)));
        let few: Vec<u64> = [vec![2; 940], vec![3; 60]].concat();
        let State::Present { params } = &counted(&few, Whose::Alone, 71.0).state else {
            panic!("they are tries")
        };
        assert_eq!(params["most"].value, Some(2.0));
    }

    fn edge(calls: &[(u64, u64)]) -> EdgeView {
        let call = |&(began, ended): &(u64, u64)| Call {
            began,
            answered: None,
            ended,
            end: ExchangeEnd::GivenUp,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        };
        EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: calls.iter().map(call).collect(),
            conns: Vec::new(),
            harm: Harm::Slow,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![crate::phase::Window { from: 0, to: 10_000_000 }]),
        }
    }

    #[test]
    fn overlapping_calls_of_other_users_do_not_lengthen_a_chain() {
        let ms = |ms: u64| ms * 1_000;
        let edge = edge(
            &[(10, 510), (60, 560), (110, 610), (800, 1_300), (1_350, 1_850)].map(|(a, b)| (ms(a), ms(b))),
        );
        let life = |from, to, cut| [Life { from: ms(from), to: ms(to), cut, load: 0 }];
        assert_eq!(longest_chain(&edge, &life(0, 1_400, false)), Some((2, 1)));
        assert_eq!(longest_chain(&edge, &life(0, 1_400, true)), Some((3, 1)));
        assert_eq!(longest_chain(&edge, &life(0, 700, false)), Some((1, 1)));
        assert_eq!(longest_chain(&edge, &life(2_000, 3_000, false)), None);
    }
}
