//! Scenarios from a compose file: for every dependency one in which it is gone and one in which it hangs, with remarks that
//! say what was guessed and what to check.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::compose::Compose;
use crate::dependency::{Dependency, Technology, dependencies};

/// A scenario file that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its name, without a directory: `cache-gone.yaml`.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// How a dependency breaks.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Gone,
    Hangs,
}

/// A service that users call.
struct Front<'a> {
    name: &'a str,
    port: String,
}

/// One scenario for each dependency and kind of trouble; one for the front itself if nothing depends on anything.
/// `compose_path` is the compose file as seen from the folder in which the scenarios will be.
pub fn scenarios(compose: &Compose, compose_path: &str) -> Vec<Proposal> {
    let all = dependencies(compose);
    let front = front(compose, &all);
    let called: BTreeSet<&str> = murphy_core::gathered(all.iter().map(|dependency| dependency.to.as_str()));
    // What users call directly and nobody else calls is no dependency.
    let mut targets: Vec<&str> =
        called.into_iter().filter(|name| front.as_ref().is_none_or(|front| front.name != *name)).collect();
    if targets.is_empty() {
        targets = compose.services.keys().map(String::as_str).take(1).collect();
    }
    let mut proposals = Vec::new();
    for target in targets {
        for trouble in [Trouble::Gone, Trouble::Hangs] {
            proposals.push(proposal(compose, compose_path, &all, front.as_ref(), target, trouble));
        }
    }
    proposals
}

/// The service that users call: one with a port on the machine that is no store, best one that nobody else calls.
fn front<'a>(compose: &'a Compose, all: &[Dependency]) -> Option<Front<'a>> {
    let candidates = || {
        compose.services.iter().filter(|(_, service)| !Technology::of(service).is_store()).filter_map(
            |(name, service)| {
                let port = service.published.first()?;
                Some(Front { name, port: murphy_variable(port) })
            },
        )
    };
    let called = |front: &Front<'_>| all.iter().any(|dependency| dependency.to == front.name);
    candidates().find(|front| !called(front)).or_else(|| candidates().next())
}

/// A port as a scenario may write it: `${PORT:-8080}` is the same in both languages, other forms are not.
fn murphy_variable(port: &str) -> String {
    let inside = port.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    match inside {
        None if port.bytes().all(|byte| byte.is_ascii_digit()) => port.to_owned(),
        // A range, or a variable without braces.
        None => {
            port.split('-').next().filter(|first| first.parse::<u16>().is_ok()).unwrap_or("8080").to_owned()
        }
        Some(inside) => match inside.split_once('-') {
            Some((name, default)) if default.parse::<u16>().is_ok() => {
                format!("${{{}:-{default}}}", name.trim_end_matches(':'))
            }
            _ => {
                let name = inside.split([':', '-', '?']).next().unwrap_or_default();
                format!("${{{name}:-8080}}")
            }
        },
    }
}

/// A text as one scalar of YAML, in quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    // A dollar of a name or path is no variable of the scenario.
    quoted.replace("${", "$${")
}

/// What is put into a remark: one line.
fn remark(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A name of the scenario language.
fn plain_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    name.trim_start_matches(['-', '_', '.']).to_owned()
}

fn proposal(
    compose: &Compose,
    compose_path: &str,
    all: &[Dependency],
    front: Option<&Front<'_>>,
    target: &str,
    trouble: Trouble,
) -> Proposal {
    let (word, claim, remark_on_fault, inject) = match trouble {
        Trouble::Gone => (
            "gone",
            "is gone",
            "its container is killed, and started again after 20s. Others: stop, restart, pause, remove, disconnect",
            "kill",
        ),
        Trouble::Hangs => (
            "hangs",
            "hangs",
            "it takes calls and never answers, which hurts more than being gone: who has no timeout waits",
            "pause",
        ),
    };
    let mut text = String::new();
    write_scenario(
        &mut text,
        &Parts { compose, compose_path, all, front, target, claim, remark_on_fault, inject },
    )
    .expect("writing to a string cannot fail");
    Proposal { file: format!("{}-{word}.yaml", plain_name(target)), text }
}

struct Parts<'a> {
    compose: &'a Compose,
    compose_path: &'a str,
    all: &'a [Dependency],
    front: Option<&'a Front<'a>>,
    target: &'a str,
    claim: &'a str,
    remark_on_fault: &'a str,
    inject: &'a str,
}

