//! Draws the containers, and the question that stands before anything is done to them.

use murphy_core::{ContainerHealth, Offset};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

use crate::app::App;
use crate::panes::{COOL, HOT, draw_line, popup};
use crate::stack::{ContainerState, Load, Said, Touch};
use crate::words::{bytes_text, span_text};
use crate::world::World;

/// From this height on, containers are shown beside the edges and not in their place.
const TALL: u16 = 34;

/// How high the pane of its own is; none on a small screen.
pub(crate) fn height(area: Rect, world: &World) -> u16 {
    match u16::try_from(world.containers.len()).unwrap_or(u16::MAX) {
        0 => 0,
        _ if area.height < TALL => 0,
        containers => containers.saturating_add(2).min(area.height / 4),
    }
}

pub(crate) fn draw_stack(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    let wide = area.width >= 120;
    let mut header = vec!["container", "state", "health", "restarts", "cpu", "memory"];
    let mut widths = vec![
        Constraint::Fill(2),
        Constraint::Length(13),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(5),
        if wide { Constraint::Length(19) } else { Constraint::Length(8) },
    ];
    if wide {
        header.extend(["held back", "stalled"]);
        widths.extend([Constraint::Length(9), Constraint::Length(7)]);
    }
    header.push("done by hand");
    widths.push(Constraint::Fill(2));
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let chosen = app.container_index(world);
    let first = chosen.saturating_sub(room - 1);
    let rows = world.containers.iter().skip(first).take(room).map(|(name, state)| {
        let mut cells = vec![Cell::from(name.as_str()), state_cell(state), health_cell(state.health)];
        cells.push(state.restarts.map_or(Cell::from("-"), |times| Cell::from(times.to_string())));
        cells.extend(load_cells(&state.load, wide));
        cells.push(Cell::from(struck(world, name, state)).style(Style::new().fg(HOT)));
        Row::new(cells)
    });
    let keys = " containers: c chooses, K kill, P pause, C cut off, u take back ";
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(Style::new().fg(COOL)))
        .row_highlight_style(Style::new().reversed())
        .block(Block::new().borders(Borders::TOP).title(if area.width >= 70 {
            keys
        } else {
            " containers "
        }));
    let selected = app.is_on_containers(world).then(|| chosen - first);
    frame.render_stateful_widget(table, area, &mut TableState::default().with_selected(selected));
}

fn state_cell(state: &ContainerState) -> Cell<'_> {
    let quiet = matches!(state.state.as_str(), "running" | "created" | "");
    if quiet {
        return Cell::from(state.state.as_str());
    }
    Cell::from(format!("!{}", state.state)).style(Style::new().fg(HOT).bold())
}

fn health_cell(health: ContainerHealth) -> Cell<'static> {
    match health {
        ContainerHealth::None => Cell::from("-"),
        ContainerHealth::Starting => Cell::from("starting"),
        ContainerHealth::Healthy => Cell::from("healthy"),
        ContainerHealth::Unhealthy => Cell::from("!unhealthy").style(Style::new().fg(HOT).bold()),
    }
}

fn load_cells(load: &Load, wide: bool) -> Vec<Cell<'static>> {
    let share = |share: Option<f64>| match share {
        None => Cell::from("-"),
        Some(share) if share >= 0.1 => {
            Cell::from(format!("!{:.0}%", share * 100.0)).style(Style::new().fg(HOT).bold())
        }
        Some(share) => Cell::from(format!("{:.0}%", share * 100.0)),
    };
    // On a narrow screen a processor that is held back says so where its use stands.
    let held = load.held_back.is_some_and(|share| share >= 0.1);
    let cpus = load.cpus.map_or("-".to_owned(), |cpus| format!("{}{cpus:.2}", if held { "!" } else { "" }));
    let memory = load.memory.map_or("-".to_owned(), |(used, limit)| {
        let full = limit.is_some_and(|limit| used.saturating_mul(10) >= limit.saturating_mul(9));
        let mark = if full { "!" } else { "" };
        match limit.filter(|_| wide) {
            Some(limit) => format!("{mark}{} of {}", bytes_text(used), bytes_text(limit)),
            None => format!("{mark}{}", bytes_text(used)),
        }
    });
    let mut cells = vec![Cell::from(cpus), Cell::from(memory)];
    if wide {
        cells.extend([share(load.held_back), share(load.stalled)]);
    }
    cells
}

fn struck(world: &World, name: &str, state: &ContainerState) -> String {
    let done = world.struck.iter().filter(|struck| struck.container == name);
    let words: Vec<String> = done
        .map(|struck| match struck.until {
            Some(until) => format!("{} {} left", struck.text, left(until, world.now)),
            None => struck.text.clone(),
        })
        .collect();
    if words.is_empty() && state.touch == Touch::Forbidden {
        return "protected".to_owned();
    }
    words.join(", ")
}

