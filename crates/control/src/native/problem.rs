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

impl From<murphy_faults::Problem> for Finding {
    fn from(problem: murphy_faults::Problem) -> Finding {
        let murphy_faults::Problem { field, message, help } = problem;
        Finding { field: field.map(str::to_owned), message, help }
    }
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
    /// Nobody switched it on.
    #[error("this daemon does not act on containers; start it with: murphy serve --containers")]
    ContainersOff,
    /// No such fault on containers.
    #[error("there is no fault `{name}` on containers; see GET /v1/containers/faults")]
    NoContainerFault {
        /// As asked for.
        name: String,
    },
    /// Another fault on containers has the name.
    #[error("a fault `{name}` on containers stands already; take it off, or give this one another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There are too many faults on containers.
    #[error("{most} faults on containers stand, which is the most; take one off")]
    TooManyFaults {
        /// The most.
        most: usize,
    },
    /// Times or targets that cannot be meant.
    #[error("{why}")]
    Order {
        /// Why, and what to write instead.
        why: String,
    },
    /// The world is not so that it can be done; nothing was done, or it was taken back.
    #[error("{why}")]
    NotDone {
        /// Why, and what to do.
        why: String,
    },
    /// The container engine is not there.
    #[error("{why}")]
    NoEngine {
        /// Why, and what to do.
        why: String,
    },
    /// It takes long to be taken back.
    #[error("`{name}` is still being taken back; see GET /v1/containers/faults/{name}")]
    StillEnding {
        /// Its name.
        name: String,
    },
    /// Something may not be as before.
    #[error(
        "`{name}` may not be taken back whole: GET /v1/containers/faults/{name} tells what and how to do it by hand"
    )]
    NotTakenBack {
        /// Its name.
        name: String,
    },
    /// The daemon ends.
    #[error("the daemon is ending")]
    Ending,
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
            Problem::NoRoute { .. } | Problem::NoContainerFault { .. } => StatusCode::NOT_FOUND,
            Problem::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Path | Problem::Broken { .. } | Problem::Body { .. } | Problem::Query { .. } => {
                StatusCode::BAD_REQUEST
            }
            Problem::CrossSite { .. } | Problem::Host { .. } | Problem::ContainersOff => {
                StatusCode::FORBIDDEN
            }
            Problem::NameTaken { .. }
            | Problem::TooManyFaults { .. }
            | Problem::NotDone { .. }
            | Problem::StillEnding { .. } => StatusCode::CONFLICT,
            Problem::NotTakenBack { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Problem::NoEngine { .. } | Problem::Ending => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Token => StatusCode::UNAUTHORIZED,
            Problem::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Value { .. } | Problem::Settings { .. } | Problem::Order { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
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