fn write_scenario(out: &mut String, parts: &Parts<'_>) -> std::fmt::Result {
    let Parts { compose, compose_path, all, front, target, claim, remark_on_fault, inject } = parts;
    writeln!(out, "# Proposed by `murphy init --compose`. It is a guess: read it once, and correct it.")?;
    writeln!(
        out,
        "#   murphy check FILE    every mistake, with its place      murphy plan FILE    what would be done; touches nothing"
    )?;
    writeln!(out, "#   murphy run FILE      does it")?;
    writeln!(out, "murphy: 1")?;
    writeln!(out, "name: {}", quoted(&format!("users are served while {target} {claim}")))?;
    writeln!(out)?;
    writeln!(
        out,
        "# Murphy brings the stack up, waits until it is healthy, and takes it down. Without `up: true` it must run already."
    )?;
    writeln!(out, "stack: {{ compose: {}, up: true, wait: 120s }}", quoted(compose_path))?;
    writeln!(out)?;
    edges(out, all, target)?;
    load(out, compose, *front)?;
    writeln!(
        out,
        "# `profile: quick` is for trying out, `release` for a gate; more samples make narrower intervals."
    )?;
    writeln!(out, "phases: {{ warm-up: 5s, baseline: 20s, fault: 20s, recovery: 30s }}")?;
    writeln!(out)?;
    writeln!(out, "faults:")?;
    writeln!(out, "  # {remark_on_fault}.")?;
    writeln!(out, "  - container: {{ service: {} }}", quoted(target))?;
    writeln!(out, "    inject: {inject}")?;
    writeln!(out)?;
    writeln!(out, "expect:")?;
    writeln!(out, "  users:")?;
    writeln!(out, "    success: within 1% of baseline    # or an absolute share: \">= 99%\"")?;
    writeln!(
        out,
        "    p99: \"<= 2s\"                      # failed requests count at their age, so an error that takes 10s counts as 10s"
    )?;
    writeln!(out, "  recovery: \"<= 15s\"                  # after it is back")?;
    writeln!(out)?;
    writeln!(out, "# Everything is taken back at once if users are worse off than this.")?;
    writeln!(out, "abort-if: [ \"users success < 5% for 15s\" ]")
}

fn edges(out: &mut String, all: &[Dependency], target: &str) -> std::fmt::Result {
    let callers: Vec<&Dependency> = all.iter().filter(|dependency| dependency.to == target).collect();
    if callers.is_empty() {
        return Ok(());
    }
    writeln!(out, "# Who calls {}:", remark(target))?;
    for dependency in &callers {
        let port = dependency.port.map_or_else(String::new, |port| format!(":{port}"));
        let because = remark(&dependency.because.join(", "));
        writeln!(out, "#   {} calls {}{port}    ({because})", remark(&dependency.from), remark(target))?;
    }
    writeln!(out, "# To break only the calls of one of them, or to make them slow, put Murphy in between:")?;
    writeln!(out, "#   edges:")?;
    for dependency in callers {
        let name = plain_name(&format!("{}-{}", dependency.from, dependency.to));
        let protocol = dependency
            .technology
            .protocol()
            .map_or_else(String::new, |protocol| format!(", protocol: {protocol}"));
        let port = dependency.port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
        writeln!(
            out,
            "#     {name}: {{ from: {}, to: {}:{port}{protocol} }}",
            remark(&dependency.from),
            remark(target)
        )?;
    }
    writeln!(out, "# and instead of the fault below: {{ edge: …, inject: {{ latency: 800ms }} }}")?;
    writeln!(out)
}

fn load(out: &mut String, compose: &Compose, front: Option<&Front<'_>>) -> std::fmt::Result {
    writeln!(
        out,
        "# What users do, open loop: a slow service does not slow the sender. CHANGE the path to one that matters."
    )?;
    writeln!(out, "load:")?;
    match front {
        Some(front) => {
            writeln!(out, "  # {} is the one with a port on this machine.", remark(front.name))?;
            let url = format!("GET http://127.0.0.1:{}/", front.port);
            // The port's variable is meant to be filled.
            writeln!(out, "  users: {{ http: \"{url}\", rate: 30/s, timeout: 5s }}")?;
        }
        None => {
            let names: Vec<String> = compose.services.keys().map(|name| remark(name)).collect();
            writeln!(out, "  # CHANGE this: no service has a port on this machine ({}).", names.join(", "))?;
            writeln!(out, "  users: {{ http: \"GET http://127.0.0.1:8080/\", rate: 30/s, timeout: 5s }}")?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_written_so_that_both_languages_agree() {
        let cases = [
            ("8080", "8080"),
            ("${PORT:-8080}", "${PORT:-8080}"),
            ("${PORT-81}", "${PORT:-81}"),
            ("${PORT}", "${PORT:-8080}"),
            ("${PORT:?missing}", "${PORT:-8080}"),
            ("9000-9005", "9000"),
            ("$PORT", "8080"),
        ];
        for (compose, scenario) in cases {
            assert_eq!(murphy_variable(compose), scenario, "{compose}");
        }
    }

    #[test]
    fn a_name_from_outside_stays_one_scalar() {
        assert_eq!(quoted("a\"b\\c\n${X}"), r#""a\"b\\c $${X}""#);
    }
}
