//! What a proxy should be, and what can be changed of it. Plain data.

use murphy_core::Protocol;

use murphy_tls::TlsSettings;

use crate::toxiproxy::Toxic;

/// What a proxy should be.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxySpec {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// What is spoken on its connections.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    pub tls: Option<TlsSettings>,
    /// Whether it listens.
    pub enabled: bool,
    /// What is wrong with its connections.
    pub toxics: Vec<Toxic>,
}

/// What an update changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyChange {
    /// Where it shall listen.
    pub listen: Option<String>,
    /// Where it shall connect to.
    pub upstream: Option<String>,
    /// Whether it shall listen.
    pub enabled: Option<bool>,
}
