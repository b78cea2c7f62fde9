//! `murphy report RUN`: judges a finished run again from its journal. The same bytes in, the same verdict out.

use murphy_report::{Came, Outcome};

use super::answer::answer;
use super::experiment::judged;
use super::report_files::write_reports;
use crate::args::{ColourChoice, ReportArgs};
use crate::exit::Exit;
use crate::style;

/// Prints the report; the exit code is the verdict's.
pub fn run(args: &ReportArgs, colour: ColourChoice) -> Exit {
    let (judgement, timeline) = match judged(&args.run) {
        Ok(judged) => judged,
        Err(exit) => return exit,
    };
    let told = answer(args.answer.output(), &judgement, || {
        murphy_report::terminal(&judgement, style::report(colour))
    });
    let exit = Exit::of(judgement.verdict).worst(told);
    let outcome = Outcome {
        scenario: judgement.run.scenario.clone(),
        source: judgement.run.source.clone(),
        came: Came::Judged { judgement: Box::new(judgement), timeline: Box::new(timeline) },
    };
    exit.worst(write_reports(&args.reports.files(), &[outcome]))
}
