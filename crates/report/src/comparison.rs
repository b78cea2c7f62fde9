//! Two runs side by side, as lines for a terminal and a CI log.

use murphy_verdict::{Change, Comparison, Measure, Unit};

use crate::columns::cell;
use crate::style::{Style, Tone};

/// Renders a comparison as lines, each ended by a newline.
pub fn comparison(comparison: &Comparison, style: Style) -> String {
    let (word, tone) = match (comparison.is_worse(), comparison.is_doubtful()) {
        (true, _) => ("WORSE", Tone::Bad),
        (false, true) => ("INCONCLUSIVE", Tone::Unsure),
        (false, false) => ("not worse", Tone::Good),
    };
    let mut text = format!("{}    {}\n", style.clean(&comparison.scenario), style.tone(tone, word));
    let label = comparison.measures.iter().map(|measure| measure.id.chars().count() + 2).max().unwrap_or(20);
    let label = label.clamp(20, 40);
    let heads = format!(" {}{}{}change", cell("", label), cell("old", 24), cell("new", 24));
    text += &style.tone(Tone::Quiet, &heads);
    text.push('\n');
    for measure in &comparison.measures {
        let (word, tone) = match measure.change {
            Change::Worse => ("WORSE", Tone::Bad),
            Change::Better => ("better", Tone::Good),
            Change::Changed => ("changed", Tone::Unsure),
            Change::Same => ("same within intervals", Tone::Quiet),
            Change::Lost => ("not told by the new run", Tone::Unsure),
            Change::New => ("nothing to compare with", Tone::Quiet),
        };
        let read = |measure: &Option<Measure>| measure.as_ref().map_or_else(|| "-".to_owned(), reading);
        text += &format!(
            " {}{}{}{}\n",
            cell(&style.clean(&measure.id), label),
            cell(&read(&measure.old), 24),
            cell(&read(&measure.new), 24),
            style.tone(tone, word)
        );
    }
    for doubt in &comparison.doubts {
        text += &format!("could not tell: {}\n", style.clean(doubt));
    }
    text
}

/// `1.32s [1.29, 1.39]`
fn reading(measure: &Measure) -> String {
    let number = |number: Option<f64>| match (number, measure.unit) {
        (None, _) => "?".to_owned(),
        (Some(share), Unit::Share) => format!("{:.2}%", share * 100.0),
        (Some(seconds), Unit::Seconds) if seconds.abs() < 1.0 => format!("{:.1}ms", seconds * 1e3),
        (Some(seconds), Unit::Seconds) => format!("{seconds:.2}s"),
        (Some(ratio), Unit::Ratio | Unit::Count) => format!("{ratio:.2}"),
        (Some(rate), Unit::PerSecond) => format!("{rate:.1}/s"),
    };
    format!("{} [{}, {}]", number(measure.value), number(measure.low), number(measure.high))
}

#[cfg(test)]
mod tests {
    use murphy_verdict::{Better, Compared};

    use super::*;

    #[test]
    fn a_pool_that_has_grown_is_told_as_changed_and_fails_nothing() {
        let pool = |places: f64| Measure {
            id: "db.pool".to_owned(),
            unit: Unit::Count,
            better: Better::Neither,
            value: Some(places),
            low: Some(places - 1.0),
            high: Some(places + 1.0),
            n: 5,
        };
        let (id, change) = ("db.pool".to_owned(), Change::Changed);
        let measures = vec![Compared { id, old: Some(pool(5.0)), new: Some(pool(50.0)), change }];
        let told = Comparison { scenario: "shop".to_owned(), format: 1, measures, doubts: Vec::new() };
        let text = comparison(&told, Style::default());
        assert!(text.starts_with("shop    not worse\n"), "{text}");
        let line = text.lines().find(|line| line.contains("db.pool")).unwrap();
        assert!(line.contains("50.00 [49.00, 51.00]") && line.ends_with("changed"), "{text}");
    }
}
