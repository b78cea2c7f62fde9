//! Requests and questions: of loads, of probes, and of services that start.

use std::collections::BTreeMap;

use murphy_core::{JsonPath, JsonTest, ProbeName, Span};

use super::context::{Check, Cursor};
use crate::captured::{fill_captured, references};
use crate::node::shortened;
use crate::plan::{HeaderTest, HttpRequest, Login, ProbePlan, Question};
use crate::question_document::{ProbeDoc, QuestionDoc};
use crate::status::StatusSet;
use crate::url;

/// Time between two questions, if the file does not say.
const EVERY: Span = Span::from_secs(1);
/// The time an answer may take, if the file does not say.
const WITHIN: Span = Span::from_secs(2);

pub(super) fn probe(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    name: &str,
    document: &ProbeDoc,
) -> Option<ProbePlan> {
    let name_good = check.name(here.own(), name, ProbeName::new);
    check.some_time(here, "every", document.every);
    check.some_time(here, "within", document.within);
    let capture = super::capture::plans(check, here, name, &document.capture);
    let question = plan(check, here, name, &document.question())?;
    Some(ProbePlan {
        name: name_good?,
        question,
        every: document.every.unwrap_or(EVERY),
        within: document.within.unwrap_or(WITHIN),
        capture,
    })
}

/// What can be asked.
const KINDS: [&str; 6] = ["http", "tcp", "command", "redis", "postgres", "container"];

/// The kinds of question that each key belongs to.
const KEYS: [(&str, &[&str]); 17] = [
    ("capture", &["http", "command", "redis", "postgres"]),
    ("status", &["http"]),
    ("headers", &["http"]),
    ("header", &["http"]),
    ("body", &["http"]),
    ("json", &["http"]),
    ("match", &["command", "redis", "postgres"]),
    ("send", &["redis"]),
    ("query", &["postgres"]),
    ("reply", &["redis", "postgres"]),
    ("user", &["redis", "postgres"]),
    ("password", &["redis", "postgres"]),
    ("database", &["redis", "postgres"]),
    ("state", &["container"]),
    ("health", &["container"]),
    ("log", &["container"]),
    ("log-not", &["container"]),
];

/// The one question that is asked; reports none, several, and keys that belong to another kind.
pub(super) fn plan(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    owner: &str,
    document: &QuestionDoc,
) -> Option<Question> {
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| here.has(kind)).collect();
    let [kind] = kinds[..] else {
        match kinds.get(1) {
            None if KINDS.iter().any(|kind| here.meant(kind)) => return None,
            None => drop(check
                .findings
                .error(here.own(), format!("`{}` does not say what to ask", shortened(owner)))
                .help("write one of `http: GET http://…`, `tcp: HOST:PORT`, `command: [program]`, `redis: HOST:PORT`, `postgres: HOST:PORT` and, in a probe, `container: { service: NAME }`")),
            Some(second) => {
                let help = "ask one thing; make a second entry for the other";
                check.not_both(here, [kinds[0], second], "in one question", help);
            }
        };
        return None;
    };
    for (key, of) in KEYS {
        if !of.contains(&kind) && here.has(key) {
            let help = match (key, kind) {
                ("match" | "body", "container") => "write `log:` for a pattern of what it writes",
                ("match" | "reply", "http") => "write `body:` for a pattern of the answer's body",
                ("body", "command" | "redis" | "postgres") => "write `match:` for a pattern of what is said",
                _ => "remove it",
            };
            let of = of.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" and ");
            check
                .findings
                .error(here.key(key), format!("`{key}` belongs to {of}, not to `{kind}`"))
                .help(help);
        }
    }
    let container = document.container.as_ref();
    let patterns = [
        ("body", document.body.as_ref()),
        ("match", document.matches.as_ref()),
        ("log", container.and_then(|question| question.log.as_ref())),
        ("log-not", container.and_then(|question| question.log_not.as_ref())),
    ];
    for (key, text) in patterns {
        if let Some(text) = text {
            pattern(check, here, key, text);
        }
    }
    match kind {
        "http" => Some(Question::Http {
            request: request(check, here, document.http.as_deref()?, &document.headers)?,
            status: document.status.clone().unwrap_or_else(StatusSet::success),
            header: answer_headers(check, here, &document.header),
            body: document.body.clone(),
            json: json(check, here, &document.json),
        }),
        "tcp" => Some(Question::Tcp { address: document.tcp.clone()? }),
        "container" => {
            let question = document.container.clone()?;
            for key in ["pick", "max"] {
                if let Some(at) = here.child("container").filter(|at| at.has(key)) {
                    check
                        .findings
                        .error(
                            at.key(key),
                            format!("`{key}` is for faults: a probe looks at all containers that match"),
                        )
                        .help("remove it");
                }
            }
            Some(Question::Container(question))
        }
        "redis" => {
            let send = document.send.clone().unwrap_or_else(|| vec!["PING".to_owned()]);
            if send.first().is_none_or(|word| word.trim().is_empty()) && !here.is_gone("send") {
                check
                    .findings
                    .error(here.value("send"), "`send` is no command")
                    .help("write for example `send: [GET, \"cart:7\"]`");
            }
            let database = document.database.as_deref();
            if database.is_some_and(|text| text.parse::<u32>().is_err()) {
                check
                    .findings
                    .error(here.value("database"), "a database of Redis is a number")
                    .help("write for example `database: 2`");
            }
            Some(Question::Redis {
                address: document.redis.clone()?,
                login: login(document),
                send,
                reply: reply(check, here, document),
                matches: document.matches.clone(),
            })
        }
        "postgres" => {
            match &document.query {
                None => check.missing(here, "`postgres`", "query", "select count(*) from orders"),
                Some(query) if query.trim().is_empty() || query.contains('\0') => {
                    check
                        .findings
                        .error(here.value("query"), "`query` asks nothing")
                        .help("write for example `query: select count(*) from orders`");
                }
                Some(_) => {}
            }
            Some(Question::Postgres {
                address: document.postgres.clone()?,
                login: login(document),
                query: document.query.clone()?,
                reply: reply(check, here, document),
                matches: document.matches.clone(),
            })
        }
        _ => {
            let command = document.command.clone()?;
            argv(check, here, "command", &command);
            Some(Question::Command { argv: command, matches: document.matches.clone() })
        }
    }
}

