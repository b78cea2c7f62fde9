//! Questions about the health of a system, and their answers in a few words. A question never takes longer than it may,
//! and leaves no connection and no process behind.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use murphy_core::{JsonPath, JsonTest, Span};
use regex_lite::Regex;
use tokio::net::TcpStream;

use crate::ask_postgres::{self, PostgresQuestion};
use crate::ask_redis::{self, RedisQuestion};
use crate::command::{self, Ended, Extent};
use crate::connection::{BODY_KEPT, Connection, Failure};
use crate::header_test::HeaderTest;
use crate::request::HttpRequest;
use crate::status::StatusSet;

/// Longest text of an answer, in characters.
const SAW_MAX: usize = 160;

/// What is asked.
#[derive(Debug, Clone)]
pub enum Question {
    /// Is the answer to this request of these statuses, and do its headers and its body match? Each time on a fresh connection.
    Http {
        /// What is sent.
        request: Box<HttpRequest>,
        /// Statuses of a good answer.
        status: StatusSet,
        /// What its headers must say.
        header: Vec<HeaderTest>,
        /// What the first 64 KiB of its body must match.
        body: Option<Regex>,
        /// What the JSON in those 64 KiB must say: every value at the place, and there must be one.
        json: Vec<(JsonPath, JsonTest)>,
    },
    /// Can a connection be made to this `host:port`?
    Tcp {
        /// Where to.
        address: String,
    },
    /// Does this command exit with 0, and does its output match?
    Command(CommandQuestion),
    /// Does this Redis reply as expected?
    Redis(RedisQuestion),
    /// Does this query of PostgreSQL have the expected result?
    Postgres(PostgresQuestion),
    /// What only somebody else can find out.
    Other(Arc<dyn Asker>),
}

/// Who answers a question that is not asked over the network: of containers, through their engine.
pub trait Asker: fmt::Debug + fmt::Display + Send + Sync {
    /// Asks once: whether all is as expected, and what was seen. May be cancelled at any time.
    fn ask(&self) -> Pin<Box<dyn Future<Output = (bool, String)> + Send + '_>>;
}

/// A command that answers a question.
#[derive(Debug, Clone, Default)]
pub struct CommandQuestion {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What its standard output, without white space around it, must match.
    pub matches: Option<Regex>,
    /// Where it runs; `None` for Murphy's own directory.
    pub dir: Option<PathBuf>,
    /// Added to Murphy's own environment.
    pub env: BTreeMap<String, String>,
}

impl Question {
    /// A GET, or another request, that is to be answered by 200 to 399.
    pub fn http(request: HttpRequest) -> Question {
        Question::Http {
            request: Box::new(request),
            status: StatusSet::default(),
            header: Vec::new(),
            body: None,
            json: Vec::new(),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Http { request, .. } => request.fmt(f),
            Question::Tcp { address } => write!(f, "connect {address}"),
            Question::Command(question) => f.write_str(&question.argv.join(" ")),
            Question::Redis(question) => question.fmt(f),
            Question::Postgres(question) => question.fmt(f),
            Question::Other(asker) => asker.fmt(f),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whether it was as expected.
    pub ok: bool,
    /// Time to the answer.
    pub took: Span,
    /// What was seen, in a few words: `200`, `refused`, `timeout after 1s`, `exit 1: no such table`.
    pub saw: String,
    /// What was said, for whoever wants a part of it.
    pub said: Said,
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The beginning of a body or of a command's output (64 KiB, if not all was asked for), or a reply.
    pub text: String,
    /// The headers of an answer to a request, in small letters.
    pub headers: Vec<(String, String)>,
}

/// Of an answer of which all is wanted: more is no list of writes but a mistake.
const ALL_KEPT: usize = 256 * 1024 * 1024;

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The beginning, up to so many bytes.
    Beginning(usize),
    /// All of it; of more bytes than this it is no good answer.
    All(usize),
}

impl Wanted {
    fn kept(self) -> usize {
        match self {
            Wanted::Beginning(most) | Wanted::All(most) => most,
        }
    }

