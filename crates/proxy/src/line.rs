//! One direction of one connection, without its sockets: bytes go in at a moment, pass the stages of the faults that
//! sit here, wait in one queue, and come out when they are due.
//!
//! The line is driven with `now`; it must never read a clock. Order is that of arrival, whatever the stages say, and
//! nothing is dropped but by a stage. Taking a fault away takes away its waits only, at once.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use murphy_core::{Dice, Direction};

use crate::armed::{Draws, EdgeTally, Standing, Table};
use crate::chunk::{Chunk, Due, Wait};
use crate::effect::{EdgeEffect, Ending, Farewell, Letter, Outbox, StreamEffect};

/// The most bytes that are read at a time.
pub(crate) const READ_SIZE: usize = 64 * 1024;

/// What stands at the head of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// Nothing at all.
    Empty,
    /// Something that may not leave yet.
    Waiting(Due),
    /// Bytes that may leave.
    Bytes(&'a Bytes),
    /// The sender's ending, with nothing before it.
    Farewell(Farewell),
    /// A fault's ending, with nothing before it.
    End(Ending),
}

#[derive(Debug, Clone)]
enum Cargo {
    Bytes(Bytes),
    Farewell(Farewell),
    End(Ending),
}

/// The waits of one piece, by the fault that made them. Nearly always one: the rest is a heap that is not touched.
#[derive(Debug, Clone, Default)]
struct Waits {
    first: Option<(u64, Wait)>,
    more: Vec<(u64, Wait)>,
}

