//! Keys while connections are chosen: which one, and which page of them is to be read.

use murphy_core::EdgeName;
use murphy_proxy::EdgeConn;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use crate::app::{App, Mode, Reaction};
use crate::connections::{Behind, Listed, OpenConnection, Page, Window};
use crate::order::Order;
use crate::stack_keys::Focus;
use crate::world::World;

/// Rows of a leap by PgUp and PgDn.
const LEAP: usize = 20;

/// Where the screen is among the connections of an edge.
#[derive(Debug, Clone)]
pub(crate) struct Among {
    /// Of which edge.
    edge: Option<EdgeName>,
    /// Behind which connection the page begins.
    after: EdgeConn,
    /// The same of the pages before it.
    before: Vec<EdgeConn>,
    /// The chosen one. By its place in the list and not by its row, so that it stays chosen while others end.
    chosen: EdgeConn,
    /// What was asked for last.
    asked: Option<Window>,
}

impl Default for Among {
    fn default() -> Among {
        let start = EdgeConn::START;
        Among { edge: None, after: start, before: Vec::new(), chosen: start, asked: None }
    }
}

/// Which way of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl App {
    /// True while keys are about connections.
    pub fn is_on_connections(&self, world: &World) -> bool {
        self.focus == Focus::Connections && !world.edges.is_empty()
    }

    /// What is to be read from now on, where that is another page than before, or none any more. To be called before each picture: an
    /// edge may have come or gone without a key.
    pub fn look(&mut self, world: &World) -> Option<Order> {
        let edge = self.selected(world).filter(|_| self.is_on_connections(world)).cloned();
        if self.among.edge != edge {
            self.among = Among { edge, asked: self.among.asked.take(), ..Among::default() };
        }
        // All of this page have ended, or it is the last one and was left by them.
        if let Some((window, [], Behind::Nothing)) = self.rows_of(world)
            && window.after == self.among.after
            && let Some(before) = self.among.before.pop()
        {
            self.among.after = before;
        }
        let wanted = self.among.edge.clone().map(|edge| Window { edge, after: self.among.after });
        if self.among.asked == wanted {
            return None;
        }
        self.among.asked.clone_from(&wanted);
        Some(Order::Look(wanted))
    }

    /// The page that is there, if it is one of the chosen edge.
    pub(crate) fn page<'w>(&self, world: &'w World) -> Option<&'w Page> {
        let edge = self.selected(world)?;
        world.connections.as_deref().filter(|page| page.window.edge == *edge)
    }

    fn rows_of<'w>(&self, world: &'w World) -> Option<(&'w Window, &'w [OpenConnection], Behind)> {
        let page = self.page(world)?;
        match &page.listed {
            Listed::Rows { rows, behind } => Some((&page.window, rows.as_slice(), *behind)),
            Listed::Untold { .. } => None,
        }
    }

    /// The row of the chosen connection; of the next one, where it has ended.
    pub(crate) fn connection_index(&self, rows: &[OpenConnection]) -> usize {
        rows.partition_point(|row| row.place < self.among.chosen).min(rows.len().saturating_sub(1))
    }

    pub(crate) fn browse_connections(&mut self, key: KeyEvent, world: &World) -> Reaction {
        match key.code {
            KeyCode::Char('q') => return Reaction::Quit,
            KeyCode::Char('o') | KeyCode::Esc => self.focus = Focus::Edges,
            KeyCode::Char('c') => self.focus = Focus::Containers,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => self.step(world, Way::Down, 1),
            KeyCode::Up | KeyCode::Char('k') => self.step(world, Way::Up, 1),
            KeyCode::PageDown => self.step(world, Way::Down, LEAP),
            KeyCode::PageUp => self.step(world, Way::Up, LEAP),
            KeyCode::Tab => self.next_edge(world),
            KeyCode::BackTab => self.previous_edge(world),
            KeyCode::Char('s') if self.may_save() => self.mode = Mode::saving(),
            _ => {}
        }
        Reaction::Stay
    }

    /// Chooses another connection; from the end of a page, the page beside it. While that has not come, nothing more.
    fn step(&mut self, world: &World, way: Way, by: usize) {
        let Some((window, rows, behind)) = self.rows_of(world) else { return };
        let at = self.connection_index(rows);
        let last = rows.len().saturating_sub(1);
        let is_there = window.after == self.among.after;
        let among = &mut self.among;
        match way {
            Way::Down if at < last => among.chosen = rows[(at + by).min(last)].place,
            Way::Up if at > 0 => among.chosen = rows[at.saturating_sub(by)].place,
            Way::Down if is_there && behind == Behind::More => {
                among.before.push(among.after);
                // The first one of the next page stands behind it.
                (among.after, among.chosen) = (rows[last].place, rows[last].place);
            }
            Way::Up if is_there => {
                if let Some(before) = among.before.pop() {
                    among.after = before;
                }
            }
            Way::Down | Way::Up => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use murphy_core::{ConnId, Span};
    use murphy_proxy::Stage;
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;
    use crate::order::Hands;

    fn place(conn: u64) -> EdgeConn {
        EdgeConn { proxy: 0, conn: ConnId(conn) }
    }

    fn window(edge: &str, after: u64) -> Window {
        Window { edge: EdgeName::new(edge).unwrap(), after: place(after) }
    }

    fn row(conn: u64) -> OpenConnection {
        OpenConnection {
            place: place(conn),
            peer: format!("127.0.0.1:{conn}"),
            age: Span::from_secs(1),
            stage: Stage::Carried,
            to_upstream: 0,
            to_client: 0,
            decisions: Vec::new(),
        }
    }

    /// A source whose pages hold so many.
    const PAGE: usize = 4;

    struct Desk {
        app: App,
        world: World,
        open: Vec<u64>,
    }

    impl Desk {
        fn new(open: impl IntoIterator<Item = u64>) -> Desk {
            let mut world = World::default();
            for name in ["cache", "db"] {
                world.edge(&EdgeName::new(name).unwrap());
            }
            Desk { app: App::new("x", Hands::Tied), world, open: open.into_iter().collect() }
        }

        /// Looks as the screen does, and reads as a source does, until nothing else is wanted.
        fn settle(&mut self) {
            if let Some(Order::Look(wanted)) = self.app.look(&self.world) {
                self.world.connections = wanted.map(|window| Arc::new(self.read(window)));
                self.settle();
            }
        }

        fn read(&self, window: Window) -> Page {
            let rows: Vec<OpenConnection> = self
                .open
                .iter()
                .filter(|conn| place(**conn) > window.after)
                .take(PAGE)
                .map(|conn| row(*conn))
                .collect();
            let behind = if rows.len() == PAGE { Behind::More } else { Behind::Nothing };
            Page { window, listed: Listed::Rows { rows, behind } }
        }

        /// Some have ended since.
        fn end(&mut self, gone: &[u64]) {
            self.open.retain(|conn| !gone.contains(conn));
            let window = self.world.connections.as_ref().map(|page| page.window.clone());
            self.world.connections = window.map(|window| Arc::new(self.read(window)));
            self.settle();
        }

        fn press(&mut self, code: KeyCode) {
            let reaction = self.app.key(KeyEvent::new(code, KeyModifiers::NONE), &self.world);
            assert_eq!(reaction, Reaction::Stay, "{code:?}");
            self.settle();
        }

        fn chosen(&self) -> Option<u64> {
            let (_, rows, _) = self.app.rows_of(&self.world)?;
            rows.get(self.app.connection_index(rows)).map(|row| row.place.conn.0)
        }
    }

    #[test]
    fn they_are_read_only_while_they_are_looked_at_and_those_of_the_chosen_edge() {
        let mut desk = Desk::new(1..=2);
        desk.settle();
        assert_eq!(desk.world.connections, None);
        desk.press(KeyCode::Char('o'));
        let seen = |desk: &Desk| desk.world.connections.as_ref().map(|page| page.window.clone());
        assert_eq!(seen(&desk), Some(window("cache", 0)));
        desk.press(KeyCode::Tab);
        assert_eq!(seen(&desk), Some(window("db", 0)));
        desk.world.edges.remove(&EdgeName::new("db").unwrap());
        desk.settle();
        assert_eq!(seen(&desk), Some(window("cache", 0)), "an edge may go without a key");
        desk.press(KeyCode::Esc);
        assert_eq!(seen(&desk), None);
        assert_eq!(desk.app.look(&desk.world), None, "it is said once");
    }

    #[test]
    fn every_one_is_reached_downward_and_upward_whatever_page_it_is_on() {
        let mut desk = Desk::new((1..=10).map(|n| n * 3));
        desk.press(KeyCode::Char('o'));
        let mut met = Vec::new();
        for _ in 0..12 {
            met.extend(desk.chosen());
            desk.press(KeyCode::Down);
        }
        assert_eq!(met, [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 30, 30]);
        met.clear();
        for _ in 0..12 {
            met.extend(desk.chosen());
            desk.press(KeyCode::Up);
        }
        assert_eq!(met, [30, 27, 24, 21, 18, 15, 12, 9, 6, 3, 3, 3]);
    }

    #[test]
    fn a_leap_stops_at_the_end_of_a_page_and_goes_on_with_the_next() {
        let mut desk = Desk::new(1..=10);
        desk.press(KeyCode::Char('o'));
        let mut met = Vec::new();
        for _ in 0..6 {
            met.extend(desk.chosen());
            desk.press(KeyCode::PageDown);
        }
        assert_eq!(met, [1, 4, 5, 8, 9, 10]);
    }

    #[test]
    fn the_chosen_one_stays_chosen_while_others_end_and_the_next_one_is_when_it_ends() {
        let mut desk = Desk::new(1..=10);
        desk.press(KeyCode::Char('o'));
        for _ in 0..2 {
            desk.press(KeyCode::Down);
        }
        assert_eq!(desk.chosen(), Some(3));
        desk.end(&[1, 2]);
        assert_eq!(desk.chosen(), Some(3));
        desk.end(&[3]);
        assert_eq!(desk.chosen(), Some(4));
        desk.end(&[4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(desk.chosen(), None);
        desk.press(KeyCode::Down);
        desk.press(KeyCode::Up);
    }

    #[test]
    fn a_page_of_which_all_have_ended_gives_way_to_the_one_before() {
        let mut desk = Desk::new(1..=6);
        desk.press(KeyCode::Char('o'));
        for _ in 0..5 {
            desk.press(KeyCode::Down);
        }
        assert_eq!(desk.chosen(), Some(6));
        desk.end(&[5, 6]);
        assert_eq!(desk.chosen(), Some(4));
    }

    #[test]
    fn nothing_is_chosen_on_a_page_that_has_not_come_yet() {
        let mut desk = Desk::new(1..=10);
        desk.press(KeyCode::Char('o'));
        for _ in 0..3 {
            desk.press(KeyCode::Down);
        }
        let down = KeyEvent::new(KeyCode::Down, KeyModifiers::NONE);
        for _ in 0..5 {
            desk.app.key(down, &desk.world);
        }
        desk.settle();
        assert_eq!(desk.chosen(), Some(5), "one page further, and not five");
    }
}
