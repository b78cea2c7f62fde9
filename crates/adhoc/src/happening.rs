//! What happens while an order is carried out, as data: one JSON object each, or lines for a person. The whole output of
//! an ad hoc command is made of these.

use std::fmt::Write as _;

use murphy_core::{Seed, Span, plural};
use schemars::JsonSchema;
use serde::Serialize;

/// What kind of thing a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A process of this machine.
    Process,
    /// A container of the engine.
    Container,
    /// A machine.
    Host,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Victim {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its pid, or its full container id.
    pub id: String,
}

impl std::fmt::Display for Victim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.id.get(..12).unwrap_or(&self.id);
        write!(f, "{} ({short})", self.name)
    }
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CommandEnd {
    /// Its exit code.
    pub exit_code: i64,
    /// The end of what it wrote, of both its outputs.
    pub output: String,
}

/// What is about to be done in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// From 1.
    pub round: u32,
    /// What is done.
    pub deed: String,
    /// When, in words.
    pub when: String,
    /// To whom.
    pub targets: Vec<Victim>,
    /// How many could have been chosen.
    pub of: usize,
    /// Those that match and are protected by their owner.
    pub protected: Vec<String>,
    /// How it will be taken back.
    pub undo: Vec<String>,
    /// What a person should know beforehand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub notes: Vec<String>,
    /// The seed of all choices.
    pub seed: Seed,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Happening {
    /// Targets are chosen; nothing has been touched.
    Planned(Planned),
    /// That was all: a dry run.
    DryRun,
    /// It was done to one target.
    Done {
        /// From 1.
        round: u32,
        /// To whom.
        target: Victim,
        /// From the choice of targets to the end of the act.
        took: Span,
        /// What a person should know.
        notes: Vec<String>,
        /// How a command that was run ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<CommandEnd>,
    },
    /// It could not be done to one target.
    Failed {
        /// From 1.
        round: u32,
        /// To whom not.
        target: Victim,
        /// Why.
        why: String,
        /// How a command that was run ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<CommandEnd>,
    },
    /// The calls of one caller go through Murphy from now on, or to other addresses than before.
    SatIn {
        /// Whose.
        caller: String,
        /// The process whose network it is.
        pid: i32,
        /// The addresses of the destination, as this caller gets them.
        destinations: Vec<String>,
        /// Connections that were open and have been reset.
        cut: u64,
    },
    /// Calls of one caller may go past Murphy.
    Bypassed {
        /// Whose.
        caller: String,
        /// Why.
        why: String,
    },
    /// One thing is as before.
    TakenBack {
        /// From 1.
        round: u32,
        /// What was due.
        undo: String,
        /// What a person should know: that it was as before already, or what could not be given back exactly.
        notes: Vec<String>,
    },
    /// One thing is not as before.
    NotTakenBack {
        /// From 1.
        round: u32,
        /// What is due.
        undo: String,
        /// Why.
        why: String,
        /// The command that does it by hand.
        by_hand: String,
    },
    /// A round in which nothing was done.
    Skipped {
        /// From 1.
        round: u32,
        /// Why.
        why: String,
    },
    /// A signal came.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        signal: String,
    },
    /// The end.
    Ended {
        /// Rounds in which something was done.
        rounds: u32,
        /// Targets that were touched, over all rounds.
        touched: usize,
        /// Things that may not be as before.
        not_taken_back: usize,
    },
}

impl Happening {
    /// As lines for a person, each with its line end; plain ASCII but for names.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let list = |text: &mut String, notes: &[String]| {
            for note in notes {
                let _ = writeln!(text, "    note: {note}");
            }
        };
        match self {
            Happening::Planned(planned) => planned.lines(&mut text),
            Happening::DryRun => text += "dry run: nothing was touched\n",
            Happening::Done { target, took, notes, command, .. } => {
                let _ = writeln!(text, "  done        {target} within {took}");
                list(&mut text, notes);
                if let Some(CommandEnd { exit_code, output }) = command {
                    let _ = writeln!(text, "    exit code {exit_code}");
                    lines(&mut text, output);
                }
            }
            Happening::Failed { target, why, .. } => {
                let _ = writeln!(text, "  FAILED      {target}: {why}");
            }
            Happening::SatIn { caller, pid, destinations, cut } => {
                let cut = match cut {
                    0 => String::new(),
                    cut => format!(", {} cut", plural(*cut, "open connection")),
                };
                let to = destinations.join(", ");
                let _ = writeln!(text, "  sits in on  {caller} (process {pid}): calls to {to}{cut}");
            }
            Happening::Bypassed { caller, why } => {
                let _ = writeln!(text, "  PAST MURPHY {caller}: {why}");
            }
            Happening::TakenBack { undo, notes, .. } => {
                let _ = writeln!(text, "  taken back  {undo}");
                list(&mut text, notes);
            }
            Happening::NotTakenBack { undo, why, by_hand, .. } => {
                let _ = writeln!(text, "  NOT TAKEN BACK  {undo}: {why}; by hand: {by_hand}");
            }
            Happening::Skipped { round, why } => {
                let _ = writeln!(text, "round {round} skipped: {why}");
            }
            Happening::Interrupted { signal } => {
                let _ = writeln!(text, "{signal}: taking everything back");
            }
            Happening::Ended { rounds, touched, not_taken_back } => {
                let state = match not_taken_back {
                    0 => "nothing left to take back".to_owned(),
                    count => format!("{count} NOT TAKEN BACK"),
                };
                let _ = writeln!(
                    text,
                    "end: {}, {} touched, {state}",
                    plural(u64::from(*rounds), "round"),
                    plural(*touched as u64, "target")
                );
            }
        }
        text
    }
}

