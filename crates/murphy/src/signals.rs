//! SIGINT, SIGTERM and SIGHUP: the first ends the run in order, the second ends the program at once (the watchdog then
//! takes everything back).

use std::io;

use murphy_runner::{Stop, StopReason};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::commands::fail;
use crate::exit::Exit;

/// Does the work with signals passed on to `stop`.
pub async fn heeded(stop: &Stop, work: impl Future<Output = Exit>) -> Exit {
    // In a task of its own: a second signal must end the program also while the work keeps its thread busy.
    let mut watching = JoinSet::new();
    watching.spawn(murphy_core::boxed(watch(stop.clone())));
    tokio::select! {
        exit = work => exit,
        Some(Ok(Err(error))) = watching.join_next() => {
            fail(Exit::Failed, &format_args!("cannot listen for signals: {error}"))
        }
    }
}

/// Passes signals on to `stop`, for ever. A second one ends the process with its own code.
pub async fn watch(stop: Stop) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        let (name, number) = tokio::select! {
            _ = interrupt.recv() => ("SIGINT", 2),
            _ = terminate.recv() => ("SIGTERM", 15),
            _ = hang_up.recv() => ("SIGHUP", 1),
        };
        if stop.reason().is_some() {
            std::process::exit(128 + number);
        }
        stop.stop(StopReason::Signal { name, number });
    }
}
