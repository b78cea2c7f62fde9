//! The way of one request: chosen by faults, passed on, answered, and its answer shaped, in the order of the faults.
//!
//! A request that a fault answers never reaches the dependency, unless the fault says that only the answer is lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::http::{HeaderMap, Method, StatusCode, header};
use hyper::{Request, Response, Version};
use murphy_core::{Answerer, Dice, Side};

use super::body::{BodyError, Cut, Held, Pace, ReplyBody, Shape, Source};
use super::call::call_of;
use super::choice::key_of;
use super::effect::{Answer, HttpEffect, HttpStep, Malformed, Part, Then, When};
use super::framing::Framing;
use super::hand_made::{
    bad_gateway, bad_request, has_one_end, header_line, made_up, set_length, status_line, told_length,
};
use super::hub::{Hub, Speaks, Takeover, Ticket, UseOf, ended_by_fault};
use super::pass_on::{NoAnswer, Sender, pass_on};
use crate::armed::Standing;
use crate::effect::{EdgeEffect, Ending};

type Reply = Response<ReplyBody>;

/// What answers the requests of one connection.
#[derive(Clone)]
pub(crate) struct Service {
    hub: Arc<Hub>,
    sender: Arc<Sender>,
}

impl Service {
    pub(crate) fn new(hub: Arc<Hub>, sender: Sender) -> Service {
        Service { hub, sender: Arc::new(sender) }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Reply;
    type Error = BodyError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, BodyError>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Box::pin(answer(Arc::clone(&self.hub), Arc::clone(&self.sender), request))
    }
}

/// What of a request says how its answer may be put.
struct Asked {
    method: Method,
    version: Version,
}

/// A fault that was chosen for the request.
struct Chosen {
    standing: Standing,
    effect: HttpEffect,
    dice: Dice,
    counted: bool,
}

impl Chosen {
    fn acted(&mut self, hub: &Hub, bytes: usize) {
        if !std::mem::replace(&mut self.counted, true) {
            hub.count(&self.standing, bytes);
        }
    }
}

/// What became of a request before it was passed on.
enum Fate {
    Onward,
    Answered(Arc<Answer>),
    Broken(Ending),
}

/// What only a request with a fault goes through is kept apart, so that the others take little memory.
async fn answer(hub: Arc<Hub>, sender: Arc<Sender>, request: Request<Incoming>) -> Result<Reply, BodyError> {
    let (mut parts, body) = request.into_parts();
    let use_of = hub.use_of();
    let asked = Asked { method: parts.method.clone(), version: parts.version };
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let told = call_of(&hub, parts.method.as_str(), parts.uri.path(), text);
    let ticket = Ticket::new(Arc::clone(&hub), told);
    let mut chosen = Vec::new();
    let mut fate = Fate::Onward;
    for standing in hub.table().standing() {
        let EdgeEffect::Http(effect) = &standing.armed.effect else { continue };
        let Some(mut one) = choose(&hub, standing, effect, &parts, use_of) else { continue };
        ticket.note(|call| {
            call.faults.push(one.standing.armed.id.clone());
            call.touched = true;
        });
        fate = Box::pin(before(&hub, &mut one, &mut parts.headers)).await;
        chosen.push(one);
        if !matches!(fate, Fate::Onward) {
            break;
        }
    }
    let (response, made_up) = match fate {
        Fate::Broken(how) => return Box::pin(broken(&hub, ticket, ended_by_fault(how))).await,
        Fate::Answered(answer) => (made_up(&answer), true),
        Fate::Onward if !has_one_end(&parts.headers) => (bad_request(), true),
        Fate::Onward => {
            ticket.note(|call| call.reached = true);
            match pass_on(&hub, &sender, parts, body).await {
                Ok(response) => {
                    ticket.note(|call| call.service_status = Some(response.status().as_u16()));
                    if chosen.is_empty() {
                        return Ok(untouched(&hub, ticket, response));
                    }
                    (response.map(Source::Stream), false)
                }
                Err(NoAnswer::Lost(error)) => return Box::pin(lost(&hub, ticket, error)).await,
                Err(NoAnswer::Nonsense) => (bad_gateway(), true),
            }
        }
    };
    Box::pin(after(&hub, ticket, &asked, response, chosen, made_up)).await
}

