//! What happened when, small enough to be drawn: a journal of any length becomes a few hundred numbers a series. Pure; it
//! judges nothing, it only counts and sorts.

use std::collections::BTreeMap;

use murphy_core::{
    EdgeName, Event, EventKind, ExchangeEnd, ExitCause, FaultId, LoadName, Offset, Phase, ProbeName, Rule,
    RunBrief, Sample, Span, Subject, SuccessRule, Tally,
};

use crate::html::spoken;

/// A series has at most so many bins: more than a screen can show apart is of no use.
const MOST_BINS: u64 = 240;
/// A quantile of fewer than this says little; bins are wider where requests are rare.
const ENOUGH: f64 = 20.0;
/// Bins are never so wide that a series has fewer than this.
const FEWEST_BINS: u64 = 40;
/// Remarks beyond this many are left out; the journal has them.
const MOST_MARKS: usize = 200;

/// What can be drawn of a run. All times count from the beginning of the load.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// From the beginning of the load to its end.
    pub length: Span,
    /// The phases that began, in order.
    pub phases: Vec<PhaseBand>,
    /// The faults that came into the world, in the scenario's order.
    pub faults: Vec<FaultBand>,
    /// Loads, then edges, in the scenario's order.
    pub series: Vec<Series>,
    /// Probes, in the scenario's order.
    pub probes: Vec<ProbeTrack>,
    /// What is worth telling, in order of time.
    pub marks: Vec<Mark>,
    /// Remarks that are left out.
    pub marks_left_out: usize,
}

/// A phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseBand {
    /// Which.
    pub phase: Phase,
    /// Its beginning.
    pub from: Span,
    /// Its end.
    pub to: Span,
}

/// A fault, while it was in the world.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultBand {
    /// `latency 800ms`.
    pub text: String,
    /// `web → redis`.
    pub on: String,
    /// When it was armed and lifted, for every time that it was.
    pub windows: Vec<(Span, Span)>,
    /// What it did.
    pub tally: Tally,
}

/// What a series is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// Requests of users.
    Load,
    /// Calls on an edge.
    Edge,
}

/// Requests or calls over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which kind.
    pub kind: SeriesKind,
    /// Its name.
    pub name: String,
    /// What is sent, or who calls whom.
    pub what: String,
    /// Width of a bin.
    pub step: Span,
    /// One for each step, from the beginning of the load.
    pub bins: Vec<Bin>,
    /// What is asserted of latency: text and bound.
    pub limits: Vec<(String, Span)>,
    /// What is asserted of success, as a share.
    pub least: Option<f64>,
}

/// What began within one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bin {
    /// How many.
    pub n: u32,
    /// How many were answered as expected, degraded answers included.
    pub good: u32,
    /// How many were answered by a stand-in: an older answer, a default, a part.
    pub degraded: u32,
    /// Half of them took no longer.
    pub p50: Span,
    /// 95 % of them took no longer.
    pub p95: Span,
    /// 99 % of them took no longer.
    pub p99: Span,
    /// None took longer.
    pub max: Span,
}

/// The answers of a probe over time; neighbours of one answer are one stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeTrack {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub what: String,
    /// In order.
    pub stretches: Vec<Stretch>,
}

/// A time in which a probe gave one kind of answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// From the first question.
    pub from: Span,
    /// To the answer to the last.
    pub to: Span,
    /// Whether it was as expected.
    pub ok: bool,
    /// The first answer.
    pub saw: String,
}

/// How a remark is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkTone {
    /// As planned.
    Plain,
    /// Something broke on purpose.
    Fault,
    /// Something went wrong.
    Bad,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When; `None` for what was before the load.
    pub at: Option<Span>,
    /// How it is meant.
    pub tone: MarkTone,
    /// What.
    pub text: String,
}

/// One request or call, before it is counted.
struct Point {
    at: Offset,
    took: u64,
    good: bool,
    degraded: bool,
}

#[derive(Default)]
struct Collected {
    loads: BTreeMap<LoadName, Vec<Point>>,
    edges: BTreeMap<EdgeName, Vec<Point>>,
}

/// A time line on its way: takes the events of a run one by one, and keeps of the many a few numbers each.
#[derive(Default)]
pub struct Drawing {
    collected: Collected,
    /// The few: what bands, tracks and remarks are made of.
    kept: Vec<Event>,
    last: Option<Offset>,
}

