//! What is told of a judgement in every form of it: the verdict in words, the facts that are worth a line, each cause
//! once, and the faults. So no form tells another thing than the others. It must never judge, nor know how a form looks.

use murphy_core::{Answer, Subject, Verdict};
use murphy_verdict::{Cause, Detector, Finding, Judgement, RowKind, State, Why};

/// `NOT GRACEFUL (1 of 6)`
pub(crate) fn verdict_words(judgement: &Judgement) -> String {
    let count = judgement.count;
    match judgement.verdict {
        Verdict::NotGraceful => format!("{} ({} of {})", judgement.verdict, count.failed, count.rows),
        Verdict::Inconclusive if count.inconclusive > 0 => {
            format!("{} ({} of {})", judgement.verdict, count.inconclusive, count.rows)
        }
        Verdict::Graceful if count.rows == 0 => format!("{} (nothing asserted)", judgement.verdict),
        Verdict::Graceful | Verdict::Inconclusive => judgement.verdict.to_string(),
    }
}

/// Facts that are worth a line: of sick edges and of loads, unless a row tells the same.
pub(crate) fn shown(judgement: &Judgement) -> impl Iterator<Item = &Finding> {
    judgement.findings.iter().filter(|finding| {
        let decided = matches!(finding.state, State::Present { .. } | State::Absent { .. });
        // Who asked to learn all is told all.
        let worth = !judgement.learned.is_empty() && decided
            || matches!(
                (&finding.state, finding.detector),
                (State::Present { .. }, _)
                    | (
                        State::Absent { .. },
                        Detector::Timeout
                            | Detector::Breaker
                            | Detector::FailFast
                            | Detector::Failover
                            | Detector::Isolation
                            | Detector::Capacity
                            | Detector::Dependency
                            | Detector::StartUp
                            | Detector::Lost
                            | Detector::Duplicates
                    )
            )
            || finding.keeps_failing() && matches!(finding.state, State::Absent { .. });
        let kind = match finding.detector {
            Detector::Timeout => Some(RowKind::Timeout),
            Detector::Attempts => Some(RowKind::Attempts),
            Detector::Amplification => Some(RowKind::Amplification),
            Detector::Breaker => Some(RowKind::Breaker),
            Detector::Recovery => Some(RowKind::Recovery),
            Detector::Isolation => Some(RowKind::Isolation),
            Detector::Health => Some(RowKind::Always),
            Detector::BackOff => Some(RowKind::BackOff),
            Detector::Jitter => Some(RowKind::Jitter),
            Detector::Reconnect => Some(RowKind::Reconnect),
            Detector::Leak => Some(RowKind::Leak),
            Detector::Failover => Some(RowKind::Failover),
            Detector::FailFast => Some(RowKind::FailFast),
            Detector::Shedding => Some(RowKind::Shedding),
            Detector::Capacity => Some(RowKind::Capacity),
            Detector::Dependency => Some(RowKind::Dependency),
            Detector::StartUp => Some(RowKind::StartUp),
            Detector::Lost => Some(RowKind::Lost),
            Detector::Duplicates => Some(RowKind::Duplicates),
            Detector::Metastability => Some(RowKind::Metastability),
            Detector::Pool => Some(RowKind::Pool),
            Detector::Fallback => None,
        };
        let told = kind.is_some_and(|kind| {
            judgement.rows.iter().any(|row| {
                // The recovery of a run is that of its slowest load.
                let same = row.subject == finding.subject || row.subject == Subject::Run;
                row.kind == kind && same && row.answer != Answer::Inconclusive
            })
        });
        // What held the users is told as such.
        let held = judgement.saved_by.iter().any(|saved| saved.ends_with(&finding.text));
        // Who gets an answer soon is seen in the rows on users; who waits for none is news.
        let soon = finding.detector == Detector::FailFast && finding.is_present();
        worth && !told && !held && (!soon || !judgement.learned.is_empty())
    })
}

pub(crate) fn fact_label(finding: &Finding) -> String {
    let name = match &finding.subject {
        Subject::Load(name) => name.as_str(),
        Subject::Probe(name) => name.as_str(),
        Subject::Edge(name) => name.as_str(),
        Subject::Run => "run",
    };
    format!("{name} {}", finding.detector.name())
}

/// Failures of one cause are told once: by the one that names a limit to be met, else by the first.
pub(crate) fn causes(judgement: &Judgement) -> Vec<(Vec<&str>, &Why)> {
    let mut groups: Vec<(Vec<&str>, &Why)> = Vec::new();
    for why in &judgement.why {
        match groups.iter_mut().find(|(_, told)| told.cause == why.cause && why.cause != Cause::Unknown) {
            Some((labels, told)) => {
                labels.push(&why.label);
                if why.change.starts_with("to meet") && !told.change.starts_with("to meet") {
                    *told = why;
                }
            }
            None => groups.push((vec![&why.label], why)),
        }
    }
    groups
}

/// `latency 800ms on web → redis, 30s`
pub(crate) fn faults(judgement: &Judgement) -> String {
    let all: Vec<String> = judgement
        .faults
        .iter()
        .map(|fault| {
            let what = format!("{} on {}", fault.text, fault.on);
            match &fault.trigger {
                Some(trigger) => format!("{what}, up to {}, {trigger}", fault.lasts),
                None => format!("{what}, {}", fault.lasts),
            }
        })
        .collect();
    all.join("; ")
}
