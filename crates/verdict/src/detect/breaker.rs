//! Does the caller stop calling for a while? (verdicts 2.6)
//!
//! Silence on the edge is a breaker only if calls were due (at least 12, so that chance gives such a gap 6 times in a
//! million) and users were answered fast meanwhile: an exhausted pool is silent too, but its users wait.

mod bounds;

use super::{Found, params};
use crate::edge::{Call, EdgeView, Harm};
use crate::judgement::Reading;
use crate::phase::{RunView, Window};
use crate::solo::unasked;
use crate::stats::quantile;
use crate::words;

/// Calls that must have been due in a silence: P(silence) <= e^-12.
const FEWEST_DUE: f64 = 12.0;
/// Silences of a fixed window vary by less than this (standard deviation over mean; breakers by about 0.02). Of one who turns calls
/// away by chance, as adaptive throttling does, they vary by 0.9 or so; five of them by less than this once in 75 times, where the usual
/// one is five times the shortest that counts, and more often where it is not much longer than that.
const ALIKE: f64 = 0.2;
/// Fewer of chance are alike more often: two by less than this once in seven times, three once in forty, in the same case.
const FEW_ALIKE: f64 = 0.1;
/// Where somebody else's calls cut into them now and then, as a poller's, half of them and four are within this share of the middle one
/// still: silences of chance are so once in two hundred times (eight of them), and of more than ten hardly ever, in the same case.
const AS_LONG: f64 = 0.05;
/// Consecutive failed calls without a silence, before a breaker is called absent: covers breakers that wait for 100 calls.
const FEWEST_FAILED: usize = 150;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if edge.hurt.is_empty() {
        return Found::not_applicable("no fault sits on this edge");
    }
    if edge.blind {
        return Found::inconclusive(
            "refused connections leave no trace at the proxy: silence is not a breaker here",
            "use `reset` or `hang` instead of `refuse`",
        );
    }
    let calls: Vec<&Call> = edge.within(&edge.hurt).collect();
    let failed = calls.iter().filter(|call| !edge.is_good(call)).count();
    if failed < 3 {
        return match edge.harm {
            Harm::Slow => Found::not_applicable(
                "calls were slow but succeeded: a breaker sees failures only where the caller gives up",
            ),
            _ => {
                Found::inconclusive(format!("only {failed} failed calls"), "a longer fault or a higher rate")
            }
        };
    }
    let Some(expected) = Expected::of(run, edge) else {
        return Found::inconclusive(
            "no calls in the baseline to compare with",
            "a baseline that uses this edge",
        );
    };
    let silences = silent(run, edge, &expected);
    if let Some(first) = silences.first() {
        let closes = closes(run, edge, &expected);
        let others = unasked(run.lives(), edge, &run.baseline);
        return open(edge, &calls, &silences, *first, closes, others);
    }
    let due = edge.hurt.iter().map(|window| expected.due(run, window)).sum::<f64>();
    let kept = calls.len() as f64 / due.max(1.0);
    let longest = longest_run(&calls, |call| edge.is_failing(call));
    if longest >= FEWEST_FAILED && kept >= 0.8 {
        let text = format!("no silent interval in {} failed calls", longest);
        return Found::absent(
            params([("failed-in-a-row", Reading::count(longest as u64, calls.len() as u64))]),
            text,
        );
    }
    if kept < 0.5 && due >= 36.0 {
        return Found::inconclusive(
            format!("calls fell to {} of the usual, without a silent interval", words::share(kept)),
            "a higher rate, so that a short silence can be told from a thinning",
        );
    }
    if longest_run(&calls, |call| !edge.is_good(call)) >= FEWEST_FAILED {
        return Found::inconclusive(
            "no silent interval, but what was answered in the callee's stead is nothing that a breaker must count",
            "an `abort` with 500 or more, or for gRPC with `grpc-status: UNAVAILABLE`",
        );
    }
    Found::inconclusive(
        format!("no silent interval, but only {longest} failed calls in a row"),
        format!("{FEWEST_FAILED} failed calls: a longer fault or a higher rate"),
    )
}

fn longest_run(calls: &[&Call], is_meant: impl Fn(&Call) -> bool) -> usize {
    calls.split(|&call| !is_meant(call)).map(<[_]>::len).max().unwrap_or(0)
}

