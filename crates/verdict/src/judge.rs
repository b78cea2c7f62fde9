//! From a journal to a judgement. The same bytes in give the same bytes out: no clock, no I/O, no draw that is not seeded.

use std::collections::BTreeMap;

use murphy_core::{Answer, Event, ExitCause, LoadName, RunBrief, Span, Subject, Verdict, plural};

use crate::answered::Answered;
use crate::detect::{self, Detectors};
use crate::gate::{self, end_of};
use crate::judgement::{
    Count, FaultFact, Finding, Gate, GateId, Judgement, Row, RowKind, RunEnd, RunFacts, State, Unknown,
};
use crate::phase::{Exit, RunView};
use crate::reader::Reader;
use crate::rows::{Case, Draft, row};
use crate::stats::holm;
use crate::traffic::Traffic;
use crate::why;
use crate::words;

/// A run that is being read: takes its events one by one, in order. Any list of events is accepted; what cannot be told is
/// said.
#[derive(Debug, Default)]
pub struct Hearing(Reader);

impl Hearing {
    /// Keeps of an event what judging needs.
    pub fn take(&mut self, event: &Event) {
        self.0.take(event);
    }

    /// Judges what was taken.
    pub fn judge(self) -> Judgement {
        self.judge_by(&Detectors::ALL)
    }

    fn judge_by(mut self, detectors: &Detectors<'_>) -> Judgement {
        judged(self.0.finish(), detectors)
    }

    /// Counts the answers of `load` during the fault; one that took longer than `within` is a bad one.
    pub fn answered(mut self, load: &LoadName, within: Option<Span>) -> Answered {
        Answered::of(&self.0.finish(), load, within)
    }

    /// Who called whom, and what came of it.
    pub fn traffic(mut self) -> Traffic {
        Traffic::of(&self.0.finish())
    }
}

/// Judges a run by its whole journal.
pub fn judge(events: &[Event]) -> Judgement {
    judge_by(events, &Detectors::ALL)
}

/// The same, by these detectors.
pub(crate) fn judge_by(events: &[Event], detectors: &Detectors<'_>) -> Judgement {
    let mut hearing = Hearing::default();
    for event in events {
        hearing.take(event);
    }
    hearing.judge_by(detectors)
}

fn judged(run: RunView<'_>, detectors: &Detectors<'_>) -> Judgement {
    let gates = gate::gates(&run);
    let findings = detect::all(&run, &gates, detectors);
    let mut rows = match run.brief {
        Some(brief) => asserted(&run, brief, &gates, &findings),
        None => Vec::new(),
    };
    rows.extend(crashes(&run));
    let why = why::why(&run, &rows, &findings);
    let saved_by = why::saved_by(&run, &rows, &findings);
    let verdict = verdict(&run, &gates, &rows);
    Judgement {
        format: Judgement::FORMAT,
        verdict,
        count: count(&rows),
        run: facts_of_run(&run),
        faults: faults(&run),
        unknown: unknown(&run, &gates, &rows, &findings),
        notes: notes(&run, &gates, &rows, verdict),
        learned: learned(&run, &gates, &findings),
        gates,
        rows,
        findings,
        why,
        saved_by,
        leftovers: run.leftovers,
    }
}

fn asserted(run: &RunView<'_>, brief: &RunBrief, gates: &[Gate], findings: &[Finding]) -> Vec<Row> {
    let case = Case { run, brief, gates, findings };
    let mut drafts: Vec<Draft> =
        case.brief.expectations.iter().map(|expectation| row(&case, expectation)).collect();
    among_many(&mut drafts);
    drafts
        .into_iter()
        .zip(&brief.expectations)
        .map(|(draft, expectation)| {
            let row = Row {
                id: expectation.id.clone(),
                subject: expectation.subject.clone(),
                kind: draft.kind,
                label: draft.label,
                baseline: draft.baseline,
                during: draft.during,
                after: draft.after,
                answer: draft.answer,
                want: expectation.text.clone(),
                rule: draft.rule,
                reason: draft.reason,
                settle: draft.settle,
                gates: Vec::new(),
            };
            partial(run, gated(run, gates, row))
        })
        .collect()
}

/// Of many true expectations one fails by chance now and then: a failure must stand Holm's adjustment at 5 %.
fn among_many(drafts: &mut [Draft]) {
    let chances: Vec<f64> = drafts.iter().filter_map(|draft| draft.p).collect();
    // Rows that passed take part in the count of questions, though they need no defence.
    let questions =
        drafts.iter().filter(|draft| matches!(draft.kind, RowKind::Success | RowKind::Latency)).count();
    let padded: Vec<f64> =
        chances.iter().copied().chain(std::iter::repeat(1.0)).take(questions.max(chances.len())).collect();
    let mut adjusted = holm(&padded).into_iter();
    for draft in drafts.iter_mut().filter(|draft| draft.p.is_some()) {
        let chance = adjusted.next().unwrap_or(1.0);
        if draft.answer == Answer::Fail && chance > 0.05 {
            draft.answer = Answer::Inconclusive;
            draft.reason =
                format!("fails alone, but not among {questions} expectations (Holm p {chance:.2})");
            draft.settle = Some("more requests during the fault".to_owned());
        }
    }
}

