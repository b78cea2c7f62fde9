//! The control API of Toxiproxy 2.12, so that the clients of every language work as they are.

mod api;
mod body;
mod compat;
mod harm;
mod refusal;
mod request_id;
mod route;
mod toxic;

pub use api::{Api, VERSION};
pub use body::{LONGEST, proxies as read_config};
pub use compat::Compat;
pub use harm::{Nonsense, Translated, armed, fault_id, translated};
pub use refusal::Refusal;
pub use route::percent_decode;
pub use toxic::{Attributes, Stream, Toxic, ToxicType};
