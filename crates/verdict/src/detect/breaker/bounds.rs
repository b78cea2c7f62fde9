//! Between which two numbers a breaker's parameters lie, as far as an edge shows. What was seen is never taken for the setting itself:
//! calls are under way when it opens, and a try waits for the next user.

use crate::edge::{Call, EdgeView};
use crate::judgement::Reading;
use crate::phase::Window;
use crate::stats::poisson_quantile;
use crate::words;

/// A caller may know of a failure so much later than the proxy, in microseconds.
const KNOWN_LATE: u64 = 5_000;

/// How many calls fail until it opens. Some of them may have been under way when it did, so that it had seen fewer: it was closed when
/// the last call before the silence began, for all the failures in a row that it knew of, and so takes one more at least. It takes all
/// that failed at most, those too that were under way when the silence began. `others` are the calls a microsecond that no request asked
/// for, as a poller's: they count for no breaker.
pub(super) fn calls_to_open(edge: &EdgeView, first: Window, before: u64, others: f64) -> Reading {
    let stretch = edge.hurt.iter().find(|part| part.holds(first.from));
    let calls = edge.in_window(Window { from: 0, to: first.from.saturating_add(1) });
    let fails = |call: &&Call| !edge.is_good(call) && edge.hurt.holds(call.ended);
    let most = before + calls.iter().filter(|call| call.ended > first.from).filter(fails).count() as u64;
    let (Some(stretch), Some(last)) = (stretch, calls.last()) else { return counted(before, 1, most) };
    let mut known: Vec<&Call> = calls
        .iter()
        .filter(|call| stretch.holds(call.ended) && call.ended + KNOWN_LATE <= last.began)
        .collect();
    known.sort_unstable_by_key(|call| call.ended);
    let in_a_row: Vec<&&Call> = known.iter().rev().take_while(|call| !edge.is_good(call)).collect();
    let since = in_a_row.last().map_or(0, |call| last.began.saturating_sub(call.ended));
    // As many as may have come by chance.
    let of_others = poisson_quantile(0.975, others * since as f64);
    let least = (in_a_row.len() as u64 + 1).saturating_sub(of_others);
    counted(before, least.max(1), most)
}

fn counted(before: u64, least: u64, most: u64) -> Reading {
    let least = least.min(most);
    let text = if least == most { before.to_string() } else { format!("{before} [{least}, {most}]") };
    Reading { low: Some(least as f64), high: Some(most as f64), ..Reading::count(before, before) }.says(text)
}

/// How long no call is made between two tries: the shortest and the longest that was seen, from the lengths of whole silences between two
/// tries, and of the last one that no try ended, in microseconds. Where there is that alone, tries come no more often than that.
pub(super) fn half_open_every(between: &[f64], cut: Option<f64>) -> Option<Reading> {
    let mut sorted = between.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.last(), cut) {
        (Some(shortest), Some(longest), cut) => {
            let longest = cut.map_or(*longest, |cut| longest.max(cut));
            let middle = sorted[sorted.len() / 2];
            Some(Reading::time(middle, Some(*shortest), Some(longest), sorted.len() as u64))
        }
        (_, _, Some(cut)) => {
            let reading = Reading::time(cut, Some(cut), None, 0);
            Some(Reading { value: None, ..reading }.says(format!(">= {}", words::micros(cut))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Harm;
    use crate::phase::Windows;
    use murphy_core::{EdgeName, ExchangeEnd};

    const MS: u64 = 1_000;
    const SICK: Window = Window { from: 1_000 * MS, to: 60_000 * MS };

    fn call(began: u64, lasts: u64, end: ExchangeEnd) -> Call {
        let (began, ended) = (began * MS, (began + lasts) * MS);
        let answered = (end == ExchangeEnd::Answered).then_some(ended);
        Call { began, answered, ended, end, touched: true, answer: None, done_unknown: false, mark: None }
    }

    /// An edge of which calls are slow where they are answered, and the silence behind them.
    fn read(calls: Vec<Call>, others: f64) -> (Option<f64>, Option<f64>) {
        let from = calls.last().map_or(0, |call| call.ended);
        let edge = EdgeView {
            name: EdgeName::new("edge").unwrap(),
            from: None,
            instance_of: None,
            conns: Vec::new(),
            harm: Harm::Slow,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![SICK]),
            calls,
        };
        let before = edge.calls.iter().filter(|call| !edge.is_good(call) && call.ended <= from).count();
        let reading =
            calls_to_open(&edge, Window { from, to: from + 5_000 * MS }, before as u64, others / 1e6);
        (reading.low, reading.high)
    }

    fn failing(n: u64, every: u64, lasts: u64) -> Vec<Call> {
        (0..n).map(|n| call(2_000 + n * every, lasts, ExchangeEnd::GivenUp)).collect()
    }

    #[test]
    fn calls_that_fail_one_after_another_tell_how_many_it_takes() {
        assert_eq!(read(failing(5, 50, 10), 0.0), (Some(5.0), Some(5.0)));
        assert_eq!(read(failing(1, 50, 10), 0.0), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn calls_that_are_under_way_when_it_opens_leave_open_how_many_it_takes() {
        // It opens when the fifth is given up, 250 ms after its beginning; five more have begun by then.
        assert_eq!(read(failing(10, 50, 250), 0.0), (Some(5.0), Some(10.0)));
        // One that began before the last and ended after it.
        let mut calls = failing(4, 50, 10);
        calls.insert(3, call(2_145, 100, ExchangeEnd::Failed));
        assert_eq!(read(calls, 0.0), (Some(4.0), Some(5.0)));
    }

    #[test]
    fn a_good_answer_between_may_have_begun_the_count_anew() {
        let mut calls = failing(8, 50, 10);
        calls[3] = call(2_150, 10, ExchangeEnd::Answered);
        assert_eq!(read(calls, 0.0), (Some(4.0), Some(7.0)));
    }

    #[test]
    fn calls_of_a_poller_are_not_taken_for_those_that_it_counts() {
        // Eight within 0.4 s, of which a poller that asks ten times a second may have made most.
        let (low, high) = read(failing(8, 50, 10), 10.0);
        assert_eq!((low, high), (Some(1.0), Some(8.0)));
        let (low, _) = read(failing(8, 50, 10), 0.1);
        assert_eq!(low, Some(7.0));
    }

    #[test]
    fn tries_come_as_often_as_the_shortest_and_the_longest_silence_say() {
        let ends = |between: &[f64], cut| half_open_every(between, cut).map(|every| (every.low, every.high));
        assert_eq!(ends(&[2e6, 2.1e6, 2.05e6], Some(1e6)), Some((Some(2.0), Some(2.1))));
        // The last one, which no try ended, was longer than all of them.
        assert_eq!(ends(&[2e6], Some(4e6)), Some((Some(2.0), Some(4.0))));
        assert_eq!(ends(&[], Some(20e6)), Some((Some(20.0), None)));
        assert_eq!(half_open_every(&[], Some(20e6)).unwrap().text, ">= 20s");
        assert_eq!(ends(&[], None), None);
    }
}
