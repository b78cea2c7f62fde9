//! A probe that must be good: always, or in one part of the run. What was never good cannot be blamed on a fault, so what
//! is bad in the baseline decides nothing.

use murphy_core::{ProbeName, RunPart, Span};

use super::{Case, Draft};
use crate::judgement::{Reading, RowKind};
use crate::phase::{ProbeAnswer, RunView, Window, Windows};
use crate::words;

/// In microseconds: no probe tells apart what is sooner than this.
const AT_ONCE: u64 = 100_000;

/// The answers of one probe.
struct Answers<'a> {
    case: &'a Case<'a>,
    all: &'a [ProbeAnswer],
}

impl<'a> Answers<'a> {
    fn of(case: &'a Case<'a>, name: &ProbeName) -> Answers<'a> {
        Answers { case, all: case.run.probes.get(name.as_str()).map_or(&[], Vec::as_slice) }
    }

    /// A question that any of the faults found open is that fault's.
    fn when(&self, answer: &ProbeAnswer) -> u64 {
        let run = self.case.run;
        if run.during.holds(answer.asked) {
            return answer.asked;
        }
        let next =
            run.faults.iter().filter_map(|fault| fault.armed).filter(|armed| *armed > answer.asked).min();
        answer.counts_at(next)
    }

    fn within(&self, windows: &'a Windows) -> impl Iterator<Item = &'a ProbeAnswer> {
        self.all.iter().filter(move |answer| windows.holds(self.when(answer)))
    }

    fn bad_in(&self, windows: &'a Windows) -> Option<&'a ProbeAnswer> {
        self.within(windows).find(|answer| !answer.ok)
    }

    fn read(&self, windows: &'a Windows) -> Option<Reading> {
        let (asked, good) =
            self.within(windows).fold((0, 0), |(all, good), answer| (all + 1, good + u64::from(answer.ok)));
        (asked > 0).then(|| Reading::share(good, asked, None))
    }

    /// What was seen in each part of the run.
    fn shown(&self, mut draft: Draft) -> Draft {
        draft.baseline = self.read(&self.case.run.baseline);
        draft.during = self.read(&self.case.run.during);
        draft.after = self.read(&self.case.run.recovery);
        draft
    }
}

/// From the first fault to the end of the recovery, what lies between two faults included.
fn since_the_fault(run: &RunView<'_>) -> Windows {
    let parts = || run.during.iter().chain(run.recovery.iter());
    let from = parts().map(|part| part.from).min();
    let to = parts().map(|part| part.to).max();
    Windows::union(from.zip(to).map(|(from, to)| Window { from, to }).into_iter().collect())
}

pub(super) fn always(case: &Case<'_>, name: &ProbeName, want: &str) -> Draft {
    let answers = Answers::of(case, name);
    let draft = answers.shown(Draft::new(
        RowKind::Always,
        format!("{name} always"),
        "pass if every answer in baseline, fault and recovery is good, fail at the first that is not",
    ));
    if let Some(bad) = answers.bad_in(&case.run.baseline) {
        return never_good(draft, bad);
    }
    let later = since_the_fault(case.run);
    if let Some(bad) = answers.bad_in(&later) {
        let (began, what) = trouble(case.run);
        return draft.fail(bad_since(began, what, answers.when(bad), bad));
    }
    if draft.during.is_none() {
        return draft.open("never asked during the fault", "a shorter `every`");
    }
    draft.pass(if want.is_empty() { "always" } else { want })
}

/// `before: good`, `during: good`, `after: good within 5s`.
pub(super) fn good(case: &Case<'_>, name: &ProbeName, part: RunPart, grace: Span, want: &str) -> Draft {
    let answers = Answers::of(case, name);
    let rule = match part {
        RunPart::Before => "pass if every answer in the baseline is good; a bad one is no fault's",
        RunPart::During => {
            "pass if every answer while a fault is in the world is good, fail at the first that is not"
        }
        RunPart::After => {
            "pass if every answer is good to what is asked once the last fault is lifted and the time that is given is over, fail \
             at the first that is not"
        }
    };
    let draft = answers.shown(Draft::new(RowKind::Good, format!("{name} {}", part.name()), rule));
    if let Some(bad) = answers.bad_in(&case.run.baseline) {
        return never_good(draft, bad);
    }
    let run = case.run;
    let (windows, began, what) = match part {
        RunPart::Before => (&run.baseline, None, ""),
        RunPart::During => {
            let (began, what) = trouble(run);
            (&run.during, began, what)
        }
        // Of a control run there is no lift, but the recovery begins all the same.
        RunPart::After => (&run.recovery, run.recovery.iter().map(|window| window.from).min(), "the lift"),
    };
    let from = began.unwrap_or(0).saturating_add(grace.as_micros());
    let asked: Vec<&ProbeAnswer> =
        answers.within(windows).filter(|answer| answers.when(answer) >= from).collect();
    match asked.iter().find(|answer| !answer.ok) {
        Some(bad) => draft.fail(bad_since(began, what, answers.when(bad), bad)),
        None if asked.is_empty() => {
            draft.open(format!("never asked {}", part.name()), "a shorter `every`, or a longer phase")
        }
        None => draft.pass(want),
    }
}

/// When trouble began, and what it was: of a load that is raised only where nothing was broken.
fn trouble(run: &RunView<'_>) -> (Option<u64>, &'static str) {
    match run.first_armed() {
        Some(armed) => (Some(armed), "the fault"),
        None => (run.trouble(), "the load was raised"),
    }
}

fn never_good(draft: Draft, bad: &ProbeAnswer) -> Draft {
    draft.open(
        format!("bad before any fault: {}", words::cut(&bad.saw, 40)),
        "mend the probe or the service first",
    )
}

/// `bad 3s after the fault: 503`.
fn bad_since(began: Option<u64>, what: &str, when: u64, bad: &ProbeAnswer) -> String {
    let since = began.map_or(0, |began| when.saturating_sub(began));
    let when = match since {
        0..AT_ONCE => "at once".to_owned(),
        _ => format!("{} after {what}", words::micros(since as f64)),
    };
    format!("bad {when}: {}", words::cut(&bad.saw, 40))
}
