//! Draws the open connections of the chosen edge.

use murphy_proxy::{Decision, Stage};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

use crate::app::App;
use crate::connections::{Listed, OpenConnection};
use crate::panes::{COOL, HOT};
use crate::words::{bytes_text, span_text};
use crate::world::World;

pub(crate) fn draw_connections(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    let Some(name) = app.selected(world) else { return };
    let open = world.edges[name].open;
    let title = format!(" {open} open on {name}, the oldest first; faults: * acts, - spares ");
    let block = Block::new().borders(Borders::TOP).title(title);
    match app.page(world).map(|page| &page.listed) {
        Some(Listed::Rows { rows, .. }) if !rows.is_empty() => draw_rows(frame, area, app, rows, block),
        Some(Listed::Rows { .. }) => draw_words(frame, area, "none is open", block),
        Some(Listed::Untold { why }) => draw_words(frame, area, &format!("! {why}"), block),
        None => draw_words(frame, area, "looking …", block),
    }
}

fn draw_words(frame: &mut Frame<'_>, area: Rect, words: &str, block: Block<'_>) {
    frame.render_widget(Paragraph::new(Line::from(words)).fg(COOL).block(block), area);
}

fn draw_rows(frame: &mut Frame<'_>, area: Rect, app: &App, rows: &[OpenConnection], block: Block<'_>) {
    let wide = area.width >= 120;
    let header = ["conn", "caller", "age", "stage", "sent", "received", "faults"];
    let widths = [
        Constraint::Length(6),
        // The longest address with a port, where there is room for it.
        Constraint::Length(if wide { 47 } else { 21 }),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    // Only what can be seen is made: ten thousand connections cost no more than a screenful.
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let chosen = app.connection_index(rows);
    let first = chosen.saturating_sub(room - 1);
    let seen = rows.iter().skip(first).take(room).map(|open| {
        let stage = match open.stage {
            Stage::Opening => Cell::from("opening").style(Style::new().fg(HOT)),
            Stage::Carried => Cell::from("carried"),
        };
        Row::new([
            Cell::from(open.place.conn.to_string()),
            Cell::from(open.peer.as_str()),
            Cell::from(span_text(open.age)),
            stage,
            Cell::from(bytes_text(open.to_upstream)),
            Cell::from(bytes_text(open.to_client)),
            Cell::from(decided(&open.decisions)).style(Style::new().fg(HOT)),
        ])
    });
    let table = Table::new(seen, widths)
        .header(Row::new(header).style(Style::new().fg(COOL)))
        .row_highlight_style(Style::new().reversed())
        .block(block);
    let mut state = TableState::default().with_selected(Some(chosen - first));
    frame.render_stateful_widget(table, area, &mut state);
}

/// `*latency-1 -reset-2`: the first acts on it, the second spares it.
fn decided(decisions: &[(String, Decision)]) -> String {
    let words = decisions.iter().map(|(fault, decision)| match decision {
        Decision::Acts => format!("*{fault}"),
        Decision::Spares => format!("-{fault}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_and_what_spares_is_told_by_a_sign_and_not_by_colour_alone() {
        let decisions = [("latency-1".to_owned(), Decision::Acts), ("reset-2".to_owned(), Decision::Spares)];
        assert_eq!(decided(&decisions), "*latency-1 -reset-2");
        assert_eq!(decided(&[]), "");
    }
}
