//! Finds every problem of a document in one go: what serde calls an error becomes a finding with help, its node is
//! passed over, and the reading begins again. Errors that only follow from an earlier one are not reported.

use serde::de::DeserializeOwned;

use crate::deserialize::{At, NodeError, Reader, Wrong};
use crate::diagnostic::Findings;
use crate::node::{Entry, Gone, Meaning, Node, NodeId, Style, shortened};
use crate::suggest;

/// Reads a type from a tree. Nodes that are wrong are in `gone` afterwards. `None` if not even the root fits, or if
/// there are too many problems.
pub(crate) fn read<T: DeserializeOwned>(
    root: &Node,
    gone: &mut Gone,
    findings: &mut Findings<'_>,
) -> Option<T> {
    // Ends: every round passes over one node more, and the number of errors is bounded.
    while !findings.is_full() {
        let error = match T::deserialize(Reader::root(root, gone)) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let at = error.at.unwrap_or(At { node: root.id, within: root.id, region: root.region, key: None });
        let within = find(root, at.within).unwrap_or(root);
        if !follows(&error, at, within, gone) {
            report(&error, at, within, root, findings);
        }
        if at.node == root.id || !gone.insert(at.node) {
            return None;
        }
    }
    None
}

/// The node of an identity.
fn find(node: &Node, id: NodeId) -> Option<&Node> {
    if node.id == id {
        return Some(node);
    }
    let entries = node.entries().iter().map(|entry| &entry.value);
    entries.chain(node.items()).find_map(|child| find(child, id))
}

/// True if the error is there only because a part of the node was passed over.
fn follows(error: &NodeError, at: At, within: &Node, gone: &Gone) -> bool {
    if at.within != at.node {
        return false;
    }
    let is_gone = |entry: &Entry| gone.contains(&entry.value.id);
    match &error.wrong {
        Wrong::Missing { field } => within.entry(field).is_some_and(is_gone),
        _ => {
            within.entries().iter().any(is_gone) || within.items().iter().any(|item| gone.contains(&item.id))
        }
    }
}

fn report(error: &NodeError, at: At, within: &Node, root: &Node, findings: &mut Findings<'_>) {
    let path = root.path_to(at.within).unwrap_or_default();
    let path = path.trim_start_matches('.');
    let own_label = || if path.is_empty() { String::new() } else { format!("in `{path}`") };
    match &error.wrong {
        Wrong::Field { found, known } => {
            let place = if path.is_empty() { "a scenario".to_owned() } else { format!("`{path}`") };
            findings
                .error(at.region, format!("`{}` is not a key of {place}", shortened(found)))
                .label("unknown key")
                .help(known_keys(found, known));
        }
        Wrong::Variant { found, known } => {
            let near = suggest::nearest(found, known.iter().copied());
            let help = near.map_or_else(|| format!("write one of: {}", known.join(", ")), did_you_mean);
            let what = if path.ends_with("inject") { "a known fault" } else { "one of the choices" };
            findings
                .error(at.region, format!("`{}` is not {what}", shortened(found)))
                .label(own_label())
                .help(help);
        }
        Wrong::Missing { field } => {
            let region = at.key.unwrap_or(at.region);
            let owner = path.rsplit('.').next().unwrap_or(path);
            findings
                .error(region, format!("`{owner}` needs `{field}`"))
                .label(format!("`{field}` is missing"))
                .help(format!("write `{field}: …` below it"));
        }
        Wrong::Absent => absent(at, path, findings),
        Wrong::Type { .. } if within.scalar().is_some_and(|scalar| scalar.is_absent()) => {
            absent(at, path, findings);
        }
        Wrong::Type { expected } | Wrong::Value { expected } => {
            let expected = in_plain_words(expected);
            findings
                .error(at.region, format!("expected {expected}, found {}", within.noun()))
                .label(own_label())
                .maybe_help(reserved_help(path).or_else(|| type_help(path, &expected, within)));
        }
        Wrong::Custom(message) => custom(message, path, at, own_label(), findings),
    }
}

fn absent(at: At, path: &str, findings: &mut Findings<'_>) {
    let key = path.rsplit('.').next().unwrap_or(path);
    let region = at.key.unwrap_or(at.region);
    findings
        .error(region, format!("`{key}` has no value"))
        .help("write its value behind the `:`, or below it with more indentation, or remove the key");
}

