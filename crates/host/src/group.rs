//! Process groups: who is in one, and ending a whole one, also from another process than the one that started it.
//!
//! It must never signal a group whose number has gone to somebody else, and must not report a group as gone while a
//! member that could still act is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use murphy_core::{ProcessIdentity, Span};

use crate::process::is_alive;
use crate::signal::{SendError, Signal, send, send_group};
use crate::stat::Stat;

/// How long a process may take to vanish after SIGKILL. It is at once, unless it is stuck in a device.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The running members of the group that this leader leads or led, the leader first, then by pid; none if the number
/// belongs to somebody else by now.
pub fn members(leader: &ProcessIdentity) -> Vec<ProcessIdentity> {
    let mut members: Vec<ProcessIdentity> = group_of(leader, &Stat::all()).collect();
    murphy_core::sort_short(&mut members, |a, b| (a != leader, a.pid).cmp(&(b != leader, b.pid)));
    members
}

fn group_of(leader: &ProcessIdentity, all: &[Stat]) -> impl Iterator<Item = ProcessIdentity> {
    // The kernel does not reuse a group's number as a pid while the group has a member. So if the pid now has another
    // owner, the group had died out before, and what has its number now is another group.
    let reused = all.iter().any(|stat| stat.pid == leader.pid && stat.born != leader.born);
    all.iter()
        .filter(move |stat| {
            !reused && stat.group == leader.pid && stat.born >= leader.born && stat.is_running()
        })
        .map(Stat::identity)
}

/// Why a group is not gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// A member could not be signalled.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Members outlived SIGKILL: they are stuck in the kernel, most often on a device or a network file system.
    #[error(
        "pids {pids:?} are still there {} after SIGKILL: stuck in the kernel; look at `ps -o pid,stat,wchan -p PID`",
        Span::from(KILL_PATIENCE)
    )]
    Stuck {
        /// The remaining ones.
        pids: Vec<i32>,
    },
}

/// The group and every descendant of it that has been seen, also those that went into a group of their own (as the
/// processes of a database server do).
struct Family {
    leader: ProcessIdentity,
    seen: BTreeSet<ProcessIdentity>,
}

impl Family {
    /// Looks again; the members that run now.
    fn running(&mut self) -> BTreeSet<ProcessIdentity> {
        let all = Stat::all();
        self.seen.extend(group_of(&self.leader, &all));
        let is_known = |stat: &&Stat| self.seen.contains(&stat.identity()) || stat.identity() == self.leader;
        let mut pids: BTreeSet<i32> = murphy_core::gathered(all.iter().filter(is_known).map(|stat| stat.pid));
        let mut children: BTreeMap<i32, Vec<&Stat>> = BTreeMap::new();
        for stat in &all {
            children.entry(stat.parent).or_default().push(stat);
        }
        let mut open: Vec<i32> = pids.iter().copied().collect();
        while let Some(pid) = open.pop() {
            for child in children.get(&pid).into_iter().flatten() {
                if pids.insert(child.pid) {
                    open.push(child.pid);
                    self.seen.insert(child.identity());
                }
            }
        }
        self.seen.iter().copied().filter(is_alive).collect()
    }

    /// Signals the group at once, and one by one whoever that does not reach.
    fn signal(&self, running: &BTreeSet<ProcessIdentity>, signal: Signal) -> Result<(), SendError> {
        let whole = match send_group(&self.leader, signal) {
            Ok(()) => true,
            Err(SendError::Gone { .. }) => false,
            Err(error) => return Err(error),
        };
        for member in running {
            let reached = whole && Stat::of(member.pid).is_some_and(|stat| stat.group == self.leader.pid);
            if !reached {
                match send(member, signal) {
                    Ok(()) | Err(SendError::Gone { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// True once nobody is left, looking at growing intervals until the deadline.
    async fn gone_by(&mut self, deadline: Instant) -> bool {
        let mut pause = Duration::from_millis(2);
        loop {
            if self.running().is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// Ends a group: SIGTERM (and SIGCONT, so that a frozen one can hear it), after the grace SIGKILL, until the leader,
/// every member and every descendant is gone. `Ok` at once if nobody is there, so that a second call is harmless.
///
/// It does not reap: a leader that is this process's child stays as a zombie until it is waited for.
pub async fn stop_group(leader: &ProcessIdentity, grace: Span) -> Result<(), StopError> {
    let mut family = Family { leader: *leader, seen: BTreeSet::new() };
    let running = family.running();
    if running.is_empty() {
        return Ok(());
    }
    if !grace.is_zero() {
        family.signal(&running, Signal::TERM)?;
        family.signal(&running, Signal::CONT)?;
        if family.gone_by(Instant::now() + grace.as_duration()).await {
            return Ok(());
        }
    }
    let deadline = Instant::now() + KILL_PATIENCE;
    loop {
        // Again and again: a member may have been forked while the last round was on its way.
        let running = family.running();
        family.signal(&running, Signal::KILL)?;
        if family.gone_by(Instant::now() + Duration::from_millis(100)).await {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(StopError::Stuck {
                pids: family.running().iter().map(|member| member.pid).collect(),
            });
        }
    }
}
