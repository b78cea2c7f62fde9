//! One open-loop HTTP load: every request is sent when the schedule says, by a task of its own.
//!
//! Latency counts from the *intended* time; a late send is still sent, and its lag recorded. It must never wait for an
//! answer before the next request, never skip one in silence and never repeat one (see `connection` for the single
//! exception).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{
    Chance, Dice, EventKind, Frequency, LoadName, Recorder, SampleOutcome, Seed, Span, WriteIds,
};
use regex_lite::Regex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection::{Answer, Effort, Failure, Pool, Route};
use crate::head::Head;
use crate::request::HttpRequest;
use crate::schedule::{Arrival, Arrivals, Schedule};
use crate::status::StatusSet;
use crate::ticket::{Booth, Counts, Ticket, count};

/// What a body must be for the answer to count.
#[derive(Debug, Clone, Default)]
pub enum BodyRule {
    /// Whole; it may be empty.
    #[default]
    Whole,
    /// Whole and not empty: a fallback that answers 200 with nothing does not count.
    NotEmpty,
    /// Whole, and its first 64 KiB match, read as UTF-8.
    Matches(Regex),
}

/// Whether users come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// As the schedule says.
    #[default]
    On,
    /// Not at all: the schedule stands still, so that no request is left out.
    Held,
    /// Held, but for the next request of the schedule, which is due at once; and so many have been asked for alone by now.
    Alone(u32),
}

/// The request that is to be sent at present.
pub type Renewed = watch::Receiver<Option<Arc<HttpRequest>>>;

/// How the requests of a load are told apart in what the service keeps, and which of them it has acknowledged.
#[derive(Debug, Clone)]
pub struct Writes {
    /// The id of each; the first one stands in the request as a place for all.
    pub ids: WriteIds,
    /// Ordinals of requests that were answered as expected, in the order of the answers.
    pub acknowledged: Arc<Mutex<Vec<u64>>>,
}

impl Writes {
    /// None is acknowledged yet.
    pub fn new(ids: WriteIds) -> Writes {
        Writes { ids, acknowledged: Arc::default() }
    }

    fn acknowledge(&self, n: u64) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(n);
    }
}

/// One stream of user requests.
#[derive(Debug, Clone)]
pub struct HttpLoad {
    /// Its name.
    pub name: LoadName,
    /// What is asked.
    pub request: HttpRequest,
    /// What is asked instead, where it changes while the load runs; until there is one, nothing is sent.
    pub renewed: Option<Renewed>,
    /// Tells whether users come at present; always where it is left out.
    pub flow: Option<watch::Receiver<Flow>>,
    /// Gives each request an id of its own, and remembers what was acknowledged.
    pub writes: Option<Writes>,
    /// Planned arrivals.
    pub rate: Frequency,
    /// When they become others, from the beginning of the load, in order.
    pub changes: Vec<(Span, Frequency)>,
    /// How they are spread.
    pub arrivals: Arrivals,
    /// How long a user waits, from the sending (connecting included) to the last byte.
    pub timeout: Span,
    /// Statuses of an answer that counts.
    pub expect_status: StatusSet,
    /// Bodies of an answer that counts.
    pub expect_body: BodyRule,
    /// A request that would be one too many is not sent, and recorded as dropped.
    pub in_flight_max: u64,
    /// The run's seed; the load derives its own from it and its name.
    pub seed: Seed,
    /// The share of requests that go out on a connection of their own.
    pub fresh_share: Chance,
    /// How long requests in flight may go on after the stop; `None` for the timeout or 2 s, whichever is shorter.
    pub drain: Option<Span>,
}

impl HttpLoad {
    /// A load with Poisson arrivals, a timeout of 5 s, statuses 200 to 399, at most 10 000 requests in flight and 5 %
    /// of them on a fresh connection.
    pub fn new(name: LoadName, request: HttpRequest, rate: Frequency, seed: Seed) -> HttpLoad {
        HttpLoad {
            name,
            request,
            renewed: None,
            flow: None,
            writes: None,
            rate,
            changes: Vec::new(),
            arrivals: Arrivals::default(),
            timeout: Span::from_secs(5),
            expect_status: StatusSet::default(),
            expect_body: BodyRule::default(),
            in_flight_max: 10_000,
            seed,
            fresh_share: Chance::from_fraction(0.05).unwrap_or(Chance::NEVER),
            drain: None,
        }
    }

    fn drain(&self) -> Span {
        self.drain.unwrap_or_else(|| self.timeout.min(Span::from_secs(2)))
    }
}

