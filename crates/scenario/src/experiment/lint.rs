//! What can be run and is still wrong: errors for what could never be judged, warnings for what is probably not meant.

use murphy_core::{Chance, Expectation, Purpose, Quantile, Rule, Span, Subject, SuccessRule};

use murphy_faults::{Fault, Removal, Remove};

use super::context::{Check, Cursor};
use super::needs;
use super::unseen::watched;
use crate::diagnostic::Severity;
use crate::plan::{EdgePlan, FaultStep, FaultTarget, LoadPlan, Plan, Route};

/// Assertions that can never be evaluated.
pub(super) fn errors(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    // A misspelt section was reported as such; that it is missing as well is no news.
    let whole = !root.has_gone();
    if whole && !root.has("load") && !root.has("probes") {
        check.findings.whole(Severity::Error, "nothing to judge by: neither `load` nor `probes`").help(
            "write what users do: `load: { browse: { http: GET http://127.0.0.1:8000/, rate: 30/s } }`",
        );
    }
    let place = root.child("phases").unwrap_or(root);
    if check.phases.is_some_and(|phases| phases.baseline.is_zero()) && root.has("load") {
        check
            .findings
            .error(place.value("baseline"), "without a baseline there is nothing to compare with")
            .help("write for example `baseline: 20s`");
    }
    if plan.purpose == Purpose::Control && !plan.faults.is_empty() {
        check
            .findings
            .error(root.key("control"), "`control: true` in a scenario that breaks something")
            .also(root.key("faults"), "what breaks")
            .help("remove one of the two");
    }
    let no_load = whole && !root.has("load");
    let no_faults = whole && root.child("faults").is_none_or(|list| list.children().next().is_none());
    for rule in &plan.expectations {
        let at = place_of(root, rule);
        match &rule.rule {
            Rule::Recovery { at_most } => {
                let watched = watched(plan);
                if check.phases.is_some() && *at_most > watched {
                    let lacks = at_most.as_micros() - watched.as_micros();
                    let enough = Span::from_micros(plan.phases.recovery.as_micros() + lacks);
                    check
                        .findings
                        .error(
                            at,
                            format!(
                                "recovery within {at_most} cannot be seen: {watched} are left after the last fault"
                            ),
                        )
                        .help(format!("write a shorter bound, or `phases: {{ recovery: {enough} }}` or longer"));
                }
                if no_load {
                    needs_load(check, at, "recovery");
                }
                if no_faults {
                    never_seen(check, at, rule);
                }
            }
            Rule::NoneLost | Rule::NoneTwice | Rule::DeadLetters { .. } => {
                super::ledger::errors(check, root, plan, rule);
            }
            Rule::AsDeclared if needs::undeclared(plan, &rule.subject) => needs::error(check, at, plan, rule),
            Rule::Capacity { at_least } => super::capacity::errors(check, root, plan, rule, *at_least),
            Rule::Ejects if matches!(&rule.subject, Subject::Edge(name) if alone(plan, name.as_str())) => {
                check
                    .findings
                    .error(
                        at,
                        format!("`{}` cannot be seen: this edge is to no instance of several", rule.id),
                    )
                    .help(instances(plan, &rule.subject));
            }
            Rule::Amplification { .. } if no_load => needs_load(check, at, "amplification"),
            Rule::Pool { .. } if no_load => needs_load(check, at, "pool"),
            Rule::Amplification { .. }
            | Rule::Timeout { .. }
            | Rule::Attempts { .. }
            | Rule::BreakerOpens
            | Rule::BreakerOpensWithin { .. }
            | Rule::CallsToOpen { .. }
            | Rule::HalfOpenEvery { .. }
            | Rule::BreakerCloses { .. }
            | Rule::Pool { .. }
            | Rule::BackOffGrows
            | Rule::Jitter
            | Rule::ReconnectsSpread
            | Rule::NoLeak
            | Rule::Ejects
            | Rule::AsDeclared
            | Rule::NotMetastable
            | Rule::FailFast { .. }
            | Rule::Follows { .. }
            | Rule::StartUp { .. }
                if no_faults =>
            {
                never_seen(check, at, rule);
            }
            _ => {}
        }
    }
    traceless(check, root, plan);
    super::unseen::errors(check, root, plan);
}

