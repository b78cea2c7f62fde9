//! Services whose limit is known, and how the search for it ends.

use super::*;
use murphy_core::{Dice, Seed};

const BOUNDS: Bounds = Bounds { from: 20.0, to: 5_000.0, finest: 10.0, share: 0.05 };

/// A service whose share of bad answers rises around `limit`: 1 % at the limit itself.
fn bad_share(level: f64, limit: f64, width: f64) -> f64 {
    0.001 + 0.998 / (1.0 + (-(level - limit) / width + 4.6).exp())
}

fn searched(seed: u64, limit: f64, width: f64) -> (Limit, usize) {
    let mut dice = Dice::new(Seed(seed));
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    loop {
        match search.next() {
            Next::Done(answer) => return (answer, search.decided().len()),
            Next::Try(level) => {
                let bad = bad_share(level, limit, width);
                let n = 160; // eight seconds
                search.take(Trial { n, bad: (0..n).filter(|_| dice.unit() < bad).count() as u64 });
            }
        }
    }
}

/// The level at which a service has this share of bad answers.
fn level_of(share: f64, limit: f64, width: f64) -> f64 {
    let (mut low, mut high) = (1.0, 10_000.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if bad_share(middle, limit, width) < share { low = middle } else { high = middle }
    }
    low
}

#[test]
fn the_interval_meets_the_zone_in_which_the_service_breaks() {
    let goal = Goal::of_success(0.99);
    let (mut consistent, mut levels) = (0, 0);
    for seed in 0..200 {
        let mut dice = Dice::new(Seed(seed).derive("limit", 0));
        let (limit, width) = (60.0 + 2_000.0 * dice.unit(), 5.0 + 25.0 * dice.unit());
        let (answer, tried) = searched(seed, limit, width);
        levels += tried;
        if let Limit::Between { holds, breaks } = answer {
            let (from, to) = (level_of(goal.tolerable, limit, width), level_of(goal.broken, limit, width));
            consistent += usize::from(holds <= to * 1.02 && breaks >= from * 0.98);
        }
    }
    assert!(consistent >= 190, "{consistent} of 200");
    assert!(levels < 200 * 25, "{levels} levels");
}

#[test]
fn a_service_that_never_breaks_is_said_to_hold_as_far_as_was_tried() {
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    while let Next::Try(_) = search.next() {
        search.take(Trial { n: 200, bad: 0 });
    }
    assert_eq!(search.next(), Next::Done(Limit::NoneUpTo(5_000.0)));
}

#[test]
fn a_service_that_is_broken_already_takes_one_level() {
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    while let Next::Try(_) = search.next() {
        search.take(Trial { n: 20, bad: 20 });
    }
    assert_eq!(search.next(), Next::Done(Limit::BelowAll(20.0)));
    assert_eq!(search.decided().len(), 1);
}

/// Answers each level as `broken` says, who is told the level and how many were decided before; the answer of the search.
fn answered(broken: impl Fn(f64, usize) -> bool) -> (Limit, Vec<Decided>) {
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    loop {
        match search.next() {
            Next::Done(answer) => return (answer, search.decided().to_vec()),
            Next::Try(level) => {
                let bad = if broken(level, search.decided().len()) { 1_000 } else { 0 };
                search.take(Trial { n: 1_000, bad });
            }
        }
    }
}

#[test]
fn a_service_that_fails_where_it_held_again_and_again_has_no_one_limit() {
    // It breaks at 640, and then at milder and milder levels, all of which held on the way up.
    let (answer, decided) = answered(|level, before| level >= 640.0 || before > 5);
    assert_eq!(answer, Limit::NotMonotone);
    let held =
        |held: Held| decided.iter().filter(move |decided| decided.held == held).map(|decided| decided.level);
    let best = held(Held::Yes).fold(0.0, f64::max);
    assert!(held(Held::No).any(|level| level < best), "{decided:?}");
    // Once is chance, and widens the answer.
    let (answer, _) = answered(|level, before| level >= 640.0 || before == 10);
    assert!(matches!(answer, Limit::Between { .. }), "{answer:?}");
}

#[test]
fn a_service_that_holds_where_it_broke_again_and_again_has_no_one_limit() {
    // As one behind a breaker that opened meanwhile: whatever is worse is answered at once, and well.
    let (answer, _) = answered(|level, before| level >= 640.0 && before < 12);
    assert_eq!(answer, Limit::NotMonotone);
}

#[test]
fn a_service_that_holds_at_a_worse_level_than_one_that_breaks_it_has_no_one_limit() {
    // As one whose breaker opens, or whose fallback is taken, only where calls are slower still.
    let (answer, decided) = answered(|level, _| (600.0..1_200.0).contains(&level));
    assert_eq!(answer, Limit::NotMonotone, "{decided:?}");
    let worst = decided.last().map(|decided| (decided.level >= 1_200.0, decided.held));
    assert_eq!(worst, Some((true, Held::Yes)), "{decided:?}");
    // Once is chance.
    let (_, whole) = answered(|level, _| level >= 600.0);
    let last = whole.len() - 1;
    assert!(whole[last].level >= 1_200.0, "{whole:?}");
    let (answer, again) = answered(|level, before| level >= 600.0 && before != last);
    assert!(matches!(answer, Limit::Between { .. }) && again.len() == whole.len() + 1, "{again:?}");
}