impl Drawing {
    /// The next event.
    pub fn take(&mut self, event: Event) {
        self.last = self.last.max(Some(event.at));
        match &event.kind {
            EventKind::Sample(sample) => self.collected.sample(sample),
            EventKind::Exchange { edge, began, ended, end, .. } => {
                self.collected.call(edge, *began, ended.since(*began), *end == ExchangeEnd::Answered);
            }
            EventKind::Request(call) => {
                self.collected.call(&call.edge, call.began, call.ended.since(call.began), call.is_good());
            }
            EventKind::DialFailed { edge, .. } => {
                self.collected.call(edge, event.at, Span::ZERO, false);
            }
            EventKind::ConnOpened { .. }
            | EventKind::ConnClosed { .. }
            | EventKind::ContainerOutput { .. }
            | EventKind::Undone { .. } => {}
            _ => self.kept.push(event),
        }
    }

    /// What can be drawn of them; a run without a beginning gives an empty time line.
    pub fn timeline(self) -> Timeline {
        let (mut collected, events) = (self.collected, self.kept.as_slice());
        let brief = events.iter().find_map(|event| match &event.kind {
            EventKind::RunStarted(brief) => Some(brief.as_ref()),
            _ => None,
        });
        let Some(brief) = brief else { return Timeline::default() };
        let began = |event: &&Event| matches!(event.kind, EventKind::PhaseStarted { .. });
        let begin = events.iter().find(began).map_or(Offset::ZERO, |event| event.at);
        let last = self.last.unwrap_or(begin);
        let length = last.since(begin).min(brief.phases.total());
        let window = WindowOf { begin, length };
        let mut probes = stretches(events, window);
        let (marks, marks_left_out) = marks(events, brief, window);
        Timeline {
            length,
            phases: phases(events, window),
            faults: faults(events, brief, window),
            series: series(brief, &mut collected, window),
            probes: brief
                .probes
                .iter()
                .map(|probe| ProbeTrack {
                    name: probe.name.to_string(),
                    what: probe.what.clone(),
                    stretches: probes.remove(&probe.name).unwrap_or_default(),
                })
                .collect(),
            marks,
            marks_left_out,
        }
    }
}

impl Timeline {
    /// Of any list of events.
    pub fn of(events: &[Event]) -> Timeline {
        let mut drawing = Drawing::default();
        for event in events {
            drawing.take(event.clone());
        }
        drawing.timeline()
    }

    /// True if there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.length.is_zero()
    }
}

/// The stretch of the run that is drawn.
#[derive(Clone, Copy)]
struct WindowOf {
    begin: Offset,
    length: Span,
}

impl WindowOf {
    /// A time from the beginning of the load, drawn into the window.
    fn place(self, at: Offset) -> Span {
        at.since(self.begin).min(self.length)
    }
}

impl Collected {
    fn sample(&mut self, sample: &Sample) {
        let point = Point {
            at: sample.intended,
            took: sample.latency().as_micros(),
            good: sample.is_ok(),
            degraded: sample.is_ok() && !sample.served.is_fresh(),
        };
        match self.loads.get_mut(&sample.load) {
            Some(points) => points.push(point),
            None => drop(self.loads.insert(sample.load.clone(), vec![point])),
        }
    }

    fn call(&mut self, edge: &EdgeName, at: Offset, took: Span, good: bool) {
        let point = Point { at, took: took.as_micros(), good, degraded: false };
        match self.edges.get_mut(edge) {
            Some(points) => points.push(point),
            None => drop(self.edges.insert(edge.clone(), vec![point])),
        }
    }
}

fn stretches(events: &[Event], window: WindowOf) -> BTreeMap<&ProbeName, Vec<Stretch>> {
    let mut probes: BTreeMap<&ProbeName, Vec<Stretch>> = BTreeMap::new();
    for event in events {
        let EventKind::Probe { probe, asked, took, ok, saw } = &event.kind else { continue };
        let (from, to) = (window.place(*asked), window.place(*asked + *took));
        let stretches = probes.entry(probe).or_default();
        match stretches.last_mut() {
            Some(last) if last.ok == *ok => last.to = to,
            last => {
                // The state between two answers is the older one's.
                if let Some(last) = last {
                    last.to = from;
                }
                stretches.push(Stretch { from, to, ok: *ok, saw: saw.clone() });
            }
        }
    }
    probes
}

fn phases(events: &[Event], window: WindowOf) -> Vec<PhaseBand> {
    let mut bands: Vec<PhaseBand> = Vec::new();
    for event in events {
        if let EventKind::PhaseStarted { phase } = event.kind {
            let from = window.place(event.at);
            if let Some(last) = bands.last_mut() {
                last.to = from;
            }
            bands.push(PhaseBand { phase, from, to: window.length });
        }
    }
    bands
}