/// What to write so that an edge is to one instance of several.
fn instances(plan: &Plan, subject: &Subject) -> String {
    let is_it = |edge: &&EdgePlan| matches!(subject, Subject::Edge(name) if &edge.name == name);
    let of = plan.edges.iter().find(is_it).and_then(|edge| edge.instance_of.as_ref());
    match of {
        Some(of) if plan.edges.iter().filter(|edge| edge.instance_of.as_ref() == Some(of)).count() > 1 => {
            format!(
                "the other edges with `instance-of: {of}` are another caller's: write one of the same caller"
            )
        }
        Some(of) => {
            format!("`{of}` has this one instance: write `instance-of: {of}` on the edges to the others")
        }
        None => "write `instance-of: NAME` on it and on the edges to the other instances".to_owned(),
    }
}

/// True if no other edge of the same caller is to an instance of the same dependency.
fn alone(plan: &Plan, name: &str) -> bool {
    let Some(edge) = plan.edges.iter().find(|edge| edge.name.as_str() == name) else { return true };
    let same = |other: &&EdgePlan| {
        other.instance_of == edge.instance_of && other.route.caller() == edge.route.caller()
    };
    edge.instance_of.is_none() || plan.edges.iter().filter(same).count() < 2
}

/// How callers take it when they are refused leaves no trace at the proxy: there is no call. Where nothing else breaks, what is asked of
/// their calls could never be told.
fn traceless(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    // A service that is hurt can make any edge fail in other ways.
    if plan.faults.iter().any(|step| !matches!(step.target, FaultTarget::Edge { .. })) {
        return;
    }
    for rule in &plan.expectations {
        let Subject::Edge(name) = &rule.subject else { continue };
        let help = match &rule.rule {
            Rule::Timeout { .. } | Rule::Pool { .. } => {
                "write `blackhole` or `latency`, which hold calls, in the place of `refuse`"
            }
            Rule::Attempts { .. }
            | Rule::BreakerOpens
            | Rule::BreakerOpensWithin { .. }
            | Rule::CallsToOpen { .. }
            | Rule::HalfOpenEvery { .. }
            | Rule::BreakerCloses { .. }
            | Rule::BackOffGrows
            | Rule::Jitter
            | Rule::Ejects => "write `reset` or `blackhole`, which calls run into, in the place of `refuse`",
            _ => continue,
        };
        let on_it =
            |step: &&FaultStep| matches!(&step.target, FaultTarget::Edge { edge, .. } if edge == name);
        let mut faults = plan.faults.iter().filter(on_it).peekable();
        // By chance, some connections are taken and reset: those are seen.
        let refused = faults.peek().is_some()
            && faults.all(|step| {
                let always =
                    matches!(&step.target, FaultTarget::Edge { chance, .. } if *chance == Chance::ALWAYS);
                always && matches!(step.fault, Fault::Refuse(_))
            });
        if refused && !leads_on(plan, name.as_str()) {
            check
                .findings
                .error(
                    place_of(root, rule),
                    format!("`{}` can never be seen: connections that are refused leave no trace", rule.id),
                )
                .help(help);
        }
    }
}

/// True if an edge leads into another one: what breaks there can be met here.
fn leads_on(plan: &Plan, name: &str) -> bool {
    let edge = plan.edges.iter().find(|edge| edge.name.as_str() == name);
    edge.is_some_and(|edge| {
        plan.edges.iter().any(
            |next| matches!(&next.route, Route::Listen { listen, .. } if listen.overlaps(edge.route.to())),
        )
    })
}

