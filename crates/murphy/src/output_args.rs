//! What can be typed to say in which form a result is printed, and into which files reports go. Only the words; what is
//! printed and written is in `commands`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputChoice {
    Text,
    Json,
}

/// In which form a command prints its result.
#[derive(Debug, Clone, Copy, Args)]
pub struct AnswerArgs {
    /// Text for a person, or JSON for a program
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
}

/// The same for commands that had `--json` first: scripts go on with it.
#[derive(Debug, Clone, Copy, Args)]
pub struct AnswerOrJsonArgs {
    /// Text for a person, or JSON for a program
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    output: OutputChoice,
    /// The same as `--output json`
    #[arg(long, hide = true, conflicts_with = "output")]
    json: bool,
}

impl AnswerOrJsonArgs {
    /// The form, whichever way it was asked for.
    pub fn output(self) -> OutputChoice {
        if self.json { OutputChoice::Json } else { self.output }
    }
}

/// Where runs and reports of them go.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Where run directories are made
    #[arg(long, default_value = "murphy-runs", value_name = "DIR")]
    pub report_dir: PathBuf,
    /// Also write the judgement as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub reports: NamedReports,
}

impl OutputArgs {
    /// Every report that is asked for by file name.
    pub fn files(&self) -> ReportFiles {
        ReportFiles { json: self.json.clone(), ..self.reports.files() }
    }
}

/// Reports for other readers.
#[derive(Debug, Clone, Default, Args)]
pub struct NamedReports {
    /// Also write the reports as Markdown to this file, as for $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write JUnit XML to this file: one test case for each expectation
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Also write one self-contained HTML file with charts
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl NamedReports {
    /// The same, without JSON.
    pub fn files(&self) -> ReportFiles {
        ReportFiles {
            json: None,
            markdown: self.markdown.clone(),
            junit: self.junit.clone(),
            html: self.html.clone(),
        }
    }
}

/// Reports that are asked for by file name.
#[derive(Debug, Clone, Default)]
pub struct ReportFiles {
    pub json: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
    pub junit: Option<PathBuf>,
    pub html: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser as _};

    use super::*;
    use crate::args::{Cli, Command};

    /// Those that have no such flag, and why.
    const WITHOUT: [(&str, &str); 5] = [
        ("schema", "prints JSON and nothing else"),
        ("completions", "prints the script of a shell"),
        ("man", "writes pages into a directory that its caller names"),
        ("top", "is a screen; its recordings are scenarios"),
        ("help", "prints help"),
    ];

    /// The commands that can be typed below this one, each in its words.
    fn typed<'a>(command: &'a clap::Command, words: &str) -> Vec<(String, &'a clap::Command)> {
        let mut all = Vec::new();
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let words = format!("{words} {}", below.get_name()).trim_start().to_owned();
            if WITHOUT.iter().any(|(name, _)| *name == below.get_name()) {
                continue;
            }
            let further = typed(below, &words);
            // Whoever names no command below it gets what the command itself does.
            if further.is_empty() || !below.is_subcommand_required_set() {
                all.push((words, below));
            }
            all.extend(further);
        }
        all
    }

    #[test]
    fn every_command_that_tells_something_tells_it_to_a_program_too() {
        let mut cli = Cli::command();
        // Each command has the flags of those above it only then.
        cli.build();
        let all = typed(&cli, "");
        for (words, command) in &all {
            let flag = command.get_arguments().find(|arg| arg.get_long() == Some("output"));
            let flag = flag.unwrap_or_else(|| panic!("`murphy {words}` has no --output"));
            let values: Vec<String> =
                flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            assert_eq!(values, ["text", "json"], "murphy {words}");
            assert_eq!(flag.get_default_values(), ["text"], "murphy {words}");
        }
        for words in ["breaking-point", "explain", "proxies add", "pressure cpu", "toxiproxy toxic add"] {
            assert!(all.iter().any(|(typed, _)| typed == words), "{words} was not looked at");
        }
        for (name, _) in WITHOUT {
            assert!(cli.find_subcommand(name).is_some(), "there is no `murphy {name}`");
        }
    }

    fn output(line: &str) -> Option<OutputChoice> {
        let cli = Cli::try_parse_from(line.split(' ')).ok()?;
        Some(match cli.command {
            Command::Plan(args) => args.answer.output(),
            Command::Check(args) => args.answer.output(),
            Command::Report(args) => args.answer.output(),
            Command::Doctor(args) => args.answer.output(),
            Command::Compare(args) => args.answer.output(),
            other => panic!("not asked: {other:?}"),
        })
    }

    #[test]
    fn the_older_flag_means_the_same_and_both_at_once_are_refused() {
        for command in ["plan x", "check x", "report x", "doctor", "compare x y", "compare x --save y"] {
            let line = format!("murphy {command}");
            assert_eq!(output(&line), Some(OutputChoice::Text), "{line}");
            assert_eq!(output(&format!("{line} --output text")), Some(OutputChoice::Text), "{line}");
            for json in ["--output json", "--output=json", "--json"] {
                assert_eq!(output(&format!("{line} {json}")), Some(OutputChoice::Json), "{line} {json}");
            }
            assert_eq!(output(&format!("{line} --json --output text")), None, "{line}");
        }
    }
}
