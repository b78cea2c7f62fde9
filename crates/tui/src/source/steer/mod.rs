//! The hands on a run that somebody else carries out: it is asked what is on its edges, and takes orders for them.
//!
//! What the run says of an edge goes before what its journal told. What is put there goes with the connection to the run.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use murphy_core::{EdgeName, FaultId, RunClock};
use murphy_faults::Fault;
use murphy_runner::{Helm, SteerAnswer, SteerAsk, SteerError, SteeredEdge, WhoseFault};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::told::{how, row, spec, take_in};
use crate::connections::{Behind, Listed, LookedAt, PAGE, Page};
use crate::order::{Heard, Order};
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock};
use crate::stack::StackOrder;
use crate::world::{Loudness, Teller, Whose, World};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Where orders for a run are given.
pub(crate) struct Reins {
    given: mpsc::UnboundedSender<Given>,
    world: Shared,
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
        let (given, taken) = mpsc::unbounded_channel();
        let (looked_at, look_now) = (LookedAt::default(), Arc::new(Notify::new()));
        let steered = Steered {
            helm,
            world: Shared::clone(&world),
            clock,
            record,
            looked_at: looked_at.clone(),
            look_now: Arc::clone(&look_now),
            ours: BTreeMap::new(),
            noted: BTreeSet::new(),
        };
        tasks.spawn(murphy_core::boxed(steered.go_on(taken, stop.clone())));
        Reins { given, world, looked_at, look_now }
    }

    /// What the run cannot be told of must not be done.
    pub(crate) fn act(&self, order: Order) -> Heard {
        let given = match order {
            Order::Arm { edge, id, fault } => Given::Ask(SteerAsk::Arm { edge, fault: id, inject: fault }),
            Order::Lift { edge, id } => Given::Ask(SteerAsk::Lift { edge, fault: id }),
            Order::LiftAll => Given::LiftAll,
            Order::Stack(order) => return self.act_on_stack(&order),
            Order::Look(window) => {
                self.looked_at.set(window);
                self.look_now.notify_one();
                return Heard::Yes;
            }
            Order::Save { .. } => return Heard::Yes,
        };
        match self.given.send(given) {
            Ok(()) => Heard::Yes,
            Err(_) => self.unheard(),
        }
    }

    /// What is done to containers is told for the journal of the run: a blow before it is struck, and what is taken back all the same.
    fn act_on_stack(&self, order: &StackOrder) -> Heard {
        match order {
            StackOrder::Propose { .. } => Heard::Yes,
            StackOrder::Agree { number } => {
                // Read before another question can take the place of the one that was agreed to.
                let text = blow(&lock(&self.world), *number);
                let (told, once_told) = oneshot::channel();
                match self.given.send(Given::Blow { text, told }) {
                    Ok(()) => Heard::OnceTold(once_told),
                    Err(_) => self.unheard(),
                }
            }
            StackOrder::Relieve { container } => {
                let text = format!("give {container} back");
                // A run that is over need not know.
                let _ = self.given.send(Given::Ask(SteerAsk::Tell { text }));
                Heard::Yes
            }
        }
    }

    fn unheard(&self) -> Heard {
        let mut world = lock(&self.world);
        let now = world.now;
        world.note(now, Loudness::Trouble, "the run takes no orders any more: nothing was done");
        Heard::No
    }
}

/// What is to be asked of the run.
#[derive(Debug)]
enum Given {
    Ask(SteerAsk),
    /// To be told of a blow to a container that waits for it.
    Blow {
        text: String,
        told: oneshot::Sender<()>,
    },
    /// To take off all that was put on from here.
    LiftAll,
}