fn never_seen(check: &mut Check<'_, '_>, at: crate::source_map::Region, rule: &Expectation) {
    check
        .findings
        .error(at, format!("`{}` can never be seen: nothing breaks in this scenario", rule.id))
        .help("write a fault: `faults: [{ edge: NAME, inject: { latency: 800ms } }]`");
}

fn needs_load(check: &mut Check<'_, '_>, at: crate::source_map::Region, what: &str) {
    check
        .findings
        .error(at, format!("`{what}` is about users, and there is no `load`"))
        .help("write what users do: `load: { browse: { http: GET http://127.0.0.1:8000/, rate: 30/s } }`");
}

pub(super) fn place_of(root: Cursor<'_>, rule: &Expectation) -> crate::source_map::Region {
    let Some(expect) = root.child("expect") else { return root.own() };
    let name = match &rule.subject {
        Subject::Run => return expect.value(&rule.id),
        Subject::Load(name) => name.as_str(),
        Subject::Probe(name) => name.as_str(),
        Subject::Edge(name) => name.as_str(),
    };
    let key = rule.id.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    expect.child(name).map_or(expect.own(), |rules| rules.value(key))
}

/// The fewest samples with which the upper end of a 95 % interval of a quantile exists: 368 for p99.
///
/// The largest of n samples lies above the quantile q with probability 1 - q^n; two-sided, this must be 97.5 %.
fn samples_needed(quantile: Quantile) -> f64 {
    (0.025_f64.ln() / quantile.as_fraction().ln()).ceil()
}

/// What is probably not meant.
pub(super) fn warnings(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let raised = plan.loads.iter().any(|load| load.ramp.is_some());
    if plan.faults.is_empty() && plan.purpose == Purpose::Experiment && !raised {
        check.findings.whole(Severity::Warning, "nothing breaks: there are no `faults`, and the run will be inconclusive").help(
            "write for example `faults: [{ edge: NAME, inject: { latency: 800ms } }]`, or `control: true` if it is to be so",
        );
    }
    if plan.expectations.is_empty() && plan.learn.is_none() {
        check
            .findings
            .whole(Severity::Warning, "nothing is expected: every run would be graceful")
            .help("write `expect:`, or `learn: all` to have one proposed");
    }
    edges(check, root, plan);
    no_way_back(check, root, plan);
    super::trigger::never_comes(check, root, plan);
    super::stop::never_met(check, root, plan);
    super::unseen::warnings(check, root, plan);
    services(check, root, plan);
    probes(check, root, plan);
    for rule in &plan.expectations {
        let load = match &rule.subject {
            Subject::Load(name) => plan.loads.iter().find(|load| load.name == *name),
            Subject::Probe(_) | Subject::Edge(_) | Subject::Run => None,
        };
        match (&rule.rule, load) {
            (Rule::Latency { quantile, at_most }, Some(load)) => {
                latency(check, root, plan, rule, *quantile, *at_most, load)
            }
            (Rule::FailFast { at_most }, Some(load)) if *at_most > load.timeout => {
                check
                    .findings
                    .warning(
                        place_of(root, rule),
                        format!(
                            "this can hold, but never fail: `{}` gives every request up after {}",
                            load.name, load.timeout
                        ),
                    )
                    .help("write a smaller bound, or a longer `timeout` for the load");
            }
            (Rule::NotMetastable, _) if plan.phases.quiet.is_zero() => {
                check
                    .findings
                    .warning(place_of(root, rule), "this can hold, but never fail: the load is not stopped")
                    .help("write `phases: { recovery: 60s, quiet: 180s }`");
            }
            (Rule::Success { rule: SuccessRule::AtLeast(share), .. }, _) if share.as_fraction() == 0.0 => {
                check
                    .findings
                    .warning(place_of(root, rule), "this always holds")
                    .help("write a share above 0%");
            }
            _ => {}
        }
    }
}

