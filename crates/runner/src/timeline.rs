//! What happens when: the phases and the faults of a plan as one ordered list. Pure.

use murphy_core::{Phase, PhaseLengths, Span};
use murphy_scenario::FaultStep;

/// One thing to do at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// What fault number so-and-so waits for did not come in time.
    GiveUp(usize),
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
    let mut acts = Vec::with_capacity(Phase::PLANNED.len() + 2 * faults.len() + 1);
    let mut at = Span::ZERO;
    for phase in Phase::PLANNED {
        let length = phases.of(phase);
        if !length.is_zero() {
            acts.push((at, Act::Begin(phase)));
        }
        if phase == Phase::Fault {
            let end = plus(at, length);
            for (number, step) in faults.iter().enumerate() {
                if step.trigger.is_some() {
                    acts.push((end, Act::GiveUp(number)));
                    continue;
                }
                let armed = plus(at, step.at);
                acts.push((armed, Act::Arm(number)));
                acts.extend(once_armed(number, step, armed, end));
            }
        }
        at = plus(at, length);
    }
    acts.push((at, Act::End));
    murphy_core::sort_short(&mut acts, Ord::cmp);
    acts
}

/// What becomes of a fault that is in the world, until the fault phase ends at the latest. In no order.
pub(crate) fn once_armed(
    number: usize,
    step: &FaultStep,
    armed: Span,
    end: Span,
) -> impl Iterator<Item = (Span, Act)> {
    let lifted = plus(armed, step.lasts).min(end);
    let stages = step.ramp.stages.iter().enumerate();
    let changes = stages.map(move |(at, stage)| (plus(armed, stage.after), Act::Change(number, at)));
    // A stage at its very end would come too late.
    changes.filter(move |(at, _)| *at < lifted).chain(std::iter::once((lifted, Act::Lift(number))))
}

/// When the fault phase is over.
pub(crate) fn end_of_faults(phases: &PhaseLengths) -> Span {
    let until = Phase::PLANNED.into_iter().take_while(|phase| *phase != Phase::Recovery);
    until.fold(Span::ZERO, |at, phase| plus(at, phases.of(phase)))
}

fn plus(a: Span, b: Span) -> Span {
    a.as_duration().saturating_add(b.as_duration()).into()
}
