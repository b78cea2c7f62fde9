//! What probes capture of their answers: whether it can be found, and whether everything that uses it can.

use std::collections::BTreeMap;

use murphy_core::JsonPath;

use super::context::{Check, Cursor};
use crate::captured::references;
use crate::node::shortened;
use crate::plan::{Capture, CaptureFrom};
use crate::problem::did_you_mean;
use crate::question_document::CaptureDoc;
use crate::suggest;

/// What a probe captures; reports what can never be found.
pub(super) fn plans(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    probe: &str,
    documents: &BTreeMap<String, CaptureDoc>,
) -> Vec<Capture> {
    let mut captures = Vec::new();
    for (name, at) in here.child("capture").into_iter().flat_map(Cursor::fields) {
        let Some(document) = documents.get(name) else { continue };
        let good = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !good {
            check
                .findings
                .error(at.own(), format!("`{}` is not a name for what is captured", shortened(name)))
                .help("use a-z, A-Z, 0-9, `-` and `_`");
        }
        if at.has("json") && at.has("header") {
            check
                .findings
                .error(at.key("header"), "`json` and `header` in one capture")
                .also(at.key("json"), "the other one")
                .help("capture one thing; make a second entry for the other");
        }
        for key in ["json", "header"] {
            if at.has(key) && !here.has("http") {
                check
                    .findings
                    .error(at.key(key), format!("`{key}` belongs to an answer to `http`"))
                    .help("write `match: '([0-9]+)'` for a part of what is said");
            }
        }
        if let Some(text) = &document.matches {
            super::question::pattern(check, at, "match", text);
        }
        let from = match document {
            CaptureDoc { json: Some(path), .. } => match path.parse::<JsonPath>() {
                Ok(path) => CaptureFrom::Json(path),
                Err(error) => {
                    check
                        .findings
                        .error(at.value("json"), error.to_string())
                        .help("write for example `$.id`");
                    continue;
                }
            },
            CaptureDoc { header: Some(header), .. } => CaptureFrom::Header(header.to_ascii_lowercase()),
            CaptureDoc { matches: Some(_), .. } => CaptureFrom::Text,
            _ if at.has_gone() => continue,
            _ => {
                check
                    .findings
                    .error(at.own(), format!("`{}` does not say what to capture", shortened(name)))
                    .help("write one of `json: $.id`, `header: Location` and `match: '([0-9]+)'`");
                continue;
            }
        };
        captures.push(Capture { name: format!("{probe}.{name}"), from, matches: document.matches.clone() });
    }
    captures
}

/// Where a captured value can stand: below these keys of loads and probes.
const PLACES: [&str; 7] = ["http", "headers", "json", "body", "command", "send", "query"];

/// Reports what uses a value that no probe captures, or where none can be filled in.
pub(super) fn uses(check: &mut Check<'_, '_>, root: Cursor<'_>) {
    let mut known: Vec<String> = Vec::new();
    for (probe, at) in root.child("probes").into_iter().flat_map(Cursor::fields) {
        let names = at.child("capture").into_iter().flat_map(Cursor::fields);
        known.extend(names.map(|(name, _)| format!("{probe}.{name}")));
    }
    for (section, below) in root.fields() {
        if !matches!(section, "load" | "probes") {
            walk(check, below, &known, None);
            continue;
        }
        for (owner, at) in below.fields() {
            for (key, value) in at.fields() {
                let can_stand =
                    PLACES.contains(&key) && !(section == "probes" && matches!(key, "json" | "body"));
                let owner = if section == "probes" { owner } else { "" };
                walk(check, value, &known, can_stand.then_some(owner));
            }
        }
    }
}

/// `by`: the probe that would use it, nothing for a load; `None` where no captured value can stand.
fn walk(check: &mut Check<'_, '_>, at: Cursor<'_>, known: &[String], by: Option<&str>) {
    at.children().for_each(|child| walk(check, child, known, by));
    let Some(scalar) = at.node.scalar() else { return };
    for (place, name) in references(&scalar.text) {
        let (probe, own) = name.rsplit_once('.').unwrap_or((name, ""));
        let place = at.part(place);
        if !known.iter().any(|known| known == name) {
            let near = suggest::nearest(name, known.iter().map(String::as_str));
            let help = near.map_or_else(
                || format!("write it in that probe: `capture: {{ {own}: {{ json: $.{own} }} }}`"),
                |near| did_you_mean(&format!("${{{near}}}")),
            );
            let message = format!("no probe `{}` captures `{}`", shortened(probe), shortened(own));
            check.findings.error(place, message).help(help);
        } else if by.is_none() {
            check
                .findings
                .error(
                    place,
                    "what is captured cannot be filled in here: it is known only while the scenario runs",
                )
                .help("use it in a load's `http`, `headers`, `json` or `body`, or in what a probe asks");
        } else if by == Some(probe) {
            check
                .findings
                .error(place, format!("`{}` needs what only its own answer gives", shortened(probe)))
                .help("capture it in another probe");
        }
    }
}
