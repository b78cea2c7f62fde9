//! What probes capture of their answers while the scenario runs, and the questions and requests that are filled in with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use murphy_core::{Secrets, Span};
use murphy_load::{Asker, HttpRequest, Reply, Said, Writes};
use murphy_scenario::{self as scenario, Capture, CaptureFrom, Plan, ProbePlan};
use regex_lite::Regex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::setup;

/// How many values of one name are kept out of journals: what a token was before may still turn up.
const EARLIER: usize = 32;

/// All that is captured so far.
#[derive(Debug)]
pub(crate) struct Captured {
    values: watch::Sender<Values>,
    /// Names of values that shall stand in no journal.
    secret: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Values {
    /// The latest of each name.
    latest: BTreeMap<String, String>,
    /// What is secret: the latest and those before it.
    secret: BTreeMap<String, VecDeque<String>>,
    /// The same, in every form in which it is written.
    hidden: Secrets,
}

impl Values {
    fn conceal(&mut self, name: &str, value: &str) {
        let known = self.secret.entry(name.to_owned()).or_default();
        known.retain(|earlier| earlier != value);
        known.push_back(value.to_owned());
        if known.len() > EARLIER {
            known.pop_front();
        }
        let all = self.secret.values().flatten();
        self.hidden = Secrets::new(all.flat_map(|value| Capture::written(value)));
    }
}

impl Captured {
    /// Nothing yet, of what the probes of a plan capture.
    pub(crate) fn nothing(plan: &Plan) -> Arc<Captured> {
        let captures = plan.probes.iter().flat_map(|probe| &probe.capture);
        let secret = captures.filter(|capture| capture.is_secret()).map(|capture| capture.name.clone());
        Arc::new(Captured { values: watch::Sender::default(), secret: secret.collect() })
    }

    fn keep(&self, name: &str, value: String) {
        self.values.send_if_modified(|values| {
            if values.latest.get(name) == Some(&value) {
                return false;
            }
            if self.secret.contains(name) {
                values.conceal(name, &value);
            }
            values.latest.insert(name.to_owned(), value);
            true
        });
    }

