//! Loads: what users do.

use std::collections::BTreeMap;

use murphy_core::{EdgeName, Frequency, LoadName, Need, RateRamp, Span};

use super::context::{Check, Cursor, Kind};
use super::question;
use crate::captured::references;
use crate::document::LoadDoc;
use crate::node::shortened;
use crate::plan::{LedgerPlan, LoadPlan, Question, own_id};
use crate::question_document::QuestionDoc;
use crate::rate_ramp_document::RateRampDoc;
use crate::status::StatusSet;

/// The sender's own limit on one request, if the file does not say.
const TIMEOUT: Span = Span::from_secs(5);
/// Time between two readings of a ledger, if the file does not say.
const SETTLE: Span = Span::from_secs(5);
/// How long acknowledged writes are waited for, if the file does not say.
const WITHIN: Span = Span::from_secs(60);
/// Requests in flight at which further ones are dropped, if the file does not say.
const IN_FLIGHT_MAX: u32 = 10_000;
/// The factor from one step of a ramp to the next, if the file does not say; and the largest.
const BY: f64 = 1.25;
const MOST_BY: f64 = 10.0;
/// How long a step of a ramp lasts, if the file does not say.
const EVERY: Span = Span::from_secs(20);

pub(super) fn plan(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    name: &str,
    document: &LoadDoc,
) -> Option<LoadPlan> {
    let name_good = check.name(here.own(), name, LoadName::new);
    if document.rate.is_none() {
        check.missing(here, &format!("`{}`", shortened(name)), "rate", "30/s");
    }
    check.some_time(here, "timeout", document.timeout);
    if document.in_flight_max == Some(0) {
        check
            .findings
            .error(here.value("in-flight-max"), "no request could ever be in flight")
            .help("write a number of at least 1, or remove the key");
    }
    if document.json.is_some() && document.body.is_some() {
        check.not_both(here, ["json", "body"], "in one load", "send one body");
    }
    let depends_on = declared(check, here, document);
    let ramp = document.ramp.zip(here.child("ramp"));
    let ramp = ramp.and_then(|(ramp, at)| ramp_of(check, at, document.rate, ramp));
    let Some(http) = &document.http else {
        check.missing(here, &format!("`{}`", shortened(name)), "http", "GET http://127.0.0.1:8000/");
        return None;
    };
    let mut request = question::request(check, here, http, &document.headers)?;
    if let Some(json) = &document.json {
        request.headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
        request.body = Some(json.to_string().into_bytes());
    } else if let Some(body) = &document.body {
        request.body = Some(body.clone().into_bytes());
    }
    Some(LoadPlan {
        name: name_good?,
        request,
        rate: document.rate?,
        ramp,
        arrivals: document.arrivals,
        timeout: document.timeout.unwrap_or(TIMEOUT),
        expect_status: document.expect_status.clone().unwrap_or_else(StatusSet::success),
        in_flight_max: document.in_flight_max.unwrap_or(IN_FLIGHT_MAX),
        ledger: ledger(check, here, name, document),
        depends_on,
    })
}

/// What its users need; reports names that are no edge's.
fn declared(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &LoadDoc,
) -> Option<BTreeMap<EdgeName, Need>> {
    let (document, at) = (document.depends_on.as_ref()?, here.child("depends-on")?);
    let mut needs = BTreeMap::new();
    for ((name, place), (_, need)) in at.fields().zip(&document.0) {
        if check.must_be(Kind::Edge, name, place.own()) {
            // A bad name is reported where it is declared.
            needs.extend(EdgeName::new(name).ok().map(|edge| (edge, *need)));
        }
    }
    Some(needs)
}

