//! What is asked of a run that is under way, and what it answers: one line of JSON each.

use murphy_core::{ConnId, EdgeName, FaultId, Protocol, Span, Tally};
use murphy_faults::Fault;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SteerAsk {
    /// The edges, with what stands on them.
    Edges,
    /// Open connections.
    Connections {
        /// Of which edge.
        edge: EdgeName,
        /// Behind which: the place of its proxy, and its number there. `(0, 0)` is before all.
        after: (usize, ConnId),
        /// How many; 1000 at most.
        most: usize,
    },
    /// Put a fault on an edge; one that stands there by that name is edited, and one of the plan that whoever asks has taken off is put
    /// back until its time is over.
    Arm {
        /// Which edge.
        edge: EdgeName,
        /// A name, if nothing else in the run is called so; else it gets one of its own.
        fault: FaultId,
        /// What.
        inject: Box<Fault>,
    },
    /// Take a fault off an edge.
    Lift {
        /// Which edge.
        edge: EdgeName,
        /// Which fault.
        fault: FaultId,
    },
    /// Something else was done by hand, as to a container: for the journal.
    Tell {
        /// In a few words.
        text: String,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SteerAnswer {
    /// Said before anything is asked, to whoever is let in.
    Welcome,
    /// All edges of the plan, in its order.
    Edges(Vec<SteeredEdge>),
    /// Those of each proxy oldest first.
    Connections(Vec<SteeredConnection>),
    /// It is done.
    Done,
    /// It is not done; said before anything is asked, nothing will be.
    Refused {
        /// Why.
        why: String,
    },
}

/// An edge of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SteeredEdge {
    /// Its name.
    pub name: EdgeName,
    /// What is spoken.
    pub protocol: Protocol,
    /// Where callers dial; nothing where their calls are sat in on.
    pub listen: Option<String>,
    /// Whose calls are sat in on, in the words of the scenario.
    pub from: Option<String>,
    /// What is dialled on.
    pub to: String,
    /// Connections so far.
    pub accepted: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connections whose dependency could not be reached.
    pub dial_failed: u64,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to callers.
    pub to_client: u64,
    /// What stands on it.
    pub faults: Vec<SteeredFault>,
}

/// A fault that stands on an edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SteeredFault {
    /// Its name.
    pub id: FaultId,
    /// As printed.
    pub text: String,
    /// The fault as it is now; nothing where it holds a secret.
    pub inject: Option<Fault>,
    /// What it has done so far.
    pub tally: Tally,
    /// Who has put it there.
    pub whose: WhoseFault,
}

/// Who has put a fault on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhoseFault {
    /// The scenario.
    Plan,
    /// Whoever asks.
    Yours,
    /// Somebody else by hand.
    Another,
}

/// An open connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SteeredConnection {
    /// The place of its proxy, and its number there.
    pub place: (usize, ConnId),
    /// The caller's address.
    pub peer: String,
    /// Time since it was accepted.
    pub age: Span,
    /// Whether the dependency has been reached.
    pub carried: bool,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to the caller.
    pub to_client: u64,
    /// What each fault decided of it, in the order in which bytes pass them.
    pub decisions: Vec<SteeredDecision>,
}

/// What a fault decided of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SteeredDecision {
    /// Which fault.
    pub fault: FaultId,
    /// Whether it acts on it.
    pub acts: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_is_a_line_that_can_be_typed() {
        let asked =
            json!({ "arm": { "edge": "db", "fault": "latency-1", "inject": { "latency": "300ms" } } });
        let ask: SteerAsk = serde_json::from_value(asked).unwrap();
        let SteerAsk::Arm { edge, fault, inject } = &ask else { panic!("{ask:?}") };
        assert_eq!(
            (edge.as_str(), fault.as_str(), inject.text()),
            ("db", "latency-1", "latency 300ms".to_owned())
        );
        let said = serde_json::to_string(&ask).unwrap();
        assert_eq!(serde_json::from_str::<SteerAsk>(&said).unwrap(), ask);
        assert_eq!(serde_json::from_str::<SteerAsk>("\"edges\"").unwrap(), SteerAsk::Edges);
        assert_eq!(serde_json::to_value(SteerAnswer::Done).unwrap(), json!("done"));
        assert_eq!(serde_json::to_value(SteerAnswer::Welcome).unwrap(), json!("welcome"));
    }
}
