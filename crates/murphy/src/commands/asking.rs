//! The one question that Murphy asks: whether many targets may be touched at once. Asked of a person at a terminal and of
//! nobody else; silence is no. A signal while it stands is an answer too, and must never wait for the next Enter.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use murphy_adhoc::{Consent, Planned};
use murphy_runner::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

/// How long a person does not see that a signal was heard.
const UNSEEN_MILLIS: u8 = 50;

/// Asks whether so many may be touched, where there is a person to ask; until `stop` at most. It keeps its thread busy.
pub fn ask(planned: &Planned, stop: &Stop) -> Consent {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Consent::NotGiven;
    }
    let names: Vec<&str> = planned.targets.iter().map(|target| target.name.as_str()).collect();
    eprint!("{}: {} targets at once: {}. Go on? [y/N] ", planned.deed, names.len(), names.join(", "));
    let _ = std::io::stderr().flush();
    match line(stop).as_deref().map(str::trim) {
        Some("y" | "Y" | "yes") => Consent::Given,
        Some(_) => Consent::NotGiven,
        None => {
            // What comes next stands on a line of its own.
            eprintln!();
            Consent::NotGiven
        }
    }
}

/// The next line of the terminal; none after a wish to stop.
fn line(stop: &Stop) -> Option<String> {
    let stdin = std::io::stdin();
    loop {
        if stop.reason().is_some() {
            return None;
        }
        // A terminal is readable once a line is whole, so the read behind it does not wait.
        match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], UNSEEN_MILLIS) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => break,
            Err(_) => return None,
        }
    }
    let mut answer = String::new();
    stdin.read_line(&mut answer).ok().map(|_| answer)
}
