//! What is answered instead of what was asked for.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::events::TooManyListeners;
use crate::proxies::ProxyError;
use crate::toxiproxy::Refusal;

/// One setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The field; none for the fault as a whole.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProblemDoc {
    /// What is wrong.
    pub error: String,
    /// All settings that cannot be meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub findings: Vec<Finding>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// No such path.
    #[error("there is nothing at `{path}`; see /v1/openapi.json")]
    NoRoute {
        /// As asked for.
        path: String,
    },
    /// A path that is there, with another method.
    #[error("`{method}` is not a method of this path; it has {allowed}")]
    Method {
        /// As asked for.
        method: String,
        /// Those that it has.
        allowed: String,
    },
    /// A path whose escapes are broken.
    #[error("the path has a broken % escape")]
    Path,
    /// A page of a web site.
    #[error("requests of web pages are not allowed ({header})")]
    CrossSite {
        /// What gave it away.
        header: &'static str,
    },
    /// A name that only a rebound name server could lead here.
    #[error("`{host}` is not a name of this machine; address the daemon as localhost or by its IP address")]
    Host {
        /// As sent.
        host: String,
    },
    /// No token, or a wrong one.
    #[error("this daemon wants a token: send `Authorization: Bearer TOKEN`")]
    Token,
    /// A body that is not said to be JSON.
    #[error("the body must be JSON: send `Content-Type: application/json`")]
    ContentType,
    /// A body that is too long.
    #[error("the body is longer than {most} bytes")]
    TooLong {
        /// The most.
        most: usize,
    },
    /// A body that did not come.
    #[error("the body did not come: {why}")]
    Broken {
        /// What the connection said.
        why: String,
    },
    /// A body that cannot be read.
    #[error("{why}")]
    Body {
        /// What is wrong, and where.
        why: String,
    },
    /// A part of the query that cannot be read.
    #[error("`{name}` must be a number in the query")]
    Query {
        /// Its name.
        name: &'static str,
    },
    /// A value that cannot be meant.
    #[error("{field}: {message}; {help}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong.
        message: String,
        /// What to write instead.
        help: &'static str,
    },
    /// Settings of a fault that cannot be meant.
    #[error("{what} cannot be meant so")]
    Settings {
        /// The fault, and the rule if it is one of a set.
        what: String,
        /// All findings.
        findings: Vec<Finding>,
    },
    /// The proxies said no.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// There are too many listeners.
    #[error(transparent)]
    Listeners(#[from] TooManyListeners),
}

impl Problem {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::NoRoute { .. } => StatusCode::NOT_FOUND,
            Problem::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Path | Problem::Broken { .. } | Problem::Body { .. } | Problem::Query { .. } => {
                StatusCode::BAD_REQUEST
            }
            Problem::CrossSite { .. } | Problem::Host { .. } => StatusCode::FORBIDDEN,
            Problem::Token => StatusCode::UNAUTHORIZED,
            Problem::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Value { .. } | Problem::Settings { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            // An address that cannot be had is a conflict with what is there, not a fault of the daemon.
            Problem::Proxy(ProxyError::Bind { .. }) => StatusCode::CONFLICT,
            Problem::Proxy(ProxyError::Address(_) | ProxyError::Listen(_)) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Problem::Proxy(error) => Refusal::from(error.clone()).status(),
            Problem::Listeners(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// As it is sent.
    pub fn document(&self) -> ProblemDoc {
        let findings = match self {
            Problem::Settings { findings, .. } => findings.clone(),
            _ => Vec::new(),
        };
        ProblemDoc { error: self.to_string(), findings }
    }
}
