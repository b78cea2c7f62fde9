//! What is answered instead of what was asked for, with Toxiproxy's words and numbers.

use hyper::StatusCode;

use crate::json::DecodeError;
use crate::proxies::ProxyError;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The body cannot be read.
    #[error("bad request body: {0}")]
    BadBody(#[from] DecodeError),
    /// The body is longer than the daemon reads.
    #[error("bad request body: more than {limit} bytes")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// The body did not come.
    #[error("bad request body: {why}")]
    Broken {
        /// What the connection said.
        why: String,
    },
    /// A field that must be there.
    #[error("missing required field: {field}{}", .item.map(|item| format!(" at proxy {item}")).unwrap_or_default())]
    Missing {
        /// The field.
        field: &'static str,
        /// Which of several proxies, from 1.
        item: Option<usize>,
    },
    /// A text that nobody can mean, and that would be kept.
    #[error("bad request body: {field} has {length} bytes; write at most {most}")]
    LongText {
        /// The field.
        field: &'static str,
        /// Its length.
        length: usize,
        /// The most bytes.
        most: usize,
    },
    /// More proxies in one body than a daemon has.
    #[error("bad request body: {items} proxies; write at most {most} at a time")]
    ManyProxies {
        /// How many.
        items: usize,
        /// The most.
        most: usize,
    },
    /// Neither upstream nor downstream.
    #[error("stream was invalid, can be either upstream or downstream")]
    BadStream,
    /// No such type of toxic.
    #[error("invalid toxic type")]
    BadType,
    /// The proxies said no.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl Refusal {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Proxy(error) => match error {
                ProxyError::NoProxy
                | ProxyError::NoToxic
                | ProxyError::NoFault
                | ProxyError::NoRules
                | ProxyError::NoLease
                | ProxyError::RuleWithoutProxy { .. } => StatusCode::NOT_FOUND,
                ProxyError::ProxyExists
                | ProxyError::ToxicExists
                | ProxyError::FaultExists
                | ProxyError::RuleTaken { .. }
                | ProxyError::LeaseHeld
                | ProxyError::TooMany { .. }
                | ProxyError::TooMuchText { .. } => StatusCode::CONFLICT,
                // Only the native API can ask for such a fault; it answers as to any setting that cannot be meant.
                ProxyError::NotHttp { .. } | ProxyError::NotTls { .. } | ProxyError::Tls { .. } => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                ProxyError::Nonsense(_) => StatusCode::BAD_REQUEST,
                ProxyError::Address(_) | ProxyError::Listen(_) | ProxyError::Bind { .. } => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            },
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
