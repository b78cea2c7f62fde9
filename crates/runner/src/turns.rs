//! Whose turn it is, where several scenarios run beside each other: at most so many at once, none beside one with which it has
//! something in common, and those that have something in common in the order in which they were given. Starts nothing itself.

use std::num::NonZeroUsize;

use crate::claims::{Claims, Clash};

/// The scenarios of one call, by their number.
#[derive(Debug)]
pub struct Turns {
    all: Vec<(Claims, Turn)>,
    at_once: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waits,
    Has,
    Had,
}

/// Why a scenario waits although there is room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Which scenario.
    pub who: usize,
    /// The one that comes first.
    pub for_whom: usize,
    /// What both take.
    pub clash: Clash,
}

impl Turns {
    /// All of them wait.
    pub fn new(claims: impl IntoIterator<Item = Claims>, at_once: NonZeroUsize) -> Turns {
        Turns { all: claims.into_iter().map(|claims| (claims, Turn::Waits)).collect(), at_once }
    }

    /// The next one that may begin now; it has its turn until [`Turns::over`].
    pub fn begin(&mut self) -> Option<usize> {
        let who = self.waiting().find(|who| self.before(*who).is_none())?;
        self.all[who].1 = Turn::Has;
        Some(who)
    }

    /// Its turn is over.
    pub fn over(&mut self, who: usize) {
        self.all[who].1 = Turn::Had;
    }

    /// Those that have to wait for another one, while there is room.
    pub fn waits(&self) -> Vec<Wait> {
        self.waiting().filter_map(|who| self.before(who)).collect()
    }

    /// Those that wait; nobody while there is no room.
    fn waiting(&self) -> impl Iterator<Item = usize> {
        let under_way = self.all.iter().filter(|(_, turn)| *turn == Turn::Has).count();
        let room = under_way < self.at_once.get();
        let waits =
            move |(who, (_, turn)): (usize, &(Claims, Turn))| (room && *turn == Turn::Waits).then_some(who);
        self.all.iter().enumerate().filter_map(waits)
    }

    /// One that `who` must not overtake or run beside. Also one that waits: whoever has much in common with others would else
    /// wait for all of them.
    fn before(&self, who: usize) -> Option<Wait> {
        let (mine, _) = &self.all[who];
        self.all.iter().enumerate().find_map(|(other, (claims, turn))| {
            let first = *turn == Turn::Has || (*turn == Turn::Waits && other < who);
            let clash = if first { mine.clash(claims) } else { None };
            clash.map(|clash| Wait { who, for_whom: other, clash })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns<const N: usize>(ports: [&[u16]; N], at_once: usize) -> Turns {
        Turns::new(ports.map(Claims::of_ports), NonZeroUsize::new(at_once).unwrap())
    }

    fn begin(turns: &mut Turns) -> Vec<usize> {
        std::iter::from_fn(|| turns.begin()).collect()
    }

    #[test]
    fn alone_they_come_in_the_order_given() {
        let mut turns = turns([&[1], &[2], &[1]], 1);
        for who in 0..3 {
            assert_eq!(begin(&mut turns), [who]);
            assert!(turns.waits().is_empty(), "there is no room");
            turns.over(who);
        }
        assert_eq!(begin(&mut turns), [0; 0]);
    }

    #[test]
    fn those_with_nothing_in_common_run_beside_each_other_up_to_the_limit() {
        let mut turns = turns([&[1], &[2], &[3], &[4]], 3);
        assert_eq!(begin(&mut turns), [0, 1, 2]);
        turns.over(1);
        assert_eq!(begin(&mut turns), [3]);
    }

    #[test]
    fn one_that_has_something_in_common_waits_and_others_go_before_it() {
        let mut turns = turns([&[1], &[1, 2], &[3]], 3);
        assert_eq!(begin(&mut turns), [0, 2]);
        let waits = turns.waits();
        assert_eq!(waits.iter().map(|wait| (wait.who, wait.for_whom)).collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!(waits[0].clash.to_string(), "address 127.0.0.1:1");
        turns.over(2);
        assert_eq!(begin(&mut turns), [0; 0]);
        turns.over(0);
        assert_eq!(begin(&mut turns), [1]);
        assert!(turns.waits().is_empty());
    }

    #[test]
    fn nobody_overtakes_one_that_waits_for_the_same() {
        // The third has nothing in common with the first, but would keep the second waiting for ever longer.
        let mut turns = turns([&[1], &[1, 2], &[2]], 3);
        assert_eq!(begin(&mut turns), [0]);
        assert_eq!(turns.waits().len(), 2);
        turns.over(0);
        assert_eq!(begin(&mut turns), [1]);
        turns.over(1);
        assert_eq!(begin(&mut turns), [2]);
    }
}
