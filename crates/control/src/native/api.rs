//! Requests to answers.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use murphy_core::{ConnId, LeaseName, RuleSetName};
use serde::Serialize;
use serde_json::Value;

use crate::bodies::{Bodies, BodyError, Whole};
use crate::containers::{ContainerFaults, StandsDoc};
use crate::events::{EventBody, Events};
use crate::proxies::{Placed, Proxies, ProxyChange, ProxySpec, StandingFault};
use crate::toxiproxy::{VERSION, percent_decode};

use super::guard::Guard;
use super::openapi::OPENAPI;
use super::operations::{Act, Matched, find};
use super::orders::{FaultOrder, LeaseOrder, NewFault, NewProxy, ProxyPatch, RuleSetOrder};
use super::problem::Problem;
use super::request::{
    Wanted, check_listen, check_protocol, check_time, check_tls, check_upstream, default_name, name, owner,
    plan, read, rules,
};
use super::types::{ConnectionDoc, FaultDoc, LeaseDoc, ProxyDoc, RuleDoc, RuleSetDoc, ToxicDoc, VersionDoc};

/// The longest body that is read; a set of a thousand rules is shorter.
const BODY: usize = 1024 * 1024;
/// The most connections in one answer.
pub const MOST_CONNECTIONS: usize = 1000;

/// An answer: whole, or a stream.
pub type Answer = Response<UnsyncBoxBody<Bytes, std::convert::Infallible>>;

/// The native API over a set of proxies.
pub struct NativeApi {
    proxies: Proxies,
    events: Events,
    guard: Guard,
    /// `None` where nobody switched it on.
    containers: Option<ContainerFaults>,
    bodies: Bodies,
}

/// What an operation has to say.
enum Said {
    Json(StatusCode, Value),
    OpenApi,
    Nothing,
    Stream(EventBody),
}

fn json(status: StatusCode, value: impl Serialize) -> Result<Said, Problem> {
    let value = serde_json::to_value(value).map_err(|error| Problem::Body { why: error.to_string() })?;
    Ok(Said::Json(status, value))
}

impl NativeApi {
    /// The API.
    pub fn new(
        proxies: Proxies,
        events: Events,
        guard: Guard,
        containers: Option<ContainerFaults>,
    ) -> NativeApi {
        NativeApi { proxies, events, guard, containers, bodies: Bodies::default() }
    }

    /// True for a path that is this API's.
    pub fn owns(path: &str) -> bool {
        path == "/v1" || path.starts_with("/v1/")
    }

    /// What is answered to a request for the API of Toxiproxy that may not come in.
    pub fn turns_away(&self, headers: &hyper::HeaderMap) -> Option<Answer> {
        self.guard.check_other(headers).err().map(|problem| refuse(&problem))
    }

