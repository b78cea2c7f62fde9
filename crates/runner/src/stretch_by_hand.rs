//! One fault on a stretch of network by hand, outside of a run: whom it concerns, its begin, its end. The same rules, leases,
//! undos and locks as in a run, since the same parts carry it out.
//!
//! It must be ended once it was begun, also where its begin failed: a drop alone takes nothing back but its undos, later.

use std::sync::Arc;

use murphy_core::{FaultId, Recorder, Seed, Span, Tally, plural};
use murphy_faults::{Effect, Fault, NetworkAction, Place};
use murphy_scenario::{FaultStep, FaultTarget, Ramp, Stretch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::RunError;
use crate::callers::{Callers, Found};
use crate::edge::begin_to_sit;
use crate::legs::{legs, slow_legs};
use crate::lock::{Lockable, Locks};
use crate::network::Networks;
use crate::preflight;
use crate::site::Site;
use crate::undo_log::UndoLog;

/// A fault on a stretch of network.
pub struct StretchByHand {
    step: FaultStep,
    stretch: Stretch,
    project: Option<String>,
    seed: Seed,
    standing: Option<Standing>,
}

/// What is in the world.
struct Standing {
    site: Arc<Site>,
    networks: Networks,
    close: CancellationToken,
    seats: TaskTracker,
}

/// One whose network is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// For people.
    pub name: String,
    /// The container or process, and its network: what is locked.
    pub locks: [Lockable; 2],
    /// How what is done in its network is taken back; `None` if that is only looked at.
    pub undo: Option<String>,
}

impl StretchByHand {
    /// Nothing is looked up yet. Names of compose services are meant in `project`, if one is given.
    pub fn new(
        fault: &Fault,
        stretch: &Stretch,
        project: Option<&str>,
        seed: Seed,
    ) -> Result<StretchByHand, RunError> {
        let failed = |error: murphy_core::NameError| RunError::Setup {
            what: fault.name().to_owned(),
            why: error.to_string(),
        };
        let step = FaultStep {
            id: FaultId::new(fault.name()).map_err(failed)?,
            target: FaultTarget::Network { network: stretch.clone() },
            fault: fault.clone(),
            ramp: Ramp::default(),
            trigger: None,
            at: Span::ZERO,
            lasts: Span::ZERO,
            entry: 0,
            turn: 1,
        };
        let project = project.map(str::to_owned);
        Ok(StretchByHand { step, stretch: stretch.clone(), project, seed, standing: None })
    }

    /// All that are concerned, those first in whose networks something is done. Touches nothing, locks nothing.
    pub async fn look(&self) -> Result<Vec<Party>, RunError> {
        preflight::check_fault(&self.step).await?;
        let callers = self.callers();
        let failed = |error: crate::callers::CallerError| RunError::Inject {
            fault: self.step.id.clone(),
            why: error.to_string(),
        };
        let slow = matches!(self.action(), Some(NetworkAction::Latency { .. }));
        let sides: Vec<_> = match slow {
            true => slow_legs(&self.stretch).into_iter().map(|(at, peers, _)| (at, peers)).collect(),
            false => legs(&self.stretch).into_iter().map(|leg| (leg.at, leg.peers)).collect(),
        };
        let (mut touched, mut others): (Vec<Found>, Vec<Found>) = Default::default();
        for (at, peers) in sides {
            let found = callers.find_all(&at).await.map_err(failed)?;
            touched.extend(found.into_iter().filter(|one| !has(&touched, one)).collect::<Vec<_>>());
            others.append(&mut callers.find_all(&peers).await.map_err(failed)?);
        }
        let mut parties: Vec<Party> = Vec::new();
        for one in touched.iter().chain(&others) {
            let party = Party {
                name: one.name.clone(),
                locks: [one.owner.clone(), Lockable::Network(one.namespace)],
                undo: has(&touched, one).then(|| self.undo_in(&one.name)),
            };
            if !parties.iter().any(|known| known.locks[1] == party.locks[1]) {
                parties.push(party);
            }
        }
        Ok(parties)
    }

    /// What a person should know beforehand.
    pub fn notes(&self) -> Vec<String> {
        match self.action() {
            Some(NetworkAction::Latency { .. }) => vec![
                "TCP only, by proxies in these networks: connections that are open are cut, and cut again at the end"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// Puts it into the world; each undo goes into `log` before. `run` is unique to this act: its tables are known by it.
    pub async fn begin(&mut self, log: Arc<UndoLog>, locks: Arc<Locks>, run: &str) -> Result<(), RunError> {
        let callers = self.callers();
        let site = Arc::new(Site::new(Recorder::disabled(), log, callers, locks, run.to_owned()));
        let networks = Networks::new(Arc::clone(&site));
        let (close, seats) = (CancellationToken::new(), TaskTracker::new());
        // Known before anything stands: whatever becomes of it is ended.
        let standing = self.standing.insert(Standing { site, networks, close, seats });
        let Standing { site, networks, close, seats } = standing;
        networks.look_ahead(std::slice::from_ref(&self.step)).await?;
        for (what, hands) in networks.interceptions(&self.step, self.seed) {
            begin_to_sit(seats, Arc::clone(site), what, hands, close.clone()).await?;
        }
        networks.arm(&self.step, &self.stretch).await
    }

    /// Takes it out of the world: what it did, and what could not be taken back.
    pub async fn end(&mut self) -> (Tally, Vec<String>) {
        let Some(Standing { site, networks, close, seats }) = self.standing.take() else {
            return (Tally::default(), Vec::new());
        };
        let tally = networks.lift(&self.step.id).await;
        close.cancel();
        seats.close();
        seats.wait().await;
        (tally, site.failures())
    }

    /// What it did, in words; `None` where nobody counts.
    pub fn told(&self, tally: Tally) -> Option<String> {
        match self.action()? {
            NetworkAction::Latency { .. } => {
                Some(format!("{} delayed", plural(tally.connections, "connection")))
            }
            NetworkAction::Bandwidth { .. } => None,
            _ => Some(format!("it met {}", plural(tally.hits, "packet"))),
        }
    }

    fn callers(&self) -> Callers {
        let callers = Callers::new(None);
        self.project.iter().for_each(|project| callers.in_project(project));
        callers
    }

    fn action(&self) -> Option<NetworkAction> {
        match self.step.fault.effect_on(Place::Network)? {
            Effect::Network(action) => Some(action),
            Effect::Edge(_) | Effect::Process(_) | Effect::Container(_) | Effect::Pressure(_) => None,
        }
    }

    fn undo_in(&self, name: &str) -> String {
        match self.action() {
            Some(NetworkAction::Bandwidth { .. }) => {
                format!("remove the shaping of each interface in the network of {name}")
            }
            _ => format!("delete Murphy's nftables table in the network of {name}, a lease of 5s"),
        }
    }
}

fn has(all: &[Found], one: &Found) -> bool {
    all.iter().any(|known| known.namespace.inode == one.namespace.inode)
}