/// A gate that fails takes the answer back, and says what it would have been.
fn gated(run: &RunView<'_>, gates: &[Gate], mut row: Row) -> Row {
    if row.answer == Answer::Fail && row.kind.is_certain() {
        return row;
    }
    let failed: Vec<&Gate> = gates
        .iter()
        .filter(|gate| !gate.holds && gate.id.carries(row.kind))
        // Rows on latency have weighed a late sender already.
        .filter(|gate| gate.id != GateId::LoadOnTime)
        .filter(|gate| gate.id != GateId::ServicesUp || caller_died(run, &row.subject))
        .collect();
    let Some(first) = failed.first() else { return row };
    let would = match row.answer {
        Answer::Pass => " (else pass)",
        Answer::Fail => " (else FAIL)",
        Answer::Inconclusive => "",
    };
    row.reason = format!("{}{would}", first.id.complaint());
    row.settle = Some(first.mend.clone());
    row.gates = failed.iter().map(|gate| gate.id).collect();
    row.answer = Answer::Inconclusive;
    row
}

/// True if the caller on this edge ended by itself, or may have.
fn caller_died(run: &RunView<'_>, subject: &Subject) -> bool {
    let Subject::Edge(name) = subject else { return false };
    run.edges.iter().find(|edge| &edge.name == name).is_some_and(|edge| detect::caller_died(run, edge))
}

/// Of a run that ended early only a failure is certain.
fn partial(run: &RunView<'_>, mut row: Row) -> Row {
    if run.is_complete() || row.answer != Answer::Pass {
        return row;
    }
    row.reason = format!("{} (passed so far)", early(&run.end));
    row.settle = Some("a whole run".to_owned());
    row.answer = Answer::Inconclusive;
    row
}

fn early(end: &RunEnd) -> String {
    match end {
        RunEnd::Complete => "complete".to_owned(),
        RunEnd::Interrupted { signal } => format!("interrupted by {signal}"),
        RunEnd::Aborted { rule } => format!("stopped by `{rule}`"),
        RunEnd::Failed { why } => format!("not carried out: {why}"),
        RunEnd::Torn => "the journal stops in the middle".to_owned(),
    }
}

const CRASHED: &str =
    "a service that ends by itself while a fault is in the world, or after it, has not degraded gracefully";
const CRASHED_RAISED: &str =
    "a service that ends by itself while a load is raised, or after it, has not degraded gracefully";

/// A service that ends by itself while a dependency is sick, or too many users come, did not degrade: it broke.
fn crashes(run: &RunView<'_>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for exit in run.crashes() {
        let id = format!("{}.alive", exit.service);
        if rows.iter().any(|row| row.id == id) {
            continue;
        }
        let armed = run.first_armed().filter(|armed| *armed <= exit.at);
        let (since, rule, what) = match (armed, run.trouble()) {
            (None, Some(raised)) => (raised, CRASHED_RAISED, "the load was raised"),
            (armed, _) => (armed.unwrap_or(exit.at), CRASHED, "the fault"),
        };
        let since = exit.at.saturating_sub(since);
        let said = exit.last_words(": ", 160);
        rows.push(Row {
            id,
            subject: Subject::Run,
            kind: RowKind::Alive,
            label: format!("{} alive", exit.service),
            baseline: None,
            during: None,
            after: None,
            answer: Answer::Fail,
            want: "runs".to_owned(),
            rule: rule.to_owned(),
            reason: format!("{} {} after {what}{said}", end_of(exit), words::micros(since as f64)),
            settle: None,
            gates: Vec::new(),
        });
    }
    rows
}

fn verdict(run: &RunView<'_>, gates: &[Gate], rows: &[Row]) -> Verdict {
    let worst = rows.iter().map(|row| row.answer).max();
    match worst {
        Some(Answer::Fail) => Verdict::NotGraceful,
        Some(Answer::Inconclusive) => Verdict::Inconclusive,
        _ if run.brief.is_none() || !run.is_complete() => Verdict::Inconclusive,
        // Without an expectation the gates are all that was asked; a late sender spoils no pass.
        _ if gates.iter().any(|gate| !gate.holds && gate.id != GateId::LoadOnTime) => Verdict::Inconclusive,
        _ => Verdict::Graceful,
    }
}

fn count(rows: &[Row]) -> Count {
    let of = |answer: Answer| rows.iter().filter(|row| row.answer == answer).count();
    Count {
        rows: rows.len(),
        passed: of(Answer::Pass),
        failed: of(Answer::Fail),
        inconclusive: of(Answer::Inconclusive),
    }
}