/// How the rate is raised; reports a ramp that leads nowhere, or not there in time.
fn ramp_of(
    check: &mut Check<'_, '_>,
    at: Cursor<'_>,
    rate: Option<Frequency>,
    document: RateRampDoc,
) -> Option<RateRamp> {
    check.some_time(at, "every", document.every);
    let (by, every) = (document.by.unwrap_or(BY), document.every.unwrap_or(EVERY));
    let raises = by > 1.0 && by <= MOST_BY;
    if !raises {
        check
            .findings
            .error(at.value("by"), format!("`by` is a factor above 1 and at most {MOST_BY}, and not {by}"))
            .help(format!("write for example `by: {BY}`"));
    }
    let Some(to) = document.to else {
        check.missing(at, "`ramp`", "to", "200/s");
        return None;
    };
    let rate = rate?;
    if to <= rate {
        check
            .findings
            .error(at.value("to"), format!("the load begins at {rate}, and {to} is not above it"))
            .help("write a higher rate, or remove the ramp");
        return None;
    }
    // What could not be read has been told already, and the steps that it asks for are not known.
    if !raises || at.has_gone() {
        return None;
    }
    if (to.as_per_second() / rate.as_per_second()).ln() > by.ln() * RateRamp::MOST_STEPS as f64 {
        check
            .findings
            .error(
                at.value("by"),
                format!("it takes more than {} steps from {rate} to {to}", RateRamp::MOST_STEPS),
            )
            .help("write a larger factor");
        return None;
    }
    let ramp = RateRamp { to, by, every };
    let steps = ramp.rates(rate).len() as u64;
    let needed = Span::from_micros(every.as_micros().saturating_mul(steps));
    if let Some(phases) = check.phases.filter(|phases| needed > phases.fault) {
        let what = murphy_core::plural(steps, "step");
        check
            .findings
            .error(
                at.value("every"),
                format!("{what} of {every}: that is {needed}, and the fault phase lasts {}", phases.fault),
            )
            .help(format!(
                "write `phases: {{ fault: {needed} }}` or longer, shorter steps, or a larger factor"
            ));
        return None;
    }
    Some(ramp)
}

/// Where writes are read back; reports what can tell nothing of them.
fn ledger(check: &mut Check<'_, '_>, here: Cursor<'_>, name: &str, document: &LoadDoc) -> Option<LedgerPlan> {
    let (document, at) = (document.ledger.as_ref()?, here.child("ledger")?);
    check.some_time(at, "settle", document.settle);
    check.some_time(at, "within", document.within);
    let written = ["http", "headers", "json", "body"].into_iter().filter_map(|key| here.child(key));
    if !written.into_iter().any(|place| stands(place, &own_id(name))) {
        let name = shortened(name);
        check.findings.error(at.own(), "a ledger tells writes apart by their ids, and these have none").help(
            format!(
                "write `${{{name}.id}}` where the service keeps it: `json: {{ id: \"${{{name}.id}}\" }}`"
            ),
        );
    }
    let Some(read) = &document.read else {
        check.missing(at, "`ledger`", "read", "{ http: http://127.0.0.1:8000/orders }");
        return None;
    };
    // All of them are looked at, so that all that is wrong is told at once.
    let read = place(check, at, "read", read);
    let dead_letters =
        document.dead_letters.as_ref().and_then(|asked| place(check, at, "dead-letters", asked));
    let queued = document.queued.as_ref().and_then(|asked| place(check, at, "queued", asked));
    let (settle, within) = (document.settle.unwrap_or(SETTLE), document.within.unwrap_or(WITHIN));
    if settle >= within {
        check
            .findings
            .error(at.value("settle"), format!("two readings {settle} apart do not fit into {within}"))
            .help("write a shorter `settle`, or a longer `within`");
    }
    Some(LedgerPlan { read: read?, dead_letters, queued, settle, within })
}

/// What is asked at a place where writes are; reports what tells nothing of them.
fn place(
    check: &mut Check<'_, '_>,
    ledger: Cursor<'_>,
    key: &str,
    document: &QuestionDoc,
) -> Option<Question> {
    let at = ledger.child(key)?;
    let question = question::plan(check, at, key, document)?;
    if let Question::Tcp { .. } | Question::Container(_) = question {
        check
            .findings
            .error(at.own(), "nothing that was written can be read by this")
            .help("write one of `http`, `command`, `redis` and `postgres`");
    }
    Some(question)
}

/// True if a reference stands in a text at or below a place.
fn stands(at: Cursor<'_>, name: &str) -> bool {
    let here = at.node.scalar().is_some_and(|scalar| references(&scalar.text).any(|(_, one)| one == name));
    here || at.children().any(|child| stands(child, name))
}
