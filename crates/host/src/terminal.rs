//! A terminal that may be somebody else's by now: when the shell that started a program is killed, the one above it takes the terminal
//! back, while the program still believes that it is its own.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
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
    let before = signal.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = act();
    if let Ok(before) = before {
        // Nobody sends it but the kernel, and that only for what was just done. Whoever had it blocked before has it blocked still.
        let _ = before.thread_set_mask();
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
        assert!(
            from_the_background(|| from_the_background(is_blocked) && is_blocked()),
            "it was blocked before the inner act"
        );
        assert!(!is_blocked());
    }
}
