//! What was measured, as an `expect:` block to paste: every bound a little wider than what was seen, so that the same run
//! passes again and a worse one does not.

use std::fmt::Write;

use murphy_core::{ProbeBrief, Subject};

use crate::compare::{most_calls, shortest};
use crate::detect::{Followed, Pace, intended};
use crate::gate::goodness;
use crate::judgement::{Detector, Finding, State};
use crate::phase::{LoadView, RunView};
use crate::rows::{Recovered, latency_of, recovered};
use crate::stats::{Blocks, wilson};

/// The block, ended by a newline; `expect: {}` where nothing was measured well enough.
pub(crate) fn expect_block(run: &RunView<'_>, findings: &[Finding]) -> String {
    let mut block = String::from("expect:\n");
    for load in &run.loads {
        subject(&mut block, load.name.as_str(), &of_load(run, load, findings));
    }
    for edge in &run.edges {
        subject(&mut block, edge.name.as_str(), &of_edge(&Subject::Edge(edge.name.clone()), findings));
    }
    for probe in run.brief.iter().flat_map(|brief| &brief.probes) {
        subject(&mut block, probe.name.as_str(), &of_probe(probe, findings));
    }
    if let Some(longest) = recovery(run, findings) {
        let _ = writeln!(block, "  recovery: \"<= {longest}\"");
    }
    let spared: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.detector == Detector::Isolation && finding.is_present())
        .map(|finding| crate::judge::subject_name(&finding.subject))
        .collect();
    if !spared.is_empty() {
        let _ = writeln!(block, "  isolation: [{}]", spared.join(", "));
    }
    if block == "expect:\n" { "expect: {}\n".to_owned() } else { block }
}

fn subject(block: &mut String, name: &str, rules: &[String]) {
    if !rules.is_empty() {
        let _ = writeln!(block, "  {name}: {{ {} }}", rules.join(", "));
    }
}

fn found<'a>(findings: &'a [Finding], detector: Detector, subject: &Subject) -> Option<&'a Finding> {
    findings.iter().find(|finding| finding.detector == detector && &finding.subject == subject)
}

fn of_load(run: &RunView<'_>, load: &LoadView, findings: &[Finding]) -> Vec<String> {
    let Some(brief) = run.brief else { return Vec::new() };
    let subject = Subject::Load(load.name.clone());
    let mut rules = Vec::new();
    // What the service declares as degraded is proposed as allowed, so that a person sees it and can strike it out.
    let (_, good) = goodness(brief, load);
    let mut blocks = Blocks::default();
    for point in load.within(&run.during) {
        blocks.add(point.intended, good(point));
    }
    if let Some(share) = blocks.share() {
        let low = (wilson(share).low * 100.0).floor();
        if low >= 1.0 {
            rules.push(format!("success: \">= {low:.0}%\""));
            let fallback = found(findings, Detector::Fallback, &subject);
            let kinds: Vec<&str> = ["stale", "default", "partial"]
                .into_iter()
                .filter(|kind| fallback.is_some_and(|finding| finding.param(kind).is_some()))
                .collect();
            if !kinds.is_empty() {
                rules.push(format!("may: [{}]", kinds.join(", ")));
            }
        }
    }
    for (name, quantile) in [("p95", 0.95), ("p99", 0.99)] {
        if let Some(high) = latency_of(load, &run.during, quantile).and_then(|estimate| estimate.high) {
            rules.push(format!("{name}: \"<= {}\"", outward(high)));
        }
    }
    let says = |detector: Detector| found(findings, detector, &subject);
    let fails_fast = says(Detector::FailFast).filter(|finding| finding.is_present());
    if let Some(bound) = fails_fast.and_then(|finding| soon(run, load, finding)) {
        rules.push(format!("fail-fast: \"<= {bound}\""));
    }
    if says(Detector::Shedding).is_some_and(Finding::is_present) {
        rules.push("shedding: at once".to_owned());
    }
    let least = says(Detector::Capacity).and_then(|finding| finding.param("capacity")?.low);
    if let Some(least) = least.filter(|least| *least >= 0.1) {
        rules.push(format!("capacity: \">= {}/s\"", downward(least)));
    }
    match says(Detector::Dependency) {
        Some(finding) if matches!(finding.state, State::Absent { .. }) => {
            rules.push("dependency: soft".to_owned());
        }
        Some(finding) if finding.declared().is_some_and(|word| word != Finding::HIDDEN) => {
            rules.push("dependency: as declared".to_owned());
        }
        _ => {}
    }
    let quiesces = run.brief.is_some_and(|brief| !brief.phases.quiet.is_zero());
    for (detector, rule) in [(Detector::Lost, "lost: none"), (Detector::Duplicates, "duplicates: none")] {
        if says(detector).is_some_and(|finding| matches!(finding.state, State::Absent { .. })) {
            rules.push(rule.to_owned());
        }
    }
    // Without a quiet time nothing could ever be found that this forbids.
    let recovered =
        |finding: &Finding| finding.param("outcome").is_some_and(|outcome| outcome.text == "recovered");
    if quiesces && says(Detector::Metastability).is_some_and(recovered) {
        rules.push("metastability: none".to_owned());
    }
    let oldest = says(Detector::Fallback).and_then(|finding| finding.param("oldest")?.value);
    if let Some(oldest) = oldest.filter(|oldest| *oldest > 0.0) {
        rules.push(format!("staleness: \"<= {}\"", outward(oldest * 1e6)));
    }
    rules
}

