//! An edge by hand: sits in on the calls of containers that run already, without a scenario, until it is told to leave. It
//! is the same edge as a scenario's `from:`, under an undo log and a watchdog of its own.
//!
//! It must say before anything is touched what this machine cannot do.

use std::path::PathBuf;
use std::sync::Arc;

use murphy_core::{EdgeName, Protocol, Recorder, Seed, Timestamp, Undo};
use murphy_docker::Environment;
use murphy_host as host;
use murphy_proxy::{EdgeHands, EdgeTls};
use murphy_scenario::{Address, OpenConnections};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::callers::{CallerError, Callers, Whose};
use crate::edge::{Dialled, Interception, SitError, look_in, sit_in};
use crate::guarded_log::{GuardError, GuardedLog, Rest};
use crate::lock::{LockError, Locks};
use crate::preflight::lacks_to_sit_in;
use crate::site::{Site, lock};
use crate::state::{StateDir, StateError};
use crate::undo::take_back_rest;
use crate::undo_log::Owner;
use crate::{Lack, Lockable};

/// What is to be sat in on.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Whose calls.
    pub from: Whose,
    /// To where.
    pub to: Address,
    /// What becomes of connections that are open when it begins.
    pub open: OpenConnections,
    /// By which name events tell of it.
    pub edge: EdgeName,
    /// What is spoken.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    pub tls: EdgeTls,
    /// Root of all choices.
    pub seed: Seed,
    /// When it was asked for: its undo log and its tables are named after that.
    pub asked: Timestamp,
    /// What `murphy undo` and others who want the same callers are told.
    pub title: String,
}

/// One caller that was looked at and not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The container, or the process.
    pub caller: Lockable,
    /// The process whose network it is.
    pub pid: i32,
    /// The addresses of the destination as this caller gets them.
    pub destinations: Vec<String>,
    /// How it would be taken back.
    pub undo: Undo,
}

/// Who would be sat in on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// At least one, each with a network of its own.
    pub callers: Vec<Looked>,
    /// How many could have been chosen.
    pub of: usize,
    /// Those that match and are protected by their owner.
    pub protected: Vec<String>,
}

/// Why nobody is sat in on. Whatever had been done is taken back.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Something of an earlier run is in the way.
    #[error(transparent)]
    State(#[from] StateError),
    /// This machine cannot do it.
    #[error(
        "nobody can be sat in on here: {lack}\n      or let the callers dial a proxy: murphy proxy 127.0.0.1:0 {to}\n  \
         `murphy doctor` says what works on this machine"
    )]
    Unable {
        /// What is lacking.
        lack: Lack,
        /// Where the calls go.
        to: Address,
    },
    /// Nobody is meant.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// They cannot be sat in on.
    #[error(transparent)]
    SitIn(#[from] SitError),
    /// A caller is in other hands.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No undo can be put on disk, so nothing may be done.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The task that does it has ended: a defect of Murphy.
    #[error("the task that sits in has ended")]
    TaskGone,
}

/// Where an act by hand keeps its undo log, and by whom the log is watched.
#[derive(Debug, Clone)]
pub struct Base {
    /// Where undo logs are kept.
    pub state: StateDir,
    /// This binary, for the watchdog.
    pub program: PathBuf,
}

impl Attachment {
    /// Finds the callers and says how each would be taken back. Touches nothing.
    pub async fn look(&self, state: &StateDir) -> Result<Outlook, AttachError> {
        state.refuse_leftovers()?;
        if let Some(lack) = lacks_to_sit_in(format!("calls to {}", self.to), &self.from).await {
            return Err(AttachError::Unable { lack, to: self.to.clone() });
        }
        let owner = self.owner(state);
        let (callers, locks) = (Callers::new(None), Locks::new(state, &owner.holder()));
        let found = callers.look(&self.from).await?;
        for one in &found.found {
            lock(&locks, one)?;
        }
        let what = self.interception(Recorder::disabled());
        let mut looked = Vec::new();
        for (ordinal, caller) in (0..).zip(found.found) {
            let (pid, owner_of) = (caller.namespace.process.pid, caller.owner.clone());
            let (destinations, undo) = look_in(&what, caller, &self.run_name(), ordinal).await?;
            looked.push(Looked { caller: owner_of, pid, destinations, undo });
        }
        Ok(Outlook { callers: looked, of: found.of, protected: found.protected })
    }

    /// Begins to sit in; [`Attached::ready`] says whether all callers are sat in on. The faults of `hands` act on their
    /// calls. `recorder` gets the calls, who is sat in on, and what is taken back. Must be called inside a runtime.
    pub fn begin(
        &self,
        base: &Base,
        hands: &EdgeHands,
        recorder: &Recorder,
    ) -> Result<Attached, AttachError> {
        base.state.refuse_leftovers()?;
        let owner = self.owner(&base.state);
        let run = self.run_name();
        let guarded = GuardedLog::open(&base.state.log_path(&run), &owner, &base.program)?;
        let locks = Arc::new(Locks::new(&base.state, &owner.holder()));
        let (log, callers) = (Arc::clone(guarded.log()), Callers::new(None));
        let site = Arc::new(Site::new(recorder.clone(), log, callers, locks, run));
        let (tasks, close) = (TaskTracker::new(), CancellationToken::new());
        let (ready, is_ready) = oneshot::channel();
        let what = self.interception(recorder.clone());
        tasks.spawn(murphy_core::boxed(sit_in(Arc::clone(&site), what, hands.clone(), close.clone(), ready)));
        Ok(Attached { site, guarded, tasks, close: close.drop_guard(), ready: is_ready })
    }

    fn interception(&self, calls: Recorder) -> Interception {
        Interception {
            edge: self.edge.clone(),
            protocol: self.protocol,
            tls: self.tls.clone(),
            from: self.from.clone(),
            to: Dialled::Address(self.to.clone()),
            open: self.open,
            seed: self.seed,
            calls,
        }
    }

    /// By which the log and the tables are known.
    fn run_name(&self) -> String {
        format!("{}-attach-{}", self.asked.compact(), host::myself().pid)
    }

    fn owner(&self, state: &StateDir) -> Owner {
        Owner {
            process: host::myself(),
            scenario: self.title.clone(),
            run_dir: state.path().to_owned(),
            engine: Environment::of_process(),
        }
    }
}

/// Callers that are sat in on. Dropped, it leaves them as soon as the runtime gets to it.
#[derive(Debug)]
pub struct Attached {
    site: Arc<Site>,
    guarded: GuardedLog,
    tasks: TaskTracker,
    close: DropGuard,
    ready: oneshot::Receiver<Result<usize, SitError>>,
}

impl Attached {
    /// Waits until all callers are sat in on: how many. May be dropped; to be called once.
    pub async fn ready(&mut self) -> Result<usize, AttachError> {
        Ok((&mut self.ready).await.map_err(|_| AttachError::TaskGone)??)
    }

    /// Leaves them, and takes everything back. What could not be, each with what to type.
    pub async fn leave(self) -> Vec<String> {
        let Attached { site, guarded, tasks, close, ready } = self;
        drop((close, ready));
        tasks.close();
        tasks.wait().await;
        let mut failures = site.failures();
        if failures.is_empty() {
            failures = take_back_rest(guarded.log()).await;
        }
        // The locks go before the log, so that who finds them free finds no leftover.
        drop(site);
        guarded.close(if failures.is_empty() { Rest::Nothing } else { Rest::Something }).await;
        failures
    }
}
