//! Questions of probes and ready checks, ready to be asked. They never hold a pattern that does not compile.

use std::collections::BTreeMap;

use murphy_core::{JsonPath, JsonTest};
use murphy_faults::ContainerTarget;
use serde::Serialize;

use crate::address::Address;
use crate::container_state::{ContainerState, Health};
use crate::secret;
use crate::status::StatusSet;

/// Something that can be asked and answered with yes or no.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// A request; yes is an answer with one of these statuses, and with headers and a body that match.
    Http {
        /// The request.
        request: HttpRequest,
        /// Statuses that mean yes.
        status: StatusSet,
        /// Headers that the answer must have.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        header: Vec<HeaderTest>,
        /// A pattern (syntax of the `regex` crate, known to compile) that the body must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// What the body's JSON must say; every value at the place, and there must be one.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        json: Vec<(JsonPath, JsonTest)>,
    },
    /// A connection; yes is an accepted one.
    Tcp {
        /// Where to.
        address: Address,
    },
    /// A command; yes is exit code 0 and standard output that matches.
    Command {
        /// Program and arguments, never empty.
        #[serde(serialize_with = "secret::masked_argv")]
        argv: Vec<String>,
        /// A pattern (known to compile) that standard output, without its last line break, must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A command for Redis; yes is a reply that is no error and is as expected.
    Redis {
        /// The server.
        address: Address,
        /// Who asks; a database is a number here.
        login: Login,
        /// The command, never empty.
        #[serde(serialize_with = "secret::masked_argv")]
        send: Vec<String>,
        /// What the reply must be.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<JsonTest>,
        /// A pattern (known to compile) that the reply must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A query to PostgreSQL; yes is a result that is as expected.
    Postgres {
        /// The server.
        address: Address,
        /// Who asks.
        login: Login,
        /// The query, not blank.
        query: String,
        /// What the result must be.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<JsonTest>,
        /// A pattern (known to compile) that the result must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A look at containers.
    Container(ContainerQuestion),
}

/// What a header of an answer must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeaderTest {
    /// Its name, in small letters.
    pub name: String,
    /// A pattern (known to compile) that its value must contain; where it stands several times, one of its values.
    #[serde(rename = "match")]
    pub matches: String,
}

impl HeaderTest {
    /// True if the value is nobody else's business.
    pub fn is_secret(&self) -> bool {
        secret::is_telling(&self.name)
    }
}

/// What is asked of containers; yes if there are some, and all are as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerQuestion {
    /// Which ones; all that match are meant.
    pub container: ContainerTarget,
    /// What each must be doing.
    pub state: ContainerState,
    /// What the health check of each must say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// A pattern (known to compile) that a line of one of them must match, written since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// A pattern (known to compile) that no line of any may match, written since the question before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_not: Option<String>,
}

impl ContainerQuestion {
    /// `service:worker is running and healthy`, for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} is {}", self.container, self.state);
        if let Some(health) = self.health {
            text += &format!(" and {health}");
        }
        if let Some(pattern) = &self.log {
            text += &format!(", wrote /{pattern}/");
        }
        if let Some(pattern) = &self.log_not {
            text += &format!(", does not write /{pattern}/");
        }
        text
    }
}

/// Who asks a server, and in which of its databases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "secret::hidden")]
    pub password: Option<String>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// One HTTP request, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpRequest {
    /// `GET`, `POST` …, in capitals.
    pub method: String,
    /// An `http://` URL of ASCII characters, without a fragment.
    #[serde(serialize_with = "secret::masked_url")]
    pub url: String,
    /// Header names in small letters, with their values.
    #[serde(serialize_with = "secret::masked")]
    pub headers: BTreeMap<String, String>,
    /// The body, if one is sent.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "secret::body_length")]
    pub body: Option<Vec<u8>>,
}

impl HttpRequest {
    /// `GET http://127.0.0.1:8000/cart/7`, for people; a password in the URL is masked.
    pub fn text(&self) -> String {
        format!("{} {}", self.method, secret::mask_url(&self.url))
    }
}

impl Question {
    /// What is asked, in one line, for people.
    pub fn text(&self) -> String {
        match self {
            Question::Http { request, .. } => request.text(),
            Question::Tcp { address } => format!("connect {address}"),
            Question::Command { argv, .. } => command_text(argv),
            Question::Redis { address, send, .. } => format!("{} on {address}", command_text(send)),
            Question::Postgres { address, query, .. } => format!("{} on {address}", query.trim()),
            Question::Container(question) => question.text(),
        }
    }
}

/// A command as a person would type it, for messages: words with blanks or quotes are quoted, secrets masked.
pub fn command_text(argv: &[String]) -> String {
    let word = |word: &String| {
        let plain =
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c));
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    secret::mask_argv(argv).iter().map(word).collect::<Vec<_>>().join(" ")
}
