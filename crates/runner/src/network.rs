//! Faults on the network between callers: puts rules into their network namespaces, keeps them up while callers and
//! addresses change, and takes them out.
//!
//! Rules are leases of the kernel's with their undo on disk before; a limited rate is no lease and is left to the undo.
//! Latency is carried out by proxies that sit there from the beginning of the run, so that its begin and its end break no
//! connection.

mod post;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{
    Chance, Directions, EdgeName, EventKind, FaultId, NamespaceIdentity, Protocol, Recorder, Seed, Tally,
};
use murphy_faults::{Effect, NetworkAction, Place};
use murphy_proxy::{Armed, EdgeHands, EdgeTls};
use murphy_scenario::{FaultStep, FaultTarget, OpenConnections, Stretch};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::post::{Post, follow};
use crate::RunError;
use crate::callers::{Found, Whose};
use crate::edge::{Dialled, Interception, SitError};
use crate::legs::{Leg, legs, slow_legs};
use crate::peers::Peers;
use crate::site::Site;

/// How often callers and addresses are looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// All faults on networks of a run.
pub(crate) struct Networks {
    site: Arc<Site>,
    tasks: TaskTracker,
    standing: Mutex<BTreeMap<FaultId, Standing>>,
    /// The proxies that carry out latency, by fault, each with the ways on which it delays.
    slow: Mutex<BTreeMap<FaultId, Vec<(EdgeHands, Directions)>>>,
}

/// A fault that is in the world.
enum Standing {
    Held { lift: CancellationToken, done: JoinHandle<Tally> },
    Slow(Vec<EdgeHands>),
}

impl Networks {
    pub(crate) fn new(site: Arc<Site>) -> Networks {
        Networks { site, tasks: TaskTracker::new(), standing: Mutex::default(), slow: Mutex::default() }
    }

    /// Looks whether each fault will find its targets, and locks these. Touches nothing.
    pub(crate) async fn look_ahead(&self, steps: &[FaultStep]) -> Result<(), RunError> {
        for step in steps {
            let FaultTarget::Network { network } = &step.target else { continue };
            let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
            for leg in legs(network) {
                let all = [leg.at, leg.peers].concat();
                let found = self.site.callers.find_all(&all).await;
                for one in found.map_err(|error| failed(error.to_string()))? {
                    self.site.lock(&one)?;
                }
            }
        }
        Ok(())
    }

    /// What must be sat in on from the beginning for this fault; empty for faults without a proxy.
    pub(crate) fn interceptions(&self, step: &FaultStep, seed: Seed) -> Vec<(Interception, EdgeHands)> {
        let FaultTarget::Network { network } = &step.target else { return Vec::new() };
        let Some(Effect::Network(NetworkAction::Latency { .. })) = step.fault.effect_on(Place::Network)
        else {
            return Vec::new();
        };
        // A fault's name is spelled as an edge's.
        let Ok(edge) = EdgeName::new(step.id.as_str()) else { return Vec::new() };
        let mut all = Vec::new();
        for (from, to, directions) in slow_legs(network) {
            let what = Interception {
                edge: edge.clone(),
                protocol: Protocol::Tcp,
                tls: EdgeTls::default(),
                from: Whose::Callers(from),
                to: Dialled::Peers(to),
                open: OpenConnections::Cut,
                seed,
                // Its connections are no calls on an edge of the scenario.
                calls: Recorder::disabled(),
            };
            let hands = EdgeHands::default();
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            slow.entry(step.id.clone()).or_default().push((hands.clone(), directions));
            all.push((what, hands));
        }
        all
    }

