//! One proxy as the daemon keeps it, running or not.

use murphy_core::{Demand, Protocol};
use murphy_proxy::ProxyHandle;
use murphy_tls::TlsSettings;
use tokio_util::sync::CancellationToken;

use crate::toxiproxy::Toxic;

use super::error::ProxyError;
use super::fault::StandingFault;
use super::spec::ProxySpec;

pub(super) struct Running {
    pub(super) handle: ProxyHandle,
    pub(super) stop: CancellationToken,
}

pub(super) struct Slot {
    pub(super) listen: String,
    pub(super) upstream: String,
    pub(super) protocol: Protocol,
    pub(super) tls: Option<TlsSettings>,
    /// In the order in which they were added.
    pub(super) toxics: Vec<Toxic>,
    /// Of the native API, in the order in which they were added.
    pub(super) faults: Vec<StandingFault>,
    pub(super) running: Option<Running>,
    /// How often it has been started. Each start draws its own choices, the same for the same seed.
    pub(super) starts: u64,
    /// That its calls are recorded, whoever listens.
    pub(super) watched: Demand,
}

impl Slot {
    /// A fault on requests wants a proxy that reads them.
    pub(super) fn check_protocol(&self, proxy: &str, fault: &StandingFault) -> Result<(), ProxyError> {
        if fault.plan.fault.acts_on_requests() && self.protocol != Protocol::Http {
            return Err(ProxyError::NotHttp { proxy: proxy.to_owned(), fault: fault.plan.fault.name() });
        }
        let terminates = self.tls.as_ref().is_some_and(|tls| tls.mode.terminates());
        if fault.plan.fault.acts_on_handshakes() && !terminates {
            return Err(ProxyError::NotTls { proxy: proxy.to_owned(), fault: fault.plan.fault.name() });
        }
        Ok(())
    }

    pub(super) fn view(&self, name: &str) -> ProxySpec {
        let mut toxics = self.toxics.clone();
        // Stable, so that each stream keeps its order.
        murphy_core::sort_short(&mut toxics, |a, b| a.stream.cmp(&b.stream));
        ProxySpec {
            name: name.to_owned(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            protocol: self.protocol,
            tls: self.tls.clone(),
            enabled: self.running.is_some(),
            toxics,
        }
    }
}
