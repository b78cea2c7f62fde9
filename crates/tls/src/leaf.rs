//! One certificate for one host, right in everything or wrong in exactly one thing.

use std::sync::OnceLock;
use std::time::Duration;

use murphy_core::Timestamp;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::authority::params;
use crate::error::TlsError;
use crate::flaw::Flaw;

const DAY: Duration = Duration::from_secs(86_400);
/// Short enough for every client, long enough for every run.
const VALID: u32 = 390;
/// The host of a certificate that is for another one: a name that no resolver answers.
const OTHER_HOST: &str = "another-host.invalid";

/// What makes leaves. All of them have one key: making a key is what takes time.
pub(crate) struct Maker {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    stranger: OnceLock<Issuer<'static, KeyPair>>,
}

impl Maker {
    pub(crate) fn new(issuer: Issuer<'static, KeyPair>) -> Result<Maker, TlsError> {
        Ok(Maker { issuer, key: generate()?, stranger: OnceLock::new() })
    }

    pub(crate) fn make(&self, names: &[String], flaw: Option<Flaw>) -> Result<CertifiedKey, TlsError> {
        let subject = names.first().map_or("localhost", String::as_str);
        let failed = |why: String| TlsError::Make { name: subject.to_owned(), why };
        let rcgen_failed = |error: rcgen::Error| failed(error.to_string());
        let names = match flaw {
            Some(Flaw::WrongHost) => vec![OTHER_HOST.to_owned()],
            _ => names.to_vec(),
        };
        let shown = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).map_err(rcgen_failed)?;
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, shown);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let now = date_time_ymd(1970, 1, 1) + Timestamp::since_epoch();
        (params.not_before, params.not_after) = match flaw {
            Some(Flaw::Expired) => (now - DAY * VALID, now - DAY),
            Some(Flaw::NotYetValid) => (now + DAY, now + DAY * VALID),
            _ => (now - DAY, now + DAY * VALID),
        };
        let certificate = match flaw {
            Some(Flaw::SelfSigned) => params.self_signed(&self.key),
            Some(Flaw::Untrusted) => params.signed_by(&self.key, self.stranger()?),
            _ => params.signed_by(&self.key, &self.issuer),
        }
        .map_err(rcgen_failed)?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let key = any_supported_type(&key).map_err(|error| failed(error.to_string()))?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }

    /// An authority that lives as long as the process, and that nobody can come to trust.
    fn stranger(&self) -> Result<&Issuer<'static, KeyPair>, TlsError> {
        if self.stranger.get().is_none() {
            let stranger = Issuer::new(params("Murphy CA that nobody trusts")?, generate()?);
            // Two at once: the first one is kept.
            let _ = self.stranger.set(stranger);
        }
        Ok(self.stranger.get().expect("set above"))
    }
}

fn generate() -> Result<KeyPair, TlsError> {
    KeyPair::generate().map_err(|error| TlsError::Make { name: "a key".to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::client::{WebPkiServerVerifier, verify_server_name};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::server::ParsedCertificate;
    use rustls::{CertificateError, Error, RootCertStore};

    use super::*;
    use crate::Authority;

    fn verdict(authority: &Authority, flaw: Option<Flaw>, host: &str) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let leaf = authority.leaf(&["shop.example".to_owned(), "127.0.0.1".to_owned()], flaw).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Timestamp::since_epoch());
        verify_server_name(&ParsedCertificate::try_from(&leaf.cert[0])?, &name)?;
        verifier.verify_server_cert(&leaf.cert[0], &[], &name, &[], now).map(|_| ())
    }

    #[test]
    fn a_leaf_is_right_for_its_names_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::of_state(dir.path()).unwrap();
        for host in ["shop.example", "127.0.0.1"] {
            assert_eq!(verdict(&authority, None, host), Ok(()), "{host}");
        }
        assert!(verdict(&authority, None, "other.example").is_err());
    }

    #[test]
    fn each_flaw_is_the_one_thing_that_a_client_finds() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::of_state(dir.path()).unwrap();
        let found = |flaw| match verdict(&authority, Some(flaw), "shop.example") {
            Err(Error::InvalidCertificate(found)) => found,
            other => panic!("{flaw:?}: {other:?}"),
        };
        assert!(matches!(found(Flaw::Expired), CertificateError::ExpiredContext { .. }));
        assert!(matches!(found(Flaw::NotYetValid), CertificateError::NotValidYetContext { .. }));
        assert!(matches!(found(Flaw::WrongHost), CertificateError::NotValidForNameContext { .. }));
        assert_eq!(found(Flaw::SelfSigned), CertificateError::UnknownIssuer);
        assert_eq!(found(Flaw::Untrusted), CertificateError::UnknownIssuer);
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::of_state(dir.path()).unwrap();
        let error = authority.leaf(&["käse".to_owned()], None).unwrap_err().to_string();
        assert!(error.contains("käse"), "{error}");
    }
}
