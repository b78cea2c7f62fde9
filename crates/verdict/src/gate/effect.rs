//! Did the fault take effect? Told by what it did to the calls on its edge, or to the process or container that it names. A fault
//! that was never in the world, hit nothing or did something else than it was asked for must not be taken for one that was survived.

use murphy_core::{ExitCause, FaultBrief, FaultId, Purpose, RunBrief, Span, Tally};

use super::{fails, holds};
use crate::edge::EdgeView;
use crate::judgement::{Gate, GateId};
use crate::phase::{Exit, FaultView, RunView, Window};
use crate::words;

/// At least so many calls must be hit, or so many connections.
const FEWEST_CALLS: u64 = 20;
const FEWEST_CONNECTIONS: u64 = 5;

pub(super) fn fault_took_effect(run: &RunView<'_>, brief: &RunBrief) -> Gate {
    const ID: GateId = GateId::FaultTookEffect;
    match (brief.faults.is_empty(), brief.purpose) {
        (true, Purpose::Control) => return holds(GateId::SomethingBroken, "control: nothing was broken"),
        (true, Purpose::Experiment) => {
            if let Some(load) = brief.loads.iter().find(|load| load.ramp.is_some()) {
                let text = format!("{} was raised, nothing was broken", load.name);
                return holds(GateId::SomethingBroken, text);
            }
            return fails(
                GateId::SomethingBroken,
                "nothing was broken",
                "write `faults:`, or `control: true`",
            );
        }
        (false, _) => {}
    }
    let mut texts = Vec::new();
    for planned in &brief.faults {
        match effect(run, planned) {
            Ok(text) => {
                texts.push(if brief.faults.len() > 1 { format!("{} {text}", planned.id) } else { text })
            }
            Err((text, mend)) => return fails(ID, format!("{} {text}", planned.id), mend),
        }
    }
    let text = texts.join(", ");
    holds(ID, if brief.faults.len() > 1 { text } else { format!("fault {text}") })
}

/// What is to be said of the first planned fault that was never in the world.
pub(crate) fn never_in_world(run: &RunView<'_>) -> Option<String> {
    let planned = run.brief.iter().flat_map(|brief| &brief.faults);
    let mut never = planned.filter(|fault| run.fault(&fault.id).is_none_or(|view| view.armed.is_none()));
    never.find_map(|fault| effect(run, fault).err().map(|(text, _)| format!("{} {text}", fault.id)))
}

fn effect(run: &RunView<'_>, planned: &FaultBrief) -> Result<String, (String, String)> {
    let view = run.fault(&planned.id);
    if let Some(why) = view.and_then(|view| view.failed.as_ref()) {
        return Err((format!("failed: {why}"), "mend what it says and run again".to_owned()));
    }
    if let Some(why) = view.and_then(|view| view.never.as_ref()) {
        let mend = "what it waits for must come: another trigger, more load or a longer fault phase";
        return Err((format!("was never armed: {why}"), mend.to_owned()));
    }
    let Some((view, armed)) = view.and_then(|view| Some((view, view.armed?))) else {
        return Err(("was never armed".to_owned(), "the run ended before its time came".to_owned()));
    };
    let window = Window { from: armed, to: view.lifted.unwrap_or(run.last.saturating_add(1)) };
    match planned.edge.as_ref().and_then(|name| run.edges.iter().find(|edge| &edge.name == name)) {
        Some(edge) => effect_on_edge(run, planned, view, edge, window),
        None => effect_on_process(run, planned, view, window),
    }
}