    /// A text without what is nobody else's business.
    fn hide(&self, text: &str) -> String {
        let values = self.values.borrow();
        let text = values.hidden.hide(text).into_owned();
        // What is too short for that: the latest, as it is.
        let short = self.secret.iter().filter_map(|name| values.latest.get(name));
        let short = short.filter(|value| (1..Secrets::SHORTEST).contains(&value.chars().count()));
        short.fold(text, |text, value| text.replace(value.as_str(), "***"))
    }
}

/// Says what a load is to send, from the moment on at which all that it needs is captured.
pub(crate) async fn renew(
    captured: Arc<Captured>,
    plan: scenario::LoadPlan,
    writes: Option<Writes>,
    request: watch::Sender<Option<Arc<HttpRequest>>>,
    end: CancellationToken,
) {
    let mut values = captured.values.subscribe();
    loop {
        let filled = {
            let values = values.borrow_and_update();
            let value = |name: &str| {
                setup::own(&plan, writes.as_ref(), name).or_else(|| values.latest.get(name).cloned())
            };
            plan.request.filled(&value)
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
        let known = values.wait_for(|values| self.needs.iter().all(|name| values.latest.contains_key(name)));
        let filled = match tokio::time::timeout(self.within.as_duration() / 2, known).await {
            Ok(Ok(values)) => self.question.filled(&|name| values.latest.get(name).cloned()),
            Ok(Err(_)) | Err(_) => {
                let values = self.captured.values.borrow();
                self.question.filled(&|name| values.latest.get(name).cloned())
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
            // What was seen may show a part of it, and it is not among what is hidden.
            Some(missed @ Missed::Unfit(_)) => (false, missed.to_string()),
            Some(missed @ Missed::Nowhere(_)) => (false, format!("{}, {missed}", self.told(&reply.saw))),
            None if reply.ok => (true, reply.saw),
            None => (false, self.told(&reply.saw)),
        }
    }

    /// What may be told of an answer of which nothing was kept, so that nobody knows what to hide of it: where a secret is looked
    /// for, no word of what was said.
    fn told(&self, saw: &str) -> String {
        if !self.captures.iter().any(|(capture, _)| capture.is_secret()) {
            return saw.to_owned();
        }
        match &self.question {
            // Behind the status stands what was wrong with the body.
            scenario::Question::Http { .. } => saw.split(", ").next().unwrap_or_default().to_owned(),
            // Behind the code stands the last line.
            scenario::Question::Command { .. } if saw.starts_with("exit ") => {
                saw.split(": ").next().unwrap_or_default().to_owned()
            }
            scenario::Question::Command { .. } => saw.to_owned(),
            _ => "no answer as it is asked for; it is left out, for a secret may be in it".to_owned(),
        }
    }

    /// Keeps what is to be captured of a good answer; gives what is not in it, or of no use.
    fn take(&self, reply: &Reply) -> Option<Missed<'_>> {
        let (mut unfit, mut nowhere) = (None, None);
        for (capture, pattern) in self.captures.iter().filter(|_| reply.ok) {
            match part(&reply.said, &capture.from, pattern.as_ref()) {
                Some(value) if value.chars().any(char::is_control) => {
                    unfit = unfit.or(Some(Missed::Unfit(capture)));
                }
                Some(value) => self.captured.keep(&capture.name, value),
                None => nowhere = nowhere.or(Some(Missed::Nowhere(capture))),
            }
        }
        unfit.or(nowhere)
    }
}

/// What a good answer did not give.
#[derive(Debug, Clone, Copy)]
enum Missed<'a> {
    /// It is not in there.
    Nowhere(&'a Capture),
    /// It is, and no header and no line of a journal could hold it.
    Unfit(&'a Capture),
}

impl fmt::Display for Missed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Nowhere(capture) => write!(f, "nothing to capture as {}", capture.name),
            Missed::Unfit(capture) => {
                write!(f, "nothing to capture as {}: a control character is in it", capture.name)
            }
        }
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
            (ok, self.captured.hide(&saw))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::ProbeName;

    fn captured() -> Arc<Captured> {
        let secret = BTreeSet::from(["login.token".to_owned()]);
        Arc::new(Captured { values: watch::Sender::default(), secret })
    }

    /// What is seen of a probe that captures all that `echo` writes.
    async fn echoed(text: &str, captured: &Arc<Captured>) -> (bool, String) {
        asked(&["echo", text], None, captured).await
    }

    /// What is seen of a probe that captures all that a command writes.
    async fn asked(argv: &[&str], wanted: Option<&str>, captured: &Arc<Captured>) -> (bool, String) {
        let plan = ProbePlan {
            name: ProbeName::new("login").unwrap(),
            question: scenario::Question::Command {
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
                matches: wanted.map(str::to_owned),
            },
            every: Span::from_secs(1),
            within: Span::from_secs(30),
            capture: vec![Capture {
                name: "login.token".to_owned(),
                from: CaptureFrom::Text,
                matches: Some("(?s)(.+)".to_owned()),
            }],
        };
        CapturingProbe::new(&plan, captured).unwrap().unwrap().ask().await
    }

    #[tokio::test]
    async fn no_part_of_a_secret_is_seen_be_it_longer_than_what_is_told() {
        let token: String = (0..100).map(|n| format!("{n:03}")).collect();
        let captured = captured();
        assert_eq!(echoed(&token, &captured).await, (true, "exit 0: ***…".to_owned()));
        assert_eq!(captured.values.borrow().latest["login.token"], token);
        assert_eq!(echoed("ab", &captured).await, (true, "exit 0: ***".to_owned()));
    }

    #[tokio::test]
    async fn a_bad_answer_that_may_hold_a_secret_is_not_repeated() {
        let captured = captured();
        for (argv, wanted) in [
            (&["sh", "-c", "echo s3cret; exit 3"][..], None),
            (&["sh", "-c", "echo s3cret >&2; exit 3"], None),
            (&["echo", "s3cret"], Some("^welcome")),
        ] {
            let (ok, saw) = asked(argv, wanted, &captured).await;
            assert!(!ok && saw.starts_with("exit ") && !saw.contains("s3c"), "{saw}");
        }
        let (ok, saw) = asked(&["no-such-program"], None, &captured).await;
        assert!(!ok && saw.contains("`no-such-program`: "), "{saw}");
    }

    #[tokio::test]
    async fn a_value_with_a_control_character_is_none() {
        let captured = captured();
        for text in ["first\tsecond", "first\nsecond", "\u{1b}[1m"] {
            let said = "nothing to capture as login.token: a control character is in it";
            assert_eq!(echoed(text, &captured).await, (false, said.to_owned()), "{text:?}");
        }
        assert!(captured.values.borrow().latest.is_empty());
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_also_when_another_one_has_come() {
        let captured = captured();
        for value in ["it's \"old\"/1", "new-one"] {
            captured.keep("login.token", value.to_owned());
        }
        captured.keep("login.id", "seventeen".to_owned());
        let text = "it's \"old\"/1 it's \\\"old\\\"/1 it''s \"old\"/1 it's%20%22old%22/1 it%27s%20%22old%22%2F1 new-… seventeen";
        assert_eq!(captured.hide(text), "*** *** *** *** *** ***… seventeen");
        for n in 0..1000 {
            captured.keep("login.token", format!("number {n}"));
        }
        assert_eq!(captured.hide("number 998, number 999"), "***, ***");
        assert_eq!(captured.values.borrow().secret["login.token"].len(), EARLIER);
    }

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
