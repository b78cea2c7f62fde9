//! The network of another process: enter its namespace from the side, make sockets there, redirect, cut or shape its
//! traffic, and take all of it back.
//!
//! Whatever is done to packets here is a lease where the kernel can hold one: it ends by itself seconds after Murphy
//! died. The crate must never touch the namespace that Murphy itself lives in, nor a table or queueing discipline that
//! is not its own.

mod capability;
mod cut;
mod dns;
mod error;
mod hosts;
mod inside;
mod intercept;
mod lease;
mod namespace;
mod nft;
mod packets;
mod plan;
mod resolve;
mod revert;
mod shape;
mod socket;
mod table;

pub use capability::{Ability, Capabilities, Capability, Finding, probe};
pub use error::NetnsError;
pub use inside::Netns;
pub use intercept::{Intercept, OpenConnections, ProxyPorts};
pub use lease::{Counted, Lease, LeaseStatus, LeaseTerm};
pub use namespace::identify;
pub use nft::Tool;
pub use packets::{Destinations, Loss, Partition, Reset, Way};
pub use plan::{NetFault, Plan};
pub use resolve::ResolveError;
pub use revert::{RevertError, Reverted, revert};
pub use shape::{Shape, ShapePlan};
pub use socket::{DIAL_MARK, IpFamily, original_destination};
pub use table::TableName;
