//! The containers of a stack as they are seen, what is done to them by hand, and what is about to be done: nothing is, before a
//! person has seen whom it would touch.

use std::time::Duration;

use murphy_core::{ContainerHealth, Offset};

/// A container of the stack.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerState {
    /// `running`, `exited (137)`, and so on.
    pub state: String,
    /// What its health check says.
    pub health: ContainerHealth,
    /// How often the engine has started it again by itself, where it tells.
    pub restarts: Option<u64>,
    /// What it uses and waits for, where that can be seen from here.
    pub load: Load,
    /// Whether it may be touched.
    pub touch: Touch,
    /// Its names and addresses among containers: calls to these come to it.
    pub known_as: Vec<String>,
}

impl Default for ContainerState {
    fn default() -> ContainerState {
        ContainerState {
            state: String::new(),
            health: ContainerHealth::None,
            restarts: None,
            load: Load::default(),
            touch: Touch::Allowed,
            known_as: Vec::new(),
        }
    }
}

/// Whether a container may be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It may.
    Allowed,
    /// Its owner forbids it.
    Forbidden,
}

/// What a container uses and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Processors in use.
    pub cpus: Option<f64>,
    /// The share of the time in which it wanted a processor and its limit held it back.
    pub held_back: Option<f64>,
    /// Bytes of memory in use, and the most that it may use.
    pub memory: Option<(u64, Option<u64>)>,
    /// The share of the last ten seconds in which it stood still for want of processors, memory or disks.
    pub stalled: Option<f64>,
}

/// What can be done to a container by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blow {
    /// Its processes are killed; it is started again at the end.
    Kill,
    /// It is frozen, its connections open.
    Pause,
    /// No packet passes between it and these: names with commas.
    Cut {
        /// From whom.
        from: String,
    },
}

impl Blow {
    /// In words.
    pub fn text(&self, container: &str) -> String {
        match self {
            Blow::Kill => format!("kill {container}"),
            Blow::Pause => format!("pause {container}"),
            Blow::Cut { from } => format!("cut {container} off from {from}"),
        }
    }
}

/// What hands can do to containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackOrder {
    /// Look whom it would touch; nothing is touched.
    Propose {
        /// Of this question.
        number: u64,
        /// What.
        blow: Blow,
        /// To whom.
        container: String,
    },
    /// Do what was proposed.
    Agree {
        /// Of the question.
        number: u64,
    },
    /// Take back whatever was done to this one by hand.
    Relieve {
        /// Which.
        container: String,
    },
}

/// A blow that a person is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Of the question.
    pub number: u64,
    /// `kill web-1`.
    pub title: String,
    /// What is known of it.
    pub said: Said,
}

impl Proposal {
    /// The number of one that can be agreed to.
    pub fn ready(&self) -> Option<u64> {
        matches!(self.said, Said::Ready { .. }).then_some(self.number)
    }
}

/// What is known of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing yet.
    Looking,
    /// Whom it would touch, and how it is taken back.
    Ready {
        /// Line by line.
        lines: Vec<String>,
    },
    /// It cannot be done.
    Refused {
        /// Why.
        why: String,
    },
}

/// Something that was done to containers and is not taken back yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Of the question.
    pub number: u64,
    /// The container that was chosen.
    pub container: String,
    /// `pause`.
    pub text: String,
    /// When it is taken back by itself.
    pub until: Option<Offset>,
}

/// Processors in use, from processor time at two moments.
pub(crate) fn cpus(before: Duration, now: Duration, between: Duration) -> Option<f64> {
    let used = now.checked_sub(before)?;
    (!between.is_zero()).then(|| used.as_secs_f64() / between.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_time_over_time_and_a_counter_that_went_back_is_none() {
        let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(cpus(one, two, two), Some(0.5));
        assert_eq!(cpus(two, one, two), None);
        assert_eq!(cpus(one, two, Duration::ZERO), None);
    }
}
