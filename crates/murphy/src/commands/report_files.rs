//! Reports that are asked for by file name: what `run`, `report` and `demo` share.

use std::path::Path;

use murphy_report::{Came, Outcome, html, junit, markdown};
use murphy_verdict::Judgement;

use super::fail;
use crate::exit::Exit;
use crate::output_args::ReportFiles;

/// Writes every report that has a file name.
pub fn write_reports(files: &ReportFiles, outcomes: &[Outcome]) -> Exit {
    let mut exit = Exit::Graceful;
    let mut write = |path: &Path, text: std::io::Result<String>| {
        if let Err(error) = text.and_then(|text| std::fs::write(path, text)) {
            exit = exit.worst(fail(Exit::Failed, &format_args!("cannot write {}: {error}", path.display())));
        }
    };
    if let Some(path) = &files.json {
        let judgements: Vec<&Judgement> = judgements(outcomes).collect();
        let text = serde_json::to_string_pretty(&judgements).map(|text| text + "\n");
        write(path, text.map_err(std::io::Error::from));
    }
    if let Some(path) = &files.markdown {
        let parts: Vec<String> = judgements(outcomes).map(markdown).collect();
        write(path, Ok(parts.join("\n")));
    }
    if let Some(path) = &files.junit {
        write(path, junit(outcomes).map_err(std::io::Error::other));
    }
    if let Some(path) = &files.html {
        write(path, Ok(html(outcomes)));
    }
    exit
}

fn judgements(outcomes: &[Outcome]) -> impl Iterator<Item = &Judgement> {
    outcomes.iter().filter_map(|outcome| match &outcome.came {
        Came::Judged { judgement, .. } => Some(judgement.as_ref()),
        Came::NotCarriedOut { .. } | Came::NotRun { .. } => None,
    })
}
