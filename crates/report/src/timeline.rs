//! What happened when, small enough to be drawn: a journal of any length becomes a few hundred numbers a series. Pure; it
//! judges nothing, it only counts and sorts.

mod bands;
mod marks;
mod series;

use murphy_core::{Event, EventKind, ExchangeEnd, Offset, Span};

pub use self::bands::{FaultBand, PhaseBand, ProbeTrack, Stretch};
use self::bands::{faults, phases, stretches};
use self::marks::marks;
pub use self::marks::{Mark, MarkTone};
pub use self::series::{Bin, Series, SeriesKind};
use self::series::{Collected, series};

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
