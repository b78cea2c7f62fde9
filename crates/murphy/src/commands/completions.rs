//! `murphy completions SHELL`: completions from the same definitions as the parser.

use clap::CommandFactory;

use super::print;
use crate::args::{Cli, CompletionsArgs};
use crate::exit::Exit;

/// Prints them.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "murphy", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Graceful
}
