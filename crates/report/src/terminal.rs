//! The verdict as it stands in a terminal and in a CI log: at most 104 columns, every failure with its value, its rule, its
//! cause and the command that repeats it.

use std::fmt::Write;

use murphy_core::{Answer, Verdict};
use murphy_verdict::{GateId, Judgement, Reading, Row, RowKind};

use crate::columns::{WIDTH, cell, wrap};
use crate::style::{Style, Tone};
use crate::told::{causes, fact_label, faults, shown, verdict_words};

/// Renders a judgement as lines, each ended by a newline.
pub fn terminal(judgement: &Judgement, style: Style) -> String {
    let mut page = Page { style, text: String::new() };
    page.title(judgement);
    page.gates(judgement);
    page.table(judgement);
    page.why(judgement);
    page.rest(judgement);
    page.text
}

struct Page {
    style: Style,
    text: String,
}

/// Widths of the columns before the reason.
struct Widths {
    label: usize,
    baseline: usize,
    during: usize,
    after: usize,
}

const ANSWER: usize = 9;

impl Widths {
    fn of(judgement: &Judgement) -> Widths {
        let length =
            |reading: &Option<Reading>| reading.as_ref().map_or(1, |reading| reading.text.chars().count());
        let rows = || judgement.rows.iter().filter(|row| row.kind != RowKind::Alive);
        let widest = |get: fn(&Row) -> &Option<Reading>, least: usize, most: usize| {
            rows().map(|row| length(get(row)) + 1).max().unwrap_or(least).clamp(least, most)
        };
        let label = judgement.rows.iter().map(|row| row.label.chars().count() + 2);
        let facts = shown(judgement).map(|finding| fact_label(finding).chars().count() + 2);
        Widths {
            label: label.chain(facts).max().unwrap_or(20).clamp(20, 30),
            baseline: widest(|row| &row.baseline, 12, 20),
            during: widest(|row| &row.during, 14, 21),
            after: widest(|row| &row.after, 7, 12),
        }
    }

    fn readings(&self) -> usize {
        self.baseline + self.during + self.after
    }

    /// Where the reason begins.
    fn reason(&self) -> usize {
        1 + self.label + self.readings() + ANSWER
    }
}

fn answer(answer: Answer) -> (&'static str, Tone) {
    match answer {
        Answer::Pass => ("pass", Tone::Good),
        Answer::Fail => ("FAIL", Tone::Bad),
        Answer::Inconclusive => ("unclear", Tone::Unsure),
    }
}

