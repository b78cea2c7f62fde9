//! What was done by hand as a scenario file: the same faults at the same times, ready for `murphy check` and `murphy run`.
//! Written as text and not through a serializer, so that a person finds comments in it.

use std::fmt::Write as _;

use murphy_core::{Chance, Directions, Protocol, Span};
use murphy_docker::{Pattern, Selector, Target};
use murphy_faults::{Fault, Match, Which};
use murphy_scenario::{Caller, OpenConnections};
use serde_json::Value;

use crate::patterns::expect_block;
use crate::sight::Sight;

/// The phases before and after, which a person by hand does not have.
const BASELINE: &str = "5s";
const RECOVERY: &str = "10s";
/// The shortest phase worth a fault.
const SHORTEST: Span = Span::from_secs(1);

impl Sight {
    /// As a scenario. `made_by` is the command, for a comment.
    pub fn scenario(&self, made_by: &str) -> String {
        let mut text = String::new();
        let comment = made_by.replace(['\n', '\r'], " ");
        let _ = writeln!(text, "# What was done by hand, at the same times. Made by: {comment}");
        match &self.listen {
            Some(listen) => {
                let _ = writeln!(
                    text,
                    "# The callers must dial {listen}. Add `load:` with what users do, and what they may expect."
                );
            }
            None => text += "# Add `load:` with what users do, and what they may expect.\n",
        }
        let _ = writeln!(text, "murphy: 1");
        let _ = writeln!(text, "name: {}", scalar(&format!("by hand on {}", self.upstream)));
        let _ = writeln!(text, "seed: {}\n", self.seed);
        let protocol = if self.protocol == Protocol::Http { ", protocol: http" } else { "" };
        let tls = self.tls.as_ref().and_then(|tls| serde_json::to_value(tls).ok());
        let tls = tls.map(|tls| format!(", tls: {}", flow(&tls))).unwrap_or_default();
        let edge = match &self.attached {
            None => "proxy",
            Some(_) => "calls",
        };
        text += &self.edges(edge, &format!("{protocol}{tls}"));
        let fault = self.elapsed.max(SHORTEST);
        let _ = writeln!(
            text,
            "phases: {{ warm-up: 1s, baseline: {BASELINE}, fault: {fault}, recovery: {RECOVERY} }}\n"
        );
        let how = How {
            directions: self.directions,
            chance: self.chance,
            matching: self.matching.clone(),
            which: self.which.clone(),
        };
        let mut faults = String::new();
        for seen in &self.faults {
            let inject = serde_json::to_value(&seen.fault).map(|value| flow(&value)).unwrap_or_default();
            for stretch in &seen.stood {
                let until = stretch.until.unwrap_or(fault).min(fault);
                let lasts = until.as_duration().saturating_sub(stretch.from.as_duration());
                if lasts.is_zero() {
                    continue;
                }
                let _ = writeln!(faults, "  - edge: {edge}\n    inject: {inject}");
                faults += &how.lines(&seen.fault);
                let _ = writeln!(faults, "    at: {}\n    for: {}", stretch.from, Span::from(lasts));
            }
        }
        if faults.is_empty() {
            text += "# No fault was switched on.\ncontrol: true\n\n";
        } else {
            let _ = writeln!(text, "faults:\n{faults}");
        }
        // Refused connections leave no trace, so nothing could be asked of them.
        let tells = self.faults.iter().any(|seen| !seen.stood.is_empty() && seen.fault.name() != "refuse");
        let expected = expect_block(&[(edge.to_owned(), self.calls.patterns.clone())]);
        if tells && !expected.is_empty() {
            let _ = writeln!(text, "{expected}");
        }
        text += "learn: all                 # proposes an `expect:` block from what is seen\n";
        text
    }

    /// The edge and what watches beside it: the dependency, or where only callers reach it, these.
    fn edges(&self, edge: &str, more: &str) -> String {
        let to = scalar(&self.upstream);
        let Some(attached) = &self.attached else {
            let listen = scalar(self.listen.as_deref().unwrap_or_default());
            return format!(
                "edges:\n  {edge}: {{ listen: {listen}, to: {to}{more} }}\n\n\
                 probes:\n  dependency: {{ tcp: {to}, every: 1s }}\n\n"
            );
        };
        let Named { caller, project } = Named::of(&attached.from)
            .unwrap_or_else(|| Named { caller: attached.from.clone(), project: None });
        let stack = project
            .as_deref()
            .map(|project| format!("stack: {{ project: {} }}\n\n", scalar(project)))
            .unwrap_or_default();
        let open = match attached.open_connections {
            OpenConnections::Cut => "",
            OpenConnections::Leave => ", open-connections: leave",
        };
        let from = scalar(&caller);
        format!(
            "{stack}edges:\n  {edge}: {{ from: {from}, to: {to}{more}{open} }}\n\n\
             probes:\n  callers: {{ container: {}, every: 1s }}\n\n",
            scalar(&watched(attached.callers.iter().map(|seen| seen.name.as_str()), &caller))
        )
    }
}

/// What of an edge's traffic a fault is for.
#[derive(Debug, Clone, PartialEq)]
pub struct How {
    /// On which ways.
    pub directions: Directions,
    /// On which share of connections.
    pub chance: Chance,
    /// Which requests are meant.
    pub matching: Match,
    /// Which of these.
    pub which: Which,
}

