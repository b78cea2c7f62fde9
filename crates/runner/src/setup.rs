//! From the plan's plain data to what the load generator understands. Fails before anything is started.

use std::path::Path;

use murphy_core::{ProbeName, Seed, Span};
use murphy_load::{self as load, CommandQuestion, HttpLoad};
use murphy_scenario::{self as scenario, LoadPlan, ProbePlan};
use regex_lite::Regex;

use crate::RunError;
use crate::container_question::ContainerQuestion;

/// A probe that is ready to be watched.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) name: ProbeName,
    pub(crate) question: Asked,
    pub(crate) every: Span,
    pub(crate) within: Span,
}

/// What a probe asks.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Complete.
    Load(load::Question),
    /// Of containers, for which an engine must be reached first.
    Containers(ContainerQuestion),
}

pub(crate) fn http_load(plan: &LoadPlan, seed: Seed) -> Result<HttpLoad, RunError> {
    let failed = |why: String| RunError::Setup { what: format!("load {}", plan.name), why };
    Ok(HttpLoad {
        arrivals: match plan.arrivals {
            scenario::Arrivals::Poisson => load::Arrivals::Poisson,
            scenario::Arrivals::Constant => load::Arrivals::Constant,
        },
        timeout: plan.timeout,
        expect_status: statuses(&plan.expect_status).map_err(&failed)?,
        in_flight_max: u64::from(plan.in_flight_max),
        ..HttpLoad::new(plan.name.clone(), request(&plan.request).map_err(&failed)?, plan.rate, seed)
    })
}

pub(crate) fn probe(plan: &ProbePlan) -> Result<Probe, RunError> {
    let question = match &plan.question {
        scenario::Question::Container(question) => ContainerQuestion::new(question).map(Asked::Containers),
        other => question(other, None).map(Asked::Load),
    }
    .map_err(|why| RunError::Setup { what: format!("probe {}", plan.name), why })?;
    Ok(Probe { name: plan.name.clone(), question, every: plan.every, within: plan.within })
}

/// A question; a command of it runs in `dir`.
pub(crate) fn question(question: &scenario::Question, dir: Option<&Path>) -> Result<load::Question, String> {
    Ok(match question {
        scenario::Question::Http { request: asked, status, body, json } => load::Question::Http {
            request: Box::new(request(asked)?),
            status: statuses(status)?,
            body: pattern(body.as_deref())?,
            json: json.clone(),
        },
        scenario::Question::Tcp { address } => load::Question::Tcp { address: address.to_string() },
        scenario::Question::Command { argv, matches } => load::Question::Command(CommandQuestion {
            argv: argv.clone(),
            matches: pattern(matches.as_deref())?,
            dir: dir.map(Path::to_owned),
            ..CommandQuestion::default()
        }),
        scenario::Question::Container(_) => return Err("only a probe looks at containers".to_owned()),
        scenario::Question::Redis { address, login, send, reply, matches } => {
            load::Question::Redis(load::RedisQuestion {
                server: server(address, login),
                command: send.clone(),
                expected: load::Expected { reply: reply.clone(), matches: pattern(matches.as_deref())? },
            })
        }
        scenario::Question::Postgres { address, login, query, reply, matches } => {
            load::Question::Postgres(load::PostgresQuestion {
                server: server(address, login),
                query: query.clone(),
                expected: load::Expected { reply: reply.clone(), matches: pattern(matches.as_deref())? },
            })
        }
    })
}

fn server(address: &scenario::Address, login: &scenario::Login) -> load::Server {
    load::Server {
        host: address.host().trim_matches(['[', ']']).to_owned(),
        port: address.port(),
        user: login.user.clone(),
        password: login.password.clone(),
        database: login.database.clone(),
    }
}

fn request(plan: &scenario::HttpRequest) -> Result<load::HttpRequest, String> {
    let mut request = load::HttpRequest::new(&plan.method, &plan.url).map_err(|error| error.to_string())?;
    for (name, value) in &plan.headers {
        request = request.header(name, value).map_err(|error| error.to_string())?;
    }
    Ok(match &plan.body {
        Some(body) => request.body(body.clone()),
        None => request,
    })
}

fn statuses(set: &scenario::StatusSet) -> Result<load::StatusSet, String> {
    set.to_string().parse().map_err(|error: load::StatusError| error.to_string())
}

pub(crate) fn pattern(text: Option<&str>) -> Result<Option<Regex>, String> {
    text.map(Regex::new).transpose().map_err(|error| error.to_string())
}
