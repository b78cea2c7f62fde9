//! Does a health check follow the dependency? (verdicts 2.11) A readiness check of a hard dependency should; a liveness check
//! never should. Which of the two a probe is, and which dependency is hard, is the author's to say; here is only what the
//! probe did: whether it changed, how late, how often, and whether it hung.

use super::{Found, params};
use crate::judgement::Reading;
use crate::phase::{ProbeAnswer, RunView, Window};
use crate::words;

/// Answers of one kind, one after another, that make a state.
pub(super) const IN_A_ROW: usize = 3;
/// A check that takes longer hangs with its dependency.
const HANGS: u64 = 1_000_000;

pub(super) fn detect(run: &RunView<'_>, answers: &[ProbeAnswer]) -> Found {
    let Some(armed) = run.first_armed() else { return Found::not_applicable("nothing was broken") };
    let end = run.during.iter().map(|window| window.to).max().unwrap_or(armed);
    let when = |answer: &ProbeAnswer| answer.counts_at(Some(armed));
    let within = |window: Window| -> Vec<&ProbeAnswer> {
        answers.iter().filter(|answer| window.holds(when(answer))).collect()
    };
    let before: Vec<&ProbeAnswer> =
        answers.iter().filter(|answer| run.baseline.holds(when(answer))).collect();
    if before.len() < IN_A_ROW || before.iter().any(|answer| !answer.ok) {
        return Found::inconclusive(
            "not well before the fault, or not asked often enough",
            "a baseline in which every answer is good",
        );
    }
    let during = within(Window { from: armed, to: end });
    if during.len() < IN_A_ROW {
        return Found::inconclusive(
            format!("asked {} during the fault", words::plural(during.len() as u64, "time")),
            "a longer fault or a shorter `every`",
        );
    }
    let n = during.len() as u64;
    let bad = during.iter().filter(|answer| !answer.ok).count() as u64;
    let slow =
        during.iter().filter(|answer| answer.ended.saturating_sub(answer.asked) >= HANGS).count() as u64;
    let flips = during.windows(2).filter(|pair| pair[0].ok != pair[1].ok).count() as u64;
    let mut found = params([
        ("bad", Reading::share(bad, n, None)),
        ("slow", Reading::share(slow, n, None)),
        ("changes", Reading::count(flips, n)),
    ]);
    let hung = if slow > 0 { format!("; {slow} of {n} answers took 1s or more") } else { String::new() };
    let Some(first) = in_a_row(&during, false) else {
        if bad == 0 {
            return Found::absent(found, format!("stays good through the fault ({n} answers){hung}"));
        }
        return Found::inconclusive(
            format!("bad {bad} times of {n}, never {IN_A_ROW} times in a row{hung}"),
            "a longer fault or a shorter `every`",
        );
    };
    let lag = during[first].ended.saturating_sub(armed);
    found.insert("lag".to_owned(), Reading::time(lag as f64, None, None, 1));
    let mut text = format!("turns bad {} after the fault", words::micros(lag as f64));
    let after = within(Window { from: end, to: u64::MAX });
    match in_a_row(&after, true) {
        Some(first) => {
            let back = after[first].asked.saturating_sub(end);
            found.insert("back".to_owned(), Reading::time(back as f64, None, None, 1));
            text += &format!(", good again {} after the lift", words::micros(back as f64));
        }
        None => text += ", not seen good again",
    }
    if flips > 2 {
        text += &format!(", changes its mind {flips} times meanwhile");
    }
    Found::present(found, text + &hung)
}

/// Where the first state of that kind begins.
pub(super) fn in_a_row(answers: &[&ProbeAnswer], ok: bool) -> Option<usize> {
    answers.windows(IN_A_ROW).position(|run| run.iter().all(|answer| answer.ok == ok))
}