fn faults(events: &[Event], brief: &RunBrief, window: WindowOf) -> Vec<FaultBand> {
    type Windows = Vec<(Span, Span)>;
    let mut found: BTreeMap<&FaultId, (Windows, Tally)> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::FaultArmed { fault } => {
                found.entry(fault).or_default().0.push((window.place(event.at), window.length));
            }
            EventKind::FaultLifted { fault, tally } => {
                let (windows, sum) = found.entry(fault).or_default();
                if let Some(last) = windows.last_mut() {
                    last.1 = window.place(event.at);
                }
                sum.connections += tally.connections;
                sum.hits += tally.hits;
                sum.bytes += tally.bytes;
            }
            _ => {}
        }
    }
    let band = |fault: &murphy_core::FaultBrief| {
        let (windows, tally) = found.remove(&fault.id)?;
        Some(FaultBand { text: fault.text.clone(), on: fault.on.clone(), windows, tally })
    };
    brief.faults.iter().filter_map(band).collect()
}

fn series(brief: &RunBrief, collected: &mut Collected, window: WindowOf) -> Vec<Series> {
    let limits = |subject: &Subject| {
        let mut limits: Vec<(String, Span)> = Vec::new();
        let mut least = None;
        for expectation in brief.expectations.iter().filter(|expectation| &expectation.subject == subject) {
            match &expectation.rule {
                Rule::Latency { quantile, at_most } => limits.push((quantile.to_string(), *at_most)),
                Rule::Timeout { at_most } => limits.push(("timeout".to_owned(), *at_most)),
                Rule::Success { rule: SuccessRule::AtLeast(share), .. } => least = Some(share.as_fraction()),
                _ => {}
            }
        }
        (limits, least)
    };
    let mut all = Vec::new();
    for load in &brief.loads {
        let points = collected.loads.remove(&load.name).unwrap_or_default();
        let (limits, least) = limits(&Subject::Load(load.name.clone()));
        let (step, bins) = binned(points, window);
        let raised = load.ramp.map_or_else(String::new, |ramp| format!(", {ramp}"));
        let (name, what) = (load.name.to_string(), format!("{}, {}{raised}", load.what, load.rate));
        all.push(Series { kind: SeriesKind::Load, name, what, step, bins, limits, least });
    }
    for edge in &brief.edges {
        let points = collected.edges.remove(&edge.name).unwrap_or_default();
        let (limits, least) = limits(&Subject::Edge(edge.name.clone()));
        let (step, bins) = binned(points, window);
        let from = edge.from.as_deref().unwrap_or("callers");
        let what = format!("{from} → {}", edge.to);
        all.push(Series {
            kind: SeriesKind::Edge,
            name: edge.name.to_string(),
            what,
            step,
            bins,
            limits,
            least,
        });
    }
    all
}

