//! `stack:`: the compose project whose containers are watched and broken.

use murphy_core::Span;

use super::context::{Check, Cursor};
use crate::document::StackDoc;
use crate::plan::{StackKeep, StackPlan};

/// The time that a stack has to become healthy, if the file does not say.
const WAIT: Span = Span::from_secs(60);

pub(super) fn plan(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    document: Option<&StackDoc>,
) -> Option<StackPlan> {
    let here = root.child("stack")?;
    let document = document?;
    if !here.meant("compose") && !here.meant("project") {
        check
            .findings
            .error(here.own(), "a stack without a name")
            .label("`compose` or `project` is missing")
            .help("write `compose: compose.yaml` for a file, or `project: NAME` for a project that runs");
    }
    check.some_time(here, "wait", document.wait);
    let files = document.compose.as_ref().map(|files| files.0.as_slice()).unwrap_or_default();
    let no_file = |file: &String| file.trim().is_empty() || file.contains('\0');
    if here.has("compose") && !here.is_gone("compose") && (files.is_empty() || files.iter().any(no_file)) {
        check
            .findings
            .error(here.value("compose"), "`compose` is no file")
            .help("write the path of a compose file: `compose: compose.yaml`");
    }
    if let Some(project) = &document.project {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let starts = project.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts || !project.chars().all(good) {
            check
                .findings
                .error(here.value("project"), "this cannot be the name of a compose project")
                .help("use a-z, 0-9, `-` and `_`, beginning with a letter or digit; `docker compose ls` lists those that run");
        }
    }
    let up = document.up == Some(true);
    if up && !here.meant("compose") {
        check
            .findings
            .error(here.key("up"), "a stack is brought up from its compose file")
            .help("write `compose: compose.yaml` as well, or remove `up`");
    }
    if document.down == Some(true) && !up && !here.is_gone("up") {
        check
            .findings
            .error(here.key("down"), "Murphy takes down only what it brought up")
            .help("write `up: true` as well, or remove `down`");
    }
    if !document.env.is_empty() && !up && !here.is_gone("up") {
        check
            .findings
            .error(here.key("env"), "variables are for bringing a stack up")
            .help("write `up: true` as well, or remove `env`");
    }
    let keep = match (up, document.down) {
        (false, _) => StackKeep::Found,
        (true, Some(false)) => StackKeep::Left,
        (true, _) => StackKeep::TakenDown,
    };
    let written_at = here.value("compose");
    Some(StackPlan {
        compose: files.iter().map(|file| check.findings.source().relative(file, written_at)).collect(),
        project: document.project.clone(),
        keep,
        wait: document.wait.unwrap_or(WAIT),
        env: document.env.clone(),
    })
}
