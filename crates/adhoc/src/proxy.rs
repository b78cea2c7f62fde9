//! One proxy by hand: it carries calls until it is told to end, faults are switched on and off meanwhile, and at the end it
//! says what was done to whom. Nothing of it outlives the process: there is nothing to take back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{
    Chance, Directions, EdgeName, FaultId, NameError, Protocol, Recorder, RunClock, Seed, Span, Tally,
};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_proxy::{Armed, BindError, EdgeTls, Limits, MeterSnapshot, Proxy, ProxyConfig, ProxyHandle};
use murphy_runner::{StateDir, Stop};
use murphy_tls::{TlsError, TlsSettings};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::calls::{Calls, CallsSeen};

/// Events that may wait to be counted.
const QUEUE: usize = 100_000;

/// A proxy with its faults, as asked for.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The address that callers dial.
    pub listen: String,
    /// The address that is dialled on.
    pub upstream: String,
    /// What is spoken; faults on requests want HTTP.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    pub tls: Option<TlsSettings>,
    /// Where the local authority is kept.
    pub state: StateDir,
    /// The faults, each with whether it stands from the beginning.
    pub faults: Vec<(Fault, Switch)>,
    /// The ways on which they sit.
    pub directions: Directions,
    /// The share of connections, and for faults on requests of requests, that they act on.
    pub chance: Chance,
    /// The requests that faults on requests are for.
    pub matching: Match,
    /// Which of these they act on; a chance stands in [`Seat::chance`].
    pub which: Which,
    /// Root of all choices.
    pub seed: Seed,
    /// How long it sits; without end if not given.
    pub hold: Option<Span>,
}

impl Seat {
    /// What a fault does here, to the requests that are chosen if it acts on requests.
    fn effect_of(&self, fault: &Fault) -> Effect {
        fault.on_requests(&self.matching, &self.which_with_chance()).unwrap_or_else(|| fault.effect())
    }

    fn which_with_chance(&self) -> Which {
        let chance = (self.chance != Chance::ALWAYS).then_some(self.chance);
        Which { chance, ..self.which.clone() }
    }
}

/// Whether a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// It stands.
    On,
    /// It does not.
    Off,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// A fault on handshakes where there are none.
    #[error(
        "{fault} acts on TLS handshakes of callers: add `--tls`, or `--tls=terminate` if the dependency speaks no TLS"
    )]
    NoHandshakes {
        /// Which.
        fault: &'static str,
    },
    /// A fault of another kind.
    #[error("{fault} does not act on connections")]
    NotOfConnections {
        /// Which.
        fault: &'static str,
    },
    /// A name of ours is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// One fault at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultSeen {
    /// Its number: the key that switches it.
    pub number: usize,
    /// In words.
    pub text: String,
    /// With all its settings.
    pub fault: Fault,
    /// Whether it stands.
    pub switch: Switch,
    /// When it stood, counted from the beginning; the end is open while it stands.
    pub stood: Vec<Stretch>,
    /// What it did.
    pub tally: Tally,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stretch {
    /// The beginning.
    pub from: Span,
    /// The end, if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
}

/// What is to be seen at one moment, and at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sight {
    /// Where callers dial.
    pub listen: String,
    /// Where it dials.
    pub upstream: String,
    /// Root of all choices.
    pub seed: Seed,
    /// The ways on which faults sit.
    pub directions: Directions,
    /// The share of connections, and for faults on requests of requests, that they act on.
    pub chance: Chance,
    /// What is spoken.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The requests that faults on requests are for.
    #[serde(rename = "match", skip_serializing_if = "Match::is_empty")]
    pub matching: Match,
    /// Which of these they act on.
    #[serde(skip_serializing_if = "Which::is_empty")]
    pub which: Which,
    /// Time since the beginning.
    pub elapsed: Span,
    /// Connections so far.
    pub connections: u64,
    /// Of these, still open.
    pub open: u64,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to callers.
    pub to_client: u64,
    /// The calls.
    pub calls: CallsSeen,
    /// Ended calls a second since the last look.
    pub rate: f64,
    /// The faults.
    pub faults: Vec<FaultSeen>,
}

/// What the caller of [`sit`] is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It listens now.
    Listening(Sight),
    /// Another look, once a tick.
    Now(Sight),
    /// A fault was switched.
    Switched(Sight, usize),
}