/// What a load did. The journal has it all in detail; this is for a caller without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSummary {
    /// Requests that were due before the stop. Each has one sample.
    pub planned: u64,
    /// Of these, sent.
    pub sent: u64,
    /// Of these, answered as expected.
    pub ok: u64,
    /// Not sent: the cap was reached, or this machine ran out of descriptors or ports.
    pub dropped: u64,
    /// Still in flight when the drain was over.
    pub unfinished: u64,
    /// The most that were in flight at once.
    pub in_flight_max: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests that came back unwritten from a kept-alive connection that the service had closed, and went out on a
    /// fresh one.
    pub resent: u64,
}

/// Everything that the requests of a load share.
struct Lane {
    load: HttpLoad,
    booth: Arc<Booth>,
    pool: Pool,
    /// Cancelled when the drain is over.
    cutoff: CancellationToken,
}

/// Sends until `stop` is cancelled, gives what is in flight its drain, and records a `Sample` for every planned
/// request and a `LoadEnded`. If this future is dropped instead, requests in flight are recorded as unfinished.
pub async fn drive(load: HttpLoad, recorder: Recorder, stop: CancellationToken) -> LoadSummary {
    let seed = load.seed.derive(load.name.as_str(), 0);
    let schedule = Schedule::new(load.rate, load.arrivals, seed.derive("arrivals", 0));
    let mut routes = Dice::new(seed.derive("fresh", 0));
    let booth = Arc::new(Booth { load: load.name.clone(), recorder, counts: Counts::default() });
    let lane = Arc::new(Lane { load, booth, pool: Pool::default(), cutoff: CancellationToken::new() });
    let mut requests = JoinSet::new();
    // Without this wait it is none at all, so that the same seed sends at the same times.
    let mut late = Duration::ZERO;
    if let Some(mut renewed) = lane.load.renewed.clone() {
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            // Nobody will say any more what to send once the other end is gone.
            known = async { renewed.wait_for(Option::is_some).await.is_ok() } => if !known { stop.cancelled().await },
        }
        if stop.is_cancelled() {
            return finish(&lane, 0);
        }
        late = begun.elapsed();
    }
    let mut schedule = schedule.changing(&lane.load.changes, late);
    // Moves on while the flow is held, so that what is due keeps its distance.
    let mut start = Instant::now();
    let (mut flow, mut alone) = (lane.load.flow.clone(), 0);
    let mut planned = 0;
    let mut next = schedule.next();
    let mut stopped = false;
    loop {
        // Also after the stop, for what was due before it. All that is due goes out at once: the runtime's timer has
        // a grain of 1 ms.
        let now = Instant::now();
        while let Some(arrival) = next
            && start + arrival.due <= now
        {
            let route = if routes.chance(lane.load.fresh_share) { Route::Fresh } else { Route::Pooled };
            launch(&lane, &mut requests, start, arrival, route);
            planned += 1;
            next = schedule.next();
        }
        while requests.try_join_next().is_some() {}
        if stopped {
            break;
        }
        let due = next.and_then(|arrival| start.checked_add(arrival.due));
        tokio::select! {
            biased;
            () = stop.cancelled() => stopped = true,
            () = held(&mut flow) => {
                let since = Instant::now();
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    going = goes_on(&mut flow, &mut alone) => start = match (going, &next) {
                        (Flow::Alone(_), Some(arrival)) => {
                            Instant::now().checked_sub(arrival.due).unwrap_or(start)
                        }
                        _ => start + since.elapsed(),
                    },
                }
            }
            () = sleep_until(due) => {}
        }
    }
    let drained = tokio::time::timeout(lane.load.drain().as_duration(), all_of(&mut requests)).await;
    if drained.is_err() {
        lane.cutoff.cancel();
        all_of(&mut requests).await;
    }
    finish(&lane, planned)
}

/// Until the flow is held; never where nobody holds it.
async fn held(flow: &mut Option<watch::Receiver<Flow>>) {
    if let Some(flow) = flow {
        let is_held = flow.wait_for(|flow| *flow != Flow::On).await.is_ok();
        if is_held {
            return;
        }
    }
    std::future::pending().await
}

/// Until one more request than `asked` is asked for, or all are again. A holder that is gone holds nothing any more.
async fn goes_on(flow: &mut Option<watch::Receiver<Flow>>, asked: &mut u32) -> Flow {
    let Some(flow) = flow else { return Flow::On };
    let lets_through = |flow: &Flow| match flow {
        Flow::On => true,
        Flow::Held => false,
        Flow::Alone(count) => *count > *asked,
    };
    let now = flow.wait_for(lets_through).await.map_or(Flow::On, |now| *now);
    if let Flow::Alone(count) = now {
        *asked = count;
    }
    now
}

