//! How soon does a user get any answer at all, an error included, whom the fault denies the usual one? (verdicts 2.8) Whoever is
//! served from the source in time tells nothing of that: a cache, or a fault that missed most users, is no failing fast.
//!
//! A request is judged only if the fault was in the world for the whole deadline from its intended time on. So none is cut
//! short by the lift, and what the lift answers was not answered in time.

use std::collections::BTreeMap;

use murphy_core::SampleOutcome;

use super::{Found, params};
use crate::judgement::Reading;
use crate::phase::{LoadView, Point, RunView, Windows};
use crate::rows::{latency_of, latency_reading};
use crate::stats::{Estimate, Share, fewest_for_upper, quantile, wilson};
use crate::words;

/// What is allowed beyond the usual p99 where nobody has said what is soon.
const GRACE: u64 = 2_000_000;
/// The share that may be left without any answer.
const MOST_HUNG: f64 = 0.01;

/// When a request began for its user.
pub(crate) fn intended(point: &Point) -> u64 {
    point.intended
}

/// When a request began on the wire: for a sender that was late.
pub(crate) fn sent(point: &Point) -> u64 {
    point.sent.unwrap_or(point.intended)
}

/// Requests of a load that could be followed for a whole deadline within their fault. Times are in microseconds; `true` marks one
/// that had no answer by that age.
pub(crate) struct Followed {
    deadline: u64,
    all: u64,
    /// Time to any answer, of those that were not served from the source within the deadline.
    waits: Vec<(u64, bool)>,
    /// How many of these could not connect.
    refused: u64,
    errors: Vec<(u64, bool)>,
    answers: Vec<(u64, bool)>,
}

/// How the time to any answer lies to the deadline.
pub(crate) enum Pace {
    /// All but so few as chance makes were served as before, and these were answered in time.
    Spared,
    /// Within it.
    Within,
    /// Beyond it.
    Beyond,
    /// Could be either way.
    Unclear { why: String, settle: String },
}

impl Followed {
    pub fn of(load: &LoadView, windows: &Windows, deadline: u64, began: fn(&Point) -> u64) -> Followed {
        let mut followed = Followed {
            deadline,
            all: 0,
            waits: Vec::new(),
            refused: 0,
            errors: Vec::new(),
            answers: Vec::new(),
        };
        for point in load.within(windows) {
            let began = began(point);
            let Some(window) = windows.iter().find(|window| window.holds(point.intended)) else { continue };
            let most = window.to.saturating_sub(began);
            if most >= deadline {
                followed.take(point, point.ended.saturating_sub(began), most);
            }
        }
        followed
    }

    /// Takes in a request that ended after `wait`, of which no more than `most` was within the fault.
    fn take(&mut self, point: &Point, wait: u64, most: u64) {
        self.all += 1;
        let is_open = point.is_censored() || wait >= most;
        let wait = (wait.min(most), is_open);
        if !is_open {
            let times = if point.is_ok() { &mut self.answers } else { &mut self.errors };
            times.push(wait);
        }
        if is_open || !point.is_fresh() || wait.0 > self.deadline {
            self.waits.push(wait);
            self.refused += u64::from(point.outcome == SampleOutcome::Connect);
        }
    }

    /// Those that were not served as before.
    pub fn n(&self) -> u64 {
        self.waits.len() as u64
    }

    /// Those of them that had no answer in time.
    fn late(&self) -> u64 {
        self.waits.iter().filter(|wait| wait.0 > self.deadline || self.is_hung(wait)).count() as u64
    }

    fn hung(&self) -> u64 {
        self.waits.iter().filter(|wait| self.is_hung(wait)).count() as u64
    }

    /// True if it was still without an answer at the deadline, and for as long as it could be seen.
    fn is_hung(&self, wait: &(u64, bool)) -> bool {
        wait.1 && wait.0 >= self.deadline
    }

    /// The highest quantile that so many requests can bound: p99, or p95.
    fn quantile(&self) -> (&'static str, f64) {
        if self.n() >= fewest_for_upper(0.99) { ("p99", 0.99) } else { ("p95", 0.95) }
    }

    fn estimate(&self) -> Option<Estimate> {
        quantile(&self.waits, self.quantile().1)
    }

    /// Time to any answer, as it stands in a table; `None` if all were served as before.
    pub fn reading(&self) -> Option<Reading> {
        self.estimate().map(latency_reading)
    }

    /// Who waited, in words.
    pub fn waited(&self) -> String {
        format!(
            "{} of {} not served as before had no answer within {}",
            self.late(),
            words::plural(self.n(), "user"),
            words::micros(self.deadline as f64)
        )
    }

