//! Fills `${NAME}` and `${NAME:-default}` into scalar values. `$${` stands for `${`; what probes capture is left as it is.
//!
//! A filled value is always one scalar: nothing that comes from outside can add keys to a scenario. Keys are never
//! filled. What is filled in is bounded, so that a large variable used often cannot eat memory.

use std::collections::BTreeSet;

use murphy_core::Secrets;

use crate::diagnostic::{Findings, Severity};
use crate::matrix::Cell;
use crate::node::{Gone, Kind, Node, Scalar, shortened};
use crate::settings::Settings;
use crate::source_map::Region;

/// The most text that may be filled in, in bytes.
const MOST_FILLED: usize = 1 << 20;

/// Fills a whole tree: from one combination of the `matrix`, then from what is set, then from the environment. Nodes that
/// could not be filled are reported and marked. What is filled in and secret is given back, and is in no finding.
pub(crate) fn fill(
    root: &mut Node,
    settings: &Settings,
    cell: &Cell,
    findings: &mut Findings<'_>,
    gone: &mut Gone,
) -> Secrets {
    let mut marked: BTreeSet<String> = BTreeSet::new();
    if let Some(names) = root.entry("secrets") {
        marked.extend(names.value.items().iter().filter_map(Node::scalar).map(|name| name.text.clone()));
    }
    let mut filler =
        Filler { settings, cell, marked, secret: BTreeSet::new(), used: BTreeSet::new(), filled: 0 };
    filler.node(root, findings, gone);
    let secrets = filler.secrets(root, findings);
    for (name, value) in &settings.set {
        if filler.used.contains(name) {
            continue;
        }
        let near = crate::suggest::nearest(name, filler.used.iter().map(String::as_str));
        let value = if crate::secret::is_telling(name) { "…".to_owned() } else { shortened(value) };
        let help = near.map_or_else(
            || format!("write `${{{name}}}` where the value belongs"),
            |near| format!("did you mean `--set {near}={value}`?"),
        );
        let message = format!("`--set {name}=…` is not used: there is no `${{{name}}}` in this file");
        findings.whole(Severity::Warning, message).help(help);
    }
    findings.keep_secret(secrets.clone());
    secrets
}

struct Filler<'a> {
    settings: &'a Settings,
    cell: &'a Cell,
    /// Variables that the scenario calls secret, besides those whose name tells.
    marked: BTreeSet<String>,
    /// Secret variables that were filled in, with their values.
    secret: BTreeSet<(String, String)>,
    used: BTreeSet<String>,
    filled: usize,
}

