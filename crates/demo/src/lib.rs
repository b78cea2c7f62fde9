//! The demo shop: small HTTP services over real sockets, to break on purpose. Two of them come in two builds of one
//! behaviour: *careful* (timeouts, bounded retries, breakers, fallbacks) and *careless* (none of it). Murphy has to tell
//! the two apart from outside; so nothing in here may know that Murphy exists.

mod args;
mod breaker;
mod bulkhead;
mod cache;
mod cart;
mod catalogue;
mod detached;
mod error;
mod flags;
mod guard;
mod jitter;
mod link;
mod log;
mod payments;
mod reply;
mod retry;
mod run;
mod scenarios;
mod server;
mod shed;
mod shop;
mod stale;

pub use args::{
    Args, BuildFlags, CacheArgs, CareFlags, CartArgs, CatalogueArgs, Common, PaymentsArgs, Service, ShopArgs,
    ShopDependency,
};
pub use error::DemoError;
pub use flags::{Address, LogLevel};
pub use run::{Bound, run};
pub use scenarios::{CAREFUL, CARELESS};
