//! How long until users are served as before, once the last fault is lifted? (verdicts 2.14)
//!
//! Time is cut into windows of at least a second and at least 20 requests. Recovered is the start of the first run of five
//! good windows, so that a false dawn does not count. Good is: success within 5 points of the baseline, and p95 within 1.5
//! times the baseline's, or 20 ms above it (on a service of a few milliseconds a ratio is noise), or no worse than the worst
//! window of the baseline itself (what health looks like is no sign of sickness).

use murphy_core::{Answer, LoadName, Span};

use super::{Case, Draft};
use crate::judgement::{GateId, Reading, RowKind};
use crate::phase::{LoadView, Point, RunView, Windows};
use crate::words;

/// Fewest requests and shortest length of a window.
const REQUESTS: usize = 20;
const LENGTH: u64 = 1_000_000;
/// Good windows in a row that count as recovered.
const SUSTAINED: usize = 5;

/// How a load came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Recovered {
    /// The recovery lies between the start of the last bad window and of the first sustained good one; microseconds
    /// from the lift.
    Within { low: u64, high: u64 },
    /// Not while anybody looked: bad at `last_bad`, and fewer than five good windows after that.
    NotYet { last_bad: u64, watched: u64 },
    /// Too few requests to say.
    TooFew { windows: usize, seconds: u64 },
    /// No lift, no baseline or no requests.
    Unknown(&'static str),
}

fn p95(points: &[&Point]) -> u64 {
    let mut latencies: Vec<u64> = points.iter().map(|point| point.latency()).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * 95).div_ceil(100).max(1);
    latencies.get(rank - 1).copied().unwrap_or(0)
}

fn fresh(points: &[&Point]) -> f64 {
    points.iter().filter(|point| point.is_fresh()).count() as f64 / points.len().max(1) as f64
}

/// What makes a window good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Success and latency.
    Fully,
    /// Success alone: where latency cannot be trusted.
    BySuccess,
}

/// The recovery of one load.
pub(crate) fn recovered(run: &RunView<'_>, load: &LoadView) -> Recovered {
    recovery(run, load, Judged::Fully)
}

/// The same by errors alone, latency left aside.
pub(crate) fn without_errors(run: &RunView<'_>, load: &LoadView) -> Recovered {
    recovery(run, load, Judged::BySuccess)
}

fn recovery(run: &RunView<'_>, load: &LoadView, judged: Judged) -> Recovered {
    let Some(lifted) = run.lifted else { return Recovered::Unknown("the fault was never lifted") };
    let baseline: Vec<&Point> = load.within(&run.baseline).collect();
    if baseline.is_empty() {
        return Recovered::Unknown("no baseline to compare with");
    }
    let usual = p95(&baseline);
    let healthy = pieces(load, &run.baseline, baseline[0].intended).into_iter().map(|piece| piece.p95).max();
    let latency = match judged {
        Judged::Fully => (usual + usual / 2).max(usual + 20_000).max(healthy.unwrap_or(0)),
        Judged::BySuccess => u64::MAX,
    };
    let success = fresh(&baseline) - 0.05;
    let windows: Vec<Window> = pieces(load, &run.recovery, lifted)
        .into_iter()
        .map(|piece| Window {
            start: piece.start - lifted,
            end: piece.end - lifted,
            good: piece.fresh >= success && piece.p95 <= latency,
        })
        .collect();
    if windows.is_empty() {
        return Recovered::Unknown("fewer than 20 requests after the lift");
    }
    let sustained = windows.windows(SUSTAINED).position(|run| run.iter().all(|window| window.good));
    if let Some(first) = sustained {
        let high = windows[first].start;
        let low = first.checked_sub(1).map_or(high, |bad| windows[bad].start);
        return Recovered::Within { low, high };
    }
    let watched = windows.last().map_or(0, |window| window.end);
    match windows.iter().rposition(|window| !window.good) {
        Some(bad) => Recovered::NotYet { last_bad: windows[bad].start, watched },
        None => {
            let each = watched / windows.len() as u64;
            Recovered::TooFew {
                windows: windows.len(),
                seconds: (each * SUSTAINED as u64).div_ceil(1_000_000),
            }
        }
    }
}

/// A window of the recovery; times from the lift.
struct Window {
    start: u64,
    end: u64,
    good: bool,
}

/// A window of any stretch.
struct Piece {
    start: u64,
    end: u64,
    fresh: f64,
    p95: u64,
}

impl Piece {
    fn of(points: &[&Point], start: u64, end: u64) -> Piece {
        Piece { start, end, fresh: fresh(points), p95: p95(points) }
    }
}