/// Carries calls until the time is over or a signal comes. `keys` switch faults by number, from 1. The last look is the
/// summary.
pub async fn sit(
    seat: &Seat,
    stop: &Stop,
    tick: Span,
    keys: &mut mpsc::Receiver<usize>,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<Sight, SeatError> {
    let tls = match &seat.tls {
        Some(settings) => EdgeTls::open(settings, seat.state.path(), &seat.upstream)?,
        None => EdgeTls::default(),
    };
    if let Some((fault, _)) = seat.faults.iter().find(|(fault, _)| fault.acts_on_handshakes())
        && tls.terminate.is_none()
    {
        return Err(SeatError::NoHandshakes { fault: fault.name() });
    }
    let (recorder, mut recording) = Recorder::new(RunClock::start(), QUEUE);
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("proxy")?,
        protocol: seat.protocol,
        listen: seat.listen.clone(),
        upstream: seat.upstream.clone(),
        tls,
        seed: seat.seed,
        recorder,
        limits: Limits::default(),
    })
    .await?;
    let calls = Arc::new(Mutex::new(Calls::default()));
    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (counted, ended) = (Arc::clone(&calls), end.clone());
    tasks.spawn_blocking(move || {
        // Ends with the last recorder, or as soon as nothing more comes after the end.
        while let Ok(event) = recording.next(Duration::from_millis(50)) {
            match event {
                Some(event) => counted.lock().unwrap_or_else(PoisonError::into_inner).on(&event),
                None if ended.is_cancelled() => break,
                None => {}
            }
        }
    });
    let listen = proxy.local_addr().to_string();
    let mut desk = Desk::new(seat, listen, proxy.handle(), calls)?;
    let close = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(proxy.serve(close.clone().cancelled_owned()));
    tell(Told::Listening(desk.sight()));
    let over = async {
        match seat.hold {
            Some(hold) => tokio::time::sleep(hold.as_duration()).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    let mut ticks = tokio::time::interval(tick.as_duration());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    ticks.reset();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            () = &mut over => break,
            Some(number) = keys.recv() => {
                if desk.switch(number) {
                    tell(Told::Switched(desk.sight(), number));
                }
            }
            _ = ticks.tick() => tell(Told::Now(desk.sight())),
        }
    }
    desk.lift_all();
    close.cancel();
    serving.join_all().await;
    end.cancel();
    tasks.join_all().await;
    Ok(desk.sight())
}

/// The faults with their switches, and the proxy that they sit on.
struct Desk {
    seat: Seat,
    listen: String,
    handle: ProxyHandle,
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
    fn new(
        seat: &Seat,
        listen: String,
        handle: ProxyHandle,
        calls: Arc<Mutex<Calls>>,
    ) -> Result<Desk, SeatError> {
        let mut rows = Vec::new();
        for (number, (fault, _)) in (1..).zip(&seat.faults) {
            if !matches!(fault.effect(), Effect::Edge(_)) {
                return Err(SeatError::NotOfConnections { fault: fault.name() });
            }
            let id = FaultId::new(&format!("{}-{number}", fault.name()))?;
            rows.push(Row { id, fault: fault.clone(), stood: Vec::new(), done: Tally::default() });
        }
        let begun = Instant::now();
        let mut desk = Desk { seat: seat.clone(), listen, handle, calls, begun, rows, last: (begun, 0) };
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
    fn switch(&mut self, number: usize) -> bool {
        let now = self.now();
        let Some(row) = number.checked_sub(1).and_then(|at| self.rows.get_mut(at)) else { return false };
        if row.stands() {
            lift(&self.handle, row, now);
        } else if let Effect::Edge(effect) = self.seat.effect_of(&row.fault) {
            let directions = self.seat.directions;
            // For requests the chance is in the choice.
            let chance = if row.fault.acts_on_requests() { Chance::ALWAYS } else { self.seat.chance };
            self.handle.arm(Armed { id: row.id.clone(), effect, directions, chance });
            row.stood.push(Stretch { from: now, until: None });
        }
        true
    }

    fn lift_all(&mut self) {
        let now = self.now();
        for row in self.rows.iter_mut().filter(|row| row.stands()) {
            lift(&self.handle, row, now);
        }
    }

    fn sight(&mut self) -> Sight {
        let (seen, ended) = {
            let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            (calls.seen(), calls.ended())
        };
        let (then, before) = self.last;
        let since = then.elapsed().as_secs_f64();
        self.last = (Instant::now(), ended);
        let MeterSnapshot { accepted, open, to_upstream, to_client, .. } = self.handle.meter();
        Sight {
            listen: self.listen.clone(),
            upstream: self.seat.upstream.clone(),
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
        let present = self.handle.tally(&row.id).unwrap_or_default();
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

fn lift(handle: &ProxyHandle, row: &mut Row, now: Span) {
    row.done = sum(row.done, handle.lift(&row.id).unwrap_or_default());
    if let Some(stretch) = row.stood.last_mut() {
        stretch.until = Some(now);
    }
}

fn sum(a: Tally, b: Tally) -> Tally {
    Tally { connections: a.connections + b.connections, hits: a.hits + b.hits, bytes: a.bytes + b.bytes }
}
