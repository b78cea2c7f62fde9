//! From the plan's plain data to what the load generator understands. Fails before anything is started.

use std::path::Path;
use std::sync::Arc;

use murphy_core::{Frequency, PhaseLengths, ProbeName, Seed, Span, WriteIds};
use murphy_load::{self as load, CommandQuestion, HttpLoad};
use murphy_scenario::{self as scenario, LoadPlan, ProbePlan};
use regex_lite::Regex;

use crate::RunError;
use crate::captured::{Captured, CapturingProbe};
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

/// `run` is the run's name: what an earlier one wrote may still be kept, so that ids must differ between runs.
pub(crate) fn http_load(
    plan: &LoadPlan,
    phases: &PhaseLengths,
    seed: Seed,
    run: &str,
) -> Result<HttpLoad, RunError> {
    let failed = |why: String| RunError::Setup { what: format!("load {}", plan.name), why };
    // Where something is to be captured first, this is never sent: it only shows that a request can be made of it.
    let ids = seed.derive(run, 0).derive(plan.name.as_str(), 0);
    let writes = plan.ledger.as_ref().map(|_| load::Writes::new(WriteIds::of(ids)));
    let first =
        plan.request.filled(&|name| Some(own(plan, writes.as_ref(), name).unwrap_or_else(|| "x".to_owned())));
    let first = first.map_or_else(Err, |first| request(&first)).map_err(&failed)?;
    Ok(HttpLoad {
        arrivals: match plan.arrivals {
            scenario::Arrivals::Poisson => load::Arrivals::Poisson,
            scenario::Arrivals::Constant => load::Arrivals::Constant,
        },
        timeout: plan.timeout,
        expect_status: statuses(&plan.expect_status).map_err(&failed)?,
        in_flight_max: u64::from(plan.in_flight_max),
        writes,
        changes: changes(plan, phases),
        ..HttpLoad::new(plan.name.clone(), first, plan.rate, seed)
    })
}

/// When the rate of a load becomes another, from its beginning: up in the fault phase, and back at its end.
fn changes(plan: &LoadPlan, phases: &PhaseLengths) -> Vec<(Span, Frequency)> {
    let Some(ramp) = plan.ramp else { return Vec::new() };
    let begins = phases.warm_up.as_micros() + phases.baseline.as_micros();
    let step = |(rate, step): (Frequency, u64)| {
        (Span::from_micros(begins.saturating_add(ramp.every.as_micros().saturating_mul(step))), rate)
    };
    let back = (Span::from_micros(begins + phases.fault.as_micros()), plan.rate);
    ramp.rates(plan.rate).into_iter().zip(0u64..).map(step).chain([back]).collect()
}

/// What a load's own reference stands for until a request is sent.
pub(crate) fn own(plan: &LoadPlan, writes: Option<&load::Writes>, name: &str) -> Option<String> {
    let writes = writes.filter(|_| name == plan.own_id())?;
    Some(writes.ids.id(0))
}

pub(crate) fn probe(plan: &ProbePlan, captured: &Arc<Captured>) -> Result<Probe, RunError> {
    let failed = |why: String| RunError::Setup { what: format!("probe {}", plan.name), why };
    let question = match (CapturingProbe::new(plan, captured).map_err(failed)?, &plan.question) {
        (Some(capturing), _) => Ok(Asked::Load(load::Question::Other(Arc::new(capturing)))),
        (None, scenario::Question::Container(question)) => {
            ContainerQuestion::new(question).map(Asked::Containers)
        }
        (None, other) => question(other, None).map(Asked::Load),
    }
    .map_err(failed)?;
    Ok(Probe { name: plan.name.clone(), question, every: plan.every, within: plan.within })
}

/// A question; a command of it runs in `dir`.
pub(crate) fn question(question: &scenario::Question, dir: Option<&Path>) -> Result<load::Question, String> {
    Ok(match question {
        scenario::Question::Http { request: asked, status, header, body, json } => load::Question::Http {
            request: Box::new(request(asked)?),
            status: statuses(status)?,
            header: header.iter().map(header_test).collect::<Result<_, _>>()?,
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

pub(crate) fn request(plan: &scenario::HttpRequest) -> Result<load::HttpRequest, String> {
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

fn header_test(test: &scenario::HeaderTest) -> Result<load::HeaderTest, String> {
    Ok(load::HeaderTest {
        name: test.name.clone(),
        matches: Regex::new(&test.matches).map_err(|error| error.to_string())?,
        value: if test.is_secret() { load::HeaderValue::Hidden } else { load::HeaderValue::Said },
    })
}

pub(crate) fn pattern(text: Option<&str>) -> Result<Option<Regex>, String> {
    text.map(Regex::new).transpose().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_scenario::{Settings, load_text};

    fn rates_of(load: &str) -> Vec<(Span, Frequency)> {
        let text = format!(
            "murphy: 1\nname: x\nlearn: all\nload: {{ a: {{ http: http://127.0.0.1/, rate: 20/s{load} }} }}\n\
             phases: {{ warm-up: 1s, baseline: 9s, fault: 30s, recovery: 5s }}\n"
        );
        let plan = load_text("x.yaml", &text, &Settings::default()).expect("a scenario").plan;
        changes(&plan.loads[0], &plan.phases)
    }

    #[test]
    fn a_load_is_raised_from_the_fault_phase_on_and_back_at_its_end() {
        let changes = rates_of(", ramp: { to: 100/s, by: 2, every: 10s }");
        let told: Vec<String> = changes.iter().map(|(at, rate)| format!("{at} {rate}")).collect();
        assert_eq!(told, ["10s 40/s", "20s 80/s", "30s 100/s", "40s 20/s"]);
        assert!(rates_of("").is_empty());
    }
}
