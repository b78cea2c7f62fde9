//! What to change where a pattern is missing, or is not as it was asserted. The reason of such a row is its mechanism; the change has
//! numbers of the same run wherever it has any that bear on it.

mod breaker;

use murphy_core::{Rule, Span};

pub(super) use breaker::{breaker_after, opens_late, tries_too_often};

use super::edge_facts::EdgeFacts;
use super::{Told, asked, of};
use crate::judgement::{Cause, Detector, Finding, Row, RowKind};
use crate::phase::RunView;
use crate::words::{self, micros, span};

pub(super) const AGAINST_METASTABILITY: &str = "a retry budget of 10% or a breaker in the caller, and in the service a short queue that refuses what is \
                                                beyond it";

/// The cause and the change of a row; `None` where its kind has mechanisms to be looked for.
pub(super) fn told(
    run: &RunView<'_>,
    row: &Row,
    findings: &[Finding],
    edge: Option<&EdgeFacts<'_>>,
) -> Option<Told> {
    let facts = Facts { run, row, findings };
    let (cause, change) = match row.kind {
        RowKind::BackOff => (Cause::NoBackOff, facts.growing_waits(edge)),
        RowKind::Jitter => (Cause::NoBackOff, facts.drawn_waits()),
        RowKind::Reconnect => (Cause::Herd, facts.spread()),
        RowKind::Leak => (Cause::Leak, facts.closed()),
        RowKind::Failover => (Cause::NoFailover, taken_out(edge)),
        RowKind::Shedding => (Cause::NoShedding, facts.limit_on_requests()),
        RowKind::Capacity => (Cause::TooMany, facts.more_of_it()),
        RowKind::Metastability => (Cause::Metastable, AGAINST_METASTABILITY.to_owned()),
        RowKind::Lost => (
            Cause::LostWrites,
            "acknowledge a write only when it is on disk, or at a second instance: sync before the answer, not after it"
                .to_owned(),
        ),
        RowKind::Duplicates => (
            Cause::DoneTwice,
            "keep the id of each write and make it unique, so that a second try finds that the first was carried out"
                .to_owned(),
        ),
        RowKind::DeadLetters => (Cause::GivenUp, facts.delivered_for_longer()),
        RowKind::Staleness => (Cause::DegradedAnswers, facts.not_so_old()),
        RowKind::StartUp => (Cause::NeededToStart, facts.started_without()),
        RowKind::Closes => (Cause::SlowRecovery, facts.shorter_window()),
        RowKind::Follows => (Cause::HealthCheck, facts.asked_in_time()),
        _ => return None,
    };
    Some(Told::new(cause, row.reason.clone(), change))
}

/// So many failures in a row are enough for most libraries to open a breaker, or to take an instance out.
const IN_A_ROW: u64 = 5;

fn taken_out(edge: Option<&EdgeFacts<'_>>) -> String {
    let (after, failed) = match edge.map_or(0, |edge| edge.failed) {
        failed if failed > IN_A_ROW => (IN_A_ROW.to_string(), format!(": {failed} calls failed on it")),
        _ => ("a few".to_owned(), String::new()),
    };
    format!(
        "take an instance out for some seconds after {after} failures in a row, and let one call try it then{failed}"
    )
}

/// What bears on one row.
struct Facts<'a> {
    run: &'a RunView<'a>,
    row: &'a Row,
    findings: &'a [Finding],
}

