//! `murphy watchdog LOG` (hidden): waits for the run at the other end of standard input, takes everything back if it dies.

use std::path::Path;

use crate::exit::Exit;

/// Waits and, if need be, takes back.
pub fn run(log: &Path) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Exit::NotReverted;
    };
    match runtime.block_on(murphy_runner::watch_and_revert(tokio::io::stdin(), log)) {
        Ok(0) => Exit::Graceful,
        Ok(_) | Err(_) => Exit::NotReverted,
    }
}
