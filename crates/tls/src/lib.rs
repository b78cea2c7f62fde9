//! Certificates: the local authority, leaves made on the fly with or without a flaw, and whom Murphy trusts when it
//! dials.
//!
//! It must never touch a socket, and never write a key where another user can read it.

mod authority;
mod error;
mod flaw;
mod leaf;
mod pem;
mod settings;
mod upstream;

pub use authority::Authority;
pub use error::TlsError;
pub use flaw::Flaw;
pub use settings::{TlsMode, TlsProblem, TlsSettings};
pub use upstream::{Identity, Upstream, UpstreamSettings, Verify};
