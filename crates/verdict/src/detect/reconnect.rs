//! Do callers come back all at once when the dependency is well again? (verdicts 2.12) A burst of new connections is a storm
//! only if chance does not make it (a scan threshold, for the usual rate of new connections), most of those that are not usual come
//! within one second, and they are many. One caller cannot herd with itself: its burst is a pool that fills again.

use std::collections::BTreeSet;

use super::{Found, most_within, params};
use crate::edge::{Conn, EdgeView};
use crate::judgement::Reading;
use crate::phase::{RunView, Window};
use crate::stats::{Share, scan_threshold, wilson};
use crate::words;

/// How long after the lift connections are counted, in bins of a tenth of a second.
const WATCHED: u64 = 10_000_000;
const BIN: u64 = 100_000;
const SECOND: u64 = 1_000_000;
/// Fewer new connections than this are no storm.
const FEWEST: usize = 10;
/// Callers, or connections open at once in the baseline, needed to speak of a herd.
const CALLERS: usize = 3;
const CONNECTIONS: usize = 30;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let Some(lifted) = edge.hurt.iter().map(|window| window.to).max().filter(|to| *to < run.last) else {
        return Found::not_applicable("no fault on this edge was lifted");
    };
    let usual = edge.conns.iter().filter(|conn| run.baseline.holds(conn.opened)).count();
    let rate = usual as f64 / (run.baseline.length().max(1) as f64 / SECOND as f64);
    let watched = Window { from: lifted, to: lifted.saturating_add(WATCHED).min(run.last) };
    if run.baseline.is_empty() || watched.length() < 2 * SECOND {
        return Found::inconclusive(
            "too short a baseline, or too short a recovery",
            "a baseline, and 10s of recovery after the fault",
        );
    }
    let opened: Vec<&Conn> = edge.conns.iter().filter(|conn| watched.holds(conn.opened)).collect();
    let times: Vec<u64> = opened.iter().map(|conn| conn.opened - lifted).collect();
    let n = times.len() as u64;
    let callers: BTreeSet<_> = murphy_core::gathered(opened.iter().filter_map(|conn| conn.peer));
    let mut bins = vec![0u64; WATCHED.div_ceil(BIN) as usize];
    for at in &times {
        bins[(at / BIN) as usize] += 1;
    }
    let peak = bins.iter().copied().max().unwrap_or(0);
    let within = most_within(&times, SECOND);
    let share = within as f64 / (n.max(1)) as f64;
    let interval = wilson(Share { p: share, n: n.max(1) as f64 });
    let found = params([
        ("opened", Reading::count(n, n)),
        ("peak", Reading::count(peak, n)),
        ("in-one-second", Reading::share(within, n, Some((interval.low, interval.high)))),
        ("usual", Reading::count(usual as u64, usual as u64)),
    ]);
    if times.len() < FEWEST {
        return Found::absent(
            found,
            format!(
                "{} opened in the {} after the lift",
                words::plural(n, "connection"),
                words::micros(watched.length() as f64)
            ),
        );
    }
    // Chance makes `threshold` at most once in a thousand runs, at the usual rate.
    let threshold = scan_threshold(rate * BIN as f64 / SECOND as f64, bins.len() as u64);
    let seconds = watched.length() as f64 / SECOND as f64;
    let together = burst(n as f64, within as f64, rate, seconds) >= 0.5 && peak >= threshold;
    if !together {
        let text = format!(
            "{n} connections opened after the lift, at most {within} of them within one second ({:.1}/s are usual)",
            rate
        );
        return Found::absent(found, text);
    }
    let text = format!(
        "{within} of {n} connections came within one second of each other, {peak} within 0.1s ({rate:.1}/s are usual)"
    );
    let pool = open_at_once(edge, run);
    if callers.len() < CALLERS && times.len() < CONNECTIONS && pool < CONNECTIONS {
        return Found::inconclusive(
            format!("a pool filled again in one burst ({text}): one caller cannot herd with itself"),
            format!("{CALLERS} callers, or {CONNECTIONS} connections"),
        );
    }
    Found::present(found, text)
}

/// Of `n` connections that opened in so many seconds, the share of the unusual ones that came in the fullest second, which holds `within`;
/// none where they are no more than is usual. Those that open all the time, as of callers that keep none, come back to nothing.
fn burst(n: f64, within: f64, rate: f64, seconds: f64) -> f64 {
    let usual = rate * seconds;
    let more = n - usual;
    // Poisson: three deviations are what a count strays by chance.
    if more < FEWEST as f64 || more < 3.0 * usual.sqrt() { 0.0 } else { (within - rate) / more }
}

/// Connections open at the end of the baseline.
fn open_at_once(edge: &EdgeView, run: &RunView<'_>) -> usize {
    let Some(end) = run.baseline.iter().map(|window| window.to).max() else { return 0 };
    let open = |conn: &&Conn| conn.opened < end && conn.closed.is_none_or(|closed| closed >= end);
    edge.conns.iter().filter(open).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_second_may_begin_anywhere() {
        assert_eq!(most_within(&[0, 900_000, 1_100_000, 1_800_000, 1_899_999, 5_000_000], SECOND), 4);
        assert_eq!(most_within(&[], SECOND), 0);
    }

    #[test]
    fn a_herd_is_one_among_connections_that_open_all_the_time_too() {
        // A herd of 50 at once, alone and beside five a second; the same spread over five seconds; five a second alone.
        assert!((burst(50.0, 50.0, 0.0, 10.0) - 1.0).abs() < 1e-9);
        assert!(burst(100.0, 52.0, 5.0, 10.0) > 0.9);
        assert!(burst(100.0, 16.0, 5.0, 10.0) < 0.3);
        assert_eq!(burst(54.0, 11.0, 5.0, 10.0), 0.0);
        // A burst that is lost in what is usual is none.
        assert_eq!(burst(312.0, 42.0, 30.0, 10.0), 0.0);
    }
}
