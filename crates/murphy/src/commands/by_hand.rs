//! `murphy kill|stop|restart|pause|disconnect|limit|remove|exec|freeze|signal`: breaks something by hand and takes it back.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use murphy_adhoc::{
    AdhocError, Asked, Consent, Deed, Ending, Happening, Order, Planned, ProcessDeed, Whom, WhomError, Wish,
    carry_out, dry_run, words,
};
use murphy_core::{Seed, Span};
use murphy_docker::{Action, Command, Limits, Networks, Removal};
use murphy_faults::Fault;
use murphy_runner::{StateDir, Stop, StopReason};
use tokio::task::JoinSet;

use super::answer::shown;
use super::asking::ask;
use super::{base, fail, print, runtime};
use crate::by_hand_args::{
    ChoiceArgs, DisconnectArgs, ExecArgs, FreezeArgs, KillArgs, LimitArgs, PauseArgs, RemoveArgs,
    RestartArgs, SignalArgs, StopArgs, WhenArgs,
};
use crate::exit::Exit;
use crate::signals;

pub fn kill(args: &KillArgs) -> Exit {
    let wish = wish(&args.target, &args.choice);
    let deed = |whom: &Whom| match whom {
        Whom::Processes(_) | Whom::Host => Ok(Deed::Process(ProcessDeed::Kill(args.signal))),
        // A container's signal is known to the engine by its name.
        Whom::Containers(_) | Whom::Network(_) => match args.signal.name().parse() {
            Ok(signal) => Ok(Deed::Container(Action::Kill { signal })),
            Err(error) => Err(fail(Exit::Usage, &error)),
        },
    };
    carry(wish.either(), deed, args.hold, &args.choice)
}

pub fn stop(args: &StopArgs) -> Exit {
    let whom =
        containers(&args.target, "stop", "for a process: murphy kill TARGET --signal SIGTERM", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Stop { grace: args.grace })), args.hold, &args.choice)
}

pub fn restart(args: &RestartArgs) -> Exit {
    let whom = containers(
        &args.target,
        "restart",
        "Murphy cannot start a process that it does not know how to start",
        &args.choice,
    );
    carry(whom, |_| Ok(Deed::Container(Action::Restart { grace: args.grace })), None, &args.choice)
}

pub fn pause(args: &PauseArgs) -> Exit {
    let whom = containers(&args.target, "pause", "for a process: murphy freeze TARGET", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Pause)), args.hold, &args.choice)
}

pub fn disconnect(args: &DisconnectArgs) -> Exit {
    let networks = args.network.clone().map_or(Networks::All, Networks::One);
    let whom = containers(&args.target, "disconnect", "name the container that it runs in", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Disconnect(networks.clone()))), args.hold, &args.choice)
}

pub fn limit(args: &LimitArgs) -> Exit {
    let limits = Limits { cpus: args.cpus, memory: args.memory, swap: args.swap, pids: args.pids };
    if limits == Limits::default() {
        return fail(Exit::Usage, &"give at least one of --cpus, --memory and --pids, such as --cpus 0.2");
    }
    let whom = containers(&args.target, "limit", "name the container that it runs in", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Limit(limits))), args.hold, &args.choice)
}

pub fn remove(args: &RemoveArgs) -> Exit {
    let removal = if args.irreversible { Removal::ForGood } else { Removal::SetAside };
    let whom = containers(&args.target, "remove", "for a process: murphy kill TARGET", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Remove(removal))), args.hold, &args.choice)
}

pub fn exec(args: &ExecArgs) -> Exit {
    let revert = match args.revert.as_deref().map(words).transpose() {
        Ok(revert) => revert,
        Err(error) => return fail(Exit::Usage, &format_args!("--revert: {error}")),
    };
    let command = Command { command: args.command.clone(), revert, within: args.within };
    let problems = Fault::from(command.clone()).problems();
    if let Some(problem) = problems.into_iter().next() {
        return fail(Exit::Usage, &format_args!("{}; {}", problem.message, problem.help));
    }
    let whom = containers(&args.target, "exec", "a command beside a process needs no Murphy", &args.choice);
    carry(whom, |_| Ok(Deed::Container(Action::Exec(command.clone()))), args.hold, &args.choice)
}

