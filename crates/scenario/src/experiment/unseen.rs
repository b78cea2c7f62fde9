//! Expectations that a scenario can never put to the test, told by its own numbers: what a load sends, when a probe is
//! asked, how many faults there are and how much quiet is between them. What could be told in a lucky run is no error here.

use murphy_core::{Expectation, LoadName, ProbeName, Rule, RunPart, Span, Subject, SuccessRule};

use super::context::{Check, Cursor};
use super::lint::place_of;
use crate::plan::{Arrivals, FaultStep, FaultTarget, LoadPlan, Plan, ProbePlan};

/// What is wrong, and what to write.
type Told = (String, String);

/// Reports them; of a scenario that has other mistakes nothing is said, for its faults may not all be known.
pub(super) fn errors(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    if check.findings.error_count() > 0 || plan.faults.is_empty() {
        return;
    }
    for rule in &plan.expectations {
        if let Some((message, help)) = told(plan, rule) {
            check.findings.error(place_of(root, rule), message).help(help);
        }
    }
}

fn told(plan: &Plan, rule: &Expectation) -> Option<Told> {
    match (&rule.subject, &rule.rule) {
        (_, Rule::Isolation { .. }) => isolation(plan),
        (Subject::Run, Rule::Recovery { .. }) => recovery(plan),
        (Subject::Load(name), Rule::FailFast { at_most }) => fail_fast(plan, name, *at_most, &rule.id),
        (Subject::Probe(name), asked) => probe(plan, name, asked, &rule.id),
        (Subject::Edge(name), asked) => {
            let name = name.as_str();
            spared(plan, name, &rule.id).or_else(|| match asked {
                Rule::NoLeak => leak(plan, name, &rule.id),
                Rule::BreakerCloses { .. } => closes(plan, &rule.id),
                Rule::HalfOpenEvery { at_least } => half_open_every(plan, *at_least, &rule.id),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Nobody stands by where there is one load only.
fn isolation(plan: &Plan) -> Option<Told> {
    let [only] = &plan.loads[..] else { return None };
    Some((
        format!(
            "`isolation` is about users who do not need what breaks, and `{}` is the only load",
            only.name
        ),
        format!(
            "write a second load, or ask the same of this one: `{}: {{ success: within 1% of baseline }}`",
            only.name
        ),
    ))
}

/// The requests that show a baseline to be healthy (Wilson), and the goal beyond which no more are needed.
const GOAL: f64 = 0.95;
/// The windows in a row that count as recovered, and the requests in each.
const WINDOWS: f64 = 5.0;
const REQUESTS: f64 = 20.0;

/// How long is watched after the last fault, at most: a fault may be over before its phase is. One that waits for something is taken
/// to begin as soon as it may.
pub(super) fn watched(plan: &Plan) -> Span {
    let phases = &plan.phases;
    let lifts = plan.faults.iter().map(|step| step.at.as_micros() + step.lasts.as_micros());
    let last = lifts.max().unwrap_or(phases.fault.as_micros());
    Span::from_micros((phases.fault.as_micros() + phases.recovery.as_micros()).saturating_sub(last))
}

/// A baseline that is too small, or a recovery that is watched for too short, decides nothing.
fn recovery(plan: &Plan) -> Option<Told> {
    let phases = &plan.phases;
    let watched = watched(plan);
    if watched <= Span::from_secs(4) {
        return Some((
            format!(
                "`recovery` takes {WINDOWS} seconds of good answers in a row, and {watched} are left after the last fault"
            ),
            "write `phases: { recovery: 10s }` or longer".to_owned(),
        ));
    }
    plan.loads.iter().find_map(|load| {
        let (what, help) = too_few(load, "baseline", phases.baseline, healthy(plan, &load.name))?;
        Some((format!("`recovery` {what}"), help))
    })
}

/// Calls are as before where that is seen for five seconds.
fn closes(plan: &Plan, rule: &str) -> Option<Told> {
    const SEEN: Span = Span::from_secs(5);
    let watched = watched(plan);
    (watched <= SEEN).then(|| {
        (
            format!("`{rule}` takes {SEEN} of calls as before, and {watched} are left after the last fault"),
            "write `phases: { recovery: 15s }` or longer".to_owned(),
        )
    })
}

/// Two tries that are so far apart, or none for so long, take a fault that lasts longer: all of them, for they may follow one another.
fn half_open_every(plan: &Plan, at_least: Span, rule: &str) -> Option<Told> {
    let first = plan.faults.iter().map(|step| step.at.as_micros()).min()?;
    let last = plan.faults.iter().map(|step| step.at.as_micros() + step.lasts.as_micros()).max()?;
    let lasts = Span::from_micros(last.saturating_sub(first));
    (lasts <= at_least).then(|| {
        let enough = Span::from_micros(at_least.as_micros().saturating_mul(3));
        (
            format!(
                "`{rule}` asks for {at_least} between two tries, and all that is broken is over after {lasts}"
            ),
            format!("write a shorter time, or `phases: {{ fault: {enough} }}` or longer"),
        )
    })
}

/// Where a load sends fewer requests in a phase than are needed.
fn too_few(load: &LoadPlan, phase: &str, length: Span, needed: f64) -> Option<Told> {
    let rate = (needed / length.as_secs_f64()).ceil();
    let longer = (needed / load.rate.as_per_second()).ceil();
    let planned = load.rate.as_per_second() * length.as_secs_f64();
    (most(load, planned) < needed).then(|| {
        (
            format!(
                "takes {needed} requests in the {phase} phase, and `{}` sends about {planned:.0} in {length}",
                load.name
            ),
            format!("write `rate: {rate}/s`, or `phases: {{ {phase}: {longer}s }}`"),
        )
    })
}

/// Too few requests after the faults to see a recovery. That there is none can be seen with fewer, or by another load.
pub(super) fn warnings(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let short =
        || plan.loads.iter().find_map(|load| too_few(load, "recovery", watched(plan), WINDOWS * REQUESTS));
    for rule in &plan.expectations {
        if let (Subject::Run, Rule::Recovery { .. }) = (&rule.subject, &rule.rule)
            && let Some((what, help)) = short()
        {
            check
                .findings
                .warning(place_of(root, rule), format!("`recovery` can fail, but hardly hold: it {what}"))
                .help(help);
        }
    }
}

/// The requests that bound p95 from above.
const BOUNDED: f64 = 72.0;

/// Each request is followed for the whole bound within the fault.
fn fail_fast(plan: &Plan, name: &LoadName, at_most: Span, id: &str) -> Option<Told> {
    let load = plan.loads.iter().find(|load| load.name == *name)?;
    let followed = Span::from_micros(plan.phases.fault.as_micros().saturating_sub(at_most.as_micros()));
    let longer = (at_most.as_secs_f64() + BOUNDED / load.rate.as_per_second()).ceil();
    let planned = load.due_in_fault(followed);
    (most(load, planned) < BOUNDED).then(|| {
        (
            format!(
                "`{id}` takes {BOUNDED} requests that come {at_most} or more before the end of the fault, and `{name}` sends about \
                 {planned:.0}"
            ),
            format!("write `phases: {{ fault: {longer}s }}` or longer, a higher `rate`, or a shorter bound"),
        )
    })
}

/// The fewest good requests that show a load to meet its goal: 73 for 95 %.
fn healthy(plan: &Plan, load: &LoadName) -> f64 {
    let goal = plan.expectations.iter().find_map(|rule| match (&rule.subject, &rule.rule) {
        (Subject::Load(name), Rule::Success { rule: SuccessRule::AtLeast(least), .. }) if name == load => {
            Some(least.as_fraction())
        }
        _ => None,
    });
    let goal = goal.unwrap_or(GOAL).min(GOAL);
    (goal * 1.96 * 1.96 / (1.0 - goal)).ceil()
}

/// The most requests that there can be where so many are planned, but for one run in forty.
pub(super) fn most(load: &LoadPlan, planned: f64) -> f64 {
    match load.arrivals {
        Arrivals::Poisson => planned + 2.0 * planned.sqrt(),
        Arrivals::Constant => planned + 1.0,
    }
}

/// A service that is hurt can make any edge fail; without one, an edge without a fault never does.
fn spared(plan: &Plan, edge: &str, rule: &str) -> Option<Told> {
    (!plan.faults.iter().any(|step| meets(step, edge))).then(|| {
        (
            format!("`{rule}` can never be seen: no fault sits on `{edge}`"),
            format!("write a fault with `edge: {edge}`, or remove the rule"),
        )
    })
}

fn meets(step: &FaultStep, name: &str) -> bool {
    match &step.target {
        FaultTarget::Edge { edge, .. } => edge.as_str() == name,
        _ => true,
    }
}

/// Faults, one after another, that tell a leak from a pool that grows; and the quiet that each needs behind it.
const CYCLES: usize = 4;
const QUIET: u64 = 4_000_000;

fn leak(plan: &Plan, edge: &str, rule: &str) -> Option<Told> {
    let steps: Vec<&FaultStep> = plan.faults.iter().filter(|step| meets(step, edge)).collect();
    if steps.iter().any(|step| step.trigger.is_some()) {
        // When it begins is not known.
        return None;
    }
    let mut times: Vec<(u64, u64)> = steps
        .iter()
        .map(|step| (step.at.as_micros(), step.at.as_micros() + step.lasts.as_micros()))
        .collect();
    times.sort_unstable();
    let end = plan.phases.fault.as_micros() + plan.phases.recovery.as_micros();
    let mut quiet: usize = 0;
    let mut broken_to: Option<u64> = None;
    for (from, to) in times {
        quiet += usize::from(broken_to.is_some_and(|before| from >= before + QUIET));
        broken_to = broken_to.max(Some(to));
    }
    quiet += usize::from(broken_to.is_some_and(|last| end >= last + QUIET));
    let before = plan.phases.baseline.as_micros() >= QUIET;
    (quiet < CYCLES || !before).then(|| {
        let what = if before {
            format!("{quiet} of {CYCLES} faults with 4s of quiet behind each")
        } else {
            "no 4s of quiet before the first fault".to_owned()
        };
        (
            format!("`{rule}` tells a leak from a pool that grows by {CYCLES} short faults: here is {what}"),
            "write for example `for: 1s, every: 6s` in the fault, and `phases: { baseline: 10s, fault: 24s, recovery: 10s }`"
                .to_owned(),
        )
    })
}

/// Answers in a row that make a state of a probe.
const IN_A_ROW: u64 = 3;

fn probe(plan: &Plan, name: &ProbeName, rule: &Rule, id: &str) -> Option<Told> {
    if let Rule::StartUp { .. } = rule {
        return never_started(plan, id);
    }
    let probe = plan.probes.iter().find(|probe| probe.name == *name)?;
    let phases = &plan.phases;
    let micros = |span: Span| span.as_micros();
    let baseline = micros(phases.warm_up);
    let fault = baseline + micros(phases.baseline);
    let recovery = fault + micros(phases.fault);
    let end = recovery + micros(phases.recovery);
    let before = ("baseline", baseline, fault, phases.baseline);
    let during = ("fault", fault, recovery, phases.fault);
    let watched = watched(plan);
    let after = |grace: Span| ("recovery", end - micros(watched) + micros(grace), end, watched);
    let (parts, needed) = match rule {
        Rule::Always => (vec![during], 1),
        Rule::Follows { .. } => (vec![before, during, after(Span::ZERO)], IN_A_ROW),
        Rule::Good { part: RunPart::Before, .. } => (vec![before], 1),
        Rule::Good { part: RunPart::During, .. } => (vec![during], 1),
        Rule::Good { part: RunPart::After, after: grace } if *grace >= watched => {
            return Some((
                format!("`{id}` can never be told: {watched} are left after the last fault"),
                format!("write a shorter time, or `phases: {{ recovery: {grace} }}` or longer"),
            ));
        }
        Rule::Good { part: RunPart::After, after: grace } => (vec![after(*grace)], 1),
        _ => return None,
    };
    let (phase, from, to, length) = parts.into_iter().find(|(phase, from, to, length)| {
        // A question that is open when the fault comes is the fault's.
        let early = if *phase == "fault" { probe.within } else { Span::from_millis(500) };
        length.is_zero() || most_asked(plan, probe, from.saturating_sub(early.as_micros()), *to) < needed
    })?;
    let times = if needed == 1 { "not once".to_owned() } else { format!("not {needed} times") };
    let help = if length.is_zero() {
        format!("write `phases: {{ {phase}: 10s }}`")
    } else {
        let every = Span::from_millis(((to - from) / 1_000 / needed / 2).max(1));
        format!("write for example `every: {every}` below `{name}`, or a longer `{phase}` in `phases`")
    };
    Some((
        format!(
            "`{id}` can never be told: `{name}`, every {}, is {times} asked in the {phase} phase, from {} to {}",
            probe.every,
            Span::from_micros(from),
            Span::from_micros(to)
        ),
        help,
    ))
}

/// Of starts that no fault brings about; what becomes of processes that Murphy does not start, it does not see.
fn never_started(plan: &Plan, id: &str) -> Option<Told> {
    let ends = |step: &FaultStep| {
        matches!(step.target, FaultTarget::Service { .. } | FaultTarget::Container { .. })
            && matches!(step.fault.name(), "kill" | "stop" | "restart" | "remove" | "signal")
    };
    (!plan.faults.iter().any(ends)).then(|| {
        (
            format!("`{id}` can never be told: no service is ended and started again"),
            "write beside the fault on its edge one like `{ service: NAME, inject: kill, at: 5s, for: 1s }`"
                .to_owned(),
        )
    })
}

/// How often a probe can be asked in a part of the run and a little after it: what is not put into the network takes its time.
fn most_asked(plan: &Plan, probe: &ProbePlan, from: u64, to: u64) -> u64 {
    let on_edges = plan.faults.iter().all(|step| matches!(step.target, FaultTarget::Edge { .. }));
    let late = if on_edges { 1_000_000 } else { 15_000_000 };
    let every = probe.every.as_micros().max(1);
    let until = |time: u64| time.div_ceil(every);
    until(to + late) - until(from)
}