    /// Answers a request. Never fails: what goes wrong is an answer too.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.try_answer(request).await {
            Ok(said) => say(said),
            Err(problem) => refuse(&problem),
        }
    }

    async fn try_answer<B>(&self, request: Request<B>) -> Result<Said, Problem>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        self.guard.check(&head.headers)?;
        let path = head.uri.path();
        let segments: Option<Vec<String>> = path.split('/').skip(1).map(percent_decode).collect();
        let (operation, varying) = match find(head.method.as_str(), &segments.ok_or(Problem::Path)?) {
            Matched::Found(operation, varying) => (operation, varying),
            Matched::WrongMethod(allowed) => {
                return Err(Problem::Method { method: head.method.to_string(), allowed });
            }
            Matched::Unknown => return Err(Problem::NoRoute { path: path.to_owned() }),
        };
        let body = match operation.body {
            None => Whole::default(),
            Some(_) => {
                let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
                if !kind.eq_ignore_ascii_case("application/json") {
                    return Err(Problem::ContentType);
                }
                self.collect(body).await?
            }
        };
        let part = |index: usize| varying.get(index).map(String::as_str).unwrap_or_default();
        self.act(operation.act, (part(0), part(1)), head.uri.query().unwrap_or_default(), &body.bytes).await
    }

    async fn act(&self, act: Act, path: (&str, &str), query: &str, body: &[u8]) -> Result<Said, Problem> {
        let proxies = &self.proxies;
        let (first, second) = path;
        match act {
            Act::OpenApi => Ok(Said::OpenApi),
            Act::Version => json(
                StatusCode::OK,
                VersionDoc { murphy: env!("CARGO_PKG_VERSION").into(), toxiproxy: VERSION.into() },
            ),
            Act::ListProxies => {
                let list = proxies.list().into_iter();
                let list: Result<Vec<ProxyDoc>, Problem> = list
                    .filter_map(|spec| match self.proxy(spec) {
                        // Deleted since it was listed.
                        Err(Problem::Proxy(_)) => None,
                        shown => Some(shown),
                    })
                    .collect();
                json(StatusCode::OK, list?)
            }
            Act::CreateProxy => {
                let NewProxy { name, listen, upstream, protocol, tls, enabled } = read(body)?;
                check_listen(&listen)?;
                check_upstream(&upstream)?;
                check_protocol(protocol)?;
                check_tls(tls.as_ref())?;
                let name = name.to_string();
                let spec = ProxySpec { name, listen, upstream, protocol, tls, enabled, toxics: Vec::new() };
                let made = proxies.create(spec).await?;
                json(StatusCode::CREATED, self.proxy(made)?)
            }
            Act::ShowProxy => json(StatusCode::OK, self.proxy(proxies.show(first)?)?),
            Act::ChangeProxy => {
                proxies.show(first)?;
                let ProxyPatch { listen, upstream, enabled } = read(body)?;
                listen.as_deref().map_or(Ok(()), check_listen)?;
                upstream.as_deref().map_or(Ok(()), check_upstream)?;
                let changed = proxies.update(first, &ProxyChange { listen, upstream, enabled }).await?;
                json(StatusCode::OK, self.proxy(changed)?)
            }
            Act::DeleteProxy => {
                proxies.delete(first).await?;
                Ok(Said::Nothing)
            }
            Act::ListFaults => json(StatusCode::OK, self.faults(first)?),
            Act::AddFault => {
                proxies.show(first)?;
                let NewFault { name, inject, directions, chance, matching, which, lasts, lease } =
                    read(body)?;
                let name = match name {
                    Some(name) => name,
                    None => default_name(inject.name())?,
                };
                let plan = plan(Wanted { inject, directions, chance, matching, which }, "")?;
                let owner = owner(lasts, lease)?;
                proxies.add_fault(first, StandingFault { name: name.clone(), plan, owner })?;
                json(StatusCode::CREATED, self.fault(first, name.as_str())?)
            }
            Act::ShowFault => json(StatusCode::OK, self.fault(first, second)?),
            Act::PutFault => {
                proxies.show(first)?;
                let FaultOrder { inject, directions, chance, matching, which, lasts, lease } = read(body)?;
                let plan = plan(Wanted { inject, directions, chance, matching, which }, "")?;
                let owner = owner(lasts, lease)?;
                let placed = proxies.put_fault(first, StandingFault { name: name(second)?, plan, owner })?;
                let status = if placed == Placed::New { StatusCode::CREATED } else { StatusCode::OK };
                json(status, self.fault(first, second)?)
            }
            Act::LiftFault => {
                proxies.lift_fault(first, second)?;
                Ok(Said::Nothing)
            }
            Act::ListConnections => {
                let after = after(query)?;
                let list = proxies.connections(first, ConnId(after), MOST_CONNECTIONS)?;
                json(StatusCode::OK, list.into_iter().map(ConnectionDoc::from).collect::<Vec<_>>())
            }
            Act::ShowRules => json(StatusCode::OK, self.rules(name(first)?)?),
            Act::PutRules => {
                let set: RuleSetName = name(first)?;
                let order: RuleSetOrder = read(body)?;
                let owner = owner(order.lasts, order.lease.clone())?;
                proxies.put_rules(&set, &rules(&set, order)?, &owner)?;
                match self.rules(set.clone()) {
                    // A set without rules is one that is not there.
                    Err(_) => json(StatusCode::OK, RuleSetDoc { name: set, rules: Vec::new() }),
                    Ok(shown) => json(StatusCode::OK, shown),
                }
            }
            Act::LiftRules => {
                proxies.lift_rules(&name(first)?)?;
                Ok(Said::Nothing)
            }
            Act::ListLeases => {
                json(StatusCode::OK, proxies.leases().into_iter().map(LeaseDoc::from).collect::<Vec<_>>())
            }
            Act::ShowLease => json(StatusCode::OK, LeaseDoc::from(proxies.lease(first)?)),
            Act::PutLease => {
                let lease: LeaseName = name(first)?;
                let LeaseOrder { lasts } = read(body)?;
                let state = proxies.put_lease(lease.clone(), check_time(lasts)?)?;
                json(StatusCode::OK, LeaseDoc::from((lease, state)))
            }
            Act::EndLease => {
                proxies.end_lease(&name(first)?)?;
                Ok(Said::Nothing)
            }
            Act::HoldLease => {
                let (hold, frames) = proxies.hold_lease(&name(first)?)?;
                Ok(Said::Stream(EventBody::new(frames, None, Some(hold))))
            }
            Act::ListContainerFaults => json(StatusCode::OK, self.containers()?.list()),
            Act::AddContainerFault => {
                let containers = self.containers()?;
                let fault = containers.add(read(body)?).await?;
                let dry = fault.state == StandsDoc::DryRun;
                json(if dry { StatusCode::OK } else { StatusCode::CREATED }, fault)
            }
            Act::ShowContainerFault => json(StatusCode::OK, self.containers()?.show(first)?),
            Act::LiftContainerFault => {
                self.containers()?.lift(first).await?;
                Ok(Said::Nothing)
            }
            Act::History => json(StatusCode::OK, proxies.history()),
            Act::Events => Ok(Said::Stream(self.events.listen()?)),
        }
    }

    async fn collect<B>(&self, body: B) -> Result<Whole, Problem>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.bodies.read(body, BODY).await.map_err(|error| match error {
            BodyError::Late => Problem::Broken { why: "it took too long".into() },
            BodyError::Long => Problem::TooLong { most: BODY },
            BodyError::Broken { why } => Problem::Broken { why },
        })
    }

    fn containers(&self) -> Result<&ContainerFaults, Problem> {
        self.containers.as_ref().ok_or(Problem::ContainersOff)
    }

    fn faults(&self, proxy: &str) -> Result<Vec<FaultDoc>, Problem> {
        let now = Instant::now();
        let faults = self.proxies.faults(proxy)?.into_iter();
        Ok(faults.map(|(fault, tally)| FaultDoc::new(fault, tally.into(), now)).collect())
    }

    fn fault(&self, proxy: &str, name: &str) -> Result<FaultDoc, Problem> {
        let (fault, tally) = self.proxies.fault(proxy, name)?;
        Ok(FaultDoc::new(fault, tally.into(), Instant::now()))
    }

    fn proxy(&self, spec: ProxySpec) -> Result<ProxyDoc, Problem> {
        let faults = self.faults(&spec.name)?;
        let traffic = self.proxies.traffic(&spec.name);
        let translated = self.proxies.translated(&spec.toxics).into_iter();
        let toxics = translated.map(|(name, toxic)| ToxicDoc::new(name, toxic)).collect();
        Ok(ProxyDoc::new(spec, toxics, faults, traffic))
    }

    fn rules(&self, set: RuleSetName) -> Result<RuleSetDoc, Problem> {
        let now = Instant::now();
        let rules = self.proxies.rules(&set)?.into_iter();
        let rules = rules
            .map(|(proxy, fault, tally)| RuleDoc { proxy, fault: FaultDoc::new(fault, tally.into(), now) })
            .collect();
        Ok(RuleSetDoc { name: set, rules })
    }
}

