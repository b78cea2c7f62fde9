//! `murphy man DIR`: manual pages from the same definitions as the parser, one for each command.

use clap::CommandFactory;

use super::{fail, print};
use crate::args::{Cli, ManArgs};
use crate::exit::Exit;

/// Writes them.
pub fn run(args: &ManArgs) -> Exit {
    let first = args.dir.join("murphy.1");
    let written =
        std::fs::create_dir_all(&args.dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &args.dir));
    match written {
        Ok(()) => {
            print(&format!("read one: man -l {}\n", first.display()));
            Exit::Graceful
        }
        Err(error) => fail(Exit::Failed, &format_args!("cannot write to {}: {error}", args.dir.display())),
    }
}