impl How {
    /// All of it, as a scenario has it if nothing is said.
    pub fn plain() -> How {
        let (matching, which) = (Match::default(), Which::default());
        How { directions: Directions::default(), chance: Chance::ALWAYS, matching, which }
    }

    /// As lines below a fault of a scenario: where one on bytes sits, which requests one on requests is for. What a scenario has if
    /// nothing is said is left out.
    pub fn lines(&self, fault: &Fault) -> String {
        if fault.acts_on_requests() {
            let line = |key: &str, value: serde_json::Result<Value>| match value.map(|value| flow(&value)) {
                Ok(value) if value != "{}" => format!("    {key}: {value}\n"),
                _ => String::new(),
            };
            return line("match", serde_json::to_value(&self.matching))
                + &line("which", serde_json::to_value(&self.which));
        }
        let direction = match self.directions {
            Directions::ToClient => "",
            Directions::ToUpstream => "    direction: to-upstream\n",
            Directions::Both => "    direction: both\n",
        };
        let chance = match self.chance {
            Chance::ALWAYS => String::new(),
            chance => format!("    chance: {chance}\n"),
        };
        format!("{direction}{chance}")
    }
}

/// A caller as a scenario can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// One name: a container, or a compose service.
    pub caller: String,
    /// The compose project that it is a service of.
    pub project: Option<String>,
}

impl Named {
    /// `None` if a scenario has no word for it.
    fn of(text: &str) -> Option<Named> {
        if let Ok(caller) = text.parse::<Caller>() {
            return Some(Named { caller: caller.to_string(), project: None });
        }
        let target: Target = text.parse().ok()?;
        let (mut caller, mut project) = (None, None);
        for selector in target.all_of {
            let (place, pattern) = match selector {
                Selector::Name(pattern) | Selector::Service(pattern) => (&mut caller, pattern),
                Selector::Project(pattern) => (&mut project, pattern),
                _ => return None,
            };
            let Pattern::Exact(word) = pattern else { return None };
            if place.replace(word).is_some() {
                return None;
            }
        }
        Some(Named { caller: caller?, project })
    }
}

/// What was typed for the calls that are sat in on, if a scenario can name that as well; else what to type.
pub fn savable(from: &str) -> Result<Named, NotSavable> {
    // A process id means nothing tomorrow.
    match Named::of(from) {
        Some(named) if !from.starts_with("pid:") => Ok(named),
        _ => Err(NotSavable { from: from.to_owned() }),
    }
}

/// A scenario has no word for these callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--save: a scenario cannot name `{from}`; write one container or service: `--from web` or `--from service:web,project:shop`"
)]
pub struct NotSavable {
    /// As typed.
    pub from: String,
}

/// The containers that a probe looks at: that of the caller's name, or those of its service. `names` are those that are sat
/// in on.
pub fn watched<'a>(mut names: impl Iterator<Item = &'a str>, caller: &str) -> String {
    if names.all(|name| name == caller) { caller.to_owned() } else { format!("service:{caller}") }
}

/// A value in YAML's flow style: `{ latency: { delay: 200ms } }`. What is not given is left out.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{}: {}", scalar(name), flow(value)))
                .collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Plain where that is safe in YAML, else quoted: JSON's quoting is YAML's.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '%' | '/'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err();
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_saved_if_a_scenario_has_a_word_for_them() {
        let named = |text| Named::of(text).map(|named| (named.caller, named.project));
        assert_eq!(named("web"), Some(("web".into(), None)));
        assert_eq!(named("service:web"), Some(("web".into(), None)));
        assert_eq!(named("service:web,project:shop"), Some(("web".into(), Some("shop".into()))));
        for text in ["web-*", "label:tier=front", "id:4f2a", "project:shop", "web,service:web", "pid:4711"] {
            assert!(savable(text).unwrap_err().to_string().contains("--from web"), "{text}");
        }
        assert_eq!(savable("service:web,project:shop").unwrap().project, Some("shop".into()));
    }

    #[test]
    fn what_could_be_misread_is_quoted() {
        assert_eq!(scalar("200ms"), "200ms");
        assert_eq!(scalar("127.0.0.1:80"), "\"127.0.0.1:80\"");
        assert_eq!(scalar("no"), "\"no\"");
        assert_eq!(scalar("1e3"), "\"1e3\"");
        let value = serde_json::json!({ "latency": { "delay": "200ms", "jitter": null, "max": 3 } });
        assert_eq!(flow(&value), "{ latency: { delay: 200ms, max: 3 } }");
        assert_eq!(flow(&serde_json::json!({ "query": { "y": "1,2" } })), "{ query: { \"y\": \"1,2\" } }");
    }

    #[test]
    fn lines_say_what_a_fault_is_for_and_leave_out_what_holds_anyway() {
        let fault = |name| Fault::from_settings(name, serde_json::Map::new()).unwrap();
        let (bytes, requests) = (fault("reset"), fault("abort"));
        for fault in [&bytes, &requests] {
            assert_eq!(How::plain().lines(fault), "");
        }
        let how = How {
            directions: Directions::Both,
            chance: "20%".parse().unwrap(),
            matching: serde_json::from_str(r#"{"header":{"x-a":"1 2"}}"#).unwrap(),
            which: Which { first: Some(3), ..Which::default() },
        };
        assert_eq!(how.lines(&bytes), "    direction: both\n    chance: 20%\n");
        let of_requests = "    match: { header: { x-a: \"1 2\" } }\n    which: { first: 3 }\n";
        assert_eq!(how.lines(&requests), of_requests);
    }
}
