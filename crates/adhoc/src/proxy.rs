//! One proxy by hand: it carries calls until it is told to end, faults are switched on and off meanwhile, and at the end it
//! says what was done to whom. Callers dial it, and then nothing of it outlives the process; or it sits in on callers that
//! run already, and then it must be taken back before this ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use murphy_core::{
    Chance, Directions, EdgeName, NameError, Protocol, Recorder, Recording, RunClock, Seed, Span, Tally,
};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_proxy::{BindError, EdgeHands, EdgeTls, Limits, Proxy, ProxyConfig};
use murphy_runner::{AttachError, Attached, StateDir, Stop, StopReason};
use murphy_tls::{TlsError, TlsSettings};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attach::{Attach, AttachedSeen, happening};
use crate::calls::{Calls, CallsSeen};
use crate::desk::Desk;
use crate::happening::{Happening, Planned};
use crate::order::Consent;

/// Events that may wait to be counted.
const QUEUE: usize = 100_000;

/// A proxy with its faults, as asked for.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Whose calls it carries, and where to.
    pub route: Route,
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

/// How calls come to a proxy by hand.
#[derive(Debug, Clone)]
pub enum Route {
    /// Callers dial it.
    Listen {
        /// The address that callers dial.
        listen: String,
        /// The address that is dialled on.
        upstream: String,
    },
    /// It sits in on the calls of callers that know nothing of it.
    Attach(Box<Attach>),
}

impl Seat {
    /// Where calls go.
    pub(crate) fn upstream(&self) -> String {
        match &self.route {
            Route::Listen { upstream, .. } => upstream.clone(),
            Route::Attach(attach) => attach.to.to_string(),
        }
    }

    /// Refuses what could never stand here, before anything is touched.
    fn check(&self) -> Result<EdgeTls, SeatError> {
        if let Some((fault, _)) =
            self.faults.iter().find(|(fault, _)| !matches!(fault.effect(), Effect::Edge(_)))
        {
            return Err(SeatError::NotOfConnections { fault: fault.name() });
        }
        let tls = match &self.tls {
            Some(settings) => EdgeTls::open(settings, self.state.path(), &self.upstream())?,
            None => EdgeTls::default(),
        };
        match self.faults.iter().find(|(fault, _)| fault.acts_on_handshakes()) {
            Some((fault, _)) if tls.terminate.is_none() => {
                Err(SeatError::NoHandshakes { fault: fault.name() })
            }
            _ => Ok(tls),
        }
    }

    fn fault_texts(&self) -> Vec<String> {
        let off = |switch| if switch == Switch::Off { " (off)" } else { "" };
        self.faults.iter().map(|(fault, switch)| format!("{}{}", fault.text(), off(*switch))).collect()
    }

    fn when(&self) -> String {
        self.hold.map(|hold| format!("for {hold}")).unwrap_or_default()
    }

    /// What a fault does here, to the requests that are chosen if it acts on requests.
    pub(crate) fn effect_of(&self, fault: &Fault) -> Effect {
        fault.on_requests(&self.matching, &self.which_with_chance()).unwrap_or_else(|| fault.effect())
    }

    pub(crate) fn which_with_chance(&self) -> Which {
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
    /// Nobody can be sat in on.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Many would be sat in on, and nobody agreed to it.
    #[error(
        "attach would sit in on {} callers at once: {}; if that is meant, add --yes, else narrow it (--pick, --exclude)",
        .callers.len(), .callers.join(", ")
    )]
    NotAgreed {
        /// Their names.
        callers: Vec<String>,
    },
    /// A signal came before it sat.
    #[error("interrupted before the callers were sat in on; everything was taken back")]
    Interrupted,
    /// It did not come about, and something may not be as before.
    #[error("{error}; and something may not be as before: {}", .rest.join("; "))]
    NotTakenBack {
        /// Why it did not.
        error: Box<SeatError>,
        /// What may not be, each with what to type.
        rest: Vec<String>,
    },
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
    /// Where callers dial, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where it dials.
    pub upstream: String,
    /// Whose calls it sits in on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<AttachedSeen>,
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
    /// It carries calls from now on.
    Begun(Sight),
    /// Another look, once a tick.
    Now(Sight),
    /// A fault was switched.
    Switched(Sight, usize),
    /// Something was done to a caller, or taken back.
    Happened(Happening),
}

/// The caller's side of [`sit`].
pub struct Company<'a> {
    /// Ends it.
    pub stop: &'a Stop,
    /// Time between two looks.
    pub tick: Span,
    /// Numbers of faults, from 1, that are switched.
    pub keys: &'a mut mpsc::Receiver<usize>,
    /// Asked where many callers would be sat in on at once.
    pub agree: &'a mut (dyn FnMut(&Planned) -> Consent + Send),
    /// Told what happens.
    pub tell: &'a mut (dyn FnMut(Told) + Send),
}

/// Says whom it would sit in on and how that is taken back. Touches nothing. There is nothing to say of a proxy that
/// callers dial.
pub async fn rehearse(seat: &Seat, tell: &mut (dyn FnMut(Told) + Send)) -> Result<(), SeatError> {
    let tls = seat.check()?;
    if let Route::Attach(attach) = &seat.route {
        let attachment = attach.attachment(Attach::edge()?, seat.protocol, tls, seat.seed);
        tell(Told::Happened(Happening::Planned(
            attach.plan(&attachment, seat.when(), &seat.fault_texts()).await?,
        )));
    }
    tell(Told::Happened(Happening::DryRun));
    Ok(())
}