impl Facts<'_> {
    /// What a detector measured of what the row is about.
    fn value(&self, detector: Detector, param: &str) -> Option<f64> {
        of(self.findings, detector, &self.row.subject)?.param(param)?.value
    }

    /// The first wait between tries, in microseconds, if the caller waits at all.
    fn first_wait(&self) -> Option<f64> {
        self.value(Detector::BackOff, "first").map(|seconds| seconds * 1e6)
    }

    fn growing_waits(&self, edge: Option<&EdgeFacts<'_>>) -> String {
        // Whoever tries again at once has no wait to begin with: a dependency wants as long as a call takes.
        let usual = edge.map_or(0.0, |edge| edge.usual);
        let first = self.first_wait().map_or(usual, |first| first.max(usual));
        let from = if first > 0.0 {
            format!(" ({}, {}, {})", micros(first), micros(first * 2.0), micros(first * 4.0))
        } else {
            String::new()
        };
        format!("double the wait with each try{from}, up to a cap, and draw it at random")
    }

    fn drawn_waits(&self) -> String {
        let first = self
            .first_wait()
            .map_or_else(String::new, |first| format!(" (the first up to {})", micros(first)));
        format!(
            "draw each wait between zero and its bound{first}, so that callers that failed together do not come back together"
        )
    }

    fn spread(&self) -> String {
        let spread = self.value(Detector::Reconnect, "opened").map_or_else(String::new, |opened| {
            let each = (opened / SPREAD.as_secs_f64()).ceil();
            format!(": over {}, {opened:.0} of them are {each:.0} a second", span(SPREAD))
        });
        format!("wait a random time before connecting anew, growing with each try{spread}")
    }

    fn closed(&self) -> String {
        let each = of(self.findings, Detector::Leak, &self.row.subject)
            .and_then(|finding| finding.param("each"))
            .map_or_else(String::new, |each| format!(": {} stay open for each fault", each.text));
        format!("close the connection of a call that is given up{each}")
    }

    fn limit_on_requests(&self) -> String {
        let limit = self.value(Detector::Shedding, "usual").filter(|usual| *usual > 0.0).map_or_else(
            || "a limit on requests in flight".to_owned(),
            |usual| {
                format!("a limit of {:.0} requests in flight ({usual:.0} in health, at most)", usual * 2.0)
            },
        );
        format!("{limit}, and a 503 with Retry-After at once for what is beyond it")
    }

    fn more_of_it(&self) -> String {
        let has = self.value(Detector::Capacity, "capacity").filter(|has| *has > 0.0);
        let times = match (asked(self.run, self.row), has) {
            (Some(Rule::Capacity { at_least }), Some(has)) if at_least.as_per_second() > has => {
                format!(
                    " ({} times what serves {})",
                    words::ratio(at_least.as_per_second() / has),
                    words::rate(has)
                )
            }
            _ => String::new(),
        };
        format!(
            "more instances or more processors for the service{times}, a larger pool where that is the limit, or less work a request"
        )
    }

    fn delivered_for_longer(&self) -> String {
        let away = self.run.during.iter().map(|part| part.length()).max().unwrap_or(0);
        let away = if away > 0 { format!(" ({} here)", micros(away as f64)) } else { String::new() };
        format!(
            "deliver a message again for longer than its dependency may be away{away}, with waits that grow, and put aside at once only \
             what can never be done"
        )
    }

    fn not_so_old(&self) -> String {
        let end = match asked(self.run, self.row) {
            Some(Rule::Staleness { at_most }) => format!(": {}", span(*at_most)),
            _ => String::new(),
        };
        let oldest = self
            .value(Detector::Fallback, "oldest")
            .map_or_else(String::new, |oldest| format!(" (the oldest was {})", micros(oldest * 1e6)));
        format!("an end to the age at which an old answer is still served{end}{oldest}")
    }

    fn started_without(&self) -> String {
        let within = match asked(self.run, self.row) {
            Some(Rule::StartUp { at_most }) => format!(" within {}", span(*at_most)),
            _ => String::new(),
        };
        format!(
            "start without it, answer what can be answered{within}, and connect in the background until it is there"
        )
    }

    fn asked_in_time(&self) -> String {
        let within = match asked(self.run, self.row) {
            Some(Rule::Follows { at_most }) => {
                format!(", and remember its answer for no longer than {}", span(*at_most))
            }
            _ => String::new(),
        };
        let lag = self
            .value(Detector::Health, "lag")
            .map_or_else(String::new, |lag| format!(" (it was bad after {})", micros(lag * 1e6)));
        format!("let readiness ask the breaker of a dependency that is needed{within}{lag}")
    }
}

/// Over so long whoever connects anew is looked at.
const SPREAD: Span = Span::from_secs(10);

#[cfg(test)]
mod tests {
    use murphy_core::{Answer, Chance, Event, EventKind, Frequency, Served, Subject, SuccessRule};
    use murphy_testkit::golden::{Break, Caller, Golden};

    use crate::judge::judge;
    use crate::judgement::{Reading, State};
    use crate::reader::Reader;

    use super::*;

    pub(super) fn edge() -> Subject {
        Subject::Edge(Golden::edge())
    }

    fn users() -> Subject {
        Subject::Load(Golden::load())
    }

    /// The change that is proposed for what is asserted, and fails.
    pub(super) fn change(golden: Golden, subject: Subject, rule: Rule) -> String {
        change_in(&golden.expect("asked", subject, rule, "as written").journal())
    }

    fn change_in(journal: &[Event]) -> String {
        let judgement = judge(journal);
        let row = judgement.row("asked").expect("a row for what was asked");
        assert_eq!(row.answer, Answer::Fail, "{row:?}");
        judgement.why.iter().find(|why| why.row == "asked").expect("a cause").change.clone()
    }

