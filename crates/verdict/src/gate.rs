//! Whether the run can be trusted at all. A gate that fails does not fail a service: it turns the answers that depend on
//! it into "inconclusive", with the reason, because a fault without effect proves nothing and a lying sender proves less.

mod baseline;
mod effect;
mod load;

use murphy_core::{ExitCause, ProcessStatus};

use baseline::baseline_healthy;
use effect::fault_took_effect;
use load::{load_on_time, load_sent};

pub(crate) use baseline::goodness;
pub(crate) use effect::{ends_target, never_in_world};
pub(crate) use load::lag;

use crate::judgement::{Gate, GateId, RowKind};
use crate::phase::{ByHand, Exit, RunView};
use crate::words;

impl GateId {
    /// Why an answer is not given, in a few words.
    pub fn complaint(self) -> &'static str {
        match self {
            GateId::SomethingBroken => "nothing was broken",
            GateId::FaultTookEffect => "the fault had no effect",
            GateId::BaselineHealthy => "the baseline is not healthy",
            GateId::LoadSent => "the load was not sent as planned",
            GateId::LoadOnTime => "the load was sent late",
            GateId::NothingLost => "events are missing",
            GateId::ServicesUp => "a service was down",
            GateId::HandsOff => "it was steered by hand",
        }
    }

    /// True if a row of this kind means nothing when the gate fails.
    pub fn carries(self, kind: RowKind) -> bool {
        match self {
            GateId::SomethingBroken
            | GateId::FaultTookEffect
            | GateId::BaselineHealthy
            | GateId::NothingLost
            | GateId::HandsOff => kind != RowKind::Alive,
            GateId::LoadSent => !matches!(kind, RowKind::Alive | RowKind::Always | RowKind::Good),
            // Latency counts from the intended time, so a late sender can only make a service look slower: a pass stands.
            GateId::LoadOnTime => {
                matches!(kind, RowKind::Latency | RowKind::FailFast | RowKind::Recovery | RowKind::Isolation)
            }
            // A dead caller calls nobody, which looks like a perfect breaker.
            GateId::ServicesUp => {
                matches!(
                    kind,
                    RowKind::Timeout
                        | RowKind::Attempts
                        | RowKind::Amplification
                        | RowKind::Breaker
                        | RowKind::CallsToOpen
                        | RowKind::HalfOpenEvery
                        | RowKind::Closes
                        | RowKind::Pool
                        | RowKind::Failover
                )
            }
        }
    }
}

/// All gates, in the order in which a report shows them.
pub(crate) fn gates(run: &RunView<'_>) -> Vec<Gate> {
    let Some(brief) = run.brief else { return vec![nothing_lost(run)] };
    // First, where it is asked at all: whatever else is in doubt may be of somebody's own making.
    let mut gates: Vec<Gate> = hands_off(run).into_iter().collect();
    gates.extend([
        fault_took_effect(run, brief),
        baseline_healthy(run, brief),
        load_sent(run),
        load_on_time(run, brief),
        nothing_lost(run),
        services_up(run),
    ]);
    gates
}

/// True if one of these gates fails. One that was not asked does not.
pub(crate) fn any_fails(gates: &[Gate], ids: &[GateId]) -> bool {
    gates.iter().any(|gate| !gate.holds && ids.contains(&gate.id))
}

fn holds(id: GateId, text: impl Into<String>) -> Gate {
    Gate { id, holds: true, text: text.into(), mend: String::new() }
}

fn fails(id: GateId, text: impl Into<String>, mend: impl Into<String>) -> Gate {
    Gate { id, holds: false, text: text.into(), mend: mend.into() }
}

fn nothing_lost(run: &RunView<'_>) -> Gate {
    const ID: GateId = GateId::NothingLost;
    let missing = run.loads.iter().fold(0u64, |sum, load| sum.saturating_add(load.missing));
    let said = [
        (run.loss.events, "events lost"),
        (run.loss.gaps, "gaps in the journal"),
        (missing, "requests missing from the journal"),
        (run.loss.panics, "connections panicked"),
        (run.loss.accepts, "connections not accepted"),
    ];
    let bad: Vec<String> =
        said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if bad.is_empty() {
        return holds(ID, "0 events lost");
    }
    fails(ID, bad.join(", "), "what is missing may be what went wrong: run again on a calmer machine")
}

fn services_up(run: &RunView<'_>) -> Gate {
    const ID: GateId = GateId::ServicesUp;
    let crashed: Vec<String> =
        run.exits.iter().filter(|exit| exit.cause == ExitCause::Itself).map(end_of).collect();
    if crashed.is_empty() {
        return holds(ID, "services up");
    }
    fails(ID, crashed.join(", "), "see its last lines")
}

/// What was measured is then of what somebody did, too, and nobody can repeat it.
fn hands_off(run: &RunView<'_>) -> Option<Gate> {
    let ByHand { at, first, more } = run.by_hand.as_ref()?;
    let when = words::micros(at.saturating_sub(run.first) as f64);
    let more = match more {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let mend = "run again with hands off; `murphy top --run` only looks without --hands";
    Some(fails(GateId::HandsOff, format!("steered by hand: {first} at {when}{more}"), mend))
}

/// `shop ended by itself (exit code 101)`.
pub(crate) fn end_of(exit: &Exit) -> String {
    let status = match exit.status {
        ProcessStatus::Code(code) => format!("exit code {code}"),
        ProcessStatus::Signal(signal) => format!("signal {signal}"),
    };
    let why = if exit.out_of_memory { ", out of memory" } else { "" };
    format!("{} ended by itself ({status}{why})", exit.service)
}
