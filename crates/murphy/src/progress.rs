//! What a person sees while a run goes on: a live bar on a terminal, plain lines elsewhere. Standard error only.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use murphy_core::{
    Event, EventKind, ExitCause, FaultId, LoadName, Offset, Phase, ProbeName, RunBrief, SampleOutcome,
};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A bar that is drawn over.
    Live,
    /// One line for each thing worth telling.
    Lines,
    /// Nothing.
    Nothing,
}

/// Turns the journal's events into progress.
#[derive(Debug)]
pub struct Progress {
    show: Show,
    label: String,
    bar: ProgressBar,
    faults: BTreeMap<FaultId, String>,
    armed: Vec<FaultId>,
    loads: BTreeMap<LoadName, Recent>,
    probes: BTreeMap<ProbeName, bool>,
    phase: Option<Phase>,
    load_began: Option<Offset>,
    drawn: Offset,
}

/// The last moments of one load.
#[derive(Debug, Default)]
struct Recent {
    good: u64,
    all: u64,
    slowest: Duration,
    shown: Option<(u64, u64, Duration)>,
}

/// The time between two redraws; each covers the requests since the last.
const REDRAW_MICROS: u64 = 500_000;

impl Progress {
    /// A view that prefixes its lines with `label` (empty for a single scenario).
    pub fn new(show: Show, label: &str) -> Progress {
        let bar = match show {
            Show::Live => ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10)),
            Show::Lines | Show::Nothing => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{prefix:>9} [{bar:28}] {elapsed:>4}/{len}  {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("elapsed", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}s", state.pos() / 1000);
            })
            .with_key("len", |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{}s", state.len().unwrap_or(0) / 1000);
            })
            .progress_chars("=> ");
        bar.set_style(style);
        bar.set_prefix("starting");
        Progress {
            show,
            label: if label.is_empty() { String::new() } else { format!("{label}: ") },
            bar,
            faults: BTreeMap::new(),
            armed: Vec::new(),
            loads: BTreeMap::new(),
            probes: BTreeMap::new(),
            phase: None,
            load_began: None,
            drawn: Offset::ZERO,
        }
    }

    /// Takes one event in.
    pub fn on(&mut self, event: &Event) {
        if self.show == Show::Nothing {
            return;
        }
        match &event.kind {
            EventKind::RunStarted(brief) => self.begin(brief),
            EventKind::PhaseStarted { phase } => {
                self.phase = Some(*phase);
                self.load_began.get_or_insert(event.at);
                self.bar.set_prefix(phase.name());
                self.say(event.at, &format!("phase {phase}"));
            }
            EventKind::QuiesceSkipped { why } => {
                self.say(event.at, &format!("phases quiet and again skipped: {why}"));
            }
            EventKind::ServiceReady { service, took } => {
                self.say(event.at, &format!("service {service} ready after {}", rounded(took.as_duration())));
            }
            EventKind::ServiceExited { service, cause: ExitCause::Itself, last_output, .. } => {
                let last = last_output.last().map(|line| format!(": {line}")).unwrap_or_default();
                self.say(event.at, &format!("service {service} DIED{last}"));
            }
            EventKind::EdgeIntercepted { edge, caller, destinations, cut, .. } => {
                let cut = match cut {
                    0 => String::new(),
                    1 => ", cut 1 open connection".to_owned(),
                    more => format!(", cut {more} open connections"),
                };
                let to = destinations.join(", ");
                self.say(event.at, &format!("edge {edge} sits in on calls of {caller} to {to}{cut}"));
            }
            EventKind::EdgeBypassed { edge, caller, why } => {
                self.say(event.at, &format!("edge {edge} BYPASSED by {caller}: {why}"));
            }
            EventKind::ContainerExited { container, cause: ExitCause::Itself, code, last_output, .. } => {
                let last = last_output.last().map(|line| format!(": {line}")).unwrap_or_default();
                self.say(event.at, &format!("container {} DIED (code {code}){last}", container.name));
            }
            EventKind::ContainerOom { container, .. } => {
                self.say(event.at, &format!("container {} is out of memory", container.name));
            }
            EventKind::ContainersChosen { fault, containers } => {
                let names: Vec<&str> = containers.iter().map(|one| one.name.as_str()).collect();
                self.say(event.at, &format!("fault {fault} chose {}", names.join(", ")));
            }
            EventKind::FaultArmed { fault } => {
                let text = self.fault_text(fault);
                self.armed.push(fault.clone());
                self.say(event.at, &format!("fault on:  {text}"));
            }
            EventKind::FaultLifted { fault, tally } => {
                let text = self.fault_text(fault);
                self.armed.retain(|armed| armed != fault);
                let touched = match (tally.hits, tally.connections) {
                    (0, 0) => "touched nothing".to_owned(),
                    (hits, 0) => format!("{hits} hits"),
                    (hits, connections) => format!("{hits} hits on {connections} connections"),
                };
                self.say(event.at, &format!("fault off: {text} ({touched})"));
            }
            EventKind::FaultTriggered { fault, by } => self.say(event.at, &format!("{by}: begin {fault}")),
            EventKind::FaultNeverArmed { fault, why } => {
                self.say(event.at, &format!("fault {fault} was NEVER ARMED: {why}"));
            }
            EventKind::FaultFailed { fault, why } => {
                self.say(event.at, &format!("fault {fault} FAILED: {why}"))
            }
            EventKind::ByHand(deed) => self.say(event.at, &format!("BY HAND: {deed}")),
            EventKind::Probe { probe, ok, saw, .. }
                if self.probes.insert(probe.clone(), *ok) != Some(*ok) =>
            {
                let state = if *ok { "ok" } else { "NOT ok" };
                self.say(event.at, &format!("probe {probe} {state} ({saw})"));
            }
            EventKind::Interrupted { signal } => {
                self.say(event.at, &format!("{signal}: taking everything back; again to quit at once"));
            }
            EventKind::Aborted { rule } => self.say(event.at, &format!("stop condition met: {rule}")),
            EventKind::RunFailed { .. } | EventKind::RunEnded => self.bar.finish_and_clear(),
            EventKind::Sample(sample) => {
                let recent = self.loads.entry(sample.load.clone()).or_default();
                recent.all += 1;
                recent.good += u64::from(sample.outcome == SampleOutcome::Ok);
                recent.slowest = recent.slowest.max(sample.latency().as_duration());
            }
            _ => {}
        }
        if event.at.since(self.drawn).as_micros() >= REDRAW_MICROS {
            self.drawn = event.at;
            self.redraw(event.at);
        }
    }

    fn begin(&mut self, brief: &RunBrief) {
        self.bar.set_length(brief.phases.total().as_duration().as_millis() as u64);
        self.faults = brief
            .faults
            .iter()
            .map(|fault| (fault.id.clone(), format!("{} on {}", fault.text, fault.on)))
            .collect();
    }

    fn fault_text(&self, fault: &FaultId) -> String {
        self.faults.get(fault).cloned().unwrap_or_else(|| fault.to_string())
    }

    fn say(&self, at: Offset, text: &str) {
        let line = format!("{:>7.1}s  {}{text}", at.as_secs_f64(), self.label);
        match self.show {
            Show::Live => self.bar.println(line),
            Show::Lines => crate::commands::murmur(&crate::style::ascii(&line)),
            Show::Nothing => {}
        }
    }

    fn redraw(&mut self, now: Offset) {
        if self.show != Show::Live {
            return;
        }
        if let Some(began) = self.load_began {
            self.bar.set_position(now.since(began).as_duration().as_millis() as u64);
        }
        let mut message = String::new();
        for (load, recent) in &mut self.loads {
            if recent.all > 0 {
                recent.shown = Some((recent.good, recent.all, recent.slowest));
                (recent.good, recent.all, recent.slowest) = (0, 0, Duration::ZERO);
            }
            if let Some((good, all, slowest)) = recent.shown {
                message += &format!("{load} {good}/{all} ok, slowest {}  ", rounded(slowest));
            }
        }
        self.bar.set_message(message);
    }
}

/// A duration as people say it.
fn rounded(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 10.0 {
        format!("{millis:.1}ms")
    } else if millis < 1000.0 {
        format!("{millis:.0}ms")
    } else {
        format!("{:.1}s", millis / 1e3)
    }
}