/// The time within which users had any answer who were not served as before; `None` where the same run would not hold to it, as one
/// in which a good answer takes longer than an error.
fn soon(run: &RunView<'_>, load: &LoadView, finding: &Finding) -> Option<String> {
    let high = ["p99", "p95"].into_iter().find_map(|name| finding.param(name))?.high? * 1e6;
    let followed = Followed::of(load, &run.during, wider(high) as u64, intended);
    matches!(followed.pace(), Pace::Within).then(|| outward(high))
}

fn of_edge(subject: &Subject, findings: &[Finding]) -> Vec<String> {
    let mut rules = Vec::new();
    let says = |detector: Detector| found(findings, detector, subject);
    let absent = |detector: Detector| {
        says(detector).is_some_and(|finding| matches!(finding.state, State::Absent { .. }))
    };
    let present = |detector: Detector| says(detector).is_some_and(Finding::is_present);
    // One that only some calls have is no timeout to ask for: the same run would not pass.
    let on_all = |finding: &&Finding| {
        finding.param("coverage").and_then(|share| share.value).is_some_and(|share| share >= 0.95)
    };
    let timeout = says(Detector::Timeout).filter(|finding| finding.is_present()).filter(on_all);
    if let Some(high) = timeout.and_then(|finding| finding.param("timeout")?.high) {
        rules.push(format!("timeout: \"<= {}\"", outward(high * 1e6)));
    }
    let most = says(Detector::Attempts).and_then(|finding| finding.param("most")?.value);
    if let Some(most) = most {
        rules.push(format!("attempts: \"<= {most:.0}\""));
    }
    let ratio = says(Detector::Amplification).and_then(|finding| finding.param("ratio")?.high);
    if let Some(high) = ratio {
        rules.push(format!("amplification: \"<= {:.1}\"", (high.max(1.0) * 10.0).ceil() / 10.0));
    }
    // One more is what the detector itself takes for the same level.
    let limit = says(Detector::Pool).filter(|finding| finding.is_present());
    if let Some(limit) = limit.and_then(|finding| finding.param("limit")?.value) {
        rules.push(format!("pool: \"<= {:.0}\"", limit + 1.0));
    }
    let breaker = says(Detector::Breaker).filter(|finding| finding.is_present());
    if let Some(most) = breaker.and_then(|finding| finding.param("calls-to-open")?.high) {
        rules.push(format!("calls-to-open: \"<= {:.0}\"", most_calls(most as u64)));
    }
    // That no try came in so long tells of no time after which one does.
    let every = breaker.and_then(|finding| finding.param("half-open-every"));
    if let Some(shortest) = every.filter(|every| every.high.is_some()).and_then(shortest) {
        rules.push(format!("half-open-every: \">= {}\"", shorter(shortest * 1e6)));
    }
    let shape =
        says(Detector::BackOff).and_then(|finding| finding.param("shape")).map(|shape| shape.text.as_str());
    if matches!(shape, Some("growing" | "linear" | "exponential")) {
        rules.push("back-off: grows".to_owned());
    }
    for (holds, rule) in [
        (present(Detector::Jitter), "jitter: present"),
        (present(Detector::Breaker), "breaker: opens"),
        (absent(Detector::Reconnect), "reconnect: spread"),
        (absent(Detector::Leak), "leak: none"),
        (present(Detector::Failover), "failover: ejects"),
    ] {
        if holds {
            rules.push(rule.to_owned());
        }
    }
    rules
}