fn pieces(load: &LoadView, stretch: &Windows, from: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut points: Vec<&Point> = Vec::new();
    let mut start = from;
    for point in load.within(stretch) {
        if points.len() >= REQUESTS && point.intended >= start + LENGTH {
            // A window ends on a whole second, unless requests are too rare for that.
            let end = start + (point.intended - start) / LENGTH * LENGTH;
            pieces.push(Piece::of(&points, start, end));
            start = end;
            points.clear();
        }
        points.push(point);
    }
    if points.len() >= REQUESTS {
        let end = points.last().map_or(start, |point| point.intended);
        pieces.push(Piece::of(&points, start, end));
    }
    pieces
}

pub(super) fn row(case: &Case<'_>, only: Option<&LoadName>, at_most: Span, want: &str) -> Draft {
    let label = only.map_or_else(|| "recovery".to_owned(), |load| format!("{load} recovery"));
    let mut draft = Draft::new(
        RowKind::Recovery,
        label,
        "from the acknowledged lift to the first of 5 windows in a row (20 requests and 1s or more each) with success \
         within 5 points and p95 within 1.5 times (or 20ms) of the baseline, or within its worst window; the slowest load counts",
    );
    let bound = at_most.as_micros();
    let chosen = case.run.loads.iter().filter(|load| only.is_none_or(|only| only == &load.name));
    let mut worst: Option<(Answer, u64, Draft)> = None;
    for load in chosen {
        let (answer, size, one) = one(case, load, &draft, bound, want);
        if worst.as_ref().is_none_or(|worst| (answer, size) > (worst.0, worst.1)) {
            worst = Some((answer, size, one));
        }
    }
    match worst {
        Some((_, _, one)) => one,
        None => {
            draft.settle = Some("a load".to_owned());
            draft.open("no load to judge by", "a load that runs in all phases")
        }
    }
}

fn one(case: &Case<'_>, load: &LoadView, draft: &Draft, bound: u64, want: &str) -> (Answer, u64, Draft) {
    let mut draft = draft.clone();
    let n = load.within(&case.run.recovery).count() as u64;
    let several = if case.run.loads.len() > 1 { format!(" ({})", load.name) } else { String::new() };
    let (size, draft) = match recovered(case.run, load) {
        Recovered::Within { low, high } => {
            let time = Reading::time(high as f64, Some(low as f64), Some(high as f64), n);
            draft.after = Some(if high == 0 { time.says("at once") } else { time });
            let draft = if high <= bound {
                draft.pass(want)
            } else if low > bound {
                draft.fail(format!("want {want}{several}"))
            } else {
                draft.open(
                    format!(
                        "between {} and {}{several}",
                        words::micros(low as f64),
                        words::micros(high as f64)
                    ),
                    "a higher rate makes the windows finer (1s at 20/s)",
                )
            };
            (high, draft)
        }
        Recovered::NotYet { last_bad, watched } => {
            let text = format!(">{}", words::micros(watched as f64));
            draft.after = Some(Reading::time(watched as f64, Some(last_bad as f64), None, n).says(text));
            let draft = if last_bad > bound {
                draft.fail(format!("want {want}; still bad {}{several}", words::micros(last_bad as f64)))
            } else {
                draft.open(
                    format!(
                        "bad {} after the lift, then watched for too short{several}",
                        words::micros(last_bad as f64)
                    ),
                    format!(
                        "a recovery phase longer than {}",
                        words::micros((bound + SUSTAINED as u64 * LENGTH) as f64)
                    ),
                )
            };
            (watched, draft)
        }
        Recovered::TooFew { windows, seconds } => {
            let draft = draft.open(
                format!(
                    "good in all {}, {SUSTAINED} are needed{several}",
                    words::plural(windows as u64, "window")
                ),
                format!("a recovery phase of {seconds}s or more, or a higher rate"),
            );
            (0, draft)
        }
        Recovered::Unknown(why) => (0, draft.open(why, "a recovery phase with load")),
    };
    if draft.answer == Answer::Fail
        && !case.gate_holds(GateId::LoadOnTime)
        && !fails_anyway(case, load, bound)
    {
        let draft =
            draft.open("the load was sent late (else FAIL)", "a stronger or calmer machine, or a lower rate");
        return (draft.answer, size, draft);
    }
    (draft.answer, size, draft)
}

/// With a late sender only errors count against the service.
fn fails_anyway(case: &Case<'_>, load: &LoadView, bound: u64) -> bool {
    match recovery(case.run, load, Judged::BySuccess) {
        Recovered::Within { low, .. } => low > bound,
        Recovered::NotYet { last_bad, .. } => last_bad > bound,
        Recovered::TooFew { .. } | Recovered::Unknown(_) => false,
    }
}
