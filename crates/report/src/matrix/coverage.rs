//! How much of what could be tried was: what was planned, what it cost, and what became of the rest.

use std::collections::BTreeMap;

use murphy_core::{Span, plural};
use serde::Serialize;

use super::Pruning;

/// What is to be done, before anything is known of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Intent {
    /// The time that there is.
    pub budget: Span,
    /// What a run takes at least.
    pub run_takes: Span,
    /// Faults that are to be tried alone.
    pub singles: usize,
    /// Pairs of them on two edges, of which rules leave some out; 0 if none are asked for.
    pub pairs: usize,
}

impl Intent {
    /// In a line, with what it may cost.
    pub fn text(&self) -> String {
        let Intent { budget, run_takes, singles, pairs } = self;
        let runs = 2 + singles + pairs;
        let cost =
            Span::from(run_takes.as_duration().saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX)));
        let pairs =
            if *pairs > 0 { format!(", {} at most", plural(*pairs as u64, "pair")) } else { String::new() };
        format!(
            "plan: {}{pairs}, and nothing broken first and last: {runs} runs of {run_takes} or more, {cost} of --budget {budget}",
            plural(*singles as u64, "single")
        )
    }
}

/// What it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// Runs, those with nothing broken included.
    pub runs: usize,
    /// From the first to the end, in whole seconds.
    pub took: Span,
}

/// What became of faults alone, or of pairs of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Extent {
    /// How many there are.
    pub of: usize,
    /// How many were run.
    pub run: usize,
    /// How many were left out, by rule.
    pub pruned: BTreeMap<Pruning, usize>,
    /// How many were to be run and were not.
    pub not_run: usize,
}

impl Extent {
    /// Of so many; those that were neither run nor left out by a rule were not run.
    pub fn new(of: usize, run: usize, mut pruned: BTreeMap<Pruning, usize>) -> Extent {
        pruned.retain(|_, count| *count > 0);
        let known = run + pruned.values().sum::<usize>();
        Extent { of, run, pruned, not_run: of.saturating_sub(known) }
    }

    /// `12 of 14 (85%)`: rounded down, so that 100 % is all of them.
    fn share(&self) -> String {
        let percent = match (self.run * 100).checked_div(self.of) {
            None => String::new(),
            Some(0) if self.run > 0 => " (<1%)".to_owned(),
            Some(percent) => format!(" ({percent}%)"),
        };
        format!("{} of {}{percent}", self.run, self.of)
    }

    /// `dominance 20, symmetry 2`; empty if no rule left anything out.
    fn rules(&self) -> String {
        self.pruned.iter().map(|(rule, count)| format!("{rule} {count}")).collect::<Vec<_>>().join(", ")
    }
}

/// How much was tried of all that could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Coverage {
    /// One fault on one edge; on an edge that is called under a fault only, beside that fault.
    pub singles: Extent,
    /// Two faults on two edges; `None` if they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Extent>,
}

impl Coverage {
    /// What was covered, what rules left out, and what was not run: a line each, where there is something to say.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut parts = vec![("single", &self.singles)];
        parts.extend(self.pairs.as_ref().map(|pairs| ("pair", pairs)));
        let joined = |between: &str, tell: &dyn Fn(&str, &Extent) -> Option<String>| {
            let told: Vec<String> = parts.iter().filter_map(|(thing, extent)| tell(thing, extent)).collect();
            (!told.is_empty()).then(|| told.join(between))
        };
        let covered = joined(", ", &|thing, extent| Some(format!("{thing}s {}", extent.share())));
        let pruned = joined("; ", &|thing, extent| {
            let rules = extent.rules();
            (!rules.is_empty()).then(|| format!("{thing}s: {rules}"))
        });
        let not_run =
            joined(", ", &|thing, extent| (extent.not_run > 0).then(|| plural(extent.not_run as u64, thing)));
        let heads = [("coverage", covered), ("pruned", pruned), ("not run", not_run)];
        heads.into_iter().filter_map(|(head, told)| Some(format!("{head}: {}", told?))).collect()
    }
}

impl Cost {
    /// In a line, with the time that there was.
    pub(crate) fn text(&self, intent: Option<&Intent>) -> String {
        let budget = intent.map_or_else(String::new, |intent| format!(" of --budget {}", intent.budget));
        format!("cost: {} in {}{budget}", plural(self.runs as u64, "run"), self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_how_many_runs_it_is_and_what_they_cost_at_least() {
        let (budget, run_takes) = (Span::from_secs(1800), Span::from_secs(24));
        let intent = Intent { budget, run_takes, singles: 14, pairs: 49 };
        assert_eq!(
            intent.text(),
            "plan: 14 singles, 49 pairs at most, and nothing broken first and last: 65 runs of 24s or more, 26m of --budget 30m"
        );
        let alone = Intent { singles: 1, pairs: 0, ..intent }.text();
        assert!(alone.starts_with("plan: 1 single, and nothing broken first and last: 3 runs"), "{alone}");
    }

    #[test]
    fn what_is_neither_run_nor_left_out_by_a_rule_was_not_run() {
        let pruned = BTreeMap::from([(Pruning::Dominance, 20), (Pruning::Symmetry, 2), (Pruning::Seen, 0)]);
        let coverage = Coverage {
            singles: Extent::new(14, 13, BTreeMap::from([(Pruning::NoCalls, 1)])),
            pairs: Some(Extent::new(49, 3, pruned)),
        };
        assert_eq!(
            coverage.lines(),
            [
                "coverage: singles 13 of 14 (92%), pairs 3 of 49 (6%)",
                "pruned: singles: no-calls 1; pairs: dominance 20, symmetry 2",
                "not run: 24 pairs",
            ]
        );
        let json = serde_json::to_value(&coverage).unwrap();
        assert_eq!(json["pairs"]["pruned"]["dominance"], 20);
        assert_eq!((&json["pairs"]["not-run"], json["pairs"]["pruned"].get("seen")), (&24.into(), None));
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_to_nothing() {
        let share = |of, run| Extent::new(of, run, BTreeMap::new()).share();
        assert_eq!(share(1000, 999), "999 of 1000 (99%)");
        assert_eq!(share(1000, 1), "1 of 1000 (<1%)");
        assert_eq!(share(3, 3), "3 of 3 (100%)");
        assert_eq!(share(0, 0), "0 of 0");
        let all = Coverage { singles: Extent::new(3, 3, BTreeMap::new()), pairs: None };
        assert_eq!(all.lines(), ["coverage: singles 3 of 3 (100%)"]);
    }

    #[test]
    fn what_it_cost_stands_beside_what_there_was() {
        let cost = Cost { runs: 18, took: Span::from_secs(371) };
        let intent =
            Intent { budget: Span::from_secs(600), run_takes: Span::from_secs(20), singles: 16, pairs: 0 };
        assert_eq!(cost.text(Some(&intent)), "cost: 18 runs in 371s of --budget 10m");
        assert_eq!(cost.text(None), "cost: 18 runs in 371s");
    }
}