fn open(
    edge: &EdgeView,
    calls: &[&Call],
    silences: &[Window],
    first: Window,
    closes: Option<u64>,
    others: f64,
) -> Found {
    let start = calls.iter().find(|call| !edge.is_good(call)).map_or(first.from, |call| call.began);
    // A call that was under way when the fault struck failed like those that were begun later.
    let fails = |call: &&Call| !edge.is_good(call) && edge.hurt.holds(call.ended) && call.ended <= first.from;
    let before = edge.calls.iter().filter(fails).count() as u64;
    let n = silences.len() as u64;
    // The last silence may have been cut short by the end of the fault; with one alone it is a lower limit.
    let whole = if silences.len() > 1 { &silences[..silences.len() - 1] } else { silences };
    let lengths: Vec<(u64, bool)> = whole.iter().map(|silence| (silence.length(), false)).collect();
    let length = quantile(&lengths, 0.5).map_or(0.0, |length| length.value);
    let mut params = params([
        ("calls-to-open", bounds::calls_to_open(edge, first, before, others)),
        ("time-to-open", Reading::time(first.from.saturating_sub(start) as f64, None, None, 1)),
        ("opens", Reading::count(n, n)),
        ("silence", Reading::time(length, None, None, n)),
    ]);
    if let Some(after) = closes {
        params.insert("closes".to_owned(), Reading::time(after as f64, None, None, 1));
    }
    let opened = format!("opens after {}", words::plural(before, "call"));
    let between = between_tries(edge, silences);
    let cut = silences.last().filter(|last| !is_begun(edge, last.to)).map(|last| last.length() as f64);
    let every = bounds::half_open_every(&between, cut).map(|every| ("half-open-every".to_owned(), every));
    if n < 2 {
        params.extend(every);
        let text = format!(
            "{opened} and stays silent for {} or more; half-open not observed",
            words::micros(length)
        );
        return Found::present(params, text);
    }
    // What is called between two silences is to find out whether the callee is well again.
    let tried: Vec<(u64, bool)> = silences
        .windows(2)
        .map(|pair| edge.in_window(Window { from: pair[0].to, to: pair[1].from }).len() as u64)
        .map(|tried| (tried, false))
        .collect();
    let tries = quantile(&tried, 0.5).map_or(0, |tries| tries.value as u64);
    params.insert("probes".to_owned(), Reading::count(tries, tried.len() as u64));
    let cv = variation(&between);
    params.insert("variation".to_owned(), Reading::ratio(cv, None, n));
    let bound = if between.len() < 5 { FEW_ALIKE } else { ALIKE };
    if between.len() >= 2 && cv > bound && !are_mostly_alike(&between) {
        return Found::undecided(
            params,
            format!(
                "{opened}, with silences of differing length: adaptive throttling, or a breaker whose windows are not alike"
            ),
            "what the caller is configured to do: from outside the two look alike",
        );
    }
    params.extend(every);
    Found::present(params, format!("{opened}, tries again every {}", words::micros(length)))
}

/// How long after the lift of the last fault on the edge calls are made again as before: four in five of those that are due, for so
/// long, and at once, so that a question of somebody else a moment before is not taken for the first of them. `None` where that is
/// not seen.
fn closes(run: &RunView<'_>, edge: &EdgeView, expected: &Expected) -> Option<u64> {
    const SUSTAINED: u64 = 5_000_000;
    const AT_ONCE: u64 = 1_000_000;
    let lifted = edge.hurt.iter().map(|part| part.to).max().filter(|to| *to <= run.last)?;
    let end = run.recovery.iter().map(|part| part.to).max()?;
    let later = edge.in_window(Window { from: lifted, to: end });
    let closed = later.iter().find(|call| {
        let look = |length: u64| Window { from: call.began, to: call.began.saturating_add(length) };
        let are_made = |look: Window| edge.in_window(look).len() as f64 >= 0.8 * expected.due(run, look);
        // Of a few calls that are due chance keeps back some.
        let follow = expected.due(run, look(AT_ONCE)) < FEWEST_DUE || are_made(look(AT_ONCE));
        look(SUSTAINED).to <= end && follow && are_made(look(SUSTAINED))
    })?;
    Some(closed.began - lifted)
}

/// Lengths of the silences between two tries. The first one of a fault may be shorter than its window, for some look at the callee
/// at times of their own; one that no call ended was cut short.
fn between_tries(edge: &EdgeView, silences: &[Window]) -> Vec<f64> {
    let of_one_fault =
        |pair: &&[Window]| edge.hurt.iter().any(|part| part.holds(pair[0].from) && part.holds(pair[1].from));
    silences
        .windows(2)
        .filter(of_one_fault)
        .map(|pair| pair[1])
        .filter(|silence| is_begun(edge, silence.to))
        .map(|silence| silence.length() as f64)
        .collect()
}

