//! The hands on the edges of a run: what they may do, what of it stands, and whose it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use murphy_core::{Chance, ConnId, Directions, EdgeName, EventKind, FaultId, HandDeed, Protocol};
use murphy_faults::{Effect, Fault};
use murphy_proxy::{Armed, Connection, Decision, EdgeConn, EdgeEffect, EdgeHands, Stage};
use murphy_scenario::{EdgePlan, FaultStep, FaultTarget, Route};
use tokio::sync::Mutex;

use super::words::{
    SteerAnswer, SteerAsk, SteeredConnection, SteeredDecision, SteeredEdge, SteeredFault, WhoseFault,
};
use crate::inject::GivenBack;
use crate::world::World;

/// The most connections in one answer.
const CONNECTIONS: usize = 1000;
/// The longest text that is taken for the journal.
const TEXT: usize = 500;

/// One who steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hand(u64);

/// All hands on a run.
pub(super) struct Desk {
    world: Arc<World>,
    /// Held for a whole order, so that they come one after the other; nothing of an order on an edge waits.
    made: Mutex<Made>,
}

/// What was made by hand.
#[derive(Default)]
struct Made {
    hands: u64,
    /// The faults of hands, while they stand.
    standing: BTreeMap<FaultId, OfHand>,
    /// Faults of the plan that were switched off or tuned before their time was over, each with the hand that came to it last.
    touched: BTreeMap<FaultId, Touched>,
}

/// What was made of a fault of the plan.
struct Touched {
    hand: Hand,
    left: Left,
}

/// How a hand has left a fault of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// That hand may switch it on again: for any other one it is a name that the plan has, and not a fault that it has seen.
    Off,
    Tuned,
}

/// Why a hand is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It has gone by itself: the run goes on as the plan has it.
    OfTheHand,
    /// The run is taken down: nothing is put into the world any more.
    OfTheRun,
}

/// A fault that was put on by hand.
struct OfHand {
    hand: Hand,
    edge: EdgeName,
    fault: Fault,
}

impl Desk {
    pub(super) fn new(world: Arc<World>) -> Desk {
        Desk { world, made: Mutex::default() }
    }

    /// One more.
    pub(super) async fn begin(&self) -> Hand {
        let mut made = self.made.lock().await;
        made.hands += 1;
        Hand(made.hands)
    }

    /// One has gone: what he has put on goes too, and what he has made of the plan's faults.
    pub(super) async fn leave(&self, hand: Hand, parting: Parting) {
        let mut made = self.made.lock().await;
        let his = |(id, known): (&FaultId, &OfHand)| (known.hand == hand).then(|| id.clone());
        let gone: Vec<FaultId> = made.standing.iter().filter_map(his).collect();
        for id in gone {
            if let Some(known) = made.standing.remove(&id) {
                self.take_off(id, known);
            }
        }
        let his = |(id, touched): (&FaultId, &Touched)| (touched.hand == hand).then(|| id.clone());
        let let_go: Vec<FaultId> = made.touched.iter().filter_map(his).collect();
        for id in let_go {
            made.touched.remove(&id);
            if parting == Parting::OfTheHand {
                self.give_back(id);
            }
        }
    }

    pub(super) async fn answer(&self, hand: Hand, ask: SteerAsk) -> SteerAnswer {
        let mut made = self.made.lock().await;
        let done = match ask {
            SteerAsk::Edges => return SteerAnswer::Edges(self.edges(hand, &made)),
            SteerAsk::Connections { edge, after, most } => match self.connections(&edge, after, most) {
                Ok(list) => return SteerAnswer::Connections(list),
                Err(why) => Err(why),
            },
            SteerAsk::Arm { edge, fault, inject } => self.arm(hand, &mut made, edge, fault, *inject),
            SteerAsk::Lift { edge, fault } => self.lift(hand, &mut made, &edge, fault).await,
            SteerAsk::Tell { text } => {
                self.tell(HandDeed::Done { text: plain(&text) });
                Ok(())
            }
        };
        match done {
            Ok(()) => SteerAnswer::Done,
            Err(why) => SteerAnswer::Refused { why },
        }
    }

