//! The terminal: taken over, given back on every way out, drawn at most twenty times a second.
//!
//! It must never leave a terminal in raw mode or on the alternate screen: not on an error, not on a panic, not on a
//! signal.

use std::io;
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{RunClock, plural};
use murphy_host as host;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::LeaveAlternateScreen;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Reaction};
use crate::order::Order;
use crate::paint::Paint;
use crate::panes::draw;
use crate::panics::{Panics, on_demand};
use crate::record::Recorded;
use crate::stack::Proposal;
use crate::world::{Loudness, World};

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

/// Writes what was done by hand as a scenario, and says so on the screen.
pub(crate) fn save(world: &Shared, record: &Recorded, clock: RunClock, path: &Path) {
    let (loudness, text) = {
        let record = record.lock();
        match (record.save(path, clock.now()), record.left_out().len()) {
            (Ok(()), 0) => (Loudness::Notice, format!("saved to {}", path.display())),
            (Ok(()), left_out) => {
                let things = plural(left_out as u64, "thing");
                (
                    Loudness::Trouble,
                    format!("saved to {} without {things}: its head says which", path.display()),
                )
            }
            (Err(error), _) => (Loudness::Trouble, error.to_string()),
        }
    };
    let mut seen = lock(world);
    let now = seen.now;
    seen.note(now, loudness, text);
}

/// Why the screen ended though nobody asked for it.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The terminal.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// Something panicked, here or in any other thread.
    #[error("a mistake in murphy, please report it: {what}")]
    Panicked {
        /// Where, and what it said.
        what: String,
    },
}

/// Shows the world until a key, `stop` or a panic anywhere ends it. Blocks; `act` carries orders out and must not wait.
pub fn show(
    mut app: App,
    world: &Shared,
    stop: &CancellationToken,
    paint: Paint,
    act: impl FnMut(Order),
) -> Result<(), ShowError> {
    // `paint` decides, and not what crossterm reads in the environment.
    force_color_output(true);
    let mut terminal = ratatui::try_init()?;
    // In place of ratatui's own, which gives the terminal back while it is drawn upon when another thread panics.
    let panics = Panics::heard();
    // The caller takes back what was done by hand, in order, also after a panic. Locks give what they hold to whoever is next.
    let watched =
        catch_unwind(AssertUnwindSafe(|| watch(&mut terminal, &mut app, world, (stop, &panics), paint, act)));
    let given_back = give_back();
    if let Some(what) = panics.first() {
        return Err(ShowError::Panicked { what: what.to_owned() });
    }
    given_back?;
    Ok(watched.unwrap_or_else(|panic| resume_unwind(panic))?)
}

/// Gives the terminal back as it was; where somebody else has set it to his liking since, only the picture goes.
fn give_back() -> io::Result<()> {
    if host::terminal_is_raw() {
        return host::from_the_background(ratatui::try_restore);
    }
    ratatui::crossterm::execute!(io::stdout(), LeaveAlternateScreen)
}

fn watch(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    world: &Shared,
    (stop, panics): (&CancellationToken, &Panics),
    paint: Paint,
    mut act: impl FnMut(Order),
) -> io::Result<()> {
    let mut drawn: Option<Instant> = None;
    let parent = parent_id();
    while !stop.is_cancelled() && panics.first().is_none() {
        // The shell that started it was killed: whoever has the terminal now shall not be drawn over.
        if parent_id() != parent {
            return Ok(());
        }
        if drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            // Drawn from a copy, so that whoever feeds the world never waits for a slow terminal.
            let seen = lock(world).clone();
            app.settle(&seen);
            if let Some(order) = app.look(&seen) {
                act(order);
            }
            let painted = terminal.draw(|frame| {
                draw(frame, app, &seen);
                paint.apply(frame.buffer_mut());
            })?;
            let area = painted.area;
            app.drawn_on(area, seen.proposal.as_ref().and_then(Proposal::ready));
            drawn = Some(Instant::now());
        }
        if !event::poll(PATIENCE)? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                on_demand(key.code);
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