#[test]
fn nothing_is_tried_beyond_the_worst_level_that_may_be() {
    let (answer, decided) = answered(|level, _| level >= 4_900.0);
    let Limit::Between { breaks, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(breaks, 5_000.0);
    assert!(decided.iter().all(|decided| decided.level <= 5_000.0), "{decided:?}");
}

#[test]
fn walds_test_takes_as_many_requests_as_theory_says() {
    // Without a bad answer each good one adds ln((1 - .02) / (1 - .002)) = -0.0182: 202 of them reach -3.66.
    let mut test = Sequential::new(Goal { tolerable: 0.002, broken: 0.02 });
    while test.decided().is_none() {
        test.take(Trial { n: 1, bad: 0 }, 1.0);
    }
    assert_eq!((test.decided(), test.n), (Some(Held::Yes), 202));
    let mut test = Sequential::new(Goal { tolerable: 0.002, broken: 0.02 });
    while test.decided().is_none() {
        test.take(Trial { n: 1, bad: 1 }, 1.0);
    }
    assert_eq!((test.decided(), test.n), (Some(Held::No), 2));
}

#[test]
fn an_early_end_gives_what_is_known() {
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    assert_eq!(search.so_far(), None);
    for bad in [0, 0, 0, 200] {
        search.take(Trial { n: 1_000, bad });
    }
    assert_eq!(search.so_far(), Some(Limit::Between { holds: 80.0, breaks: 160.0 }));
}

/// Takes `count` levels as `broken` says, who is told the level and how many were decided before.
fn ended_after(count: usize, broken: impl Fn(f64, usize) -> bool) -> Search {
    let mut search = Search::new(BOUNDS, Goal::of_success(0.99), 20.0);
    while search.decided().len() < count
        && let Next::Try(level) = search.next()
    {
        let bad = if broken(level, search.decided().len()) { 1_000 } else { 0 };
        search.take(Trial { n: 1_000, bad });
    }
    search
}

#[test]
fn an_early_end_says_how_far_what_is_known_can_be_relied_on() {
    let (whole, decided) = answered(|level, _| level >= 600.0);
    let Limit::Between { holds, breaks } = whole else { panic!("{whole:?}") };
    let broken = |level: f64, _: usize| level >= 600.0;
    // The last level is the one behind the upper end, the two before it are that end again, and the two before the lower one.
    let count = decided.len();
    assert!(decided[count - 1].level > breaks, "{decided:?}");
    let standing = |count| ended_after(count, broken).standing();
    assert_eq!(standing(count - 6), Standing::Wide, "{decided:?}");
    for few in [count - 5, count - 4, count - 3, count - 2] {
        assert_eq!(standing(few), Standing::Narrow, "{few} of {decided:?}");
    }
    assert_eq!((standing(count - 1), standing(count)), (Standing::Confirmed, Standing::Whole));
    // What is known is the whole answer from where it is narrow.
    for few in count - 5..=count {
        let known = ended_after(few, broken).so_far();
        assert_eq!(known, Some(Limit::Between { holds, breaks }), "{few} of {decided:?}");
    }
    // Held once where it is worse: neither end has become another by that.
    let search = ended_after(count, |level, before| level >= 600.0 && before != count - 1);
    let level = decided[count - 1].level;
    assert_eq!(search.standing(), Standing::Doubtful { level });
    assert_eq!(search.so_far(), Some(Limit::Between { holds, breaks }));
}

#[test]
fn an_end_that_was_moved_is_not_known_before_it_was_tried() {
    let (whole, decided) = answered(|level, _| level >= 600.0);
    let Limit::Between { holds, breaks } = whole else { panic!("{whole:?}") };
    let count = decided.len();
    // The lower end breaks at the second look: what is known to hold is a level below that held, not the next to be tried.
    let search = ended_after(count - 4, |level, before| level >= 600.0 || before == count - 5);
    let Next::Try(next) = search.next() else { panic!("{search:?}") };
    let held = |level: f64| decided.iter().any(|decided| decided.level == level && decided.held == Held::Yes);
    let Some(Limit::Between { holds: known, breaks: same }) = search.so_far() else { panic!("{search:?}") };
    assert!(held(known) && known < holds && next < holds && !held(next), "{known} and {next} of {decided:?}");
    assert_eq!(same, breaks);
    // So with the upper end, which holds at the second look.
    let search = ended_after(count - 2, |level, before| level >= 600.0 && before != count - 3);
    let broke = |level: f64| decided.iter().any(|decided| decided.level == level && decided.held == Held::No);
    let Some(Limit::Between { holds: same, breaks: known }) = search.so_far() else { panic!("{search:?}") };
    assert!(broke(known) && known > breaks, "{known} of {decided:?}");
    assert_eq!(same, holds);
}