/// Due instants lie in the future by a mean gap, which can be beyond what a clock can say.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn all_of(requests: &mut JoinSet<()>) {
    while requests.join_next().await.is_some() {}
}

fn launch(lane: &Arc<Lane>, requests: &mut JoinSet<()>, start: Instant, arrival: Arrival, route: Route) {
    let full = lane.booth.counts.in_flight.load(Ordering::Relaxed) >= lane.load.in_flight_max;
    let ticket = Ticket::new(&lane.booth, arrival.n, start, arrival.due);
    if full {
        ticket.tell(SampleOutcome::Dropped, None);
    } else {
        requests.spawn(send(Arc::clone(lane), ticket, route));
    }
}

async fn send(lane: Arc<Lane>, mut ticket: Ticket, route: Route) {
    ticket.sent_now();
    let (mut head, mut effort) = (None, Effort::default());
    let renewed = lane.load.renewed.as_ref().and_then(|renewed| renewed.borrow().clone());
    let request = renewed.as_deref().unwrap_or(&lane.load.request);
    let n = ticket.n();
    let with_id =
        lane.load.writes.as_ref().map(|writes| request.with_text(&writes.ids.id(0), &writes.ids.id(n)));
    let request = with_id.as_ref().unwrap_or(request);
    let outcome = tokio::select! {
        biased;
        (result, connection) = lane.pool.exchange(request, route, &mut head, &mut effort) => {
            Some((result, connection))
        }
        () = tokio::time::sleep(lane.load.timeout.as_duration()) => None,
        () = lane.cutoff.cancelled() => {
            note(&lane.booth.counts, effort);
            return ticket.tell(SampleOutcome::Unfinished, head);
        }
    };
    note(&lane.booth.counts, effort);
    let Some((result, connection)) = outcome else {
        return ticket.tell(SampleOutcome::Timeout, head);
    };
    let whole = result.is_ok();
    let outcome = judge(&lane.load, result, head);
    match (&outcome, &lane.load.writes) {
        (SampleOutcome::Dropped, _) => ticket.not_sent(),
        // An expected answer that is no 2xx, as 503, does not say that it is done.
        (SampleOutcome::Ok, Some(writes)) if head.is_some_and(|head| (200..300).contains(&head.status)) => {
            writes.acknowledge(n);
        }
        _ => {}
    }
    ticket.tell(outcome, head);
    if let Some(connection) = connection
        && whole
    {
        tokio::select! {
            () = lane.pool.give_back(connection) => {}
            () = lane.cutoff.cancelled() => {}
        }
    }
}

fn note(counts: &Counts, effort: Effort) {
    count(&counts.dialled, effort.dialled);
    count(&counts.resent, effort.resent);
}

fn judge(load: &HttpLoad, result: Result<Answer, Failure>, head: Option<Head>) -> SampleOutcome {
    let expected = |head: Head| load.expect_status.contains(head.status);
    match result {
        Err(Failure::Exhausted(_)) => SampleOutcome::Dropped,
        Err(Failure::Connect(_)) => SampleOutcome::Connect,
        Err(Failure::Broken(_)) => SampleOutcome::Broken,
        // An error page that is cut is an error first.
        Err(Failure::Cut) if head.is_some_and(|head| !expected(head)) => SampleOutcome::Status,
        Err(Failure::Cut) => SampleOutcome::Body,
        Ok(answer) if !expected(answer.head) => SampleOutcome::Status,
        Ok(answer) => {
            let good = match &load.expect_body {
                BodyRule::Whole => true,
                BodyRule::NotEmpty => answer.length > 0,
                BodyRule::Matches(regex) => regex.is_match(&String::from_utf8_lossy(&answer.body)),
            };
            if good { SampleOutcome::Ok } else { SampleOutcome::Body }
        }
    }
}

fn finish(lane: &Lane, planned: u64) -> LoadSummary {
    let counts = &lane.booth.counts;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let in_flight_max = read(&counts.in_flight_max);
    lane.booth.recorder.record(EventKind::LoadEnded { load: lane.load.name.clone(), planned, in_flight_max });
    LoadSummary {
        planned,
        sent: read(&counts.sent),
        ok: read(&counts.ok),
        dropped: read(&counts.dropped),
        unfinished: read(&counts.unfinished),
        in_flight_max,
        connections: read(&counts.dialled),
        resent: read(&counts.resent),
    }
}
