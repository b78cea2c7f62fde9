//! How far a fault has come, from what its act tells.

use std::time::Instant;

use murphy_adhoc::{Happening, Order, Victim, Whom};
use murphy_core::{FaultId, Seed, Span};
use murphy_faults::Fault;
use schemars::JsonSchema;
use serde::Serialize;

use crate::native::in_millis;

/// The newest of what happened that are kept.
const KEPT: usize = 64;

/// How a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StandsDoc {
    /// Targets are chosen or acted on.
    Beginning,
    /// It is in the world.
    Standing,
    /// It is taken back, or was over at once, and will come again.
    Waiting,
    /// Nothing of it is left.
    Ended,
    /// It was only told what it would be.
    DryRun,
    /// Something may not be as before; `murphy undo` tries again once the daemon has ended.
    NotTakenBack,
}

/// A fault on containers or on a network.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerFaultDoc {
    /// Its name.
    pub name: FaultId,
    /// What happens.
    pub inject: Fault,
    /// The same in words.
    pub text: String,
    /// On what, in words.
    pub on: String,
    /// When, in words.
    pub when: String,
    /// Root of all its choices.
    pub seed: Seed,
    /// How it stands.
    pub state: StandsDoc,
    /// It is taken back after this time.
    pub ends_in: Option<Span>,
    /// Rounds so far.
    pub rounds: u32,
    /// Whom the last round has chosen.
    pub targets: Vec<Victim>,
    /// How that is taken back.
    pub undo: Vec<String>,
    /// What happened, the newest last; at most 64.
    pub happened: Vec<Happening>,
}

/// The same while it changes.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) doc: ContainerFaultDoc,
    hold: Option<Span>,
    ends: Option<Instant>,
    repeats: Repeats,
    /// Targets of this round that have not been answered for.
    open: usize,
    /// Targets that were touched in all rounds.
    pub(super) touched: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    No,
    Yes,
}

impl Progress {
    pub(super) fn new(name: FaultId, inject: Fault, order: &Order) -> Progress {
        let on = match &order.whom {
            Whom::Containers(target) => target.to_string(),
            Whom::Network(target) => target.to_string(),
            Whom::Processes(target) => target.to_string(),
            Whom::Host => "this machine".to_owned(),
        };
        let doc = ContainerFaultDoc {
            name,
            inject,
            text: order.deed.to_string(),
            on,
            when: order.schedule.text(),
            seed: order.seed,
            state: StandsDoc::Beginning,
            ends_in: None,
            rounds: 0,
            targets: Vec::new(),
            undo: Vec::new(),
            happened: Vec::new(),
        };
        let repeats = if order.schedule.repeats() { Repeats::Yes } else { Repeats::No };
        Progress { doc, hold: order.schedule.hold, ends: None, repeats, open: 0, touched: 0 }
    }

    /// As it is at this moment.
    pub(super) fn shown(&self) -> ContainerFaultDoc {
        let left = |ends: Instant| in_millis(ends.saturating_duration_since(Instant::now()));
        ContainerFaultDoc { ends_in: self.ends.map(left), ..self.doc.clone() }
    }

    /// True once the first round has been answered for.
    pub(super) fn has_acted(&self) -> bool {
        self.doc.rounds > 0 && self.open == 0 || self.is_over()
    }

    /// True once nothing will happen any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.doc.state, StandsDoc::Ended | StandsDoc::NotTakenBack | StandsDoc::DryRun)
    }

    /// The act has ended, or could not be begun.
    pub(super) fn end(&mut self) {
        self.ends = None;
        if !self.is_over() {
            self.doc.state = StandsDoc::Ended;
        }
    }

    pub(super) fn on(&mut self, happening: &Happening) {
        match happening {
            Happening::Planned(planned) => {
                self.doc.state = StandsDoc::Beginning;
                self.doc.rounds = planned.round;
                self.doc.targets.clone_from(&planned.targets);
                self.doc.undo.clone_from(&planned.undo);
                self.open = planned.targets.len();
            }
            Happening::DryRun => self.doc.state = StandsDoc::DryRun,
            Happening::Done { .. } | Happening::Failed { .. } => {
                self.touched += usize::from(matches!(happening, Happening::Done { .. }));
                self.open = self.open.saturating_sub(1);
                // What is told of a target after its time has begun changes nothing of that.
                if self.open == 0 && self.doc.state == StandsDoc::Beginning {
                    self.ends = self.hold.map(|hold| Instant::now() + hold.as_duration());
                    self.doc.state = match (self.hold, self.repeats) {
                        (None, Repeats::Yes) => StandsDoc::Waiting,
                        _ => StandsDoc::Standing,
                    };
                }
            }
            Happening::TakenBack { .. } | Happening::NotTakenBack { .. } | Happening::Skipped { .. } => {
                self.ends = None;
                if self.repeats == Repeats::Yes {
                    self.doc.state = StandsDoc::Waiting;
                }
            }
            Happening::Interrupted { .. } | Happening::SatIn { .. } | Happening::Bypassed { .. } => {}
            Happening::Ended { not_taken_back, .. } => {
                self.doc.state = if *not_taken_back > 0 { StandsDoc::NotTakenBack } else { StandsDoc::Ended };
            }
        }
        self.doc.happened.push(happening.clone());
        if self.doc.happened.len() > KEPT {
            self.doc.happened.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::NewContainerFault;
    use crate::containers::order::order;
    use murphy_adhoc::{Kind, Planned};
    use serde_json::{Value, json};

    /// How a fault stands once its one target was acted on, and whether it has an end of its own.
    fn acted_on(body: Value) -> (StandsDoc, bool) {
        let new: NewContainerFault = serde_json::from_value(body).unwrap();
        let (name, inject) = (FaultId::new("it").unwrap(), new.inject.clone());
        let order = order(new, Seed(7)).unwrap();
        let mut progress = Progress::new(name, inject, &order);
        let target = Victim { kind: Kind::Container, name: "web".into(), id: "ab".into() };
        progress.on(&Happening::Planned(Planned {
            round: 1,
            deed: String::new(),
            when: String::new(),
            targets: vec![target.clone()],
            of: 1,
            protected: Vec::new(),
            undo: Vec::new(),
            notes: Vec::new(),
            seed: Seed(7),
        }));
        assert_eq!((progress.doc.state, progress.has_acted()), (StandsDoc::Beginning, false));
        let took = Span::from_millis(1);
        progress.on(&Happening::Done { round: 1, target, took, notes: Vec::new(), command: None });
        assert!(progress.has_acted());
        let shown = progress.shown();
        (shown.state, shown.ends_in.is_some())
    }

    #[test]
    fn what_is_over_at_once_waits_for_its_next_round_and_what_is_held_stands() {
        let pause = json!({ "container": "web", "inject": "pause", "every": "1m" });
        assert_eq!(acted_on(pause), (StandsDoc::Standing, true));
        let restart = json!({ "container": "web", "inject": { "restart": "1s" }, "every": "1m" });
        assert_eq!(acted_on(restart), (StandsDoc::Waiting, false));
    }
}