/// The next of 1, 2, 5 times a power of ten milliseconds.
fn nice(micros: u64) -> u64 {
    let mut unit = 1_000;
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= micros || unit >= 1_000_000_000_000 {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

fn binned(mut points: Vec<Point>, window: WindowOf) -> (Span, Vec<Bin>) {
    let length = window.length.as_micros();
    let since = |point: &Point| point.at.since(window.begin).as_micros();
    let finest = length.div_ceil(MOST_BINS);
    let sparse = (length as f64 * ENOUGH / points.len().max(1) as f64) as u64;
    let step = nice(finest.max(sparse.min(length.div_ceil(FEWEST_BINS))).max(1));
    let count = length.div_ceil(step);
    points.retain(|point| since(point) < length);
    points.sort_unstable_by_key(|point| (since(point) / step, point.took));
    let mut bins = vec![Bin::default(); count as usize];
    let mut rest = points.as_slice();
    while let Some(first) = rest.first() {
        let index = since(first) / step;
        let (these, others) = rest.split_at(rest.partition_point(|point| since(point) / step <= index));
        rest = others;
        // Nearest rank: the smallest value that so many are not above.
        let quantile = |share: f64| {
            let rank = (these.len() as f64 * share).ceil() as usize;
            Span::from_micros(these[rank.clamp(1, these.len()) - 1].took)
        };
        let number = |what: fn(&Point) -> bool| these.iter().filter(|point| what(point)).count() as u32;
        bins[index as usize] = Bin {
            n: these.len() as u32,
            good: number(|point| point.good),
            degraded: number(|point| point.degraded),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: quantile(1.0),
        };
    }
    (Span::from_micros(step), bins)
}

fn marks(events: &[Event], brief: &RunBrief, window: WindowOf) -> (Vec<Mark>, usize) {
    let fault = |id: &FaultId| {
        brief
            .faults
            .iter()
            .find(|fault| fault.id == *id)
            .map_or_else(|| id.to_string(), |fault| format!("{} on {}", fault.text, fault.on))
    };
    let mut probes: BTreeMap<&ProbeName, bool> = BTreeMap::new();
    let mut marks = Vec::new();
    for event in events {
        use MarkTone::{Bad, Fault, Plain};
        let (tone, text) = match &event.kind {
            EventKind::PhaseStarted { phase } => (Plain, format!("phase {phase}")),
            EventKind::FaultArmed { fault: id } => (Fault, format!("fault on: {}", fault(id))),
            EventKind::FaultLifted { fault: id, tally } => {
                let hits = if tally.hits == 0 { String::new() } else { format!(" ({} hits)", tally.hits) };
                (Fault, format!("fault off: {}{hits}", fault(id)))
            }
            EventKind::FaultTriggered { fault: id, by } => (Fault, format!("{by}: begin {id}")),
            EventKind::FaultNeverArmed { fault: id, why } => {
                (Bad, format!("fault never on: {}: {why}", fault(id)))
            }
            EventKind::ByHand(deed) => (Fault, format!("by hand: {deed}")),
            EventKind::FaultFailed { fault: id, why } => (Bad, format!("fault failed: {}: {why}", fault(id))),
            EventKind::ServiceReady { service, took } => {
                (Plain, format!("service {service} ready after {}", spoken(*took)))
            }
            EventKind::ServiceExited { service, cause: ExitCause::Itself, last_output, .. } => {
                let last = last_output.last().map(|line| format!(": {line}")).unwrap_or_default();
                (Bad, format!("service {service} ended by itself{last}"))
            }
            EventKind::ServiceExited { service, cause: ExitCause::Fault, .. } => {
                (Fault, format!("service {service} was ended by a fault"))
            }
            EventKind::ContainerExited { container, cause, code, .. } => {
                let tone = if *cause == ExitCause::Itself { Bad } else { Fault };
                (tone, format!("container {} exited with {code}", container.name))
            }
            EventKind::ContainerOom { container, .. } => {
                (Bad, format!("container {} ran out of memory", container.name))
            }
            EventKind::ContainerRestarted { container, down, .. } => {
                (Plain, format!("container {} runs again after {}", container.name, spoken(*down)))
            }
            EventKind::Probe { probe, ok, saw, .. } => {
                if probes.insert(probe, *ok) == Some(*ok) {
                    continue;
                }
                let state = if *ok { "ok" } else { "not ok" };
                (if *ok { Plain } else { Bad }, format!("probe {probe} {state}: {saw}"))
            }
            EventKind::QuiesceSkipped { why } => (Plain, format!("load not stopped: {why}")),
            EventKind::EventsLost { count } => (Bad, format!("{count} events lost")),
            EventKind::Interrupted { signal } => (Bad, format!("interrupted by {signal}")),
            EventKind::Aborted { rule } => (Bad, format!("stop condition met: {rule}")),
            EventKind::RunFailed { why } => (Bad, format!("the run failed: {why}")),
            EventKind::UndoFailed { undo, why } => (Bad, format!("not taken back: {undo}: {why}")),
            _ => continue,
        };
        let at = (event.at >= window.begin).then(|| window.place(event.at));
        marks.push(Mark { at, tone, text });
    }
    marks.sort_by_key(|mark| mark.at);
    let left_out = marks.len().saturating_sub(MOST_MARKS);
    marks.truncate(MOST_MARKS);
    (marks, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([0, 1_000, 1_001, 4_999, 237_500].map(nice), [1_000, 1_000, 2_000, 5_000, 500_000]);
    }

    #[test]
    fn quantiles_are_ranks_of_what_began_in_a_bin() {
        let begin = Offset::from_micros(7);
        let points = (0..1000).map(|n| Point {
            at: begin + Span::from_micros(n * 100),
            took: n + 1,
            good: n % 2 == 0,
            degraded: false,
        });
        let (step, bins) = binned(points.collect(), WindowOf { begin, length: Span::from_millis(100) });
        assert_eq!(step, Span::from_millis(2));
        assert_eq!(bins.len(), 50);
        assert_eq!(bins.iter().map(|bin| bin.n).sum::<u32>(), 1000);
        let first = bins[0];
        assert_eq!((first.n, first.good), (20, 10));
        let micros = [first.p50, first.p95, first.p99, first.max].map(Span::as_micros);
        assert_eq!(micros, [10, 19, 20, 20]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(Timeline::of(&[]).is_empty());
        assert_eq!(binned(Vec::new(), WindowOf { begin: Offset::ZERO, length: Span::ZERO }).1, []);
    }
}
