//! Draws the world and the app's state. A pure function onto a frame, so that a test can look at what is drawn.
//!
//! Nothing is told by colour alone: trouble has a `!`, a switched-off fault an `off`. Colours are blue and yellow, which
//! every common colour vision tells apart.

use std::time::Duration;

use murphy_core::Offset;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Borders, Cell, Clear, Paragraph, Row as TableRow, Sparkline, Table, TableState, Wrap,
};

use crate::app::{App, Mode, Row, Standing};
use crate::connections_pane::draw_connections;
use crate::order::Hands;
use crate::stack_pane::{self, draw_asked, draw_cutting, draw_stack};
use crate::typed::candidates;
use crate::words::{bytes_text, span_text, tally_text};
use crate::world::{Door, Edge, Loudness, World};

/// Over which rates and quantiles are taken.
const OVER: Duration = Duration::from_secs(10);
pub(crate) const HOT: Color = Color::Yellow;
pub(crate) const COOL: Color = Color::LightBlue;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, app: &App, world: &World) {
    let area = frame.area();
    let edges = u16::try_from(world.edges.len()).unwrap_or(u16::MAX);
    let most = (area.height / 2).saturating_sub(2).max(3);
    let stack = stack_pane::height(area, world);
    // A list is worth more room than what happened.
    let (lower, happened) = match app.is_on_connections(world) {
        true => (Constraint::Min(8), Constraint::Length(5)),
        false => (Constraint::Length(8), Constraint::Min(2)),
    };
    let [title, table, containers, detail, log, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(edges.saturating_add(2).clamp(3, most)),
        Constraint::Length(stack),
        lower,
        happened,
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(frame, title, app, world);
    draw_edges(frame, table, app, world);
    if stack > 0 {
        draw_stack(frame, containers, app, world);
    }
    if stack == 0 && app.is_on_containers(world) {
        draw_stack(frame, detail, app, world);
    } else if app.is_on_connections(world) {
        draw_connections(frame, detail, app, world);
    } else {
        draw_detail(frame, detail, app, world);
    }
    draw_happenings(frame, log, world);
    draw_keys(frame, keys, app, world);
    match &app.mode {
        Mode::Browse => {}
        Mode::Help => draw_help(frame),
        Mode::Adding { line, error } => draw_adding(frame, app, world, line, error.as_deref()),
        Mode::Saving { line } => draw_line(frame, " save what was done by hand as a scenario ", line, &[]),
        Mode::Cutting { line } => draw_cutting(frame, app, world, line),
        Mode::Asked { number } => draw_asked(frame, *number, world),
    }
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    let standing: usize = world.edges.values().map(|edge| edge.faults.len()).sum();
    let struck = world.struck.len();
    let standing = standing + struck;
    let faults = match standing {
        0 => "no fault stands".to_owned(),
        1 => "1 FAULT STANDS".to_owned(),
        n => format!("{n} FAULTS STAND"),
    };
    let stage = if world.stage.is_empty() { String::new() } else { format!(" · {}", world.stage) };
    let tied = if app.hands == Hands::Tied { " · watching only" } else { "" };
    let (head, rest) = (" murphy top · ", format!("{stage}{tied} · {} · {faults}", clock(world.now)));
    let taken = head.chars().count() + rest.chars().count();
    let title = end_of(&app.title, usize::from(area.width).saturating_sub(taken));
    let text = format!("{head}{title}{rest}");
    let style = if standing > 0 { Style::new().fg(Color::Black).bg(HOT) } else { Style::new().reversed() };
    frame.render_widget(Paragraph::new(text).style(style.add_modifier(Modifier::BOLD)), area);
}

/// What there is room for of a title, from its end: there paths differ. What stands behind it is never pushed out by it.
fn end_of(title: &str, room: usize) -> String {
    const LEAST: usize = 8;
    match title.chars().count().saturating_sub(room.max(LEAST)) {
        0 => title.to_owned(),
        over => std::iter::once('…').chain(title.chars().skip(over + 1)).collect(),
    }
}

fn clock(now: Offset) -> String {
    let seconds = now.as_micros() / 1_000_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn draw_edges(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    let wide = area.width >= 120;
    let mut header = vec!["edge", "listen", "open", "calls/s", "failed", "p50", "p99"];
    let mut widths = vec![
        Constraint::Fill(2),
        if wide { Constraint::Fill(3) } else { Constraint::Length(15) },
        Constraint::Length(5),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(5),
    ];
    if wide {
        header.extend(["sent", "received"]);
        widths.extend([Constraint::Length(9), Constraint::Length(9)]);
    }
    header.push("faults");
    widths.push(Constraint::Fill(3));
    // Only what can be seen is made: a thousand edges cost no more than a screenful.
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let selected = app.edge_index(world);
    let first = selected.saturating_sub(room - 1);
    let rows = world.edges.iter().skip(first).take(room).map(|(name, edge)| {
        let mut cells = vec![Cell::from(name.to_string()), Cell::from(edge.listen.clone())];
        cells.extend(numbers(edge, world.now));
        if wide {
            cells.extend([Cell::from(bytes_text(edge.bytes.0)), Cell::from(bytes_text(edge.bytes.1))]);
        }
        let standing: Vec<&str> = edge.faults.iter().map(|fault| fault.text.as_str()).collect();
        let what = match edge.door {
            Door::Closed => "! closed".to_owned(),
            Door::Open => standing.join(", "),
        };
        cells.push(Cell::from(what).style(Style::new().fg(HOT)));
        TableRow::new(cells)
    });
    let table = Table::new(rows, widths)
        .header(TableRow::new(header).style(Style::new().fg(COOL)))
        .row_highlight_style(Style::new().reversed())
        .block(Block::new().borders(Borders::BOTTOM));
    let mut state = TableState::default().with_selected(Some(selected - first));
    frame.render_stateful_widget(table, area, &mut state);
    if world.edges.is_empty() {
        let below = Rect { y: area.y + 1, height: 1, ..area };
        frame.render_widget(Paragraph::new("no edge yet").fg(COOL), below);
    }
}

fn numbers(edge: &Edge, now: Offset) -> [Cell<'static>; 5] {
    let quantile = |q| edge.figures.quantile(now, OVER, q).map_or("-".to_owned(), span_text);
    let failed = match edge.figures.failed(now, OVER) {
        None => Cell::from("-"),
        Some(share) if share > 0.0 => {
            Cell::from(format!("!{:.1}%", share * 100.0)).style(Style::new().fg(HOT).bold())
        }
        Some(_) => Cell::from("0%"),
    };
    [
        Cell::from(edge.open.to_string()),
        Cell::from(format!("{:.1}", edge.figures.rate(now, OVER))),
        failed,
        Cell::from(quantile(0.5)),
        Cell::from(quantile(0.99)),
    ]
}

fn draw_detail(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    let Some(name) = app.selected(world) else { return };
    let edge = &world.edges[name];
    let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Fill(1)]).areas(area);
    let [rate, latency] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(left);
    let seconds = usize::from(left.width.saturating_sub(1)).clamp(1, 119);
    draw_history(frame, rate, &edge.figures.calls(world.now, seconds), "calls/s", |top| top.to_string());
    draw_history(frame, latency, &edge.figures.medians(world.now, seconds), "p50", |top| {
        span_text(murphy_core::Span::from_micros(top))
    });
    let rows = app.rows(world);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let selected = app.row_index(world);
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let first = (selected + 1).saturating_sub(room);
    for (place, row) in rows.iter().enumerate().skip(first).take(room) {
        lines.push(fault_line(place, row, place == selected, edge, world.now));
    }
    if rows.is_empty() {
        let hint = if app.hands == Hands::Free { "none; press a to add one" } else { "none" };
        lines.push(Line::from(hint).fg(COOL));
    }
    let block = Block::bordered().title(format!(" faults on {name} → {} ", edge.upstream));
    frame.render_widget(Paragraph::new(lines).block(block), right);
}

