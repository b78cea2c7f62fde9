//! How often one call is tried, where calls say which one they are.

use std::collections::{BTreeMap, VecDeque};

use murphy_core::{AttemptOf, HttpCall, Offset, Span};

use crate::patterns::Attempts;

/// The time in which a call is tried again, if it is.
const TRIED_AGAIN_WITHIN: Span = Span::from_secs(60);
/// Calls of which it is known that they are one, and that may still be tried again.
const KNOWN: usize = 256;
/// Of these, such that had to be tried again, to say how often they are.
const FEWEST_KNOWN: u64 = 5;

/// The tries of calls, in little room.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Calls that say which one they are, oldest first.
    known: VecDeque<Known>,
    /// Calls whose first try failed, by the tries that were made: of those that are known no more.
    tries: BTreeMap<u64, u64>,
    /// One was pushed out while it could still be tried again: what follows cannot be counted.
    crowded: bool,
}

/// One call whose first try failed, with its tries.
#[derive(Debug)]
struct Known {
    began: Offset,
    mark: AttemptOf,
    method: String,
    route: String,
    tries: u64,
}

impl Tries {
    /// Takes a request that may say which call it is a try of.
    pub(super) fn attempt(&mut self, call: &HttpCall) {
        let Some(mark) = &call.attempt_of else { return };
        let is_it = |known: &&mut Known| {
            known.mark == *mark && known.method == call.method && known.route == call.route
        };
        if let Some(known) = self.known.iter_mut().rev().find(is_it) {
            known.tries += 1;
            return;
        }
        // A call that went well at once has no further tries, and takes no room.
        if call.is_good() {
            return;
        }
        if self.known.len() == KNOWN
            && let Some(old) = self.known.pop_front()
        {
            self.crowded |= call.began.since(old.began) < TRIED_AGAIN_WITHIN;
            *self.tries.entry(old.tries).or_default() += 1;
        }
        let (method, route, began) = (call.method.clone(), call.route.clone(), call.began);
        self.known.push_back(Known { began, mark: mark.clone(), method, route, tries: 1 });
    }

    /// How often calls were tried, once enough are known.
    pub(super) fn counted(&self) -> Option<Attempts> {
        if self.crowded {
            return None;
        }
        let mut tries = self.tries.clone();
        for known in &self.known {
            *tries.entry(known.tries).or_default() += 1;
        }
        let calls = tries.values().sum::<u64>();
        let most = *tries.keys().next_back()?;
        let mut below = 0;
        let usual = tries.iter().find_map(|(tries, calls_of)| {
            below += calls_of;
            (below * 2 >= calls).then_some(*tries)
        })?;
        (calls >= FEWEST_KNOWN).then_some(Attempts::Counted { calls, usual, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Offset {
        Offset::ZERO + Span::from_micros(micros)
    }

    #[test]
    fn tries_that_carry_a_key_are_counted() {
        let call = |key: u64, good: bool, began: Offset| HttpCall {
            edge: murphy_core::EdgeName::new("calls").unwrap(),
            conn: murphy_core::ConnId(1),
            method: "POST".into(),
            route: "/orders".into(),
            began,
            answered: None,
            ended: Offset::ZERO,
            end: murphy_core::ExchangeEnd::Answered,
            by: None,
            status: Some(if good { 200 } else { 503 }),
            service_status: None,
            answerer: murphy_core::Answerer::Service,
            reached: true,
            faults: Vec::new(),
            touched: false,
            attempt_of: Some(AttemptOf::Key(key.to_string())),
        };
        let tried = |apart: u64| {
            let mut tries = Tries::default();
            for key in 0..1000 {
                let began = at(key * apart);
                tries.attempt(&call(key, key % 2 == 0, began));
                if key % 2 == 1 {
                    tries.attempt(&call(key, false, began));
                    tries.attempt(&call(key, true, began));
                }
            }
            assert!(tries.known.len() <= KNOWN);
            tries.counted()
        };
        assert_eq!(tried(SECOND), Some(Attempts::Counted { calls: 500, usual: 3, most: 3 }));
        assert_eq!(tried(1_000), None, "so many fail at once that tries can be lost");
    }
}