    fn arm(
        &self,
        hand: Hand,
        made: &mut Made,
        edge: EdgeName,
        id: FaultId,
        inject: Fault,
    ) -> Result<(), String> {
        let hands = self.hands(&edge)?;
        if let Some(problem) = inject.problems().iter().next() {
            return Err(format!("{}; {}", problem.message, problem.help));
        }
        let injector = &self.world.injector;
        let text = inject.text();
        // With settings of another kind it is not that one which is meant.
        if let Some(step) = self.planned(&edge, &id).filter(|step| step.fault.name() == inject.name()) {
            if injector.standing_on(&edge).iter().any(|(standing, _)| *standing == id) {
                injector.tune(step, &inject).map_err(|error| error.to_string())?;
                made.touched.insert(id.clone(), Touched { hand, left: Left::Tuned });
                self.tell(HandDeed::Changed { edge, fault: id, text });
                return Ok(());
            }
            let is_off = |known: &Touched| known.hand == hand && known.left == Left::Off;
            if made.touched.get(&id).is_some_and(is_off) {
                let step = FaultStep { fault: inject, ..step.clone() };
                injector.switch_on(&step).map_err(|error| error.to_string())?;
                made.touched.insert(id.clone(), Touched { hand, left: Left::Tuned });
                self.tell(HandDeed::Armed { edge, fault: id, text });
                return Ok(());
            }
        }
        let effect = effect(self.edge(&edge)?, &inject)?;
        let id = self.free(made, &edge, id, inject.name());
        // As a fault of a scenario has it if nothing is said; on bytes, both ways.
        let directions = if inject.acts_on_requests() { Directions::default() } else { Directions::Both };
        // Read before the act: whatever meets the fault ends after this.
        let felt = Instant::now();
        hands.arm(Armed { id: id.clone(), effect, directions, chance: Chance::ALWAYS });
        let deed = match made.standing.get_mut(&id) {
            Some(known) => {
                known.fault = inject;
                HandDeed::Changed { edge, fault: id, text }
            }
            None => {
                made.standing.insert(id.clone(), OfHand { hand, edge: edge.clone(), fault: inject });
                HandDeed::Armed { edge, fault: id, text }
            }
        };
        self.world.recorder.record_at_instant(felt, EventKind::ByHand(Box::new(deed)));
        Ok(())
    }

    async fn lift(&self, hand: Hand, made: &mut Made, edge: &EdgeName, id: FaultId) -> Result<(), String> {
        let hands = self.hands(edge)?;
        if made.standing.get(&id).is_some_and(|known| known.edge == *edge) {
            if let Some(known) = made.standing.remove(&id) {
                self.take_off(id, known);
            }
            return Ok(());
        }
        let standing = self.world.injector.standing_on(edge);
        let Some((_, fault)) = standing.into_iter().find(|(standing, _)| *standing == id) else {
            return Err(format!("`{id}` does not stand on {edge}"));
        };
        let tally = hands.tally(&id).unwrap_or_default();
        Box::pin(self.world.injector.lift(&id)).await;
        made.touched.insert(id.clone(), Touched { hand, left: Left::Off });
        self.tell(HandDeed::Lifted { edge: edge.clone(), fault: id, text: fault.text(), tally });
        Ok(())
    }

    fn take_off(&self, id: FaultId, OfHand { edge, fault, .. }: OfHand) {
        let tally = self.world.injector.edge(&edge).and_then(|hands| hands.lift(&id)).unwrap_or_default();
        self.tell(HandDeed::Lifted { edge, fault: id, text: fault.text(), tally });
    }

    /// A fault of the plan of which its hand has let go.
    fn give_back(&self, id: FaultId) {
        let Some(step) = self.world.plan.faults.iter().find(|step| step.id == id) else { return };
        let FaultTarget::Edge { edge, .. } = &step.target else { return };
        let edge = edge.clone();
        match self.world.injector.give_back(step) {
            Ok(GivenBack::AsItWas) => {}
            Ok(GivenBack::Armed { text }) => self.tell(HandDeed::Armed { edge, fault: id, text }),
            Ok(GivenBack::Changed { text }) => self.tell(HandDeed::Changed { edge, fault: id, text }),
            Err(error) => self.tell(HandDeed::Done { text: format!("{id} stays as it was left: {error}") }),
        }
    }

    fn tell(&self, deed: HandDeed) {
        self.world.recorder.record(EventKind::ByHand(Box::new(deed)));
    }

    fn edge(&self, edge: &EdgeName) -> Result<&EdgePlan, String> {
        let known = self.world.plan.edges.iter().find(|plan| plan.name == *edge);
        known.ok_or_else(|| format!("the run has no edge `{edge}`"))
    }

    fn hands(&self, edge: &EdgeName) -> Result<EdgeHands, String> {
        self.edge(edge)?;
        self.world.injector.edge(edge).ok_or_else(|| format!("{edge} is not open yet"))
    }

    /// The fault of the plan that is called so.
    fn planned(&self, edge: &EdgeName, id: &FaultId) -> Option<&FaultStep> {
        let is_on =
            |step: &FaultStep| matches!(&step.target, FaultTarget::Edge { edge: on, .. } if on == edge);
        self.world.plan.faults.iter().find(|step| step.id == *id && is_on(step))
    }

