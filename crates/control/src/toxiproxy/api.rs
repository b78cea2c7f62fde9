//! Requests to answers: statuses, headers and bodies as Toxiproxy gives them.

use std::ops::ControlFlow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, ORIGIN, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use murphy_core::Seed;

use crate::bodies::{Bodies, BodyError};
use crate::json::Writer;
use crate::metrics::{self, MetricsChoice, Served};
use crate::proxies::{Proxies, ProxySpec};

use super::body::{self, NewToxic, ToxicChange};
use super::compat::Compat;
use super::refusal::Refusal;
use super::request_id::RequestIds;
use super::route::{MetricsRoute, Route, Routed, route};
use super::toxic::Toxic;

/// The version whose API this is. Clients compare it, so it is a plain number.
pub const VERSION: &str = "2.12.0";

/// The longest body that is read; a configuration of ten thousand proxies is shorter.
const BODY: usize = 16 * 1024 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

type Answer = Response<Full<Bytes>>;

/// The API over a set of proxies.
pub struct Api {
    proxies: Proxies,
    compat: Compat,
    metrics: MetricsChoice,
    ids: RequestIds,
    bodies: Bodies,
}

/// What a route has to say.
enum Said {
    /// A status and JSON.
    Json(StatusCode, String),
    /// JSON for `/version`, which has a content type of its own.
    Version(String),
    /// Metrics.
    Metrics(String),
    /// Nothing, and that it went well.
    Done,
    /// A failure of `/populate`: JSON with what was done before it.
    Unfinished(Refusal, Vec<ProxySpec>),
}

impl Api {
    /// The API. Request ids follow from the seed.
    pub fn new(proxies: Proxies, compat: Compat, metrics: MetricsChoice, seed: Seed) -> Api {
        Api { proxies, compat, metrics, ids: RequestIds::new(seed), bodies: Bodies::default() }
    }

