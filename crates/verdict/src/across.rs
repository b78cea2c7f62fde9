//! Which calls are those of requests that were in flight when the first fault was armed? They belong to no part of the run, and so nobody
//! in the baseline or in the fault made the calls that were made for them. Says nothing of how these requests were served.

use std::collections::BTreeSet;

use crate::detect::stands_by;
use crate::edge::{Call, EdgeView};
use crate::marked::Mark;
use crate::phase::{LoadView, Point, RunView, Window};

/// When requests began and ended, each in order, so that it is quickly told how many were under way.
struct UnderWay {
    begins: Vec<u64>,
    ends: Vec<u64>,
}

impl UnderWay {
    fn of<'a>(points: impl Iterator<Item = &'a Point>) -> UnderWay {
        let (mut begins, mut ends): (Vec<u64>, Vec<u64>) =
            points.filter_map(|point| Some((point.sent?, point.ended))).unzip();
        begins.sort_unstable();
        ends.sort_unstable();
        UnderWay { begins, ends }
    }

    /// At a moment; who ends then is under way still.
    fn at(&self, at: u64) -> usize {
        let over = self.ends.partition_point(|end| *end < at);
        self.begins.partition_point(|begin| *begin <= at).saturating_sub(over)
    }

    /// How many began in a stretch.
    fn begun(&self, window: Window) -> usize {
        let from = self.begins.partition_point(|begin| *begin < window.from);
        self.begins.partition_point(|begin| *begin < window.to).saturating_sub(from)
    }

    /// Just behind it.
    fn behind(&self, at: u64) -> usize {
        let over = self.ends.partition_point(|end| *end <= at);
        self.begins.partition_point(|begin| *begin <= at).saturating_sub(over)
    }
}

/// How much of a call is theirs that is made while others are under way as well.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    /// As many of them as they make in such a time while nobody else is.
    Paced(f64),
    /// As many as they have of the requests: they are hardly ever without others.
    OfRequests,
}

impl Share {
    fn of(calls: &[&Call], part: Window, theirs: &UnderWay, others: &UnderWay) -> Share {
        let mut times: Vec<u64> = [&theirs.begins, &theirs.ends, &others.begins, &others.ends]
            .into_iter()
            .flatten()
            .copied()
            .filter(|at| part.holds(*at))
            .chain([part.from, part.to])
            .collect();
        times.sort_unstable();
        let (mut by_themselves, mut beside) = (0.0, 0.0);
        for pair in times.windows(2) {
            let time = theirs.behind(pair[0]) as f64 * (pair[1] - pair[0]) as f64;
            *(if others.behind(pair[0]) == 0 { &mut by_themselves } else { &mut beside }) += time;
        }
        let count = |are_beside: bool| {
            let is_so =
                |call: &&&Call| theirs.at(call.began) > 0 && (others.at(call.began) > 0) == are_beside;
            calls.iter().filter(is_so).count() as f64
        };
        if by_themselves * 10.0 < beside || by_themselves <= 0.0 {
            return Share::OfRequests;
        }
        let due = count(false) / by_themselves * beside;
        Share::Paced((due / count(true).max(1.0)).min(1.0))
    }

    /// Of one call, made while so many of theirs are under way and so many others.
    fn at(self, theirs: usize, others: usize) -> f64 {
        match (theirs, others, self) {
            (0, _, _) => 0.0,
            (_, 0, _) => 1.0,
            (_, _, Share::Paced(share)) => share,
            (_, _, Share::OfRequests) => theirs as f64 / (theirs + others) as f64,
        }
    }
}

/// When calls began that are taken for theirs, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Across(Vec<u64>);

impl Across {
    /// A call is theirs if it says by its mark that it is a try of one that was begun before the fault, or if nobody else was under way
    /// when it was begun. Of the rest, which may be theirs or somebody else's, as many are as they make while nobody else is under way; where
    /// that hardly ever is, as many as they have of the requests. Never are they so many that others would have made fewer calls
    /// than as many requests usually do: who just waits in a hang makes none, whatever its share of the requests.
    pub fn of(run: &RunView<'_>, edge: &EdgeView) -> Across {
        let is_there = run.loads.iter().any(|load| !load.across.is_empty());
        let Some(armed) = run.first_armed().filter(|_| is_there && !edge.calls.is_empty()) else {
            return Across::default();
        };
        let callers: Vec<&LoadView> =
            run.loads.iter().filter(|load| stands_by(run, load, &[edge]) != Some(true)).collect();
        let theirs = UnderWay::of(callers.iter().flat_map(|load| &load.across));
        let others = UnderWay::of(callers.iter().flat_map(|load| &load.points));
        Across::shared(edge, armed, &theirs, &others)
    }

