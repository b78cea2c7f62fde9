//! The faults of one proxy by hand with their switches, on all of its edge, and what is to be seen of it at one moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use murphy_core::{Chance, FaultId, Span, Tally};
use murphy_faults::{Effect, Fault};
use murphy_proxy::{Armed, EdgeHands, MeterSnapshot};

use crate::attach::{AttachedSeen, CallerSeen};
use crate::calls::Calls;
use crate::happening::Happening;
use crate::seat::{Route, Seat, SeatError, Switch};
use crate::sight::{FaultSeen, Sight, Stretch};

/// The faults with their switches, and the edge that they sit on.
pub(crate) struct Desk {
    seat: Seat,
    /// Where callers dial, if they do.
    listen: Option<String>,
    callers: Vec<CallerSeen>,
    not_taken_back: Vec<String>,
    hands: EdgeHands,
    calls: Arc<Mutex<Calls>>,
    begun: Instant,
    rows: Vec<Row>,
    last: (Instant, u64),
}

struct Row {
    id: FaultId,
    fault: Fault,
    stood: Vec<Stretch>,
    /// Of the stretches that are over.
    done: Tally,
}

impl Row {
    fn stands(&self) -> bool {
        self.stood.last().is_some_and(|stretch| stretch.until.is_none())
    }
}

impl Desk {
    pub(crate) fn new(
        seat: &Seat,
        listen: Option<String>,
        hands: EdgeHands,
        calls: Arc<Mutex<Calls>>,
    ) -> Result<Desk, SeatError> {
        let mut rows = Vec::new();
        for (number, (fault, _)) in (1..).zip(&seat.faults) {
            let id = FaultId::new(&format!("{}-{number}", fault.name()))?;
            rows.push(Row { id, fault: fault.clone(), stood: Vec::new(), done: Tally::default() });
        }
        let begun = Instant::now();
        let mut desk = Desk {
            seat: seat.clone(),
            listen,
            callers: Vec::new(),
            not_taken_back: Vec::new(),
            hands,
            calls,
            begun,
            rows,
            last: (begun, 0),
        };
        for (number, (_, switch)) in (1..).zip(&seat.faults) {
            if *switch == Switch::On {
                desk.switch(number);
            }
        }
        Ok(desk)
    }

    fn now(&self) -> Span {
        // Whole milliseconds: a scenario is written from these.
        Span::from_millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Switches a fault, by its number from 1. False if there is none.
    pub(crate) fn switch(&mut self, number: usize) -> bool {
        let now = self.now();
        let Some(row) = number.checked_sub(1).and_then(|at| self.rows.get_mut(at)) else { return false };
        if row.stands() {
            lift(&self.hands, row, now);
        } else if let Effect::Edge(effect) = self.seat.effect_of(&row.fault) {
            let directions = self.seat.directions;
            // For requests the chance is in the choice.
            let chance = if row.fault.acts_on_requests() { Chance::ALWAYS } else { self.seat.chance };
            self.hands.arm(Armed { id: row.id.clone(), effect, directions, chance });
            row.stood.push(Stretch { from: now, until: None });
        }
        true
    }

    pub(crate) fn lift_all(&mut self) {
        let now = self.now();
        for row in self.rows.iter_mut().filter(|row| row.stands()) {
            lift(&self.hands, row, now);
        }
    }

    /// Takes note of whose calls go through this edge.
    pub(crate) fn see(&mut self, happening: &Happening) {
        if let Happening::SatIn { caller, pid, destinations, .. } = happening {
            let seen = CallerSeen { name: caller.clone(), pid: *pid, destinations: destinations.clone() };
            match self.callers.iter_mut().find(|known| known.pid == seen.pid) {
                Some(known) => *known = seen,
                None => self.callers.push(seen),
            }
        }
    }

    /// The last words: what could not be taken back.
    pub(crate) fn close(mut self, not_taken_back: Vec<String>) -> Sight {
        self.not_taken_back = not_taken_back;
        self.sight()
    }

    pub(crate) fn sight(&mut self) -> Sight {
        let (seen, ended) = {
            let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            (calls.seen(), calls.ended())
        };
        let (then, before) = self.last;
        let since = then.elapsed().as_secs_f64();
        self.last = (Instant::now(), ended);
        let MeterSnapshot { accepted, open, to_upstream, to_client, .. } = self.hands.meter();
        Sight {
            listen: self.listen.clone(),
            upstream: self.seat.upstream(),
            attached: match &self.seat.route {
                Route::Listen { .. } => None,
                Route::Attach(attach) => Some(AttachedSeen {
                    from: attach.from.text().to_owned(),
                    open_connections: attach.open,
                    callers: self.callers.clone(),
                    not_taken_back: self.not_taken_back.clone(),
                }),
            },
            seed: self.seat.seed,
            directions: self.seat.directions,
            chance: self.seat.chance,
            protocol: self.seat.protocol,
            tls: self.seat.tls.clone(),
            matching: self.seat.matching.clone(),
            which: self.seat.which_with_chance(),
            elapsed: self.now(),
            connections: accepted,
            open,
            to_upstream,
            to_client,
            calls: seen,
            rate: if since > 0.0 { (ended - before) as f64 / since } else { 0.0 },
            faults: (1..).zip(&self.rows).map(|(number, row)| self.fault_seen(number, row)).collect(),
        }
    }

    fn fault_seen(&self, number: usize, row: &Row) -> FaultSeen {
        let present = self.hands.tally(&row.id).unwrap_or_default();
        FaultSeen {
            number,
            text: row.fault.text(),
            fault: row.fault.clone(),
            switch: if row.stands() { Switch::On } else { Switch::Off },
            stood: row.stood.clone(),
            tally: sum(row.done, present),
        }
    }
}

fn lift(hands: &EdgeHands, row: &mut Row, now: Span) {
    row.done = sum(row.done, hands.lift(&row.id).unwrap_or_default());
    if let Some(stretch) = row.stood.last_mut() {
        stretch.until = Some(now);
    }
}

fn sum(a: Tally, b: Tally) -> Tally {
    Tally { connections: a.connections + b.connections, hits: a.hits + b.hits, bytes: a.bytes + b.bytes }
}
