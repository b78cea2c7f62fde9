//! How often a request can have been tried for at most, where users overlap: no more often than calls fit one after another into its
//! life. Never tells whose call is whose.

use super::super::amplification::{self, Further};
use super::super::{Found, params};
use super::FEWEST;
use super::cut_short::{Shut, noted};
use crate::edge::{Call, EdgeView};
use crate::judgement::Reading;
use crate::phase::RunView;
use crate::solo::{APART, Life};
use crate::words;

/// With fewer calls than this share of what is usual, some requests make none.
const KEPT: f64 = 0.8;
/// Calls looked at for the bound; beyond it a stride of the requests is looked at.
const MOST_WORK: usize = 4_000_000;

/// The most calls that fit one after another into one request's life. The mean tells whether there are retries at all.
/// `None` where the caller turned calls away, and too few requests went on that tell a bound.
pub(super) fn bounded(run: &RunView<'_>, edge: &EdgeView, each: u64, shut: &Shut) -> Option<Found> {
    let longest = longest_chain(edge, run.lives(), shut);
    if shut.is_empty() {
        return Some(told_by(run, edge, each, longest, WholePolicy::MayBeSeen));
    }
    longest.filter(|(_, n)| *n >= FEWEST as u64)?;
    let found = told_by(run, edge, each, longest, WholePolicy::CutShort);
    Some(noted(found, shut.turned_away(run, edge)))
}

/// Whether a mean over all requests can be what one of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WholePolicy {
    MayBeSeen,
    /// Some were turned away.
    CutShort,
}

fn told_by(
    run: &RunView<'_>,
    edge: &EdgeView,
    each: u64,
    longest: Option<(u64, u64)>,
    policy: WholePolicy,
) -> Found {
    let settle = "a load so slow that users do not overlap";
    let Some((most, n)) = longest else {
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
        && policy == WholePolicy::MayBeSeen
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
/// Those whom the caller turned away are left out.
fn longest_chain(edge: &EdgeView, lives: &[Life], shut: &Shut) -> Option<(u64, u64)> {
    let calls = |life: &Life| -> &[Call] {
        let from = edge.calls.partition_point(|call| call.began < life.from);
        let to = edge.calls.partition_point(|call| call.began <= life.to);
        &edge.calls[from..to.max(from)]
    };
    // A life that reaches beyond the fault meets calls that were cut short or healed.
    let whole = |life: &&Life| {
        let in_fault = edge.hurt.holds(life.from) && edge.hurt.holds(life.to);
        in_fault && !shut.meets(life.from, life.to) && !calls(life).is_empty()
    };
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
        assert_eq!(longest_chain(&edge, &life(0, 1_400, false), &Shut::default()), Some((2, 1)));
        assert_eq!(longest_chain(&edge, &life(0, 1_400, true), &Shut::default()), Some((3, 1)));
        assert_eq!(longest_chain(&edge, &life(0, 700, false), &Shut::default()), Some((1, 1)));
        assert_eq!(longest_chain(&edge, &life(2_000, 3_000, false), &Shut::default()), None);
    }
}
