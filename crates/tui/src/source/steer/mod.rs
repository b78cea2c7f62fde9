//! The hands on a run that somebody else carries out: it is asked what is on its edges, and takes orders for them.
//!
//! What the run says of an edge goes before what its journal told. What is put there goes with the connection to the run.

mod steered;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use murphy_core::RunClock;
use murphy_runner::{Helm, SteerAsk};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::steered::Steered;
use crate::connections::LookedAt;
use crate::order::{Heard, Order};
use crate::record::Recorded;
use crate::screen::{Shared, lock};
use crate::stack::StackOrder;
use crate::world::{Loudness, World};

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ops::ControlFlow;

    use murphy_runner::SteerAnswer;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::UnixListener;

    use super::*;
    use crate::stack::{Proposal, Said};

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
}
