//! Does the caller go to other instances while one of them is sick? (verdicts 2.18) What is looked at are the sick instance's
//! calls among those of all instances that are well: a try at another instance keeps users served, and hides that the sick one
//! is called for each of them, so what users saw is told beside it and decides nothing where calls do. Silence alone is no
//! failover: the others must be called meanwhile, also in the place of the sick one, and the instance must have had calls to
//! lose.

use super::{Found, params};
use crate::edge::{EdgeView, Harm};
use crate::judgement::Reading;
use crate::phase::{RunView, Window, Windows, successes};
use crate::stats::{Share, by_chance, newcombe, poisson_limits, wilson};
use crate::turns::{OUT, Out, Turns};
use crate::words;

/// Calls that must have been due on the instance while it was sick.
const FEWEST_DUE: f64 = 36.0;
/// Calls that must have failed on it, early enough, for a caller that stays to have known: nobody leaves what has not failed.
const KNOWN: usize = 20;
/// The shortest window in which that is looked for, and the calls due in one: with none of them seen, the upper limit of their
/// mean is 3.7, less than a fifth of 25.
const WINDOW: u64 = 5_000_000;
const DUE: f64 = 25.0;
/// Calls due in a stretch that tells whether it is back.
const DUE_BACK: f64 = 10.0;
/// Calls of each instance from which on their shares can be called equal or not.
const COMPARABLE: u64 = 50;
/// How much of the users' success may go before they have noticed.
const MARGIN: f64 = 0.02;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let Some(hurt) =
        edge.hurt.iter().max_by_key(|window| window.to.min(run.last).saturating_sub(window.from))
    else {
        return Found::not_applicable("no fault sits on this instance");
    };
    let group: Vec<&EdgeView> =
        run.edges.iter().filter(|other| other.instance_of == edge.instance_of).collect();
    if group.len() < 2 {
        return Found::inconclusive(
            "no other edge is to an instance of the same dependency",
            "an edge for each instance, with the same `instance-of`",
        );
    }
    let is_well = |other: &&EdgeView| {
        other.name != edge.name
            && !other.hurt.iter().any(|other| other.from < hurt.to && hurt.from < other.to)
    };
    let others: Vec<&EdgeView> = group.iter().copied().filter(is_well).collect();
    if others.is_empty() {
        return Found::not_applicable("all instances were sick at once: there was none to go to");
    }
    if edge.blind {
        return Found::inconclusive(
            "refused connections leave no trace at the proxy: silence is no failover here",
            "use `reset` or `blackhole` instead of `refuse`",
        );
    }
    let calls = |of: &EdgeView, windows: &Windows| of.within(windows).count() as u64;
    let own = calls(edge, &run.baseline);
    let all = own + others.iter().map(|other| calls(other, &run.baseline)).sum::<u64>();
    let load_end = run.loads.iter().filter_map(|load| load.points.last()).map(|point| point.intended).max();
    let sick = Window { from: hurt.from, to: hurt.to.min(load_end.unwrap_or(run.last)) };
    let rate = own as f64 / run.baseline.length().max(1) as f64;
    let due = rate * sick.length() as f64;
    if due < FEWEST_DUE {
        return Found::inconclusive(
            format!("only {due:.0} calls were due on it while it was sick"),
            format!(
                "{FEWEST_DUE:.0} calls: a longer fault, a higher rate, or a fault on an instance that is called"
            ),
        );
    }
    let window = WINDOW.max((DUE / rate) as u64);
    if sick.length() < window {
        return Found::inconclusive(
            format!("it was sick for {} only", words::micros(sick.length() as f64)),
            format!("a fault of {} or longer", words::micros(2.0 * window as f64)),
        );
    }
    let turns = Turns::of(edge, &others, sick, own as f64 / all as f64);
    let baseline = wilson(Share { p: turns.share, n: all as f64 });
    let (met, made) = turns.count(0, u64::MAX);
    let counts: Vec<u64> = group.iter().map(|of| calls(of, &run.baseline)).collect();
    let mut found = params([
        ("share", Reading::share(own, all, Some((baseline.low, baseline.high)))),
        ("share-while-sick", Reading::share(met, made, None)),
    ]);
    if let Some(chance) = by_chance(&counts).filter(|_| counts.iter().all(|count| *count >= COMPARABLE)) {
        let text = if chance < 0.05 { "unequal" } else { "equal" };
        let weights = Reading::ratio(chance, None, all).says(format!("{text} (chi-square p {chance:.2})"));
        found.insert("weights".to_owned(), weights);
    }
    let users = Users::of(run, sick);
    let told = users.as_ref().map_or_else(String::new, |users| format!("; {}", users.told));
    let served = users.as_ref().is_some_and(|users| users.served);
    if let Some(users) = users {
        found.insert("success".to_owned(), users.success);
    }
    let before = words::percent(own, all);
    let pace = all as f64 / run.baseline.length().max(1) as f64;
    let Some(Out { at, calls, window }) = turns.out(sick, window) else {
        // What each instance gets of the usual: a breaker over all of them, or a full pool, goes to none.
        let usual = pace * sick.length() as f64;
        let (_, most) = poisson_limits(made);
        if most < usual * 0.5 {
            let text = format!(
                "the caller stops calling the other instances too: {made} calls where {usual:.0} are usual{told}"
            );
            return Found::absent(found, text);
        }
        let failed = edge.in_window(sick).iter().filter(|call| edge.is_failing(call)).count();
        if edge.harm == Harm::Slow && failed < 3 {
            return Found::not_applicable("calls were slow but succeeded: no reason to leave it");
        }
        let (least, _) = poisson_limits(met);
        if least > OUT * turns.share * made as f64 {
            // A caller that waits for long knows late: what it has not seen fail, it has no reason to leave.
            let early = sick.to - window;
            let known =
                edge.in_window(sick).iter().filter(|call| call.ended < early && edge.is_failing(call));
            let known = known.count();
            if known < KNOWN {
                return Found::undecided(
                    found,
                    format!(
                        "only {known} calls had failed on it {} before the end of the fault: too few to know that it is sick",
                        words::micros(window as f64)
                    ),
                    format!("a longer fault, so that {KNOWN} calls fail long before its end"),
                );
            }
            let text = format!(
                "stays in: {before} of the calls before, {} while it was sick{told}",
                words::percent(met, made)
            );
            return Found::absent(found, text);
        }
        return Found::undecided(
            found,
            format!(
                "its calls fell from {before} to {}, but in no window of {} or more to a fifth of its share with the whole \
                 interval",
                words::percent(met, made),
                words::micros(window as f64)
            ),
            "a higher rate or a longer fault",
        );
    };
    found.insert("window".to_owned(), Reading::time(window as f64, None, None, 1));
    let time = at.saturating_sub(sick.from) as f64;
    // Three calls that were due and did not come tell that it is out, with 95 %.
    let high = time + 3.0 / rate;
    found.insert("time".to_owned(), Reading::time(time, Some(time), Some(high), 1));
    found.insert("calls".to_owned(), Reading::count(calls, 1));
    let (residual, later) = turns.since(at);
    found.insert("residual".to_owned(), Reading::share(residual, later, None));
    // A breaker of its own that fails fast, or a pool of its own that is full, is silent too: then the others get no more than ever.
    let usual = pace * sick.to.saturating_sub(at) as f64;
    let (least, most) = poisson_limits(later);
    let between = usual * (1.0 - turns.share / 2.0);
    let counted = format!(
        "from {} on {later} calls on all instances where {usual:.0} are usual{told}",
        words::micros(time)
    );
    if most < between {
        return Found::absent(found, format!("its calls were dropped, not moved: {counted}"));
    }
    // More than when they are dropped: for sure, or by the likeliest number where users say the same.
    let moved = later as f64 > between && (served || least > usual * (1.0 - turns.share));
    if !moved {
        return Found::undecided(
            found,
            format!("its calls may have been dropped, not moved: {counted}"),
            "a higher rate or a longer fault",
        );
    }
    let after = Turns::of(edge, &others, Window { from: hurt.to, to: run.last }, turns.share);
    let back = after.back(run.last, ((DUE_BACK / rate) as u64).max(1_000_000));
    let back = back.map(|at| at.saturating_sub(hurt.to) as f64);
    let back_text = match back {
        Some(lag) => format!("back {} after the lift", words::micros(lag)),
        None => "not seen back after the lift".to_owned(),
    };
    if let Some(lag) = back {
        found.insert("back".to_owned(), Reading::time(lag, Some((lag - 3.0 / rate).max(0.0)), Some(lag), 1));
    }
    let text = format!(
        "out after {} ({}): {before} of the calls before, then {}; {back_text}{told}",
        words::plural(calls, "call"),
        words::micros(time),
        words::plural(residual, "call")
    );
    Found::present(found, text)
}

/// What users saw meanwhile: those of the load that lost most.
struct Users {
    success: Reading,
    /// No worse than before, with the whole interval.
    served: bool,
    told: String,
}

impl Users {
    fn of(run: &RunView<'_>, sick: Window) -> Option<Users> {
        let sick = Windows::union(vec![sick]);
        let drops = run.loads.iter().filter_map(|load| {
            let (base, during) = (successes(load.within(&run.baseline)), successes(load.within(&sick)));
            Some((newcombe(during.share()?, base.share()?), during))
        });
        let (drop, during) = drops.min_by(|one, other| one.0.low.total_cmp(&other.0.low))?;
        let answered = words::percent(during.good(), during.n());
        let served = drop.low > -MARGIN;
        let told = if served {
            format!("users are served all the same ({answered})")
        } else if drop.high < -MARGIN {
            format!("users notice: {answered} are answered")
        } else {
            format!("{answered} of users are answered, too few to tell whether they notice")
        };
        let interval = during.share().map(wilson).map(|interval| (interval.low, interval.high));
        Some(Users { success: Reading::share(during.good(), during.n(), interval), served, told })
    }
}

#[cfg(test)]
mod tests;
