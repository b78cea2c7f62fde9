//! Quiesce and restore (verdicts 2.15): where users are still badly served at the end of the recovery phase and it does not get
//! better, all load is stopped until the services have come to rest, and begun again. What that means is for the judge; the
//! rule by which the load is stopped is the judge's own.
//!
//! Quiet edges do not tell that a service has done what callers have given up on: so once they are quiet, one request of each
//! load is sent alone, and the load begins again when all of these are answered well.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_core::{Event, EventKind, LoadName, Offset, Phase, PhaseLengths, Recorder, Span};
use murphy_load::Flow;
use murphy_scenario::Plan;
use murphy_verdict::goodput::{self, Course, Goodput, QUIET};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

/// So long edges must be quiet.
const REST: Span = Span::from_micros(goodput::REST);
/// Silence has no event: it is looked for so often.
const LOOK: Duration = Duration::from_millis(100);

/// What became of the users after the faults, as far as the journal tells by now.
#[derive(Debug, Clone)]
pub(crate) struct Aftermath {
    /// Nothing is kept, and nothing locked for an event, where nothing will be asked.
    wanted: bool,
    seen: Arc<Mutex<Seen>>,
    /// A request that was sent alone has been answered.
    answered: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Seen {
    loads: BTreeMap<LoadName, Goodput>,
    baseline: Option<(Offset, Offset)>,
    lifted: Option<Offset>,
    quiet: Option<Offset>,
    /// Calls in the baseline.
    usual: u64,
    /// When calls ended of late.
    calls: VecDeque<Offset>,
    /// Requests that were sent alone: those answered, and of these the ones answered well.
    answered: usize,
    well: usize,
}

impl Aftermath {
    pub(crate) fn of(plan: &Plan) -> Aftermath {
        let wanted = !plan.phases.quiet.is_zero();
        let loads = plan.loads.iter().map(|load| (load.name.clone(), Goodput::default())).collect();
        Aftermath {
            wanted,
            seen: Arc::new(Mutex::new(Seen { loads, ..Seen::default() })),
            answered: Arc::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on(&self, event: &Event) {
        if !self.wanted {
            return;
        }
        let mut seen = self.seen();
        let before = seen.answered;
        seen.on(event);
        if seen.answered > before {
            self.answered.notify_one();
        }
    }

    /// The two phases after recovery, or the reason why they are not needed.
    pub(crate) async fn quiesce(
        &self,
        phases: &PhaseLengths,
        recorder: &Recorder,
        flow: &watch::Sender<Flow>,
    ) {
        if !self.wanted {
            return;
        }
        let no_need = self.seen().no_need(recorder.clock().now());
        if let Some(why) = no_need {
            return recorder.record(EventKind::QuiesceSkipped { why });
        }
        recorder.record(EventKind::PhaseStarted { phase: Phase::Quiet });
        flow.send_replace(Flow::Held);
        let cap = Instant::now() + phases.quiet.as_duration();
        // At the cap the load begins again all the same: that it is of no use then tells something too.
        let _ = timeout_at(cap, self.until_served(recorder, flow)).await;
        recorder.record(EventKind::PhaseStarted { phase: Phase::Again });
        flow.send_replace(Flow::On);
        sleep(phases.again.as_duration()).await;
    }

    /// Until the edges are quiet and one request of each load, sent alone, is answered well.
    async fn until_served(&self, recorder: &Recorder, flow: &watch::Sender<Flow>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 1.. {
            let from = recorder.clock().now();
            while !self.seen().is_at_rest(from, recorder.clock().now()) {
                looks.tick().await;
            }
            let (answered, well) = {
                let seen = self.seen();
                (seen.answered + seen.loads.len(), seen.well + seen.loads.len())
            };
            flow.send_replace(Flow::Alone(count));
            while self.seen().answered < answered {
                self.answered.notified().await;
            }
            if self.seen().well >= well {
                return;
            }
        }
    }
}

impl Seen {
    fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::PhaseStarted { phase: Phase::Baseline } => {
                self.baseline = Some((event.at, event.at));
            }
            EventKind::PhaseStarted { phase } => {
                if *phase == Phase::Fault
                    && let Some((_, end)) = &mut self.baseline
                {
                    *end = event.at;
                }
                match phase {
                    Phase::Recovery => {
                        self.lifted.get_or_insert(event.at);
                    }
                    Phase::Quiet => self.quiet = Some(event.at),
                    _ => {}
                }
            }
            EventKind::FaultLifted { .. } => self.lifted = Some(event.at),
            EventKind::Sample(sample) => {
                if self.quiet.is_some_and(|quiet| sample.intended >= quiet) {
                    self.answered += 1;
                    self.well += usize::from(sample.is_ok());
                }
                if sample.is_ok()
                    && let Some(goodput) = self.loads.get_mut(&sample.load)
                {
                    goodput.take(sample.ended.as_micros());
                }
            }
            EventKind::Exchange { ended, .. } => self.call(*ended),
            EventKind::Request(call) => self.call(call.ended),
            EventKind::DialFailed { .. } => self.call(event.at),
            _ => {}
        }
    }

    fn call(&mut self, ended: Offset) {
        match (self.baseline, self.quiet) {
            // Told of later than it ended, perhaps.
            (_, Some(quiet)) if ended >= quiet => self.calls.push_back(ended),
            (Some((begin, end)), None) if ended >= begin && (end == begin || ended < end) => self.usual += 1,
            _ => {}
        }
    }

