//! The local authority: one key and one certificate in Murphy's state directory, which clients are told to trust.
//!
//! Its key is for this machine only: made here, readable by its owner alone, never sent anywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::error::TlsError;
use crate::flaw::Flaw;
use crate::leaf::Maker;
use crate::pem::pem;

const FOLDER: &str = "ca";
const CERTIFICATE: &str = "murphy-ca.pem";
const KEY: &str = "murphy-ca.key";

/// Answers that are kept; a client may ask for any name, so there is an end to it.
const KEPT: usize = 256;

/// By names, flaw and protocols.
type Answers = BTreeMap<(Vec<String>, Option<Flaw>, Vec<Vec<u8>>), Arc<ServerConfig>>;

/// The local authority. What callers are answered with is made when it is first asked for, and kept.
pub struct Authority {
    certificate: PathBuf,
    maker: Maker,
    answers: Mutex<Answers>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// The authority of this state directory; made if it is missing.
    pub fn of_state(state: &Path) -> Result<Authority, TlsError> {
        let folder = state.join(FOLDER);
        if !folder.join(KEY).exists() {
            make(state, &folder)?;
        }
        Authority::load(&folder)
    }

    /// The certificate that clients are to trust, in PEM form.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// A certificate with its key for these names: host names or addresses, the first being the subject.
    pub fn leaf(&self, names: &[String], flaw: Option<Flaw>) -> Result<CertifiedKey, TlsError> {
        self.maker.make(names, flaw)
    }

    /// With what a caller is answered: a certificate for these names, and these protocols. No session is resumed, or a
    /// flaw that is armed later would not be seen.
    pub fn server_config(
        &self,
        names: &[String],
        flaw: Option<Flaw>,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let key = (names.to_vec(), flaw, alpn);
        if let Some(known) = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let resolver = SingleCertAndKey::from(self.leaf(names, flaw)?);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Make { name: NAME.to_owned(), why: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols.clone_from(&key.2);
        let made = Arc::new(config);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn load(folder: &Path) -> Result<Authority, TlsError> {
        let unusable = |why: String| TlsError::Authority { folder: folder.to_owned(), why };
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let file = |path: &Path| {
            fs::read_to_string(path).map_err(|source| TlsError::File {
                verb: "read",
                path: path.to_owned(),
                source,
            })
        };
        let mode = fs::metadata(&key).map(|meta| meta.permissions().mode());
        if mode.as_ref().is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(unusable(format!("others can read {}, so its key is no secret", key.display())));
        }
        file(&certificate)?;
        let secret = PrivatePkcs8KeyDer::from_pem_slice(file(&key)?.as_bytes())
            .map_err(|error| unusable(format!("{}: {error:?}", key.display())))?;
        let key = KeyPair::try_from(&secret).map_err(|error| unusable(error.to_string()))?;
        let issuer = Issuer::new(params(NAME)?, key);
        let maker = Maker::new(issuer)?;
        let provider = Arc::new(ring::default_provider());
        Ok(Authority { certificate, maker, answers: Mutex::default(), provider })
    }
}

const NAME: &str = "Murphy local CA";

/// Drafts of this process.
static DRAFTS: AtomicU32 = AtomicU32::new(0);

/// What an authority of this name is. Made anew each time: a certificate is signed with the name alone.
pub(crate) fn params(name: &str) -> Result<CertificateParams, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Make { name: name.to_owned(), why: error.to_string() };
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2055, 1, 1);
    Ok(params)
}

/// Makes key and certificate in a folder of its own, which then takes its place at once: another process sees both or
/// neither, and whoever comes second uses what the first has made.
fn make(state: &Path, folder: &Path) -> Result<(), TlsError> {
    let failed = |error: rcgen::Error| TlsError::Make { name: NAME.to_owned(), why: error.to_string() };
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params(NAME)?.self_signed(&key).map_err(failed)?;
    // Several runs of one process may come first at once.
    let ordinal = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = state.join(format!("{FOLDER}.{}.{ordinal}", std::process::id()));
    let written =
        write_both(&draft, &pem("PRIVATE KEY", key.serialized_der()), &pem("CERTIFICATE", certificate.der()));
    let placed = written.and_then(|()| match fs::rename(&draft, folder) {
        Err(source) if !folder.join(KEY).exists() => Err((folder.to_owned(), source)),
        _ => Ok(()),
    });
    // Gone if it took its place.
    let _ = fs::remove_dir_all(&draft);
    placed.map_err(|(path, source)| TlsError::File { verb: "write", path, source })
}

fn write_both(folder: &Path, key: &str, certificate: &str) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| (path, source)
    };
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(at(folder))?;
    for (name, mode, content) in [(KEY, 0o600, key), (CERTIFICATE, 0o644, certificate)] {
        let path = folder.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .map_err(at(&path))?;
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_its_owners_alone_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::of_state(dir.path()).unwrap();
        let key = dir.path().join(FOLDER).join(KEY);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let (certificate, secret) = (fs::read(first.certificate()).unwrap(), fs::read(&key).unwrap());
        let second = Authority::of_state(dir.path()).unwrap();
        assert_eq!(fs::read(second.certificate()).unwrap(), certificate);
        assert_eq!(fs::read(&key).unwrap(), secret);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn many_at_once_agree_on_one_authority() {
        let dir = tempfile::tempdir().unwrap();
        let seen: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let open = || fs::read(Authority::of_state(dir.path()).unwrap().certificate()).unwrap();
            let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Authority::of_state(dir.path()).unwrap();
        let key = dir.path().join(FOLDER).join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Authority::of_state(dir.path()).unwrap_err().to_string();
        assert!(error.contains("others can read") && error.contains("murphy ca"), "{error}");
    }

    #[test]
    fn a_broken_key_is_told_of_with_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        Authority::of_state(dir.path()).unwrap();
        fs::write(dir.path().join(FOLDER).join(KEY), "nonsense").unwrap();
        let error = Authority::of_state(dir.path()).unwrap_err().to_string();
        assert!(error.contains("remove the folder and run: murphy ca"), "{error}");
    }

    #[test]
    fn an_answer_is_made_once_for_each_name_flaw_and_protocol() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::of_state(dir.path()).unwrap();
        let answer = |name: &str, flaw, alpn: &[u8]| {
            authority.server_config(&[name.to_owned()], flaw, vec![alpn.to_vec()]).unwrap()
        };
        let first = answer("shop.example", None, b"h2");
        assert!(Arc::ptr_eq(&first, &answer("shop.example", None, b"h2")));
        for other in [
            answer("db.example", None, b"h2"),
            answer("shop.example", Some(Flaw::Expired), b"h2"),
            answer("shop.example", None, b"http/1.1"),
        ] {
            assert!(!Arc::ptr_eq(&first, &other));
        }
    }

    #[test]
    fn names_that_clients_make_up_do_not_pile_up() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::of_state(dir.path()).unwrap();
        for n in 0..=KEPT {
            authority.server_config(&[format!("host-{n}.example")], None, Vec::new()).unwrap();
        }
        assert!(authority.answers.lock().unwrap().len() <= KEPT);
    }
}
