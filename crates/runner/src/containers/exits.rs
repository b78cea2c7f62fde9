//! Which exits are a fault's and which a container's own: counted as the engine tells of them, held against those that a fault
//! expects. One that a fault took back and whose exit was not told yet still is owed one; no other exit may be called a
//! fault's once that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use murphy_core::{ContainerIdentity, ExitCause, FaultId};
use murphy_docker::{Action, ExitCauses};
use tokio::time::Instant;

use super::armed::Armed;
use super::{Containers, lock};
use crate::container_acts::{ends, may_end};

/// How long the event of an exit that must have happened may take to arrive.
const EVENT_PATIENCE: Duration = Duration::from_secs(3);

/// What the engine's events told.
#[derive(Default)]
pub(super) struct Seen {
    /// Exits so far, by container.
    pub(super) exits: BTreeMap<String, u64>,
    /// Exits at the time when the fault began.
    before: BTreeMap<(FaultId, String), u64>,
    /// Whose next exit still is a fault's.
    pub(super) forget: BTreeSet<String>,
}

impl Containers {
    /// Of how many targets the end was seen; waits a little for events that are still on their way.
    pub(super) async fn ended(&self, fault: &FaultId, armed: &Armed) -> u64 {
        let count = || {
            let seen = lock(&self.seen);
            let ended = |id: &String| {
                let before = seen.before.get(&(fault.clone(), id.clone())).copied().unwrap_or(0);
                seen.exits.get(id).copied().unwrap_or(0) > before
            };
            armed.targets.iter().filter(|target| ended(&target.id)).count() as u64
        };
        let deadline = Instant::now() + EVENT_PATIENCE;
        loop {
            let news = self.news.notified();
            let seen = count();
            if seen >= armed.applied || tokio::time::timeout_at(deadline, news).await.is_err() {
                return seen;
            }
        }
    }

    pub(super) fn expect_exits(&self, fault: &FaultId, action: &Action, targets: &[ContainerIdentity]) {
        let mut seen = lock(&self.seen);
        for target in targets {
            let so_far = seen.exits.get(&target.id).copied().unwrap_or(0);
            seen.before.insert((fault.clone(), target.id.clone()), so_far);
            if may_end(action) {
                seen.forget.remove(&target.id);
                if ends(action) {
                    seen.forget.insert(target.id.clone());
                }
                self.each_cause(|causes| causes.expect(target, ExitCause::Fault));
            }
        }
    }

    /// The next exit is the container's own, unless one of this fault must still be told.
    pub(super) fn forget_exits(&self, fault: &FaultId, armed: &Armed, undone: bool) {
        if !may_end(&armed.action) {
            return;
        }
        let mut seen = lock(&self.seen);
        for target in &armed.targets {
            let before = seen.before.remove(&(fault.clone(), target.id.clone())).unwrap_or(0);
            let told = seen.exits.get(&target.id).copied().unwrap_or(0) > before;
            if told || !armed.ends || !undone {
                seen.forget.remove(&target.id);
                self.each_cause(|causes| causes.forget(target));
            }
        }
    }

    pub(super) fn each_cause(&self, with: impl Fn(&ExitCauses)) {
        lock(&self.causes).iter().for_each(with);
    }
}
