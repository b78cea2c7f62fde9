//! A run that is steered: looked at on a beat, told one order after the other, and kept for the recording as far as it is
//! ours. Where all is taken off, it must leave what the scenario and others have put there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use murphy_core::{EdgeName, FaultId, RunClock};
use murphy_faults::Fault;
use murphy_runner::{Helm, SteerAnswer, SteerAsk, SteerError, SteeredEdge, WhoseFault};
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Given;
use super::told::{how, row, spec, take_in};
use crate::connections::{Behind, Listed, LookedAt, PAGE, Page};
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock};
use crate::world::{Loudness, Teller, Whose, World};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A run with a hand on it.
pub(super) struct Steered {
    pub(super) helm: Helm,
    pub(super) world: Shared,
    pub(super) clock: RunClock,
    pub(super) record: Recorded,
    pub(super) looked_at: LookedAt,
    pub(super) look_now: Arc<Notify>,
    /// What was put on from here, stands and is in the recording.
    pub(super) ours: BTreeMap<(EdgeName, FaultId), Fault>,
    /// The edges that are in the recording.
    pub(super) noted: BTreeSet<EdgeName>,
}

/// What comes next.
enum Then {
    Do(Given),
    Look,
    Read,
}

impl Steered {
    pub(super) async fn go_on(mut self, mut taken: mpsc::UnboundedReceiver<Given>, stop: CancellationToken) {
        let mut beat = tokio::time::interval(LOOK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let then = tokio::select! {
                () = stop.cancelled() => return,
                given = taken.recv() => match given {
                    Some(given) => Then::Do(given),
                    None => return,
                },
                () = self.look_now.notified() => Then::Read,
                _ = beat.tick() => Then::Look,
            };
            // A run that does not answer holds nobody back who wants to leave.
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.go(then) => done,
            };
            if let Err(error) = done {
                self.note(Loudness::Notice, error.to_string());
                self.lose();
                return;
            }
        }
    }

    async fn go(&mut self, then: Then) -> Result<(), SteerError> {
        match then {
            Then::Do(given) => self.obey(given).await,
            Then::Look => self.look().await,
            Then::Read => self.read().await,
        }
    }

    /// The run is over, or does not answer: what stands on its edges is not known from here any more.
    fn lose(&self) {
        let untold = |window| Arc::new(Page::untold(window, "the run does not tell them any more"));
        let page = self.looked_at.get().map(untold);
        let mut world = lock(&self.world);
        (world.connections, world.teller) = (page, Teller::Events);
        let names: Vec<EdgeName> = world.edges.keys().cloned().collect();
        names.iter().for_each(|name| world.edge(name).faults.clear());
    }

    fn note(&self, loudness: Loudness, text: String) {
        let mut world = lock(&self.world);
        let now = world.now;
        world.note(now, loudness, text);
    }

    async fn obey(&mut self, given: Given) -> Result<(), SteerError> {
        match given {
            Given::Ask(ask) => self.order(ask).await?,
            // It was taken back already.
            Given::Blow { told, .. } if told.is_closed() => {}
            Given::Blow { text, told } => {
                match self.helm.ask(&SteerAsk::Tell { text: text.clone() }).await? {
                    SteerAnswer::Done => {
                        // Whoever waited for it may have left meanwhile: it is never struck, and the journal says that it is.
                        if told.send(()).is_err() {
                            self.order(SteerAsk::Tell { text: format!("{text} was not done") }).await?;
                        }
                    }
                    SteerAnswer::Refused { why } => self.note(Loudness::Trouble, why),
                    SteerAnswer::Welcome | SteerAnswer::Edges(_) | SteerAnswer::Connections(_) => {}
                }
            }
            Given::LiftAll => {
                let ours = put_here(&lock(&self.world));
                for (edge, fault) in ours {
                    self.order(SteerAsk::Lift { edge, fault }).await?;
                }
            }
        }
        self.look().await
    }

    /// Orders; a refusal is shown.
    async fn order(&mut self, ask: SteerAsk) -> Result<(), SteerError> {
        if let SteerAnswer::Refused { why } = self.helm.ask(&ask).await? {
            self.note(Loudness::Trouble, why);
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), SteerError> {
        if let SteerAnswer::Edges(edges) = self.helm.ask(&SteerAsk::Edges).await? {
            self.remember(&edges);
            let mut world = lock(&self.world);
            world.teller = Teller::Source;
            edges.into_iter().for_each(|told| take_in(&mut world, told));
        }
        self.read().await
    }

    /// Keeps for the recording what was put on from here, and what is off again.
    fn remember(&mut self, edges: &[SteeredEdge]) {
        let now = self.clock.now();
        let mut record = self.record.lock();
        let mut standing = BTreeMap::new();
        for edge in edges {
            for told in edge.faults.iter().filter(|told| told.whose == WhoseFault::Yours) {
                let Some(fault) = &told.inject else { continue };
                let key = (edge.name.clone(), told.id.clone());
                if self.noted.insert(edge.name.clone()) {
                    record.edge(spec(edge));
                }
                if self.ours.get(&key) != Some(fault) {
                    record.armed(now, &At::Edge(edge.name.clone()), told.id.as_str(), fault, &how(fault));
                }
                standing.insert(key, fault.clone());
            }
        }
        for (edge, id) in self.ours.keys().filter(|key| !standing.contains_key(*key)) {
            record.lifted(now, &At::Edge(edge.clone()), id.as_str());
        }
        drop(record);
        self.ours = standing;
    }

    /// Reads the page of connections that is looked at.
    async fn read(&mut self) -> Result<(), SteerError> {
        let Some(window) = self.looked_at.get() else {
            lock(&self.world).connections = None;
            return Ok(());
        };
        let after = (window.after.proxy, window.after.conn);
        let ask = SteerAsk::Connections { edge: window.edge.clone(), after, most: PAGE };
        let page = match self.helm.ask(&ask).await? {
            SteerAnswer::Connections(list) => {
                let behind = if list.len() < PAGE { Behind::Nothing } else { Behind::More };
                Page { window, listed: Listed::Rows { rows: list.into_iter().map(row).collect(), behind } }
            }
            SteerAnswer::Refused { why } => Page::untold(window, why),
            SteerAnswer::Edges(_) | SteerAnswer::Done | SteerAnswer::Welcome => {
                Page::untold(window, "the run answers something else")
            }
        };
        lock(&self.world).connections = Some(Arc::new(page));
        Ok(())
    }
}

/// What was put on from here and stands. What the scenario and others have put there is theirs.
fn put_here(world: &World) -> Vec<(EdgeName, FaultId)> {
    let mut ours = Vec::new();
    for (name, edge) in &world.edges {
        let here = edge.faults.iter().filter(|known| known.whose == Whose::Ours);
        ours.extend(here.map(|known| (name.clone(), known.id.clone())));
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::StandingFault;

    #[test]
    fn all_that_was_put_on_here_can_be_taken_off_also_what_holds_a_secret_and_nothing_of_others() {
        let (mut world, db) = (World::default(), EdgeName::new("db").unwrap());
        let fault = |id: &str, whose| StandingFault {
            id: FaultId::new(id).unwrap(),
            text: "latency 40ms".into(),
            // As where it is not told.
            fault: None,
            tally: None,
            until: None,
            whose,
        };
        world.edge(&db).faults = vec![fault("latency-1", Whose::Theirs), fault("abort-2", Whose::Ours)];
        assert_eq!(put_here(&world), [(db, FaultId::new("abort-2").unwrap())]);
    }
}