    /// Why the load need not be stopped.
    fn no_need(&self, now: Offset) -> Option<String> {
        let (Some((begin, end)), Some(lifted)) = (self.baseline, self.lifted) else {
            return Some("there is no baseline, or no recovery".to_owned());
        };
        let stretch = |from: Offset, to: Offset| (from.as_micros(), to.as_micros());
        let course = |goodput: &Goodput| goodput.course(stretch(begin, end), stretch(lifted, now));
        let courses: Vec<_> = self.loads.iter().map(|(name, goodput)| (name, course(goodput))).collect();
        if courses.iter().any(|(_, course)| matches!(course, Course::Down(_))) {
            return None;
        }
        let said = courses.iter().map(|(name, course)| match course {
            Course::Unknown => format!("too little was seen of {name}"),
            Course::Up(now) => format!("{name} has {:.1} good answers a second", now.mean),
            Course::Rising(now, _) => {
                format!("{name} has {:.1} good answers a second, and ever more", now.mean)
            }
            Course::Down(_) => String::new(),
        });
        Some(if courses.is_empty() {
            "there is no load".to_owned()
        } else {
            said.collect::<Vec<_>>().join(", ")
        })
    }

    /// True if for three seconds after `from` there were under 1 % of the calls of the baseline.
    fn is_at_rest(&mut self, from: Offset, now: Offset) -> bool {
        while self.calls.front().is_some_and(|ended| now.since(*ended) > REST) {
            self.calls.pop_front();
        }
        let healthy = self.baseline.map_or(Span::ZERO, |(begin, end)| end.since(begin));
        let due = self.usual as f64 / healthy.as_secs_f64().max(1e-3) * REST.as_secs_f64();
        now.since(from) >= REST && (self.calls.is_empty() || (self.calls.len() as f64) < due * QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{ConnId, EdgeName, ExchangeEnd, Sample, SampleOutcome, Served};

    fn at(seconds: f64) -> Offset {
        Offset::from_micros((seconds * 1e6) as u64)
    }

    fn browse() -> LoadName {
        LoadName::new("browse").unwrap()
    }

    fn watching() -> Seen {
        Seen { loads: BTreeMap::from([(browse(), Goodput::default())]), ..Seen::default() }
    }

    fn feed(seen: &mut Seen, seconds: f64, kind: EventKind) {
        seen.on(&Event { seq: 0, at: at(seconds), kind });
    }

    fn begin(seen: &mut Seen, seconds: f64, phase: Phase) {
        feed(seen, seconds, EventKind::PhaseStarted { phase });
    }

    fn asks(seen: &mut Seen, seconds: f64, good: bool) {
        let sample = Sample {
            load: browse(),
            n: 0,
            intended: at(seconds),
            sent: Some(at(seconds)),
            ended: at(seconds + 0.01),
            outcome: if good { SampleOutcome::Ok } else { SampleOutcome::Timeout },
            status: None,
            served: Served::Fresh,
            age: None,
            retry_after: None,
        };
        feed(seen, seconds + 0.01, EventKind::Sample(sample));
    }

    fn calls(seen: &mut Seen, seconds: f64) {
        let kind = EventKind::Exchange {
            edge: EdgeName::new("db").unwrap(),
            conn: ConnId(1),
            began: at(seconds),
            answered: None,
            ended: at(seconds),
            end: ExchangeEnd::GivenUp,
            touched: false,
        };
        feed(seen, seconds, kind);
    }

    /// A baseline of 10 s, a fault of 10 s and a recovery of 20 s with 20 requests a second, of which `good` of twenty are
    /// answered after the fault.
    fn run(good: u32) -> Seen {
        let mut seen = watching();
        begin(&mut seen, 0.0, Phase::Baseline);
        for second in 0..40 {
            match second {
                10 => begin(&mut seen, 10.0, Phase::Fault),
                20 => begin(&mut seen, 20.0, Phase::Recovery),
                _ => {}
            }
            for nth in 0..20 {
                let moment = f64::from(second) + f64::from(nth) / 20.0;
                asks(&mut seen, moment, second < 10 || (second >= 20 && nth < good));
                calls(&mut seen, moment);
            }
        }
        seen
    }

    #[test]
    fn load_is_stopped_only_for_users_who_stay_badly_served() {
        assert_eq!(run(2).no_need(at(40.0)), None);
        assert_eq!(run(18).no_need(at(40.0)).unwrap(), "browse has 18.0 good answers a second");
        let mut nobody = watching();
        begin(&mut nobody, 0.0, Phase::Fault);
        assert_eq!(nobody.no_need(at(40.0)).unwrap(), "there is no baseline, or no recovery");
    }

    #[test]
    fn edges_are_at_rest_after_three_seconds_without_calls() {
        let mut seen = run(2);
        begin(&mut seen, 40.0, Phase::Quiet);
        assert_eq!(seen.usual, 200);
        calls(&mut seen, 40.5);
        assert!(!seen.is_at_rest(at(40.0), at(43.2)), "a call 2.7 s before");
        assert!(!seen.is_at_rest(at(41.0), at(43.9)), "not long enough since that was asked");
        assert!(seen.is_at_rest(at(40.0), at(43.6)));
        asks(&mut seen, 43.7, true);
        assert_eq!((seen.answered, seen.well), (1, 1));
    }
}
