//! The reports of an exploration that are asked for by file name.

use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use murphy_report::{Came, Closing, Matrix, Outcome, html_explored, junit};

use super::fail;
use crate::exit::Exit;
use crate::output_args::ReportFiles;

/// In which form the matrix is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Markdown,
    Junit,
    Html,
}

impl Form {
    /// The flag that asks for it.
    fn flag(self) -> &'static str {
        match self {
            Form::Json => "--json",
            Form::Markdown => "--markdown",
            Form::Junit => "--junit",
            Form::Html => "--html",
        }
    }

    fn text(self, matrix: &Matrix, runs: &[Outcome]) -> Result<String, Error> {
        match self {
            Form::Json => serde_json::to_string_pretty(matrix).map(|text| text + "\n").map_err(Error::from),
            Form::Markdown => Ok(matrix.markdown()),
            Form::Junit => junit(&with_left_out(matrix, runs)).map_err(Error::other),
            Form::Html => Ok(html_explored(matrix, runs)),
        }
    }
}

/// The runs, and what was not run as scenarios of their own.
fn with_left_out(matrix: &Matrix, runs: &[Outcome]) -> Vec<Outcome> {
    let mut all = runs.to_vec();
    for out in &matrix.left_out {
        all.push(Outcome {
            scenario: format!("{}: {} on {}", matrix.scenario, out.fault, out.edge),
            source: String::new(),
            came: Came::NotRun { why: out.why.clone() },
        });
    }
    if let Some(why) = matrix.closing.as_ref().and_then(Closing::doubt) {
        let scenario = format!("{}: as at the beginning", matrix.scenario);
        all.push(Outcome { scenario, source: String::new(), came: Came::NotRun { why } });
    }
    all
}

/// Files that are open already.
#[derive(Debug)]
pub struct OpenFiles(Vec<(Form, PathBuf, File)>);

impl OpenFiles {
    /// Opened before anything is run: hours of runs must not end with a matrix that can be kept nowhere.
    pub fn new(files: &ReportFiles) -> Result<OpenFiles, Exit> {
        let wanted = [
            (Form::Json, &files.json),
            (Form::Markdown, &files.markdown),
            (Form::Junit, &files.junit),
            (Form::Html, &files.html),
        ];
        let mut open = Vec::new();
        for (form, path) in wanted {
            let Some(path) = path else { continue };
            // What stands there is kept until there is something to put in its place.
            match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
                Ok(file) => open.push((form, path.clone(), file)),
                Err(error) => return Err(refused(form, path, &error)),
            }
        }
        Ok(OpenFiles(open))
    }

    /// Writes all of them. `runs` are those of the matrix's cells, in their order.
    pub fn write(self, matrix: &Matrix, runs: &[Outcome]) -> Exit {
        let mut exit = Exit::Graceful;
        for (form, path, mut file) in self.0 {
            let written = form
                .text(matrix, runs)
                .and_then(|text| file.set_len(0).and_then(|()| file.write_all(text.as_bytes())));
            if let Err(error) = written {
                exit =
                    exit.worst(fail(Exit::Failed, &format_args!("cannot write {}: {error}", path.display())));
            }
        }
        exit
    }
}

fn refused(form: Form, path: &Path, error: &Error) -> Exit {
    fail(Exit::Usage, &format_args!("{} {}: cannot be written: {error}", form.flag(), path.display()))
}