impl Planned {
    fn lines(&self, text: &mut String) {
        let Planned { round, deed, when, targets, of, protected, undo, notes, seed } = self;
        let kind = match targets.first().map(|target| target.kind) {
            Some(Kind::Process) => "process",
            Some(Kind::Host) => "machine",
            _ => "container",
        };
        let when = if when.is_empty() { String::new() } else { format!(", {when}") };
        let of = if targets.len() == *of { String::new() } else { format!("{} of ", targets.len()) };
        let many = match (kind, self.of) {
            ("machine", _) => "this machine".to_owned(),
            (kind, 1) => format!("1 {kind}"),
            ("process", of) => format!("{of} processes"),
            (kind, of) => format!("{of} {kind}s"),
        };
        let _ = writeln!(text, "{deed}: {of}{many}{when}   (round {round}, seed {seed})");
        for target in targets {
            let _ = writeln!(text, "  target      {target}");
        }
        for name in protected {
            let _ = writeln!(text, "  spared      {name}: its owner protects it (murphy.protect=true)");
        }
        for undo in undo {
            let _ = writeln!(text, "  undo        {undo}");
        }
        for note in notes {
            let _ = writeln!(text, "    note: {note}");
        }
        if undo.is_empty() {
            let _ = writeln!(text, "  undo        none: there is no way back");
        }
    }
}

/// What a container wrote, which must not steer the terminal.
fn lines(text: &mut String, output: &str) {
    for line in output.lines() {
        let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let _ = writeln!(text, "    | {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim() -> Victim {
        Victim { kind: Kind::Container, name: "shop-web-1".into(), id: "0123456789abcdef".repeat(4) }
    }

    #[test]
    fn a_person_reads_what_will_be_done_and_how_it_is_taken_back() {
        let planned = Planned {
            round: 1,
            deed: "pause".into(),
            when: "for 10s".into(),
            targets: vec![victim()],
            of: 2,
            protected: vec!["shop-db-1".into()],
            undo: vec!["unpause shop-web-1 (0123456789ab)".into()],
            notes: Vec::new(),
            seed: Seed(7),
        };
        assert_eq!(
            Happening::Planned(planned).text(),
            "pause: 1 of 2 containers, for 10s   (round 1, seed 7)\n\
             \x20 target      shop-web-1 (0123456789ab)\n\
             \x20 spared      shop-db-1: its owner protects it (murphy.protect=true)\n\
             \x20 undo        unpause shop-web-1 (0123456789ab)\n"
        );
        let command = Some(CommandEnd { exit_code: 0, output: "one\n\u{1b}[2Jtwo".into() });
        let (took, notes) = (Span::from_millis(3), Vec::new());
        let done = Happening::Done { round: 1, target: victim(), took, notes, command };
        assert_eq!(
            done.text(),
            "  done        shop-web-1 (0123456789ab) within 3ms\n    exit code 0\n    | one\n    | [2Jtwo\n"
        );
        let sat_in = Happening::SatIn {
            caller: "shop-web-1".into(),
            pid: 4711,
            destinations: vec!["172.18.0.2:6379".into()],
            cut: 1,
        };
        assert_eq!(
            sat_in.text(),
            "  sits in on  shop-web-1 (process 4711): calls to 172.18.0.2:6379, 1 open connection cut\n"
        );
        let end = Happening::Ended { rounds: 1, touched: 2, not_taken_back: 0 };
        assert_eq!(end.text(), "end: 1 round, 2 targets touched, nothing left to take back\n");
    }
}
