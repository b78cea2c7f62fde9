//! The runs of an exploration with nothing broken, at its beginning and at its end. What they show is settled elsewhere; here they are
//! run, and what follows from them is done.

use std::time::Instant;

use murphy_core::EdgeName;
use murphy_report::{Came, Closing, SeriesKind};
use murphy_scenario::Single;
use murphy_verdict::Traffic;

use super::explore::{Exploration, Over, Ran};
use super::explore_control::{NoControl, after, closing, not_a_control, of_the_last, unwell};
use crate::exit::Exit;

/// A run with nothing broken in which users were served well.
struct Control {
    /// The edges without calls.
    quiet: Vec<EdgeName>,
    traffic: Traffic,
}

/// How a run with nothing broken ended.
struct Unbroken {
    exit: Exit,
    /// Writes that are gone.
    lost: Option<String>,
    /// What it told, or why it is nothing to hold others against.
    told: Result<Control, NoControl>,
}

impl Exploration<'_> {
    /// One run with nothing broken, without which no trouble could be laid to a fault: the edges without calls, or why nothing
    /// else is run.
    pub(super) async fn control(&mut self) -> Result<Vec<EdgeName>, String> {
        if let Some(why) = self.no_more() {
            return Err(why);
        }
        let start = Instant::now();
        let Unbroken { exit, told, .. } = self.unbroken("nothing broken").await;
        self.reserve = start.elapsed();
        if !matches!(exit, Exit::Graceful | Exit::Inconclusive) {
            self.exit = self.exit.worst(exit);
        }
        let control = told.map_err(|none| {
            self.exit = self.exit.worst(Exit::Inconclusive);
            none.why()
        })?;
        self.control = control.traffic;
        Ok(control.quiet)
    }

    /// The same once more at the end: a system that has changed meanwhile was never one to hold faults against.
    pub(super) async fn close(&mut self) {
        self.heed_signal();
        let ended = matches!(self.over, Some(Over::Ended(_))) || self.bench.stop.reason().is_some();
        if ended || self.matrix.cells.is_empty() {
            return;
        }
        if self.began.elapsed() + self.reserve > self.args.budget.as_duration() {
            let closing = Closing::NotRun { why: self.late() };
            self.exit = after(&closing, self.exit);
            self.matrix.closing = Some(closing);
            return;
        }
        let Unbroken { exit, lost, told } = self.unbroken("nothing broken, once more").await;
        let last = told.as_ref().map(|last| &last.traffic).map_err(Clone::clone);
        let closing = closing(&self.control, last);
        self.exit = after(&closing, self.exit).worst(of_the_last(exit, lost.as_deref()));
        self.matrix.closing = Some(closing);
    }

    /// One run with nothing broken.
    async fn unbroken(&mut self, label: &str) -> Unbroken {
        let plan = Single::control(self.plan);
        let Ran { outcome, exit, traffic, .. } = self.run(&plan, String::new(), label).await;
        let lost = match &outcome.came {
            Came::Judged { judgement, .. } => {
                judgement.findings.iter().find(|finding| finding.is_data_loss())
            }
            _ => None,
        };
        let lost = lost.map(|loss| loss.text.clone());
        let told = match not_a_control(exit, lost.as_deref()) {
            Some(why) => Err(why),
            None => told(outcome.came, traffic),
        };
        Unbroken { exit, lost, told }
    }
}

/// What a run with nothing broken told, or why it is nothing to hold others against.
fn told(came: Came, traffic: Traffic) -> Result<Control, NoControl> {
    let Came::Judged { judgement, timeline } = came else {
        return Err(NoControl::Void("not carried out".to_owned()));
    };
    // What fails from the start is no answer to a fault, so its rows are inconclusive, not failed.
    if let Some(none) = unwell(&judgement) {
        return Err(none);
    }
    let edges = timeline.series.iter().filter(|series| series.kind == SeriesKind::Edge);
    let quiet = edges.filter(|series| series.bins.iter().all(|bin| bin.n == 0));
    let quiet = quiet.filter_map(|series| EdgeName::new(&series.name).ok()).collect();
    Ok(Control { quiet, traffic })
}