    /// Puts a fault into the world.
    pub(crate) async fn arm(&self, step: &FaultStep, stretch: &Stretch) -> Result<(), RunError> {
        let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
        let Some(Effect::Network(action)) = step.fault.effect_on(Place::Network) else {
            return Err(failed(format!("{} does not act on a network", step.fault.name())));
        };
        let mut felt = Instant::now();
        if let NetworkAction::Latency { effect } = action {
            let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner).get(&step.id).cloned();
            let slow = slow.unwrap_or_default();
            for (hands, directions) in &slow {
                let (id, directions, chance) = (step.id.clone(), *directions, Chance::ALWAYS);
                hands.arm(Armed { id, effect: effect.clone(), directions, chance });
            }
            let hands = slow.into_iter().map(|(hands, _)| hands).collect();
            self.lock().insert(step.id.clone(), Standing::Slow(hands));
        } else {
            let (ready, is_ready) = oneshot::channel();
            let lift = CancellationToken::new();
            let holder = Holder {
                site: Arc::clone(&self.site),
                fault: step.id.clone(),
                legs: legs(stretch),
                action,
                posts: BTreeMap::new(),
                peers: Peers::default(),
                locked: BTreeMap::new(),
                gone: Tally::default(),
                felt: None,
            };
            let done = self.tasks.spawn(murphy_core::boxed(holder.hold(lift.clone(), ready)));
            // Known before it stands: whatever ends the run from here on takes it back.
            self.lock().insert(step.id.clone(), Standing::Held { lift, done });
            match is_ready.await {
                Ok(begun) => felt = begun.map_err(|error| failed(error.to_string()))?,
                Err(_) => return Err(failed("its task has ended".into())),
            }
        }
        self.site.recorder.record_at_instant(felt, EventKind::FaultArmed { fault: step.id.clone() });
        Ok(())
    }

    /// Takes a fault out of the world, and says what it did; one that is not in it is no error.
    pub(crate) async fn lift(&self, fault: &FaultId) -> Tally {
        let Some(standing) = self.lock().remove(fault) else { return Tally::default() };
        let tally = match standing {
            Standing::Held { lift, done } => {
                lift.cancel();
                // A task that panicked has dropped its leases, and its undos are still due.
                done.await.unwrap_or_default()
            }
            Standing::Slow(hands) => {
                hands.iter().filter_map(|hands| hands.lift(fault)).fold(Tally::default(), sum)
            }
        };
        self.site.recorder.record(EventKind::FaultLifted { fault: fault.clone(), tally });
        tally
    }

    /// Takes all out of the world.
    pub(crate) async fn lift_all(&self) {
        let all: Vec<FaultId> = self.lock().keys().rev().cloned().collect();
        for fault in all {
            self.lift(&fault).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FaultId, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(a: Tally, b: Tally) -> Tally {
    Tally { connections: a.connections + b.connections, hits: a.hits + b.hits, bytes: a.bytes + b.bytes }
}

/// One fault, held in all networks that it concerns.
struct Holder {
    site: Arc<Site>,
    fault: FaultId,
    legs: Vec<Leg>,
    action: NetworkAction,
    /// By leg and by the inode of the network.
    posts: BTreeMap<(usize, u64), Post>,
    peers: Peers,
    /// Networks that are locked, by inode.
    locked: BTreeMap<u64, NamespaceIdentity>,
    /// What was counted in networks that are gone.
    gone: Tally,
    /// Since when the fault may be felt: before its first act.
    felt: Option<Instant>,
}

impl Holder {
    async fn hold(
        mut self,
        lift: CancellationToken,
        ready: oneshot::Sender<Result<Instant, SitError>>,
    ) -> Tally {
        let first = self.look(Look::First).await;
        let first = first.map(|()| self.felt.unwrap_or_else(Instant::now));
        // Nobody waits any more if the run was stopped meanwhile; then it is lifted as well.
        let begun = ready.send(first).is_ok();
        while begun && tokio::time::timeout(LOOK_AGAIN, lift.cancelled()).await.is_err() {
            // What cannot be found at present is looked for again.
            let _ = self.look(Look::Again).await;
        }
        let mut tally = self.gone;
        for post in std::mem::take(&mut self.posts).into_values() {
            tally = sum(tally, self.end(post).await);
        }
        tally
    }

    async fn look(&mut self, look: Look) -> Result<(), SitError> {
        let mut inhabited = BTreeSet::new();
        for (index, leg) in self.legs.clone().into_iter().enumerate() {
            let far = self.lock(self.site.callers.find_all(&leg.peers).await?, look)?;
            let peers = self.peers.addresses(&far).await?;
            let found = self.lock(self.site.callers.find_all(&leg.at).await?, look)?;
            inhabited.extend(far.iter().chain(&found).map(|one| one.namespace.inode));
            let present: BTreeSet<u64> = murphy_core::gathered(found.iter().map(|one| one.namespace.inode));
            let left: Vec<(usize, u64)> = self
                .posts
                .keys()
                .copied()
                .filter(|(of, inode)| *of == index && !present.contains(inode))
                .collect();
            for key in left {
                if let Some(post) = self.posts.remove(&key) {
                    self.gone = sum(self.gone, self.end(post).await);
                }
            }
            for one in found {
                let key = (index, one.namespace.inode);
                match self.posts.get_mut(&key) {
                    Some(post) => follow(post, &peers).await,
                    None => {
                        self.felt.get_or_insert_with(Instant::now);
                        match self.post(one, &leg, &peers).await {
                            Ok(post) => drop(self.posts.insert(key, post)),
                            Err(error) if look == Look::First => return Err(error),
                            Err(_) => {}
                        }
                    }
                }
            }
        }
        let site = &self.site;
        self.locked.retain(|inode, network| {
            let lives = inhabited.contains(inode);
            if !lives {
                site.release(*network);
            }
            lives
        });
        Ok(())
    }

    /// Those that are in this run's hands. One that comes later and is in those of another run is left alone.
    fn lock(&mut self, found: Vec<Found>, look: Look) -> Result<Vec<Found>, SitError> {
        let mut ours = Vec::with_capacity(found.len());
        for one in found {
            match self.site.lock(&one) {
                Ok(()) => {
                    self.locked.entry(one.namespace.inode).or_insert(one.namespace);
                    ours.push(one);
                }
                Err(error) if look == Look::First => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(ours)
    }
}

/// Which look it is: at the first, everything must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Again,
}
