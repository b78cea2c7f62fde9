//! Of what use an answer was to the caller who got it. One that Murphy made up is never the callee's own, and so never good; nor does
//! it show that a caller lacks something where no caller need take it for a failure, as a made-up 404.

use murphy_core::{Answerer, FaultBrief, HttpCall};

/// gRPC statuses that say that the callee could not, as 429 and 5xx of HTTP do. The others speak of what was asked.
const GRPC_FAILURES: [&str; 7] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Of what use an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerWorth {
    /// The callee's own, and no error.
    Good,
    /// An error of the callee, or one that a fault put in its place, or an answer that a fault broke.
    Bad,
    /// Murphy's, and not by its status a failure.
    MadeUp,
}

impl AnswerWorth {
    pub fn of(call: &HttpCall) -> Option<AnswerWorth> {
        let bad = is_error(call.status?) || call.answerer == Answerer::Altered;
        Some(match call.answerer {
            _ if bad => AnswerWorth::Bad,
            Answerer::Murphy => AnswerWorth::MadeUp,
            Answerer::Service | Answerer::Altered | Answerer::Nobody => AnswerWorth::Good,
        })
    }
}

fn is_error(status: u16) -> bool {
    status >= 500 || status == 429
}

/// The faults that answer in the callee's stead. The others change what it answered, or end the connection.
const ANSWERING: [&str; 2] = ["abort", "rate-limit"];

/// True if an `abort` is among these faults, and whatever they answer in the callee's stead is a failure, also where its HTTP status
/// does not say so: that of a gRPC error is 200. A `rate-limit` alone answers with nothing that its status does not say.
pub(crate) fn all_are_failures(faults: &[&FaultBrief]) -> bool {
    let mut answering = faults.iter().filter(|fault| ANSWERING.contains(&fault.name.as_str()));
    faults.iter().any(|fault| fault.name == "abort") && answering.all(|fault| is_failure(fault))
}

fn is_failure(fault: &FaultBrief) -> bool {
    let setting = |name: &str| fault.settings.get(name).map(String::as_str);
    match setting("grpc-status") {
        Some(grpc) => GRPC_FAILURES.contains(&grpc),
        None => setting("status").and_then(|status| status.parse().ok()).is_some_and(is_error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{ConnId, EdgeName, ExchangeEnd, Offset, Span};

    fn worth(status: u16, answerer: Answerer) -> Option<AnswerWorth> {
        AnswerWorth::of(&HttpCall {
            edge: EdgeName::new("cart").unwrap(),
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
            touched: true,
            attempt_of: None,
        })
    }

    #[test]
    fn what_murphy_answers_is_never_good_and_what_the_callee_answers_is_unless_it_is_an_error() {
        for (status, own, made_up) in [
            (200, AnswerWorth::Good, AnswerWorth::MadeUp),
            (404, AnswerWorth::Good, AnswerWorth::MadeUp),
            (429, AnswerWorth::Bad, AnswerWorth::Bad),
            (503, AnswerWorth::Bad, AnswerWorth::Bad),
        ] {
            assert_eq!(worth(status, Answerer::Service), Some(own), "{status}");
            assert_eq!(worth(status, Answerer::Murphy), Some(made_up), "{status}");
            assert_eq!(worth(status, Answerer::Altered), Some(AnswerWorth::Bad), "{status}");
        }
    }

    #[test]
    fn a_made_up_answer_is_a_failure_by_its_grpc_status_else_by_that_of_http() {
        let abort = |settings: &[(&str, &str)]| FaultBrief {
            id: "abort-1".parse().unwrap(),
            name: "abort".to_owned(),
            text: "abort".to_owned(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            edge: None,
            on: "web → cart".to_owned(),
            trigger: None,
            at: Span::ZERO,
            lasts: Span::ZERO,
        };
        let unavailable = abort(&[("status", "503"), ("grpc-status", "UNAVAILABLE")]);
        let not_found = abort(&[("status", "503"), ("grpc-status", "NOT_FOUND")]);
        let missing = abort(&[("status", "404")]);
        let busy = abort(&[("status", "429")]);
        assert!(all_are_failures(&[&unavailable]) && all_are_failures(&[&busy, &unavailable]));
        assert!(!all_are_failures(&[&not_found]) && !all_are_failures(&[&missing]));
        assert!(!all_are_failures(&[&unavailable, &missing]), "it is not told which of them answered");
        let rate_limit =
            |status: &str| FaultBrief { name: "rate-limit".to_owned(), ..abort(&[("status", status)]) };
        let (forbidden, too_many) = (rate_limit("403"), rate_limit("429"));
        assert!(!all_are_failures(&[&busy, &forbidden]) && !all_are_failures(&[&forbidden, &unavailable]));
        assert!(all_are_failures(&[&too_many, &unavailable]) && !all_are_failures(&[&too_many, &missing]));
        assert!(!all_are_failures(&[&too_many]), "its status says it");
        let delay = FaultBrief { name: "delay".to_owned(), ..missing };
        assert!(!all_are_failures(&[&delay]) && all_are_failures(&[&delay, &busy]));
    }
}
