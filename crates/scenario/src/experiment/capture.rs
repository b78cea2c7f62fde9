//! What probes capture of their answers: whether it can be found, and whether everything that uses it can.

use std::collections::{BTreeMap, BTreeSet};

use murphy_core::JsonPath;

use super::context::{Check, Cursor};
use crate::captured::references;
use crate::node::shortened;
use crate::plan::{Capture, CaptureFrom, own_id};
use crate::problem::did_you_mean;
use crate::question_document::CaptureDoc;
use crate::source_map::Region;
use crate::{sql, suggest};

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
            let help = "capture one thing; make a second entry for the other";
            check.not_both(at, ["json", "header"], "in one capture", help);
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

/// The probes whose values each probe needs, and where it says so.
type Needs = BTreeMap<String, BTreeMap<String, Region>>;

/// Reports what uses a value that no probe captures, or where none can be filled in.
pub(super) fn uses(check: &mut Check<'_, '_>, root: Cursor<'_>) {
    let (mut known, mut needs) = (BTreeSet::new(), Needs::new());
    for (probe, at) in root.child("probes").into_iter().flat_map(Cursor::fields) {
        let names = at.child("capture").into_iter().flat_map(Cursor::fields);
        known.extend(names.map(|(name, _)| format!("{probe}.{name}")));
    }
    for (section, below) in root.fields() {
        if !matches!(section, "load" | "probes") {
            walk(check, below, &known, &mut needs, None);
            continue;
        }
        for (owner, at) in below.fields() {
            // Each request of a load with a ledger has an id of its own.
            let mut known = known.clone();
            if section == "load" && at.has("ledger") {
                known.insert(own_id(owner));
            }
            for (key, value) in at.fields() {
                let can_stand =
                    PLACES.contains(&key) && !(section == "probes" && matches!(key, "json" | "body"));
                let owner = if section == "probes" { owner } else { "" };
                walk(check, value, &known, &mut needs, can_stand.then_some(owner));
                match key {
                    "command" => in_shell(check, value, &known),
                    "query" => unquoted(check, value, &known),
                    _ => {}
                }
            }
        }
    }
    circle(check, &needs);
}

/// `by`: the probe that would use it, nothing for a load; `None` where no captured value can stand.
fn walk(
    check: &mut Check<'_, '_>,
    at: Cursor<'_>,
    known: &BTreeSet<String>,
    needs: &mut Needs,
    by: Option<&str>,
) {
    at.children().for_each(|child| walk(check, child, known, needs, by));
    let Some(scalar) = at.node.scalar() else { return };
    for (place, name) in references(&scalar.text) {
        let (probe, own) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_text = scalar.escaped.binary_search(&place.start).is_ok();
        let place = at.part(place);
        if is_text {
            if by.is_some() {
                check
                    .findings
                    .error(place, format!("`${{{}}}` cannot be a text here", shortened(name)))
                    .help("what is written so stands for what a probe captures");
            }
        } else if !known.contains(name) {
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
        } else if let Some(by) = by.filter(|by| !by.is_empty()) {
            needs.entry(by.to_owned()).or_default().entry(probe.to_owned()).or_insert(place);
        }
    }
}

