//! The proxies of a daemon: what each should be, and the running one if there is one.

mod error;
mod fault;
mod faults;
mod leases;
mod noted;
mod room;
mod rules;
mod run;
mod set;
mod slot;
mod spec;
mod toxics;

pub use error::ProxyError;
pub use fault::{FaultPlan, Owner, StandingFault, given_name};
pub use faults::{LiveConnection, Placed, Source};
pub use leases::{LeaseHold, LeaseState};
pub use rules::RulePlan;
pub(crate) use set::MOST_PROXIES;
pub use set::Proxies;
pub use spec::{ProxyChange, ProxySpec};
