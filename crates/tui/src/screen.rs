//! The terminal: taken over, given back on every way out, drawn at most twenty times a second.
//!
//! It must never leave a terminal in raw mode or on the alternate screen: not on an error, not on a panic, not on a
//! signal.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Reaction};
use crate::order::Order;
use crate::panes::draw;
use crate::world::World;

/// The longest wait for a key; a signal is noticed within it.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often the figures are drawn anew without a key.
const REDRAW: Duration = Duration::from_millis(250);

/// The world, shared between those who feed it and the screen.
pub type Shared = Arc<Mutex<World>>;

/// Locks the world. A feeder that panicked leaves it whole: every edit is done in one go.
pub(crate) fn lock(world: &Shared) -> std::sync::MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the world until a key or `stop` ends it. Blocks; `act` carries orders out and must not wait.
pub fn show(
    mut app: App,
    world: &Shared,
    stop: &CancellationToken,
    act: impl FnMut(Order),
) -> io::Result<()> {
    // `init` also sets a panic hook that restores the terminal.
    let mut terminal = ratatui::try_init()?;
    let result = watch(&mut terminal, &mut app, world, stop, act);
    ratatui::try_restore()?;
    result
}

fn watch(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    world: &Shared,
    stop: &CancellationToken,
    mut act: impl FnMut(Order),
) -> io::Result<()> {
    let mut drawn: Option<Instant> = None;
    while !stop.is_cancelled() {
        if drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            // Drawn from a copy, so that whoever feeds the world never waits for a slow terminal.
            let seen = lock(world).clone();
            terminal.draw(|frame| draw(frame, app, &seen))?;
            drawn = Some(Instant::now());
        }
        if !event::poll(PATIENCE)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let seen = lock(world).clone();
                match app.key(key, &seen) {
                    Reaction::Quit => return Ok(()),
                    Reaction::Stay => {}
                    Reaction::Do(orders) => orders.into_iter().for_each(&mut act),
                }
                drawn = None;
            }
            Event::Resize(..) => drawn = None,
            _ => {}
        }
    }
    Ok(())
}
