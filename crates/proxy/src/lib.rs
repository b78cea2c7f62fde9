//! The data path: a TCP proxy on which faults can sit, be edited and be taken away while connections are open.
//!
//! It offers mechanism only and knows no fault by name: the catalogue hands it effects. It must never lose or reorder
//! bytes unless an effect says so, never wait with a lock held, and never be stopped by what one connection does.

mod acceptor;
mod admit;
mod ahead;
mod armed;
mod arrival;
mod bind;
mod chunk;
mod crew;
mod dialer;
mod door;
mod edge_hands;
mod effect;
mod exchange;
mod goodbye;
mod ground;
mod handle;
pub mod http;
mod leg;
mod line;
mod link;
mod links;
mod listener;
mod meter;
mod nudge;
mod pump;
mod roster;
mod running;
mod scratch;
mod second_look;
mod shared;
mod timer;
mod tls;
mod troubles;

pub use armed::{Armed, Draws, EdgeTally, Standing, Table};
pub use bind::BindError;
pub use chunk::{Chunk, Due, Wait};
pub use crew::tasks_of_connections;
pub use edge_hands::{EdgeConn, EdgeHands};
pub use effect::{EdgeEffect, EffectFactory, Ending, Farewell, Outbox, Overflow, StreamEffect};
pub use ground::{Dialling, Ground, OwnGround, connect};
pub use handle::ProxyHandle;
pub use line::{Blocked, Front, Line};
pub use listener::{Proxy, ProxyConfig};
pub use meter::MeterSnapshot;
pub use roster::{Connection, Decision, Stage};
pub use running::RunningProxy;
pub use shared::Limits;
pub use tls::{EdgeTls, HandshakeEffect};
