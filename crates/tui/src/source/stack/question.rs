//! The question before a blow: which act it is, whom that would touch, and whose calls go there now. It only looks, and must
//! never touch a container.

use std::sync::Arc;
use std::time::Duration;

use murphy_adhoc::{
    AdhocError, Asked, Consent, Deed, Happening, NetworkTarget, Order as Act, OrderError, Planned, Whom,
    WhomError, Wish, dry_run, side,
};
use murphy_faults::{Fault, Place};
use murphy_scenario::{Caller, CallerError, Stretch, StretchError};
use serde_json::Map;

use super::{Inner, Pending};
use crate::record::At;
use crate::screen::lock;
use crate::stack::{Blow, ContainerState, Said, Touch};
use crate::world::World;

/// Why a blow makes no sense.
#[derive(Debug, thiserror::Error)]
enum BlowError {
    #[error("`{container}` is not there any more")]
    Gone { container: String },
    #[error("its owner protects it: it has the label murphy.protect=true")]
    Protected,
    #[error(transparent)]
    Whom(#[from] WhomError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Stretch(#[from] StretchError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("this build has no fault `{name}`")]
    NoFault { name: &'static str },
}

impl Inner {
    /// The act that a blow is, and how a scenario says it.
    fn act_of(&self, number: u64, blow: &Blow, container: &str) -> Result<(Act, At, Fault), BlowError> {
        let gone = || BlowError::Gone { container: container.to_owned() };
        let id = self.lock().ids.get(container).cloned().ok_or_else(gone)?;
        let touch = lock(&self.config.world).containers.get(container).map(|known| known.touch);
        if touch == Some(Touch::Forbidden) {
            return Err(BlowError::Protected);
        }
        let name = match blow {
            Blow::Kill => "kill",
            Blow::Pause => "pause",
            Blow::Cut { .. } => "partition",
        };
        let fault = Fault::from_settings(name, Map::new()).map_err(|_| BlowError::NoFault { name })?;
        let (whom, at, place) = match blow {
            Blow::Kill | Blow::Pause => {
                let whom = Wish::all(&format!("id:{id}")).containers(name, "")?;
                (whom, At::Container(container.to_owned()), Place::Container)
            }
            Blow::Cut { from } => {
                let (one, others) = (side(container)?, side(from)?);
                let words = |side: &[Caller]| side.iter().map(Caller::to_string).collect();
                let at = At::Between(words(&one), words(&others));
                let stretch = Stretch::between(vec![one, others])?;
                let target = NetworkTarget { stretch, project: None, max: None };
                (Whom::Network(target), at, Place::Network)
            }
        };
        let deed = Deed::of_fault(&fault, place).ok_or(BlowError::NoFault { name })?;
        let seed = self.config.seed.derive("top", number);
        Ok((Act::new(deed, whom, Asked::default(), seed, Consent::EachTime)?, at, fault))
    }

    pub(super) async fn look_whom(self: Arc<Self>, number: u64, blow: Blow, container: String) {
        let mut planned = None;
        let said = match self.act_of(number, &blow, &container) {
            Err(error) => Said::Refused { why: error.to_string() },
            Ok((act, at, fault)) => {
                let mut tell = |happening: Happening| {
                    if let Happening::Planned(plan) = happening {
                        planned = Some(plan);
                    }
                };
                let told = dry_run(&act, &self.config.base.state, &mut tell).await;
                match (told, planned) {
                    (Ok(()), Some(planned)) => {
                        let said = Said::Ready { lines: self.radius(&planned) };
                        let pending = Pending { number, container, act, at, fault, planned };
                        self.lock().keep(pending);
                        said
                    }
                    (Err(error), _) => Said::Refused { why: error.to_string() },
                    (Ok(()), None) => Said::Refused { why: AdhocError::Interrupted.to_string() },
                }
            }
        };
        let mut world = lock(&self.config.world);
        if let Some(proposal) = world.proposal.as_mut().filter(|proposal| proposal.number == number) {
            proposal.said = said;
        }
    }

    /// Whom it touches and whose calls go there now.
    fn radius(&self, planned: &Planned) -> Vec<String> {
        let text = Happening::Planned(planned.clone()).text();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let world = lock(&self.config.world);
        for victim in &planned.targets {
            let Some(known) = world.containers.get(&victim.name) else { continue };
            lines.extend(calls_to(&world, &victim.name, known));
        }
        lines
    }
}

/// The edges whose calls go to a container, with what passes there now.
fn calls_to(world: &World, name: &str, known: &ContainerState) -> Vec<String> {
    let is_it = |upstream: &str| {
        let host = upstream.rsplit_once(':').map_or(upstream, |(host, _)| host);
        host == name || known.known_as.iter().any(|one| one == host)
    };
    let edges = world.edges.iter().filter(|(_, edge)| is_it(&edge.upstream));
    let said = edges.map(|(edge_name, edge)| {
        let rate = edge.figures.rate(world.now, Duration::from_secs(10));
        format!("  calls       {edge_name} goes to {name}: {rate:.1} calls/s, {} open connections", edge.open)
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use murphy_core::EdgeName;

    use super::*;

    #[test]
    fn the_question_names_the_edges_whose_calls_go_to_the_container() {
        let mut world = World::default();
        for (name, upstream) in [("cache", "redis:6379"), ("db", "10.0.0.3:5432"), ("other", "web:80")] {
            world.edge(&EdgeName::new(name).unwrap()).upstream = upstream.to_owned();
        }
        world.edge(&EdgeName::new("cache").unwrap()).open = 3;
        let known =
            ContainerState { known_as: vec!["redis".into(), "10.0.0.3".into()], ..Default::default() };
        let said = calls_to(&world, "shop-redis-1", &known);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].ends_with("cache goes to shop-redis-1: 0.0 calls/s, 3 open connections"), "{said:?}");
    }
}