fn of_probe(probe: &ProbeBrief, findings: &[Finding]) -> Vec<String> {
    let subject = &Subject::Probe(probe.name.clone());
    let mut rules = Vec::new();
    // What happens just before a question in one run happens just after it in the next.
    let later = |seconds: f64| outward(seconds * 1e6 + probe.every.as_micros() as f64);
    if let Some(finding) = found(findings, Detector::Health, subject) {
        match (&finding.state, finding.param("lag").and_then(|lag| lag.value)) {
            (State::Absent { .. }, _) => rules.push("always: true".to_owned()),
            // One that was not seen to be good again does not hold to it.
            (State::Present { .. }, Some(lag)) if finding.param("back").is_some() => {
                rules.push(format!("follows: \"<= {}\"", later(lag)))
            }
            _ => {}
        }
    }
    let starts = found(findings, Detector::StartUp, subject);
    let starts = starts.filter(|finding| matches!(finding.state, State::Absent { .. }));
    if let Some(ready) = starts.and_then(|finding| finding.param("ready")?.value) {
        rules.push(format!("start-up: \"<= {}\"", later(ready)));
    }
    rules
}

/// The recovery of the slowest load, if all came back.
fn recovery(run: &RunView<'_>, findings: &[Finding]) -> Option<String> {
    let all: Option<Vec<u64>> = run
        .loads
        .iter()
        .map(|load| match recovered(run, load) {
            Recovered::Within { high, .. } => Some(high),
            _ => None,
        })
        .collect();
    let seen = run.brief.map_or(0, |brief| brief.phases.recovery.as_micros());
    // The fault may end at any moment of a breaker's open window, and in the next run at its beginning.
    let opened =
        findings.iter().filter(|finding| finding.detector == Detector::Breaker && finding.is_present());
    let open = opened.filter_map(|finding| finding.param("silence")?.value).fold(0.0, f64::max) * 1e6;
    // A window is a second: one more is what the next run may need.
    let bound = all?.into_iter().max()? as f64 + 1e6 + open;
    (bound * 1.2 < seen as f64).then(|| outward(bound))
}

/// Microseconds as a bound: a twentieth more, rounded up to two digits.
fn wider(micros: f64) -> f64 {
    let wide = (micros * 1.05).max(1_000.0);
    let unit = 10f64.powf(wide.log10().floor() - 1.0).max(100.0);
    let rounded = (wide / unit).ceil() * unit;
    let step = if rounded >= 1e6 { 1e5 } else { 100.0 };
    (rounded / step).ceil() * step
}

/// The same, as it is written: never in more than one unit.
fn outward(micros: f64) -> String {
    let bound = wider(micros);
    if bound >= 1e6 { format!("{}s", bound / 1e5 / 10.0) } else { format!("{}ms", bound / 100.0 / 10.0) }
}

/// Microseconds as a bound from below, rounded down to two digits.
fn shorter(micros: f64) -> String {
    let (scale, unit) = if micros >= 1e6 { (1e6, "s") } else { (1e3, "ms") };
    let value = (micros / scale).max(1.0);
    let digits = 10f64.powf(1.0 - value.log10().floor());
    format!("{}{unit}", (value * digits).floor() / digits)
}

/// A number as a bound from below: a twentieth less, rounded down to two digits.
fn downward(value: f64) -> String {
    let wide = value * 0.95;
    let digit = 1.0 - wide.log10().floor();
    let unit = 10f64.powf(digit);
    let decimals = if digit > 0.0 { digit as usize } else { 0 };
    format!("{:.decimals$}", (wide * unit).floor() / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_from_below_is_lower_than_what_was_seen() {
        for (seen, bound) in [(80.0, "76"), (320.0, "300"), (1_234.0, "1100"), (9.8, "9.3"), (0.5, "0.47")] {
            assert_eq!(downward(seen), bound);
        }
    }

    #[test]
    fn a_time_as_a_bound_from_below_is_no_longer_than_what_was_seen() {
        for (seen, bound) in [
            (1_999_000.0, "1.9s"),
            (5_000_000.0, "5s"),
            (31_900_000.0, "31s"),
            (471_000.0, "470ms"),
            (999_900.0, "990ms"),
            (20.0, "1ms"),
        ] {
            assert_eq!(shorter(seen), bound);
        }
    }

    #[test]
    fn a_bound_is_wider_than_what_was_seen_and_reads_like_one() {
        for (seen, bound) in [
            (500_000.0, "530ms"),
            (41_300.0, "44ms"),
            (1_290_000.0, "1.4s"),
            (800.0, "1ms"),
            (9_990_000.0, "11s"),
        ] {
            assert_eq!(outward(seen), bound);
            let unit = if bound.ends_with("ms") { 1e3 } else { 1e6 };
            let number: f64 = bound.trim_end_matches(['m', 's']).parse().unwrap();
            assert!((wider(seen) - number * unit).abs() < 1e-6, "{seen}");
        }
    }
}
