//! What a run answers, in the words of the view and of a recording.

use murphy_adhoc::How;
use murphy_core::Directions;
use murphy_faults::Fault;
use murphy_proxy::{Decision, EdgeConn, Stage};
use murphy_runner::{SteeredConnection, SteeredEdge, WhoseFault};

use crate::connections::OpenConnection;
use crate::source::own::{EdgeSpec, Via};
use crate::world::{StandingFault, Whose, World};

/// An edge as a recording has it.
pub(super) fn spec(edge: &SteeredEdge) -> EdgeSpec {
    let via = match (&edge.listen, &edge.from) {
        (Some(listen), _) => Via::Listen(listen.clone()),
        (None, from) => Via::From { from: from.clone().unwrap_or_default(), saved: None },
    };
    EdgeSpec { name: edge.name.clone(), via, upstream: edge.to.clone(), protocol: edge.protocol }
}

/// How a fault sits that is put on a run by hand.
pub(super) fn how(fault: &Fault) -> How {
    let directions = if fault.acts_on_requests() { Directions::default() } else { Directions::Both };
    How { directions, ..How::plain() }
}

pub(super) fn take_in(world: &mut World, told: SteeredEdge) {
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

pub(super) fn row(told: SteeredConnection) -> OpenConnection {
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
    use murphy_core::{EdgeName, FaultId, Offset, Protocol, Tally};
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
