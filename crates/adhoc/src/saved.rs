//! What was done by hand as a scenario file: the same faults at the same times, ready for `murphy check` and `murphy run`.
//! Written as text and not through a serializer, so that a person finds comments in it.

use std::fmt::Write as _;

use murphy_core::{Chance, Directions, Protocol, Span};
use serde_json::Value;

use crate::proxy::Sight;

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
        let _ = writeln!(
            text,
            "# The callers must dial {}. Add `load:` with what users do, and `expect:`.",
            self.listen
        );
        let _ = writeln!(text, "murphy: 1");
        let _ = writeln!(text, "name: {}", scalar(&format!("by hand on {}", self.upstream)));
        let _ = writeln!(text, "seed: {}\n", self.seed);
        let (listen, to) = (scalar(&self.listen), scalar(&self.upstream));
        let protocol = if self.protocol == Protocol::Http { ", protocol: http" } else { "" };
        let tls = self.tls.as_ref().and_then(|tls| serde_json::to_value(tls).ok());
        let tls = tls.map(|tls| format!(", tls: {}", flow(&tls))).unwrap_or_default();
        let _ = writeln!(text, "edges:\n  proxy: {{ listen: {listen}, to: {to}{protocol}{tls} }}\n");
        let _ = writeln!(text, "probes:\n  dependency: {{ tcp: {to}, every: 1s }}\n");
        let fault = self.elapsed.max(SHORTEST);
        let _ = writeln!(
            text,
            "phases: {{ warm-up: 1s, baseline: {BASELINE}, fault: {fault}, recovery: {RECOVERY} }}\n"
        );
        let mut faults = String::new();
        for seen in &self.faults {
            let inject = serde_json::to_value(&seen.fault).map(|value| flow(&value)).unwrap_or_default();
            for stretch in &seen.stood {
                let until = stretch.until.unwrap_or(fault).min(fault);
                let lasts = until.as_duration().saturating_sub(stretch.from.as_duration());
                if lasts.is_zero() {
                    continue;
                }
                let _ = writeln!(faults, "  - edge: proxy\n    inject: {inject}");
                faults += &if seen.fault.acts_on_requests() { self.requests() } else { self.bytes() };
                let _ = writeln!(faults, "    at: {}\n    for: {}", stretch.from, Span::from(lasts));
            }
        }
        if faults.is_empty() {
            text += "# No fault was switched on.\ncontrol: true\n\n";
        } else {
            let _ = writeln!(text, "faults:\n{faults}");
        }
        text += "learn: all                 # proposes an `expect:` block from what is seen\n";
        text
    }

    /// Where a fault on bytes sits.
    fn bytes(&self) -> String {
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

    /// Which requests a fault on requests is for.
    fn requests(&self) -> String {
        let line = |key: &str, value: serde_json::Result<Value>| match value.map(|value| flow(&value)) {
            Ok(value) if value != "{}" => format!("    {key}: {value}\n"),
            _ => String::new(),
        };
        line("match", serde_json::to_value(&self.matching))
            + &line("which", serde_json::to_value(&self.which))
    }
}

/// A value in YAML's flow style: `{ latency: { delay: 200ms } }`. What is not given is left out.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{name}: {}", flow(value)))
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
    fn what_could_be_misread_is_quoted() {
        assert_eq!(scalar("200ms"), "200ms");
        assert_eq!(scalar("127.0.0.1:80"), "\"127.0.0.1:80\"");
        assert_eq!(scalar("no"), "\"no\"");
        assert_eq!(scalar("1e3"), "\"1e3\"");
        let value = serde_json::json!({ "latency": { "delay": "200ms", "jitter": null, "max": 3 } });
        assert_eq!(flow(&value), "{ latency: { delay: 200ms, max: 3 } }");
    }
}