/// The connection behind which a list goes on.
fn after(query: &str) -> Result<u64, Problem> {
    let given = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    given.map_or(Ok(0), |number| number.parse().map_err(|_| Problem::Query { name: "after" }))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn say(said: Said) -> Answer {
    match said {
        Said::Json(status, value) => {
            let mut answer = Response::new(Full::from(format!("{value}\n")).boxed_unsync());
            *answer.status_mut() = status;
            answer.headers_mut().insert(CONTENT_TYPE, JSON);
            answer
        }
        Said::OpenApi => {
            let mut answer = Response::new(Full::from(OPENAPI.as_str()).boxed_unsync());
            answer.headers_mut().insert(CONTENT_TYPE, JSON);
            answer
        }
        Said::Nothing => {
            let mut answer = Response::new(Full::default().boxed_unsync());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        Said::Stream(body) => {
            let mut answer = Response::new(body.boxed_unsync());
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
    }
}

fn refuse(problem: &Problem) -> Answer {
    let document = serde_json::to_value(problem.document()).unwrap_or_default();
    let mut answer = say(Said::Json(problem.status(), document));
    let header = match problem {
        Problem::Method { allowed, .. } => {
            HeaderValue::from_str(allowed).ok().map(|allowed| (ALLOW, allowed))
        }
        Problem::Token => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => None,
    };
    if let Some((name, value)) = header {
        answer.headers_mut().insert(name, value);
    }
    answer
}