fn effect_on_edge(
    run: &RunView<'_>,
    planned: &FaultBrief,
    view: &FaultView,
    edge: &EdgeView,
    window: Window,
) -> Result<String, (String, String)> {
    let tally = view.tally.unwrap_or_default();
    // Calls begun in the fault, and those that were under way and hit.
    let (mut all, mut touched) = (0u64, 0u64);
    for call in &edge.calls {
        let hit = call.touched && call.began < window.to && window.from < call.ended;
        all += u64::from(window.holds(call.began) || hit);
        touched += u64::from(hit || call.touched && window.holds(call.began));
    }
    let healthy = edge.within(&run.baseline).count() as f64 / run.baseline.length().max(1) as f64;
    let expected = healthy * window.length() as f64;
    if edge.blind && expected >= FEWEST_CALLS as f64 {
        return Ok(format!("shut out about {:.0} calls", (expected - all as f64).max(0.0)));
    }
    // A caller that stops calling is hit seldom; that each of its few calls was hit is effect enough.
    let nearly_all = touched >= 3 && (all - touched) * 10 <= all.max(10);
    let stopped = nearly_all && (touched as f64) < expected * 0.5;
    let enough = tally.hits >= FEWEST_CALLS
        || tally.connections >= FEWEST_CONNECTIONS
        || touched >= FEWEST_CALLS
        || stopped;
    let text = match (all, touched) {
        (0, _) | (_, 0) => format!("hit {}", words::plural(tally.connections, "connection")),
        _ => format!("hit {touched}/{all} calls"),
    };
    if !enough {
        if planned.name == "refuse" && all > 0 {
            let mend =
                "`refuse` lets open connections go on, and the caller keeps its own: `reset` breaks them";
            return Err((format!("shut nobody out, {all} calls went through"), mend.to_owned()));
        }
        let mend = format!(
            "{FEWEST_CALLS} calls or {FEWEST_CONNECTIONS} connections are needed: does the load reach {}, for long enough?",
            edge.name
        );
        return Err((text, mend));
    }
    if let Some(other) = hit_alone(run, planned, view, window) {
        let mend = "let them follow each other, or order them so that each of them meets traffic";
        return Err((format!("hit nothing: what was hit was hit by {other}"), mend.to_owned()));
    }
    plausible_delay(planned, edge, window)?;
    Ok(text)
}

/// The fault that hit what this one did not, on the same edge at the same time: a call does not say by which it was touched.
fn hit_alone<'r>(
    run: &'r RunView<'_>,
    planned: &FaultBrief,
    view: &FaultView,
    window: Window,
) -> Option<&'r FaultId> {
    let is_idle = |tally: &Tally| tally.hits == 0 && tally.connections == 0;
    if !view.tally.as_ref().is_some_and(is_idle) {
        return None;
    }
    let beside = run.brief.iter().flat_map(|brief| &brief.faults).filter(|other| {
        // A reset beside a refusal cuts what was open: there may have been nothing.
        let belongs = planned.name == "reset" && other.name == "refuse";
        other.id != planned.id && other.edge == planned.edge && !belongs
    });
    let mut views = beside.filter_map(|other| run.fault(&other.id));
    views
        .find(|other| {
            let overlaps = other.armed.is_some_and(|armed| armed < window.to)
                && other.lifted.is_none_or(|lifted| window.from < lifted);
            overlaps && other.tally.as_ref().is_some_and(|tally| !is_idle(tally))
        })
        .map(|other| &other.id)
}