    /// Why a command has not said all that is wanted.
    fn lacks(self, extent: Extent) -> Option<&'static str> {
        match (self, extent) {
            (Wanted::Beginning(_), _) | (Wanted::All(_), Extent::Whole) => None,
            (Wanted::All(_), Extent::Cut) => Some(TOO_MUCH),
            (Wanted::All(_), Extent::Unended) => Some(
                "its output was not at its end when the command ended: let it wait for all that it starts",
            ),
        }
    }
}

/// What is said of an answer that is longer than [`ALL_KEPT`].
const TOO_MUCH: &str = "more than 256 MiB";

/// Asks once. May be cancelled; a command is killed then, and also when `within` is over, with its whole group.
pub async fn ask(question: &Question, within: Span) -> Reply {
    ask_wanting(question, within, Wanted::Beginning(BODY_KEPT)).await
}

/// The same, for all that is said. What is longer than 256 MiB is no good answer, nor is a command's output without its end.
pub async fn ask_for_all(question: &Question, within: Span) -> Reply {
    ask_wanting(question, within, Wanted::All(ALL_KEPT)).await
}

async fn ask_wanting(question: &Question, within: Span, wanted: Wanted) -> Reply {
    let began = Instant::now();
    let answer = async {
        let (ok, saw) = match question {
            Question::Http { request, status, header, body, json } => {
                return ask_http(request, status, header, body.as_ref(), json, wanted).await;
            }
            Question::Tcp { address } => match TcpStream::connect(address.as_str()).await {
                Ok(_) => (true, "connected".to_owned()),
                Err(error) => (false, connect_words(&error)),
            },
            Question::Command(question) => return ask_command(question, wanted).await,
            Question::Redis(question) => ask_redis::ask(question).await,
            Question::Postgres(question) => ask_postgres::ask(question).await,
            Question::Other(asker) => asker.ask().await,
        };
        let said = Said { text: saw.clone(), headers: Vec::new() };
        (ok, saw, said)
    };
    let (ok, saw, said) = match tokio::time::timeout(within.as_duration(), answer).await {
        // What is cut there is of this length, whoever says it.
        Ok((_, _, said)) if matches!(wanted, Wanted::All(most) if said.text.len() >= most) => {
            (false, TOO_MUCH.to_owned(), Said::default())
        }
        Ok((ok, saw, said)) => (ok, shortened(&saw), said),
        Err(_) => (false, format!("timeout after {within}"), Said::default()),
    };
    Reply { ok, took: began.elapsed().into(), saw, said }
}

/// The first thing in which a body is not as expected.
fn unlike(body: &[u8], tests: &[(JsonPath, JsonTest)]) -> Option<String> {
    if tests.is_empty() {
        return None;
    }
    let document: serde_json::Value = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(_) => return Some("body is not JSON".to_owned()),
    };
    tests.iter().find_map(|(path, test)| {
        let found = path.select(&document);
        if found.is_empty() {
            return Some(format!("nothing at {path}"));
        }
        let bad = found.into_iter().find(|value| !test.holds(value))?;
        Some(format!("{path} is {bad}, not {test}"))
    })
}

async fn ask_http(
    request: &HttpRequest,
    status: &StatusSet,
    header: &[HeaderTest],
    body: Option<&Regex>,
    json: &[(JsonPath, JsonTest)],
    wanted: Wanted,
) -> (bool, String, Said) {
    let mut head = None;
    let mut said = Said::default();
    let answer =
        async { Connection::dial(request).await?.keeping(wanted.kept()).exchange(request, &mut head).await }
            .await;
    let (ok, saw) = match answer {
        Ok(answer) => {
            let seen = answer.head.status;
            let text = String::from_utf8_lossy(&answer.body);
            let headers: Vec<(String, String)> = answer
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect();
            let other = header.iter().find_map(|test| test.unlike(&headers));
            let judged = match (other, body) {
                _ if !status.contains(seen) => (false, seen.to_string()),
                (Some(why), _) => (false, format!("{seen}, {why}")),
                (None, Some(regex)) if !regex.is_match(&text) => {
                    (false, format!("{seen}, body `{}` does not match", first_line(&text)))
                }
                _ => match unlike(&answer.body, json) {
                    Some(why) => (false, format!("{seen}, {why}")),
                    None => (true, seen.to_string()),
                },
            };
            said = Said { text: text.into_owned(), headers };
            judged
        }
        Err(Failure::Exhausted(error)) => (false, format!("murphy itself could not connect: {error}")),
        Err(Failure::Connect(error)) => (false, connect_words(&error)),
        Err(Failure::Broken(error)) => (false, broken_words(&error).to_owned()),
        Err(Failure::Cut) => {
            (false, head.map_or_else(|| "body cut".to_owned(), |head| format!("{}, body cut", head.status)))
        }
    };
    (ok, saw, said)
}