    /// Where the time to any answer lies.
    pub fn pace(&self) -> Pace {
        let (n, fewest) = (self.n(), fewest_for_upper(0.95));
        let deadline = words::micros(self.deadline as f64);
        let unclear = |why: String, settle: String| Pace::Unclear { why, settle };
        if self.all < fewest {
            return unclear(
                format!(
                    "only {} could be followed for {deadline} of a fault",
                    words::plural(self.all, "request")
                ),
                format!("a fault that is much longer than {deadline}, or a higher rate"),
            );
        }
        if self.refused * 2 > n {
            return unclear(
                format!("{} of {n} users could not connect: that is no answer of the service", self.refused),
                "a service that runs while its dependency is sick".to_owned(),
            );
        }
        if n * 20 <= self.all && self.late() == 0 && !self.waits.iter().any(|wait| wait.1) {
            return Pace::Spared;
        }
        if n < fewest {
            return unclear(
                format!("only {n} of {} requests were not served as before", self.all),
                format!("{fewest} of them: a fault that hurts more users, a longer one, or a higher rate"),
            );
        }
        let Some(estimate) = self.estimate() else { return Pace::Spared };
        let hung = self.hung();
        let share = Share { p: hung as f64 / n as f64, n: n as f64 };
        let bound = self.deadline as f64;
        if estimate.low.is_some_and(|low| low > bound) || wilson(share).low > MOST_HUNG {
            return Pace::Beyond;
        }
        let in_time = estimate.high.is_some_and(|high| high <= bound);
        let left = self.waits.iter().filter(|wait| wait.1 && wait.0 < self.deadline).count() as u64;
        if in_time && (hung + left) as f64 <= n as f64 * MOST_HUNG {
            return Pace::Within;
        }
        if left > 0 && (!in_time || share.p <= MOST_HUNG) {
            return unclear(
                format!("{left} of {n} users left before {deadline}, without an answer"),
                format!("users with more patience: a `timeout` of the load above {deadline}"),
            );
        }
        let name = self.quantile().0;
        let why = if in_time {
            format!("{hung} of {n} users had no answer within {deadline}: that may be 1% or less")
        } else {
            format!("{name} {} straddles {deadline}", latency_reading(estimate).text)
        };
        unclear(
            why,
            format!("more than {n} users whom the fault hurts: the interval shrinks with their root"),
        )
    }

