//! A terminal that may be somebody else's by now: when the shell that started a program is killed, the one above it takes the terminal
//! back, while the program still believes that it is its own.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{OutputFlags, tcgetattr};

/// Whether standard input is a terminal that hands keys out as they are pressed and shows bytes as they are written: the state in which
/// a full screen leaves it if it is not put back.
pub fn terminal_is_raw() -> bool {
    tcgetattr(io::stdin()).is_ok_and(|now| !now.output_flags.contains(OutputFlags::OPOST))
}

/// Does something to the terminal also where this process has it no more: the kernel would stop it for that, or refuse it.
pub fn from_the_background<T>(act: impl FnOnce() -> T) -> T {
    let mut signal = SigSet::empty();
    signal.add(Signal::SIGTTOU);
    let blocked = signal.thread_block();
    let done = act();
    if blocked.is_ok() {
        // Nobody sends it but the kernel, and that only for what was just done.
        let _ = signal.thread_unblock();
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_is_blocked_for_the_act_alone() {
        let is_blocked = || SigSet::thread_get_mask().unwrap().contains(Signal::SIGTTOU);
        assert!(from_the_background(is_blocked));
        assert!(!is_blocked());
    }
}