async fn ask_command(question: &CommandQuestion, wanted: Wanted) -> (bool, String, Said) {
    let Ended { status, output, extent, errors } = match command::run(question, wanted.kept()).await {
        Ok(ended) => ended,
        Err(error) => {
            let program = question.argv.first().map_or("", String::as_str);
            let why = match error.kind() {
                io::ErrorKind::NotFound => "not found".to_owned(),
                io::ErrorKind::PermissionDenied => "may not be executed".to_owned(),
                _ => error.to_string(),
            };
            return (false, format!("`{program}`: {why}"), Said::default());
        }
    };
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    let output = output.trim();
    let last = if output.is_empty() { last_line(&errors) } else { last_line(output) };
    let saw = if last.is_empty() { exit } else { format!("{exit}: {last}") };
    let (ok, saw) = match &question.matches {
        _ if !status.success() => {
            // Why a command failed is said on its error stream, where it has one.
            let why = last_line(&errors);
            (
                false,
                if why.is_empty() {
                    saw
                } else {
                    format!("{}: {why}", saw.split(':').next().unwrap_or_default())
                },
            )
        }
        _ if let Some(why) = wanted.lacks(extent) => return (false, why.to_owned(), Said::default()),
        Some(regex) if !regex.is_match(output) => (false, format!("{saw}, does not match")),
        _ => (true, saw),
    };
    (ok, saw, Said { text: output.to_owned(), headers: Vec::new() })
}

pub(crate) fn connect_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::ConnectionReset => "reset".to_owned(),
        io::ErrorKind::TimedOut => "no route: connecting timed out".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable".to_owned(),
        _ if error.to_string().contains("lookup") => "no such host".to_owned(),
        _ => error.to_string(),
    }
}

fn broken_words(error: &hyper::Error) -> &'static str {
    let reset = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
    match () {
        () if reset => "reset",
        () if error.is_incomplete_message() => "closed without an answer",
        () if error.is_parse() => "not an HTTP answer",
        () => "connection broke",
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default().trim()
}

fn shortened(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = plain.take(SAW_MAX).collect();
    if text.chars().nth(SAW_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(script: &str, most: usize) -> Reply {
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        let question = Question::Command(CommandQuestion { argv, ..CommandQuestion::default() });
        ask_wanting(&question, Span::from_secs(20), Wanted::All(most)).await
    }

    #[tokio::test]
    async fn an_output_that_was_cut_is_not_all_even_if_only_space_went() {
        let whole = all("echo '  12345678  '", 100).await;
        assert!(whole.ok && whole.said.text == "12345678", "{whole:?}");
        for most in [4, 9, 12] {
            let cut = all("echo '  12345678  '", most).await;
            assert!(!cut.ok && cut.saw == TOO_MUCH && cut.said.text.is_empty(), "{most}: {cut:?}");
        }
    }

    #[tokio::test]
    async fn an_output_that_goes_on_when_its_command_has_ended_is_not_all() {
        let (script, space) = ("echo 1; (sleep 2; echo 2) &", 100);
        let part = all(script, space).await;
        assert!(!part.ok && part.saw.contains("not at its end"), "{part:?}");
        // To know that a service is well the beginning is enough.
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        let question = Question::Command(CommandQuestion { argv, ..CommandQuestion::default() });
        let beginning = ask(&question, Span::from_secs(20)).await;
        assert!(beginning.ok && beginning.said.text == "1", "{beginning:?}");
    }
}
