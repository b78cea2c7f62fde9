//! A result in the form that was asked for: text for a person, or JSON for a program. It must never put the one beside the
//! other: with `--output json` standard output holds JSON and nothing else.

use serde::Serialize;

use super::{fail, print};
use crate::exit::Exit;
use crate::output_args::OutputChoice;

/// One of several results, as a person reads it or on one line of JSON.
pub fn shown(output: OutputChoice, value: &impl Serialize, text: impl FnOnce() -> String) -> String {
    match output {
        OutputChoice::Text => text(),
        OutputChoice::Json => serde_json::to_string(value).unwrap_or_default() + "\n",
    }
}

/// Prints the one result of a command, as a person reads it or as an indented JSON document.
pub fn answer(output: OutputChoice, value: &impl Serialize, text: impl FnOnce() -> String) -> Exit {
    match output {
        OutputChoice::Text => print(&text()),
        OutputChoice::Json => match serde_json::to_string_pretty(value) {
            Ok(json) => print(&(json + "\n")),
            Err(error) => return fail(Exit::Failed, &error),
        },
    }
    Exit::Graceful
}