/// Carries calls until the time is over or a signal comes. The last look is the summary.
pub async fn sit(seat: &Seat, company: Company<'_>) -> Result<Sight, SeatError> {
    let Company { stop, tick, keys, agree, tell } = company;
    let tls = seat.check()?;
    let (recorder, recording) = Recorder::new(RunClock::start(), QUEUE);
    let calls = Arc::new(Mutex::new(Calls::default()));
    let (told, mut happenings) = mpsc::unbounded_channel();
    let counting = Counting::begin(recording, Arc::clone(&calls), told);
    let (carrier, hands, listen) = match &seat.route {
        Route::Listen { listen, upstream } => {
            let proxy = Proxy::bind(ProxyConfig {
                name: EdgeName::new("proxy")?,
                protocol: seat.protocol,
                listen: listen.clone(),
                upstream: upstream.clone(),
                tls,
                seed: seat.seed,
                recorder,
                limits: Limits::default(),
            })
            .await?
            .on_each_processor();
            let (close, mut serving) = (CancellationToken::new(), JoinSet::new());
            let (hands, listen) = (EdgeHands::of(proxy.handle()), proxy.local_addr().to_string());
            serving.spawn(murphy_core::boxed(proxy.serve(close.clone().cancelled_owned())));
            (Carrier::Proxy { close, serving }, hands, Some(listen))
        }
        Route::Attach(attach) => {
            let attachment = attach.attachment(Attach::edge()?, seat.protocol, tls, seat.seed);
            let faults = seat.fault_texts();
            let planned = tokio::select! {
                planned = attach.plan(&attachment, seat.when(), &faults) => planned?,
                () = stop.stopped() => return Err(SeatError::Interrupted),
            };
            attach.agreed(&planned, agree, stop)?;
            tell(Told::Happened(Happening::Planned(planned)));
            let hands = EdgeHands::default();
            let (attached, callers) = attach.begin(&attachment, &hands, &recorder, stop).await?;
            (Carrier::Attached { attached, callers }, hands, None)
        }
    };
    let mut desk = Desk::new(seat, listen, hands, calls)?;
    if let Carrier::Attached { callers, .. } = &carrier {
        for _ in 0..*callers {
            // A flood of calls may have swallowed the news; then it is told without.
            tokio::select! {
                news = tokio::time::timeout(NEWS, happenings.recv()) => match news {
                    Ok(Some(happening)) => note(&mut desk, happening, tell),
                    _ => break,
                },
                () = stop.stopped() => break,
            }
        }
    }
    tell(Told::Begun(desk.sight()));
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
            Some(happening) = happenings.recv() => note(&mut desk, happening, tell),
            _ = ticks.tick() => tell(Told::Now(desk.sight())),
        }
    }
    if let (Carrier::Attached { .. }, Some(StopReason::Signal { name, .. })) = (&carrier, stop.reason()) {
        tell(Told::Happened(Happening::Interrupted { signal: (*name).to_owned() }));
    }
    desk.lift_all();
    let not_taken_back = carrier.end().await;
    counting.end().await;
    while let Ok(happening) = happenings.try_recv() {
        note(&mut desk, happening, tell);
    }
    Ok(desk.close(not_taken_back))
}

/// Time for news that is on its way already.
const NEWS: Duration = Duration::from_secs(5);

fn note(desk: &mut Desk, happening: Happening, tell: &mut (dyn FnMut(Told) + Send)) {
    desk.see(&happening);
    tell(Told::Happened(happening));
}

/// What carries the calls.
enum Carrier {
    Proxy { close: CancellationToken, serving: JoinSet<()> },
    Attached { attached: Attached, callers: usize },
}

impl Carrier {
    /// Ends it and takes everything back. What could not be.
    async fn end(self) -> Vec<String> {
        match self {
            Carrier::Proxy { close, serving } => {
                close.cancel();
                serving.join_all().await;
                Vec::new()
            }
            Carrier::Attached { attached, .. } => attached.leave().await,
        }
    }
}

/// The thread that counts calls, and passes on what else is told.
struct Counting {
    end: CancellationToken,
    thread: JoinSet<()>,
}

impl Counting {
    fn begin(
        mut recording: Recording,
        calls: Arc<Mutex<Calls>>,
        told: mpsc::UnboundedSender<Happening>,
    ) -> Counting {
        let (end, mut thread) = (CancellationToken::new(), JoinSet::new());
        let ended = end.clone();
        thread.spawn_blocking(move || {
            // Ends with the last recorder, or as soon as nothing more comes after the end.
            while let Ok(event) = recording.next(Duration::from_millis(50)) {
                match event {
                    Some(event) => {
                        calls.lock().unwrap_or_else(PoisonError::into_inner).on(&event);
                        if let Some(happening) = happening(&event) {
                            // Nobody listens any more after an error, and then nobody need be told.
                            let _ = told.send(happening);
                        }
                    }
                    None if ended.is_cancelled() => break,
                    None => {}
                }
            }
        });
        Counting { end, thread }
    }

    async fn end(self) {
        self.end.cancel();
        self.thread.join_all().await;
    }
}
