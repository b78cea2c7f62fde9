//! Panics while the screen is taken: heard and kept, so that the view ends in order and they are told on a terminal that can be read.
//!
//! It must never write while the screen is drawn, nor hide a panic: whoever shows the screen ends by it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, OnceLock};

use ratatui::crossterm::event::KeyCode;

/// Hears of panics in any thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Panics {
    first: Arc<OnceLock<String>>,
}

impl Panics {
    /// Begins to hear. Whatever hook was there is gone: it would write where the screen is drawn.
    pub(crate) fn heard() -> Panics {
        let first = Arc::new(OnceLock::new());
        let heard = Arc::clone(&first);
        panic::set_hook(Box::new(move |info| {
            // The first one is the cause of the others.
            let _ = heard.set(told(info));
        }));
        Panics { first }
    }

    /// What the first one said, and where.
    pub(crate) fn first(&self) -> Option<&str> {
        self.first.get().map(String::as_str)
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        // A hook cannot be changed by a thread that panics.
        if !std::thread::panicking() {
            drop(panic::take_hook());
        }
    }
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => format!("{info}\n{trace}"),
        _ => info.to_string(),
    }
}

/// For the tests of what a panic leaves behind, in builds for development alone: where `MURPHY_TEST_PANIC` is set, F12 panics where the
/// screen is drawn, and F11 in a thread beside it.
#[cfg(debug_assertions)]
pub(crate) fn on_demand(key: KeyCode) {
    if std::env::var_os("MURPHY_TEST_PANIC").is_none() {
        return;
    }
    match key {
        KeyCode::F(12) => panic!("asked to by a test"),
        KeyCode::F(11) => drop(std::thread::spawn(beside).join()),
        _ => {}
    }
}

#[cfg(debug_assertions)]
fn beside() {
    panic!("asked to beside the screen");
}

/// A release does not panic for anybody.
#[cfg(not(debug_assertions))]
pub(crate) fn on_demand(_: KeyCode) {}