fn facts_of_run(run: &RunView<'_>) -> RunFacts {
    let text = |get: fn(&RunBrief) -> &String| run.brief.map(get).cloned().unwrap_or_default();
    RunFacts {
        scenario: text(|brief| &brief.scenario),
        source: text(|brief| &brief.source),
        again: text(|brief| &brief.again),
        murphy: text(|brief| &brief.murphy),
        seed: run.brief.map(|brief| brief.seed),
        started: run.brief.map(|brief| brief.started.clone()),
        end: run.end.clone(),
        took: Span::from_micros(run.last.saturating_sub(run.first)),
    }
}

fn faults(run: &RunView<'_>) -> Vec<FaultFact> {
    let offset = murphy_core::Offset::from_micros;
    run.brief
        .iter()
        .flat_map(|brief| &brief.faults)
        .map(|fault| {
            let real = run.fault(&fault.id);
            FaultFact {
                id: fault.id.clone(),
                text: fault.text.clone(),
                on: fault.on.clone(),
                trigger: fault.trigger.clone(),
                lasts: fault.lasts,
                armed: real.and_then(|real| real.armed).map(offset),
                lifted: real.and_then(|real| real.lifted).map(offset),
                tally: real.and_then(|real| real.tally),
            }
        })
        .collect()
}

/// Of a run that was steered nothing is: no other one would hold to it.
fn learned(run: &RunView<'_>, gates: &[Gate], findings: &[Finding]) -> String {
    if run.brief.is_none_or(|brief| brief.learn.is_none()) || gate::any_fails(gates, &[GateId::HandsOff]) {
        return String::new();
    }
    crate::learn::expect_block(run, findings)
}

/// Rows that could not be answered, then facts that could not be found. Of the finer facts only one that is asserted is
/// missed; the findings hold them all. Where events are missing or somebody steered nothing is known, which the gate says once.
fn unknown(run: &RunView<'_>, gates: &[Gate], rows: &[Row], findings: &[Finding]) -> Vec<Unknown> {
    let lost = gate::any_fails(gates, &[GateId::NothingLost, GateId::HandsOff]);
    let undecided = rows.iter().filter(|row| row.answer == Answer::Inconclusive).map(|row| Unknown {
        what: row.label.clone(),
        why: row.reason.clone(),
        settle: row.settle.clone().unwrap_or_default(),
    });
    let all = run.brief.is_some_and(|brief| !brief.learn.is_none());
    let missed = findings.iter().filter(|finding| !lost && (all || !finding.detector.is_fine()));
    let facts = missed.filter_map(|finding| match &finding.state {
        State::Inconclusive { why, settle, .. } => Some(Unknown {
            what: format!("{} {}", subject_name(&finding.subject), finding.detector.name()),
            why: why.clone(),
            settle: settle.clone(),
        }),
        _ => None,
    });
    let mut all: Vec<Unknown> = undecided.collect();
    for fact in facts {
        // What a row has decided is told; the fact behind it need not be known as well.
        if all.iter().all(|known| known.what != fact.what) && rows.iter().all(|row| row.label != fact.what) {
            all.push(fact);
        }
    }
    all
}

/// The name in a subject; `run` for the run.
pub(crate) fn subject_name(subject: &Subject) -> &str {
    match subject {
        Subject::Load(name) => name.as_str(),
        Subject::Probe(name) => name.as_str(),
        Subject::Edge(name) => name.as_str(),
        Subject::Run => "run",
    }
}

fn notes(run: &RunView<'_>, gates: &[Gate], rows: &[Row], verdict: Verdict) -> Vec<String> {
    let mut notes = Vec::new();
    if run.brief.is_none() {
        notes.push("the journal does not begin with its run: nothing can be judged".to_owned());
    } else if rows.is_empty() && verdict == Verdict::Graceful {
        notes.push("nothing was asserted: these are facts, and no expectation could fail".to_owned());
    }
    if !run.is_complete() {
        notes.push(format!("partial: {}", early(&run.end)));
    }
    // A want of memory is told also where it is no crash: with `limits` on a container the kernel's kill is the fault's deed.
    let mut ended: BTreeMap<&str, (u64, &Exit)> = BTreeMap::new();
    for exit in run.exits.iter().filter(|exit| exit.out_of_memory && exit.cause == ExitCause::Fault) {
        let told = ended.entry(&exit.service).or_insert((0, exit));
        *told = (told.0 + 1, exit);
    }
    for (service, (times, exit)) in ended {
        let said = exit.last_words("; its last line: ", 160);
        let times = plural(times, "time");
        notes.push(format!(
            "{service} ran out of memory under the fault, {times}: its end is the fault's deed and no crash{said}"
        ));
    }
    for service in &run.starved {
        notes.push(format!("{service} lived on after the kernel had killed a process of it, out of memory"));
    }
    if gates.iter().any(|gate| gate.id == GateId::LoadOnTime && !gate.holds) {
        notes.push(
            "the sender was late; what passes stands, since latency counts from the intended time".to_owned(),
        );
    }
    notes
}
