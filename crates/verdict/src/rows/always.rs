//! A probe that must be good in every phase.

use murphy_core::ProbeName;

use super::{Case, Draft};
use crate::judgement::{Reading, RowKind};
use crate::phase::{ProbeAnswer, Windows};
use crate::words;

/// In microseconds: no probe tells apart what is sooner than this.
const AT_ONCE: u64 = 100_000;

pub(super) fn row(case: &Case<'_>, name: &ProbeName, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Always,
        format!("{name} always"),
        "pass if every answer in baseline, fault and recovery is good, fail at the first that is not",
    );
    let none = Vec::new();
    let answers = case.run.probes.get(name.as_str()).unwrap_or(&none);
    let when = |answer: &ProbeAnswer| answer.counts_at(case.run.first_armed());
    let read = |windows: &Windows| {
        let asked: Vec<&ProbeAnswer> = answers.iter().filter(|answer| windows.holds(when(answer))).collect();
        let good = asked.iter().filter(|answer| answer.ok).count() as u64;
        (!asked.is_empty()).then(|| Reading::share(good, asked.len() as u64, None))
    };
    draft.baseline = read(&case.run.baseline);
    draft.during = read(&case.run.during);
    draft.after = read(&case.run.recovery);
    let bad_in = |windows: &Windows| answers.iter().find(|answer| !answer.ok && windows.holds(when(answer)));
    if let Some(bad) = bad_in(&case.run.baseline) {
        return draft.open(
            format!("bad before any fault: {}", words::cut(&bad.saw, 40)),
            "mend the probe or the service first",
        );
    }
    let later = [&case.run.during, &case.run.recovery];
    if let Some(bad) = later.iter().filter_map(|windows| bad_in(windows)).min_by_key(|bad| bad.asked) {
        let since = case.run.first_armed().map_or(0, |armed| when(bad).saturating_sub(armed));
        let when = match since {
            0..AT_ONCE => "at once".to_owned(),
            _ => format!("{} after the fault", words::micros(since as f64)),
        };
        return draft.fail(format!("bad {when}: {}", words::cut(&bad.saw, 40)));
    }
    if draft.during.is_none() {
        return draft.open("never asked during the fault", "a shorter `every`");
    }
    draft.pass(if want.is_empty() { "always" } else { want })
}
