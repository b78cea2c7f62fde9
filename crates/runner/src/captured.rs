//! What probes capture of their answers while the scenario runs, and the questions and requests that are filled in with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use murphy_core::Span;
use murphy_load::{Asker, HttpRequest, Reply, Said};
use murphy_scenario::{self as scenario, Capture, CaptureFrom, Plan, ProbePlan};
use regex_lite::Regex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::setup;

/// All that is captured so far: the latest of each.
#[derive(Debug)]
pub(crate) struct Captured {
    values: watch::Sender<BTreeMap<String, String>>,
    /// Names of values that shall stand in no journal.
    secret: BTreeSet<String>,
}

impl Captured {
    /// Nothing yet, of what the probes of a plan capture.
    pub(crate) fn nothing(plan: &Plan) -> Arc<Captured> {
        let captures = plan.probes.iter().flat_map(|probe| &probe.capture);
        let secret = captures.filter(|capture| capture.is_secret()).map(|capture| capture.name.clone());
        Arc::new(Captured { values: watch::Sender::default(), secret: secret.collect() })
    }

    fn keep(&self, name: &str, value: String) {
        self.values.send_if_modified(|values| values.insert(name.to_owned(), value.clone()) != Some(value));
    }

    /// A text without what is nobody else's business.
    fn hide(&self, text: String) -> String {
        let values = self.values.borrow();
        let hidden = self.secret.iter().filter_map(|name| values.get(name)).filter(|value| !value.is_empty());
        hidden.fold(text, |text, value| text.replace(value.as_str(), "***"))
    }
}

/// Says what a load is to send, from the moment on at which all that it needs is captured.
pub(crate) async fn renew(
    captured: Arc<Captured>,
    plan: scenario::HttpRequest,
    request: watch::Sender<Option<Arc<HttpRequest>>>,
    end: CancellationToken,
) {
    let mut values = captured.values.subscribe();
    loop {
        let filled = {
            let values = values.borrow_and_update();
            plan.filled(&|name| values.get(name).cloned())
        };
        // A value that makes no request leaves the one before as it was.
        if let Ok(Ok(next)) = filled.map(|filled| setup::request(&filled)) {
            request.send_if_modified(|now| {
                let changes = now.as_deref() != Some(&next);
                if changes {
                    *now = Some(Arc::new(next));
                }
                changes
            });
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = values.changed() => if changed.is_err() { return },
        }
    }
}

/// A probe that captures, or that asks with what others captured.
#[derive(Debug)]
pub(crate) struct CapturingProbe {
    question: scenario::Question,
    needs: BTreeSet<String>,
    captures: Vec<(Capture, Option<Regex>)>,
    within: Span,
    captured: Arc<Captured>,
}

impl CapturingProbe {
    /// `None` for a probe that has nothing to do with captured values.
    pub(crate) fn new(plan: &ProbePlan, captured: &Arc<Captured>) -> Result<Option<CapturingProbe>, String> {
        let needs = plan.question.needs();
        if needs.is_empty() && plan.capture.is_empty() {
            return Ok(None);
        }
        let mut captures = Vec::new();
        for capture in &plan.capture {
            captures.push((capture.clone(), setup::pattern(capture.matches.as_deref())?));
        }
        let (question, captured) = (plan.question.clone(), Arc::clone(captured));
        Ok(Some(CapturingProbe { question, needs, captures, within: plan.within, captured }))
    }

    async fn answer(&self) -> (bool, String) {
        let mut values = self.captured.values.subscribe();
        // The probe that captures it may have been asked at the same moment as this one.
        let known = values.wait_for(|values| self.needs.iter().all(|name| values.contains_key(name)));
        let filled = match tokio::time::timeout(self.within.as_duration() / 2, known).await {
            Ok(Ok(values)) => self.question.filled(&|name| values.get(name).cloned()),
            Ok(Err(_)) | Err(_) => {
                let values = self.captured.values.borrow();
                self.question.filled(&|name| values.get(name).cloned())
            }
        };
        let question = match filled {
            Ok(filled) => setup::question(&filled, None),
            Err(name) => return (false, format!("`{name}` is not captured yet")),
        };
        let reply = match question {
            Ok(question) => murphy_load::ask(&question, self.within).await,
            Err(why) => return (false, why),
        };
        match self.take(&reply) {
            Some(missed) => (false, format!("{}, nothing to capture as {}", reply.saw, missed.name)),
            None => (reply.ok, reply.saw),
        }
    }

    /// Keeps what is to be captured of a good answer; gives what is not in it.
    fn take(&self, reply: &Reply) -> Option<&Capture> {
        let mut missed = None;
        for (capture, pattern) in self.captures.iter().filter(|_| reply.ok) {
            match part(&reply.said, &capture.from, pattern.as_ref()) {
                Some(value) => self.captured.keep(&capture.name, value),
                None => missed = missed.or(Some(capture)),
            }
        }
        missed
    }
}

/// The part of an answer that is captured.
fn part(said: &Said, from: &CaptureFrom, pattern: Option<&Regex>) -> Option<String> {
    let text = match from {
        CaptureFrom::Text => said.text.clone(),
        CaptureFrom::Header(name) => said.headers.iter().find(|(header, _)| header == name)?.1.clone(),
        CaptureFrom::Json(path) => {
            let document: serde_json::Value = serde_json::from_str(&said.text).ok()?;
            let first = path.select(&document).first().copied()?;
            first.as_str().map_or_else(|| first.to_string(), str::to_owned)
        }
    };
    let Some(pattern) = pattern else { return Some(text) };
    let found = pattern.captures(&text)?;
    Some(found.get(1).or(found.get(0))?.as_str().to_owned())
}

impl fmt::Display for CapturingProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.question.text())
    }
}

impl Asker for CapturingProbe {
    fn ask(&self) -> Pin<Box<dyn Future<Output = (bool, String)> + Send + '_>> {
        Box::pin(async move {
            let (ok, saw) = self.answer().await;
            (ok, self.captured.hide(saw))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said { text: text.to_owned(), headers: vec![("location".to_owned(), "/orders/17".to_owned())] }
    }

    #[test]
    fn the_first_group_of_a_place_a_header_or_a_text_is_taken() {
        let digits = Regex::new("/([0-9]+)").unwrap();
        let header = CaptureFrom::Header("location".to_owned());
        assert_eq!(part(&said(""), &header, Some(&digits)).unwrap(), "17");
        assert_eq!(part(&said(""), &header, None).unwrap(), "/orders/17");
        assert_eq!(part(&said("a /5 b"), &CaptureFrom::Text, Some(&digits)).unwrap(), "5");
        assert_eq!(part(&said("a 5 b"), &CaptureFrom::Text, Some(&digits)), None);
        let whole = Regex::new("[0-9]").unwrap();
        assert_eq!(part(&said("a 5 b"), &CaptureFrom::Text, Some(&whole)).unwrap(), "5");
        let path = CaptureFrom::Json("$.all[*].id".parse().unwrap());
        assert_eq!(part(&said(r#"{"all":[{"id":7},{"id":"x"}]}"#), &path, None).unwrap(), "7");
        assert_eq!(part(&said(r#"{"all":[{"id":"x"}]}"#), &path, None).unwrap(), "x");
        for text in [r#"{"all":[]}"#, "{", ""] {
            assert_eq!(part(&said(text), &path, None), None);
        }
    }
}
