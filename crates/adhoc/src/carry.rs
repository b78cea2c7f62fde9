//! Carries an order out, round by round: choose, put the undo on disk, act, hold, take back. A wish to stop ends the holding
//! and the waiting, never an act or an undo that has begun.

use std::sync::Arc;
use std::time::Instant;

use murphy_core::{Span, Undo, UndoId};
use murphy_runner::{Base, Locks, StateDir, Stop, StopReason, Unsure, by_hand};
use tokio::time::sleep_until;

use crate::error::AdhocError;
use crate::hands::{Chosen, Did, Hands, Later, NotDone};
use crate::happening::{Happening, Planned};
use crate::network::NetworkEnd;
use crate::order::{Consent, Order};
use crate::session::{Session, owner};

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ending {
    /// Rounds in which something was done.
    pub rounds: u32,
    /// Targets that were touched, over all rounds.
    pub touched: usize,
    /// Targets that could not be touched although they had been chosen.
    pub failed: usize,
    /// Things that may not be as before.
    pub not_taken_back: usize,
    /// Why it ended early, if so.
    pub stopped: Option<StopReason>,
}

/// Chooses the first round's targets and tells of them, with their undo. Touches nothing.
pub async fn dry_run(
    order: &Order,
    state: &StateDir,
    tell: &mut (dyn FnMut(Happening) + Send),
) -> Result<(), AdhocError> {
    let hands = Hands::new(order).await?;
    let chosen = hands.look(order.seed.derive("pick", 1), None, &locks_of(order, state)).await?;
    tell(Happening::Planned(planned(order, &chosen, 1)));
    tell(Happening::DryRun);
    Ok(())
}

