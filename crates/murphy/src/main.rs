//! The binary: parses what was typed, does it, ends with the right code. Results go to standard output, progress and
//! errors to standard error.

// They panic where nobody reads any more, in the middle of a way back: `commands::{print, note, murmur}` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod by_hand_args;
mod commands;
mod daemon_args;
#[cfg(test)]
mod documented;
mod exit;
mod fault_flags;
mod limit_words;
mod native_args;
mod output_args;
mod pressure_args;
mod progress;
mod proxy_args;
mod request_flags;
mod runtime;
mod signals;
mod style;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    let words = limit_words::with_breaking_point(daemon_args::with_go_flags(std::env::args_os()));
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes; clap says which by its own code.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Graceful };
            let _ = error.print();
            return code.into();
        }
    };
    let exit = match cli.command {
        Command::Demo(args) => commands::demo::run(&args, cli.color),
        Command::Run(args) => commands::run::run(&args, cli.color),
        Command::BreakingPoint(args) => commands::breaking_point::run(&args, cli.color),
        Command::Explore(args) => commands::explore::run(&args, cli.color),
        Command::Plan(args) => commands::plan::run(&args, cli.color),
        Command::Check(args) => commands::check::run(&args, cli.color),
        Command::Init(args) => commands::init::run(&args),
        Command::Reference => commands::reference::run(),
        Command::Report(args) => commands::report::run(&args, cli.color),
        Command::Kill(args) => commands::by_hand::kill(&args),
        Command::Stop(args) => commands::by_hand::stop(&args),
        Command::Restart(args) => commands::by_hand::restart(&args),
        Command::Pause(args) => commands::by_hand::pause(&args),
        Command::Disconnect(args) => commands::by_hand::disconnect(&args),
        Command::Limit(args) => commands::by_hand::limit(&args),
        Command::Remove(args) => commands::by_hand::remove(&args),
        Command::Exec(args) => commands::by_hand::exec(&args),
        Command::Partition(args) => commands::by_hand_network::partition(&args),
        Command::Loss(args) => commands::by_hand_network::loss(&args),
        Command::Reset(args) => commands::by_hand_network::reset(&args),
        Command::Latency(args) => commands::by_hand_network::latency(&args),
        Command::Bandwidth(args) => commands::by_hand_network::bandwidth(&args),
        Command::Freeze(args) => commands::by_hand::freeze(&args),
        Command::Signal(args) => commands::by_hand::signal(&args),
        Command::Pressure(args) => commands::pressure::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Proxy(args) => commands::proxy::run(&args),
        Command::Attach(args) => commands::attach::run(&args),
        Command::Compare(args) => commands::compare::run(&args, cli.color),
        Command::Ca(args) => commands::ca::run(&args),
        Command::Undo(args) => commands::undo::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Schema => commands::schema::run(),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Known { words } => commands::known::run(&words),
        Command::Man(args) => commands::man::run(&args),
        Command::Serve(args) => commands::serve::run(&args),
        Command::Proxies(args) => commands::proxies::run(&args),
        Command::Fault(args) => commands::fault::run(&args),
        Command::Toxiproxy(args) => commands::toxiproxy::run(&args),
        Command::Top(args) => commands::top::run(&args, cli.color),
        Command::DemoService(args) => commands::demo_service::run(args),
        Command::PressureWorker { task } => commands::pressure::work(&task),
        Command::Watchdog { log } => commands::watchdog::run(&log),
    };
    exit.into()
}
