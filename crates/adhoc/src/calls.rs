//! What the calls through one proxy look like, from its events: who calls, how many, how long until the answer, what ends
//! badly. Counts and a histogram only, so that a day of traffic takes no more memory than a minute.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use murphy_core::{Event, EventKind, ExchangeEnd, Offset, Span};
use serde::Serialize;

use crate::patterns::Patterns;
use crate::watcher::{Ending, Watcher};

/// Callers beyond this many addresses are counted together.
const CALLERS: usize = 1000;
/// Under this name.
const OTHERS: &str = "others";

/// The calls so far.
#[derive(Debug)]
pub struct Calls {
    callers: BTreeMap<String, u64>,
    answered: u64,
    failed: u64,
    given_up: u64,
    cut: u64,
    unreachable: u64,
    last_failure: Option<String>,
    lost: u64,
    /// Microseconds to the first byte of the answer.
    waits: Histogram<u64>,
    watcher: Watcher,
}

/// The same as plain data.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallsSeen {
    /// Connections by the caller's address.
    pub callers: BTreeMap<String, u64>,
    /// Calls that the dependency answered, where requests are read without an error.
    pub answered: u64,
    /// Calls that the dependency ended without an answer or answered with an error, and those that a fault ended or answered in its
    /// stead.
    pub failed: u64,
    /// Calls that the caller gave up.
    pub given_up: u64,
    /// Calls whose caller went in mid-answer.
    pub cut: u64,
    /// Connections for which the dependency could not be reached.
    pub unreachable: u64,
    /// Why the last of these could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Median time until the answer began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Span>,
    /// 99th percentile of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Span>,
    /// How callers behave, as far as it was seen.
    pub patterns: Patterns,
    /// Events that were lost because too many came at once; then the counts are too low.
    #[serde(skip_serializing_if = "is_none")]
    pub lost: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Default for Calls {
    fn default() -> Calls {
        // One hour at three digits; the bounds are constants within what the histogram takes.
        let waits = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds of a histogram");
        Calls {
            callers: BTreeMap::new(),
            answered: 0,
            failed: 0,
            given_up: 0,
            cut: 0,
            unreachable: 0,
            last_failure: None,
            lost: 0,
            waits,
            watcher: Watcher::default(),
        }
    }
}

/// Without the port; IPv4 as such, also where it came to a socket of IPv6.
fn address_of(peer: &str) -> String {
    match peer.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_canonical().to_string(),
        Err(_) => peer.to_owned(),
    }
}

impl Calls {
    /// Takes one event; those of no interest change nothing.
    pub fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::ConnOpened { peer, .. } => {
                let address = address_of(peer);
                let known = self.callers.len() < CALLERS || self.callers.contains_key(&address);
                *self.callers.entry(if known { address } else { OTHERS.to_owned() }).or_default() += 1;
            }
            EventKind::DialFailed { why, .. } => {
                self.unreachable += 1;
                self.last_failure = Some(why.clone());
            }
            EventKind::Exchange { began, answered, ended, end, .. } => {
                self.watch(*end, *began, *ended);
                self.call(*end, *began, *answered);
            }
            EventKind::Request(call) => {
                let refused = call.end == ExchangeEnd::Answered && !call.is_good();
                let end = if refused { ExchangeEnd::Failed } else { call.end };
                self.watch(end, call.began, call.ended);
                self.watcher.attempt(call);
                self.call(end, call.began, call.answered);
            }
            EventKind::EventsLost { count } => self.lost += count,
            _ => {}
        }
    }

    fn watch(&mut self, end: ExchangeEnd, began: Offset, ended: Offset) {
        let ending = match end {
            ExchangeEnd::Answered => Ending::Good,
            ExchangeEnd::GivenUp => Ending::GivenUp,
            ExchangeEnd::Failed | ExchangeEnd::Cut => Ending::Bad,
            ExchangeEnd::Open => return,
        };
        self.watcher.call(began, ended, ending);
    }

    fn call(&mut self, end: ExchangeEnd, began: Offset, answered: Option<Offset>) {
        match end {
            ExchangeEnd::Answered => {
                self.answered += 1;
                let wait = answered.map_or(Span::ZERO, |at| at.since(began));
                self.waits.saturating_record(wait.as_micros().max(1));
            }
            ExchangeEnd::Failed => self.failed += 1,
            ExchangeEnd::GivenUp => self.given_up += 1,
            ExchangeEnd::Cut => self.cut += 1,
            ExchangeEnd::Open => {}
        }
    }

    /// All ended calls, well or badly.
    pub fn ended(&self) -> u64 {
        self.answered + self.failed + self.given_up + self.cut
    }

    /// As plain data.
    pub fn seen(&self) -> CallsSeen {
        let quantile = |q: f64| {
            let micros = Duration::from_micros(self.waits.value_at_quantile(q));
            (!self.waits.is_empty()).then(|| Span::from(micros))
        };
        CallsSeen {
            callers: self.callers.clone(),
            answered: self.answered,
            failed: self.failed,
            given_up: self.given_up,
            cut: self.cut,
            unreachable: self.unreachable,
            last_failure: self.last_failure.clone(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            patterns: self.watcher.seen(),
            lost: self.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_one_address_whatever_socket_it_came_to() {
        for (peer, address) in
            [("10.0.0.3:5", "10.0.0.3"), ("[::ffff:10.0.0.3]:5", "10.0.0.3"), ("[fd00::1]:5", "fd00::1")]
        {
            assert_eq!(address_of(peer), address);
        }
    }
}