fn fault_line(place: usize, row: &Row, selected: bool, edge: &Edge, now: Offset) -> Line<'static> {
    let number = if place < 9 { format!("{} ", place + 1) } else { "  ".to_owned() };
    let known = edge.faults.iter().find(|known| known.id == row.id);
    let (state, style) = match row.standing {
        Standing::On => ("ON  ", Style::new().fg(HOT).bold()),
        Standing::Off => ("off ", Style::new()),
    };
    let mut tail = known
        .and_then(|known| known.tally)
        .map(|tally| format!("  {}", tally_text(tally)))
        .unwrap_or_default();
    if let Some(until) = known.and_then(|known| known.until) {
        tail.push_str(&format!("  {} left", span_text(until.since(now))));
    }
    let text = Span::styled(format!("{}{}", state, row.text), style);
    let line = Line::from(vec![Span::raw(number), text, Span::raw(tail)]);
    if selected { line.reversed() } else { line }
}

fn draw_history(frame: &mut Frame<'_>, area: Rect, values: &[u64], what: &str, text: impl Fn(u64) -> String) {
    let top = values.iter().copied().max().unwrap_or(0);
    let title = if top == 0 { format!("{what} -") } else { format!("{what} max {}", text(top)) };
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(title).fg(COOL), head);
    frame.render_widget(Sparkline::default().data(values).style(Style::new().fg(COOL)), body);
}

