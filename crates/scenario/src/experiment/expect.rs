//! `expect:`: sentences by the name of what they are about.

use std::ops::Range;

use murphy_core::{EdgeName, Expectation, LoadName, ProbeName, Quantile, Rule, RunPart, Subject};

use super::context::{Check, Cursor, Kind};
use crate::expect_document::{ExpectDoc, RulesDoc};
use crate::node::shortened;
use crate::problem::did_you_mean;
use crate::sentence::{self, SentenceError};

/// All rules, in file order.
pub(super) fn rules(check: &mut Check<'_, '_>, root: Cursor<'_>, document: &ExpectDoc) -> Vec<Expectation> {
    let Some(here) = root.child("expect") else { return Vec::new() };
    let mut rules = Vec::new();
    let mut subjects = document.subjects.0.iter();
    for (key, at) in here.fields() {
        match key {
            "recovery" => {
                rules.extend(document.recovery.as_deref().and_then(|text| recovery(check, at, text)))
            }
            "isolation" => {
                rules.extend(document.isolation.as_deref().and_then(|loads| isolation(check, at, loads)))
            }
            name => {
                if let Some((_, document)) = subjects.next() {
                    subject(check, at, name, document, &mut rules);
                }
            }
        }
    }
    rules
}

fn recovery(check: &mut Check<'_, '_>, at: Cursor<'_>, text: &str) -> Option<Expectation> {
    let at_most = understood(check, at, sentence::recovery(text))?;
    let text = text.trim().to_owned();
    Some(Expectation {
        id: "recovery".to_owned(),
        subject: Subject::Run,
        rule: Rule::Recovery { at_most },
        text,
    })
}

fn isolation(check: &mut Check<'_, '_>, at: Cursor<'_>, names: &[String]) -> Option<Expectation> {
    let mut loads = Vec::new();
    if names.is_empty() && !at.has_gone() {
        check
            .findings
            .error(at.own(), "`isolation` names no load")
            .help("write the loads that must not notice: `isolation: [order]`");
    }
    for (item, name) in at.children().zip(names) {
        if check.must_be(Kind::Load, name, item.node.region) {
            loads.extend(LoadName::new(name).ok());
        }
    }
    let text = loads.iter().map(LoadName::as_str).collect::<Vec<_>>().join(", ");
    let rule = Rule::Isolation { loads };
    Some(Expectation { id: "isolation".to_owned(), subject: Subject::Run, rule, text })
}

fn subject(
    check: &mut Check<'_, '_>,
    at: Cursor<'_>,
    name: &str,
    document: &RulesDoc,
    out: &mut Vec<Expectation>,
) {
    let Some(kind) = check.kind_of(name) else {
        let reserved = ["recovery", "isolation"];
        let near = crate::suggest::nearest(name, check.names(None).chain(reserved));
        let help = near.map_or_else(|| check.help_for(name, None), did_you_mean);
        let message = format!("`{}` is not the name of a load, a probe or an edge", shortened(name));
        check.findings.error(at.own(), message).help(help);
        return;
    };
    let subject = match kind {
        Kind::Load => LoadName::new(name).map(Subject::Load),
        Kind::Probe => ProbeName::new(name).map(Subject::Probe),
        Kind::Edge => EdgeName::new(name).map(Subject::Edge),
    };
    // A bad name is reported where it is declared.
    let Ok(subject) = subject else { return };
    if at.fields().next().is_none() && !at.has_gone() {
        check
            .findings
            .error(at.own(), format!("nothing is expected of `{name}`"))
            .help(format!("write one of: {}", keys_of(kind).join(", ")));
    }
    for (key, field) in at.fields() {
        if !keys_of(kind).contains(&key) {
            let owner =
                [Kind::Load, Kind::Probe, Kind::Edge].into_iter().find(|kind| keys_of(*kind).contains(&key));
            let owner = owner.map_or("another kind", Kind::with_article);
            check
                .findings
                .error(
                    field.own(),
                    format!("`{key}` is a rule for {owner}, but `{name}` is {}", kind.with_article()),
                )
                .help(format!("rules for {}: {}", kind.with_article(), keys_of(kind).join(", ")));
            continue;
        }
        if let Some((rule, text)) = rule(check, field, at, key, document) {
            out.push(Expectation { id: format!("{name}.{key}"), subject: subject.clone(), rule, text });
        }
    }
}

fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Load => &[
            "success",
            "may",
            "p50",
            "p90",
            "p95",
            "p99",
            "p99.9",
            "fail-fast",
            "shedding",
            "capacity",
            "dependency",
            "metastability",
            "staleness",
            "lost",
            "duplicates",
            "dead-letters",
        ],
        Kind::Probe => &["always", "before", "during", "after", "follows", "start-up"],
        Kind::Edge => &[
            "timeout",
            "attempts",
            "amplification",
            "back-off",
            "jitter",
            "breaker",
            "calls-to-open",
            "half-open-every",
            "closes",
            "pool",
            "reconnect",
            "leak",
            "failover",
        ],
    }
}

