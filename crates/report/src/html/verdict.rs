//! The words of the HTML report: verdict, gates, table, why, events, and what could not be told. The same content as in
//! the terminal.

use murphy_core::{Answer, Verdict};
use murphy_verdict::{Judgement, Reading};

use super::page::Page;
use crate::timeline::{MarkTone, Timeline};
use crate::told::{causes, fact_label, faults, shown, verdict_words};

/// The class of a verdict.
pub(super) fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Graceful => "good",
        Verdict::Inconclusive => "unsure",
        Verdict::NotGraceful => "bad",
    }
}

/// What was run, and the answer.
pub(super) fn head(page: &mut Page, judgement: &Judgement) {
    let tone = tone(judgement.verdict);
    page.put(format_args!("<header class=\"run {tone}\"><span class=\"badge {tone}\">"))
        .text(&verdict_words(judgement))
        .element("</span><h1>", &judgement.run.scenario, "</h1>");
    let broken = faults(judgement);
    if !broken.is_empty() {
        page.element("<p>", &broken, "</p>");
    }
    let mut facts = Vec::new();
    if let Some(started) = &judgement.run.started {
        facts.push(started.as_str().replace('T', " ").replace('Z', " UTC"));
    }
    facts.push(format!("took {:.0}s", judgement.run.took.as_secs_f64()));
    if let Some(seed) = judgement.run.seed {
        facts.push(format!("seed {seed}"));
    }
    if !judgement.run.source.is_empty() {
        facts.push(judgement.run.source.clone());
    }
    page.element("<p class=\"quiet small\">", &facts.join(" · "), "</p><ul class=\"gates\">");
    for gate in &judgement.gates {
        if gate.holds {
            page.element("<li>", &gate.text, "</li>");
        } else {
            let mend = if gate.mend.is_empty() { String::new() } else { format!(" ({})", gate.mend) };
            page.element("<li class=\"bad\"><b class=\"bad\">no trust:</b> ", &gate.text, "")
                .element("", &mend, "</li>");
        }
    }
    page.raw("</ul></header>\n");
}

fn answer(answer: Answer) -> (&'static str, &'static str) {
    match answer {
        Answer::Pass => ("good", "pass"),
        Answer::Fail => ("bad", "FAIL"),
        Answer::Inconclusive => ("unsure", "unclear"),
    }
}

/// One line for each expectation.
pub(super) fn table(page: &mut Page, judgement: &Judgement) {
    if judgement.rows.is_empty() {
        return;
    }
    page.raw("<section class=\"card\"><table class=\"verdict\"><thead><tr><th></th><th>baseline</th>")
        .raw("<th>during</th><th>after</th><th>verdict</th><th></th></tr></thead><tbody>\n");
    for row in &judgement.rows {
        let (tone, word) = answer(row.answer);
        page.element("<tr><td class=\"label\">", &row.label, "</td>");
        for (head, reading) in [("baseline", &row.baseline), ("during", &row.during), ("after", &row.after)] {
            let text = reading.as_ref().map_or("", |reading: &Reading| reading.text.as_str());
            page.put(format_args!("<td class=\"reading\" data-head=\"{head}\">")).element("", text, "</td>");
        }
        page.put(format_args!("<td class=\"answer\"><span class=\"badge {tone}\">{word}</span></td>"))
            .element("<td class=\"reason\">", &row.reason, "</td></tr>\n");
    }
    page.raw("</tbody></table></section>\n");
}

/// Why expectations failed, and what kept users unharmed.
pub(super) fn why(page: &mut Page, judgement: &Judgement) {
    let causes = causes(judgement);
    if causes.is_empty() && judgement.saved_by.is_empty() {
        return;
    }
    page.raw("<section class=\"card\"><h2>Why</h2>\n");
    for (labels, why) in causes {
        page.element("<div class=\"why\"><p><b>", &labels.join(", "), " failed:</b> ")
            .element("", &why.mechanism, ".</p>")
            .element(
                "<p><b class=\"change\">Change:</b> ",
                why.change.trim_end_matches('.'),
                ".</p></div>\n",
            );
    }
    for saved in &judgement.saved_by {
        page.element("<p><b class=\"good\">Held by</b> ", saved, "</p>\n");
    }
    page.raw("</section>\n");
}

/// What happened, in order.
pub(super) fn events(page: &mut Page, timeline: &Timeline) {
    if timeline.marks.is_empty() {
        return;
    }
    let open = if timeline.marks.len() <= 20 { " open" } else { "" };
    page.put(format_args!(
        "<section class=\"card\"><details{open}><summary>Events</summary><ol class=\"marks\">\n"
    ));
    for mark in &timeline.marks {
        let class = match mark.tone {
            MarkTone::Plain => "",
            MarkTone::Fault => "unsure",
            MarkTone::Bad => "bad",
        };
        let time = mark.at.map_or_else(|| "before".to_owned(), |at| format!("{:.1}s", at.as_secs_f64()));
        page.put(format_args!("<li><time>{time}</time><span class=\"{class}\">")).element(
            "",
            &mark.text,
            "</span></li>\n",
        );
    }
    page.raw("</ol>");
    if timeline.marks_left_out > 0 {
        page.put(format_args!("<p class=\"quiet\">and {} more, in the journal</p>", timeline.marks_left_out));
    }
    page.raw("</details></section>\n");
}

/// Facts, doubts, remarks, and how to repeat it.
pub(super) fn rest(page: &mut Page, judgement: &Judgement) {
    if !judgement.leftovers.is_empty() {
        page.raw("<section class=\"card\"><h2 class=\"bad\">Not taken back</h2><ul class=\"plain\">");
        for left in &judgement.leftovers {
            page.element("<li class=\"bad\">", left, "</li>");
        }
        page.raw("</ul><p>Run <code>murphy undo</code>.</p></section>\n");
    }
    let facts: Vec<String> =
        shown(judgement).map(|finding| format!("{}: {}", fact_label(finding), finding.text)).collect();
    list(page, "Facts", &facts);
    let gated = |what: &str| judgement.rows.iter().any(|row| row.label == what && !row.gates.is_empty());
    let unknown: Vec<String> = judgement
        .unknown
        .iter()
        .filter(|unknown| !gated(&unknown.what))
        .map(|unknown| {
            let settle = if unknown.settle.is_empty() {
                String::new()
            } else {
                format!("; would tell: {}", unknown.settle)
            };
            format!("{} ({}{settle})", unknown.what, unknown.why)
        })
        .collect();
    list(page, "Could not tell", &unknown);
    list(page, "Notes", &judgement.notes);
    if !judgement.run.again.is_empty() {
        page.element(
            "<section class=\"card\"><h2>Again</h2><code class=\"again\">",
            &judgement.run.again,
            "</code></section>\n",
        );
    }
}

fn list(page: &mut Page, head: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    page.put(format_args!("<section class=\"card\"><h2>{head}</h2><ul class=\"plain\">"));
    for item in items {
        page.element("<li>", item, "</li>");
    }
    page.raw("</ul></section>\n");
}
