//! The verdict for a pull request or a job summary: the same content as in the terminal, as Markdown tables.

use std::fmt::Write;

use murphy_core::Answer;
use murphy_verdict::{Judgement, Reading};

use crate::style::{Glyphs, Ink, Style};
use crate::told::{causes, fact_label, faults, shown, verdict_words};

/// Renders a judgement as Markdown.
pub fn markdown(judgement: &Judgement) -> String {
    let mut text = String::new();
    write(&mut text, judgement).expect("writing to a string cannot fail");
    text
}

/// Text that means nothing to Markdown, on one line.
pub(crate) fn plain(text: &str) -> String {
    let style = Style { ink: Ink::Plain, glyphs: Glyphs::Unicode };
    let mut plain = String::with_capacity(text.len());
    for c in style.clean(text).chars() {
        if matches!(c, '|' | '&' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '#' | '~') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "pass",
        Answer::Fail => "**FAIL**",
        Answer::Inconclusive => "*unclear*",
    }
}

fn write(out: &mut String, judgement: &Judgement) -> std::fmt::Result {
    writeln!(out, "## {}: {}\n", plain(&judgement.run.scenario), verdict_words(judgement))?;
    let broken = faults(judgement);
    if !broken.is_empty() {
        writeln!(out, "{}\n", plain(&broken))?;
    }
    for gate in &judgement.gates {
        let mark = if gate.holds { "holds" } else { "**no trust**" };
        writeln!(out, "- {mark}: {}", plain(&gate.text))?;
    }
    if !judgement.rows.is_empty() {
        writeln!(out, "\n| | baseline | during | after | verdict | |\n|---|---|---|---|---|---|")?;
    }
    for row in &judgement.rows {
        let read = |reading: &Option<Reading>| {
            reading.as_ref().map_or_else(String::new, |reading| plain(&reading.text))
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            plain(&row.label),
            read(&row.baseline),
            read(&row.during),
            read(&row.after),
            answer(row.answer),
            plain(&row.reason)
        )?;
    }
    writeln!(out)?;
    for (labels, why) in causes(judgement) {
        writeln!(
            out,
            "- **why {} failed:** {}. *Change:* {}.",
            plain(&labels.join(", ")),
            plain(&why.mechanism),
            plain(why.change.trim_end_matches('.'))
        )?;
    }
    for saved in &judgement.saved_by {
        writeln!(out, "- **held by** {}", plain(saved))?;
    }
    for finding in shown(judgement) {
        writeln!(out, "- fact: {}: {}", plain(&fact_label(finding)), plain(&finding.text))?;
    }
    let gated = |what: &str| judgement.rows.iter().any(|row| row.label == what && !row.gates.is_empty());
    for unknown in judgement.unknown.iter().filter(|unknown| !gated(&unknown.what)) {
        writeln!(out, "- could not tell {}: {}", plain(&unknown.what), plain(&unknown.why))?;
        if !unknown.settle.is_empty() {
            writeln!(out, "  (would tell: {})", plain(&unknown.settle))?;
        }
    }
    for note in &judgement.notes {
        writeln!(out, "- note: {}", plain(note))?;
    }
    for left in &judgement.leftovers {
        writeln!(out, "- **not taken back:** {}", plain(left))?;
    }
    if !judgement.run.again.is_empty() {
        // Fenced: after a list, four blanks would make it a part of the last point.
        let again = Style { ink: Ink::Plain, glyphs: Glyphs::Unicode }.clean(&judgement.run.again);
        writeln!(out, "\n```sh\n{again}\n```")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_a_table() {
        assert_eq!(plain("a|b\n`c`"), "a\\|b \\`c\\`");
    }
}
