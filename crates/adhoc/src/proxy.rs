//! One proxy by hand: it carries calls until it is told to end, faults are switched on and off meanwhile, and at the end it
//! says what was done to whom. Callers dial it, and then nothing of it outlives the process; or it sits in on callers that
//! run already, and then it must be taken back before this ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use murphy_core::{EdgeName, Recorder, Recording, RunClock, Span};
use murphy_proxy::{EdgeHands, Limits, Proxy, ProxyConfig};
use murphy_runner::{Attached, Stop, StopReason};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attach::{Attach, happening};
use crate::calls::Calls;
use crate::desk::Desk;
use crate::happening::{Happening, Planned};
use crate::order::Consent;
use crate::seat::{Route, Seat, SeatError};
use crate::sight::Sight;

/// Events that may wait to be counted.
const QUEUE: usize = 100_000;

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
