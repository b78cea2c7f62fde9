//! Single keys of a terminal, without Enter. Signals (Ctrl-C) stay as they are. The terminal is put back when the value is
//! dropped, also by a panic.

use std::io::{self, IsTerminal, Read};

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// A keyboard that answers key by key.
#[derive(Debug)]
pub struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// Takes standard input, if it is a terminal.
    pub fn open() -> io::Result<Option<Keyboard>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&input)?;
        let mut keys = before.clone();
        keys.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // A read ends after a fifth of a second even if nothing was typed, so that its thread can be told to end.
        keys.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        keys.control_chars[SpecialCharacterIndices::VTIME as usize] = 2;
        tcsetattr(&input, SetArg::TCSANOW, &keys)?;
        Ok(Some(Keyboard { before }))
    }

    /// The next key, or `None` if none came within a fifth of a second. Blocks.
    pub fn next_key(&mut self) -> io::Result<Option<u8>> {
        let mut key = [0];
        match io::stdin().read(&mut key) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(key[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
