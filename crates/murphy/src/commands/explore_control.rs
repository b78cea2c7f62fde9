//! Runs with nothing broken: at the beginning of an exploration, without which no trouble could be laid to a fault, and at its end, which
//! says whether all is still as it was. Pure.

use murphy_report::Closing;
use murphy_verdict::{Gate, GateId, Judgement, RunEnd, Traffic, drift};

use crate::exit::Exit;

/// Why a run with nothing broken is nothing to hold others against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoControl {
    /// It shows nothing: it was cut short, did not come about, or somebody had a hand in it.
    Void(String),
    /// It shows that users are not served well.
    Unwell(String),
}

impl NoControl {
    /// In words.
    pub fn why(self) -> String {
        let (NoControl::Void(why) | NoControl::Unwell(why)) = self;
        why
    }
}

/// Why a run with nothing broken does not show that users are served well.
pub fn unwell(judgement: &Judgement) -> Option<NoControl> {
    let told = |why: String| format!("users were not seen to be served well with nothing broken: {why}");
    if let RunEnd::Aborted { rule } = &judgement.run.end {
        return Some(NoControl::Unwell(told(format!("abort-if {rule}"))));
    }
    let failed = |id| judgement.gate(id).filter(|gate| !gate.holds);
    let why = |gate: &Gate| told(format!("{}; {}", gate.text, gate.mend));
    // How users fared under somebody's hand is not how they fare.
    let steered = failed(GateId::HandsOff).map(|gate| NoControl::Void(why(gate)));
    steered.or_else(|| failed(GateId::BaselineHealthy).map(|gate| NoControl::Unwell(why(gate))))
}

/// Why a run with nothing broken is nothing to hold others against, by its end and what was lost in it. How it was ended comes before
/// all that was seen until then, and a loss is more than that users were not served.
pub fn not_a_control(exit: Exit, lost: Option<&str>) -> Option<NoControl> {
    let void = |why: &str| Some(NoControl::Void(why.to_owned()));
    match (exit, lost) {
        (Exit::Signal(_), _) => void("interrupted in the run with nothing broken"),
        (Exit::NotReverted, _) => {
            void("something was not taken back in the run with nothing broken: murphy undo")
        }
        (Exit::Failed | Exit::Usage, None) => void("the run did not end well with nothing broken"),
        (_, Some(lost)) => Some(NoControl::Unwell(format!("data is lost with nothing broken: {lost}"))),
        (Exit::Graceful | Exit::Inconclusive, None) => None,
        (Exit::NotGraceful, None) => {
            Some(NoControl::Unwell("users were not served well with nothing broken".to_owned()))
        }
    }
}

/// How the last run with nothing broken stands to the first, by its traffic, or why it is nothing to hold others against.
pub fn closing(first: &Traffic, last: Result<&Traffic, NoControl>) -> Closing {
    match last {
        Err(NoControl::Void(why)) => Closing::NotRun { why },
        Err(NoControl::Unwell(why)) => Closing::Drifted { how: vec![why] },
        // Nothing is as nothing, and shows nothing.
        Ok(last) if first.loads.is_empty() || last.loads.is_empty() => {
            Closing::NotRun { why: "one of the two journals could not be read again".to_owned() }
        }
        Ok(last) => match drift(first, last) {
            how if how.is_empty() => Closing::AsFirst,
            how => Closing::Drifted { how },
        },
    }
}

/// How an exploration ends, by its end so far: what was told by runs that have nothing to be held against is not told.
pub fn after(closing: &Closing, exit: Exit) -> Exit {
    match (closing, exit) {
        (Closing::AsFirst, _) => exit,
        // Each failure was one against its own baseline; but whether the fault did it is no longer known.
        (Closing::Drifted { .. }, Exit::NotGraceful) => Exit::Inconclusive,
        (Closing::Drifted { .. } | Closing::NotRun { .. }, _) => exit.worst(Exit::Inconclusive),
    }
}

