//! Faults of the network between containers: data only; the runner carries them out in the network namespaces.
//!
//! `partition` is only of the network. `loss`, `reset`, `bandwidth` and `latency` are faults of edges as well; here they
//! act on the packets, or, where the kernel has no means, on all connections of the stretch.

mod partition;

pub use partition::Partition;

use murphy_core::{Chance, Rate};
use murphy_proxy::EdgeEffect;

/// What is done to a stretch of network.
#[derive(Debug, Clone)]
pub enum NetworkAction {
    /// No packet passes.
    Partition,
    /// A share of the packets is lost.
    Loss {
        /// Which share.
        rate: Chance,
    },
    /// Connections are refused, and open ones reset at their next packet.
    Reset,
    /// What leaves an interface leaves at this rate.
    Bandwidth {
        /// Bytes a second, with all headers.
        rate: Rate,
    },
    /// Bytes arrive later, carried out by a proxy on every TCP connection of the stretch.
    Latency {
        /// What each connection suffers.
        effect: EdgeEffect,
    },
}
