//! How long until users are served as before, once the last fault is lifted? (verdicts 2.14) The row holds the slowest load against
//! the bound. Where the sender was late, latency must not fail it; only errors may.

mod windows;

use murphy_core::{Answer, LoadName, Span};

use windows::{LENGTH, SUSTAINED};

pub(crate) use windows::{Recovered, recovered, restored, without_errors};

use super::{Case, Draft};
use crate::judgement::{GateId, Reading, RowKind};
use crate::phase::LoadView;
use crate::words;

pub(super) fn row(case: &Case<'_>, only: Option<&LoadName>, at_most: Span, want: &str) -> Draft {
    let label = only.map_or_else(|| "recovery".to_owned(), |load| format!("{load} recovery"));
    let mut draft = Draft::new(
        RowKind::Recovery,
        label,
        "from the acknowledged lift to the first of 5 windows in a row (20 requests and 1s or more each), none of them bad, with \
         success within 5 points and p95 of the five within 1.5 times (or 20ms) of the baseline, or within its worst window; the \
         slowest load counts",
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
        Recovered::Unclear { last_bad, watched } => {
            draft.after =
                Some(Reading::time(watched as f64, last_bad.map(|bad| bad as f64), None, n).says("unclear"));
            let draft = match last_bad {
                Some(bad) if bad > bound => {
                    draft.fail(format!("want {want}; still bad {}{several}", words::micros(bad as f64)))
                }
                _ => draft.open(
                    format!(
                        "in {} no {SUSTAINED} windows in a row are good, nor are they bad{several}",
                        words::micros(watched as f64)
                    ),
                    "a longer baseline, which tells what is usual, a higher rate, or a calmer machine",
                ),
            };
            (watched, draft)
        }
        Recovered::TooFew { windows, seconds } => {
            let draft = draft.open(
                format!(
                    "bad in none of {}, {SUSTAINED} are needed{several}",
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
    match without_errors(case.run, load) {
        Recovered::Within { low, .. } => low > bound,
        Recovered::NotYet { last_bad, .. } => last_bad > bound,
        Recovered::Unclear { last_bad, .. } => last_bad.is_some_and(|bad| bad > bound),
        Recovered::TooFew { .. } | Recovered::Unknown(_) => false,
    }
}
