//! The whole of what was asked for, checked: what, to whom, when, by which seed.

use std::fmt;

use murphy_core::Seed;
use murphy_docker::{Action, Removal};
use murphy_faults::{Effect, Fault, Place};
use murphy_host::{Pressure, Signal};
use murphy_scenario::StretchError;

use crate::schedule::{Asked, Schedule, ScheduleError};
use crate::whom::Whom;

/// So many targets at once are touched without a question.
const SMALL: usize = 5;

/// Something done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessDeed {
    /// The signal is to end it.
    Kill(Signal),
    /// SIGSTOP; taken back by SIGCONT.
    Freeze,
    /// The signal is sent, whatever it does.
    Signal(Signal),
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// To containers.
    Container(Action),
    /// To processes.
    Process(ProcessDeed),
    /// To a stretch of network: a fault that acts on one.
    Network(Fault),
    /// To the machine: something is taken of what it has.
    Pressure(Pressure),
}

/// Whether there is something to take back after a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It stays so until it is taken back.
    UntilTakenBack,
    /// It is over as soon as it is done.
    AtOnce,
}

impl Deed {
    /// A fault of the catalogue, done to containers, to a network or to the machine; `None` if it does not act on these.
    pub fn of_fault(fault: &Fault, place: Place) -> Option<Deed> {
        match fault.effect_on(place)? {
            Effect::Container(action) => Some(Deed::Container(action)),
            Effect::Network(_) => Some(Deed::Network(fault.clone())),
            Effect::Pressure(pressure) => Some(Deed::Pressure(pressure)),
            Effect::Edge(_) | Effect::Process(_) => None,
        }
    }

    /// Whether there is something to take back after a time.
    pub fn holding(&self) -> Holding {
        match self {
            Deed::Container(Action::Restart { .. } | Action::Remove(Removal::ForGood))
            | Deed::Process(ProcessDeed::Kill(_) | ProcessDeed::Signal(_)) => Holding::AtOnce,
            Deed::Container(Action::Exec(command)) if command.revert.is_none() => Holding::AtOnce,
            Deed::Container(_)
            | Deed::Process(ProcessDeed::Freeze)
            | Deed::Network(_)
            | Deed::Pressure(_) => Holding::UntilTakenBack,
        }
    }

    /// For the message that there is nothing to be held.
    fn without_a_way_back(&self) -> String {
        match self {
            Deed::Container(Action::Exec(_)) => format!("{self} without `--revert`"),
            _ => self.to_string(),
        }
    }

    /// The catalogue's name for it, or the command's where that has none.
    pub fn name(&self) -> &'static str {
        match self {
            Deed::Container(action) => action.name(),
            Deed::Network(fault) => fault.name(),
            Deed::Process(ProcessDeed::Kill(_)) => "kill",
            Deed::Process(ProcessDeed::Freeze) => "freeze",
            Deed::Process(ProcessDeed::Signal(_)) => "signal",
            Deed::Pressure(pressure) => pressure.name(),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Container(Action::Kill { signal }) => write!(f, "kill {signal}"),
            Deed::Container(Action::Remove(Removal::ForGood)) => f.write_str("remove for good"),
            // Without the arguments: they may carry secrets.
            Deed::Container(Action::Exec(command)) => {
                write!(f, "exec {}", command.command.first().map_or("", String::as_str))
            }
            Deed::Network(fault) => f.write_str(&fault.text()),
            Deed::Process(ProcessDeed::Kill(signal)) => write!(f, "kill {signal}"),
            Deed::Process(ProcessDeed::Signal(signal)) => write!(f, "signal {signal}"),
            Deed::Pressure(pressure) => pressure.fmt(f),
            other => f.write_str(other.name()),
        }
    }
}

/// Whether many targets at once have been agreed to beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    Given,
    /// It must be asked for.
    NotGiven,
    /// It must be asked for each time, however few they are: a person has seen whom it is about, and means nobody else.
    EachTime,
}

impl Consent {
    /// So many targets at once are touched without a question.
    pub(crate) fn covers(self) -> usize {
        match self {
            Consent::Given => usize::MAX,
            Consent::NotGiven => SMALL,
            Consent::EachTime => 0,
        }
    }
}