    /// A caller whose requests are alone, so that its waits can be told.
    fn slowly(back_off: u64) -> Golden {
        let timeout = Some(Span::from_millis(250));
        let caller =
            Caller { attempts: 4, back_off: Span::from_millis(back_off), timeout, ..Caller::careless() };
        let mut golden = Golden { rate: 0.3, ..Golden::new("why", caller, Break::Reset) };
        golden.phases.baseline = Span::from_secs(300);
        golden.phases.fault = Span::from_secs(240);
        golden
    }

    #[test]
    fn waits_are_proposed_from_the_first_that_was_seen() {
        let grows = change(slowly(100), edge(), Rule::BackOffGrows);
        assert!(grows.starts_with("double the wait with each try (10"), "{grows}");
        assert!(grows.contains("ms, 20") && grows.contains("ms, 40"), "{grows}");
        let drawn = change(slowly(100), edge(), Rule::Jitter);
        assert!(drawn.contains("(the first up to 10"), "{drawn}");
    }

    #[test]
    fn who_does_not_wait_is_told_to_begin_with_what_a_call_takes() {
        let grows = change(slowly(0), edge(), Rule::BackOffGrows);
        // Calls take a few milliseconds in health.
        let first = grows.split(['(', ',']).nth(1).and_then(|wait| wait.strip_suffix("ms")).expect("a wait");
        assert!(first.parse::<f64>().is_ok_and(|first| (2.0..=20.0).contains(&first)), "{grows}");
    }

    #[test]
    fn an_answer_that_was_last_known_is_as_old_as_the_fault_is_long() {
        let rule = || {
            let least = Chance::from_fraction(0.99).expect("a share");
            Rule::Success { rule: SuccessRule::AtLeast(least), may: Vec::new() }
        };
        let passed_on = change(Golden::new("why", Caller::careless(), Break::Reset), users(), rule());
        assert!(
            passed_on.starts_with("answer from a last known value (20s old at most) or a default"),
            "{passed_on}"
        );
        let caller = Caller { stale: false, attempts: 1, breaker: None, ..Caller::careful() };
        let given_up = change(Golden::new("why", caller, Break::Hang), users(), rule());
        assert!(
            given_up.starts_with("answer from a last known value (20s old at most) or a default"),
            "{given_up}"
        );
    }

    #[test]
    fn a_limit_on_requests_is_twice_what_there_are_in_health() {
        let told = change(Golden::new("why", Caller::careless(), Break::Hang), users(), Rule::Sheds);
        let numbers: Vec<u64> = told.split(['(', ' ']).filter_map(|word| word.parse().ok()).collect();
        let [limit, usual, 503] = numbers[..] else { panic!("{told}") };
        assert!(usual > 0 && limit == 2 * usual, "{told}");
    }

    #[test]
    fn an_age_that_is_too_high_is_held_against_its_bound() {
        let at_most = Span::from_secs(3);
        let golden = Golden::new("why", Caller::careful(), Break::Reset);
        let mut journal = golden.expect("asked", users(), Rule::Staleness { at_most }, "<= 3s").journal();
        for event in &mut journal {
            if let EventKind::Sample(sample) = &mut event.kind
                && sample.served == Served::Stale
            {
                sample.age = Some(Span::from_secs(12));
            }
        }
        let told = change_in(&journal);
        assert!(told.contains("is still served: 3s (the oldest was 12s)"), "{told}");
    }

    #[test]
    fn what_more_a_service_would_need_is_a_ratio_of_what_it_was_asked_and_what_it_has() {
        let has = Reading { value: Some(50.0), ..Reading::rate_at_least(50.0, 100) };
        let params = std::iter::once(("capacity".to_owned(), has)).collect();
        let state = State::Present { params };
        let finding = Finding { detector: Detector::Capacity, subject: users(), state, text: String::new() };
        let rule = Rule::Capacity { at_least: Frequency::per_second(100.0).expect("a rate") };
        let golden = Golden::new("why", Caller::careful(), Break::Nothing);
        let journal = golden.expect("asked", users(), rule, "as written").journal();
        let row = judge(&journal).row("asked").expect("asserted").clone();
        let mut reader = Reader::default();
        journal.iter().for_each(|event| reader.take(event));
        let run = reader.finish();
        let findings = [finding];
        let told = told(&run, &row, &findings, None).expect("a change");
        assert!(told.change.contains("(2.00 times what serves 50/s)"), "{}", told.change);
    }

    #[test]
    fn what_does_not_follow_in_time_is_told_by_when() {
        let at_most = Span::from_secs(3);
        let golden = Golden::new("why", Caller::careful(), Break::Reset);
        let told = change(golden, Subject::Probe(Golden::probe()), Rule::Follows { at_most });
        assert!(told.contains("remember its answer for no longer than 3s"), "{told}");
    }
}
