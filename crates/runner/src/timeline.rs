//! What happens when: the phases and the faults of a plan as one ordered list. Pure.

use murphy_core::{Phase, PhaseLengths, Span};
use murphy_scenario::FaultStep;

/// One thing to do at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// Take fault number so-and-so away. Before a phase that begins at the same time, so that recovery starts clean.
    Lift(usize),
    /// A phase begins.
    Begin(Phase),
    /// Put fault number so-and-so into the world.
    Arm(usize),
    /// Fault number so-and-so reaches stage number so-and-so of its ramp.
    Change(usize, usize),
    /// The last phase is over.
    End,
}

/// The acts in order, each with its time from the start of the load.
pub(crate) fn timeline(phases: &PhaseLengths, faults: &[FaultStep]) -> Vec<(Span, Act)> {
    let mut acts = Vec::with_capacity(Phase::ALL.len() + 2 * faults.len() + 1);
    let mut at = Span::ZERO;
    for phase in Phase::ALL {
        let length = phases.of(phase);
        if !length.is_zero() {
            acts.push((at, Act::Begin(phase)));
        }
        if phase == Phase::Fault {
            for (number, step) in faults.iter().enumerate() {
                let armed = plus(at, step.at);
                acts.push((armed, Act::Arm(number)));
                // A stage at its very end would come too late.
                let stages =
                    step.ramp.stages.iter().enumerate().filter(|(_, stage)| stage.after < step.lasts);
                acts.extend(stages.map(|(at, stage)| (plus(armed, stage.after), Act::Change(number, at))));
                acts.push((plus(armed, step.lasts), Act::Lift(number)));
            }
        }
        at = plus(at, length);
    }
    acts.push((at, Act::End));
    murphy_core::sort_short(&mut acts, Ord::cmp);
    acts
}

fn plus(a: Span, b: Span) -> Span {
    a.as_duration().saturating_add(b.as_duration()).into()
}