/// Reports captured values in what a shell reads as commands: whoever is asked could have anything run by an answer.
fn in_shell(check: &mut Check<'_, '_>, at: Cursor<'_>, known: &BTreeSet<String>) {
    let words: Vec<(Cursor<'_>, &str)> =
        at.children().filter_map(|word| Some((word, word.node.scalar()?.text.as_str()))).collect();
    let texts: Vec<&str> = words.iter().map(|(_, text)| *text).collect();
    for index in shell_texts(&texts) {
        let (word, text) = words[index];
        for (place, name) in references(text).filter(|(_, name)| known.contains(*name)) {
            let help = format!(
                "give it to the shell as a word of its own: `[sh, -c, 'curl \"$1\"', _, \"${{{}}}\"]`",
                shortened(name)
            );
            check
                .findings
                .error(word.part(place), "what is captured would be read as commands of the shell")
                .help(help);
        }
    }
}

/// The words that a shell reads as commands: each that follows its `-c`.
fn shell_texts(words: &[&str]) -> BTreeSet<usize> {
    const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ash", "ksh"];
    let is_shell = |word: &str| SHELLS.contains(&word.rsplit('/').next().unwrap_or_default());
    let mut found = BTreeSet::new();
    for first in (0..words.len()).filter(|first| is_shell(words[*first])) {
        let (mut at, mut reads) = (first + 1, false);
        while let Some(option) = words.get(at).filter(|word| word.len() > 1 && word.starts_with(['-', '+'])) {
            reads |= option.starts_with('-') && !option.starts_with("--") && option.contains('c');
            // These have a value in the word behind them.
            let more = matches!(*option, "--rcfile" | "--init-file")
                || (!option.starts_with("--") && option.ends_with(['o', 'O']));
            at += if more { 2 } else { 1 };
            if *option == "--" {
                break;
            }
        }
        // It ends the options as `--` does.
        at += usize::from(words.get(at) == Some(&"-"));
        if reads && at < words.len() {
            found.insert(at);
        }
    }
    found
}

/// Reports captured values where they could become more than one value of a query.
fn unquoted(check: &mut Check<'_, '_>, at: Cursor<'_>, known: &BTreeSet<String>) {
    let Some(scalar) = at.node.scalar() else { return };
    let mut texts = sql::plain_texts(&scalar.text).into_iter().peekable();
    for (place, name) in references(&scalar.text).filter(|(_, name)| known.contains(*name)) {
        while texts.next_if(|text| text.end < place.end).is_some() {}
        if texts.peek().is_some_and(|text| text.start <= place.start) {
            continue;
        }
        let help = format!("write `'${{{}}}'`; it is a number where PostgreSQL needs one", shortened(name));
        check
            .findings
            .error(at.part(place), "what is captured can stand in SQL only between plain quotes")
            .help(help);
    }
}

/// Reports probes of which each waits for what another one captures, in a circle.
fn circle(check: &mut Check<'_, '_>, needs: &Needs) {
    let mut askers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (asker, others) in needs {
        for other in others.keys() {
            askers.entry(other).or_default().push(asker);
        }
    }
    // Who needs nobody is answered, then who needs only those; who is left waits for ever.
    let mut left: BTreeMap<&str, usize> =
        needs.iter().map(|(asker, others)| (asker.as_str(), others.len())).collect();
    let mut answered: Vec<&str> =
        askers.keys().copied().filter(|probe| !needs.contains_key(*probe)).collect();
    while let Some(probe) = answered.pop() {
        for asker in askers.get(probe).into_iter().flatten().copied() {
            let Some(count) = left.get_mut(asker) else { continue };
            *count -= 1;
            if *count == 0 {
                left.remove(asker);
                answered.push(asker);
            }
        }
    }
    let next = |probe: &str| {
        let others = needs.get(probe)?.iter();
        others.map(|(other, place)| (other.as_str(), *place)).find(|(other, _)| left.contains_key(other))
    };
    let Some(mut at) = left.keys().next().copied() else { return };
    let (mut way, mut passed) = (Vec::new(), BTreeSet::new());
    while passed.insert(at) {
        let Some((other, place)) = next(at) else { return };
        way.push((at, place));
        at = other;
    }
    let circle: Vec<(&str, Region)> = way.into_iter().skip_while(|(probe, _)| *probe != at).collect();
    let [(_, first), .., (_, last)] = circle[..] else { return };
    let shown = circle.iter().take(6).map(|(probe, _)| format!("`{}`", shortened(probe)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = if circle.len() > 6 { ", …" } else { "" };
    let message = format!("each of these waits for the next, and the last for the first: {shown}{more}");
    check
        .findings
        .error(first, message)
        .also(last, "here the circle closes")
        .help("capture one of these values in a probe that needs none of the others");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_shell_is_found_behind_its_options() {
        let found = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            shell_texts(&words).into_iter().map(|at| words[at]).collect::<Vec<_>>().join(" ")
        };
        for words in [
            "sh -c TEXT _ x",
            "/bin/bash -ec TEXT",
            "docker exec app sh -e -c TEXT x",
            "bash -o pipefail -c TEXT",
            "bash -c -o pipefail TEXT",
            "bash --rcfile x -euo pipefail -c TEXT",
            "zsh -c -- TEXT",
            "sh -c - TEXT",
            "env A=1 dash +e -c TEXT sh x",
        ] {
            assert_eq!(found(words), "TEXT", "{words}");
        }
        for words in ["sh x -c y", "echo -c x", "curl -c x", "sh", "sh -c", "sh -e x", "bash --check x"] {
            assert_eq!(found(words), "", "{words}");
        }
    }
}
