//! What is known of one sick edge, gathered from the detectors, and the causes that lie on the edge itself.

use murphy_core::{ExchangeEnd, Subject};

use super::patterns::breaker_after;
use super::{Told, of};
use crate::detect::ages;
use crate::edge::{Call, EdgeView};
use crate::judgement::{Cause, Detector, Finding};
use crate::phase::RunView;
use crate::stats::quantile;
use crate::words;

/// The facts of one edge on which a fault sat; times in microseconds.
pub(super) struct EdgeFacts<'a> {
    pub edge: &'a EdgeView,
    /// Touched calls.
    pub touched: u64,
    /// Those that failed or were given up, or that Murphy answered.
    pub failed: u64,
    /// Touched calls that ended because their user had left.
    pub left: u64,
    /// Median wait of the other touched calls, and the longest wait of all.
    pub wait: f64,
    pub longest: f64,
    /// p99 of the wait in the baseline.
    pub usual: f64,
    /// When the caller gives up.
    pub timeout: Option<f64>,
    /// No timeout up to here.
    pub no_timeout: Option<f64>,
    /// Tries for one call.
    pub attempts: Option<u64>,
    /// Calls for each user request.
    pub ratio: Option<f64>,
    /// The share of requests that make none in health, where no more than that seems to have changed.
    pub spared: Option<f64>,
    /// Calls that were carried out without the caller's knowledge, and that a second try does again.
    pub done_unknown: u64,
    /// Places in the caller's pool, and users at once.
    pub pool: Option<(u64, u64)>,
}