    /// Answers a request. Never fails: what goes wrong is an answer too.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut answer = match self.find(&head.method, &head.uri) {
            ControlFlow::Continue(route) => {
                let mut answer = match self.forbids(&head.headers) {
                    Some(answer) => answer,
                    None => self.carry_out(route, body).await,
                };
                if let Ok(id) = HeaderValue::from_str(&self.ids.make()) {
                    answer.headers_mut().insert("x-toxiproxy-request-id", id);
                }
                answer
            }
            ControlFlow::Break(answer) => answer,
        };
        if head.method == Method::HEAD {
            *answer.body_mut() = Full::default();
        }
        answer
    }

    fn find(&self, method: &Method, uri: &Uri) -> ControlFlow<Answer, Route> {
        let metrics = match self.metrics {
            MetricsChoice { proxy: Served::No, runtime: Served::No } => MetricsRoute::Absent,
            _ => MetricsRoute::Served,
        };
        match route(method, uri.path(), metrics) {
            Routed::Found(route) => ControlFlow::Continue(route),
            Routed::Unknown => ControlFlow::Break(go_error(StatusCode::NOT_FOUND, "404 page not found")),
            Routed::Malformed => ControlFlow::Break(go_error(StatusCode::BAD_REQUEST, "400 Bad Request")),
            Routed::WrongMethod => ControlFlow::Break(bare(StatusCode::METHOD_NOT_ALLOWED)),
            Routed::Moved(path) => {
                let mut answer = bare(StatusCode::MOVED_PERMANENTLY);
                let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                if let Ok(location) = HeaderValue::from_str(&format!("{path}{query}")) {
                    answer.headers_mut().insert(LOCATION, location);
                }
                ControlFlow::Break(answer)
            }
        }
    }

    /// A page of another site must not drive the daemon through its visitor's browser.
    fn forbids(&self, headers: &HeaderMap) -> Option<Answer> {
        let browser = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
        if browser {
            return Some(go_error(StatusCode::FORBIDDEN, "User agent not allowed"));
        }
        let foreign = self.compat == Compat::Better && headers.contains_key(ORIGIN);
        foreign.then(|| go_error(StatusCode::FORBIDDEN, "Requests of a web page (Origin) are not allowed"))
    }

    async fn carry_out<B>(&self, route: Route, body: B) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = match self.bodies.read(body, BODY).await {
            Ok(body) => body,
            Err(BodyError::Late) => return self.refuse(&Refusal::Broken { why: "i/o timeout".to_owned() }),
            Err(BodyError::Long) => return self.refuse(&Refusal::TooLong { limit: BODY }),
            Err(BodyError::Broken { why }) => return self.refuse(&Refusal::Broken { why }),
        };
        match self.act(route, &body.bytes).await {
            Ok(said) => self.say(said),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    async fn act(&self, route: Route, body: &[u8]) -> Result<Said, Refusal> {
        let (compat, proxies) = (self.compat, &self.proxies);
        let ok = |json| Ok(Said::Json(StatusCode::OK, json));
        match route {
            Route::Version => Ok(Said::Version(match compat {
                Compat::Strict => format!("{{\"version\": \"{VERSION}\"}}\n"),
                Compat::Better => {
                    let own = env!("CARGO_PKG_VERSION");
                    format!("{{\"version\": \"{VERSION}\", \"murphy\": \"{own}\"}}\n")
                }
            })),
            Route::Metrics => Ok(Said::Metrics(metrics::render(self.metrics, &proxies.ledger().read()))),
            Route::ListProxies => ok(write(|w| {
                w.object(|w| {
                    for proxy in proxies.list() {
                        w.field(&proxy.name);
                        self.write_proxy(w, &proxy);
                    }
                });
            })),
            Route::CreateProxy => {
                let made = proxies.create(body::proxy(body, compat)?).await?;
                Ok(Said::Json(StatusCode::CREATED, write(|w| self.write_proxy(w, &made))))
            }
            Route::Populate => self.populate(body).await,
            Route::Reset => proxies.reset().await.map(|()| Said::Done).map_err(Refusal::from),
            Route::ShowProxy(name) => {
                let proxy = proxies.show(&name)?;
                ok(write(|w| self.write_proxy(w, &proxy)))
            }
            Route::UpdateProxy(name) => {
                proxies.show(&name)?;
                let proxy = proxies.update(&name, &body::change(body)?).await?;
                ok(write(|w| self.write_proxy(w, &proxy)))
            }
            Route::DeleteProxy(name) => {
                proxies.delete(&name).await?;
                Ok(Said::Done)
            }
            Route::ListToxics(name) => {
                let toxics = proxies.toxics(&name)?;
                ok(write(|w| write_toxics(w, &toxics)))
            }
            Route::CreateToxic(name) => {
                proxies.show(&name)?;
                let new = NewToxic::read(body, compat)?;
                let toxic =
                    proxies.add_toxic::<Refusal>(&name, new.toxic.clone(), |toxic| new.fill(toxic))?;
                ok(write(|w| toxic.write(w)))
            }
            Route::ShowToxic(proxy, name) => {
                let toxic = proxies.toxic(&proxy, &name)?;
                ok(write(|w| toxic.write(w)))
            }
            Route::UpdateToxic(proxy, name) => {
                proxies.toxic(&proxy, &name)?;
                let change = ToxicChange::read(body)?;
                let toxic = proxies.edit_toxic::<Refusal>(&proxy, &name, |toxic| change.apply(toxic))?;
                ok(write(|w| toxic.write(w)))
            }
            Route::DeleteToxic(proxy, name) => {
                proxies.remove_toxic(&proxy, &name)?;
                Ok(Said::Done)
            }
        }
    }

    async fn populate(&self, body: &[u8]) -> Result<Said, Refusal> {
        let specs = match body::proxies(body, self.compat) {
            Ok(specs) => specs,
            Err(refusal) => return Ok(Said::Unfinished(refusal, Vec::new())),
        };
        let mut done = Vec::with_capacity(specs.len());
        for spec in specs {
            match self.proxies.put(spec).await {
                Ok(proxy) => done.push(proxy),
                Err(error) => return Ok(Said::Unfinished(error.into(), done)),
            }
        }
        let json = write(|w| {
            w.object(|w| {
                w.field("proxies");
                self.write_list(w, &done);
            });
        });
        Ok(Said::Json(StatusCode::CREATED, json))
    }

    /// A list of proxies; Go writes an empty one as null.
    fn write_list(&self, writer: &mut Writer, proxies: &[ProxySpec]) {
        if proxies.is_empty() {
            writer.null();
        } else {
            writer.array(proxies, |w, proxy| self.write_proxy(w, proxy));
        }
    }

    fn write_proxy(&self, writer: &mut Writer, proxy: &ProxySpec) {
        writer.object(|w| {
            w.field("name").text(&proxy.name);
            w.field("listen").text(&proxy.listen);
            w.field("upstream").text(&proxy.upstream);
            w.field("enabled").boolean(proxy.enabled);
            if self.compat == Compat::Strict {
                w.field("Logger").object(|_| {});
            }
            w.field("toxics");
            write_toxics(w, &proxy.toxics);
        });
    }

    fn say(&self, said: Said) -> Answer {
        let with = |status, body: String, kind: HeaderValue| {
            let mut answer = bare(status);
            *answer.body_mut() = Full::from(body);
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        };
        match said {
            Said::Json(status, json) => with(status, json, JSON),
            Said::Version(json) => {
                with(StatusCode::OK, json, HeaderValue::from_static("application/json;charset=utf-8"))
            }
            Said::Metrics(text) => {
                with(StatusCode::OK, text, HeaderValue::from_static(metrics::CONTENT_TYPE))
            }
            Said::Done => bare(StatusCode::NO_CONTENT),
            Said::Unfinished(refusal, done) => {
                let status = refusal.status();
                let json = write(|w| {
                    w.object(|w| {
                        w.field("error").text(&refusal.to_string());
                        w.field("status").integer(i64::from(status.as_u16()));
                        w.field("proxies");
                        self.write_list(w, &done);
                    });
                });
                with(status, json, JSON)
            }
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let status = refusal.status();
        let json = write(|w| {
            w.object(|w| {
                w.field("error").text(&refusal.to_string());
                w.field("status").integer(i64::from(status.as_u16()));
            });
        });
        let mut answer = go_error(status, &json);
        if self.compat == Compat::Better {
            answer.headers_mut().insert(CONTENT_TYPE, JSON);
        }
        answer
    }
}

fn write(value: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::new();
    value(&mut writer);
    writer.finish()
}

fn write_toxics(writer: &mut Writer, toxics: &[Toxic]) {
    writer.array(toxics, |w, toxic| toxic.write(w));
}

fn bare(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// An error as Go's `http.Error` sends it: one line of text.
fn go_error(status: StatusCode, text: &str) -> Answer {
    let mut answer = bare(status);
    *answer.body_mut() = Full::from(format!("{text}\n"));
    answer.headers_mut().insert(CONTENT_TYPE, PLAIN);
    answer.headers_mut().insert("x-content-type-options", NOSNIFF);
    answer
}