pub(crate) fn verdict_tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Graceful => Tone::Good,
        Verdict::Inconclusive => Tone::Unsure,
        Verdict::NotGraceful => Tone::Bad,
    }
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A text with a coloured beginning, wrapped under itself.
    fn paragraph(&mut self, head: &str, tone: Tone, text: &str, indent: usize) {
        let (head, text) = (self.style.clean(head), self.style.clean(text));
        let taken = head.chars().count() + 1;
        let lines = wrap(&text, WIDTH.saturating_sub(taken), WIDTH - indent);
        for (index, line) in lines.iter().enumerate() {
            let line = match index {
                0 => format!("{} {line}", self.style.tone(tone, &head)),
                _ => format!("{}{line}", " ".repeat(indent)),
            };
            self.line(&line);
        }
    }

    fn title(&mut self, judgement: &Judgement) {
        let name = match judgement.run.scenario.as_str() {
            "" => "a journal without a beginning",
            name => name,
        };
        let name = self.style.clean(name);
        let seed = judgement.run.seed.map(|seed| format!("seed {seed}"));
        let faults = Some(self.style.clean(&faults(judgement))).filter(|faults| !faults.is_empty());
        let rest: Vec<String> = faults.into_iter().chain(seed).collect();
        let rest = rest.join("    ");
        let verdict = verdict_words(judgement);
        let toned = self.style.tone(verdict_tone(judgement.verdict), &verdict);
        let strong = self.style.tone(Tone::Strong, &name);
        let (a, b, c) = (name.chars().count(), rest.chars().count(), verdict.chars().count());
        if a + 4 + b + 2 + c <= WIDTH {
            let fill = " ".repeat(WIDTH - a - 4 - b - c);
            self.line(&format!("{strong}    {rest}{fill}{toned}"));
            return;
        }
        if a + 2 + c <= WIDTH {
            self.line(&format!("{strong}{}{toned}", " ".repeat(WIDTH - a - c)));
        } else {
            for line in wrap(&name, WIDTH, WIDTH) {
                self.line(&line);
            }
            self.line(&format!("{}{toned}", " ".repeat(WIDTH - c)));
        }
        for line in wrap(&rest.replace("    ", self.style.dot()), WIDTH - 1, WIDTH - 1) {
            self.line(&format!(" {line}"));
        }
    }

    fn gates(&mut self, judgement: &Judgement) {
        let shown =
            |id: GateId, holds: bool| !holds || !matches!(id, GateId::NothingLost | GateId::ServicesUp);
        let mut texts: Vec<String> = Vec::new();
        // The sender's two gates stand together, lateness first.
        let order = [
            GateId::SomethingBroken,
            GateId::FaultTookEffect,
            GateId::BaselineHealthy,
            GateId::LoadOnTime,
            GateId::LoadSent,
            GateId::NothingLost,
            GateId::ServicesUp,
        ];
        for gate in
            order.iter().filter_map(|id| judgement.gate(*id)).filter(|gate| shown(gate.id, gate.holds))
        {
            if gate.holds {
                texts.push(gate.text.clone());
            }
        }
        let line = self.style.clean(&texts.join(self.style.dot()));
        if !line.is_empty() {
            for (index, line) in wrap(&line, WIDTH - 10, WIDTH - 10).iter().enumerate() {
                let head = if index == 0 { " gates    " } else { "          " };
                self.line(&format!("{head}{line}"));
            }
        }
        for gate in judgement.gates.iter().filter(|gate| !gate.holds) {
            let mend = if gate.mend.is_empty() { String::new() } else { format!(" ({})", gate.mend) };
            // A late sender takes no answer back that stands without it.
            let head = if gate.id == GateId::LoadOnTime { " late:" } else { " no trust:" };
            self.paragraph(head, Tone::Unsure, &format!("{}{mend}", gate.text), 11);
        }
    }

    fn table(&mut self, judgement: &Judgement) {
        let widths = Widths::of(judgement);
        if judgement.rows.iter().any(|row| row.kind != RowKind::Alive) {
            let heads = format!(
                " {}{}{}{}verdict",
                cell("", widths.label),
                cell("baseline", widths.baseline),
                cell("during", widths.during),
                cell("after", widths.after)
            );
            let heads = self.style.tone(Tone::Quiet, &heads);
            self.line(&heads);
        }
        for row in &judgement.rows {
            self.row(row, &widths);
        }
        let facts: Vec<(String, String)> =
            shown(judgement).map(|finding| (fact_label(finding), finding.text.clone())).collect();
        for (label, text) in facts {
            self.fact(&label, &text, &widths);
        }
    }

    fn row(&mut self, row: &Row, widths: &Widths) {
        let label = cell(&self.style.clean(&row.label), widths.label);
        let (word, tone) = answer(row.answer);
        let word = cell(word, ANSWER).replace(word, &self.style.tone(tone, word));
        if row.kind == RowKind::Alive {
            // Nothing to measure: what it said takes the place of the readings.
            let at = 1 + widths.label + ANSWER;
            let lines = wrap(&self.style.clean(&row.reason), WIDTH - at, WIDTH - at);
            self.line(&format!(" {label}{word}{}", lines[0]));
            for line in &lines[1..] {
                self.line(&format!("{}{line}", " ".repeat(at)));
            }
            return;
        }
        let read = |reading: &Option<Reading>, width: usize| {
            let text = reading.as_ref().map_or("-", |reading| reading.text.as_str());
            cell(&self.style.clean(text), width)
        };
        let head = format!(
            " {label}{}{}{}{word}",
            read(&row.baseline, widths.baseline),
            read(&row.during, widths.during),
            read(&row.after, widths.after)
        );
        // A label or reading that was too long for its column pushes the rest; the reason then gives way.
        let plain = 1
            + label.chars().count()
            + read(&row.baseline, widths.baseline).chars().count()
            + read(&row.during, widths.during).chars().count()
            + read(&row.after, widths.after).chars().count()
            + ANSWER;
        let at = widths.reason();
        let room = WIDTH.saturating_sub(plain);
        let reason = self.style.clean(&row.reason);
        // What could not be told is told in full below the table.
        let reason = match row.answer {
            Answer::Inconclusive if !row.gates.is_empty() => match reason.rsplit_once(" (else ") {
                Some((_, would)) => format!("no trust (else {would}"),
                None => "no trust".to_owned(),
            },
            Answer::Inconclusive if reason.chars().count() > room => "see below".to_owned(),
            _ => reason,
        };
        let lines = wrap(&reason, room, WIDTH - at);
        self.line(&format!("{head}{}", lines[0]));
        for line in &lines[1..] {
            self.line(&format!("{}{line}", " ".repeat(at)));
        }
    }

    fn fact(&mut self, label: &str, text: &str, widths: &Widths) {
        let label = cell(&self.style.clean(label), widths.label);
        let at = 1 + label.chars().count();
        let lines = wrap(&self.style.clean(text), WIDTH - at - 6, WIDTH - at - 6);
        let fact = self.style.tone(Tone::Quiet, "fact");
        self.line(&format!(" {label}{fact}  {}", lines[0]));
        for line in &lines[1..] {
            self.line(&format!("{}{line}", " ".repeat(at + 6)));
        }
    }

    fn why(&mut self, judgement: &Judgement) {
        for (labels, why) in causes(judgement) {
            self.paragraph(&format!("why {} failed:", labels.join(", ")), Tone::Strong, &why.mechanism, 2);
            let change = format!("{}.", why.change.trim_end_matches('.'));
            self.paragraph("  change:", Tone::Strong, &change, 4);
        }
        for saved in &judgement.saved_by {
            self.paragraph("held by", Tone::Strong, saved, 2);
        }
    }

    fn rest(&mut self, judgement: &Judgement) {
        const MOST: usize = 4;
        // A gate that failed is said once, above; not again for every row. All that was asserted is told, of facts a few.
        let row = |what: &str| judgement.rows.iter().find(|row| row.label == what);
        let gated = |what: &str| row(what).is_some_and(|row| !row.gates.is_empty());
        let unknown: Vec<_> = judgement.unknown.iter().filter(|unknown| !gated(&unknown.what)).collect();
        let asserted = unknown.iter().filter(|unknown| row(&unknown.what).is_some()).count();
        for unknown in unknown.iter().take(MOST.max(asserted)) {
            let settle = if unknown.settle.is_empty() {
                String::new()
            } else {
                format!("; would tell: {}", unknown.settle)
            };
            let text = format!("{} ({}{settle})", unknown.what, unknown.why);
            self.paragraph("could not tell:", Tone::Unsure, &text, 2);
        }
        if unknown.len() > MOST.max(asserted) {
            let more = format!("and {} more, all in the JSON report", unknown.len() - MOST.max(asserted));
            self.paragraph("could not tell:", Tone::Unsure, &more, 2);
        }
        if !judgement.learned.is_empty() {
            self.paragraph(
                "learned:",
                Tone::Strong,
                "what was measured, rounded outward, to paste and to correct",
                2,
            );
            for line in judgement.learned.lines() {
                let line = self.style.clean(line);
                self.line(&line);
            }
        }
        for note in &judgement.notes {
            self.paragraph("note:", Tone::Quiet, note, 2);
        }
        for left in &judgement.leftovers {
            self.paragraph("NOT TAKEN BACK:", Tone::Bad, left, 2);
        }
        if !judgement.leftovers.is_empty() {
            self.line("  run `murphy undo`");
        }
        if !judgement.run.again.is_empty() {
            let mut again = String::new();
            let _ = write!(again, "again: {}", self.style.clean(&judgement.run.again));
            // Not wrapped: it is there to be copied.
            self.line(&again);
        }
    }
}
