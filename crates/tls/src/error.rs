//! Why there is no certificate, or no trust.

use std::io;
use std::path::PathBuf;

/// Why there is no certificate, or no trust.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {wanted} in PEM form", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// The authority's files do not belong together.
    #[error("{} is not usable as Murphy's authority: {why}; remove the folder and run: murphy ca", folder.display())]
    Authority {
        /// Their folder.
        folder: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate for `{name}`: {why}")]
    Make {
        /// For whom.
        name: String,
        /// Why.
        why: String,
    },
    /// The system trusts nobody.
    #[error("this system has no trusted certificates{why}: name the dependency's authority with `ca`")]
    NoRoots {
        /// What the search said.
        why: String,
    },
    /// The dependency's name is none.
    #[error("`{name}` is no host name that a certificate can be checked for: set `name`")]
    Name {
        /// Which.
        name: String,
    },
    /// Murphy's own certificate for the dependency cannot be used.
    #[error("{} and {} cannot be used together: {why}", cert.display(), key.display())]
    Identity {
        /// The certificate.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Why.
        why: String,
    },
    /// An authority cannot be used.
    #[error("{} cannot be trusted: {why}", path.display())]
    Ca {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}
