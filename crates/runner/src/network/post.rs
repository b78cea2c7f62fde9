//! What a fault has put into one network: rules, or a limit on every interface. It follows the far side and is taken back
//! here. Nothing may be put there whose undo is not on disk before.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use murphy_core::{Rate, Tally, Undo, UndoId};
use murphy_faults::NetworkAction;
use murphy_netns::{
    Destinations, Lease, LeaseTerm, Loss, NetFault, Netns, NetnsError, Partition, Reset, Shape,
};

use super::Holder;
use crate::callers::Found;
use crate::edge::SitError;
use crate::legs::Leg;

/// What stands in one network.
pub(super) struct Post {
    lease: Option<Lease>,
    /// Keeps the network where no lease does: else its number could be given to another while this is known by it, and that one
    /// were taken for limited.
    kept: Option<Netns>,
    undos: Vec<(UndoId, Undo)>,
    peers: BTreeSet<IpAddr>,
}

impl Holder {
    pub(super) async fn post(
        &self,
        at: Found,
        leg: &Leg,
        peers: &BTreeSet<IpAddr>,
    ) -> Result<Post, SitError> {
        let said = |source| SitError::Netns { caller: at.name.clone(), source };
        let netns = Netns::enter(at.namespace.process).await.map_err(said)?;
        let hosts = peers.clone();
        let fault = match &self.action {
            NetworkAction::Bandwidth { rate } => {
                let post = self.shape(&netns, *rate).await.map_err(|error| error.of(&at.name))?;
                return Ok(Post { kept: Some(netns), ..post });
            }
            NetworkAction::Partition => NetFault::Partition(Partition { peers: hosts, way: leg.way }),
            NetworkAction::Loss { rate } => {
                NetFault::Loss(Loss { peers: hosts, way: leg.way, chance: *rate })
            }
            NetworkAction::Reset => NetFault::Reset(Reset { destinations: Destinations::Hosts(hosts) }),
            // Carried out by proxies.
            NetworkAction::Latency { .. } => {
                return Ok(Post { lease: None, kept: None, undos: Vec::new(), peers: hosts });
            }
        };
        let note = format!("murphy: fault {}", self.fault);
        let plan = netns.plan(fault, self.site.table(), &note, LeaseTerm::default()).await.map_err(said)?;
        let undo = plan.undo();
        let id = self.site.log.due(Some(&self.fault), &undo)?;
        match plan.apply().await {
            Ok(lease) => {
                Ok(Post { lease: Some(lease), kept: None, undos: vec![(id, undo)], peers: peers.clone() })
            }
            Err(error) => {
                // It may have been done in part: the undo finds out.
                let _ = self.site.take_back(id, undo).await;
                Err(said(error))
            }
        }
    }

    /// Limits every interface of the network.
    async fn shape(&self, netns: &Netns, rate: Rate) -> Result<Post, ShapeError> {
        let mut post = Post { lease: None, kept: None, undos: Vec::new(), peers: BTreeSet::new() };
        for interface in netns.interfaces().await? {
            let plan = netns.plan_shape(Shape { interface, rate }, &self.site.table()).await;
            let result = match plan {
                Ok(plan) => self.apply_shape(plan, &mut post).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                self.end(post).await;
                return Err(error);
            }
        }
        Ok(post)
    }

    async fn apply_shape(&self, plan: murphy_netns::ShapePlan, post: &mut Post) -> Result<(), ShapeError> {
        let undo = plan.undo();
        let id = self.site.log.due(Some(&self.fault), &undo).map_err(ShapeError::Log)?;
        post.undos.push((id, undo));
        plan.apply().await?;
        Ok(())
    }

    /// Takes back what stands in one network, and says what it did there.
    pub(super) async fn end(&self, post: Post) -> Tally {
        let mut tally = Tally::default();
        match post.lease {
            Some(lease) => {
                for counted in lease.counters().await.unwrap_or_default().into_values() {
                    tally.hits += counted.packets;
                    tally.bytes += counted.bytes;
                }
                // A failure is seen by the undo, which looks for the table itself.
                let _ = lease.lift().await;
            }
            // A limited interface: nobody counts there, but that it stood.
            None => tally.hits += post.undos.len() as u64,
        }
        for (id, undo) in post.undos.into_iter().rev() {
            // A failure is kept by the site.
            let _ = self.site.take_back(id, undo).await;
        }
        drop(post.kept);
        tally
    }
}

/// The far side has moved: the rules follow.
pub(super) async fn follow(post: &mut Post, peers: &BTreeSet<IpAddr>) {
    let Some(lease) = &post.lease else { return };
    if post.peers != *peers
        && lease.set_addresses(peers.iter().map(|ip| SocketAddr::new(*ip, 0)).collect()).await.is_ok()
    {
        post.peers.clone_from(peers);
    }
}

/// Why an interface is not limited.
enum ShapeError {
    Netns(NetnsError),
    Log(crate::UndoLogError),
}

impl From<NetnsError> for ShapeError {
    fn from(error: NetnsError) -> ShapeError {
        ShapeError::Netns(error)
    }
}

impl ShapeError {
    fn of(self, caller: &str) -> SitError {
        match self {
            ShapeError::Netns(source) => SitError::Netns { caller: caller.to_owned(), source },
            ShapeError::Log(error) => SitError::UndoLog(error),
        }
    }
}
