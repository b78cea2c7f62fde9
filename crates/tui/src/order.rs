//! What hands can do: the only way from the keyboard into the world. A source carries orders out, or says why not.

use std::path::PathBuf;

use murphy_core::{EdgeName, FaultId};
use murphy_faults::Fault;
use tokio::sync::oneshot;

use crate::connections::Window;
use crate::stack::StackOrder;

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Put a fault on an edge; one with the same id is edited.
    Arm {
        /// Where.
        edge: EdgeName,
        /// Which.
        id: FaultId,
        /// What.
        fault: Box<Fault>,
    },
    /// Take a fault off.
    Lift {
        /// Where.
        edge: EdgeName,
        /// Which.
        id: FaultId,
    },
    /// Take everything off everywhere.
    LiftAll,
    /// Something about containers.
    Stack(StackOrder),
    /// Read this page of open connections until another one is wanted, or none. It touches nothing: tied hands may ask for it too.
    Look(Option<Window>),
    /// Write what was done by hand as a scenario.
    Save {
        /// Where to.
        path: PathBuf,
    },
}

/// Whether whoever is watched knows of an order.
#[derive(Debug)]
pub enum Heard {
    /// It does, or need not.
    Yes,
    /// It is being told: nothing must be done before this comes, and nothing at all if it is dropped.
    OnceTold(oneshot::Receiver<()>),
    /// It does not: nothing must be done.
    No,
}

/// Whether a source takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// It does.
    Free,
    /// It is watched only.
    Tied,
}
