//! Does trouble outlast its cause, fed by the load itself? (verdicts 2.15) Not recovered is not yet metastable: a backlog
//! drains, and a service may be plainly broken. What tells is to stop the load and to begin it again. That a service recovers
//! says nothing of a higher load; so `absent` names the load. And what comes back without load may still have been a backlog:
//! it is called metastable only where each request is seen to make more calls than in health.

use std::collections::BTreeMap;

use murphy_core::ExchangeEnd;

use super::amplification::{FEWEST_CALLS, Further, blocks as calls_of};
use super::back_off::word;
use super::isolation::stands_by;
use super::{Found, capacity, most_within, params};
use crate::edge::EdgeView;
use crate::goodput::{Course, Goodput, leads_to};
use crate::judgement::{Finding, Reading, State};
use crate::phase::{LoadView, Quiesced, RunView, Window, successes};
use crate::rows::{Recovered, recovered, restored};
use crate::stats::{Blocks, Interval, Share, ratio_of_rates, wilson};
use crate::words;

/// A shorter look after the lift does not tell a backlog from a trouble that stays.
const LEAST: u64 = 60_000_000;
/// A rise this significant (1 %) is a fact; a lesser one leaves the answer open.
const SURE: f64 = 2.576;
/// Below this share of what it can serve, a service is not easily tipped over (verdicts 2.15).
const VULNERABLE: f64 = 0.7;
/// So much more than the load must have been served for it to tell a capacity, and not chance.
const CLEARLY_MORE: f64 = 1.5;
/// The stretch over which a pace is told, in microseconds.
const LOOK: u64 = 5_000_000;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let Some(lifted) = run.lifted else { return Found::not_applicable("no fault was lifted") };
    let during = successes(load.within(&run.during));
    let base = successes(load.within(&run.baseline));
    let (Some(usual), Some(hurt)) = (base.share(), during.share()) else {
        return Found::not_applicable("no requests in the baseline or during the fault");
    };
    match recovered(run, load) {
        Recovered::Within { high, .. } => {
            // A fault that nobody felt cannot tip anything over.
            if hurt.p >= usual.p - 0.05 && high == 0 {
                return Found::not_applicable(
                    "users were not hurt, so there was nothing to outlast the fault",
                );
            }
            let time = Reading::time(high as f64, None, None, base.n());
            let text = format!(
                "not metastable at {}: comes back by itself; more was not tried{}",
                rate(load),
                advice(run, load, lifted)
            );
            Found::absent(params([("outcome", word("recovered", 1)), ("time", time)]), text)
        }
        Recovered::NotYet { watched, .. } | Recovered::Unclear { watched, .. } => {
            not_recovered(run, load, usual, watched)
        }
        Recovered::TooFew { .. } | Recovered::Unknown(_) => {
            Found::inconclusive("too few requests after the fault", "a recovery phase with load")
        }
    }
}

fn not_recovered(run: &RunView<'_>, load: &LoadView, usual: Share, watched: u64) -> Found {
    let after = successes(load.within(&run.after));
    let (Some(share), Some(stretch), Some(healthy)) =
        (after.share(), run.recovery.iter().next(), run.baseline.iter().next())
    else {
        return Found::not_applicable("no requests after the fault");
    };
    let after_lift = words::micros(watched as f64);
    let mut goodput = Goodput::default();
    load.points.iter().chain(&load.again).filter(|point| point.is_ok()).for_each(|point| {
        goodput.take(point.ended);
    });
    let course = goodput.course((healthy.from, healthy.to), (stretch.from, stretch.to));
    let more = "more requests succeed from second to second";
    let again = run.quiesced.and_then(|quiesced| Some((quiesced, quiesced.again?)));
    let drains = match course {
        Course::Rising(_, z) if z <= SURE && again.is_none() => {
            return Found::inconclusive(
                format!("still recovering after {after_lift}: {more}"),
                "a longer recovery phase, until the backlog has drained",
            );
        }
        Course::Rising(_, z) => (z > SURE).then(|| more.to_owned()),
        _ => shorter(run, load, stretch),
    };
    // What the load did once it was begun again says more than any trend before: a backlog has drained meanwhile, and was fed
    // by nothing.
    let drained = |again: Window| {
        // Calls of another load may be what is multiplied: one that was getting better by itself is not held down.
        matches!(restored(run, load, again), Recovered::Within { .. })
            && (matches!(course, Course::Rising(..))
                || amplification(run, load).is_none_or(|calls| calls.further() != Further::Made))
    };
    if let Some(what) = drains.filter(|_| again.is_none_or(|(_, again)| drained(again))) {
        return draining(load, &after_lift, &what);
    }
    let kept = format!(
        "{} of requests succeed {after_lift} after the lift",
        words::percent(after.good(), after.n())
    );
    let rises = matches!(course, Course::Rising(..)) && again.is_some();
    let interval = wilson(share);
    let is_down = match course {
        Course::Down(_) => true,
        // Too few seconds for a level; the share of all that were sent may tell all the same.
        Course::Unknown => interval.high < 0.5 * usual.p,
        Course::Rising(..) | Course::Up(_) => rises,
    };
    if !is_down {
        return Found::inconclusive(
            format!("not as before, but not broken either: {kept}"),
            "a longer recovery phase",
        );
    }
    let low = Reading::share(after.good(), after.n(), Some((interval.low, interval.high)));
    let seen = Seen { run, load, watched, kept, low, rises };
    match again {
        Some((quiesced, again)) => seen.begun_again(quiesced, again, &goodput, healthy),
        None => seen.not_begun_again(),
    }
}

