//! What comes before the first byte: the faults that refuse, crowd out or delay a caller, and the dial.
//!
//! A caller that is waiting here is counted from accept to end, and gives its place back whatever becomes of it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use murphy_core::{CloseHow, ConnId, EventKind, Side};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::armed::Draws;
use crate::dialer::Dial;
use crate::effect::{EdgeEffect, Ending, Overflow};
use crate::line::{Blocked, Line};
use crate::roster::Live;
use crate::shared::{Shared, State};
use crate::timer::Alarm;

/// Strikes a connection off the lists, also when its task panics, which it tells, or is dropped.
pub(crate) struct Books {
    pub(crate) shared: Arc<Shared>,
    conn: ConnId,
    pub(crate) live: Arc<Live>,
    carried: bool,
}

impl Books {
    /// The books of a connection that has been accepted and not yet carried.
    pub(crate) fn open(shared: Arc<Shared>, conn: ConnId, peer: SocketAddr, opened: Instant) -> Books {
        let live = shared.roster.enter(conn, peer, opened);
        Books { shared, conn, live, carried: false }
    }
}

impl Books {
    /// Takes a place among those that are carried, unless so many are. At once with the look: two callers on two
    /// processors must not both get the last one.
    fn take_place(&mut self, most: Option<u64>) -> Place {
        if self.carried {
            return Place::Taken;
        }
        let more = |carried: u64| most.is_none_or(|most| carried < most).then_some(carried + 1);
        self.carried = self.shared.carried.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if self.carried { Place::Taken } else { Place::None }
    }
}

/// Whether a caller is among those that are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Taken,
    /// All are taken.
    None,
}

impl Drop for Books {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let edge = self.shared.edge.clone();
            self.shared.recorder.record(EventKind::ConnPanicked { edge, conn: self.conn });
        }
        if self.carried {
            self.shared.leave();
        }
        self.shared.roster.leave(self.conn);
    }
}

/// Whom a caller has reached.
pub(crate) enum Reached {
    Upstream(TcpStream),
    Nobody { by: Side, how: CloseHow },
    CallerLost,
}

/// Passes the faults that act before the first byte, then dials.
pub(crate) async fn reach(
    shared: &Shared,
    caller: &TcpStream,
    books: &mut Books,
    draws: &mut Draws,
    lines: (&mut Line, &mut Line),
    state: &mut watch::Receiver<State>,
    alarm: &mut Alarm,
) -> Reached {
    let begun = Instant::now();
    let reset = Reached::Nobody { by: Side::Proxy, how: CloseHow::Rst };
    let (to_upstream, to_client) = lines;
    let mut dialling: Option<Dial<'_>> = None;
    loop {
        let (table, stopping) = {
            let state = state.borrow_and_update();
            (state.table.clone(), state.stopping)
        };
        if stopping {
            return Reached::Nobody { by: Side::Proxy, how: CloseHow::Fin };
        }
        // Before the look at who is carried: whoever leaves behind that look is heard.
        let mut left = pin!(shared.left.notified());
        let mut open_at = begun;
        let mut full = false;
        let mut most = None;
        for standing in table.standing() {
            if !draws.hit(standing) {
                continue;
            }
            match &standing.armed.effect {
                EdgeEffect::Stream(_) | EdgeEffect::Http(_) | EdgeEffect::Handshake(_) => {}
                EdgeEffect::Refuse => {
                    standing.tally.add_connection();
                    return reset;
                }
                EdgeEffect::OpenLate(delay) => {
                    let mark = draws.touched(standing);
                    if !mark.load(Ordering::Relaxed) {
                        standing.tally.add(&mark, 1, 0);
                    }
                    open_at = open_at.checked_add(*delay).unwrap_or(open_at + Duration::from_secs(1 << 30));
                }
                EdgeEffect::Crowd { max, then } => {
                    most = Some(most.map_or(*max, |most: u64| most.min(*max)));
                    if !books.carried && shared.carried.load(Ordering::Relaxed) >= *max {
                        let mark = draws.touched(standing);
                        if !mark.load(Ordering::Relaxed) {
                            standing.tally.add(&mark, 1, 0);
                        }
                        match then {
                            Overflow::Reset => return reset,
                            Overflow::Wait => full = true,
                        }
                    }
                }
            }
        }
        let now = Instant::now();
        for line in [&mut *to_upstream, &mut *to_client] {
            line.sync(&table, draws, now);
            line.wake(now);
            match line.ended_at_once() {
                Some(Ending::Reset) => return reset,
                Some(Ending::Close) => return Reached::Nobody { by: Side::Proxy, how: CloseHow::Fin },
                None => {}
            }
        }
        if !full && open_at <= now && dialling.is_none() {
            if books.take_place(most) == Place::None {
                // Somebody was quicker.
                continue;
            }
            let within = shared.limits.dial_timeout.as_duration();
            dialling = Some(Dial::begin(&*shared.ground, caller, &shared.upstream, within, now));
        }
        let wake = [
            to_upstream.next_wake(now, Blocked::No),
            to_client.next_wake(now, Blocked::No),
            match &dialling {
                Some(dial) => Some(dial.until),
                None => (!full).then_some(open_at),
            },
        ];
        let wake = wake.into_iter().flatten().min();
        let mut changed = pin!(state.changed());
        let dialled = std::future::poll_fn(|cx| {
            if let Some(dialling) = &mut dialling
                && let Poll::Ready(dialled) = dialling.poll(cx)
            {
                return Poll::Ready(Some(dialled));
            }
            let again = changed.as_mut().poll(cx).is_ready()
                || (full && left.as_mut().poll(cx).is_ready())
                || wake.is_some_and(|at| at <= Instant::now());
            if again {
                return Poll::Ready(None);
            }
            alarm.set(wake, cx);
            Poll::Pending
        })
        .await;
        if dialled.is_some() {
            alarm.clear();
        }
        match dialled {
            None => {}
            Some(Ok(upstream)) => return Reached::Upstream(upstream),
            Some(Err(error)) => {
                shared.meter.dial_failed();
                shared.recorder.record(EventKind::DialFailed {
                    edge: shared.edge.clone(),
                    conn: books.conn,
                    why: error.to_string(),
                });
                return Reached::Nobody { by: Side::Upstream, how: CloseHow::Rst };
            }
        }
    }
}
