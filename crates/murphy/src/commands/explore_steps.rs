//! What an exploration tries once each fault was tried alone: faults on edges that are called under another one only, then pairs, then some
//! of the pairs that rules have left out. What these are is settled elsewhere; here they are run, and what is left out is told.

use std::collections::BTreeMap;

use murphy_report::{LeftOut, Pruning, SpotCheck};
use murphy_scenario::Single;

use super::explore::{Exploration, places};
use super::explore_alone::{Alone, keeps_connections};
use super::explore_drawn::{Fared, Held, drawn, foretold};
use super::explore_fallback::{Reach, reach};
use super::explore_pairs::{self, Pair, Skipped};
use super::{explore_seen, explore_why};
use crate::exit::Exit;

/// What rules have left out, as numbers.
#[derive(Debug, Default)]
pub struct Left {
    /// Faults alone.
    pub singles: BTreeMap<Pruning, usize>,
    /// Pairs.
    pub pairs: BTreeMap<Pruning, usize>,
    /// Faults on edges without calls that were run beside one that sends callers there.
    pub reached: usize,
    /// Pairs of that kind, run or not.
    pub ways: usize,
}

impl Exploration<'_> {
    /// Faults on edges that nobody calls in health: each beside a fault that sends callers there, if one does.
    pub(super) async fn fallbacks(&mut self, singles: &[Single], alone: &[Alone]) {
        for single in singles {
            let reach = reach(&single.edge, alone);
            let told = reach.told(&single.edge, alone);
            if let Some(told) = told.filter(|told| !self.matrix.fallback_edges.contains(told)) {
                self.matrix.fallback_edges.push(told);
            }
            let during = |place: usize| {
                let way = &alone[place].single;
                format!("called during {} on {}", way.text(), way.edge)
            };
            if reach.is_open() {
                self.exit = self.exit.worst(Exit::Inconclusive);
            }
            let (why, rule) = match reach {
                Reach::Never => (explore_why::NOT_CALLED.to_owned(), Some(Pruning::NoCalls)),
                Reach::Seldom(way) => {
                    let too_few = "too seldom to tell: inconclusive; a higher rate, or a longer fault phase";
                    (format!("{} {} times, {too_few}", during(way.place), way.calls), None)
                }
                Reach::OnlyInHarm(way) => {
                    let dominated = explore_why::dominated(alone[way.place].verdict);
                    let why = format!("{} only: {dominated}", during(way.place));
                    (why, Some(Pruning::Dominance))
                }
                Reach::Ways(_) if single.kind() == "refuse" => {
                    (explore_why::UNSEEN_REFUSAL.to_owned(), Some(Pruning::NoCalls))
                }
                Reach::Ways(mut ways) => {
                    ways.retain(|way| !keeps_connections(single, &alone[way.place].traffic));
                    if ways.is_empty() {
                        self.left_out_as_kept(single);
                        continue;
                    }
                    let most = if self.args.pairs { ways.len() } else { 1 };
                    let mut was_run = 0;
                    for way in ways.into_iter().take(most) {
                        self.left.ways += 1;
                        let told = self.tried(&[&alone[way.place].single, single]).await;
                        was_run = was_run.max(usize::from(told.is_some()));
                    }
                    self.left.reached += was_run;
                    continue;
                }
            };
            if let Some(rule) = rule {
                *self.left.singles.entry(rule).or_default() += 1;
            }
            self.left_out(&[single], why, rule);
        }
    }

    /// Two faults on two edges, of those that did no harm alone.
    pub(super) async fn pairs(&mut self, alone: &[Alone]) {
        let pairs = explore_pairs::pairs(alone, &self.control, self.plan);
        for out in pairs.no_partners {
            let single = &alone[out.place].single;
            self.matrix.left_out.push(LeftOut {
                edge: single.edge.to_string(),
                fault: format!("{}{}", LeftOut::PAIRS, single.text()),
                why: out.why,
                rule: Some(out.rule),
            });
        }
        let mut doubtful = Vec::new();
        for skipped in pairs.skipped {
            *self.left.pairs.entry(skipped.rule).or_default() += 1;
            let why = match (skipped.rule, skipped.as_in) {
                (Pruning::Disjoint, _) => explore_why::DISJOINT.to_owned(),
                (Pruning::Symmetry, Some(as_in)) => explore_why::symmetric(alone, as_in),
                // Told once, of all pairs of one fault.
                (rule, _) => {
                    doubtful.extend(rule.is_unsound().then_some(skipped));
                    continue;
                }
            };
            let both = [&alone[skipped.pair.one].single, &alone[skipped.pair.other].single];
            self.left_out(&both, why, Some(skipped.rule));
        }
        let mut runs = BTreeMap::new();
        for pair in pairs.tries {
            let (one, other) = (&alone[pair.one], &alone[pair.other]);
            let both = [&one.single, &other.single];
            if explore_seen::is_seen(one, other, &self.control, &self.seen) {
                self.left_out(&both, explore_why::SEEN.to_owned(), Some(Pruning::Seen));
                *self.left.pairs.entry(Pruning::Seen).or_default() += 1;
                doubtful.push(Skipped { pair, rule: Pruning::Seen, as_in: None });
            } else if let Some(told) = self.tried(&both).await {
                runs.insert(pair, told.fared());
            }
        }
        if !doubtful.is_empty() {
            self.spot_check(alone, &doubtful, &runs).await;
        }
    }

    /// Tries some of the pairs that were left out by a rule that does not hold everywhere, as long as there is time.
    async fn spot_check(&mut self, alone: &[Alone], skipped: &[Skipped], runs: &BTreeMap<Pair, Fared>) {
        let mut check = SpotCheck { skipped: skipped.len(), tried: 0, otherwise: Vec::new(), open: 0 };
        for place in drawn(self.plan.seed, skipped.len()) {
            // That so much is left to chance by a short budget makes nothing of what was tried less certain.
            if !self.has_time() {
                break;
            }
            let skipped = &skipped[place];
            let both = [&alone[skipped.pair.one].single, &alone[skipped.pair.other].single];
            let Some(told) = self.tried(&both).await else { break };
            let (edge, fault) = places(&both);
            self.matrix.left_out.retain(|out| out.edge != edge || out.fault != fault);
            if let Some(count) = self.left.pairs.get_mut(&skipped.rule) {
                *count = count.saturating_sub(1);
            }
            let (foretold, came) = (foretold(skipped, alone, runs), told.fared());
            check.tried += 1;
            match foretold.held(&came) {
                Held::True => {}
                Held::Open => check.open += 1,
                Held::Otherwise => check.otherwise.push(format!(
                    "{}: {}; by the rule {}: {}",
                    explore_why::text(alone, skipped.pair),
                    came.text(),
                    skipped.rule,
                    foretold.text()
                )),
            }
        }
        self.matrix.spot_check = Some(check);
    }
}
