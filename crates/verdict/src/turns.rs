//! How the calls of one caller were spread over the instances of a dependency: when one of them was out, and when it was back.
//! Only the order of calls counts, never whether they were answered.

use crate::edge::EdgeView;
use crate::phase::Window;
use crate::stats::{poisson_is_above, poisson_is_below};

/// An instance is out while it gets so much of its share at most, with the whole interval.
pub(crate) const OUT: f64 = 0.2;

/// A call on the instance, or on one that is well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub at: u64,
    pub own: bool,
}

/// The calls of a stretch, and what the baseline says about them.
pub(crate) struct Turns {
    /// By time.
    all: Vec<Turn>,
    /// How many of those before each are the instance's.
    own: Vec<u64>,
    /// The instance's share of them in the baseline.
    pub share: f64,
}

/// When the instance was out, by its calls up to then, and the length of the window that tells.
pub(crate) struct Out {
    pub at: u64,
    pub calls: u64,
    pub window: u64,
}

impl Turns {
    pub fn of(edge: &EdgeView, others: &[&EdgeView], window: Window, share: f64) -> Turns {
        let of = |from: &EdgeView, own: bool| {
            from.in_window(window).iter().map(|call| Turn { at: call.began, own }).collect::<Vec<Turn>>()
        };
        let mut all = of(edge, true);
        for other in others {
            all.extend(of(other, false));
        }
        Turns::new(all, share)
    }

    fn new(mut all: Vec<Turn>, share: f64) -> Turns {
        all.sort_by_key(|turn| turn.at);
        let mut own = vec![0];
        for turn in &all {
            own.push(own[own.len() - 1] + u64::from(turn.own));
        }
        Turns { all, own, share }
    }

    /// Calls from `index` on until `to`: those of the instance, and all.
    pub fn count(&self, index: usize, to: u64) -> (u64, u64) {
        let end = self.all.partition_point(|turn| turn.at < to).max(index);
        (self.own[end] - self.own[index], (end - index) as u64)
    }

    /// Calls behind this moment: those of the instance, and all.
    pub fn since(&self, at: u64) -> (u64, u64) {
        self.count(self.all.partition_point(|turn| turn.at <= at), u64::MAX)
    }

    /// When it was out, if ever: at the last of its calls before the first window in which few enough come. A window of the least length tells soonest;
    /// where single tries go on all the time, a longer one is needed to see how few they are.
    pub fn out(&self, sick: Window, least: u64) -> Option<Out> {
        let is_out = |from: u64, index: usize, to: u64| {
            let (own, all) = self.count(index, to);
            let most = OUT * self.share * all as f64;
            from + least <= to && to <= sick.to && own as f64 <= most && poisson_is_below(own, most)
        };
        // Behind the beginning, and behind each call on it.
        let behind = self.all.iter().enumerate().filter(|(_, turn)| turn.own);
        let mut places =
            std::iter::once((sick.from, 0)).chain(behind.map(|(index, turn)| (turn.at, index + 1)));
        let (from, index, to) = places.find_map(|(from, index)| {
            let mut ends = [from + least, from + 2 * least, sick.to].into_iter();
            ends.find(|to| is_out(from, index, *to)).map(|to| (from, index, to))
        })?;
        // The window may begin before the last calls: it is out where few calls after it and many before it are likeliest.
        let (mut lowest, mut sum, mut at) = (0.0, 0.0, from);
        for turn in self.all[index..].iter().take_while(|turn| turn.at < to) {
            sum += self.weight(*turn);
            if turn.own && sum < lowest {
                (lowest, at) = (sum, turn.at);
            }
        }
        let calls = self.own[self.all.partition_point(|turn| turn.at <= at)];
        Some(Out { at, calls, window: to - from })
    }

    /// When it was back for good: the first of the calls by which, in `length`, it has more than what one that is out gets.
    pub fn back(&self, last: u64, length: u64) -> Option<u64> {
        let own = self.all.iter().enumerate().filter(|(_, turn)| turn.own);
        let is_in = |&(index, turn): &(usize, &Turn)| {
            let to = turn.at.saturating_add(length);
            let (own, all) = self.count(index, to);
            to <= last && poisson_is_above(own, OUT * self.share * all as f64)
        };
        let (index, first) = own.into_iter().find(is_in)?;
        // A single try before it is no return: it was back where many calls after it and few before it are likeliest.
        let (mut highest, mut sum, mut at) = (0.0, 0.0, first.at);
        for turn in self.all[index..].iter().take_while(|turn| turn.at < first.at + length) {
            if turn.own && sum > highest {
                (highest, at) = (sum, turn.at);
            }
            sum += self.weight(*turn);
        }
        Some(at)
    }

    /// How much likelier a call makes it that the instance has a tenth of its share, and not the whole: a logarithm.
    fn weight(&self, turn: Turn) -> f64 {
        0.9 * self.share - if turn.own { std::f64::consts::LN_10 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call each tenth of a second; `S` is one on the sick instance, `w` one on another.
    fn turns(calls: &str) -> Turns {
        let all = calls.bytes().enumerate();
        Turns::new(all.map(|(n, to)| Turn { at: n as u64 * 100_000, own: to == b'S' }).collect(), 0.5)
    }

    const SECOND: u64 = 1_000_000;

    #[test]
    fn it_is_out_at_the_last_of_its_calls_before_few_come() {
        let calls = "SwSwSw".to_owned() + &"w".repeat(50) + "S" + &"w".repeat(40);
        let sick = Window { from: 0, to: 7 * SECOND };
        let out = turns(&calls).out(sick, 5 * SECOND).expect("it is out");
        assert_eq!((out.at, out.calls, out.window), (400_000, 3, 5 * SECOND));
        assert!(turns(&"Sw".repeat(30)).out(sick, 5 * SECOND).is_none());
    }

    #[test]
    fn single_tries_that_go_on_need_a_longer_window() {
        let calls = "SwSw".to_owned() + &("S".to_owned() + &"w".repeat(25)).repeat(13);
        let sick = Window { from: 0, to: 32 * SECOND };
        let out = turns(&calls).out(sick, 5 * SECOND).expect("it is out");
        assert!(out.window > 5 * SECOND && out.at <= 400_000, "{} {}", out.window, out.at);
    }

    #[test]
    fn silence_on_all_instances_is_nothing_that_one_is_out_of() {
        assert!(turns("SwSwS").out(Window { from: 0, to: 20 * SECOND }, 5 * SECOND).is_none());
    }

    #[test]
    fn a_single_try_is_no_return() {
        let calls = "wwSwwwwwwwwwww".to_owned() + &"Sw".repeat(20);
        assert_eq!(turns(&calls).back(6 * SECOND, 2 * SECOND), Some(1_400_000));
        assert_eq!(turns(&"wwwwwwSwwwwwww".repeat(4)).back(6 * SECOND, 2 * SECOND), None);
    }
}
