//! Accepting callers, and giving each to the thread that has the fewest.
//!
//! Callers are numbered in the order in which they were accepted: all draws follow from that number. Accepting is never stopped by a
//! dependency that does not answer or by a lack of descriptors; by a connection only where an effect blocks the thread that accepts.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use murphy_core::ConnId;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};

use crate::crew::{Desk, Seat};
use crate::door::{Door, Ear, Phase};
use crate::link::carry;
use crate::links::Links;
use crate::shared::{Shared, State};
use crate::troubles::Troubles;

/// So many callers are accepted in one turn; then others on this thread have theirs.
const BATCH: usize = 32;

/// A caller who was accepted and is not carried yet.
struct Caller {
    stream: net::TcpStream,
    peer: SocketAddr,
    accepted: Accepted,
}

/// What a caller has from being accepted to its end: a number, and a seat. It counts as open until this is dropped, whatever
/// becomes of it.
pub(crate) struct Accepted {
    pub(crate) conn: ConnId,
    pub(crate) seat: Seat,
    shared: Arc<Shared>,
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.shared.meter.ended();
    }
}

/// A desk, and the callers who were given to it.
struct Room {
    desk: Arc<Desk>,
    callers: Mutex<VecDeque<Caller>>,
    came: Notify,
}

/// What all threads that carry for one proxy share.
pub(crate) struct Reception {
    shared: Arc<Shared>,
    state: Arc<watch::Sender<State>>,
    /// Connections are numbered from here on.
    before: u64,
    /// Held while a caller is accepted, numbered and given away, and while the door is closed.
    turn: Mutex<()>,
    troubles: Mutex<Troubles>,
    /// Written under the lock of `troubles`. Nearly always there are none, and then nobody takes it.
    is_troubled: AtomicBool,
    rooms: Vec<Room>,
}

/// How one turn of accepting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    /// Nobody waited any more, or none can be had for now.
    All,
    /// Others on this thread are to have their turn.
    ItsFill,
}

/// The door in the hands of the thread that accepts there. The door lasts as long as this, and who waits for that thread to let go is told by the guard.
pub(crate) struct Held {
    pub(crate) door: Arc<Door>,
    pub(crate) _guard: mpsc::Sender<Infallible>,
}

impl Reception {
    /// In front of these desks.
    pub(crate) fn new(
        shared: Arc<Shared>,
        state: Arc<watch::Sender<State>>,
        before: u64,
        desks: impl Iterator<Item = Arc<Desk>>,
    ) -> Reception {
        let room = |desk| Room { desk, callers: Mutex::default(), came: Notify::new() };
        Reception {
            shared,
            state,
            before,
            turn: Mutex::default(),
            troubles: Mutex::default(),
            is_troubled: AtomicBool::new(false),
            rooms: desks.map(room).collect(),
        }
    }

    /// Closes the door behind whoever is being accepted.
    pub(crate) fn close(&self, door: &Door) {
        let _turn = lock(&self.turn);
        door.close();
    }

    /// Accepting, or opening the door, failed.
    pub(crate) fn failed(&self, error: &io::Error) {
        let mut troubles = lock(&self.troubles);
        troubles.failed(error, &self.shared);
        self.is_troubled.store(true, Ordering::Release);
    }

    /// Somebody was accepted.
    fn worked(&self) {
        if self.is_troubled.load(Ordering::Acquire) {
            let mut troubles = lock(&self.troubles);
            troubles.are_over();
            self.is_troubled.store(false, Ordering::Release);
        }
    }

    /// Until when a failure is to be left alone.
    pub(crate) fn pause(&self) -> Option<Instant> {
        if !self.is_troubled.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.troubles).until(Instant::now())
    }

    /// Carries the callers of one room, until the door is gone and all of them are, and accepts where it is given the door. Runs on the
    /// thread whose desk the room has.
    pub(crate) async fn serve(
        self: Arc<Self>,
        room: usize,
        held: Option<Held>,
        mut phases: watch::Receiver<Phase>,
    ) {
        let mut links = Links::default();
        loop {
            let phase = *phases.borrow_and_update();
            let ear = match (phase, &held) {
                (Phase::Gone, _) => break,
                (Phase::Closed, _) | (_, None) => None,
                (Phase::Open(_), Some(held)) => match Ear::at(&held.door) {
                    Ok(ear) => Some(ear),
                    Err(error) => {
                        self.failed(&error);
                        self.rest().await;
                        continue;
                    }
                },
            };
            loop {
                tokio::select! {
                    biased;
                    changed = phases.changed() => {
                        if changed.is_err() {
                            // Whoever minds the door has gone without a word: the proxy was dropped.
                            return;
                        }
                        break;
                    }
                    () = links.clear() => {}
                    () = self.rooms[room].came.notified() => self.take_in(room, &mut links),
                    took = self.accept(ear.as_ref(), room) => {
                        self.take_in(room, &mut links);
                        if took == Took::ItsFill {
                            tokio::task::yield_now().await;
                        }
                    }
                }
            }
        }
        // The door is closed, so nobody gives this room another caller.
        self.take_in(room, &mut links);
        drop(held);
        links.end().await;
    }

    /// Accepts who is there, after the pause that a failure asked for. May be dropped at any time: a caller is given away
    /// in the same moment.
    async fn accept(&self, ear: Option<&Ear>, here: usize) -> Took {
        let Some(ear) = ear else { return std::future::pending().await };
        self.rest().await;
        let Ok(mut knock) = ear.knock().await else { return std::future::pending().await };
        for _ in 0..BATCH {
            let _turn = lock(&self.turn);
            match knock.accept() {
                None => return Took::All,
                Some(Ok((stream, peer))) => self.give_away(stream, peer, here),
                // It left while it waited; the next one is as welcome as ever.
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // The door was closed, and the word of it is on its way.
                Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => break,
                Some(Err(error)) => {
                    self.failed(&error);
                    return Took::All;
                }
            }
        }
        Took::ItsFill
    }

    async fn rest(&self) {
        if let Some(until) = self.pause() {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    /// Numbers a caller and gives it to the desk that has the fewest; to this one, if no other has fewer.
    fn give_away(&self, stream: net::TcpStream, peer: SocketAddr, here: usize) {
        self.worked();
        let mut least = here;
        for (at, room) in self.rooms.iter().enumerate() {
            if room.desk.load() < self.rooms[least].desk.load() {
                least = at;
            }
        }
        let room = &self.rooms[least];
        let conn = ConnId(self.before + self.shared.meter.accepted());
        let accepted = Accepted { conn, seat: room.desk.seat(), shared: Arc::clone(&self.shared) };
        lock(&room.callers).push_back(Caller { stream, peer, accepted });
        if least != here {
            room.came.notify_one();
        }
    }

    /// Begins to carry those who were given to a room.
    fn take_in(&self, room: usize, links: &mut Links) {
        loop {
            let Some(caller) = lock(&self.rooms[room].callers).pop_front() else { return };
            let Caller { stream, peer, accepted } = caller;
            match TcpStream::from_std(stream) {
                Ok(stream) => {
                    let state = self.state.subscribe();
                    links.spawn(carry(Arc::clone(&self.shared), accepted, stream, peer, state));
                }
                Err(error) => self.failed(&error),
            }
        }
    }
}

/// Held for a few operations only, none of which waits.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