/// Reports a command that cannot be started.
pub(super) fn argv(check: &mut Check<'_, '_>, here: Cursor<'_>, key: &str, words: &[String]) {
    let emptied = here.child(key).is_some_and(Cursor::has_gone);
    if words.first().is_none_or(|program| program.trim().is_empty()) && !emptied {
        check
            .findings
            .error(here.value(key), format!("`{key}` names no program"))
            .help(format!("write for example `{key}: [program, argument]`"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        check.findings.error(here.value(key), "a command cannot have a zero byte in it").help("remove it");
    }
}

fn login(document: &QuestionDoc) -> Login {
    let QuestionDoc { user, password, database, .. } = document.clone();
    Login { user, password, database }
}

/// What a reply must be; reports a comparison that means nothing.
fn reply(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &QuestionDoc) -> Option<JsonTest> {
    let value = document.reply.as_ref()?;
    if value.is_array() || value.is_object() {
        check
            .findings
            .error(here.value("reply"), "`reply` is one text or number")
            .help("write for example `reply: \">= 1\"`; for a reply of several parts, a pattern: `match:`");
        return None;
    }
    match JsonTest::of(value) {
        Ok(test) => Some(test),
        Err(error) => {
            check
                .findings
                .error(here.value("reply"), error.to_string())
                .help("write for example `reply: \">= 3\"`");
            None
        }
    }
}

/// What is expected of the answer's headers; reports names and patterns that are none.
fn answer_headers(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &BTreeMap<String, String>,
) -> Vec<HeaderTest> {
    let mut tests: Vec<HeaderTest> = Vec::new();
    let Some(here) = here.child("header") else { return tests };
    for (name, at) in here.fields() {
        let Some(text) = document.get(name) else { continue };
        pattern(check, here, name, text);
        if !is_header(check, at, name, "{ cache-control: no-store }") {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if tests.iter().any(|test| test.name == name) {
            twice(check, at, &name);
        }
        tests.push(HeaderTest { name, matches: text.clone() });
    }
    tests
}

/// True for what can be the name of a header; reports all else, and shows one.
fn is_header(check: &mut Check<'_, '_>, at: Cursor<'_>, name: &str, example: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_one = !name.is_empty() && name.chars().all(token);
    if !is_one {
        let message = format!("`{}` is not a header", shortened(name));
        check.findings.error(at.own(), message).help(format!("write for example `{example}`"));
    }
    is_one
}

fn twice(check: &mut Check<'_, '_>, at: Cursor<'_>, name: &str) {
    check
        .findings
        .error(at.own(), format!("the header `{name}` is written twice"))
        .help("remove one of the two");
}

/// What is expected of the answer's JSON; reports paths and comparisons that mean nothing.
fn json(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &BTreeMap<String, serde_json::Value>,
) -> Vec<(JsonPath, JsonTest)> {
    let mut tests = Vec::new();
    for (key, at) in here.child("json").into_iter().flat_map(Cursor::fields) {
        let Some(value) = document.get(key) else { continue };
        let path = key.parse::<JsonPath>();
        if let Err(error) = &path {
            check.findings.error(at.own(), error.to_string()).help("write for example `$.checks[0].state`");
        }
        let test = JsonTest::of(value);
        if let Err(error) = &test {
            check.findings.error(at.node.region, error.to_string()).help("write for example `\">= 3\"`");
        }
        tests.extend(path.ok().zip(test.ok()));
    }
    tests
}

/// Reports a regular expression that does not compile.
pub(super) fn pattern(check: &mut Check<'_, '_>, here: Cursor<'_>, key: &str, text: &str) {
    if let Err(error) = regex_lite::RegexBuilder::new(text).size_limit(1 << 20).build() {
        check
            .findings
            .error(here.value(key), format!("not a regular expression: {error}"))
            .help("put a backslash before a character that stands for itself");
    }
}

/// A request without a body.
pub(super) fn request(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    http: &str,
    headers: &BTreeMap<String, String>,
) -> Option<HttpRequest> {
    // A captured value may be any text; where it stands, a letter stands for it while the rest is looked at.
    let call = fill_captured(http, &|_| Some("x".to_owned())).unwrap_or_default();
    let call = url::call(&call);
    if let Err(error) = &call {
        check.refuse(here.value("http"), error);
    }
    let url = http.split_whitespace().last().unwrap_or_default();
    if call.is_ok() && url::authority_of(url).is_some_and(|whom| references(whom).next().is_some()) {
        check
            .findings
            .error(here.value("http"), "whom to ask cannot be captured")
            .help("write host and port; what is captured can stand behind them");
    }
    let mut kept = BTreeMap::new();
    for (name, at) in here.child("headers").into_iter().flat_map(Cursor::fields) {
        let Some(value) = headers.get(name) else { continue };
        if !is_header(check, at, name, "Accept: text/html") {
            continue;
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            check
                .findings
                .error(at.node.region, "a header's value is one line")
                .help("remove the line break");
        } else if kept.insert(name.to_ascii_lowercase(), value.clone()).is_some() {
            twice(check, at, name);
        }
    }
    let call = call.ok()?;
    Some(HttpRequest { method: call.method, url: url.to_owned(), headers: kept, body: None })
}
