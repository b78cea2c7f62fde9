//! What does a load do that stays down, once it is stopped and begun again? If it then works, its own load may have held it down; if it
//! does not, it is broken for good. A service that was not seen at rest in between must not be called so.

use murphy_core::ExchangeEnd;

use super::super::amplification::Further;
use super::super::back_off::word;
use super::super::{Found, params};
use super::amplified::{Amplified, amplification};
use super::headroom::beyond;
use super::rate;
use crate::edge::EdgeView;
use crate::goodput::{Course, Goodput};
use crate::judgement::{Finding, Reading};
use crate::phase::{LoadView, Quiesced, RunView, Window, successes};
use crate::rows::{Recovered, restored};
use crate::stats::{Blocks, wilson};
use crate::words;

/// A shorter look after the lift does not tell a backlog from a trouble that stays.
const LEAST: u64 = 60_000_000;

/// What is known of a load that stays down.
pub(super) struct Seen<'a> {
    pub run: &'a RunView<'a>,
    pub load: &'a LoadView,
    pub watched: u64,
    pub kept: String,
    pub low: Reading,
    /// It was getting better by itself.
    pub rises: bool,
}

impl Seen<'_> {
    pub fn not_begun_again(self) -> Found {
        let Seen { kept, low, watched, .. } = self;
        let seen = params([(Finding::KEPT, low)]);
        let settle = "stop the load and start it again, by `phases: { quiet: 180s }`: what then works was held down by its own load";
        if is_short(watched) {
            return Found::undecided(
                seen,
                format!(
                    "{kept}, and it does not get better; watched for too short to speak of a lasting state"
                ),
                format!("{} of recovery; then {settle}", words::micros(LEAST as f64)),
            );
        }
        Found::undecided(
            seen,
            format!("{kept}, and it does not get better: metastable, or broken for good"),
            settle,
        )
    }

    pub fn begun_again(self, quiesced: Quiesced, again: Window, goodput: &Goodput, healthy: Window) -> Found {
        let Seen { run, load, watched, kept, low, rises } = self;
        let quiet = words::micros(quiesced.quiet.length() as f64);
        let served = successes(load.again.iter());
        let share = served.share().map(|share| (share, wilson(share)));
        let Some((_, interval)) = share else {
            return Found::undecided(
                params([(Finding::KEPT, low)]),
                format!("{kept}; no requests once the load was begun again"),
                "a longer phase `again`",
            );
        };
        let back = Reading::share(served.good(), served.n(), Some((interval.low, interval.high)));
        let time = Reading::time(quiesced.quiet.length() as f64, None, None, 1);
        let now = format!("{} after {quiet} without load", words::percent(served.good(), served.n()));
        if !matches!(restored(run, load, again), Recovered::Within { .. }) {
            let mut seen = params([(Finding::KEPT, low), ("again", back), ("quiet", time)]);
            let end = again.to.min(load.again.last().map_or(again.from, |point| point.intended + 1));
            let course = goodput.course((healthy.from, healthy.to), (again.from, end));
            let backlog = backlog(run, quiesced.quiet.from);
            let shown = run.edges.iter().any(|edge| edge.within(&run.baseline).next().is_some());
            return match course {
                Course::Down(_) if quiesced.left => Found::undecided(
                    seen,
                    format!("{kept}, and {now}; but a service had ended by itself while there was no load"),
                    "a service that goes on without load",
                ),
                Course::Down(_) if quiesced.went_quiet && quiesced.quiet.length() < backlog => {
                    Found::undecided(
                        seen,
                        format!(
                            "{kept}, and {now}; but what was given up may be worked on for up to {} more",
                            words::micros((backlog - quiesced.quiet.length()) as f64)
                        ),
                        format!("a phase `quiet` of {}", words::micros(backlog as f64)),
                    )
                }
                Course::Down(_) if !shown => Found::undecided(
                    seen,
                    format!("{kept}, and {now}; but no edge shows whether it was at rest without load"),
                    "an edge to what the service calls",
                ),
                Course::Down(_) if is_short(watched) => Found::undecided(
                    seen,
                    format!("{kept}, and {now}; watched for too short to speak of a lasting state"),
                    format!("{} of recovery", words::micros(LEAST as f64)),
                ),
                Course::Down(_) if rises => Found::undecided(
                    seen,
                    format!("it was getting better by itself when the load was stopped: {kept}, and {now}"),
                    "a longer recovery phase",
                ),
                Course::Down(_) if quiesced.went_quiet => {
                    seen.insert("outcome".to_owned(), word("stuck", 1));
                    Found::absent(
                        seen,
                        format!(
                            "stuck, not metastable: {kept}, and {now}: broken for good, whether there is load or not"
                        ),
                    )
                }
                Course::Down(_) => Found::undecided(
                    seen,
                    format!("{kept}, and {now}; but its edges did not become quiet"),
                    "a longer phase `quiet`, until nothing is called any more",
                ),
                _ => Found::undecided(
                    seen,
                    format!("{kept}, and {now}: neither as before nor broken for good"),
                    "longer phases `quiet` and `again`",
                ),
            };
        }
        let mut seen = params([("low", low), ("again", back), ("quiet", time)]);
        let text = format!("{kept} at {}, and {now}", rate(load));
        let Some(amplified) = amplification(run, load) else {
            return Found::undecided(
                seen,
                format!(
                    "{text}: held down by its own load, or a backlog; no edge shows how many calls were made"
                ),
                "an edge on the calls that may be repeated, or a recovery phase in which any backlog drains",
            );
        };
        let Amplified { edge, ratio, interval, users } = &amplified;
        let ratio = Reading::ratio(*ratio, Some((interval.low, interval.high)), *users);
        let calls = format!("{} calls for each request on {}", ratio.text, edge.name);
        seen.insert("amplification".to_owned(), ratio);
        let further = amplified.further();
        if further != Further::Made {
            let than = match further {
                Further::None => "no more than in health",
                Further::Made | Further::Untold => "too wide an interval to tell them from those in health",
            };
            return Found::undecided(
                seen,
                format!("{text}: held down by its own load, or a backlog; {calls}, {than}"),
                "a recovery phase in which any backlog drains",
            );
        }
        if is_short(watched) {
            return Found::undecided(
                seen,
                format!("{text}; watched for too short to speak of a lasting state"),
                format!("{} of recovery", words::micros(LEAST as f64)),
            );
        }
        seen.insert("outcome".to_owned(), word("metastable", 1));
        let beyond = beyond(run, &amplified).map_or_else(String::new, |beyond| format!("; {beyond}"));
        Found::present(seen, format!("metastable: {text}; what keeps it down: {calls}{beyond}"))
    }
}

/// The last window ends up to a second before the phase does.
fn is_short(watched: u64) -> bool {
    watched + 2 * Blocks::LENGTH < LEAST
}

/// How long callees may work on what was given up since the fault, if they do not notice, be it calls on edges or requests of
/// users: at the pace of the baseline, which is the least that they can do. In microseconds, of the edge or load with the most.
fn backlog(run: &RunView<'_>, to: u64) -> u64 {
    let since = Window { from: run.first_armed().unwrap_or(to), to };
    let left = |given_up: usize, usual: usize| {
        (given_up as u64 * run.baseline.length()).checked_div(usual as u64).unwrap_or(0)
    };
    let of_edge = |edge: &EdgeView| {
        let calls = edge.in_window(since).iter();
        let given_up =
            calls.filter(|call| call.answered.is_none() && call.end != ExchangeEnd::Failed).count();
        left(given_up, edge.within(&run.baseline).count())
    };
    let of_load = |load: &LoadView| {
        let points = load.points.iter().filter(|point| since.holds(point.intended));
        left(points.filter(|point| point.is_censored()).count(), load.within(&run.baseline).count())
    };
    run.edges.iter().map(of_edge).chain(run.loads.iter().map(of_load)).max().unwrap_or(0)
}