pub fn freeze(args: &FreezeArgs) -> Exit {
    let whom = wish(&args.target, &args.choice).processes("freeze", "pause");
    carry(whom, |_| Ok(Deed::Process(ProcessDeed::Freeze)), args.hold, &args.choice)
}

pub fn signal(args: &SignalArgs) -> Exit {
    let whom = wish(&args.target, &args.choice).processes("signal", "kill");
    carry(whom, |_| Ok(Deed::Process(ProcessDeed::Signal(args.signal))), None, &args.choice)
}

fn wish(target: &str, choice: &ChoiceArgs) -> Wish {
    Wish {
        selector: target.to_owned(),
        exclude: choice.exclude.clone(),
        pick: choice.pick,
        max: choice.when.max,
    }
}

pub(super) fn containers(
    target: &str,
    command: &'static str,
    instead: &str,
    choice: &ChoiceArgs,
) -> Result<Whom, WhomError> {
    wish(target, choice).containers(command, instead)
}

/// From what was typed to an exit code.
pub(super) fn carry(
    whom: Result<Whom, WhomError>,
    deed: impl Fn(&Whom) -> Result<Deed, Exit>,
    hold: Option<Span>,
    choice: &ChoiceArgs,
) -> Exit {
    let whom = match whom {
        Ok(whom) => whom,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let deed = match deed(&whom) {
        Ok(deed) => deed,
        Err(exit) => return exit,
    };
    carry_order(deed, whom, hold, &choice.when)
}

/// From the parts of an order to an exit code.
pub(super) fn carry_order(deed: Deed, whom: Whom, hold: Option<Span>, choice: &WhenArgs) -> Exit {
    let asked = Asked { hold, every: choice.every, jitter: choice.jitter, times: choice.times };
    let seed = choice.seed.unwrap_or_else(|| Seed(RandomState::new().build_hasher().finish() >> 32));
    let consent = if choice.yes { Consent::Given } else { Consent::NotGiven };
    let order = match Order::new(deed, whom, asked, seed, consent) {
        Ok(order) => order,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let output = choice.output;
    let mut tell = move |happening: Happening| print(&shown(output, &happening, || happening.text()));
    if choice.dry_run {
        let state = match StateDir::from_environment() {
            Ok(state) => state,
            Err(error) => return fail(Exit::Failed, &error),
        };
        return match runtime.block_on(dry_run(&order, &state, &mut tell)) {
            Ok(()) => Exit::Graceful,
            Err(error) => fail(Exit::Failed, &error),
        };
    }
    runtime.block_on(act(&order, &mut tell))
}

async fn act(order: &Order, tell: &mut (dyn FnMut(Happening) + Send)) -> Exit {
    let base = match base() {
        Ok(base) => base,
        Err(exit) => return exit,
    };
    let stop = Stop::new();
    let mut agree = |planned: &Planned| ask(planned, &stop);
    let mut listening = JoinSet::new();
    listening.spawn(murphy_core::boxed(signals::watch(stop.clone())));
    tokio::select! {
        done = carry_out(order, &base, &stop, &mut agree, tell) => exit_of(done, &stop),
        Some(Ok(Err(error))) = listening.join_next() => {
            fail(Exit::Failed, &format_args!("cannot listen for signals: {error}"))
        }
    }
}

fn exit_of(done: Result<Ending, AdhocError>, stop: &Stop) -> Exit {
    let interrupted = match stop.reason() {
        Some(StopReason::Signal { number, .. }) => Some(Exit::Signal(*number)),
        _ => None,
    };
    match done {
        Ok(ending) if ending.not_taken_back > 0 => {
            fail(Exit::NotReverted, &"something may not be as before; try again with: murphy undo")
        }
        Ok(ending) if ending.failed > 0 || ending.touched == 0 => interrupted.unwrap_or(Exit::Failed),
        Ok(_) => interrupted.unwrap_or(Exit::Graceful),
        Err(AdhocError::Interrupted) => interrupted.unwrap_or(Exit::Failed),
        Err(error @ AdhocError::NotAgreed { .. }) => fail(Exit::Usage, &error),
        Err(error) => fail(Exit::Failed, &error),
    }
}