    /// What a fault is called that is put on by hand: as was asked, unless something else in the run is or will be called so.
    fn free(&self, made: &Made, edge: &EdgeName, id: FaultId, kind: &str) -> FaultId {
        let planned = |id: &FaultId| self.world.plan.faults.iter().any(|step| step.id == *id);
        let stands_elsewhere = made.standing.get(&id).is_some_and(|known| known.edge != *edge);
        if !planned(&id) && !stands_elsewhere {
            return id;
        }
        (1_u64..)
            .filter_map(|number| FaultId::new(&format!("{kind}-by-hand-{number}")).ok())
            .find(|id| !planned(id) && !made.standing.contains_key(id))
            .unwrap_or(id)
    }

    fn edges(&self, hand: Hand, made: &Made) -> Vec<SteeredEdge> {
        self.world.plan.edges.iter().map(|plan| self.sight(hand, made, plan)).collect()
    }

    fn sight(&self, hand: Hand, made: &Made, plan: &EdgePlan) -> SteeredEdge {
        let hands = self.world.injector.edge(&plan.name).unwrap_or_default();
        let shown = |text: &str| self.world.plan.secrets.hide(text).into_owned();
        let of_plan = self.world.injector.standing_on(&plan.name).into_iter();
        let of_plan = of_plan.map(|(id, fault)| (id, fault, WhoseFault::Plan));
        let of_hands = made.standing.iter().filter(|(_, known)| known.edge == plan.name);
        let of_hands = of_hands.map(|(id, known)| {
            let whose = if known.hand == hand { WhoseFault::Yours } else { WhoseFault::Another };
            (id.clone(), known.fault.clone(), whose)
        });
        let faults = of_plan.chain(of_hands).map(|(id, fault, whose)| SteeredFault {
            text: shown(&fault.text()),
            tally: hands.tally(&id).unwrap_or_default(),
            inject: self.without_secrets(fault),
            id,
            whose,
        });
        let faults = faults.collect();
        let (listen, from) = match &plan.route {
            Route::Listen { listen, .. } => (Some(shown(&listen.to_string())), None),
            Route::Intercept { from, .. } => (None, Some(shown(&from.to_string()))),
        };
        let meter = hands.meter();
        SteeredEdge {
            name: plan.name.clone(),
            protocol: plan.protocol,
            listen,
            from,
            to: shown(&plan.route.to().to_string()),
            accepted: meter.accepted,
            open: meter.open,
            dial_failed: meter.dial_failed,
            to_upstream: meter.to_upstream,
            to_client: meter.to_client,
            faults,
        }
    }

    /// One that holds a secret is not handed out: it could not be shown, and masked it would be another one.
    fn without_secrets(&self, fault: Fault) -> Option<Fault> {
        let secrets = &self.world.plan.secrets;
        if secrets.is_empty() {
            return Some(fault);
        }
        let plain = serde_json::to_value(&fault).ok()?;
        let mut masked = plain.clone();
        secrets.hide_json(&mut masked);
        (masked == plain).then_some(fault)
    }

    fn connections(
        &self,
        edge: &EdgeName,
        (proxy, conn): (usize, ConnId),
        most: usize,
    ) -> Result<Vec<SteeredConnection>, String> {
        let list = self.hands(edge)?.connections(EdgeConn { proxy, conn }, most.min(CONNECTIONS));
        Ok(list.into_iter().map(connection).collect())
    }
}

fn connection((at, open): (EdgeConn, Connection)) -> SteeredConnection {
    let decided =
        |(fault, decision): (FaultId, Decision)| SteeredDecision { fault, acts: decision == Decision::Acts };
    SteeredConnection {
        place: (at.proxy, at.conn),
        peer: open.peer.to_string(),
        age: open.age,
        carried: open.stage == Stage::Carried,
        to_upstream: open.to_upstream,
        to_client: open.to_client,
        decisions: open.decisions.into_iter().map(decided).collect(),
    }
}

/// What a fault does on an edge that somebody puts it on by hand.
fn effect(edge: &EdgePlan, fault: &Fault) -> Result<EdgeEffect, String> {
    let (name, on) = (fault.name(), &edge.name);
    if fault.acts_on_handshakes() {
        return Err(format!("`{name}` acts on TLS handshakes: write it in the scenario"));
    }
    if fault.acts_on_requests() && edge.protocol != Protocol::Http {
        return Err(format!(
            "`{name}` acts on requests, which {on} does not read: it wants `protocol: http`"
        ));
    }
    match fault.effect() {
        Effect::Edge(effect) => Ok(effect),
        _ => Err(format!("`{name}` does not sit on an edge")),
    }
}

/// What somebody says, as a line for the journal and for whoever reads it: it steers no terminal.
fn plain(text: &str) -> String {
    text.chars().take(TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_is_one_short_line_that_steers_no_terminal() {
        assert_eq!(plain("kill web-1"), "kill web-1");
        assert_eq!(plain("kill\u{1b}[2J\r\nweb-1\u{85}"), "kill [2J  web-1 ");
        assert_eq!(plain(&"ü".repeat(10 * TEXT)).chars().count(), TEXT);
    }
}
