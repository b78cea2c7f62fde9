//! Ways in which Murphy is ended.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Bench, Finished};
use crate::wait::processes_with;

/// Sends a signal to Murphy, which must be running.
pub fn send(murphy: &Child, signal: Signal) {
    kill(Pid::from_raw(murphy.id().cast_signed()), signal).expect("murphy runs");
}

/// Waits for its end.
pub fn finish(murphy: Child) -> Finished {
    murphy.wait_with_output().expect("murphy can be waited for").into()
}

/// Kills Murphy so that nobody is left to take anything back.
pub fn kill_with_watchdog(bench: &Bench, murphy: Child) -> Finished {
    // Stopped first, so that it cannot replace its watchdog.
    send(&murphy, Signal::SIGSTOP);
    let state = bench.path().join("state").display().to_string();
    for watchdog in processes_with(&format!("watchdog {state}")) {
        kill(Pid::from_raw(watchdog.cast_signed()), Signal::SIGKILL).expect("the watchdog lives");
    }
    send(&murphy, Signal::SIGKILL);
    finish(murphy).expect(137)
}