/// The dependency's answer as it came.
fn untouched(hub: &Arc<Hub>, ticket: Ticket, response: Response<Incoming>) -> Reply {
    ticket.note(|call| {
        call.status = Some(response.status().as_u16());
        call.answerer = Answerer::Service;
    });
    ticket.begins();
    response.map(|body| ReplyBody::new(Arc::clone(hub), Source::Stream(body), None, ticket))
}

fn choose(
    hub: &Hub,
    standing: &Standing,
    effect: &HttpEffect,
    parts: &Parts,
    use_of: UseOf,
) -> Option<Chosen> {
    if use_of == UseOf::Fresh && effect.steps.iter().any(|step| matches!(step, HttpStep::BreakReused { .. }))
    {
        return None;
    }
    if effect.filter.as_ref().is_some_and(|filter| !filter.matches(parts, hub.source)) {
        return None;
    }
    let key = key_of(effect.selection.per.as_ref(), parts, hub.source);
    let seed = hub.shared.seed.derive(standing.armed.id.as_str(), 0);
    let dice = standing.choices.choose(&effect.selection, &key, seed)?;
    Some(Chosen { standing: standing.clone(), effect: effect.clone(), dice, counted: false })
}

/// What a fault does before the request is passed on.
async fn before(hub: &Hub, chosen: &mut Chosen, headers: &mut HeaderMap) -> Fate {
    let steps = Arc::clone(&chosen.effect.steps);
    for step in steps.iter() {
        match step {
            HttpStep::EditRequest(edits) => {
                chosen.acted(hub, 0);
                edits.apply(headers);
            }
            HttpStep::Answer { when: When::BeforeUpstream, answer } => {
                chosen.acted(hub, answer.body.len());
                return Fate::Answered(Arc::clone(answer));
            }
            HttpStep::Break { when: When::BeforeUpstream, how } => {
                chosen.acted(hub, 0);
                return Fate::Broken(*how);
            }
            HttpStep::BreakReused { how } => {
                chosen.acted(hub, 0);
                return Fate::Broken(*how);
            }
            HttpStep::Withhold { when: When::BeforeUpstream } => {
                chosen.acted(hub, 0);
                hub.held(chosen.standing.arming, None).await;
            }
            HttpStep::Ration { limiter, answer } => {
                if !limiter.admits(Instant::now()) {
                    chosen.acted(hub, answer.body.len());
                    return Fate::Answered(Arc::clone(answer));
                }
            }
            HttpStep::Answer { .. }
            | HttpStep::Break { .. }
            | HttpStep::Withhold { .. }
            | HttpStep::Wait { .. }
            | HttpStep::EditReply(_)
            | HttpStep::EditBody(_)
            | HttpStep::Pace(_)
            | HttpStep::Cut { .. }
            | HttpStep::Malform(_) => {}
        }
    }
    Fate::Onward
}

