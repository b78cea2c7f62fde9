//! TLS on the sides of an edge: towards callers with certificates made on the fly, towards the dependency with
//! certificates checked.
//!
//! Faults on bytes sit beneath it, on what travels. An edge without TLS never comes here.

mod far;
mod handshake;
mod near;

use std::path::Path;
use std::sync::Arc;

use murphy_tls::{Authority, Flaw, TlsError, TlsSettings, Upstream};

pub(crate) use far::Far;
pub(crate) use handshake::{Failed, Shaken, open_within, shake};
pub(crate) use near::Near;

/// On which sides of an edge TLS is spoken.
#[derive(Debug, Clone, Default)]
pub struct EdgeTls {
    /// Callers speak TLS with Murphy, which shows certificates of this authority.
    pub terminate: Option<Arc<Authority>>,
    /// Murphy speaks TLS with the dependency.
    pub originate: Option<Upstream>,
}

impl EdgeTls {
    /// Reads what the settings name: the authority of this state directory, made if it is missing, and files of
    /// certificates. `to` is what is dialled, `host:port`.
    pub fn open(settings: &TlsSettings, state: &Path, to: &str) -> Result<EdgeTls, TlsError> {
        let own = settings.mode.terminates() || settings.trusts_murphy();
        let own = if own { Some(Arc::new(Authority::of_state(state)?)) } else { None };
        let host = to.rsplit_once(':').map_or(to, |(host, _)| host);
        let originate = match settings.mode.originates() {
            true => {
                let mut upstream = settings.upstream();
                if let Some(own) = own.as_ref().filter(|_| settings.trusts_murphy()) {
                    upstream.ca = Some(own.certificate().to_owned());
                }
                Some(Upstream::read(&upstream, host)?)
            }
            false => None,
        };
        let terminate = own.filter(|_| settings.mode.terminates());
        Ok(EdgeTls { terminate, originate })
    }

    /// True if it is spoken on neither side.
    pub fn is_none(&self) -> bool {
        self.terminate.is_none() && self.originate.is_none()
    }
}

/// What a fault does to the handshakes of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeEffect {
    /// The certificate has a flaw.
    Show(Flaw),
    /// The handshake fails with an alert.
    Refuse,
    /// The caller's greeting is not answered.
    Stall,
}