fn left(until: Offset, now: Offset) -> String {
    span_text(until.since(now))
}

pub(crate) fn draw_cutting(frame: &mut Frame<'_>, app: &App, world: &World, line: &str) {
    let container = app.chosen(world).unwrap_or_default();
    let below = [
        Line::from("No packet passes between it and these, both ways, until it is taken back.").fg(COOL),
        Line::from("Names with commas; Enter shows whom it touches, and nothing is done yet.").fg(COOL),
    ];
    draw_line(frame, &format!(" cut {container} off from: "), line, &below);
}

/// Whether all of a question can be seen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Whole,
    Cut,
}

/// Whether a person on such a screen sees all that a question names: only then can it be agreed to.
pub(crate) fn fits(area: Rect, said: &Said) -> bool {
    asked(area, Some(said)).1 == Fit::Whole
}

/// The rows of a question. Where they are too many, first what says how many are touched and whose calls go there.
fn asked(area: Rect, said: Option<&Said>) -> (Vec<Line<'static>>, Fit) {
    let width = usize::from(area.width.min(76).saturating_sub(2)).max(1);
    let room = usize::from(area.height.saturating_sub(2));
    let (mut text, style) = match said {
        None | Some(Said::Looking) => (vec!["looking whom it would touch …".to_owned()], Style::new()),
        Some(Said::Ready { lines }) => (lines.clone(), Style::new()),
        Some(Said::Refused { why }) => (vec![format!("! {why}")], Style::new().fg(HOT).bold()),
    };
    let rows = |text: &[String], style: Style| -> Vec<Line<'static>> {
        text.iter().flat_map(|line| broken(line, width)).map(|row| Line::styled(row, style)).collect()
    };
    let keys = |of_ready: &str| match said {
        Some(Said::Ready { .. }) => rows(&[of_ready.to_owned()], Style::new().bold()),
        _ => rows(&["Esc leaves everything as it is".to_owned()], Style::new().bold()),
    };
    let mut all = rows(&text, style);
    all.push(Line::default());
    all.extend(keys("y does it · Esc leaves everything as it is"));
    if all.len() <= room {
        return (all, Fit::Whole);
    }
    let first = text.len().min(1);
    let (calls, others): (Vec<_>, Vec<_>) =
        text.drain(first..).partition(|line| line.starts_with("  calls "));
    text.extend(calls);
    text.extend(others);
    let mut cut = rows(&text, style);
    let keys = keys("y only where all is shown · Esc leaves everything as it is");
    let kept = room.saturating_sub(1 + keys.len());
    let more = cut.len().saturating_sub(kept);
    cut.truncate(kept);
    cut.push(Line::styled(format!("and {more} more: enlarge the terminal"), Style::new().fg(HOT).bold()));
    cut.extend(keys);
    (cut, Fit::Cut)
}

/// A line in rows of that width, between words where there are some.
fn broken(line: &str, width: usize) -> Vec<String> {
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        let wide = Span::raw(c.to_string()).width();
        if used > 0 && used + wide > width {
            let space = row.rfind(' ').filter(|at| !row[..*at].trim().is_empty());
            let rest = match space {
                Some(at) if c != ' ' => row.split_off(at + 1),
                _ => String::new(),
            };
            used = Span::raw(rest.as_str()).width();
            rows.push(std::mem::replace(&mut row, rest));
            if c == ' ' {
                continue;
            }
        }
        row.push(c);
        used += wide;
    }
    rows.push(row);
    rows
}

pub(crate) fn draw_asked(frame: &mut Frame<'_>, number: u64, world: &World) {
    let proposal = world.proposal.as_ref().filter(|proposal| proposal.number == number);
    let title = proposal.map_or(String::new(), |proposal| format!(" {}? ", proposal.title));
    let (lines, _) = asked(frame.area(), proposal.map(|proposal| &proposal.said));
    let place = popup(frame, u16::try_from(lines.len() + 2).unwrap_or(u16::MAX));
    let block = Block::bordered().title(title).border_style(Style::new().fg(HOT));
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_a_word_where_it_is_longer_than_a_row() {
        assert_eq!(broken("", 5), [""]);
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("one twofold", 7), ["one ", "twofold"]);
        assert_eq!(broken("  abcdefghij", 5), ["  abc", "defgh", "ij"]);
        assert_eq!(broken("ab", 1), ["a", "b"]);
        for width in 1..40 {
            let line = "  target      shop-café-1 … and 中文 on a line that is long";
            let rows = broken(line, width);
            assert!(rows.iter().all(|row| Span::raw(row.as_str()).width() <= width.max(2)), "{rows:?}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(letters(&rows.concat()), letters(line));
        }
    }
}