    fn shared(edge: &EdgeView, armed: u64, theirs: &UnderWay, others: &UnderWay) -> Across {
        let (Some(&from), Some(&to)) = (theirs.begins.first(), theirs.ends.last()) else {
            return Across::default();
        };
        let before = Window { from: 0, to: armed };
        let asked = theirs.begun(before) + others.begun(before);
        let usual = edge.in_window(before).len() as f64 / asked.max(1) as f64;
        let healthy = edge.in_window(Window { from, to: armed });
        let begun_before: BTreeSet<Mark> = healthy.iter().filter_map(|call| call.mark).collect();
        let mut found = Vec::new();
        // In health they call at another pace than in the fault.
        for part in [Window { from, to: armed }, Window { from: armed, to: to.saturating_add(1) }] {
            let is_marked = |call: &Call| {
                part.from == armed && call.mark.is_some_and(|mark| begun_before.contains(&mark))
            };
            let calls = edge.in_window(part);
            let (marked, untold): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(|call| is_marked(call));
            found.extend(marked.into_iter().map(|call| call.began));
            let share = Share::of(&untold, part, theirs, others);
            let of_others = usual * others.begun(part) as f64;
            // A count of calls: whole, and small.
            let most = (untold.len() as f64 - of_others).max(0.0).floor() as usize;
            let mut due = 0.0;
            found.extend(
                untold
                    .into_iter()
                    .map(|call| call.began)
                    .filter(|began| {
                        due += share.at(theirs.at(*began), others.at(*began));
                        // A sum of shares may fall short of a whole by what is lost in rounding.
                        let is_due = due > 1.0 - 1e-9;
                        due -= f64::from(u8::from(is_due));
                        is_due
                    })
                    .take(most),
            );
        }
        found.sort_unstable();
        Across(found)
    }

    /// How many of them began in a stretch.
    pub fn within(&self, window: Window) -> u64 {
        let from = self.0.partition_point(|began| *began < window.from);
        let to = self.0.partition_point(|began| *began < window.to);
        to.saturating_sub(from) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Harm;
    use crate::phase::Windows;
    use murphy_core::{EdgeName, ExchangeEnd};

    const ARMED: u64 = 10_000;

    fn edge(begins: impl IntoIterator<Item = u64>) -> EdgeView {
        let call = |began| Call {
            began,
            answered: None,
            ended: began + 5,
            end: ExchangeEnd::Failed,
            touched: began >= ARMED,
            answer: None,
            done_unknown: false,
            mark: None,
        };
        EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: begins.into_iter().map(call).collect(),
            conns: Vec::new(),
            harm: Harm::Error,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![Window { from: ARMED, to: 90_000 }]),
        }
    }

    fn under_way(lives: &[(u64, u64)]) -> UnderWay {
        let (begins, ends) = lives.iter().copied().unzip();
        UnderWay { begins, ends }
    }

    #[test]
    fn a_call_while_nobody_else_is_under_way_is_theirs() {
        let edge = edge([9_000, 9_600, 11_000, 12_000, 20_000]);
        let others = under_way(&[(8_900, 9_100), (19_900, 20_100)]);
        let across = Across::shared(&edge, ARMED, &under_way(&[(9_500, 12_500)]), &others);
        assert_eq!(across, Across(vec![9_600, 11_000, 12_000]));
        assert_eq!(across.within(Window { from: ARMED, to: 90_000 }), 2);
    }

    #[test]
    fn who_calls_beside_others_does_so_as_often_as_by_itself() {
        // Theirs call every 100; somebody else lives for 10 of each 1000, and makes a call of its own.
        let own = (0..200).map(|n| ARMED + n * 100 + 50);
        let lives: Vec<(u64, u64)> = (0..20).map(|n| (ARMED + n * 1_000, ARMED + n * 1_000 + 10)).collect();
        let mut begins: Vec<u64> = own.chain(lives.iter().map(|life| life.0 + 2)).collect();
        begins.sort_unstable();
        let across = Across::shared(&edge(begins), ARMED, &under_way(&[(9_500, 30_000)]), &under_way(&lives));
        let theirs = across.within(Window { from: ARMED, to: 90_000 });
        assert!((200..=203).contains(&theirs), "{theirs}");
    }

    #[test]
    fn requests_that_only_wait_in_a_hang_are_given_no_call_that_others_begin_with() {
        // One call a request, before and behind the fault; those from before are under way for long and call no more.
        let every = |from: u64| (0..40).map(move |n| from + n * 200);
        let others: Vec<(u64, u64)> = every(2_000).chain(every(ARMED)).map(|at| (at, at + 5_000)).collect();
        let theirs: Vec<(u64, u64)> = (0..10).map(|n| (9_000 + n * 100, 20_000)).collect();
        let begins = others.iter().chain(&theirs).map(|life| life.0 + 10);
        let mut begins: Vec<u64> = begins.collect();
        begins.sort_unstable();
        let across = Across::shared(&edge(begins), ARMED, &under_way(&theirs), &under_way(&others));
        assert_eq!(across.within(Window { from: ARMED, to: 90_000 }), 0);
    }

    #[test]
    fn of_calls_that_may_be_anybodys_theirs_are_as_many_as_their_share_of_requests() {
        // One of theirs and three others, under way all the time.
        let edge = edge((0..80).map(|n| ARMED + n * 100));
        let others = under_way(&[(9_900, 30_000); 3]);
        let across = Across::shared(&edge, ARMED, &under_way(&[(9_500, 30_000)]), &others);
        assert_eq!(across.within(Window { from: ARMED, to: 90_000 }), 20);
        assert_eq!(Across::shared(&edge, ARMED, &under_way(&[]), &others), Across::default());
    }
}