fn latency(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    plan: &Plan,
    rule: &Expectation,
    quantile: Quantile,
    at_most: Span,
    load: &LoadPlan,
) {
    let planned = load.due_in_fault(plan.phases.fault).floor();
    let needed = samples_needed(quantile);
    if planned < needed {
        let rate = (needed / plan.phases.fault.as_secs_f64()).ceil();
        let length = (needed / load.rate.as_per_second()).ceil();
        check
            .findings
            .warning(
                place_of(root, rule),
                format!(
                    "{quantile} of `{}` needs {needed} requests during the fault; {planned} are planned",
                    load.name
                ),
            )
            .help(format!(
                "write `rate: {rate}/s`, or `phases: {{ fault: {length}s }}`, or judge a lower quantile"
            ));
    }
    if at_most >= load.timeout {
        check
            .findings
            .warning(
                place_of(root, rule),
                format!("this always holds: `{}` gives every request up after {}", load.name, load.timeout),
            )
            .help("write a smaller bound, or a longer `timeout` for the load");
    }
}

fn edges(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let Some(section) = root.child("edges") else { return };
    let hurt: std::collections::BTreeSet<&str> = plan
        .faults
        .iter()
        .filter_map(|step| match &step.target {
            FaultTarget::Edge { edge, .. } => Some(edge.as_str()),
            _ => None,
        })
        .collect();
    let judged: std::collections::BTreeSet<&str> = plan
        .expectations
        .iter()
        .filter_map(|rule| match &rule.subject {
            Subject::Edge(edge) => Some(edge.as_str()),
            Subject::Load(_) | Subject::Probe(_) | Subject::Run => None,
        })
        .collect();
    for (name, at) in section.fields() {
        // Of a run that breaks nothing, that was said, or is meant.
        if !plan.faults.is_empty()
            && !hurt.contains(name)
            && !judged.contains(name)
            && !needs::is_declared(plan, name)
            && !leads_on(plan, name)
            && alone(plan, name)
        {
            check
                .findings
                .warning(at.own(), format!("the edge `{name}` has no fault and no expectation"))
                .help("use it in `faults` or `expect`, or remove it");
        }
    }
}

/// Faults that nothing takes back: allowed, but nobody shall be surprised.
fn no_way_back(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let Some(section) = root.child("faults") else { return };
    let entries: Vec<Cursor<'_>> = section.children().collect();
    // What comes again and again is told once.
    for step in plan.faults.iter().filter(|step| step.turn == 1) {
        let Some(at) = entries.get(step.entry) else { continue };
        let (message, help) = match (&step.target, &step.fault) {
            (FaultTarget::Process { .. }, Fault::Kill(_)) => (
                "Murphy did not start this process and cannot start it again",
                "let Murphy start it (`services:`), or something else that watches over it",
            ),
            (FaultTarget::Container { .. }, Fault::Remove(Remove { how: Removal::ForGood })) => (
                "the container and its files are deleted, and nothing brings them back",
                "write `remove` alone: to all others the container is gone, and it comes back at the end",
            ),
            _ => continue,
        };
        check.findings.warning(at.value("inject"), message).help(help);
    }
}

fn services(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let Some(section) = root.child("services") else { return };
    for (service, (name, at)) in plan.services.iter().zip(section.fields()) {
        if service.ready.is_none() {
            check
                .findings
                .warning(at.own(), format!("load starts as soon as the process of `{name}` exists"))
                .help("write when it is up: `ready: { http: http://127.0.0.1:8000/health }`");
        }
    }
}

fn probes(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let Some(section) = root.child("probes") else { return };
    for (probe, (name, at)) in plan.probes.iter().zip(section.fields()) {
        if probe.every > plan.phases.fault {
            check
                .findings
                .warning(at.value("every"), format!("`{name}` may not be asked at all during the fault"))
                .help(format!("write a time shorter than the fault phase ({})", plan.phases.fault));
        }
    }
}