/// What faults do to the answer.
async fn after(
    hub: &Arc<Hub>,
    ticket: Ticket,
    asked: &Asked,
    response: Response<Source>,
    chosen: Vec<Chosen>,
    made_up_before: bool,
) -> Result<Reply, BodyError> {
    let (mut head, mut source) = response.into_parts();
    let mut shape = Shape::default();
    let mut shaped = false;
    let mut answerer = if made_up_before { Answerer::Murphy } else { Answerer::Service };
    let mut bad_header = false;
    let last = chosen.len().saturating_sub(1);
    for (index, mut one) in chosen.into_iter().enumerate() {
        // The fault that made the answer up does nothing to it any more.
        let its_own = made_up_before && index == last;
        let arming = one.standing.arming;
        let steps = Arc::clone(&one.effect.steps);
        for step in steps.iter().filter(|_| !its_own) {
            match step {
                HttpStep::Answer { when: When::AfterUpstream, answer } => {
                    one.acted(hub, answer.body.len());
                    (head, source) = made_up(answer).into_parts();
                    answerer = Answerer::Murphy;
                }
                HttpStep::Break { when: When::AfterUpstream, how } => {
                    one.acted(hub, 0);
                    return broken(hub, ticket, ended_by_fault(*how)).await;
                }
                HttpStep::Withhold { when: When::AfterUpstream } => {
                    one.acted(hub, 0);
                    hub.held(arming, None).await;
                }
                HttpStep::Wait { before, base, jitter } => {
                    one.acted(hub, 0);
                    let wait = jittered(*base, *jitter, &mut one.dice);
                    let until = Instant::now().checked_add(wait);
                    match before {
                        Part::Head => hub.held(arming, until).await,
                        Part::Body => {
                            // Counted from the head's leaving, which is as good as now.
                            let hub = Arc::clone(hub);
                            shape.first = Some(Box::pin(async move { hub.held(arming, until).await }));
                            shaped = true;
                        }
                    }
                }
                HttpStep::EditReply(edits) => {
                    one.acted(hub, 0);
                    edits.apply(&mut head.headers);
                    answerer = altered(answerer);
                }
                // No body belongs to it, so its length speaks of another answer (RFC 9110, section 6.4.1).
                HttpStep::EditBody(_) if is_bodiless(&asked.method, head.status) => {}
                HttpStep::EditBody(edit) => match source.collect().await {
                    Ok(Ok(Held { bytes, trailers })) => {
                        source = match edit.edit(&bytes) {
                            Some(edited) => {
                                one.acted(hub, bytes.len());
                                answerer = altered(answerer);
                                set_length(&mut head.headers, edited.len());
                                // The new one is plain, whatever the old one was.
                                head.headers.remove(header::CONTENT_ENCODING);
                                match hub.speaks {
                                    // Behind a length it has no trailers.
                                    Speaks::One => Source::Whole(edited),
                                    Speaks::Two => Source::Trailed(edited, trailers),
                                }
                            }
                            // As it came: in chunks if it did, and with what came behind them. The HTTP layer asks for the end
                            // of a body that is shaped, also of an empty one, whose last chunk it has to write.
                            None => {
                                shaped = true;
                                Source::Trailed(bytes, trailers)
                            }
                        };
                    }
                    Ok(Err(rest)) => source = rest,
                    Err(error) => return lost(hub, ticket, error).await,
                },
                HttpStep::Pace(rate) => {
                    one.acted(hub, 0);
                    shape.pace = Some(Pace::new(*rate, arming));
                    shaped = true;
                }
                HttpStep::Cut { after, then } => {
                    one.acted(hub, 0);
                    shape.cut = Some(Cut::new(*after, *then, arming));
                    shaped = true;
                    answerer = altered(answerer);
                }
                HttpStep::Malform(kind) => {
                    one.acted(hub, 0);
                    answerer = altered(answerer);
                    let no_chunks = *kind == Malformed::Chunk && asked.version == Version::HTTP_10;
                    if hub.speaks == Speaks::Two || no_chunks {
                        return broken(hub, ticket, ended_by_fault(Ending::Reset)).await;
                    }
                    shaped = true;
                    shape.lies = true;
                    match kind {
                        Malformed::Chunk => {
                            head.headers.remove(header::CONTENT_LENGTH);
                            shape.bad_chunk = true;
                        }
                        Malformed::Header => bad_header = true,
                        Malformed::LengthTooLong | Malformed::LengthTooShort => {
                            match source.collect().await {
                                Ok(Ok(Held { bytes, .. })) => {
                                    let told = told_length(*kind, bytes.len());
                                    set_length(&mut head.headers, told);
                                    if *kind == Malformed::LengthTooShort {
                                        let surplus = bytes.slice(told..);
                                        return Ok(with_surplus(
                                            hub,
                                            ticket,
                                            head,
                                            bytes.slice(..told),
                                            surplus,
                                        ));
                                    }
                                    shape.last = true;
                                    source = Source::Whole(bytes);
                                }
                                Ok(Err(rest)) => source = rest,
                                Err(error) => return lost(hub, ticket, error).await,
                            }
                        }
                    }
                }
                HttpStep::EditRequest(_)
                | HttpStep::Answer { .. }
                | HttpStep::Break { .. }
                | HttpStep::BreakReused { .. }
                | HttpStep::Withhold { .. }
                | HttpStep::Ration { .. } => {}
            }
        }
    }
    ticket.note(|call| {
        call.status = Some(head.status.as_u16());
        call.answerer = answerer;
    });
    ticket.begins();
    if bad_header {
        return by_hand(hub, ticket, &head, source).await;
    }
    let length = source.length().filter(|_| !shape.lies);
    shape.framing = Framing::of(asked.version, &head.headers, length);
    let shape = shaped.then(|| Box::new(shape));
    Ok(Response::from_parts(head, ReplyBody::new(Arc::clone(hub), source, shape, ticket)))
}

fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn altered(answerer: Answerer) -> Answerer {
    if answerer == Answerer::Service { Answerer::Altered } else { answerer }
}

fn jittered(base: Duration, jitter: Duration, dice: &mut Dice) -> Duration {
    if jitter.is_zero() {
        return base;
    }
    let shift = jitter.mul_f64(dice.unit() * 2.0);
    (base + shift).saturating_sub(jitter)
}

/// A body of the promised length, and bytes after it that nobody promised.
fn with_surplus(
    hub: &Arc<Hub>,
    ticket: Ticket,
    head: hyper::http::response::Parts,
    promised: Bytes,
    surplus: Bytes,
) -> Reply {
    ticket.note(|call| {
        call.status = Some(head.status.as_u16());
        call.answerer = Answerer::Altered;
    });
    ticket.begins();
    let then = Then::End(Ending::Close);
    hub.take_over(Takeover { raw: surplus, then, by: Side::Proxy, arming: None });
    Response::from_parts(head, ReplyBody::new(Arc::clone(hub), Source::Whole(promised), None, ticket))
}

/// Writes an answer with a line that is no header, which the HTTP layer would refuse to do.
async fn by_hand(
    hub: &Arc<Hub>,
    mut ticket: Ticket,
    head: &hyper::http::response::Parts,
    source: Source,
) -> Result<Reply, BodyError> {
    let body = match source.collect().await {
        Ok(Ok(held)) => held.bytes,
        Ok(Err(_)) => Bytes::new(),
        Err(error) => return lost(hub, ticket, error).await,
    };
    let mut raw = status_line(head.status);
    raw.extend_from_slice(b"this line is no header\r\n");
    for (name, value) in &head.headers {
        if *name != header::CONTENT_LENGTH && *name != header::TRANSFER_ENCODING {
            header_line(&mut raw, name, value);
        }
    }
    raw.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    raw.extend_from_slice(&body);
    ticket.finish();
    broken(hub, ticket, Takeover { raw: Bytes::from(raw), ..ended_by_fault(Ending::Close) }).await
}

/// The request ends without an answer: on HTTP/1 with its connection, on HTTP/2 with its stream.
async fn broken(hub: &Hub, mut ticket: Ticket, takeover: Takeover) -> Result<Reply, BodyError> {
    if hub.speaks == Speaks::Two {
        ticket.fail(takeover.by);
        return Err(BodyError::Fault);
    }
    hub.take_over(takeover);
    std::future::pending::<()>().await;
    drop(ticket);
    Err(BodyError::Fault)
}

/// The dependency ended without an answer, and so does the request.
async fn lost(hub: &Hub, mut ticket: Ticket, error: hyper::Error) -> Result<Reply, BodyError> {
    if hub.speaks == Speaks::Two {
        ticket.fail(Side::Upstream);
        return Err(BodyError::Upstream(error));
    }
    let then = Then::End(hub.fate.ending());
    broken(hub, ticket, Takeover { raw: Bytes::new(), then, by: Side::Upstream, arming: None }).await
}