/// A blow that was agreed to, in words.
fn blow(world: &World, number: u64) -> String {
    let agreed = world.proposal.as_ref().filter(|proposal| proposal.number == number);
    agreed.map_or("a blow to a container", |proposal| proposal.title.as_str()).to_owned()
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

/// A run with a hand on it.
struct Steered {
    helm: Helm,
    world: Shared,
    clock: RunClock,
    record: Recorded,
    looked_at: LookedAt,
    look_now: Arc<Notify>,
    /// What was put on from here, stands and is in the recording.
    ours: BTreeMap<(EdgeName, FaultId), Fault>,
    /// The edges that are in the recording.
    noted: BTreeSet<EdgeName>,
}

/// What comes next.
enum Then {
    Do(Given),
    Look,
    Read,
}

impl Steered {
    async fn go_on(mut self, mut taken: mpsc::UnboundedReceiver<Given>, stop: CancellationToken) {
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ops::ControlFlow;

    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::UnixListener;

    use super::*;
    use crate::stack::{Proposal, Said};
    use crate::world::StandingFault;

    fn strike() -> Order {
        Order::Stack(StackOrder::Agree { number: 1 })
    }

    fn asked(title: &str) -> Option<Proposal> {
        Some(Proposal { number: 1, title: title.to_owned(), said: Said::Looking })
    }

    fn once_told(heard: Heard) -> oneshot::Receiver<()> {
        match heard {
            Heard::OnceTold(told) => told,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_that_takes_no_orders_has_nothing_done_to_its_containers_but_what_gives_them_back() {
        let (given, mut taken) = mpsc::unbounded_channel();
        let look_now = Arc::new(Notify::new());
        let reins = Reins { given, world: Shared::default(), looked_at: LookedAt::default(), look_now };
        lock(&reins.world).proposal = asked("kill web-1");
        let give_back = || Order::Stack(StackOrder::Relieve { container: "web-1".into() });
        let _waits = once_told(reins.act(strike()));
        // Whatever is asked next, it was this that was agreed to.
        lock(&reins.world).proposal = None;
        let Given::Blow { text, .. } = taken.try_recv().unwrap() else { panic!("no blow is told of") };
        assert_eq!(text, "kill web-1");
        assert!(matches!(reins.act(give_back()), Heard::Yes));
        let Given::Ask(SteerAsk::Tell { text }) = taken.try_recv().unwrap() else {
            panic!("nothing is told")
        };
        assert_eq!(text, "give web-1 back");

        drop(taken);
        assert!(matches!((reins.act(strike()), reins.act(Order::LiftAll)), (Heard::No, Heard::No)));
        assert!(matches!(reins.act(give_back()), Heard::Yes));
        let notes: Vec<String> = lock(&reins.world).happenings.iter().map(|one| one.text.clone()).collect();
        assert_eq!(notes, ["the run takes no orders any more: nothing was done"]);
    }

    /// A run that answers until it has heard enough, and is gone then.
    async fn answering(listener: UnixListener, mut hear: impl FnMut(&str) -> ControlFlow<()>) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut answer = SteerAnswer::Welcome;
        loop {
            let said = serde_json::to_string(&answer).unwrap() + "\n";
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            answer = match serde_json::from_str(&line).unwrap() {
                SteerAsk::Tell { text } if hear(&text).is_break() => return,
                SteerAsk::Edges => SteerAnswer::Edges(Vec::new()),
                _ => SteerAnswer::Done,
            };
        }
    }

    #[tokio::test]
    async fn a_blow_may_be_struck_when_the_run_says_that_it_knows_and_not_if_it_never_does() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("steer.sock")).unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let steering = async {
            let helm = Helm::take(folder.path()).await.unwrap();
            let kept = (RunClock::start(), Recorded::default());
            let reins = Reins::take(helm, Shared::default(), kept, &stop, &tasks);
            lock(&reins.world).proposal = asked("kill web-1");
            assert!(once_told(reins.act(strike())).await.is_ok());
            lock(&reins.world).proposal = asked("kill web-2");
            assert!(once_told(reins.act(strike())).await.is_err());
        };
        let until_second = |text: &str| match text {
            "kill web-2" => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        tokio::join!(answering(listener, until_second), steering);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_run_that_was_told_of_a_blow_is_told_when_that_is_never_struck() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("steer.sock")).unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (waits, mut heard) = (RefCell::new(None), Vec::new());
        let run = answering(listener, |text| {
            // It is taken back while the run hears of it.
            drop(waits.take());
            heard.push(text.to_owned());
            if heard.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let steering = async {
            let helm = Helm::take(folder.path()).await.unwrap();
            let kept = (RunClock::start(), Recorded::default());
            let reins = Reins::take(helm, Shared::default(), kept, &stop, &tasks);
            // This one is taken back before anybody hears of it.
            lock(&reins.world).proposal = asked("kill web-1");
            drop(once_told(reins.act(strike())));
            lock(&reins.world).proposal = asked("kill web-2");
            *waits.borrow_mut() = Some(once_told(reins.act(strike())));
            reins
        };
        let ((), reins) = tokio::join!(run, steering);
        assert_eq!(heard, ["kill web-2", "kill web-2 was not done"]);
        drop(reins);
        tasks.close();
        tasks.wait().await;
    }

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
