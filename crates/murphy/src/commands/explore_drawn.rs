//! Pairs that a rule left out, and that are tried all the same: a tenth of them, drawn by the run's seed. What they tell is held against
//! what the rule took for granted. Pure.

use std::collections::BTreeMap;

use murphy_core::{Dice, Seed, Verdict};
use murphy_verdict::DependencyClass;

use super::explore_alone::Alone;
use super::explore_pairs::{Pair, Skipped};

/// One in so many is tried, and at least one.
const ONE_IN: usize = 10;

/// How users fared under a pair, or how they are said to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fared {
    /// Whether it was graceful.
    pub verdict: Verdict,
    /// What the users of each load could do, load by load; `None` where it was not told.
    pub classes: Vec<Option<DependencyClass>>,
}

/// What a try says of what was taken for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is so.
    True,
    /// It is not.
    Otherwise,
    /// One of the two was not told.
    Open,
}

/// Places of a tenth of `count`, rounded up, in the order in which they are drawn.
pub fn drawn(seed: Seed, count: usize) -> Vec<usize> {
    let mut dice = Dice::new(seed.derive("pairs left out", 0));
    let mut rest: Vec<usize> = (0..count).collect();
    let mut drawn = Vec::new();
    for _ in 0..count.div_ceil(ONE_IN) {
        drawn.push(rest.swap_remove(dice.below(rest.len() as u64) as usize));
    }
    drawn
}

/// What a rule took for granted of a pair: as the pair that stands for it, where that was run; else no worse than the worse of the two
/// alone.
pub fn foretold(skipped: &Skipped, alone: &[Alone], runs: &BTreeMap<Pair, Fared>) -> Fared {
    if let Some(stands) = skipped.as_in.and_then(|pair| runs.get(&pair)) {
        return stands.clone();
    }
    let (one, other) = (&alone[skipped.pair.one], &alone[skipped.pair.other]);
    let classes = one.classes.iter().zip(&other.classes).map(|(one, other)| worse((*one)?, (*other)?));
    Fared { verdict: one.verdict.max(other.verdict), classes: classes.collect() }
}

fn worse(one: DependencyClass, other: DependencyClass) -> Option<DependencyClass> {
    let harm = |class| match class {
        DependencyClass::Soft => 0,
        DependencyClass::Degraded => 1,
        DependencyClass::Hard => 2,
    };
    Some(if harm(other) > harm(one) { other } else { one })
}

impl Fared {
    /// Holds what came against this, which was foretold.
    pub fn held(&self, came: &Fared) -> Held {
        let is_open = |fared: &Fared| fared.verdict == Verdict::Inconclusive;
        if is_open(self) || is_open(came) {
            return Held::Open;
        }
        let differs = |(one, other): (&Option<DependencyClass>, &Option<DependencyClass>)| {
            one.is_some() && other.is_some() && one != other
        };
        if self.verdict != came.verdict || self.classes.iter().zip(&came.classes).any(differs) {
            Held::Otherwise
        } else {
            Held::True
        }
    }

    /// `GRACEFUL, users soft, hard`.
    pub fn text(&self) -> String {
        let class =
            |class: &Option<DependencyClass>| class.map_or_else(|| "?".to_owned(), |class| class.to_string());
        let classes: Vec<String> = self.classes.iter().map(class).collect();
        format!("{}, users {}", self.verdict, classes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use murphy_report::Pruning;
    use murphy_scenario::{Settings, Single, load_text};
    use murphy_verdict::Traffic;

    const SOFT: Option<DependencyClass> = Some(DependencyClass::Soft);
    const DEGRADED: Option<DependencyClass> = Some(DependencyClass::Degraded);
    const HARD: Option<DependencyClass> = Some(DependencyClass::Hard);

    fn fared(verdict: Verdict, classes: &[Option<DependencyClass>]) -> Fared {
        Fared { verdict, classes: classes.to_vec() }
    }

    #[test]
    fn a_tenth_is_drawn_each_once_at_least_one_and_the_same_by_the_same_seed() {
        let how_many = |count| drawn(Seed(7), count).len();
        assert_eq!([0, 1, 10, 11, 95].map(how_many), [0, 1, 1, 2, 10]);
        let all = drawn(Seed(7), 95);
        assert_eq!(all, drawn(Seed(7), 95));
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|place| *place < 95), "{all:?}");
        assert!((0..20).any(|seed| drawn(Seed(seed), 95) != all), "any seed draws the same");
    }

    #[test]
    fn it_holds_unless_the_verdict_or_what_users_could_do_is_another() {
        let foretold = fared(Verdict::Graceful, &[SOFT, None]);
        assert_eq!(foretold.held(&fared(Verdict::Graceful, &[SOFT, HARD])), Held::True);
        assert_eq!(foretold.held(&fared(Verdict::NotGraceful, &[SOFT, HARD])), Held::Otherwise);
        assert_eq!(foretold.held(&fared(Verdict::Graceful, &[DEGRADED, HARD])), Held::Otherwise);
        assert_eq!(foretold.held(&fared(Verdict::Inconclusive, &[HARD, HARD])), Held::Open);
        assert_eq!(foretold.text(), "GRACEFUL, users soft, ?");
    }

    #[test]
    fn what_is_foretold_is_the_pair_that_stands_for_it_or_the_worse_of_both_alone() {
        let text = "
murphy: 1
name: two edges
edges:
  one: { listen: 127.0.0.1:16379, to: 127.0.0.1:6379 }
  two: { listen: 127.0.0.1:16380, to: 127.0.0.1:6380 }
load:
  browse: { http: GET http://127.0.0.1:8000/, rate: 30/s }
control: true
";
        let plan = load_text("two.yaml", text, &Settings::default()).unwrap().plan;
        let singles = Single::all(&plan).into_iter().take(2);
        let alone: Vec<Alone> = singles
            .zip([DEGRADED, SOFT])
            .map(|(single, class)| Alone {
                single,
                verdict: Verdict::Graceful,
                classes: vec![class],
                traffic: Traffic::default(),
            })
            .collect();
        let pair = Pair { one: 0, other: 1 };
        let skipped = Skipped { pair, rule: Pruning::Seen, as_in: None };
        assert_eq!(foretold(&skipped, &alone, &BTreeMap::new()), fared(Verdict::Graceful, &[DEGRADED]));
        let stands = Skipped { rule: Pruning::Equivalence, as_in: Some(pair), ..skipped };
        let hard = fared(Verdict::NotGraceful, &[HARD]);
        let runs = BTreeMap::from([(pair, hard.clone())]);
        assert_eq!(foretold(&stands, &alone, &runs), hard);
        // It was not run either.
        assert_eq!(foretold(&stands, &alone, &BTreeMap::new()), fared(Verdict::Graceful, &[DEGRADED]));
    }
}
