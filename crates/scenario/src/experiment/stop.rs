//! Stop conditions: who is watched, and whether there is time enough for one to be met.

use murphy_core::{LoadName, ProbeName, Span};

use super::context::{Check, Cursor, Kind};
use super::unseen;
use crate::plan::{AbortRule, AbortWhen, Plan};
use crate::sentence::{self, AbortState};

/// All of them that can be understood.
pub(super) fn conditions(check: &mut Check<'_, '_>, here: Cursor<'_>, texts: &[String]) -> Vec<AbortRule> {
    let Some(list) = here.child("abort-if") else { return Vec::new() };
    let mut rules = Vec::new();
    for (at, text) in list.children().zip(texts) {
        match sentence::abort(text) {
            Err(error) => {
                check.findings.error(at.part(error.at), error.message).help(error.help);
            }
            Ok(abort) => {
                let place = at.part(abort.name_at);
                let when = match abort.state {
                    AbortState::Below(below) => {
                        check.must_be_load(&abort.name, place);
                        LoadName::new(&abort.name).map(|load| AbortWhen::Success { load, below })
                    }
                    AbortState::Failing => {
                        check.must_be(Kind::Probe, &abort.name, place);
                        ProbeName::new(&abort.name).map(|probe| AbortWhen::Failing { probe })
                    }
                };
                if let Ok(when) = when {
                    rules.push(AbortRule { when, lasts: abort.lasts, text: text.trim().to_owned() });
                }
            }
        }
    }
    rules
}

/// One that would have to hold for longer than is watched, or that takes more answers than there are: whoever relies on it is not
/// protected.
pub(super) fn never_met(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let (Some(list), true) = (root.child("abort-if"), check.phases.is_some()) else { return };
    let watched = watched(plan);
    for (at, rule) in list.children().zip(&plan.abort_if) {
        if takes(plan, rule) >= watched.as_micros() {
            check
                .findings
                .warning(
                    at.own(),
                    format!("this can never be met: {watched} of the run are watched without a break"),
                )
                .help("write a shorter time, or longer phases");
        } else if let Some((message, help)) = too_few(plan, rule) {
            check.findings.warning(at.own(), message).help(help);
        }
    }
}

/// Where a load sends fewer requests in that time than decide: what is to be told, and what helps.
fn too_few(plan: &Plan, rule: &AbortRule) -> Option<(String, String)> {
    let AbortWhen::Success { load, .. } = &rule.when else { return None };
    let load = plan.loads.iter().find(|one| one.name == *load)?;
    // As high as it ever is.
    let rate = load.ramp.map_or(load.rate, |ramp| ramp.to).as_per_second();
    let planned = rate * rule.lasts.as_secs_f64();
    let enough = AbortRule::ENOUGH as f64;
    (unseen::most(load, planned) < enough).then(|| {
        let longer = (enough / rate).ceil();
        (
            format!(
                "this can hardly be met: it takes {enough} answers within {}, and `{}` sends about {planned:.1} requests in it",
                rule.lasts, load.name
            ),
            format!("write `for {longer}s` or longer, or a higher `rate` of the load"),
        )
    })
}

/// The longest time without a break in which anything counts: the load may be stopped and begun again behind the recovery.
fn watched(plan: &Plan) -> Span {
    let phases = &plan.phases;
    let first: u64 = [phases.baseline, phases.fault, phases.recovery].map(Span::as_micros).iter().sum();
    Span::from_micros(first).max(if phases.quiet.is_zero() { Span::ZERO } else { phases.again })
}

/// In microseconds, how long it takes at least from one request or question to the one that meets it.
fn takes(plan: &Plan, rule: &AbortRule) -> u64 {
    let lasts = rule.lasts.as_micros();
    let every = match &rule.when {
        AbortWhen::Success { .. } => None,
        AbortWhen::Failing { probe } => plan.probes.iter().find(|one| one.name == *probe),
    };
    match every.map(|probe| probe.every.as_micros()) {
        Some(every) if every > 0 => lasts.div_ceil(every).max(1).saturating_mul(every),
        _ => lasts,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Settings, load_text};

    #[test]
    fn a_stop_condition_that_takes_longer_than_is_watched_is_a_warning_at_its_place() {
        let warned = |condition: &str| {
            let text = format!(
                "murphy: 1\nname: x\nlearn: all\nphases: {{ warm-up: 9s, baseline: 10s, fault: 10s, recovery: 10s }}\n\
                 edges: {{ db: {{ listen: 127.0.0.1:1, to: 127.0.0.1:2 }} }}\n\
                 load: {{ a: {{ http: http://127.0.0.1/, rate: 30/s }} }}\n\
                 probes: {{ ready: {{ tcp: 127.0.0.1:3, every: 8s }} }}\n\
                 faults: [{{ edge: db, inject: {{ latency: 1s }} }}]\n\
                 abort-if: [ \"a success < 1% for 5s\", \"{condition}\" ]\n"
            );
            let warnings = load_text("x.yaml", &text, &Settings::default()).unwrap().warnings;
            (warnings.list.len(), warnings.to_string())
        };
        // The probe is asked every 8 s: four times that are more than the 30 s behind the warm-up.
        for never in ["a success < 20% for 30s", "ready failing for 25s", "ready failing for 10h"] {
            let (count, told) = warned(never);
            assert!(count == 1 && told.contains("this can never be met: 30s"), "{told}");
            assert!(told.contains("x.yaml:9:3"), "{told}");
        }
        for met in ["a success < 20% for 29s", "ready failing for 24s", "ready failing for 1s"] {
            let (count, told) = warned(met);
            assert_eq!(count, 0, "{told}");
        }
    }

    #[test]
    fn a_stop_condition_that_takes_more_answers_than_its_load_sends_is_a_warning_at_its_place() {
        let warned = |load: &str, condition: &str| {
            let text = format!(
                "murphy: 1\nname: x\nlearn: all\nphases: {{ warm-up: 1s, baseline: 100s, fault: 100s, recovery: 100s }}\n\
                 edges: {{ db: {{ listen: 127.0.0.1:1, to: 127.0.0.1:2 }} }}\n\
                 load: {{ a: {{ http: http://127.0.0.1/, {load} }} }}\n\
                 faults: [{{ edge: db, inject: {{ latency: 1s }} }}]\n\
                 abort-if: [ \"{condition}\" ]\n"
            );
            let warnings = load_text("x.yaml", &text, &Settings::default()).unwrap().warnings;
            let told = warnings.to_string();
            (told.contains("this can hardly be met"), told)
        };
        let even = "rate: 1/s, arrivals: constant";
        for (load, never, help) in [
            (even, "a success < 50% for 3s", "write `for 5s` or longer"),
            ("rate: 0.2/s", "a success < 50% for 10s", "write `for 25s` or longer"),
            ("rate: 90/s", "a success < 50% for 0s", "write `for 1s` or longer"),
        ] {
            let (is_warned, told) = warned(load, never);
            assert!(is_warned && told.contains("takes 5 answers") && told.contains(help), "{told}");
            assert!(told.contains("x.yaml:8:1"), "{told}");
        }
        for (load, met) in [
            // Five requests, the first and the last at its ends.
            (even, "a success < 50% for 4s"),
            ("rate: 1/s", "a success < 50% for 3s"),
            ("rate: 0.2/s, ramp: { to: 4/s, by: 10, every: 30s }", "a success < 50% for 2s"),
        ] {
            let (is_warned, told) = warned(load, met);
            assert!(!is_warned, "{told}");
        }
    }
}