/// A delay that was asked for must be seen on the calls that were answered.
fn plausible_delay(planned: &FaultBrief, edge: &EdgeView, window: Window) -> Result<(), (String, String)> {
    let setting = |name: &str| planned.settings.get(name).and_then(|text| text.parse::<Span>().ok());
    let Some(delay) = setting("delay").filter(|_| matches!(planned.name.as_str(), "latency" | "delay"))
    else {
        return Ok(());
    };
    let jitter = setting("jitter").unwrap_or_default();
    let least = delay.as_micros().saturating_sub(jitter.as_micros()) as f64 * 0.8;
    let most = delay.as_micros().saturating_add(jitter.as_micros());
    let mut waits: Vec<u64> = edge
        .in_window(window)
        .iter()
        .filter(|call| call.touched)
        .filter_map(|call| Some((call.began, call.answered?)))
        .filter(|(began, answered)| tells_the_delay(*began, *answered, most, window.to))
        .map(|(began, answered)| answered.saturating_sub(began))
        .collect();
    waits.sort_unstable();
    match waits.get(waits.len() / 2) {
        Some(&median) if waits.len() >= 5 && (median as f64) < least => Err((
            format!("asked for {}, measured {}", words::span(delay), words::micros(median as f64)),
            "look at the fault's direction and match: the delay does not sit where the calls are".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// True if an answer tells how long the fault held its call, and not when the fault was lifted: what it holds then is let go a
/// moment before the lift is told, however long that should have waited: at most the delay with all its jitter. All in
/// microseconds.
fn tells_the_delay(began: u64, answered: u64, most: u64, lifted: u64) -> bool {
    const AROUND_THE_LIFT: u64 = 1_000_000;
    answered < lifted
        && (began.saturating_add(most) <= lifted || answered.saturating_add(AROUND_THE_LIFT) <= lifted)
}

fn effect_on_process(
    run: &RunView<'_>,
    planned: &FaultBrief,
    view: &FaultView,
    window: Window,
) -> Result<String, (String, String)> {
    const SLACK: u64 = 2_000_000;
    let near = |exit: &&Exit| exit.at + SLACK >= window.from && exit.at < window.to.saturating_add(SLACK);
    // Only what ends its target may take an end for its effect: a pause beside a kill must be counted by itself.
    let ends_its_target = ends_target(planned);
    let mut ended = run.exits.iter().filter(|exit| ends_its_target && exit.cause == ExitCause::Fault);
    // Of two faults that end something at once, each has what it names; who names nothing in particular has the rest.
    let others = || run.brief.iter().flat_map(|brief| &brief.faults).filter(|other| other.id != planned.id);
    let of_another =
        |exit: &Exit| !names(planned, exit) && others().any(|other| ends_target(other) && names(other, exit));
    if let Some(exit) = ended.find(|exit| near(exit) && !of_another(exit)) {
        return Ok(format!("ended {}", exit.service));
    }
    let tally = view.tally.unwrap_or_default();
    if tally.hits > 0 || tally.connections > 0 {
        return Ok(format!("hit {}", planned.on));
    }
    Err((format!("did nothing to {}", planned.on), "no process ended and nothing was counted".to_owned()))
}

/// True for faults that end a process or a container.
pub(crate) fn ends_target(fault: &FaultBrief) -> bool {
    matches!(fault.name.as_str(), "kill" | "stop" | "restart" | "remove" | "signal")
}

/// True if the fault's target names what ended.
fn names(fault: &FaultBrief, exit: &Exit) -> bool {
    fault.on.split_whitespace().any(|word| word == exit.service)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use murphy_core::{EdgeName, ExchangeEnd};

    use super::*;
    use crate::edge::{Call, Harm};
    use crate::phase::Windows;

    const LIFTED: u64 = 5_900_000;

    /// What the gate says of a delay of 2 s on calls with this beginning and this answer, in milliseconds.
    fn of_two_seconds(jitter: Option<&str>, calls: &[(u64, u64)]) -> Result<(), (String, String)> {
        let mut settings = BTreeMap::from([("delay".to_owned(), "2s".to_owned())]);
        settings.extend(jitter.map(|jitter| ("jitter".to_owned(), jitter.to_owned())));
        let planned = FaultBrief {
            id: FaultId::new("latency-1").unwrap(),
            name: "latency".to_owned(),
            text: "latency 2s".to_owned(),
            settings,
            edge: Some(EdgeName::new("db").unwrap()),
            on: "db".to_owned(),
            trigger: None,
            at: Span::ZERO,
            lasts: Span::from_micros(LIFTED),
        };
        let call = |(began, answered): &(u64, u64)| Call {
            began: began * 1_000,
            answered: Some(answered * 1_000),
            ended: answered * 1_000,
            end: ExchangeEnd::Answered,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        };
        let edge = EdgeView {
            name: EdgeName::new("db").unwrap(),
            from: None,
            instance_of: None,
            calls: calls.iter().map(call).collect(),
            conns: Vec::new(),
            harm: Harm::Slow,
            delays: true,
            blind: false,
            hurt: Windows::default(),
        };
        plausible_delay(&planned, &edge, Window { from: 0, to: LIFTED })
    }

    #[test]
    fn a_call_that_the_lift_let_go_tells_nothing_of_the_delay() {
        // Held since between 80 % of the delay and all of it before the lift, and let go a moment before that is told.
        let let_go = [(4_250, 5_800), (4_260, 5_800), (4_270, 5_800), (4_280, 5_800), (4_290, 5_800)];
        assert_eq!(of_two_seconds(None, &let_go), Ok(()));
        // What comes after the lift.
        let after = [(3_800, 5_900), (3_810, 5_900), (3_820, 5_900), (3_830, 5_900), (3_840, 5_900)];
        assert_eq!(of_two_seconds(None, &after), Ok(()));
        // With its jitter a call may be held for a second longer.
        let jittered = [(5_050, 5_800), (5_060, 5_805), (5_070, 5_810), (5_080, 5_815), (5_090, 5_820)];
        assert_eq!(of_two_seconds(Some("1s"), &jittered), Ok(()));
    }

    #[test]
    fn calls_that_are_answered_too_soon_tell_that_the_delay_does_not_sit_there() {
        // Held since before the last two seconds, or answered at once long before the lift.
        let held = [(3_800, 5_000), (3_810, 5_000), (3_820, 5_000), (3_830, 5_000), (3_840, 5_000)];
        let at_once = [(4_800, 4_802), (4_810, 4_812), (4_820, 4_822), (4_830, 4_832), (4_840, 4_842)];
        for calls in [held, at_once] {
            let (text, _) = of_two_seconds(None, &calls).unwrap_err();
            assert!(text.starts_with("asked for 2s, measured"), "{text}");
        }
    }

    #[test]
    fn a_fault_that_is_never_lifted_lets_every_call_tell() {
        assert!(tells_the_delay(1, 2, 2_000_000, u64::MAX));
    }
}
