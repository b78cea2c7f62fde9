//! The threads that carry connections: one for each processor, each with a runtime and a timer of its own, for all
//! proxies of the process.
//!
//! A connection stays on the thread that it was given to, so none of its wake-ups crosses processors. Whoever holds a
//! desk must never block it: all connections there would wait, and callers of the proxies for which that thread accepts.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use nix::sys::resource::{Resource, getrlimit};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::timer::Timer;

/// More threads than this carry no more: what they carry for is on the same machine.
const MOST: usize = 8;
/// What a thread takes of the descriptors (two of its reactor, its timer, and one to spare), and what is left for connections.
const DESCRIPTORS: (u64, u64) = (4, 128);

/// Where connections are carried: a timer, and how many are there.
pub(crate) struct Desk {
    pub(crate) timer: Arc<Timer>,
    load: AtomicUsize,
}

impl Desk {
    /// A desk around a timer that somebody drives.
    pub(crate) fn new(timer: Arc<Timer>) -> Arc<Desk> {
        Arc::new(Desk { timer, load: AtomicUsize::new(0) })
    }

    /// How many connections are here.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn seat(self: &Arc<Desk>) -> Seat {
        self.load.fetch_add(1, Ordering::Relaxed);
        Seat { desk: Arc::clone(self) }
    }
}

/// The place of one connection at a desk; given back when it is dropped.
pub(crate) struct Seat {
    pub(crate) desk: Arc<Desk>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.desk.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread that carries connections.
pub(crate) struct Hand {
    pub(crate) runtime: Handle,
    pub(crate) desk: Arc<Desk>,
    /// The thread ends when this is dropped: where not all could be had, those that could be must not stay.
    _keeps: oneshot::Sender<Infallible>,
}

/// All of them.
pub(crate) struct Crew {
    pub(crate) hands: Vec<Hand>,
}

static CREW: OnceLock<Option<Crew>> = OnceLock::new();

impl Crew {
    /// The crew of this process, made when it is first asked for; it lasts as long as the process. Its threads live in the network of
    /// whoever asks first, so nobody asks from a thread that has entered another one. `None` where there is
    /// one processor, or where too few descriptors are left for it.
    pub(crate) fn of_this_process() -> Option<&'static Crew> {
        CREW.get_or_init(Crew::gather).as_ref()
    }

    fn gather() -> Option<Crew> {
        let count = thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        if count < 2 || limit < DESCRIPTORS.0 * count as u64 + DESCRIPTORS.1 {
            return None;
        }
        let hands: io::Result<Vec<Hand>> = (0..count).map(begin).collect();
        hands.ok().map(|hands| Crew { hands })
    }
}

/// Begins one thread and waits until it is there.
fn begin(number: usize) -> io::Result<Hand> {
    let (ready, there) = mpsc::channel();
    thread::Builder::new().name(format!("connections-{number}")).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return ready.send(Err(error)).unwrap_or_default(),
        };
        let timer = {
            let _inside = runtime.enter();
            Timer::new()
        };
        match timer {
            Err(error) => ready.send(Err(error)).unwrap_or_default(),
            Ok(timer) => {
                let (keeps, kept) = oneshot::channel();
                let desk = Desk::new(Arc::clone(&timer));
                let hand = Hand { runtime: runtime.handle().clone(), desk, _keeps: keeps };
                if ready.send(Ok(hand)).is_ok() {
                    runtime.block_on(async {
                        let driving = async {
                            timer.drive().await;
                            std::future::pending::<()>().await;
                        };
                        tokio::select! {
                            biased;
                            () = driving => {}
                            _ = kept => {}
                        }
                    });
                }
            }
        }
    })?;
    there.recv().map_err(io::Error::other)?
}

/// Tasks on the threads that carry connections, of all proxies of the process: one on each thread that takes in callers, and one for each
/// connection that is open there. Asking makes no threads.
pub fn tasks_of_connections() -> usize {
    let crew = CREW.get().and_then(Option::as_ref);
    crew.map_or(0, |crew| crew.hands.iter().map(|hand| hand.runtime.metrics().num_alive_tasks()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_not_kept_ends_and_its_tasks_with_it() {
        let hand = begin(0).unwrap();
        let task = hand.runtime.spawn(std::future::pending::<()>());
        drop(hand);
        let outside = Builder::new_current_thread().build().unwrap();
        assert!(outside.block_on(task).is_err_and(|ended| ended.is_cancelled()));
    }
}