fn draw_happenings(frame: &mut Frame<'_>, area: Rect, world: &World) {
    let room = usize::from(area.height.saturating_sub(1));
    let skip = world.happenings.len().saturating_sub(room);
    let lines: Vec<Line<'_>> = world
        .happenings
        .iter()
        .skip(skip)
        .map(|happening| {
            let (mark, style) = match happening.loudness {
                Loudness::Deed => ("*", Style::new().fg(HOT)),
                Loudness::Notice => (" ", Style::new()),
                Loudness::Trouble => ("!", Style::new().bold()),
            };
            let times = if happening.times > 1 { format!(" (×{})", happening.times) } else { String::new() };
            Line::styled(format!("{} {mark} {}{times}", clock(happening.at), happening.text), style)
        })
        .collect();
    let block = Block::new().borders(Borders::TOP).title(" what happened ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, app: &App, world: &World) {
    if app.is_on_connections(world) {
        let text = " ↑↓ PgUp PgDn choose  Tab next edge  o edges  c containers  ? keys  q quit";
        frame.render_widget(Paragraph::new(text).reversed(), area);
        return;
    }
    let on_containers = app.is_on_containers(world);
    let text = match (app.hands, on_containers) {
        (Hands::Free, true) => {
            " ↑↓ choose  K kill  P pause  C cut off  u take back  c edges  s save  ? keys  q"
        }
        (Hands::Tied, true) => " ↑↓ container  c edges  ? keys  q quit",
        (Hands::Free, false) if world.containers.is_empty() => {
            " ↑↓  a add  1-9 on/off  ←→ tune  d remove  0 all off  o open  s save  ? keys  q"
        }
        (Hands::Free, false) => {
            " ↑↓  a add  1-9 on/off  ←→ tune  d remove  0 off  c containers  o open  s  ?  q"
        }
        (Hands::Tied, false) if world.containers.is_empty() => " ↑↓ edge  o open connections  ? help  q quit",
        (Hands::Tied, false) => " ↑↓ edge  c containers  o open connections  ? help  q quit",
    };
    frame.render_widget(Paragraph::new(text).reversed(), area);
}

pub(crate) fn popup(frame: &mut Frame<'_>, height: u16) -> Rect {
    let area = frame.area();
    let (width, height) = (area.width.min(76), height.min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    place
}

pub(crate) fn draw_line(frame: &mut Frame<'_>, title: &str, line: &str, below: &[Line<'_>]) {
    let place = popup(frame, u16::try_from(below.len()).unwrap_or(20) + 3);
    let mut lines =
        vec![Line::from(vec![Span::raw("> "), Span::raw(line), Span::styled("█", Style::new().fg(HOT))])];
    lines.extend(below.iter().cloned());
    let text =
        Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title.to_owned()));
    frame.render_widget(text, place);
}

fn draw_adding(frame: &mut Frame<'_>, app: &App, world: &World, line: &str, error: Option<&str>) {
    let mut below: Vec<Line<'_>> = Vec::new();
    if let Some(error) = error {
        below.push(Line::styled(format!("! {error}"), Style::new().fg(HOT).bold()));
        below.push(Line::default());
    }
    let fitting = candidates(line);
    match fitting.as_slice() {
        [only] => {
            below.push(Line::from(only.about));
            for field in &only.fields {
                let must = if field.required { " (needed)" } else { "" };
                below.push(Line::from(format!("  {}=  {}{must}", field.name, field.about)).fg(COOL));
            }
        }
        many => below.extend(
            many.iter()
                .take(14)
                .map(|entry| Line::from(format!("{:<17} {}", entry.name, entry.about)).fg(COOL)),
        ),
    }
    let on = app.selected(world).map(ToString::to_string).unwrap_or_default();
    draw_line(frame, &format!(" add a fault to {on}: Tab completes, Enter arms, Esc leaves "), line, &below);
}

fn draw_help(frame: &mut Frame<'_>) {
    let text = [
        "Up Down    choose an edge             Tab        choose a fault of it",
        "a          add a fault                d          remove the chosen fault",
        "1-9        switch a fault on or off   space      switch the chosen one",
        "Left Right a tenth less or more, while traffic flows",
        "0          take off all put on here   s          save as a scenario",
        "c          to the containers and back: K kill, P pause, C cut off, each",
        "           after a question that names whom it touches; u takes back",
        "o          to the open connections of the edge and back: caller, age,",
        "           bytes, what each fault decided; there Tab chooses the next edge",
        "q          quit: everything that was put on here is taken back; faults of",
        "           others stay as they were left: tuned, off, removed by d",
        "",
        "calls/s, failed, p50 and p99 are of the last ten whole seconds.",
        "A call is a burst of bytes from the caller and the burst that answers it.",
    ];
    let place = popup(frame, u16::try_from(text.len()).unwrap_or(20) + 2);
    let lines: Vec<Line<'_>> = text.iter().map(|line| Line::from(*line)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), place);
}