/// True if a call begins then: a silence that ends otherwise was cut short.
fn is_begun(edge: &EdgeView, at: u64) -> bool {
    edge.calls.binary_search_by_key(&at, |call| call.began).is_ok()
}

/// The standard deviation over the mean.
fn variation(lengths: &[f64]) -> f64 {
    let n = lengths.len() as f64;
    let mean = lengths.iter().sum::<f64>() / n;
    let variance = lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / n;
    if mean > 0.0 { variance.sqrt() / mean } else { 0.0 }
}

/// True if half of them, and four at least, are as long as the middle one.
fn are_mostly_alike(lengths: &[f64]) -> bool {
    let mut sorted = lengths.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.get(sorted.len() / 2) else { return false };
    let alike = sorted.iter().filter(|length| (*length - middle).abs() <= AS_LONG * middle).count();
    alike >= 4 && alike * 2 >= sorted.len()
}

/// What the baseline says about how many calls users cause.
struct Expected {
    /// Calls for each user request.
    each: f64,
    /// The largest natural silence, in calls that were due.
    natural: f64,
    /// Users slower than this in a silence are waiting for something, in microseconds.
    fast: f64,
}

impl Expected {
    fn of(run: &RunView<'_>, edge: &EdgeView) -> Option<Expected> {
        let calls: Vec<&Call> = edge.within(&run.baseline).collect();
        let latencies: Vec<(u64, bool)> = run
            .loads
            .iter()
            .flat_map(|load| load.within(&run.baseline))
            .map(|point| (point.service_time(), false))
            .collect();
        if calls.is_empty() || latencies.is_empty() {
            return None;
        }
        let median = quantile(&latencies, 0.5)?.value;
        let each = calls.len() as f64 / latencies.len() as f64;
        let mut expected = Expected { each, natural: 0.0, fast: (median * 3.0).max(100_000.0) };
        expected.natural = calls
            .windows(2)
            .map(|pair| expected.due(run, Window { from: pair[0].began, to: pair[1].began }))
            .fold(0.0, f64::max);
        Some(expected)
    }

    /// Calls that users should have caused in a stretch.
    fn due(&self, run: &RunView<'_>, window: Window) -> f64 {
        self.each * run.loads.iter().map(|load| sent_in(load, window).len() as f64).sum::<f64>()
    }
}

fn sent_in(load: &crate::phase::LoadView, window: Window) -> &[crate::phase::Point] {
    let from = load.points.partition_point(|point| point.intended <= window.from);
    let to = load.points.partition_point(|point| point.intended < window.to);
    &load.points[from..to.max(from)]
}

fn silent(run: &RunView<'_>, edge: &EdgeView, expected: &Expected) -> Vec<Window> {
    edge.hurt.iter().flat_map(|hurt| silent_in(run, edge, expected, hurt)).collect()
}

/// Silences of a breaker while the edge is broken.
pub(super) fn silences_in_fault(run: &RunView<'_>, edge: &EdgeView) -> Vec<Window> {
    Expected::of(run, edge).map_or_else(Vec::new, |expected| silent(run, edge, &expected))
}

/// Silences of a breaker within any stretch; also used after the lift, to tell what delays the recovery.
pub(crate) fn silences(run: &RunView<'_>, edge: &EdgeView, window: Window) -> Vec<Window> {
    Expected::of(run, edge).map_or_else(Vec::new, |expected| silent_in(run, edge, &expected, window))
}

/// The first silence while the edge is broken, and the stretch that it lies in. What is usual is looked up once, however many there are.
pub(super) fn first_silence(run: &RunView<'_>, edge: &EdgeView) -> Option<(Window, Window)> {
    let expected = Expected::of(run, edge)?;
    edge.hurt.iter().find_map(|hurt| Some((hurt, silent_in(run, edge, &expected, hurt).first().copied()?)))
}

fn silent_in(run: &RunView<'_>, edge: &EdgeView, expected: &Expected, hurt: Window) -> Vec<Window> {
    let load_end = run.loads.iter().filter_map(|load| load.points.last()).map(|point| point.intended).max();
    let to = hurt.to.min(load_end.unwrap_or(0));
    let calls = edge.in_window(hurt);
    // From the end of a call, so that its timeout is not counted as silence, to the beginning of the next.
    let ends = std::iter::once(hurt.from).chain(calls.iter().map(|call| call.ended.min(to).max(call.began)));
    let begins = calls.iter().map(|call| call.began).chain([to.max(hurt.from)]);
    ends.zip(begins)
        .filter(|(from, to)| from < to)
        .map(|(from, to)| Window { from, to })
        .filter(|gap| expected.due(run, *gap) >= FEWEST_DUE.max(3.0 * expected.natural))
        .filter(|gap| users_are_answered_fast(run, *gap, expected.fast))
        .collect()
}