impl<'a> EdgeFacts<'a> {
    /// The sick edges, the most hit first.
    pub fn all(run: &'a RunView<'_>, findings: &[Finding]) -> Vec<EdgeFacts<'a>> {
        let mut all: Vec<EdgeFacts<'a>> = run
            .edges
            .iter()
            .filter(|edge| !edge.hurt.is_empty())
            .map(|edge| EdgeFacts::of(run, edge, findings))
            .collect();
        murphy_core::sort_short(&mut all, |a, b| {
            b.touched.cmp(&a.touched).then_with(|| a.edge.name.cmp(&b.edge.name))
        });
        all
    }

    fn of(run: &RunView<'_>, edge: &'a EdgeView, findings: &[Finding]) -> EdgeFacts<'a> {
        let value = |detector: Detector, name: &str| {
            let subject = Subject::Edge(edge.name.clone());
            let finding =
                findings.iter().find(|finding| finding.detector == detector && finding.subject == subject)?;
            finding.param(name)?.value
        };
        let touched: Vec<&Call> = edge.within(&edge.hurt).filter(|call| call.touched).collect();
        let own = ages(run, edge);
        let left = |call: &Call, age: &(u64, bool)| call.is_given_up() && !age.1;
        let gone = touched.iter().zip(&own).filter(|(call, age)| left(call, age)).count() as u64;
        let waits: Vec<(u64, bool)> = touched
            .iter()
            .zip(&own)
            .filter(|(call, age)| !left(call, age))
            .map(|(call, _)| (call.wait(), false))
            .collect();
        // If every user left, what they waited until then is all that is known.
        let waits = if waits.is_empty() { own.iter().map(|age| (age.0, false)).collect() } else { waits };
        let usual: Vec<(u64, bool)> = edge.within(&run.baseline).map(|call| (call.wait(), false)).collect();
        let at = |values: &[(u64, bool)], q: f64| quantile(values, q).map_or(0.0, |estimate| estimate.value);
        EdgeFacts {
            edge,
            touched: touched.len() as u64,
            failed: touched.iter().filter(|call| !edge.is_good(call)).count() as u64,
            left: gone,
            wait: at(&waits, 0.5),
            longest: own.iter().map(|age| age.0).max().unwrap_or(0) as f64,
            usual: at(&usual, 0.99),
            timeout: value(Detector::Timeout, "timeout").map(|seconds| seconds * 1e6),
            no_timeout: value(Detector::Timeout, "up-to").map(|seconds| seconds * 1e6),
            attempts: value(Detector::Attempts, "attempts").map(|count| count as u64),
            ratio: value(Detector::Amplification, "ratio"),
            spared: value(Detector::Amplification, "spared"),
            done_unknown: touched.iter().filter(|call| call.done_unknown).count() as u64,
            pool: value(Detector::Pool, "limit")
                .map(|limit| (limit as u64, value(Detector::Pool, "users").unwrap_or(0.0) as u64)),
        }
    }

    pub fn name(&self) -> &str {
        self.edge.name.as_str()
    }

    /// True if calls fail at once rather than wait.
    pub fn fails_at_once(&self) -> bool {
        let by_themselves = self.left * 2 < self.touched;
        self.edge.blind || by_themselves && self.failed * 2 > self.touched && self.wait < 100_000.0
    }

    /// How touched calls ended, in words: `were reset or refused`.
    pub fn how_calls_failed(&self) -> &'static str {
        if self.edge.blind {
            return "were refused";
        }
        let of = |end: ExchangeEnd| {
            self.edge.within(&self.edge.hurt).filter(|call| call.touched && call.end == end).count()
        };
        match (of(ExchangeEnd::Failed), of(ExchangeEnd::Answered)) {
            (failed, answered) if failed >= answered => "were refused or reset",
            _ => "were answered with an error",
        }
    }

    /// A timeout that would have met `bound` with the tries that are made, in words.
    pub fn timeout_for(&self, bound: f64) -> String {
        let tries = self.attempts.unwrap_or(1).max(1) as f64;
        let fits = two_digits_down(bound / tries * 0.8);
        let usual = if self.usual > 0.0 {
            format!(" (its p99 in the baseline is {})", words::micros(self.usual))
        } else {
            String::new()
        };
        format!("{} or less on {}{usual}", words::micros(fits), self.name())
    }

    /// Without a bound: a timeout a good deal above what is usual.
    pub fn timeout_for_usual(&self) -> String {
        let fits = two_digits_down((self.usual * 5.0).clamp(50_000.0, (self.wait / 2.0).max(50_000.0)));
        format!(
            "{} on {} (its p99 in the baseline is {})",
            words::micros(fits),
            self.name(),
            words::micros(self.usual)
        )
    }

    /// A value that was last known when the trouble began, and how old it is at the end of it.
    pub fn last_known(&self) -> String {
        let longest = self.edge.hurt.iter().map(|part| part.length()).max().unwrap_or(0);
        if longest == 0 {
            return "a last known or default value".to_owned();
        }
        format!("a last known value ({} old at most) or a default", words::micros(longest as f64))
    }

    /// Waits without end, in words.
    pub fn waits_without_end(&self) -> String {
        let held = if self.edge.delays { "waited for the whole injected delay" } else { "were held" };
        let given_up = match self.left {
            0 => format!("none of {} was given up", self.touched),
            left if left == self.touched => format!("all {left} ended only when their user left"),
            left => format!(
                "{} of {} went on until answered, the rest until their user left",
                self.touched - left,
                self.touched
            ),
        };
        format!(
            "calls on {} {held} (median {}, longest {}) and {given_up}: no timeout <= {}",
            self.name(),
            words::micros(self.wait),
            words::micros(self.longest),
            words::micros(self.no_timeout.unwrap_or(self.wait))
        )
    }

    /// Why a probe has been bad ever since this edge was sick.
    pub fn lasting_told(&self, seen: &str) -> Option<Told> {
        (self.done_unknown > 0).then(|| {
            let mechanism = format!(
                "the probe was {seen}, and stayed so; {} calls on {} were carried out while their answer was lost, and \
                 had no idempotency key: asked again, {} does the work again",
                self.done_unknown,
                self.name(),
                self.name()
            );
            let change = "one Idempotency-Key for all tries of one call, kept by the service with its answer";
            Told::new(Cause::DoneTwice, mechanism, change)
        })
    }

    /// Why a probe is bad while this edge is sick.
    pub fn probe_told(&self, seen: &str) -> Told {
        let (cause, mechanism, change) = if let Some((limit, users)) = self.pool {
            let mechanism = format!(
                "calls on {} stop at {limit} at once while {users} users wait for a place",
                self.name()
            );
            (Cause::Queue, mechanism, "a pool of its own for each dependency, and none for a health check")
        } else if self.timeout.is_none() && self.no_timeout.is_some() {
            (Cause::NoTimeout, self.waits_without_end(), "a health check that asks no dependency")
        } else if self.fails_at_once() {
            let mechanism = format!("calls on {} {}", self.name(), self.how_calls_failed());
            (Cause::ErrorPassedOn, mechanism, "a health check that asks no dependency")
        } else {
            return Told::unknown(format!("the probe was {seen}"));
        };
        Told::new(cause, format!("the probe was {seen}; meanwhile {mechanism}"), change)
    }

    pub fn timeout_told(&self) -> Told {
        match self.timeout {
            Some(timeout) => Told::new(
                Cause::TimeoutTooLong,
                format!("calls on {} are given up after {}", self.name(), words::micros(timeout)),
                format!("a timeout of {}", self.timeout_for_usual()),
            ),
            None => Told::new(
                Cause::NoTimeout,
                self.waits_without_end(),
                format!("a timeout of {}", self.timeout_for_usual()),
            ),
        }
    }

    pub fn calls_told(&self) -> Told {
        let ratio = self.ratio.map_or_else(|| "more".to_owned(), words::ratio);
        if let Some(spared) = self.spared {
            return Told::new(
                Cause::Amplification,
                format!(
                    "{} gets {ratio} times the usual calls for each user request, and no more than if each made its own: in \
                     health {} of them make none, as from a cache",
                    self.name(),
                    words::share(spared)
                ),
                "keep what the cache has for as long as nothing new is to be had, or let only one call at a time ask for it",
            );
        }
        let tries = self
            .attempts
            .map_or_else(String::new, |tries| format!(": a failing call is tried {tries} times"));
        Told::new(
            Cause::Amplification,
            format!("{} gets {ratio} times the usual calls for each user request{tries}", self.name()),
            "retry at one layer only, and from a budget: at most one retry for ten calls",
        )
    }

    pub fn breaker_told(&self, findings: &[Finding]) -> Told {
        if self.timeout.is_none() && self.no_timeout.is_some() {
            return Told::new(
                Cause::NoTimeout,
                format!("{}, so no call counted as failed", self.waits_without_end()),
                format!("a timeout of {}: a breaker counts what it strikes", self.timeout_for_usual()),
            );
        }
        let found = of(findings, Detector::Breaker, &Subject::Edge(self.edge.name.clone()));
        let in_a_row =
            found.and_then(|finding| finding.param("failed-in-a-row")).and_then(|calls| calls.value);
        Told::new(
            Cause::NoBreaker,
            format!(
                "{}: the caller goes on calling {}, which fails",
                found.map_or("", |finding| finding.text.as_str()),
                self.name()
            ),
            format!(
                "{}, or a retry budget of 10% if what matters is the load on the dependency",
                breaker_after(in_a_row)
            ),
        )
    }
}

/// Rounded down to two digits, so that it reads like a setting: 0.483 s becomes 480 ms.
pub(super) fn two_digits_down(micros: f64) -> f64 {
    if micros < 10.0 {
        return micros;
    }
    let unit = 10f64.powf(micros.log10().floor() - 1.0);
    (micros / unit).floor() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_reads_like_a_setting() {
        for (value, wanted) in
            [(483_200.0, 480_000.0), (1_999_999.0, 1_900_000.0), (52_000.0, 52_000.0), (3.0, 3.0)]
        {
            assert!((two_digits_down(value) - wanted).abs() < 1.0, "{value}");
        }
    }
}
