//! `abort`: an error in the place of an answer: a status with headers and a body, a gRPC status, or a broken connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::http::{HeaderValue, StatusCode, header};
use murphy_core::Span;
use murphy_proxy::http::{Answer, HttpEffect, HttpStep, When};
use murphy_proxy::{EdgeEffect, Ending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grpc::GrpcStatus;
use super::reply;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// When a request is answered in the service's stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The service never learns of the request.
    #[default]
    BeforeUpstream,
    /// The service does its work, and only its answer is lost.
    AfterUpstream,
}

impl Moment {
    pub(super) fn when(self) -> When {
        match self {
            Moment::BeforeUpstream => When::BeforeUpstream,
            Moment::AfterUpstream => When::AfterUpstream,
        }
    }

    pub(super) fn suffix(self) -> &'static str {
        match self {
            Moment::BeforeUpstream => "",
            Moment::AfterUpstream => " after the service has answered",
        }
    }
}

/// What comes in the place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AbortWith {
    /// An answer with a status.
    #[default]
    Status,
    /// A RST; on HTTP/2 the stream is reset.
    Reset,
    /// The connection closes; on HTTP/2 the stream is reset.
    Close,
}

/// Answers with an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Abort {
    /// The status.
    #[serde(default = "unavailable")]
    pub status: u16,
    /// Headers of the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body; a line that says it was injected if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// When it is worth while to ask again, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// The status of a gRPC call, as `UNAVAILABLE`. The HTTP status is then 200, as gRPC has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<GrpcStatus>,
    /// What comes in the place of an answer.
    #[serde(default)]
    pub with: AbortWith,
    /// Whether the service learns of the request.
    #[serde(default)]
    pub when: Moment,
}

fn unavailable() -> u16 {
    503
}

impl Default for Abort {
    fn default() -> Abort {
        Abort {
            status: unavailable(),
            headers: BTreeMap::new(),
            body: None,
            retry_after: None,
            grpc_status: None,
            with: AbortWith::default(),
            when: Moment::default(),
        }
    }
}

impl Abort {
    fn answer(&self) -> Answer {
        let status = reply::status(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let Some(grpc) = self.grpc_status else {
            return reply::answer(status, &self.headers, self.retry_after, self.body.as_deref());
        };
        // A call that ends before any message: the status stands among the headers ("Trailers-Only").
        let mut answer = reply::answer(StatusCode::OK, &self.headers, self.retry_after, Some(""));
        answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        answer.headers.insert("grpc-status", HeaderValue::from(grpc.code()));
        let message = self.body.as_deref().unwrap_or("injected by murphy");
        if let Ok(message) = HeaderValue::from_str(message) {
            answer.headers.insert("grpc-message", message);
        }
        answer
    }
}

impl FaultSpec for Abort {
    const NAME: &'static str = "abort";
    const ABOUT: &'static str =
        "Requests are answered with an error in the service's stead, or their connection breaks.";
    const EXAMPLE: &'static str = "{ abort: { status: 503, retry-after: 2s } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("status");

    fn text(&self) -> String {
        let what = match (self.with, self.grpc_status) {
            (AbortWith::Reset, _) => "reset".to_owned(),
            (AbortWith::Close, _) => "close".to_owned(),
            (AbortWith::Status, Some(grpc)) => grpc.to_string(),
            (AbortWith::Status, None) => self.status.to_string(),
        };
        let retry = self.retry_after.map(|after| format!(", Retry-After {after}")).unwrap_or_default();
        format!("abort {what}{retry}{}", self.when.suffix())
    }

    fn check(&self, problems: &mut Problems) {
        reply::check_status(self.status, problems);
        reply::check_headers("headers", &self.headers, problems);
        reply::check_retry_after(self.retry_after, problems);
        if self.with != AbortWith::Status
            && (self.retry_after.is_some() || self.body.is_some() || self.grpc_status.is_some())
        {
            problems.field(
                "with",
                "a broken connection has no headers and no body",
                "remove `with`, or `retry-after`, `body` and `grpc-status`",
            );
        }
        if let Some(body) = &self.body
            && self.grpc_status.is_some()
            && HeaderValue::from_str(body).is_err()
        {
            problems.field("body", "the message of a gRPC status stands in a header", "write it in one line");
        }
    }

    fn effect(&self) -> Effect {
        let when = self.when.when();
        let step = match self.with {
            AbortWith::Status => HttpStep::Answer { when, answer: Arc::new(self.answer()) },
            AbortWith::Reset => HttpStep::Break { when, how: Ending::Reset },
            AbortWith::Close => HttpStep::Break { when, how: Ending::Close },
        };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abort(yaml: &str) -> Abort {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_made_up_answer_says_what_was_asked_for() {
        let answer = abort("{ status: 429, retry-after: 2s, body: '{\"a\":1}' }").answer();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (429, &b"{\"a\":1}"[..]));
        assert_eq!(answer.headers["retry-after"], "2");
        assert_eq!(answer.headers["content-type"], "application/json");
        let answer = abort("{ grpc-status: UNAVAILABLE }").answer();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.headers["grpc-status"], "14");
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }

    #[test]
    fn what_cannot_be_sent_is_reported_at_its_field() {
        let bad = abort(
            "{ status: 99, retry-after: 1500ms, headers: { 'a b': x, content-length: '3', c: \"a\\nb\" } }",
        );
        let mut problems = Problems::new();
        bad.check(&mut problems);
        let fields: Vec<_> = problems.iter().filter_map(|problem| problem.field).collect();
        assert_eq!(fields, ["status", "headers", "headers", "headers", "retry-after"]);
        let _ = bad.effect();
    }
}
