//! The hands on a run that somebody else carries out: it is asked what is on its edges, and takes orders for them.
//!
//! What the run says of an edge goes before what its journal told. What is put there goes with the connection to the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use murphy_adhoc::How;
use murphy_core::{Directions, EdgeName, FaultId, RunClock};
use murphy_faults::Fault;
use murphy_proxy::{Decision, EdgeConn, Stage};
use murphy_runner::{Helm, SteerAnswer, SteerAsk, SteerError, SteeredConnection, SteeredEdge, WhoseFault};
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{Behind, Listed, LookedAt, OpenConnection, PAGE, Page};
use crate::order::Order;
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock};
use crate::source::own::{EdgeSpec, Via};
use crate::stack::StackOrder;
use crate::world::{Loudness, StandingFault, Teller, Whose, World};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Where orders for a run are given.
pub(crate) struct Reins {
    orders: mpsc::UnboundedSender<Order>,
    looked_at: LookedAt,
    look_now: Arc<Notify>,
}

impl Reins {
    /// Looks at the run from now on, until `stop`.
    pub(crate) fn take(
        helm: Helm,
        world: Shared,
        (clock, record): (RunClock, Recorded),
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Reins {
        let (orders, given) = mpsc::unbounded_channel();
        let (looked_at, look_now) = (LookedAt::default(), Arc::new(Notify::new()));
        let steered = Steered {
            helm,
            world,
            clock,
            record,
            looked_at: looked_at.clone(),
            look_now: Arc::clone(&look_now),
            ours: BTreeMap::new(),
            noted: BTreeSet::new(),
        };
        tasks.spawn(steered.go_on(given, stop.clone()));
        Reins { orders, looked_at, look_now }
    }

    pub(crate) fn act(&self, order: Order) {
        match order {
            Order::Look(window) => {
                self.looked_at.set(window);
                self.look_now.notify_one();
            }
            // Nobody takes them where the run has ended, which was told.
            order => drop(self.orders.send(order)),
        }
    }
}

/// A run with a hand on it.
struct Steered {
    helm: Helm,
    world: Shared,
    clock: RunClock,
    record: Recorded,
    looked_at: LookedAt,
    look_now: Arc<Notify>,
    /// What was put on from here and stands.
    ours: BTreeMap<(EdgeName, FaultId), Fault>,
    /// The edges that are in the recording.
    noted: BTreeSet<EdgeName>,
}

/// What comes next.
enum Then {
    Do(Order),
    Look,
    Read,
}

impl Steered {
    async fn go_on(mut self, mut given: mpsc::UnboundedReceiver<Order>, stop: CancellationToken) {
        let mut beat = tokio::time::interval(LOOK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let then = tokio::select! {
                () = stop.cancelled() => return,
                order = given.recv() => match order {
                    Some(order) => Then::Do(order),
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
            Then::Do(order) => self.obey(order).await,
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

    async fn obey(&mut self, order: Order) -> Result<(), SteerError> {
        match order {
            Order::Arm { edge, id, fault } => {
                self.order(SteerAsk::Arm { edge, fault: id, inject: fault }).await?
            }
            Order::Lift { edge, id } => self.order(SteerAsk::Lift { edge, fault: id }).await?,
            Order::LiftAll => {
                // What the scenario and others have put there is theirs.
                let ours: Vec<(EdgeName, FaultId)> = self.ours.keys().cloned().collect();
                for (edge, fault) in ours {
                    self.order(SteerAsk::Lift { edge, fault }).await?;
                }
            }
            Order::Stack(order) => {
                if let Some(text) = self.told(&order) {
                    self.order(SteerAsk::Tell { text }).await?;
                }
                return Ok(());
            }
            Order::Look(_) | Order::Save { .. } => return Ok(()),
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

    /// What is done to containers, for the journal of the run; nothing while it is only looked at.
    fn told(&self, order: &StackOrder) -> Option<String> {
        match order {
            StackOrder::Propose { .. } => None,
            StackOrder::Agree { number } => {
                let world = lock(&self.world);
                let agreed = world.proposal.as_ref().filter(|proposal| proposal.number == *number);
                agreed.map(|proposal| proposal.title.clone())
            }
            StackOrder::Relieve { container } => Some(format!("give {container} back")),
        }
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
            SteerAnswer::Edges(_) | SteerAnswer::Done => {
                Page::untold(window, "the run answers something else")
            }
        };
        lock(&self.world).connections = Some(Arc::new(page));
        Ok(())
    }
}

/// An edge as a recording has it.
fn spec(edge: &SteeredEdge) -> EdgeSpec {
    let via = match (&edge.listen, &edge.from) {
        (Some(listen), _) => Via::Listen(listen.clone()),
        (None, from) => Via::From { from: from.clone().unwrap_or_default(), saved: None },
    };
    EdgeSpec { name: edge.name.clone(), via, upstream: edge.to.clone(), protocol: edge.protocol }
}

/// How a fault sits that is put on a run by hand.
fn how(fault: &Fault) -> How {
    let directions = if fault.acts_on_requests() { Directions::default() } else { Directions::Both };
    How { directions, ..How::plain() }
}

fn take_in(world: &mut World, told: SteeredEdge) {
    let edge = world.edge(&told.name);
    let faults = told.faults.into_iter().map(|fault| StandingFault {
        // When it ends, the journal has told.
        until: edge.faults.iter().find(|known| known.id == fault.id).and_then(|known| known.until),
        id: fault.id,
        text: fault.text,
        fault: fault.inject,
        tally: Some(fault.tally),
        whose: match fault.whose {
            WhoseFault::Yours => Whose::Ours,
            WhoseFault::Plan | WhoseFault::Another => Whose::Theirs,
        },
    });
    edge.faults = faults.collect();
    (edge.open, edge.accepted, edge.unreachable) = (told.open, told.accepted, told.dial_failed);
    edge.bytes = (told.to_upstream, told.to_client);
    if edge.listen.is_empty() {
        edge.listen = told.listen.or(told.from.map(|from| format!("from {from}"))).unwrap_or_default();
    }
    if edge.upstream.is_empty() {
        edge.upstream = told.to;
    }
}

fn row(told: SteeredConnection) -> OpenConnection {
    let (proxy, conn) = told.place;
    let decided = told.decisions.into_iter().map(|decision| {
        (decision.fault.to_string(), if decision.acts { Decision::Acts } else { Decision::Spares })
    });
    OpenConnection {
        place: EdgeConn { proxy, conn },
        peer: told.peer,
        age: told.age,
        stage: if told.carried { Stage::Carried } else { Stage::Opening },
        to_upstream: told.to_upstream,
        to_client: told.to_client,
        decisions: decided.collect(),
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{Offset, Protocol, Tally};
    use murphy_runner::SteeredFault;

    use super::*;
    use crate::typed::fault;

    fn told(faults: &[(&str, WhoseFault)]) -> SteeredEdge {
        let of = |(id, whose): &(&str, WhoseFault)| SteeredFault {
            id: FaultId::new(id).unwrap(),
            text: "latency 300ms".into(),
            inject: Some(fault("latency 300ms").unwrap()),
            tally: Tally::default(),
            whose: *whose,
        };
        SteeredEdge {
            name: EdgeName::new("db").unwrap(),
            protocol: Protocol::Tcp,
            listen: Some("127.0.0.1:1".into()),
            from: None,
            to: "127.0.0.1:2".into(),
            accepted: 9,
            open: 3,
            dial_failed: 1,
            to_upstream: 10,
            to_client: 20,
            faults: faults.iter().map(of).collect(),
        }
    }

    #[test]
    fn what_the_run_says_of_an_edge_goes_before_what_its_journal_told() {
        let mut world = World::default();
        let db = EdgeName::new("db").unwrap();
        let ends = Some(Offset::from_micros(7));
        world.edge(&db).faults = ["latency-1", "gone"]
            .map(|id| StandingFault {
                id: FaultId::new(id).unwrap(),
                text: "latency 40ms".into(),
                fault: None,
                tally: None,
                until: ends,
                whose: Whose::Theirs,
            })
            .to_vec();
        let both = [("latency-1", WhoseFault::Plan), ("latency-by-hand-1", WhoseFault::Yours)];
        take_in(&mut world, told(&both));
        let edge = &world.edges[&db];
        assert_eq!((edge.open, edge.accepted, edge.unreachable, edge.bytes), (3, 9, 1, (10, 20)));
        assert_eq!((edge.listen.as_str(), edge.upstream.as_str()), ("127.0.0.1:1", "127.0.0.1:2"));
        let shown: Vec<_> =
            edge.faults.iter().map(|known| (known.id.as_str(), known.whose, known.until)).collect();
        assert_eq!(shown, [("latency-1", Whose::Theirs, ends), ("latency-by-hand-1", Whose::Ours, None)]);
        assert!(edge.faults.iter().all(|known| known.fault.is_some()), "they can be tuned");
    }
}
