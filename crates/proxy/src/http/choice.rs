//! Which requests a fault is for: exact under any concurrency, and the same for one seed and one order of arrivals.
//!
//! The lock is held for a few counts only. Requests that do not match never come here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use hyper::http::request::Parts;
use murphy_core::{Dice, Seed};

use super::effect::{Cycle, RequestKey, Selection};

/// Values that are counted apart; requests with further ones share a count, so that memory stays bounded.
const KEYS_KEPT: usize = 100_000;

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    matched: u64,
    chosen: u64,
}

/// The counts of one fault. They outlive its edits.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    counts: Mutex<HashMap<String, Count>>,
}

impl Choices {
    /// Counts a request that matches. If it is chosen, the dice of what is done to it.
    pub(crate) fn choose(&self, selection: &Selection, key: &str, seed: Seed) -> Option<Dice> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if counts.len() >= KEYS_KEPT && !counts.contains_key(key) { "" } else { key };
        if !counts.contains_key(key) {
            counts.insert(key.to_owned(), Count::default());
        }
        let count = counts.get_mut(key)?;
        let ordinal = count.matched;
        count.matched += 1;
        let after = ordinal.checked_sub(selection.after)?;
        let in_turn = match selection.cycle {
            None => true,
            Some(Cycle::Every(nth)) => (after + 1).is_multiple_of(nth.get()),
            Some(Cycle::Spell { fail, pass }) => after % fail.get().saturating_add(pass.get()) < fail.get(),
        };
        if !in_turn || selection.first.is_some_and(|first| count.chosen >= first) {
            return None;
        }
        let mut dice = Dice::new(seed.derive("request", ordinal).derive(key, 0));
        if !dice.chance(selection.chance) {
            return None;
        }
        count.chosen += 1;
        Some(dice)
    }
}

/// What a request is counted under; empty without a key.
pub(crate) fn key_of(key: Option<&RequestKey>, request: &Parts, source: IpAddr) -> String {
    match key {
        None => String::new(),
        Some(RequestKey::Header(name)) => request
            .headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
        Some(RequestKey::Query(name)) => {
            parameter(request.uri.query().unwrap_or_default(), name).unwrap_or_default().to_owned()
        }
        Some(RequestKey::Path) => request.uri.path().to_owned(),
        Some(RequestKey::Source) => source.to_string(),
    }
}

/// The first value of a parameter, as it stands in the query: nothing is decoded.
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find_map(|(known, value)| (known == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::Chance;
    use std::num::NonZeroU64;

    fn chosen(selection: &Selection, requests: usize, seed: u64) -> Vec<usize> {
        let choices = Choices::default();
        (0..requests).filter(|_| choices.choose(selection, "", Seed(seed)).is_some()).collect()
    }

    fn number(n: u64) -> NonZeroU64 {
        NonZeroU64::new(n).unwrap()
    }

    #[test]
    fn counts_choose_exactly_the_requests_that_they_name() {
        let all = Selection::default();
        assert_eq!(chosen(&Selection { first: Some(3), ..all.clone() }, 9, 1), [0, 1, 2]);
        assert_eq!(chosen(&Selection { after: 7, ..all.clone() }, 9, 1), [7, 8]);
        let every = Some(Cycle::Every(number(3)));
        assert_eq!(chosen(&Selection { cycle: every, ..all.clone() }, 9, 1), [2, 5, 8]);
        let spell = Some(Cycle::Spell { fail: number(2), pass: number(3) });
        assert_eq!(chosen(&Selection { cycle: spell, ..all.clone() }, 9, 1), [0, 1, 5, 6]);
        let both = Selection { after: 1, cycle: every, first: Some(2), ..all };
        assert_eq!(chosen(&both, 20, 1), [3, 6]);
    }

    #[test]
    fn a_fifth_of_ten_thousand_is_a_fifth_and_the_same_for_one_seed() {
        let fifth = Selection { chance: Chance::from_fraction(0.2).unwrap(), ..Selection::default() };
        let once = chosen(&fifth, 10_000, 7);
        // Five standard deviations of a binomial of 10 000 at 0.2 are 200.
        assert!((1_800..=2_200).contains(&once.len()), "{}", once.len());
        assert_eq!(once, chosen(&fifth, 10_000, 7));
        assert_ne!(once, chosen(&fifth, 10_000, 8));
    }

    #[test]
    fn each_key_is_counted_by_itself() {
        let choices = Choices::default();
        let first = Selection { first: Some(1), ..Selection::default() };
        let ask = |key| choices.choose(&first, key, Seed(1)).is_some();
        assert_eq!([ask("a"), ask("a"), ask("b"), ask("a"), ask("b")], [true, false, true, false, false]);
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        assert_eq!(parameter("user=7&order=9", "order"), Some("9"));
        assert_eq!(parameter("user=7&flag", "flag"), Some(""));
        assert_eq!(parameter("user=7", "use"), None);
    }
}
