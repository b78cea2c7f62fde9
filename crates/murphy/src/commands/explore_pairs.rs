//! Which two faults an exploration tries at once, which pairs it leaves out by which rule, and which come first. Pure: what is known of
//! the runs so far goes in, pairs come out. It must never leave a pair out without a rule and what that takes for granted.

use std::collections::BTreeMap;

use murphy_core::{EdgeName, LoadName, Verdict};
use murphy_report::Pruning;
use murphy_scenario::{Plan, Single};
use murphy_verdict::Traffic;

use super::explore_alone::Alone;
use super::explore_seen::Callers;
use super::explore_why;

/// Two faults of a list of those that were tried alone, by their places: the first stands before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The place of one.
    pub one: usize,
    /// The place of the other.
    pub other: usize,
}

impl Pair {
    fn of(one: usize, other: usize) -> Pair {
        Pair { one: one.min(other), other: one.max(other) }
    }
}

/// A pair that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub pair: Pair,
    /// By which rule.
    pub rule: Pruning,
    /// The pair whose run answers for it, if one does.
    pub as_in: Option<Pair>,
}

/// A fault all of whose pairs are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPartner {
    /// Its place.
    pub place: usize,
    /// By which rule.
    pub rule: Pruning,
    /// Why, with what is taken for granted.
    pub why: String,
}

/// All pairs of a list of faults that were tried alone.
#[derive(Debug, Default)]
pub struct Pairs {
    /// What is to be tried, in this order.
    pub tries: Vec<Pair>,
    /// What is not.
    pub skipped: Vec<Skipped>,
    /// The faults that take no part at all: their pairs are among the skipped.
    pub no_partners: Vec<NoPartner>,
}

/// How many pairs of these are on two edges.
pub fn count(singles: &[Single]) -> usize {
    let others = |(place, one): (usize, &Single)| {
        singles[place + 1..].iter().filter(|other| other.edge != one.edge).count()
    };
    singles.iter().enumerate().map(others).sum()
}

/// Lays out all pairs on two edges. `control` is the traffic with nothing broken.
pub fn pairs(alone: &[Alone], control: &Traffic, plan: &Plan) -> Pairs {
    let stands_for: Vec<Option<usize>> = (0..alone.len()).map(|place| stand_in(alone, place)).collect();
    let mut pairs = Pairs { no_partners: no_partners(alone, &stands_for), ..Pairs::default() };
    for one in 0..alone.len() {
        for other in one + 1..alone.len() {
            if alone[one].single.edge == alone[other].single.edge {
                continue;
            }
            let pair = Pair { one, other };
            let (rule, as_in) = match (stands_for[one], stands_for[other]) {
                (None, _) | (_, None) => (Pruning::Dominance, None),
                (Some(first), Some(second)) if (first, second) != (one, other) => {
                    (Pruning::Equivalence, Some(Pair::of(first, second)))
                }
                _ if is_disjoint(&alone[one], &alone[other], control, plan) => (Pruning::Disjoint, None),
                _ => {
                    let mut tried = pairs.tries.iter().copied();
                    let stands = tried.find(|tried| is_alike(alone, *tried, pair, plan));
                    if stands.is_none() {
                        pairs.tries.push(pair);
                        continue;
                    }
                    (Pruning::Symmetry, stands)
                }
            };
            pairs.skipped.push(Skipped { pair, rule, as_in });
        }
    }
    answer_by_what_is_tried(&mut pairs.skipped);
    // Stable: the others stay in their order, the most telling kinds first.
    pairs.tries.sort_by_key(|pair| !is_way_out(&alone[pair.one], &alone[pair.other]));
    pairs
}

/// Where what stands for a pair is left out itself for another on other instances, it is that one whose run answers.
fn answer_by_what_is_tried(skipped: &mut [Skipped]) {
    let symmetric = skipped.iter().filter(|one| one.rule == Pruning::Symmetry);
    let tried: BTreeMap<Pair, Pair> = symmetric.filter_map(|one| Some((one.pair, one.as_in?))).collect();
    for one in skipped {
        if let Some(stands) = one.as_in.and_then(|pair| tried.get(&pair)) {
            one.as_in = Some(*stands);
        }
    }
}

/// The first fault on the same edge under which users fared alike and callers turned to the same edges, be it this one itself; `None` for
/// one that is not graceful alone.
fn stand_in(alone: &[Alone], place: usize) -> Option<usize> {
    let this = &alone[place];
    (this.verdict == Verdict::Graceful)
        .then(|| alone.iter().position(|one| one.stands_for(this)).unwrap_or(place))
}

fn no_partners(alone: &[Alone], stands_for: &[Option<usize>]) -> Vec<NoPartner> {
    let why = |(place, stands): (usize, &Option<usize>)| match stands {
        None => {
            let why = explore_why::dominated(alone[place].verdict).to_owned();
            Some(NoPartner { place, rule: Pruning::Dominance, why })
        }
        Some(first) if *first == place => None,
        Some(first) => {
            let same = alone[*first].single.text();
            let why = format!("users fared as under {same}; taken for granted: in pairs too");
            Some(NoPartner { place, rule: Pruning::Equivalence, why })
        }
    };
    stands_for.iter().enumerate().filter_map(why).collect()
}

/// Whether two edges have different callers, both known, and each load is known to leave one of them alone.
fn is_disjoint(one: &Alone, other: &Alone, control: &Traffic, plan: &Plan) -> bool {
    let callers = Callers::of(control);
    let spared = |edge: &EdgeName, load: &LoadName| {
        control.edge(edge).is_some_and(|traffic| traffic.is_spared_by(load))
    };
    let (one, other) = (&one.single.edge, &other.single.edge);
    callers.differ(one, other)
        && plan.loads.iter().all(|load| spared(one, &load.name) || spared(other, &load.name))
}

/// True if two pairs differ only in which instances of a dependency are broken.
fn is_alike(alone: &[Alone], one: Pair, other: Pair, plan: &Plan) -> bool {
    let is_like = |first: usize, second: usize| first == second || alone[first].is_as(&alone[second], plan);
    (is_like(one.one, other.one) && is_like(one.other, other.other))
        || (is_like(one.one, other.other) && is_like(one.other, other.one))
}

/// True if users do without one of the two edges, and callers turn to the other one meanwhile: it may be how they do without.
fn is_way_out(one: &Alone, other: &Alone) -> bool {
    let turns = |soft: &Alone, to: &Alone| {
        soft.is_soft() && soft.traffic.edge(&to.single.edge).is_some_and(|edge| edge.turned_to)
    };
    turns(one, other) || turns(other, one)
}

#[cfg(test)]
pub(super) mod tests;
