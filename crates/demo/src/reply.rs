//! Answers of the services, with the headers that say how fresh they are.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AGE, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer: small, whole, in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Says that an answer is not from its source: `stale` or `default`.
pub(crate) const X_SERVED: HeaderName = HeaderName::from_static("x-served");

/// The most bytes that a service reads of a request.
const BODY_LIMIT: usize = 64 * 1024;

/// A JSON answer.
pub(crate) fn json_reply(status: StatusCode, body: &Value) -> Reply {
    raw_reply(status, Bytes::from(body.to_string()))
}

/// An answer whose body is JSON text already.
pub(crate) fn raw_reply(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// An answer of an error, in words.
pub(crate) fn problem(status: StatusCode, why: &str) -> Reply {
    json_reply(status, &json!({ "error": why }))
}

/// 503, with the time after which it is worth while to ask again. RFC 9110 counts in whole seconds; rounded up.
pub(crate) fn unavailable(why: &str, retry_after: Duration) -> Reply {
    let mut reply = problem(StatusCode::SERVICE_UNAVAILABLE, why);
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    reply
}

/// Marks an answer as an older one (RFC 9111 `Age`, whole seconds).
pub(crate) fn stale(mut reply: Reply, age: Duration) -> Reply {
    reply.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    reply.headers_mut().insert(X_SERVED, HeaderValue::from_static("stale"));
    reply
}

/// Marks an answer as a stand-in.
pub(crate) fn stand_in(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(X_SERVED, HeaderValue::from_static("default"));
    reply
}

/// Reads a JSON body. The error is the answer to give.
pub(crate) async fn json_body(body: Incoming) -> Result<Value, Reply> {
    let bytes = whole_body(body).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|e| problem(StatusCode::BAD_REQUEST, &format!("the body is no JSON: {e}")))
}

/// Reads a body to its end. The error is the answer to give.
pub(crate) async fn whole_body(body: Incoming) -> Result<Bytes, Reply> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(_) => Err(problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body broke off, or is longer than {BODY_LIMIT} bytes"),
        )),
    }
}
