//! One request of an HTTP edge with its answer, as the caller met it. What a fault made of it is kept apart from what
//! the service itself said, so that an injected answer is never counted as the service's own.

use serde::{Deserialize, Serialize};

use crate::{ConnId, EdgeName, ExchangeEnd, FaultId, Offset, Side};

/// Whose answer the caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answerer {
    /// Nobody's: none came.
    #[default]
    Nobody,
    /// The service's own, as it said it.
    Service,
    /// The service's, changed by a fault.
    Altered,
    /// Murphy's, because of a fault.
    Murphy,
}

/// What tells that requests are tries of one and the same call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOf {
    /// They carry this idempotency key, so that the service can tell too.
    Key(String),
    /// They belong to this W3C trace.
    Trace(String),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpCall {
    /// On which edge.
    pub edge: EdgeName,
    /// On which connection.
    pub conn: ConnId,
    /// `GET`, `POST` …
    pub method: String,
    /// The path without its query, cut if it is very long.
    pub route: String,
    /// When the first byte of the request reached the proxy.
    pub began: Offset,
    /// When the first byte of the answer was delivered to the caller, after any injected delay.
    pub answered: Option<Offset>,
    /// When it was over: the last byte of the answer delivered, or given up, or failed.
    pub ended: Offset,
    /// How.
    pub end: ExchangeEnd,
    /// Who broke it off; `None` if it came to its end. With `ended - began`, the age of a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Side>,
    /// The status that the caller got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status that the service itself answered with, be it delivered or not. `None` if it was not asked, or said
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_status: Option<u16>,
    /// Whose answer the caller got.
    pub answerer: Answerer,
    /// True if the request was passed on to the service.
    pub reached: bool,
    /// The faults that were chosen for this request, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultId>,
    /// True if any fault touched it, on the request or on its bytes.
    pub touched: bool,
    /// The idempotency key, else the trace of a `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_of: Option<AttemptOf>,
}

impl HttpCall {
    /// True if the caller got the service's own answer, of use to it: it came whole, it is no server error and no "too many
    /// requests", no fault broke it, and none was put in its place. Its status tells nothing of the last: an injected error may be a
    /// 404, or one of gRPC, which comes with 200.
    pub fn is_good(&self) -> bool {
        let refused = self.status.is_some_and(|status| status >= 500 || status == 429);
        let own = match self.answerer {
            Answerer::Service | Answerer::Nobody => true,
            Answerer::Altered | Answerer::Murphy => false,
        };
        self.end == ExchangeEnd::Answered && !refused && own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_own_answer_is_good_and_only_if_it_is_no_error() {
        let good = |status: u16, answerer: Answerer| {
            let call = HttpCall {
                edge: EdgeName::new("orders").unwrap(),
                conn: ConnId(1),
                method: "GET".to_owned(),
                route: "/".to_owned(),
                began: Offset::ZERO,
                answered: Some(Offset::ZERO),
                ended: Offset::ZERO,
                end: ExchangeEnd::Answered,
                by: None,
                status: Some(status),
                service_status: None,
                answerer,
                reached: false,
                faults: Vec::new(),
                touched: false,
                attempt_of: None,
            };
            let cut = HttpCall { end: ExchangeEnd::Cut, ..call.clone() };
            assert!(!cut.is_good());
            call.is_good()
        };
        assert!(good(200, Answerer::Service) && good(404, Answerer::Service));
        assert!(!good(429, Answerer::Service) && !good(503, Answerer::Service));
        // With 200 come the errors of gRPC.
        for status in [200, 404, 503] {
            assert!(!good(status, Answerer::Murphy), "{status}");
            assert!(!good(status, Answerer::Altered), "{status}");
        }
    }
}
