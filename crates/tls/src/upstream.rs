//! Whom Murphy trusts when it dials, and as whom it shows itself. Without a word the dependency is checked in full.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::TlsError;

/// How far the dependency's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Its signer, its time and its name.
    #[default]
    Full,
    /// Not at all.
    Nothing,
}

/// Murphy's own certificate for a dependency that asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and its root, in PEM form.
    pub cert: PathBuf,
    /// Its key, in PEM form.
    pub key: PathBuf,
}

/// How a dependency is dialled with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamSettings {
    /// The name that its certificate must have; the host that is dialled if left out.
    pub name: Option<String>,
    /// The authorities that are trusted instead of the system's, in PEM form.
    pub ca: Option<PathBuf>,
    /// As whom Murphy shows itself.
    pub identity: Option<Identity>,
    /// How far it is checked.
    pub verify: Verify,
}

/// The settings, with all files read.
#[derive(Debug, Clone)]
pub struct Upstream {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Upstream {
    /// Reads what the settings name. `host` is dialled.
    pub fn read(settings: &UpstreamSettings, host: &str) -> Result<Upstream, TlsError> {
        let name = settings.name.as_deref().unwrap_or(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::Name { name: name.to_owned() })?;
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            // Fails only for a provider without cipher suites.
            .map_err(|error| TlsError::NoRoots { why: format!(" ({error})") })?;
        let trusting = match settings.verify {
            Verify::Full => versions.with_root_certificates(roots(settings.ca.as_deref())?),
            Verify::Nothing => {
                versions.dangerous().with_custom_certificate_verifier(Arc::new(Credulous { provider }))
            }
        };
        let config = match &settings.identity {
            None => trusting.with_no_client_auth(),
            Some(Identity { cert, key }) => {
                let chain = certificates(cert)?;
                let secret =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| bad_pem(key, "private key", error))?;
                trusting.with_client_auth_cert(chain, secret).map_err(|error| TlsError::Identity {
                    cert: cert.clone(),
                    key: key.clone(),
                    why: error.to_string(),
                })?
            }
        };
        Ok(Upstream { name, config: Arc::new(config) })
    }

    /// The name that the certificate must have.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// What to dial with, offering these protocols.
    pub fn offering(&self, alpn: &[Vec<u8>]) -> Arc<ClientConfig> {
        if alpn.is_empty() {
            return Arc::clone(&self.config);
        }
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn.to_vec();
        Arc::new(config)
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Ca { path: path.to_owned(), why: error.to_string() })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    // Systems carry some that are too odd to be read; they are trusted by nobody else either.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::NoRoots { why });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_pem(path, "certificate", error))?;
    if all.is_empty() {
        return Err(TlsError::Content { path: path.to_owned(), wanted: "certificate" });
    }
    Ok(all)
}

fn bad_pem(path: &Path, wanted: &'static str, error: rustls::pki_types::pem::Error) -> TlsError {
    match error {
        rustls::pki_types::pem::Error::Io(source) => {
            TlsError::File { verb: "read", path: path.to_owned(), source }
        }
        _ => TlsError::Content { path: path.to_owned(), wanted },
    }
}

/// Takes any certificate. That its holder has the key is checked all the same.
struct Credulous {
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Credulous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credulous")
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(settings: &UpstreamSettings, host: &str) -> String {
        Upstream::read(settings, host).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, empty) = (dir.path().join("missing.pem"), dir.path().join("empty.pem"));
        std::fs::write(&empty, "no certificate").unwrap();
        let with_ca = |path: &Path| UpstreamSettings { ca: Some(path.to_owned()), ..Default::default() };
        assert!(error_of(&with_ca(&missing), "shop").contains("missing.pem"));
        assert!(error_of(&with_ca(&empty), "shop").contains("holds no certificate"));
        let ca = crate::Authority::of_state(dir.path()).unwrap().certificate().to_owned();
        assert!(error_of(&with_ca(&ca), "sh op").contains("set `name`"));
        let settings =
            UpstreamSettings { identity: Some(Identity { cert: ca.clone(), key: empty }), ..with_ca(&ca) };
        assert!(error_of(&settings, "shop").contains("holds no private key"));
    }

    #[test]
    fn an_address_is_a_name_too() {
        let dir = tempfile::tempdir().unwrap();
        let ca = crate::Authority::of_state(dir.path()).unwrap().certificate().to_owned();
        let settings = UpstreamSettings { ca: Some(ca), ..Default::default() };
        for host in ["127.0.0.1", "[::1]", "shop.example"] {
            Upstream::read(&settings, host).unwrap();
        }
    }
}
