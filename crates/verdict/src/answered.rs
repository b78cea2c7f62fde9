//! How users of one load fared during the fault, as plain counts: what a search for a limit needs of a run.

use murphy_core::{LoadName, Span};

use crate::gate;
use crate::judgement::GateId;
use crate::limit::Trial;
use crate::phase::RunView;

/// Counts of one load during the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Requests.
    pub n: u64,
    /// Those that failed, or were answered later than the bound.
    pub bad: u64,
    /// Why the run tells nothing of the service; `None` if it does.
    pub unfit: Option<String>,
}

impl Answered {
    /// As a trial of a level.
    pub fn trial(&self) -> Trial {
        Trial { n: self.n, bad: self.bad }
    }

    /// Counts the answers of `load` during the fault; one that took longer than `within` is a bad one.
    pub(crate) fn of(run: &RunView<'_>, load: &LoadName, within: Option<Span>) -> Answered {
        let gates = gate::gates(run);
        // A mild level may well have no effect that is worth the name, and a small baseline is no sick one. But what was never
        // in the world was not held out against; of a run that ended early under its faults the bad answers tell.
        let telling = [GateId::HandsOff, GateId::LoadSent, GateId::NothingLost];
        let unfit = gates.iter().find(|gate| !gate.holds && telling.contains(&gate.id));
        let unfit = unfit.map(|gate| gate.text.clone()).or_else(|| {
            gate::never_in_world(run).filter(|_| run.is_complete() || run.first_armed().is_none())
        });
        let late = within.map_or(u64::MAX, Span::as_micros);
        let points = run.load(load).into_iter().flat_map(|load| load.within(&run.during));
        let (n, bad) = points.fold((0, 0), |(n, bad), point| {
            (n + 1, bad + u64::from(!point.is_ok() || point.latency() > late))
        });
        Answered { n, bad, unfit }
    }
}