/// What is known of a load that stays down.
struct Seen<'a> {
    run: &'a RunView<'a>,
    load: &'a LoadView,
    watched: u64,
    kept: String,
    low: Reading,
    /// It was getting better by itself.
    rises: bool,
}

impl Seen<'_> {
    fn not_begun_again(self) -> Found {
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

    fn begun_again(self, quiesced: Quiesced, again: Window, goodput: &Goodput, healthy: Window) -> Found {
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

fn draining(load: &LoadView, after_lift: &str, what: &str) -> Found {
    Found::absent(
        params([("outcome", word("draining", 1))]),
        format!(
            "draining, not metastable at {}: not as before {after_lift} after the lift, but {what}",
            rate(load)
        ),
    )
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

/// Calls for each request in the later half of the recovery, relative to the baseline.
struct Amplified<'a> {
    edge: &'a EdgeView,
    ratio: f64,
    interval: Interval,
    users: u64,
}

impl Amplified<'_> {
    fn further(&self) -> Further {
        Further::told_by(self.interval.low, self.interval.high)
    }
}

/// The most of all edges, but those on which requests of this load are seen to make no call: what another load multiplies keeps this
/// one down nowhere.
fn amplification<'a>(run: &'a RunView<'_>, load: &LoadView) -> Option<Amplified<'a>> {
    let mut most: Option<Amplified<'_>> = None;
    for edge in &run.edges {
        if stands_by(run, load, &[edge]) == Some(true) {
            continue;
        }
        let base = calls_of(run, edge, &run.baseline);
        if base.iter().map(|block| block.0).sum::<u64>() < FEWEST_CALLS {
            continue;
        }
        let after = calls_of(run, edge, &run.after);
        let users = after.iter().map(|block| block.1).sum();
        let Some((ratio, interval)) = ratio_of_rates(&after, &base) else { continue };
        if most.as_ref().is_none_or(|most| ratio > most.ratio) {
            most = Some(Amplified { edge, ratio, interval, users });
        }
    }
    most
}

/// What these calls come to at the rate of the baseline, if that is more than the callee can serve: it answers less of them, and
/// was never seen to answer so much.
fn beyond(run: &RunView<'_>, amplified: &Amplified<'_>) -> Option<String> {
    let Amplified { edge, ratio, .. } = amplified;
    let ends = served(edge);
    let most = most_within(&ends, LOOK) as f64 / seconds(LOOK);
    let now = ends.iter().filter(|end| run.after.holds(**end)).count() as f64 / seconds(run.after.length());
    let usual = edge.within(&run.baseline).count() as f64 / seconds(run.baseline.length());
    let asked = ratio * usual;
    (now < asked && most < asked).then(|| {
        format!(
            "{} x {usual:.0}/s = {asked:.0}/s are more than it can serve: it answers {now:.0}/s of them, and {most:.0}/s at most \
             in this run",
            words::ratio(*ratio)
        )
    })
}

/// When the callee answered well, in order. What a fault held and its lift lets go comes in one blow, and tells nothing of a pace;
/// what Murphy refused to pass on, no fault touched, and the callee did not serve it either.
fn served(edge: &EdgeView) -> Vec<u64> {
    let served = edge.calls.iter().filter(|call| !call.touched && edge.is_good(call));
    let mut ends: Vec<u64> = served.filter_map(|call| call.answered).collect();
    ends.sort_unstable();
    ends
}

fn seconds(micros: u64) -> f64 {
    micros.max(1) as f64 / 1e6
}

/// What grows shorter from second to second, of what users wait for and of the calls on edges: a queue that is being worked off.
fn shorter(run: &RunView<'_>, load: &LoadView, stretch: Window) -> Option<String> {
    let users = load.points.iter().filter(|point| point.is_ok()).map(|point| (point.ended, point.latency()));
    if falls(users, stretch) {
        return Some("users wait less from second to second".to_owned());
    }
    let falling = run.edges.iter().find(|edge| {
        let calls = edge.calls.iter().filter(|call| call.answered.is_some());
        falls(calls.map(|call| (call.ended, call.wait())), stretch)
    })?;
    Some(format!("calls on {} take less time from second to second", falling.name))
}

/// True if the mean of (end, wait) by second falls, and will be at nothing before long. The later half decides: what falls fast
/// and then stays is no queue that is being worked off.
fn falls(ended: impl Iterator<Item = (u64, u64)>, stretch: Window) -> bool {
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (at, wait) in ended.filter(|(at, _)| stretch.holds(*at)) {
        let sum = seconds.entry((at - stretch.from) / Blocks::LENGTH).or_default();
        *sum = (sum.0 + wait, sum.1 + 1);
    }
    // A wait that stands out of health by nothing is none.
    const NOTICED: f64 = 100_000.0;
    let means: Vec<f64> = seconds.values().map(|(sum, n)| *sum as f64 / *n as f64).collect();
    let later = &means[means.len() / 2..];
    let level = later.iter().sum::<f64>() / later.len().max(1) as f64;
    level > NOTICED && leads_to(later, 0.0).is_some_and(|trend| trend.z < -SURE)
}

/// What a higher load would tell, where it is known what the service can serve: a limit that this load was raised to before anything
/// was broken, or what was served for some seconds after the lift, which it can at least.
fn advice(run: &RunView<'_>, load: &LoadView, lifted: u64) -> String {
    let Some(rate) = load.rate.filter(|rate| *rate > 0.0) else { return String::new() };
    if let Some(capacity) = measured(run, load) {
        return of_capacity(rate, capacity);
    }
    let late = load.points.iter().filter(|point| point.is_ok() && point.intended >= lifted);
    let mut ends: Vec<u64> = late.map(|point| point.ended).collect();
    ends.sort_unstable();
    let most = most_within(&ends, LOOK) as f64 / seconds(LOOK);
    if most < rate * CLEARLY_MORE || rate >= most * VULNERABLE {
        return String::new();
    }
    format!(
        "; it can serve {most:.0}/s, and only from {:.0}/s on is it easily tipped over",
        most * VULNERABLE
    )
}

/// How many requests of this load a second can be served, if the same run found a limit.
fn measured(run: &RunView<'_>, load: &LoadView) -> Option<f64> {
    match capacity::detect(run, load).state {
        State::Present { params } => params.get("capacity")?.value.filter(|capacity| *capacity > 0.0),
        State::Absent { .. } | State::Inconclusive { .. } | State::NotApplicable { .. } => None,
    }
}

fn of_capacity(rate: f64, capacity: f64) -> String {
    let vulnerable = capacity * VULNERABLE;
    let more = if rate < vulnerable {
        format!(", and only from {} on is it easily tipped over", words::rate(vulnerable))
    } else {
        String::new()
    };
    format!(
        "; that is {} of the {} that it can serve{more}",
        words::share(rate / capacity),
        words::rate(capacity)
    )
}

fn rate(load: &LoadView) -> String {
    load.rate.map_or_else(|| "this load".to_owned(), |rate| format!("{rate:.0}/s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{Call, Harm};
    use crate::phase::Windows;
    use crate::worth::AnswerWorth;
    use murphy_core::EdgeName;

    #[test]
    fn what_murphy_refused_to_pass_on_was_not_served_by_the_callee() {
        let call = |(ended, touched, answer)| Call {
            began: 0,
            answered: Some(ended),
            ended,
            end: ExchangeEnd::Answered,
            touched,
            answer,
            done_unknown: false,
            mark: None,
        };
        let calls = [
            (60, false, Some(AnswerWorth::Good)),
            (50, false, None),
            (40, false, Some(AnswerWorth::MadeUp)),
            (30, false, Some(AnswerWorth::Bad)),
            (20, true, Some(AnswerWorth::Good)),
        ];
        let edge = EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: calls.map(call).to_vec(),
            conns: Vec::new(),
            harm: Harm::None,
            delays: false,
            blind: false,
            hurt: Windows::default(),
        };
        assert_eq!(served(&edge), [50, 60]);
    }

    #[test]
    fn a_load_is_told_as_a_share_of_what_can_be_served() {
        assert_eq!(of_capacity(60.0, 80.0), "; that is 75% of the 80/s that it can serve");
        assert_eq!(
            of_capacity(20.0, 80.0),
            "; that is 25% of the 80/s that it can serve, and only from 56/s on is it easily tipped over"
        );
    }

    /// Whether waits of so many microseconds in each second of a minute fall.
    fn falls_by(wait: impl Fn(u64) -> u64) -> bool {
        let minute = Window { from: 0, to: 60 * Blocks::LENGTH };
        falls((0..60).map(|second| (second * Blocks::LENGTH, wait(second))), minute)
    }

    #[test]
    fn waits_fall_that_grow_shorter_to_the_end() {
        assert!(falls_by(|second| 6_000_000 - second * 50_000));
        // As little at the end as in health.
        assert!(!falls_by(|second| 60_000 - second * 1_000));
    }

    #[test]
    fn waits_that_fall_fast_and_then_stay_high_do_not_fall() {
        assert!(!falls_by(|second| match second {
            0..25 => 12_000_000 - second * 360_000,
            _ => 3_000_000 + second % 3 * 10_000,
        }));
    }
}