    /// What was measured. Errors stand apart from answers, for fast errors make all look fast.
    fn params(&self) -> BTreeMap<String, Reading> {
        let hung = self.hung();
        let mut found = params([("deadline", Reading::time(self.deadline as f64, None, None, self.all))]);
        if let Some(reading) = self.reading() {
            let interval = wilson(Share { p: hung as f64 / self.n() as f64, n: self.n() as f64 });
            found.insert(self.quantile().0.to_owned(), reading);
            found.insert(
                "unanswered".to_owned(),
                Reading::share(hung, self.n(), Some((interval.low, interval.high))),
            );
        }
        for (name, times) in [("errors-p95", &self.errors), ("answers-p95", &self.answers)] {
            if let Some(estimate) = quantile(times, 0.95) {
                found.insert(name.to_owned(), latency_reading(estimate));
            }
        }
        found
    }
}

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    if run.first_armed().is_none() {
        return Found::not_applicable("nothing was broken");
    }
    let usual = latency_of(load, &run.baseline, 0.99).map_or(0, |usual| usual.value as u64);
    let followed = Followed::of(load, &run.during, GRACE + usual, intended);
    let found = followed.params();
    match followed.pace() {
        Pace::Spared => Found::not_applicable(format!(
            "users were served as before: {} of {} were not",
            followed.n(),
            words::plural(followed.all, "request")
        )),
        Pace::Within if run.crashes().next().is_some() => Found::undecided(
            found,
            "a service ended by itself: whoever is dead refuses at once",
            "a run in which that does not happen",
        ),
        Pace::Within => {
            let time = followed.reading().map_or_else(String::new, |reading| reading.text);
            let text = format!(
                "an answer within {time} ({}) for {} not served as before",
                followed.quantile().0,
                words::plural(followed.n(), "user")
            );
            Found::present(found, text)
        }
        Pace::Beyond => Found::absent(found, followed.waited()),
        Pace::Unclear { why, settle } => Found::undecided(found, why, settle),
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::Served;

    use super::*;
    use crate::phase::Window;

    const MILLI: u64 = 1_000;
    const SECOND: u64 = 1_000_000;

    /// How the nth request fares: its outcome, and after how long.
    type Fate = fn(u64) -> (SampleOutcome, u64);

    /// A fault of so many seconds, with 40 requests in each.
    fn followed(seconds: u64, deadline: u64, fate: Fate) -> Followed {
        let points = (0..seconds * 40).map(|n| {
            let intended = n * SECOND / 40;
            let (outcome, wait) = fate(n);
            Point {
                n,
                intended,
                sent: Some(intended),
                ended: intended + wait,
                outcome,
                status: None,
                served: Served::Fresh,
                age: None,
                retry_after: None,
            }
        });
        let load = LoadView {
            name: "browse".parse().expect("a name"),
            timeout: None,
            rate: None,
            points: points.collect(),
            across: Vec::new(),
            dropped: 0,
            sent: 0,
            planned: None,
            again: Vec::new(),
            missing: 0,
            ledger: None,
        };
        let windows = Windows::union(vec![Window { from: 0, to: seconds * SECOND }]);
        Followed::of(&load, &windows, deadline, intended)
    }

    fn error_after(wait: u64) -> (SampleOutcome, u64) {
        (SampleOutcome::Status, wait)
    }

    #[test]
    fn errors_that_come_before_the_deadline_are_failing_fast() {
        let fast = followed(12, 2 * SECOND, |n| error_after((400 + n % 50) * MILLI));
        assert!(matches!(fast.pace(), Pace::Within));
        // Ten seconds could be followed, in which there are 400 and one at the very end.
        assert_eq!((fast.all, fast.n(), fast.quantile().0), (401, 401, "p99"));
        let found = fast.params();
        assert_eq!(found["unanswered"].good, Some(0));
        assert!(found["errors-p95"].value.is_some_and(|p95| (0.44..0.45).contains(&p95)));
        assert!(!found.contains_key("answers-p95"), "nobody was answered well");
    }

    #[test]
    fn who_is_answered_only_by_the_lift_was_not_answered() {
        // Each request ends half a second after the lift of its fault, and well.
        let hang = followed(12, 2 * SECOND, |n| (SampleOutcome::Ok, 12_500 * MILLI - n * SECOND / 40));
        assert!(matches!(hang.pace(), Pace::Beyond));
        assert_eq!(hang.waited(), "401 of 401 users not served as before had no answer within 2s");
    }

    #[test]
    fn one_in_twenty_that_hangs_is_not_made_up_for_by_fast_errors() {
        let fate = |n: u64| {
            if n.is_multiple_of(20) { (SampleOutcome::Timeout, 5 * SECOND) } else { error_after(MILLI) }
        };
        assert!(matches!(followed(12, 2 * SECOND, fate).pace(), Pace::Beyond));
        // With p95 alone it would be in time.
        let few = followed(8, 2 * SECOND, |n| match n % 80 {
            0 => (SampleOutcome::Timeout, 5 * SECOND),
            _ => error_after(MILLI),
        });
        assert_eq!((few.n(), few.hung(), few.quantile().0), (241, 4, "p95"));
        assert!(few.estimate().and_then(|p95| p95.high).is_some_and(|high| high <= 2e6));
        assert!(matches!(few.pace(), Pace::Unclear { ref why, .. } if why.contains("1% or less")));
    }

    #[test]
    fn good_answers_of_those_who_were_missed_do_not_count() {
        let cached = |n: u64| {
            if n.is_multiple_of(20) {
                (SampleOutcome::Timeout, 5 * SECOND)
            } else {
                (SampleOutcome::Ok, MILLI)
            }
        };
        let few = followed(12, 2 * SECOND, cached);
        assert_eq!(few.n(), 21);
        assert!(matches!(few.pace(), Pace::Unclear { ref why, .. } if why.starts_with("only 21 of 401")));
        let nobody = followed(12, 2 * SECOND, |n| (SampleOutcome::Ok, (1 + n % 800) * MILLI));
        assert!(matches!(nobody.pace(), Pace::Spared));
    }

    #[test]
    fn users_who_leave_before_the_deadline_tell_nothing() {
        let left = followed(12, 2 * SECOND, |_| (SampleOutcome::Timeout, SECOND));
        assert!(matches!(left.pace(), Pace::Unclear { ref why, .. } if why.contains("left before 2s")));
        // So few that p95 does not see them: they may have been more than one in a hundred who would wait for ever.
        let few = followed(8, 2 * SECOND, |n| match n % 80 {
            0 => (SampleOutcome::Timeout, SECOND),
            _ => error_after(MILLI),
        });
        assert!(few.estimate().and_then(|p95| p95.high).is_some_and(|high| high <= 2e6));
        assert!(
            matches!(few.pace(), Pace::Unclear { ref why, .. } if why.starts_with("4 of 241 users left"))
        );
    }

    #[test]
    fn where_nobody_listens_no_service_answers() {
        let dead = followed(12, 2 * SECOND, |_| (SampleOutcome::Connect, MILLI));
        assert!(matches!(dead.pace(), Pace::Unclear { ref why, .. } if why.contains("could not connect")));
    }

    #[test]
    fn a_fault_that_is_hardly_longer_than_the_deadline_is_too_short() {
        let short = followed(3, 2 * SECOND, |_| error_after(MILLI));
        assert!(matches!(short.pace(), Pace::Unclear { ref why, .. } if why.starts_with("only 41 requests")));
    }
}