/// A type's own words: the part that says what to write becomes the help.
fn custom(message: &str, path: &str, at: At, label: String, findings: &mut Findings<'_>) {
    if let Some((what, guess)) = message.split_once(" needs a unit: ") {
        let guess = guess.trim_end_matches('?');
        if path.starts_with("faults[") && path.ends_with("].every") {
            let number = what.trim_matches('`');
            findings.error(at.region, format!("{what} needs a unit")).label(label).help(format!(
                "write `every: {number}s`; to touch one request in {number}: `which: {{ every: {number} }}`"
            ));
            return;
        }
        findings
            .error(at.region, format!("{what} needs a unit"))
            .label(label)
            .help(format!("did you mean {guess}?"));
        return;
    }
    let split = ["; write ", ": write ", ": make ", "; "]
        .into_iter()
        .find_map(|joint| message.split_once(joint).map(|p| (joint, p)));
    match split {
        Some((joint, (what, help))) => {
            let verb = joint.trim_start_matches([';', ':', ' ']);
            findings.error(at.region, what).label(label).help(format!("{verb}{help}"));
        }
        None => {
            findings.error(at.region, message).label(label);
        }
    }
}

pub(crate) fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// Words that other tools use, and the key that they stand for.
const SYNONYMS: [(&str, &str); 20] = [
    ("on", "edge"),
    ("duration", "for"),
    ("lasts", "for"),
    ("start", "at"),
    ("upstream", "to"),
    ("downstream", "listen"),
    ("url", "http"),
    ("rps", "rate"),
    ("target", "edge"),
    ("proxy", "edge"),
    ("fault", "inject"),
    ("type", "inject"),
    ("toxicity", "chance"),
    ("interval", "every"),
    ("command", "run"),
    ("file", "compose"),
    ("timeout", "wait"),
    ("containers", "container"),
    ("count", "pick"),
    ("regex", "name"),
];

/// The key that a wrong one was probably meant to be.
pub(crate) fn likely<'k>(found: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let means = |key: &&str| SYNONYMS.iter().any(|(word, stands_for)| *word == found && stands_for == key);
    known.clone().find(means).or_else(|| suggest::nearest(found, known))
}

fn known_keys(found: &str, known: &[&str]) -> String {
    let known = known.iter().copied();
    let all = known.clone().collect::<Vec<_>>().join(", ");
    if let Some(truth) = yaml_1_1_truth(found) {
        let instead = likely(found, known).map_or_else(|| format!("keys here: {all}"), did_you_mean);
        return format!(
            "a YAML 1.1 reader takes `{found}` for `{truth}`, so no key is called that; {instead}"
        );
    }
    match likely(found, known) {
        Some(near) => did_you_mean(near),
        None if all.is_empty() => "remove it: no key is known here".to_owned(),
        None => format!("keys here: {all}"),
    }
}

/// What YAML 1.1 reads a word as, where that is a truth value.
fn yaml_1_1_truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "true" => Some(true),
        "n" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

fn in_plain_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a block of keys".to_owned(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "a block of keys".to_owned(),
            None => other.to_owned(),
        },
    }
}

/// A slip in one of the two keys of `expect` that are no names.
fn reserved_help(path: &str) -> Option<String> {
    let key = path.strip_prefix("expect.")?;
    let reserved = ["recovery", "isolation"];
    let near = suggest::nearest(key, reserved).filter(|_| !reserved.contains(&key))?;
    Some(did_you_mean(near))
}

fn type_help(path: &str, expected: &str, node: &Node) -> Option<String> {
    let Some(scalar) = node.scalar() else {
        return match node.kind {
            crate::node::Kind::List(_) if expected.contains("block of keys") => {
                Some("write `name: …`, without `- `".to_owned())
            }
            crate::node::Kind::Map(_) if expected.contains("list") => {
                Some("begin each entry with `- `".to_owned())
            }
            _ => None,
        };
    };
    if expected.contains("`true`") {
        return yaml_1_1_truth(&scalar.text)
            .map(|truth| format!("YAML 1.2 knows only `true` and `false`: write {truth}"));
    }
    if path == "murphy" {
        return Some("write `murphy: 1`, the version of the language".to_owned());
    }
    if expected.contains("number") && scalar.style == Style::Text {
        let bare = crate::node::Scalar { style: Style::Plain, ..scalar.clone() };
        let numeric = !matches!(bare.meaning(), Meaning::Text(_) | Meaning::Nothing | Meaning::Truth(_));
        return numeric.then(|| format!("write it without quotes: {}", scalar.text));
    }
    let digits = scalar.text.bytes().all(|b| b.is_ascii_digit());
    if expected.contains("whole number") && scalar.text.len() > 18 && digits {
        return Some("write a smaller number".to_owned());
    }
    if path == "faults" {
        return Some("begin each fault with `- `: `- { edge: NAME, inject: { latency: 200ms } }`".to_owned());
    }
    if path.is_empty() {
        return Some(match scalar.text.split_once('=') {
            Some((key, value)) => {
                format!("write `{}`", shortened(&format!("{}: {}", key.trim(), value.trim())))
            }
            None => "begin with `murphy: 1` and `name: …`; `murphy init` writes a first scenario".to_owned(),
        });
    }
    if expected.contains("list") {
        return Some(format!("write it in brackets: [{}]", shortened(&scalar.text)));
    }
    None
}