/// One rule with its text; `None` for a key that is no rule of its own, and after a finding.
fn rule(
    check: &mut Check<'_, '_>,
    field: Cursor<'_>,
    here: Cursor<'_>,
    key: &str,
    document: &RulesDoc,
) -> Option<(Rule, String)> {
    let text = match key {
        "success" => &document.success,
        "p50" => &document.p50,
        "p90" => &document.p90,
        "p95" => &document.p95,
        "p99" => &document.p99,
        "p99.9" => &document.p99_9,
        "timeout" => &document.timeout,
        "attempts" => &document.attempts,
        "amplification" => &document.amplification,
        "breaker" => &document.breaker,
        "calls-to-open" => &document.calls_to_open,
        "half-open-every" => &document.half_open_every,
        "closes" => &document.closes,
        "pool" => &document.pool,
        "back-off" => &document.back_off,
        "jitter" => &document.jitter,
        "reconnect" => &document.reconnect,
        "leak" => &document.leak,
        "failover" => &document.failover,
        "fail-fast" => &document.fail_fast,
        "shedding" => &document.shedding,
        "capacity" => &document.capacity,
        "dependency" => &document.dependency,
        "metastability" => &document.metastability,
        "staleness" => &document.staleness,
        "follows" => &document.follows,
        "start-up" => &document.start_up,
        "before" => &document.before,
        "during" => &document.during,
        "after" => &document.after,
        "lost" => &document.lost,
        "duplicates" => &document.duplicates,
        "dead-letters" => &document.dead_letters,
        "always" => {
            if document.always == Some(false) {
                check
                    .findings
                    .error(field.node.region, "`always: false` expects nothing")
                    .help("write `always: true`, or remove it");
            }
            return Some((Rule::Always, "always".to_owned()));
        }
        "may" => {
            if !here.has("success") {
                check
                    .findings
                    .error(field.own(), "`may` widens what counts as success, and there is no `success` here")
                    .help("add for example `success: \">= 99%\"`");
            }
            return None;
        }
        _ => return None,
    };
    let text = text.as_deref()?;
    let rule = match key {
        "success" => Rule::Success {
            rule: understood(check, field, sentence::success(text))?,
            may: document.may.clone().unwrap_or_default(),
        },
        "timeout" => Rule::Timeout { at_most: understood(check, field, sentence::at_most_span(text))? },
        "attempts" => Rule::Attempts { at_most: understood(check, field, sentence::at_most_count(text))? },
        "pool" => Rule::Pool { at_most: understood(check, field, sentence::at_most_count(text))? },
        "dead-letters" => {
            Rule::DeadLetters { at_most: understood(check, field, sentence::at_most_count(text))? }
        }
        "amplification" => {
            Rule::Amplification { at_most: understood(check, field, sentence::at_most_factor(text))? }
        }
        "fail-fast" => Rule::FailFast { at_most: understood(check, field, sentence::at_most_span(text))? },
        "capacity" => Rule::Capacity { at_least: understood(check, field, sentence::at_least_rate(text))? },
        "staleness" => Rule::Staleness { at_most: understood(check, field, sentence::at_most_span(text))? },
        "follows" => Rule::Follows { at_most: understood(check, field, sentence::at_most_span(text))? },
        "start-up" => Rule::StartUp { at_most: understood(check, field, sentence::at_most_span(text))? },
        "before" | "during" | "after" => {
            let part = match key {
                "before" => RunPart::Before,
                "during" => RunPart::During,
                _ => RunPart::After,
            };
            Rule::Good { part, after: understood(check, field, sentence::good(text, part))? }
        }
        "breaker" => match understood(check, field, sentence::opens(text))? {
            None => Rule::BreakerOpens,
            Some(at_most) => Rule::BreakerOpensWithin { at_most },
        },
        "calls-to-open" => {
            Rule::CallsToOpen { at_most: understood(check, field, sentence::at_most_count(text))? }
        }
        "half-open-every" => {
            Rule::HalfOpenEvery { at_least: understood(check, field, sentence::at_least_span(text))? }
        }
        "closes" => Rule::BreakerCloses { at_most: understood(check, field, sentence::at_most_span(text))? },
        "back-off" | "jitter" | "reconnect" | "leak" | "failover" | "shedding" | "dependency"
        | "metastability" | "lost" | "duplicates" => {
            let mut known = in_words(key);
            let Some(at) = known.iter().position(|(words, _)| *words == text.trim()) else {
                let message =
                    format!("`{}` is nothing that can be expected of `{key}`", shortened(text.trim()));
                let each: Vec<String> = known.iter().map(|(words, _)| format!("`{key}: {words}`")).collect();
                check.findings.error(field.node.region, message).help(format!("write {}", each.join(" or ")));
                return None;
            };
            known.swap_remove(at).1
        }
        quantile => Rule::Latency {
            quantile: Quantile::from_name(quantile)?,
            at_most: understood(check, field, sentence::at_most_span(text))?,
        },
    };
    Some((rule, text.trim().to_owned()))
}

/// Rules that are said in fixed words: all of a key, with what they mean.
fn in_words(key: &str) -> Vec<(&'static str, Rule)> {
    match key {
        "back-off" => vec![("grows", Rule::BackOffGrows)],
        "jitter" => vec![("present", Rule::Jitter)],
        "reconnect" => vec![("spread", Rule::ReconnectsSpread)],
        "leak" => vec![("none", Rule::NoLeak)],
        "failover" => vec![("ejects", Rule::Ejects)],
        "shedding" => vec![("at once", Rule::Sheds)],
        "dependency" => vec![("soft", Rule::Soft), ("as declared", Rule::AsDeclared)],
        "metastability" => vec![("none", Rule::NotMetastable)],
        "lost" => vec![("none", Rule::NoneLost)],
        "duplicates" => vec![("none", Rule::NoneTwice)],
        _ => Vec::new(),
    }
}

fn understood<T>(check: &mut Check<'_, '_>, at: Cursor<'_>, result: Result<T, SentenceError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(SentenceError { at: Range { start, end }, message, help }) => {
            // A place behind the end is shown as the whole sentence.
            let region = if start == end { at.node.region } else { at.part(start..end) };
            check.findings.error(region, message).help(help);
            None
        }
    }
}
