//! Exit codes: one meaning each, the worst of all scenarios wins.

use std::process::ExitCode;

use murphy_core::Verdict;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: every expectation held.
    Graceful,
    /// 1: at least one did not hold.
    NotGraceful,
    /// 2: bad usage or a bad scenario.
    Usage,
    /// 3: could not be carried out.
    Failed,
    /// 4: could not be told.
    Inconclusive,
    /// 5: something may not have been taken back.
    NotReverted,
    /// 128 + the signal's number: interrupted, everything taken back.
    Signal(i32),
}

impl Exit {
    /// All with a number of their own, for `murphy explain`.
    pub const TABLE: [(&'static str, &'static str); 9] = [
        (
            "0",
            "graceful: every expectation held, and every gate (fault had effect, baseline healthy, load honest)",
        ),
        ("1", "not graceful: at least one expectation did not hold, or a service crashed under the fault"),
        ("2", "bad usage, or a scenario that does not pass `murphy check`; nothing was started"),
        ("3", "could not be carried out: a service, engine or target is missing or did not get ready"),
        ("4", "inconclusive: baseline not healthy, fault without effect, or too few samples; never a pass"),
        ("5", "something may not have been taken back; the command that does it is printed"),
        ("129", "interrupted by SIGHUP; everything was taken back"),
        ("130", "interrupted by SIGINT (Ctrl-C); everything was taken back"),
        ("143", "interrupted by SIGTERM; everything was taken back"),
    ];

    /// The exit of a judged run.
    pub fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Graceful => Exit::Graceful,
            Verdict::NotGraceful => Exit::NotGraceful,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Graceful => 0,
            Exit::NotGraceful => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
            Exit::Inconclusive => 4,
            Exit::NotReverted => 5,
            Exit::Signal(number) => 128 + number as u8,
        }
    }

    /// What it means, as in [`Exit::TABLE`].
    pub fn meaning(code: &str) -> Option<&'static str> {
        Exit::TABLE.iter().find(|(number, _)| *number == code).map(|(_, meaning)| *meaning)
    }

    /// From harmless to grave. A failed expectation outranks one that could not be told; what could not be carried out
    /// outranks both; an interrupt and a failed undo outrank all.
    fn gravity(self) -> u8 {
        match self {
            Exit::Graceful => 0,
            Exit::Inconclusive => 1,
            Exit::NotGraceful => 2,
            Exit::Usage => 3,
            Exit::Failed => 4,
            Exit::Signal(_) => 5,
            Exit::NotReverted => 6,
        }
    }

    /// The graver of two.
    pub fn worst(self, other: Exit) -> Exit {
        if other.gravity() > self.gravity() { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_wins() {
        assert_eq!(Exit::Graceful.worst(Exit::Inconclusive), Exit::Inconclusive);
        assert_eq!(Exit::Inconclusive.worst(Exit::NotGraceful), Exit::NotGraceful);
        assert_eq!(Exit::NotGraceful.worst(Exit::Graceful), Exit::NotGraceful);
        assert_eq!(Exit::Signal(2).worst(Exit::NotReverted), Exit::NotReverted);
    }

    #[test]
    fn every_code_is_explained() {
        for exit in [
            Exit::Graceful,
            Exit::NotGraceful,
            Exit::Usage,
            Exit::Failed,
            Exit::Inconclusive,
            Exit::NotReverted,
        ] {
            assert!(Exit::meaning(&exit.code().to_string()).is_some());
        }
        assert!(Exit::meaning(&Exit::Signal(15).code().to_string()).is_some());
    }
}