fn users_are_answered_fast(run: &RunView<'_>, gap: Window, fast: f64) -> bool {
    let latencies: Vec<(u64, bool)> = run
        .loads
        .iter()
        .flat_map(|load| sent_in(load, gap))
        .map(|point| (point.service_time(), false))
        .collect();
    quantile(&latencies, 0.9).is_some_and(|latency| latency.value <= fast)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::State;
    use crate::phase::Windows;
    use murphy_core::{EdgeName, ExchangeEnd};

    const SECOND: u64 = 1_000_000;

    fn call(began: u64) -> Call {
        Call {
            began,
            answered: None,
            ended: began + 1_000,
            end: ExchangeEnd::Failed,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        }
    }

    /// An edge that is sick from 10 s to 60 s, and called then after each of these silences, which the fault cuts short at its end.
    fn called_after(silences: &[u64]) -> (EdgeView, Vec<Window>) {
        let mut edge = EdgeView {
            name: EdgeName::new("edge").unwrap(),
            from: None,
            instance_of: None,
            calls: (0..5).map(|n| call(10 * SECOND + n * 50_000)).collect(),
            conns: Vec::new(),
            harm: Harm::Error,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![Window { from: 10 * SECOND, to: 60 * SECOND }]),
        };
        let mut windows = Vec::new();
        for silence in silences {
            let from = edge.calls.last().map_or(0, |call| call.ended);
            windows.push(Window { from, to: from + silence });
            edge.calls.push(call(from + silence));
        }
        windows.push(Window { from: edge.calls.last().map_or(0, |call| call.ended), to: 60 * SECOND });
        (edge, windows)
    }

    fn said(silences: &[u64]) -> Found {
        let (edge, windows) = called_after(silences);
        let calls: Vec<&Call> = edge.calls.iter().collect();
        open(&edge, &calls, &windows, windows[0], None, 0.0)
    }

    #[test]
    fn silences_of_one_length_are_a_breaker_and_those_of_chance_are_not_called_one() {
        let breaker = said(&[5_000_000, 5_040_000, 5_010_000, 5_080_000]);
        assert!(matches!(breaker.state, State::Present { .. }), "{}", breaker.text);
        let chance = said(&[900_000, 4_100_000, 2_300_000, 7_600_000, 1_200_000]);
        let State::Inconclusive { params, .. } = &chance.state else { panic!("{}", chance.text) };
        assert!(chance.text.contains("adaptive throttling"), "{}", chance.text);
        assert_eq!(params.get("opens").and_then(|opens| opens.value), Some(6.0));
        // Of fewer than five more likeness is asked, for chance has it more often.
        for few in [&[1_000_000, 4_000_000, 5_000_000][..], &[1_000_000, 4_000_000, 5_000_000, 5_500_000]] {
            let few = said(few);
            assert!(matches!(few.state, State::Inconclusive { .. }), "{}", few.text);
        }
        let two = said(&[5_000_000, 5_040_000, 5_010_000]);
        assert!(matches!(two.state, State::Present { .. }), "{}", two.text);
    }

    #[test]
    fn silences_that_a_poller_cuts_into_are_a_breaker_still() {
        // A window of 2.6 s, and a question each second.
        let polled = [1_000_000, 1_000_000, 600_000, 1_000_000, 1_000_000, 600_000, 1_000_000];
        let (edge, windows) = called_after(&polled);
        assert!(variation(&between_tries(&edge, &windows)) > ALIKE);
        let breaker = said(&polled);
        assert!(matches!(breaker.state, State::Present { .. }), "{}", breaker.text);
        // Windows that double are not told from chance.
        let growing = said(&[1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000]);
        assert!(matches!(growing.state, State::Inconclusive { .. }), "{}", growing.text);
    }

    #[test]
    fn silences_that_were_cut_short_do_not_count_in_how_they_vary() {
        let (edge, windows) = called_after(&[700_000, 5_000_000, 5_000_000, 5_000_000]);
        assert_eq!(between_tries(&edge, &windows), [5_000_000.0; 3]);
        let breaker = said(&[700_000, 5_000_000, 5_000_000, 5_000_000]);
        assert!(matches!(breaker.state, State::Present { .. }), "{}", breaker.text);
    }
}