/// Everything that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What.
    pub deed: Deed,
    /// To whom.
    pub whom: Whom,
    /// When.
    pub schedule: Schedule,
    /// Root of all choices.
    pub seed: Seed,
    /// For many targets at once.
    pub consent: Consent,
}

/// Why an order makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Its times.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The fault cannot sit on that stretch of network.
    #[error(transparent)]
    Stretch(#[from] StretchError),
    /// Nothing would wake the process.
    #[error(
        "{signal} stops a process, and nothing would let it go on: write `murphy freeze`, which takes it back"
    )]
    WouldStop {
        /// The signal.
        signal: Signal,
    },
    /// Processes cannot be treated like containers, nor the other way round.
    #[error("{deed} cannot be done to {kind}")]
    WrongKind {
        /// What.
        deed: &'static str,
        /// `a process`, `a container`, `a network` or `a machine`.
        kind: &'static str,
    },
}

/// Signals that stop a process without ending it.
const STOPPING: [&str; 4] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];

impl Order {
    /// Checks what was asked for.
    pub fn new(
        deed: Deed,
        whom: Whom,
        asked: Asked,
        seed: Seed,
        consent: Consent,
    ) -> Result<Order, OrderError> {
        match (&deed, &whom) {
            (Deed::Network(fault), Whom::Network(target)) => target.stretch.takes(fault)?,
            (Deed::Process(_) | Deed::Container(_) | Deed::Pressure(_), Whom::Network(_)) => {
                return Err(OrderError::WrongKind { deed: deed.name(), kind: "a network" });
            }
            (Deed::Container(_) | Deed::Process(_) | Deed::Network(_), Whom::Host) => {
                return Err(OrderError::WrongKind { deed: deed.name(), kind: "a machine" });
            }
            (Deed::Process(_) | Deed::Network(_), Whom::Containers(_)) => {
                return Err(OrderError::WrongKind { deed: deed.name(), kind: "a container" });
            }
            (Deed::Container(_) | Deed::Network(_) | Deed::Pressure(_), Whom::Processes(_)) => {
                return Err(OrderError::WrongKind { deed: deed.name(), kind: "a process" });
            }
            (Deed::Process(ProcessDeed::Kill(signal) | ProcessDeed::Signal(signal)), _)
                if STOPPING.contains(&signal.name()) =>
            {
                return Err(OrderError::WouldStop { signal: *signal });
            }
            _ => {}
        }
        let schedule = asked.check(deed.holding(), &deed.without_a_way_back())?;
        Ok(Order { deed, whom, schedule, seed, consent })
    }

    /// What `murphy undo` calls it.
    pub(crate) fn title(&self) -> String {
        match &self.whom {
            Whom::Processes(target) => format!("murphy {} {target}", self.deed.name()),
            Whom::Containers(target) => format!("murphy {} {target}", self.deed.name()),
            Whom::Network(target) => format!("murphy {} {target}", self.deed.name()),
            Whom::Host => format!("murphy {}", self.deed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whom::Wish;

    #[test]
    fn a_process_is_not_stopped_by_a_signal_that_nothing_takes_back() {
        let whom = Wish::all("pid:7").either().unwrap();
        let deed = Deed::Process(ProcessDeed::Signal(Signal::STOP));
        let error = Order::new(deed, whom.clone(), Asked::default(), Seed(1), Consent::NotGiven).unwrap_err();
        assert!(error.to_string().contains("murphy freeze"), "{error}");
        let deed = Deed::Container(Action::Pause);
        let error = Order::new(deed, whom, Asked::default(), Seed(1), Consent::NotGiven).unwrap_err();
        assert_eq!(error, OrderError::WrongKind { deed: "pause", kind: "a process" });
    }

    #[test]
    fn a_few_are_touched_without_a_question_unless_each_time_is_asked() {
        let covers = [Consent::EachTime, Consent::NotGiven, Consent::Given].map(Consent::covers);
        assert_eq!(covers, [0, 5, usize::MAX]);
    }
}
