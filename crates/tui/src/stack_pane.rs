//! Draws the containers, and the question that stands before anything is done to them.

use murphy_core::{ContainerHealth, Offset};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState, Wrap};

use crate::app::App;
use crate::panes::{COOL, HOT, draw_line, popup};
use crate::stack::{ContainerState, Load, Said, Touch};
use crate::world::{World, bytes_text, span_text};

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

pub(crate) fn draw_asked(frame: &mut Frame<'_>, number: u64, world: &World) {
    let proposal = world.proposal.as_ref().filter(|proposal| proposal.number == number);
    let title = proposal.map_or(String::new(), |proposal| format!(" {}? ", proposal.title));
    let mut lines: Vec<Line<'_>> = match proposal.map(|proposal| &proposal.said) {
        None | Some(Said::Looking) => vec![Line::from("looking whom it would touch …")],
        Some(Said::Ready { lines }) => lines.iter().map(|line| Line::from(line.as_str())).collect(),
        Some(Said::Refused { why }) => vec![Line::styled(format!("! {why}"), Style::new().fg(HOT).bold())],
    };
    let keys = match proposal.map(|proposal| &proposal.said) {
        Some(Said::Ready { .. }) => "y does it · Esc leaves everything as it is",
        _ => "Esc leaves everything as it is",
    };
    lines.extend([Line::default(), Line::styled(keys, Style::new().bold())]);
    // Long lines are broken: their rows are counted as well.
    let inner = usize::from(frame.area().width.min(76).saturating_sub(2)).max(1);
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    let place = popup(frame, u16::try_from(rows + 2).unwrap_or(u16::MAX));
    let block = Block::bordered().title(title).border_style(Style::new().fg(HOT));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), place);
}