/// What the last run with nothing broken adds to how an exploration ends, by its end and what was lost in it. That users are not served
/// well is a change like any other; a loss is one, whatever has changed.
pub fn of_the_last(exit: Exit, lost: Option<&str>) -> Exit {
    match (exit, lost) {
        (Exit::NotGraceful, None) | (Exit::Inconclusive, _) => Exit::Graceful,
        (exit, _) => exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_verdict::LoadTraffic;

    /// Of one load, of which nothing was asked.
    fn traffic() -> Traffic {
        let name = "browse".parse().unwrap();
        Traffic {
            edges: Vec::new(),
            loads: vec![LoadTraffic { name, good: 0, n: 0, served: None, median: None }],
        }
    }

    #[test]
    fn a_loss_with_nothing_broken_is_told_as_one_whatever_the_file_asserts() {
        let lost = Some("2 of 900 acknowledged writes gone (a-1, a-2)");
        for exit in [Exit::Graceful, Exit::Inconclusive, Exit::NotGraceful] {
            let why = not_a_control(exit, lost).unwrap().why();
            assert!(why.contains("data is lost") && why.contains("a-1, a-2"), "{why}");
        }
        assert_eq!(not_a_control(Exit::Graceful, None), None);
        assert!(not_a_control(Exit::NotGraceful, None).unwrap().why().contains("not served well"));
    }

    #[test]
    fn a_signal_in_the_run_with_nothing_broken_is_told_as_one() {
        for lost in [None, Some("2 writes")] {
            assert!(not_a_control(Exit::Signal(2), lost).unwrap().why().starts_with("interrupted"));
        }
    }

    #[test]
    fn a_run_with_nothing_broken_that_was_steered_by_hand_is_held_against_nothing() {
        let mut judgement = murphy_verdict::judge(&[]);
        let gate = |id, holds| Gate {
            id,
            holds,
            text: "steered by hand: kill web-1 at 1.2s".to_owned(),
            mend: "run again with hands off".to_owned(),
        };
        judgement.gates = vec![gate(GateId::HandsOff, true)];
        assert_eq!(unwell(&judgement), None);
        // It says nothing of the users, in whatever way they fared under the hand.
        judgement.gates = vec![gate(GateId::BaselineHealthy, false), gate(GateId::HandsOff, false)];
        let none = unwell(&judgement).unwrap();
        let first = traffic();
        assert!(matches!(closing(&first, Err(none.clone())), Closing::NotRun { .. }));
        let why = none.why();
        assert!(why.contains("kill web-1") && why.contains("hands off"), "{why}");
        judgement.gates = vec![gate(GateId::BaselineHealthy, false)];
        let none = unwell(&judgement).unwrap();
        assert!(matches!(closing(&first, Err(none)), Closing::Drifted { .. }));
    }

    #[test]
    fn an_exploration_whose_end_is_not_as_its_beginning_is_inconclusive_whatever_was_told() {
        let drifted = Closing::Drifted { how: vec!["slow".to_owned()] };
        for exit in [Exit::Graceful, Exit::NotGraceful, Exit::Inconclusive] {
            assert_eq!(after(&drifted, exit), Exit::Inconclusive);
            assert_eq!(after(&Closing::AsFirst, exit), exit);
        }
        assert_eq!(after(&drifted, Exit::NotReverted), Exit::NotReverted);
        let not_run = Closing::NotRun { why: "no time is left".to_owned() };
        assert_eq!(after(&not_run, Exit::Graceful), Exit::Inconclusive);
        assert_eq!(after(&not_run, Exit::NotGraceful), Exit::NotGraceful);
    }

    #[test]
    fn users_who_are_not_served_at_the_end_are_a_change_and_a_run_that_was_cut_short_is_none() {
        let first = traffic();
        assert_eq!(closing(&first, Ok(&first)), Closing::AsFirst);
        let ended = |exit| closing(&first, Err(not_a_control(exit, None).unwrap()));
        assert!(matches!(ended(Exit::NotGraceful), Closing::Drifted { .. }));
        for exit in [Exit::Signal(2), Exit::NotReverted, Exit::Failed] {
            assert!(matches!(ended(exit), Closing::NotRun { .. }), "{exit:?}");
        }
    }

    #[test]
    fn a_run_of_which_nothing_is_known_is_not_as_the_first() {
        let (known, none) = (traffic(), Traffic::default());
        for (first, last) in [(&none, &none), (&known, &none), (&none, &known)] {
            let closing = closing(first, Ok(last));
            assert!(matches!(closing, Closing::NotRun { .. }), "{closing:?}");
            assert_eq!(after(&closing, Exit::Graceful), Exit::Inconclusive);
        }
    }

    #[test]
    fn what_is_lost_in_the_last_run_is_a_failure_and_no_mere_change() {
        let drifted = Closing::Drifted { how: vec!["data is lost".to_owned()] };
        let ends = |lost| after(&drifted, Exit::NotGraceful).worst(of_the_last(Exit::NotGraceful, lost));
        assert_eq!(ends(Some("2 writes")), Exit::NotGraceful);
        assert_eq!(ends(None), Exit::Inconclusive);
        // Where the scenario does not ask for writes, no code says that one is gone, as in the first run.
        assert_eq!(of_the_last(Exit::Graceful, Some("2 writes")), Exit::Graceful);
        for exit in [Exit::Failed, Exit::NotReverted, Exit::Signal(2)] {
            assert_eq!(of_the_last(exit, None), exit);
        }
        assert_eq!(of_the_last(Exit::Inconclusive, None), Exit::Graceful);
    }
}
