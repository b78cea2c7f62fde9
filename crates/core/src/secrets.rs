//! Values that must stand in no journal, report or log. They are known by value: wherever one turns up, in the answer of
//! a probe as in the last words of a service, `***` stands in its place.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::Event;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Secret values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Longest first, so that a secret within a secret does not tear it apart.
    values: Vec<String>,
    /// As they stand within a JSON text.
    escaped: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

/// Which texts of a JSON value are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    All,
    /// All but those that are nothing else: they may be a word of the journal's own, such as the name of a kind.
    Mixed,
}

impl Secrets {
    /// The fewest characters of a value: a shorter one is not looked for, as it would be found in every second word.
    pub const SHORTEST: usize = 4;

    /// Of these values; those of fewer than four characters are left out. Of a value of several lines each is a secret.
    pub fn new(values: impl IntoIterator<Item = String>) -> Secrets {
        let mut all = Vec::new();
        for value in values {
            let lines = value.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>();
            for text in std::iter::once(value).chain(lines) {
                all.push(percent_encoded(&text));
                all.push(text);
            }
        }
        all.retain(|value| value.chars().count() >= Secrets::SHORTEST);
        crate::sort_short(&mut all, |a: &String, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        let escaped = all.iter().map(|value| {
            let quoted = Value::from(value.as_str()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        });
        Secrets { escaped: escaped.collect(), values: all }
    }

    /// True if there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A text without them, also where it breaks off within one (`abc…`).
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Cow::Borrowed(text);
        for value in &self.values {
            if out.contains(value.as_str()) {
                out = Cow::Owned(out.replace(value.as_str(), MASK));
            }
            if out.contains('…') {
                out = Cow::Owned(without_beginnings(&out, value));
            }
        }
        out
    }

    /// Bytes without them, as of a log that need not be text.
    pub fn hide_bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        let mut out = Cow::Borrowed(bytes);
        for value in &self.values {
            let mut rest: &[u8] = &out;
            let mut without = Vec::new();
            while let Some(at) = find(rest, value.as_bytes()) {
                without.extend_from_slice(&rest[..at]);
                without.extend_from_slice(MASK.as_bytes());
                rest = &rest[at + value.len()..];
            }
            if !without.is_empty() {
                without.extend_from_slice(rest);
                out = Cow::Owned(without);
            }
        }
        out
    }

    /// A JSON value without them: every text in it, and no key.
    pub fn hide_json(&self, value: &mut Value) {
        self.hide_leaves(value, Leaves::All);
    }

    fn hide_leaves(&self, value: &mut Value, leaves: Leaves) {
        match value {
            Value::String(text) => {
                if leaves == Leaves::All || !self.values.contains(text) {
                    *text = self.hide(text).into_owned();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.hide_leaves(value, leaves)),
            Value::Object(map) => map.values_mut().for_each(|value| self.hide_leaves(value, leaves)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// An event without them; `None` if there are none in it, as nearly always. `line` is the event as JSON.
    pub fn hide_event(&self, line: &[u8]) -> Option<Event> {
        if !self.escaped.iter().any(|value| find(line, value.as_bytes()).is_some()) {
            return None;
        }
        let without = |leaves| {
            let mut value: Value = serde_json::from_slice(line).ok()?;
            self.hide_leaves(&mut value, leaves);
            // By the way every journal is read: another reader of events would be another copy of all their code.
            serde_json::from_slice(&serde_json::to_vec(&value).ok()?).ok()
        };
        without(Leaves::All).or_else(|| without(Leaves::Mixed))
    }
}

/// Masks what stands before a `…` and is how a secret begins.
fn without_beginnings(text: &str, secret: &str) -> String {
    let mut parts: Vec<String> = text.split('…').map(str::to_owned).collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let ends = secret.char_indices().map(|(at, _)| at).skip(Secrets::SHORTEST).collect::<Vec<_>>();
        if let Some(end) = ends.into_iter().rev().find(|end| part.ends_with(&secret[..*end])) {
            part.truncate(part.len() - end);
            part.push_str(MASK);
        }
    }
    parts.join("…")
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut at = 0;
    while let Some(found) = within[at..].iter().position(|byte| *byte == first) {
        at += found;
        if within[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// As it stands in a URL.
fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventKind, LoadName, Offset, ProbeName, Sample, SampleOutcome, Span};

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values.iter().map(|value| (*value).to_owned()))
    }

    #[test]
    fn every_form_of_a_secret_is_masked_and_the_rest_is_kept() {
        let all = secrets(&["pa ss/word", "pa ss", "key-one\nkey-two", "abc"]);
        assert_eq!(all.hide("<pa ss/word> <pa%20ss%2Fword> pa ss"), "<***> <***> ***");
        assert_eq!(all.hide("has key-two in it"), "has *** in it");
        assert_eq!(all.hide("abc is too short"), "abc is too short");
        assert_eq!(all.hide("`pa ss/w…` pa…"), "`***…` pa…");
        assert_eq!(&*all.hide_bytes(b"\xff pa ss/word\n"), b"\xff ***\n");
        assert_eq!(format!("{all:?}").find("pa ss"), None);
    }

    fn line(kind: EventKind) -> Vec<u8> {
        serde_json::to_vec(&Event { seq: 1, at: Offset::ZERO, kind }).unwrap()
    }

    #[test]
    fn an_event_stays_one_whatever_the_secret_is() {
        let said = line(EventKind::Probe {
            probe: ProbeName::new("ready").unwrap(),
            asked: Offset::ZERO,
            took: Span::ZERO,
            ok: false,
            saw: "ready? \"quo\"ted probe".to_owned(),
        });
        let saw = |values: &[&str]| match secrets(values).hide_event(&said).unwrap().kind {
            EventKind::Probe { saw, .. } => saw,
            other => panic!("{other:?}"),
        };
        assert_eq!(saw(&["\"quo\"ted"]), "ready? *** probe");
        // The name of a probe, and of a kind of event.
        assert_eq!(saw(&["ready"]), "***? \"quo\"ted probe");
        assert_eq!(saw(&["probe"]), "ready? \"quo\"ted ***");
        assert!(secrets(&["nowhere"]).hide_event(&said).is_none());
    }

    #[test]
    fn numbers_are_no_secrets() {
        let sample = line(EventKind::Sample(Sample {
            load: LoadName::new("a").unwrap(),
            n: 12345,
            intended: Offset::ZERO,
            sent: None,
            ended: Offset::ZERO,
            outcome: SampleOutcome::Ok,
            status: None,
            served: Default::default(),
            age: None,
            retry_after: None,
        }));
        let hidden = secrets(&["12345"]).hide_event(&sample).unwrap();
        assert!(matches!(hidden.kind, EventKind::Sample(Sample { n: 12345, .. })));
    }
}