impl Filler<'_> {
    /// The secret values that were filled in. One that is too short, or that stands in the file for all to read, cannot
    /// be kept.
    fn secrets(&self, root: &Node, findings: &mut Findings<'_>) -> Secrets {
        let unused = self.marked.iter().filter(|name| !self.used.contains(*name));
        for (name, entry) in unused.zip(root.entry("secrets").into_iter().cycle()) {
            let region = entry.key_region;
            findings
                .error(
                    region,
                    format!(
                        "`{}` is called secret, and there is no `${{{}}}`",
                        shortened(name),
                        shortened(name)
                    ),
                )
                .help(format!(
                    "write `${{{}}}` where the value belongs, or remove the name",
                    shortened(name)
                ));
        }
        let mut values = Vec::new();
        for (name, value) in &self.secret {
            let why = if value.chars().count() < Secrets::SHORTEST {
                "is too short"
            } else if findings.source().text().contains(value.as_str()) {
                "also stands in the file as it is"
            } else {
                values.push(value.clone());
                continue;
            };
            findings
                .whole(
                    Severity::Warning,
                    format!("the value of `{name}` {why}: it is not kept out of reports"),
                )
                .help("give it another value");
        }
        Secrets::new(values)
    }

    fn node(&mut self, node: &mut Node, findings: &mut Findings<'_>, gone: &mut Gone) {
        match &mut node.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| self.node(item, findings, gone)),
            Kind::Map(entries) => {
                entries.iter_mut().for_each(|entry| self.node(&mut entry.value, findings, gone));
            }
            Kind::Scalar(scalar) if !scalar.text.contains("${") => {}
            Kind::Scalar(scalar) => match self.scalar(scalar, node.region, findings) {
                Some((text, _)) if text == scalar.text => {}
                Some((text, escaped)) => {
                    scalar.text = text;
                    scalar.verbatim = None;
                    scalar.escaped = escaped;
                }
                None => {
                    gone.insert(node.id);
                }
            },
        }
    }

    /// The filled text, and where an escaped `${` stands in it; `None` after a finding.
    fn scalar(
        &mut self,
        scalar: &Scalar,
        region: Region,
        findings: &mut Findings<'_>,
    ) -> Option<(String, Vec<usize>)> {
        let text = scalar.text.as_str();
        let part = |start: usize, end: usize| match scalar.verbatim {
            Some(first) => Region { start: first + start, end: first + end },
            None => region,
        };
        let (mut out, mut escaped) = (String::new(), Vec::new());
        let mut good = true;
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let start = at + found;
            if text[..start].ends_with('$') {
                // The escape: the first of the two dollars goes.
                out.push_str(&text[at..start]);
                escaped.push(out.len() - 1);
                out.push('{');
                at = start + 2;
                continue;
            }
            out.push_str(&text[at..start]);
            let Some(length) = text[start..].find('}') else {
                findings
                    .error(part(start, text.len()), "`${` is not closed")
                    .help("write `${NAME}` or `${NAME:-default}`; `$${` stands for the text `${`");
                return None;
            };
            let end = start + length + 1;
            match self.variable(&text[start + 2..end - 1], part(start, end), findings) {
                Some(value) => out.push_str(&value),
                None => good = false,
            }
            self.filled = self.filled.saturating_add(out.len());
            if self.filled > MOST_FILLED {
                findings.error(region, "more than 1 MiB of text is filled in").help("use shorter values");
                return None;
            }
            at = end;
        }
        out.push_str(&text[at..]);
        good.then_some((out, escaped))
    }

    fn variable(&mut self, inside: &str, region: Region, findings: &mut Findings<'_>) -> Option<String> {
        // Filled in while the scenario runs.
        if crate::captured::is_reference(inside) {
            return Some(format!("${{{inside}}}"));
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            findings
                .error(region, format!("`{}` is not the name of a variable", shortened(name)))
                .help("write `${NAME}` or `${NAME:-default}`; `$${` stands for the text `${`");
            return None;
        }
        self.used.insert(name.to_owned());
        let axis = self.cell.iter().find(|(axis, _)| axis == name).map(|(_, value)| value);
        let given = axis.or_else(|| self.settings.set.get(name)).cloned();
        let value = given.or_else(|| self.settings.environment.get(name));
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty())
            && (self.marked.contains(name) || crate::secret::is_telling(name))
        {
            self.secret.insert((name.to_owned(), value.clone()));
        }
        // As in a shell, `:-` also stands in for an empty value.
        let value = value.filter(|value| default.is_none() || !value.is_empty());
        let value = value.or_else(|| default.map(str::to_owned));
        if value.is_none() {
            findings.error(region, format!("the variable `{name}` is not set")).label("no value").help(
                format!(
                    "set it in the environment, by `--set {name}=…`, or give a default: `${{{name}:-…}}`"
                ),
            );
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Environment;
    use crate::source_map::Source;

    fn filled(value: &str) -> Result<String, String> {
        let source = Source::new(format!("a: '{value}'\n"));
        let mut findings = Findings::new(&source);
        let mut root =
            crate::yaml::read(&source, &source.parts()[0], &mut Default::default(), &mut findings).unwrap();
        let table = [("HOST", "db"), ("EMPTY", ""), ("BIG", &"x".repeat(100_000))];
        let table = table.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let set = [("PORT".to_owned(), "1".to_owned())];
        let settings =
            Settings { environment: Environment::Only(table.into()), set: set.into(), ..Settings::default() };
        let mut gone = Gone::new();
        let cell = vec![("AXIS".to_owned(), "2".to_owned())];
        fill(&mut root, &settings, &cell, &mut findings, &mut gone);
        let all = findings.finish("x");
        let value = &root.entries()[0].value;
        if gone.contains(&value.id) { Err(all.to_string()) } else { Ok(value.scalar().unwrap().text.clone()) }
    }

    #[test]
    fn set_wins_then_the_environment_then_the_default() {
        assert_eq!(filled("${HOST}:${PORT}").unwrap(), "db:1");
        assert_eq!(filled("${AXIS}${PORT}").unwrap(), "21");
        assert_eq!(filled("${NONE:-x:-y}").unwrap(), "x:-y");
        assert_eq!(filled("<${EMPTY}><${EMPTY:-d}>").unwrap(), "<><d>");
    }

    #[test]
    fn a_dollar_alone_and_an_escaped_one_stay() {
        assert_eq!(filled("^$ $HOME $$ $${HOST} ${HOST}").unwrap(), "^$ $HOME $$ ${HOST} db");
    }

    #[test]
    fn what_cannot_be_filled_is_pointed_at() {
        assert!(filled("a ${NONE} b").unwrap_err().contains(":1:7"));
        for text in ["${", "${A", "${}", "${a b}", "${1}", "${ü}"] {
            assert!(filled(text).is_err(), "{text:?} was accepted");
        }
        assert!(filled(&"${BIG}".repeat(1000)).unwrap_err().contains("1 MiB"));
    }
}