impl Waits {
    fn add(&mut self, arming: u64, wait: Wait) {
        if wait == Wait::NONE {
            return;
        }
        match self.first {
            None => self.first = Some((arming, wait)),
            Some(_) => self.more.push((arming, wait)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &(u64, Wait)> {
        self.first.iter().chain(&self.more)
    }

    fn revise(&mut self, arming: u64, revise: &dyn Fn(Wait) -> Wait) {
        for (owner, wait) in self.first.iter_mut().chain(&mut self.more) {
            if *owner == arming {
                *wait = revise(*wait);
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Held {
    cargo: Cargo,
    came: Instant,
    /// By the stages' own words; the queue's order is kept apart, in `due`.
    asked: Due,
    due: Due,
    waits: Waits,
}

struct Slot {
    arming: u64,
    version: u64,
    effect: Box<dyn StreamEffect>,
    dice: Dice,
    tally: Arc<EdgeTally>,
    /// Shared with the other direction: a connection is counted once.
    touched: Arc<std::sync::atomic::AtomicBool>,
    /// By how much earlier faults have moved the last bytes that came here. What the effect says of its own time is
    /// earlier by this much at the reading end.
    shift: Duration,
}

/// One direction of one connection.
pub struct Line {
    direction: Direction,
    version: u64,
    /// When the line first met a table: its connection's first moment. What a caller sent before it was accepted comes
    /// then, so that no fault is too late for it.
    begun: Option<Instant>,
    slots: Vec<Slot>,
    queue: VecDeque<Held>,
    held: usize,
    closing: bool,
    at_once: Option<Ending>,
    hits: u64,
}

impl Line {
    /// An empty line without faults.
    pub fn new(direction: Direction) -> Line {
        Line {
            direction,
            version: 0,
            begun: None,
            slots: Vec::new(),
            queue: VecDeque::new(),
            held: 0,
            closing: false,
            at_once: None,
            hits: 0,
        }
    }

    /// True if bytes need not pass through here at all: no stage, nothing waiting.
    pub fn is_clear(&self) -> bool {
        self.slots.is_empty() && self.queue.is_empty() && self.at_once.is_none()
    }

    /// Bytes that wait here.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How often any fault has acted here.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Brings the stages in line with the table of armed faults. A fault that was not edited keeps its state and its
    /// dice; one that was edited is made anew and takes over what it knew; one that is gone gives its waits back.
    ///
    /// A fault sits here since its own edit, or since the connection's first moment if that came later: bytes that came
    /// between the edit and this call meet it.
    pub fn sync(&mut self, table: &Table, draws: &mut Draws, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        if self.version == table.version() {
            return;
        }
        self.version = table.version();
        draws.forget_all_but(table);
        let mut old = std::mem::take(&mut self.slots);
        let mut changed = false;
        for standing in table.standing() {
            let EdgeEffect::Stream(factory) = &standing.armed.effect else { continue };
            if !standing.armed.directions.covers(self.direction)
                || factory.is_neutral()
                || !draws.hit(standing)
            {
                continue;
            }
            let before = old.iter().position(|slot| slot.arming == standing.arming).map(|at| old.remove(at));
            let slot = match before {
                Some(slot) if slot.version == standing.version => slot,
                Some(mut slot) => {
                    let mut effect = factory.make();
                    effect.on_arm(standing.since.max(begun));
                    let known: &dyn Any = &*slot.effect;
                    effect.inherit(known);
                    for held in &mut self.queue {
                        held.waits.revise(slot.arming, &|wait| effect.revise(wait));
                    }
                    changed = true;
                    slot.effect = effect;
                    slot.version = standing.version;
                    slot
                }
                None => self.slot(standing, factory.make(), draws, begun),
            };
            self.slots.push(slot);
        }
        for gone in &mut old {
            for held in &mut self.queue {
                held.waits.revise(gone.arming, &|_| Wait::NONE);
            }
            let mut out = Outbox::default();
            gone.effect.on_lift(&mut out);
            self.at_once = self.at_once.or(out.at_once);
            changed = true;
        }
        if changed {
            self.restamp();
        }
    }

    fn slot(
        &self,
        standing: &Standing,
        mut effect: Box<dyn StreamEffect>,
        draws: &mut Draws,
        begun: Instant,
    ) -> Slot {
        effect.on_arm(standing.since.max(begun));
        Slot {
            arming: standing.arming,
            version: standing.version,
            effect,
            dice: draws.dice(standing, self.direction),
            tally: Arc::clone(&standing.tally),
            touched: draws.touched(standing),
            shift: Duration::ZERO,
        }
    }

    fn restamp(&mut self) {
        let mut last = None;
        for held in &mut self.queue {
            held.asked = held.waits.iter().fold(Due::At(held.came), |due, (_, wait)| wait.apply(due));
            held.due = last.map_or(held.asked, |last: Due| last.max(held.asked));
            last = Some(held.due);
        }
    }

    /// A moment at which something came, but none before the line was there.
    fn came(&self, at: Instant) -> Instant {
        self.begun.map_or(at, |begun| begun.max(at))
    }

    /// Bytes came. After an ending they are dropped: the direction is over.
    pub fn push(&mut self, bytes: Bytes, now: Instant) {
        let now = self.came(now);
        if !self.closing && !bytes.is_empty() {
            self.pass(0, Cargo::Bytes(bytes), now, Due::At(now), Waits::default());
        }
    }

    /// The rest of what was read and could not be written at once; it has no stage to pass.
    pub fn push_rest(&mut self, bytes: Bytes, now: Instant) {
        self.enqueue(Cargo::Bytes(bytes), now, Due::At(now), Waits::default());
    }

    /// The sender ended. Only its first word counts, but for a RST after a FIN.
    pub fn push_farewell(&mut self, farewell: Farewell, now: Instant) {
        if !self.closing {
            self.pass(0, Cargo::Farewell(farewell), now, Due::At(now), Waits::default());
        } else if farewell == Farewell::Rst
            && let Some(Held { cargo: Cargo::Farewell(said), .. }) = self.queue.back_mut()
        {
            *said = Farewell::Rst;
        }
    }

    /// Sends one piece through the stages from `first` on. Recursion is as deep as there are stages.
    fn pass(&mut self, first: usize, cargo: Cargo, came: Instant, due: Due, waits: Waits) {
        if self.closing {
            return;
        }
        let Some(slot) = self.slots.get_mut(first) else {
            self.enqueue(cargo, came, due, waits);
            return;
        };
        slot.shift = due.instant().map_or(Duration::ZERO, |due| due.saturating_duration_since(came));
        match cargo {
            Cargo::Bytes(bytes) => {
                let mut out = Outbox::default();
                slot.effect.on_chunk(Chunk { bytes, due }, &mut slot.dice, &mut out);
                self.post(first, out, came, due, &waits);
            }
            Cargo::Farewell(farewell) => {
                let mut out = Outbox::default();
                let later = slot.effect.on_farewell(farewell, due, &mut out).max(due);
                let mut waits = waits;
                waits.add(slot.arming, Wait::between(due, later));
                self.post(first, out, came, due, &waits);
                self.pass(first + 1, Cargo::Farewell(farewell), came, later, waits);
            }
            Cargo::End(ending) => self.pass(first + 1, Cargo::End(ending), came, due, waits),
        }
    }

    /// Takes what the stage at `index` let go to the next one, and counts what it did.
    fn post(&mut self, index: usize, out: Outbox, came: Instant, due: Due, waits: &Waits) {
        let slot = &self.slots[index];
        let arming = slot.arming;
        if out.hits > 0 {
            slot.tally.add(&slot.touched, out.hits, out.bytes);
            self.hits += out.hits;
        }
        if self.at_once.is_none() {
            self.at_once = out.at_once;
        }
        let mut last = due;
        for letter in out.letters {
            match letter {
                Letter::Chunk(chunk) => {
                    let mut waits = waits.clone();
                    last = chunk.due.max(due);
                    waits.add(arming, Wait::between(due, last));
                    self.pass(index + 1, Cargo::Bytes(chunk.bytes), came, last, waits);
                }
                Letter::End(ending) => {
                    let mut waits = waits.clone();
                    waits.add(arming, Wait::between(due, last));
                    self.pass(index + 1, Cargo::End(ending), came, last, waits);
                }
            }
        }
    }

    fn enqueue(&mut self, cargo: Cargo, came: Instant, asked: Due, waits: Waits) {
        match &cargo {
            Cargo::Bytes(bytes) if bytes.is_empty() => return,
            Cargo::Bytes(bytes) => self.held += bytes.len(),
            Cargo::Farewell(_) | Cargo::End(_) => self.closing = true,
        }
        let due = self.queue.back().map_or(asked, |last| last.due.max(asked));
        self.queue.push_back(Held { cargo, came, asked, due, waits });
    }

    /// Asks the stages whose moment has come.
    pub fn wake(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.effect.next_wake().is_some_and(|at| at <= now) {
                let mut out = Outbox::default();
                slot.effect.on_wake(now, &mut out);
                self.post(index, out, now, Due::At(now), &Waits::default());
            }
        }
    }

    /// An ending that a fault wants now, whatever is still on its way.
    pub fn ended_at_once(&self) -> Option<Ending> {
        self.at_once
    }

    /// What stands at the head.
    pub fn front(&self, now: Instant) -> Front<'_> {
        match self.queue.front() {
            None => Front::Empty,
            Some(held) if !held.due.has_come(now) => Front::Waiting(held.due),
            Some(Held { cargo: Cargo::Bytes(bytes), .. }) => Front::Bytes(bytes),
            Some(Held { cargo: Cargo::Farewell(farewell), .. }) => Front::Farewell(*farewell),
            Some(Held { cargo: Cargo::End(ending), .. }) => Front::End(*ending),
        }
    }

    /// So many bytes of the head have been written; at most its length.
    pub fn advance(&mut self, written: usize) {
        if let Some(Held { cargo: Cargo::Bytes(bytes), .. }) = self.queue.front_mut() {
            let written = written.min(bytes.len());
            self.held -= written;
            if written == bytes.len() {
                self.queue.pop_front();
                self.shrink();
            } else {
                let _ = bytes.split_to(written);
            }
        }
    }

    /// An idle line holds no buffer: a queue that grew large is given back once it is empty.
    fn shrink(&mut self) {
        if self.queue.is_empty() && (self.slots.is_empty() || self.queue.capacity() > 64) {
            self.queue = VecDeque::new();
        }
    }

    /// Drops everything; nobody is there to take it.
    pub fn abandon(&mut self) {
        self.queue = VecDeque::new();
        self.held = 0;
        self.slots = Vec::new();
        self.closing = true;
    }

    /// How many bytes the line would take now; 0 means: do not read.
    pub fn wants(&self, now: Instant) -> usize {
        if self.closing || self.at_once.is_some() || self.not_before().is_some_and(|at| at > now) {
            return 0;
        }
        self.room()
    }

    fn room(&self) -> usize {
        if self.slots.is_empty() {
            return if self.queue.is_empty() { READ_SIZE } else { 0 };
        }
        self.slots.iter().fold(READ_SIZE, |room, slot| {
            room.min(slot.effect.appetite().max(1)).min(slot.effect.capacity().saturating_sub(self.held))
        })
    }

    fn not_before(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.effect.not_before()?.checked_sub(slot.shift)).max()
    }

    /// When something will happen here without anything coming or going. With the receiver not taking bytes
    /// (`blocked`) the head's own moment does not count: it has passed.
    pub fn next_wake(&self, now: Instant, blocked: Blocked) -> Option<Instant> {
        let head = match blocked {
            Blocked::No => self.queue.front().and_then(|held| held.due.instant()),
            Blocked::Yes => self.reset_due().and_then(Due::instant).filter(|at| *at > now),
        };
        let stages = self.slots.iter().filter_map(|slot| slot.effect.next_wake()).min();
        let read =
            (!self.closing && self.room() > 0).then(|| self.not_before()).flatten().filter(|at| *at > now);
        [head, stages, read].into_iter().flatten().min()
    }

    /// When the sender's RST may be passed on, if there is one in the queue.
    fn reset_due(&self) -> Option<Due> {
        match self.queue.back() {
            Some(Held { cargo: Cargo::Farewell(Farewell::Rst), due, .. }) => Some(*due),
            _ => None,
        }
    }

    /// True if the sender's RST may be passed on: bytes that the receiver still does not take are lost with it, as
    /// they are in TCP.
    pub fn reset_has_come(&self, now: Instant) -> bool {
        self.reset_due().is_some_and(|due| due.has_come(now))
    }

    /// True if the head is withheld until a fault goes away.
    pub fn is_stuck(&self) -> bool {
        self.queue.front().is_some_and(|held| held.due == Due::Never)
    }
}

/// Whether the receiver of a line takes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// It does, as far as is known.
    No,
    /// It does not at the moment.
    Yes,
}
