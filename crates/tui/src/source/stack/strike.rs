//! A blow that was agreed to: struck once whoever is watched has been told of it, recorded, and taken back at the end. It must
//! never touch a container that the question did not name.

use std::sync::Arc;

use murphy_adhoc::{AdhocError, Consent, Happening, How, Planned, Victim, carry_out};
use murphy_runner::Stop;
use tokio::sync::oneshot;

use super::{Inner, Pending};
use crate::screen::lock;
use crate::stack::Struck;
use crate::world::Loudness;

impl Inner {
    pub(super) async fn carry(
        self: Arc<Self>,
        pending: Pending,
        stop: Stop,
        told: Option<oneshot::Receiver<()>>,
    ) {
        let number = pending.number;
        if let Some(told) = told {
            let why_not = tokio::select! {
                biased;
                () = stop.stopped() => Some("it was taken back before it was struck"),
                told = told => told.err().map(|_| "the run was not told of it"),
            };
            if let Some(why) = why_not {
                let deed = &pending.planned.deed;
                self.note(Loudness::Trouble, format!("{deed} was not done: {why}"));
                return self.forget(number);
            }
        }
        let shown = pending.planned.targets.clone();
        let mut agree = |planned: &Planned| agreed(&shown, &planned.targets);
        let mut tell = |happening: Happening| self.told(&pending, &happening);
        let done = carry_out(&pending.act, &self.config.base, &stop, &mut agree, &mut tell).await;
        if let Err(error) = done {
            let why = match error {
                // Of a command line: its flags are not to be had here.
                AdhocError::NotAgreed { targets, .. } => {
                    format!(
                        "it would touch others than the question named, ask again: {}",
                        targets.join(", ")
                    )
                }
                error => error.to_string(),
            };
            self.note(Loudness::Trouble, format!("{} was not done: {why}", pending.planned.deed));
        }
        self.forget(number);
    }

    /// It does not stand any more.
    fn forget(&self, number: u64) {
        self.lock().standing.remove(&number);
        lock(&self.config.world).struck.retain(|struck| struck.number != number);
    }

    fn told(&self, pending: &Pending, happening: &Happening) {
        let (now, deed) = (self.config.clock.now(), &pending.planned.deed);
        match happening {
            Happening::Done { target, took, notes, .. } => {
                let mut world = lock(&self.config.world);
                let at = world.now;
                let until = pending.act.schedule.hold.map(|hold| at + hold);
                world.note(at, Loudness::Deed, format!("{deed} on {}", target.name));
                for note in notes {
                    world.note(at, Loudness::Notice, note.clone());
                }
                // Of several targets, the first one begins it: when the engine was asked for it, for then it is done again.
                if !world.struck.iter().any(|struck| struck.number == pending.number) {
                    let mut record = self.config.record.lock();
                    let asked = now.before(*took);
                    record.armed(asked, &pending.at, &key(pending.number), &pending.fault, &How::plain());
                    drop(record);
                    let (number, container) = (pending.number, pending.container.clone());
                    world.struck.push(Struck { number, container, text: deed.clone(), until });
                }
            }
            Happening::Failed { target, why, .. } => {
                self.note(Loudness::Trouble, format!("{deed} on {}: {why}", target.name));
            }
            Happening::TakenBack { undo, .. } => {
                self.config.record.lock().lifted(now, &pending.at, &key(pending.number));
                self.note(Loudness::Deed, format!("taken back: {undo}"));
            }
            Happening::NotTakenBack { undo, why, by_hand, .. } => {
                let text = format!("{undo}: {why}; by hand: {by_hand}");
                self.note(Loudness::Trouble, format!("NOT TAKEN BACK {text}"));
                self.lock().not_taken_back.push(text);
            }
            _ => {}
        }
    }
}

/// Whoever was not shown is not agreed to; that some are gone does no harm to the others.
fn agreed(shown: &[Victim], targets: &[Victim]) -> Consent {
    match targets.iter().all(|target| shown.contains(target)) {
        true => Consent::Given,
        false => Consent::NotGiven,
    }
}

fn key(number: u64) -> String {
    format!("by-hand-{number}")
}

#[cfg(test)]
mod tests {
    use murphy_adhoc::Kind;

    use super::*;

    #[test]
    fn whoever_was_not_shown_is_not_agreed_to_however_few_they_are() {
        let victim = |n: u8| Victim {
            kind: Kind::Container,
            name: format!("shop-api-{n}"),
            id: n.to_string().repeat(64),
        };
        let shown = [victim(1), victim(2)];
        assert_eq!(agreed(&shown, &[victim(2), victim(1)]), Consent::Given);
        assert_eq!(agreed(&shown, &[victim(2)]), Consent::Given);
        assert_eq!(agreed(&shown, &[victim(1), victim(2), victim(3)]), Consent::NotGiven);
        let again = Victim { id: "f".repeat(64), ..victim(1) };
        assert_eq!(agreed(&shown, &[again]), Consent::NotGiven, "the same name on another container");
    }
}
