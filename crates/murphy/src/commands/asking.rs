//! The one question that Murphy asks: whether many targets may be touched at once. Asked of a person at a terminal and of
//! nobody else; silence is no. A signal while it stands is an answer too, and must never wait for the next Enter.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;

use murphy_adhoc::{Consent, Planned};
use murphy_runner::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::murmur;

/// How long a person does not see that a signal was heard.
const UNSEEN_MILLIS: u8 = 50;

/// Asks whether so many may be touched, where there is a person to ask; until `stop` at most. It keeps its thread busy.
pub fn ask(planned: &Planned, stop: &Stop) -> Consent {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Consent::NotGiven;
    }
    let names: Vec<&str> = planned.targets.iter().map(|target| target.name.as_str()).collect();
    let (many, names) = (names.len(), names.join(", "));
    murmur(&format_args!("{}: {many} targets at once: {names}. Go on? [y/N] ", planned.deed));
    match line(stop).as_deref().map(str::trim) {
        Some("y" | "Y" | "yes") => Consent::Given,
        Some(_) => Consent::NotGiven,
        None => {
            // What comes next stands on a line of its own.
            murmur(&"\n");
            Consent::NotGiven
        }
    }
}

/// The next line of the terminal; none after a wish to stop.
fn line(stop: &Stop) -> Option<String> {
    // A copy without a buffer: each read is one, and waits for nothing that `poll` has not seen.
    let mut terminal = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        if stop.reason().is_some() {
            return None;
        }
        // A terminal is readable once a line is whole; after Ctrl-D also in the midst of one.
        match poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], UNSEEN_MILLIS) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        let mut bytes = [0; 64];
        match terminal.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    String::from_utf8(answer).ok()
}
