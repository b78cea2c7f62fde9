//! When are users served as before, and in which steps? (verdicts 2.14) The time itself is that of the expectation
//! `recovery`; here the steps are told apart: the dependency answers, errors end, latency is back.

use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::Reading;
use crate::phase::{LoadView, RunView};
use crate::rows::{Recovered, recovered, without_errors};
use crate::words;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let Some(lifted) = run.lifted else { return Found::not_applicable("no fault was lifted") };
    let n = load.within(&run.recovery).count() as u64;
    let mut found = params([]);
    let mut steps = Vec::new();
    let sick = run.edges.iter().filter(|edge| !edge.hurt.is_empty());
    if let Some(first) = sick.filter_map(|edge| first_answer(edge, lifted)).min() {
        found.insert("first-answer".to_owned(), Reading::time(first as f64, None, None, 1));
        steps.push(format!("the dependency answers after {}", words::micros(first as f64)));
    }
    if let Recovered::Within { low, high } = without_errors(run, load) {
        found.insert(
            "no-errors".to_owned(),
            Reading::time(high as f64, Some(low as f64), Some(high as f64), n),
        );
        if high > 0 {
            steps.push(format!("errors end after {}", words::micros(high as f64)));
        }
    }
    match recovered(run, load) {
        Recovered::Within { low, high } => {
            let time = Reading::time(high as f64, Some(low as f64), Some(high as f64), n);
            let text = match high {
                0 => "served as before at once".to_owned(),
                _ => format!("served as before after {}", time.text),
            };
            found.insert("time".to_owned(), time);
            let steps = if high == 0 || steps.is_empty() {
                String::new()
            } else {
                format!(" ({})", steps.join(", "))
            };
            Found::present(found, text + &steps)
        }
        Recovered::NotYet { last_bad, watched } => {
            found.insert("watched".to_owned(), Reading::time(watched as f64, None, None, n));
            let text = format!(
                "not served as before within {} (last bad window at {})",
                words::micros(watched as f64),
                words::micros(last_bad as f64)
            );
            // A run of good windows may just have begun.
            if last_bad + 5_000_000 > watched && last_bad + 1_500_000 < watched {
                return Found::inconclusive(text, "a longer recovery phase");
            }
            Found::absent(found, text)
        }
        Recovered::Unclear { watched, .. } => {
            found.insert("watched".to_owned(), Reading::time(watched as f64, None, None, n));
            Found::inconclusive(
                format!(
                    "in {} no five windows in a row are good, nor are they bad",
                    words::micros(watched as f64)
                ),
                "a longer baseline, which tells what is usual, a higher rate, or a calmer machine",
            )
        }
        Recovered::TooFew { windows, seconds } => Found::inconclusive(
            format!("bad in none of {}, five are needed", words::plural(windows as u64, "window")),
            format!("a recovery phase of {seconds}s or more, or a higher rate"),
        ),
        Recovered::Unknown(why) => Found::inconclusive(why, "a recovery phase with load"),
    }
}

/// From the lift to the end of the first call made after it that was answered well.
fn first_answer(edge: &EdgeView, lifted: u64) -> Option<u64> {
    let from = edge.calls.partition_point(|call| call.began < lifted);
    let good = edge.calls[from..].iter().filter(|call| !call.touched && edge.is_good(call));
    good.map(|call| call.ended - lifted).min()
}
