//! The simulation behind a golden journal: users arrive, the caller calls, a breaker counts, a fault strikes.

use murphy_core::{
    ConnId, Dice, Event, EventKind, ExchangeEnd, ExitCause, FaultId, Offset, Phase, ProcessStatus, Sample,
    SampleOutcome, Served, Span, Tally,
};

use super::{Break, Bystander, CALLEE, Golden, SERVICE, Trouble, name};

/// When the caller may call again.
enum Breaker {
    Closed { failures: u32 },
    Open { until: u64 },
    Trying { until: u64 },
}

/// One run under way.
pub(super) struct Simulation<'a> {
    golden: &'a Golden,
    dice: Dice,
    events: Vec<(u64, EventKind)>,
    armed: u64,
    lifted: u64,
    conns: u64,
    breaker: Breaker,
    /// Outcomes of calls that are still to come: (when, failed).
    pending: Vec<(u64, bool)>,
    /// When each place in the pool is free again.
    places: Vec<u64>,
    touched: Tally,
}

/// How one call went.
struct Outcome {
    at: u64,
    ok: bool,
}

impl<'a> Simulation<'a> {
    pub fn of(golden: &'a Golden) -> Simulation<'a> {
        let armed = (golden.phases.warm_up.as_micros() + golden.phases.baseline.as_micros()) + 1_000;
        Simulation {
            golden,
            dice: Dice::new(golden.seed.derive("golden", 0)),
            events: Vec::new(),
            armed,
            lifted: armed + golden.phases.fault.as_micros(),
            conns: 0,
            breaker: Breaker::Closed { failures: 0 },
            pending: Vec::new(),
            places: vec![0; golden.caller.pool.unwrap_or(0)],
            touched: Tally::default(),
        }
    }

    fn trouble<T>(&self, pick: impl Fn(Trouble) -> Option<T>) -> Option<T> {
        self.golden.troubles.iter().copied().find_map(pick)
    }

    pub fn run(mut self) -> Vec<Event> {
        let golden = self.golden;
        let end = golden.phases.total().as_micros();
        let stop = self.trouble(|trouble| match trouble {
            Trouble::Interrupt(after) => Some(after.as_micros()),
            _ => None,
        });
        let stop = stop.map_or(end, |after| self.armed + after);
        let mut planned = (0, 0);
        for (at, bystander) in self.arrivals(stop) {
            if bystander {
                self.bystander(planned.1, at);
                planned.1 += 1;
            } else {
                self.user(planned.0, at);
                planned.0 += 1;
            }
        }
        self.frame(end, stop, planned)
    }

    /// When users come; `true` for those of the second load. Each load has dice of its own.
    fn arrivals(&self, stop: u64) -> Vec<(u64, bool)> {
        let golden = self.golden;
        let mut all = Vec::new();
        for bystander in [false, true] {
            if bystander && golden.bystander == Bystander::None {
                continue;
            }
            let mut dice = Dice::new(golden.seed.derive("arrivals", u64::from(bystander)));
            let mut at = 0.0;
            loop {
                at += dice.exponential() / golden.rate * 1e6;
                if at >= stop as f64 {
                    break;
                }
                all.push((at as u64, bystander));
            }
        }
        all.sort_unstable();
        all
    }

    fn bystander(&mut self, n: u64, intended: u64) {
        let sent = intended + 150;
        let begin = if self.golden.bystander == Bystander::Sharing { self.place(sent) } else { sent };
        let ended = begin + 2_000 + self.dice.below(2_000);
        if self.golden.bystander == Bystander::Sharing {
            self.occupy(ended);
        }
        let late = ended > sent + 5_000_000;
        let sample = Sample {
            load: Golden::bystander(),
            n,
            intended: Offset::from_micros(intended),
            sent: Some(Offset::from_micros(sent)),
            ended: Offset::from_micros(ended.min(sent + 5_000_000)),
            outcome: if late { SampleOutcome::Timeout } else { SampleOutcome::Ok },
            status: (!late).then_some(200),
            served: Served::Fresh,
            age: None,
            retry_after: None,
        };
        self.events.push((ended, EventKind::Sample(sample)));
    }

    /// Everything that is not a user.
    fn frame(mut self, end: u64, stop: u64, planned: (u64, u64)) -> Vec<Event> {
        let golden = self.golden;
        let mut from = 0;
        for phase in Phase::PLANNED {
            self.events.push((from, EventKind::PhaseStarted { phase }));
            from += golden.phases.of(phase).as_micros();
        }
        for second in 0..stop / 1_000_000 {
            let asked = second * 1_000_000 + 500;
            self.events.push((
                asked + 2_000,
                EventKind::Probe {
                    probe: Golden::probe(),
                    asked: Offset::from_micros(asked),
                    took: Span::from_micros(2_000),
                    ok: true,
                    saw: "200".to_owned(),
                },
            ));
        }
        let fault: FaultId = golden.fault().id;
        self.events.push((self.armed, EventKind::FaultArmed { fault: fault.clone() }));
        self.events.push((self.lifted.min(stop), EventKind::FaultLifted { fault, tally: self.touched }));
        if golden.broken == Break::Kill {
            self.events.push((
                self.armed + 100,
                EventKind::ServiceExited {
                    service: name(CALLEE),
                    status: ProcessStatus::Signal(9),
                    cause: ExitCause::Fault,
                    last_output: Vec::new(),
                },
            ));
        }
        if let Some(after) = self.trouble(|trouble| match trouble {
            Trouble::Crash(after) => Some(after.as_micros()),
            _ => None,
        }) {
            self.events.push((
                self.armed + after,
                EventKind::ServiceExited {
                    service: name(SERVICE),
                    status: ProcessStatus::Code(101),
                    cause: ExitCause::Itself,
                    last_output: vec![
                        "thread 'main' panicked: called `Result::unwrap()` on an `Err` value".to_owned(),
                    ],
                },
            ));
        }
        // What was under way when a signal came is left unfinished.
        if stop < end {
            self.events.retain(|(at, kind)| *at <= stop || !matches!(kind, EventKind::PhaseStarted { .. }));
            for (at, kind) in self.events.iter_mut().filter(|(at, _)| *at > stop) {
                *at = stop;
                cut(kind, Offset::from_micros(stop));
            }
        }
        self.events.sort_by_key(|(at, _)| *at);
        let last = self.events.last().map_or(stop, |(at, _)| *at).max(stop);
        if stop < end {
            self.events.push((stop, EventKind::Interrupted { signal: "SIGINT".to_owned() }));
        }
        let ended = |load, planned| EventKind::LoadEnded { load, planned, in_flight_max: 99 };
        self.events.push((last, ended(Golden::load(), planned.0)));
        if golden.bystander != Bystander::None {
            self.events.push((last, ended(Golden::bystander(), planned.1)));
        }
        self.events.push((last, EventKind::RunEnded));
        if let Some(count) = self.trouble(|trouble| match trouble {
            Trouble::LostEvents(count) => Some(count),
            _ => None,
        }) {
            let samples =
                self.events.iter().enumerate().filter(|(_, (_, kind))| matches!(kind, EventKind::Sample(_)));
            let lost: Vec<usize> = samples.map(|(index, _)| index).take(count as usize).collect();
            for index in lost.into_iter().rev() {
                self.events.remove(index);
            }
            self.events.insert(self.events.len() - 1, (last, EventKind::EventsLost { count }));
        }
        let started = (0, EventKind::RunStarted(Box::new(golden.brief())));
        std::iter::once(started)
            .chain(self.events)
            .enumerate()
            .map(|(seq, (at, kind))| Event { seq: seq as u64, at: Offset::from_micros(at), kind })
            .collect()
    }

    fn user(&mut self, n: u64, intended: u64) {
        let mut lag = 100 + self.dice.below(200);
        let mut dropped = false;
        let mut sick = false;
        for trouble in &self.golden.troubles {
            match trouble {
                Trouble::LateSender(late) => lag += late.as_micros(),
                Trouble::DroppingSender(share) => dropped |= self.dice.below(100) < *share,
                Trouble::SickBaseline(share) => sick |= self.dice.below(100) < *share,
                Trouble::Crash(after) => sick |= intended >= self.armed + after.as_micros(),
                Trouble::SlowRecovery(after) => {
                    sick |= (self.lifted..self.lifted + after.as_micros()).contains(&intended);
                }
                Trouble::LostEvents(_) | Trouble::Interrupt(_) => {}
            }
        }
        let sent = intended + lag;
        let (ended, outcome, served) = if dropped {
            (intended, SampleOutcome::Dropped, Served::Fresh)
        } else if sick {
            (sent + 1_500, SampleOutcome::Status, Served::Fresh)
        } else {
            self.request(sent)
        };
        let status = match outcome {
            SampleOutcome::Ok => Some(200),
            SampleOutcome::Status => Some(502),
            _ => None,
        };
        let sample = Sample {
            load: Golden::load(),
            n,
            intended: Offset::from_micros(intended),
            sent: (!dropped).then(|| Offset::from_micros(sent)),
            ended: Offset::from_micros(ended),
            outcome,
            status,
            served,
            age: None,
            retry_after: None,
        };
        self.events.push((ended, EventKind::Sample(sample)));
    }

    /// One user request at the caller: when it ends, and how.
    fn request(&mut self, sent: u64) -> (u64, SampleOutcome, Served) {
        let mut at = sent + 300;
        let mut answered = false;
        for attempt in 0..self.golden.caller.attempts {
            if !self.may_call(at) {
                break;
            }
            let begin = self.place(at);
            let outcome = self.call(begin);
            self.pending.push((outcome.at, !outcome.ok));
            self.occupy(outcome.at);
            at = outcome.at;
            answered = outcome.ok;
            if answered || attempt + 1 == self.golden.caller.attempts {
                break;
            }
            at += self.golden.caller.back_off.as_micros();
        }
        at += 400 + self.dice.below(400);
        let patience = 5_000_000;
        match (answered, self.golden.caller.stale) {
            _ if at > sent + patience => (sent + patience, SampleOutcome::Timeout, Served::Fresh),
            (true, _) => (at, SampleOutcome::Ok, Served::Fresh),
            (false, true) => (at, SampleOutcome::Ok, Served::Stale),
            (false, false) => (at, SampleOutcome::Status, Served::Fresh),
        }
    }

    fn may_call(&mut self, at: u64) -> bool {
        let Some((most, open)) = self.golden.caller.breaker else { return true };
        self.pending.sort_unstable();
        while let Some(&(when, failed)) = self.pending.first().filter(|outcome| outcome.0 <= at) {
            self.pending.remove(0);
            self.breaker = match (&self.breaker, failed) {
                (Breaker::Closed { failures }, true) if failures + 1 >= most => {
                    Breaker::Open { until: when + open.as_micros() }
                }
                (Breaker::Closed { failures }, true) => Breaker::Closed { failures: failures + 1 },
                (Breaker::Closed { .. }, false) => Breaker::Closed { failures: 0 },
                (Breaker::Open { until }, _) => Breaker::Open { until: *until },
                (Breaker::Trying { until }, _) if when < *until => Breaker::Trying { until: *until },
                (Breaker::Trying { .. }, true) => Breaker::Open { until: when + open.as_micros() },
                (Breaker::Trying { .. }, false) => Breaker::Closed { failures: 0 },
            };
        }
        match self.breaker {
            Breaker::Closed { .. } => true,
            Breaker::Open { until } if at >= until => {
                self.breaker = Breaker::Trying { until: at + 1 };
                true
            }
            Breaker::Open { .. } | Breaker::Trying { .. } => false,
        }
    }

    fn place(&mut self, at: u64) -> u64 {
        self.places.iter().min().map_or(at, |free| at.max(*free))
    }

    fn occupy(&mut self, until: u64) {
        if let Some(place) = self.places.iter_mut().min() {
            *place = until;
        }
    }

    fn call(&mut self, began: u64) -> Outcome {
        let usual = 2_000 + self.dice.below(6_000);
        let hurt = (self.armed..self.lifted).contains(&began);
        let natural = match self.golden.broken {
            _ if !hurt => (began + usual, true),
            Break::Latency(delay) => {
                ((began + usual + delay.as_micros()).min(self.lifted.max(began + usual)), true)
            }
            Break::Hang => (self.lifted + usual, true),
            Break::Reset | Break::Refuse | Break::Kill => (began + 500, false),
            Break::Nothing => (began + usual, true),
        };
        // Murphy's proxy sits on nothing when a process is killed.
        let touched = hurt && !matches!(self.golden.broken, Break::Nothing | Break::Kill);
        let given_up =
            self.golden.caller.timeout.map(|timeout| began + timeout.as_micros() + self.dice.below(1_500));
        let (at, end) = match given_up {
            Some(at) if at < natural.0 => (at, ExchangeEnd::GivenUp),
            _ if natural.1 => (natural.0, ExchangeEnd::Answered),
            _ => (natural.0, ExchangeEnd::Failed),
        };
        if touched && self.golden.broken == Break::Refuse {
            return Outcome { at, ok: false };
        }
        self.conns += u64::from(end != ExchangeEnd::Answered || self.conns == 0);
        if touched {
            self.touched.hits += 1;
            self.touched.connections += u64::from(end != ExchangeEnd::Answered);
            self.touched.bytes += 100;
        }
        let (given_up_at, ok) = (at, end == ExchangeEnd::Answered);
        let seen = if end == ExchangeEnd::GivenUp && !self.golden.caller.closes {
            (natural.0, ExchangeEnd::Answered)
        } else {
            (at, end)
        };
        let (at, end) = seen;
        self.events.push((
            at,
            EventKind::Exchange {
                edge: Golden::edge(),
                conn: ConnId(self.conns),
                began: Offset::from_micros(began),
                answered: (end == ExchangeEnd::Answered).then(|| Offset::from_micros(at)),
                ended: Offset::from_micros(at),
                end,
                touched,
            },
        ));
        Outcome { at: given_up_at, ok }
    }
}

/// What a run records of things that are under way when it ends.
fn cut(kind: &mut EventKind, stop: Offset) {
    match kind {
        EventKind::Sample(sample) => (sample.ended, sample.outcome) = (stop, SampleOutcome::Unfinished),
        EventKind::Exchange { answered, ended, end, .. } => {
            (*answered, *ended, *end) = (None, stop, ExchangeEnd::Open);
        }
        _ => {}
    }
}