/// Carries an order out. `agree` is asked when many targets would be touched at once, or each time if the order says so. An
/// `Err` means that nothing was done; what fails later is told and counted.
pub async fn carry_out(
    order: &Order,
    base: &Base,
    stop: &Stop,
    agree: &mut (dyn FnMut(&Planned) -> Consent + Send),
    tell: &mut (dyn FnMut(Happening) + Send),
) -> Result<Ending, AdhocError> {
    base.state.refuse_leftovers()?;
    let hands = tokio::select! {
        hands = Hands::new(order) => hands?,
        () = stop.stopped() => return Err(AdhocError::Interrupted),
    };
    let agreed = order.consent.covers();
    let mut work = Work { order, base, hands, session: None, agreed, ending: Ending::default() };
    let begun = Instant::now();
    let mut outcome = Ok(());
    for (number, at) in (1..).zip(order.schedule.beginnings(order.seed)) {
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            () = sleep_until((begun + at.as_duration()).into()) => {}
        }
        match work.round(number, stop, agree, tell).await {
            Ok(()) => {}
            Err(AdhocError::Interrupted) if number > 1 => break,
            // Later, the world may be another for a moment: all are down, or the engine restarts.
            Err(error) if number > 1 && order.schedule.repeats() => {
                tell(Happening::Skipped { round: number, why: error.to_string() });
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let Work { session, mut ending, .. } = work;
    if let Some(session) = session {
        session.close().await;
    }
    if ending.rounds == 0 {
        outcome?;
        return Err(AdhocError::Interrupted);
    }
    ending.stopped = stop.reason().cloned();
    tell(Happening::Ended {
        rounds: ending.rounds,
        touched: ending.touched,
        not_taken_back: ending.not_taken_back,
    });
    Ok(ending)
}

struct Work<'a> {
    order: &'a Order,
    base: &'a Base,
    hands: Hands,
    session: Option<Session>,
    /// So many targets at once have been agreed to.
    agreed: usize,
    ending: Ending,
}

impl Work<'_> {
    async fn round(
        &mut self,
        number: u32,
        stop: &Stop,
        agree: &mut (dyn FnMut(&Planned) -> Consent + Send),
        tell: &mut (dyn FnMut(Happening) + Send),
    ) -> Result<(), AdhocError> {
        let begun = Instant::now();
        let own = self.session.as_ref().map(Session::mark);
        // Held for this round only: between two rounds others may have the targets.
        let locks = Arc::new(locks_of(self.order, &self.base.state));
        let seed = self.order.seed.derive("pick", u64::from(number));
        let chosen = self.hands.look(seed, own.as_deref(), &locks).await?;
        let planned = planned(self.order, &chosen, number);
        let count = chosen.targets.len();
        if count > self.agreed {
            if agree(&planned) != Consent::Given {
                // A wish to stop that came while the question stood is its answer.
                if stop.reason().is_some() {
                    return Err(AdhocError::Interrupted);
                }
                let targets = chosen.targets.iter().map(|target| target.name.clone()).collect();
                return Err(AdhocError::NotAgreed { deed: self.order.deed.to_string(), targets });
            }
            if self.order.consent != Consent::EachTime {
                self.agreed = count;
            }
        }
        chosen.lock(&locks)?;
        tell(Happening::Planned(planned));
        let due = self.due(&chosen)?;
        let (mut unsure, mut touched) = (Unsure::No, false);
        let acted = match self.hands.act(&chosen, self.session.as_ref(), &locks, &self.base.program).await {
            Ok(acted) => acted,
            Err(error) => {
                // Begun in part, perhaps: what cannot be taken back is more than an act that was not done.
                if self.end(number, &[], tell).await == 0 {
                    return Err(error);
                }
                for target in chosen.targets {
                    tell(Happening::Failed { round: number, target, why: error.to_string(), command: None });
                }
                self.ending.failed += count;
                self.ending.rounds += 1;
                return Ok(());
            }
        };
        for (target, answer) in acted {
            match answer {
                Ok(Did { notes, command }) => {
                    (self.ending.touched, touched) = (self.ending.touched + 1, true);
                    let took = whole_millis(begun.elapsed());
                    tell(Happening::Done { round: number, target, took, notes, command });
                }
                Err(NotDone { why, later, command }) => {
                    self.ending.failed += 1;
                    tell(Happening::Failed { round: number, target, why, command });
                    if later == Later::Perhaps {
                        unsure = Unsure::since(Instant::now(), &chosen.undos);
                    }
                }
            }
        }
        self.ending.rounds += 1;
        // Where nothing was done, there is nothing to be held.
        if let Some(hold) = self.order.schedule.hold.filter(|_| touched) {
            tokio::select! {
                () = tokio::time::sleep(hold.as_duration()) => {}
                () = stop.stopped() => {}
            }
        }
        if let Some(StopReason::Signal { name, .. }) = stop.reason() {
            tell(Happening::Interrupted { signal: (*name).to_owned() });
        }
        unsure.over().await;
        self.end(number, &chosen.leases, tell).await;
        for (target, why) in self.hands.relieve().await {
            self.ending.failed += 1;
            tell(Happening::Failed { round: number, target, why, command: None });
        }
        self.take_back(number, due, tell).await;
        Ok(())
    }

    /// Puts the undos on disk, under a watchdog's eyes. What has no way back needs neither.
    fn due(&mut self, chosen: &Chosen) -> Result<Vec<(UndoId, Undo)>, AdhocError> {
        if chosen.undos.is_empty() && chosen.leases.is_empty() {
            return Ok(Vec::new());
        }
        let session = match &mut self.session {
            Some(session) => session,
            empty => empty.insert(Session::open(self.base, &self.order.title())?),
        };
        session.due(&chosen.undos)
    }

    /// Ends what has written its undos itself; how much of it could not be taken back.
    async fn end(
        &mut self,
        round: u32,
        leases: &[String],
        tell: &mut (dyn FnMut(Happening) + Send),
    ) -> usize {
        let Some(NetworkEnd { told, failures }) = self.hands.end().await else { return 0 };
        let mut notes: Vec<String> = told.into_iter().collect();
        if failures.is_empty() {
            for undo in leases {
                let notes = std::mem::take(&mut notes);
                tell(Happening::TakenBack { round, undo: undo.clone(), notes });
            }
        }
        for why in &failures {
            self.ending.not_taken_back += 1;
            self.session.iter_mut().for_each(Session::owe);
            let (undo, by_hand) = (self.order.deed.to_string(), "murphy undo".to_owned());
            tell(Happening::NotTakenBack { round, undo, why: why.clone(), by_hand });
        }
        failures.len()
    }

    async fn take_back(
        &mut self,
        round: u32,
        due: Vec<(UndoId, Undo)>,
        tell: &mut (dyn FnMut(Happening) + Send),
    ) {
        let undos: Vec<Undo> = due.iter().map(|(_, undo)| undo.clone()).collect();
        for (undo, answer) in self.hands.take_back(&undos).await {
            let text = undo.to_string();
            match answer {
                Ok(notes) => {
                    let id = due.iter().find(|(_, known)| *known == undo).map(|(id, _)| *id);
                    if let (Some(session), Some(id)) = (&mut self.session, id) {
                        session.done(id);
                    }
                    // What is over as soon as it is done (a restart) was only to be looked after.
                    if self.order.schedule.hold.is_some() {
                        tell(Happening::TakenBack { round, undo: text, notes });
                    }
                }
                Err(why) => {
                    self.ending.not_taken_back += 1;
                    tell(Happening::NotTakenBack { round, undo: text, why, by_hand: by_hand(&undo) });
                }
            }
        }
    }
}

fn locks_of(order: &Order, state: &StateDir) -> Locks {
    Locks::new(state, &owner(&order.title(), state).holder())
}

/// Finer than a millisecond means nothing for a call to an engine.
fn whole_millis(time: std::time::Duration) -> Span {
    Span::from_millis(u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

fn planned(order: &Order, chosen: &Chosen, round: u32) -> Planned {
    Planned {
        round,
        deed: order.deed.to_string(),
        when: order.schedule.text(),
        targets: chosen.targets.clone(),
        of: chosen.of,
        protected: chosen.protected.clone(),
        undo: chosen.undos.iter().map(ToString::to_string).chain(chosen.leases.clone()).collect(),
        notes: chosen.notes.clone(),
        seed: order.seed,
    }
}
