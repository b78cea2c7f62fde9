//! What can be wrong with a certificate.

/// What is wrong with a certificate that is shown to a caller. Everything else about it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Its time is over, since yesterday.
    Expired,
    /// Its time begins tomorrow.
    NotYetValid,
    /// It is for another host.
    WrongHost,
    /// It is signed by itself.
    SelfSigned,
    /// It is signed by an authority that nobody knows.
    Untrusted,
}
