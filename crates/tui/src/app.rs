//! The state of the screen: what is selected, what is being typed, what was put aside. Keys go in, orders come out;
//! it knows no terminal and touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use murphy_core::{EdgeName, FaultId};
use murphy_faults::Fault;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::order::{Hands, Order};
use crate::stack_keys::Focus;
use crate::typed::{Turn, candidates, fault, turned};
use crate::world::{Whose, World};

/// What the keys mean at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// Moving about.
    #[default]
    Browse,
    /// Typing a fault for the selected edge.
    Adding {
        /// What has been typed.
        line: String,
        /// Why it cannot be meant, after Enter.
        error: Option<String>,
    },
    /// Typing where to save.
    Saving {
        /// The path so far.
        line: String,
    },
    /// Typing from whom the chosen container is to be cut off.
    Cutting {
        /// Names with commas.
        line: String,
    },
    /// It is asked whether something is to be done to containers.
    Asked {
        /// Of the question.
        number: u64,
    },
    /// The keys are listed.
    Help,
}

impl Mode {
    pub(crate) fn saving() -> Mode {
        Mode::Saving { line: "recorded.yaml".to_owned() }
    }
}

/// What the loop is to do after a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Draw again.
    Stay,
    /// Carry this out, and draw again.
    Do(Vec<Order>),
    /// End.
    Quit,
}

/// A fault as it is listed: standing, or switched off and kept for later.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which.
    pub id: FaultId,
    /// As printed.
    pub text: String,
    /// The fault, where it is known.
    pub fault: Option<Fault>,
    /// Whether it stands.
    pub standing: Standing,
}

/// Whether a listed fault stands on its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    On,
    /// It was switched off by hand and can be switched on again.
    Off,
}

/// The state of the screen.
#[derive(Debug, Clone)]
pub struct App {
    /// What the keys mean.
    pub mode: Mode,
    /// Whether orders are taken.
    pub hands: Hands,
    /// Whether orders on containers are taken.
    pub stack_hands: Hands,
    /// What is watched, for the title.
    pub title: String,
    edge: usize,
    row: usize,
    aside: BTreeMap<(EdgeName, FaultId), Fault>,
    /// Of those aside: switched on again, and not seen to stand yet.
    armed: BTreeSet<(EdgeName, FaultId)>,
    /// Taken off for good: no new fault is called so, for that would be another one.
    removed: BTreeSet<(EdgeName, FaultId)>,
    counter: u64,
    pub(crate) focus: Focus,
    pub(crate) container: usize,
    pub(crate) question: u64,
    /// What was drawn last, if it was a proposal that could be agreed to: its room and its number.
    pub(crate) screen: Option<(Rect, u64)>,
}

impl App {
    /// A fresh screen.
    pub fn new(title: impl Into<String>, hands: Hands) -> App {
        App {
            mode: Mode::Browse,
            hands,
            stack_hands: hands,
            title: title.into(),
            edge: 0,
            row: 0,
            aside: BTreeMap::new(),
            armed: BTreeSet::new(),
            removed: BTreeSet::new(),
            counter: 0,
            focus: Focus::default(),
            container: 0,
            question: 0,
            screen: None,
        }
    }

    /// It was drawn with so much room: what did not fit was not seen. `ready` is the number of the proposal that it showed, if that
    /// one could be agreed to.
    pub fn drawn_on(&mut self, area: Rect, ready: Option<u64>) {
        self.screen = ready.map(|number| (area, number));
    }

    /// Takes note of what stands now: what was switched on, and came, is aside no more.
    pub(crate) fn settle(&mut self, world: &World) {
        let stands = |(edge, id): &(EdgeName, FaultId)| {
            world.edges.get(edge).is_some_and(|edge| edge.faults.iter().any(|known| known.id == *id))
        };
        self.armed.retain(|key| {
            let is_there = stands(key);
            if is_there {
                self.aside.remove(key);
            }
            !is_there
        });
    }

    /// Whether there is anything of these hands that could be saved.
    pub(crate) fn may_save(&self) -> bool {
        [self.hands, self.stack_hands].contains(&Hands::Free)
    }

    /// The selected edge.
    pub fn selected<'w>(&self, world: &'w World) -> Option<&'w EdgeName> {
        world.edges.keys().nth(self.edge.min(world.edges.len().saturating_sub(1)))
    }

    /// The place of the selected edge.
    pub fn edge_index(&self, world: &World) -> usize {
        self.edge.min(world.edges.len().saturating_sub(1))
    }

    /// The place of the selected fault.
    pub fn row_index(&self, world: &World) -> usize {
        self.row.min(self.rows(world).len().saturating_sub(1))
    }

    /// The faults of the selected edge: first those that stand, then those that were switched off.
    pub fn rows(&self, world: &World) -> Vec<Row> {
        let Some(name) = self.selected(world) else { return Vec::new() };
        let standing = &world.edges[name].faults;
        let on = standing.iter().map(|known| Row {
            id: known.id.clone(),
            text: known.text.clone(),
            fault: known.fault.clone(),
            standing: Standing::On,
        });
        let off = self
            .aside
            .iter()
            .filter(|((edge, id), _)| edge == name && !standing.iter().any(|known| known.id == *id))
            .map(|((_, id), fault)| Row {
                id: id.clone(),
                text: fault.text(),
                fault: Some(fault.clone()),
                standing: Standing::Off,
            });
        let mut rows: Vec<Row> = on.chain(off).collect();
        // A fault keeps its place when it is switched: its number is what fingers remember.
        murphy_core::sort_short(&mut rows, |a, b| {
            ordinal(&a.id).cmp(&ordinal(&b.id)).then_with(|| a.id.cmp(&b.id))
        });
        rows
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, world: &World) -> Reaction {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Reaction::Quit;
        }
        self.settle(world);
        match std::mem::take(&mut self.mode) {
            Mode::Browse if self.is_on_containers(world) => self.browse_stack(key, world),
            Mode::Browse => self.browse(key, world),
            Mode::Adding { line, .. } => self.adding(key, line, world),
            Mode::Saving { line } => self.saving(key, line),
            Mode::Cutting { line } => self.cutting(key, line, world),
            Mode::Asked { number } => self.asked(key, number, world),
            Mode::Help => Reaction::Stay,
        }
    }

    fn browse(&mut self, key: KeyEvent, world: &World) -> Reaction {
        let rows = self.rows(world);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Reaction::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => {
                (self.edge, self.row) = ((self.edge_index(world) + 1).min(world.edges.len().max(1) - 1), 0);
            }
            KeyCode::Up | KeyCode::Char('k') => {
                (self.edge, self.row) = (self.edge_index(world).saturating_sub(1), 0);
            }
            KeyCode::Tab => self.row = (self.row_index(world) + 1) % rows.len().max(1),
            KeyCode::BackTab => {
                self.row = (self.row_index(world) + rows.len().max(1) - 1) % rows.len().max(1)
            }
            KeyCode::Char('c') => self.focus = Focus::Containers,
            KeyCode::Char('s') if self.may_save() => self.mode = Mode::saving(),
            _ if self.hands == Hands::Tied => {}
            KeyCode::Char('a' | '+') => self.mode = Mode::Adding { line: String::new(), error: None },
            KeyCode::Char('0') => return self.all_off(world),
            KeyCode::Char(' ') => return self.switch(world, rows.get(self.row_index(world))),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit as usize - '1' as usize;
                self.row = place.min(rows.len().saturating_sub(1));
                return self.switch(world, rows.get(place));
            }
            KeyCode::Right | KeyCode::Char('l') => {
                return self.turn(world, rows.get(self.row_index(world)), Turn::Up);
            }
            KeyCode::Left => return self.turn(world, rows.get(self.row_index(world)), Turn::Down),
            KeyCode::Char('d') | KeyCode::Delete => {
                return self.remove(world, rows.get(self.row_index(world)));
            }
            _ => {}
        }
        Reaction::Stay
    }

    fn switch(&mut self, world: &World, row: Option<&Row>) -> Reaction {
        let (Some(edge), Some(row)) = (self.selected(world).cloned(), row) else { return Reaction::Stay };
        let key = (edge.clone(), row.id.clone());
        match (row.standing, &row.fault) {
            (Standing::Off, Some(fault)) => {
                // It may be refused: the row is given up only for one that stands.
                self.armed.insert(key);
                Reaction::Do(vec![Order::Arm { edge, id: row.id.clone(), fault: Box::new(fault.clone()) }])
            }
            (Standing::On, Some(fault)) => {
                self.put_aside(key, fault.clone());
                Reaction::Do(vec![Order::Lift { edge, id: row.id.clone() }])
            }
            // It could not be switched on again: only `d` takes it off.
            (_, None) => Reaction::Stay,
        }
    }

    fn put_aside(&mut self, key: (EdgeName, FaultId), fault: Fault) {
        self.armed.remove(&key);
        self.aside.insert(key, fault);
    }

    fn turn(&mut self, world: &World, row: Option<&Row>, turn: Turn) -> Reaction {
        let (Some(edge), Some(row)) = (self.selected(world).cloned(), row) else { return Reaction::Stay };
        let Some(fault) = row.fault.as_ref().and_then(|fault| turned(fault, turn)) else {
            return Reaction::Stay;
        };
        match row.standing {
            Standing::On => {
                Reaction::Do(vec![Order::Arm { edge, id: row.id.clone(), fault: Box::new(fault) }])
            }
            Standing::Off => {
                self.aside.insert((edge, row.id.clone()), fault);
                Reaction::Stay
            }
        }
    }

    fn remove(&mut self, world: &World, row: Option<&Row>) -> Reaction {
        let (Some(edge), Some(row)) = (self.selected(world).cloned(), row) else { return Reaction::Stay };
        let key = (edge.clone(), row.id.clone());
        self.aside.remove(&key);
        self.armed.remove(&key);
        self.removed.insert(key);
        match row.standing {
            Standing::On => Reaction::Do(vec![Order::Lift { edge, id: row.id.clone() }]),
            Standing::Off => Reaction::Stay,
        }
    }

    fn all_off(&mut self, world: &World) -> Reaction {
        for (name, edge) in &world.edges {
            for known in edge.faults.iter().filter(|known| known.whose == Whose::Ours) {
                if let Some(fault) = &known.fault {
                    self.put_aside((name.clone(), known.id.clone()), fault.clone());
                }
            }
        }
        Reaction::Do(vec![Order::LiftAll])
    }

    fn adding(&mut self, key: KeyEvent, mut line: String, world: &World) -> Reaction {
        match key.code {
            KeyCode::Esc => return Reaction::Stay,
            KeyCode::Enter => match fault(&line) {
                Ok(fault) => {
                    let Some(edge) = self.selected(world).cloned() else { return Reaction::Stay };
                    let Some(id) = self.free_id(&edge, world, fault.name()) else { return Reaction::Stay };
                    self.row = self.rows(world).len();
                    return Reaction::Do(vec![Order::Arm { edge, id, fault: Box::new(fault) }]);
                }
                Err(error) => {
                    self.mode = Mode::Adding { line, error: Some(error.to_string()) };
                    return Reaction::Stay;
                }
            },
            KeyCode::Tab => {
                if let ([only, ..], false) = (candidates(&line).as_slice(), line.contains(' ')) {
                    line = format!("{} ", only.name);
                }
            }
            _ => edit(&mut line, key),
        }
        self.mode = Mode::Adding { line, error: None };
        Reaction::Stay
    }

    fn saving(&mut self, key: KeyEvent, mut line: String) -> Reaction {
        match key.code {
            KeyCode::Esc => return Reaction::Stay,
            KeyCode::Enter if !line.trim().is_empty() => {
                return Reaction::Do(vec![Order::Save { path: PathBuf::from(line.trim()) }]);
            }
            _ => edit(&mut line, key),
        }
        self.mode = Mode::Saving { line };
        Reaction::Stay
    }

    /// `latency-1`, `latency-2`: a name that nothing on the edge has, standing or aside.
    fn free_id(&mut self, edge: &EdgeName, world: &World, name: &str) -> Option<FaultId> {
        loop {
            self.counter += 1;
            let id = FaultId::new(&format!("{name}-{}", self.counter)).ok()?;
            let stands =
                world.edges.get(edge).is_some_and(|edge| edge.faults.iter().any(|known| known.id == id));
            let key = (edge.clone(), id);
            if !stands && !self.aside.contains_key(&key) && !self.removed.contains(&key) {
                return Some(key.1);
            }
        }
    }
}

/// The number at the end of an id, so that `latency-10` stands behind `reset-2`.
fn ordinal(id: &FaultId) -> u64 {
    id.as_str().rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(crate) fn edit(line: &mut String, key: KeyEvent) {
    match key.code {
        KeyCode::Backspace => {
            line.pop();
        }
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => line.clear(),
        KeyCode::Char(c) if line.len() < 200 && !c.is_control() => line.push(c),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::Offset;

    use super::*;
    use crate::world::StandingFault;

    fn world() -> World {
        let mut world = World::default();
        for name in ["cache", "db"] {
            world.edge(&EdgeName::new(name).unwrap());
        }
        world
    }

    /// Carries orders out on a world, as a source would.
    fn obey(world: &mut World, orders: &[Order]) {
        for order in orders {
            match order {
                Order::Arm { edge, id, fault } => {
                    let faults = &mut world.edge(edge).faults;
                    let standing = StandingFault {
                        id: id.clone(),
                        text: fault.text(),
                        fault: Some((**fault).clone()),
                        tally: None,
                        until: None::<Offset>,
                        whose: Whose::Ours,
                    };
                    match faults.iter_mut().find(|known| known.id == *id) {
                        Some(known) => *known = standing,
                        None => faults.push(standing),
                    }
                }
                Order::Lift { edge, id } => {
                    world.edge(edge).faults.retain(|known| known.id != *id);
                }
                Order::LiftAll => {
                    let names: Vec<EdgeName> = world.edges.keys().cloned().collect();
                    let theirs = |known: &StandingFault| known.whose == Whose::Theirs;
                    names.iter().for_each(|name| world.edge(name).faults.retain(theirs));
                }
                Order::Save { .. } | Order::Stack(_) => {}
            }
        }
    }

    struct Desk {
        app: App,
        world: World,
    }

    impl Desk {
        fn new() -> Desk {
            Desk { app: App::new("test", Hands::Free), world: world() }
        }

        fn press(&mut self, code: KeyCode) -> Reaction {
            let reaction = self.app.key(KeyEvent::new(code, KeyModifiers::NONE), &self.world);
            if let Reaction::Do(orders) = &reaction {
                obey(&mut self.world, orders);
            }
            reaction
        }

        fn typed(&mut self, text: &str) {
            for c in text.chars() {
                self.press(KeyCode::Char(c));
            }
        }

        fn shown(&self) -> Vec<String> {
            let rows = self.app.rows(&self.world);
            rows.iter().map(|row| format!("{:?} {}", row.standing, row.text)).collect()
        }
    }

    #[test]
    fn a_fault_is_added_tuned_switched_and_removed_by_key() {
        let mut desk = Desk::new();
        desk.typed("alatency 200ms");
        desk.press(KeyCode::Enter);
        assert_eq!(desk.shown(), ["On latency 200ms"]);
        desk.press(KeyCode::Right);
        assert_eq!(desk.shown(), ["On latency 220ms"]);
        desk.press(KeyCode::Char('1'));
        assert_eq!(desk.shown(), ["Off latency 220ms"]);
        desk.press(KeyCode::Left);
        desk.press(KeyCode::Char(' '));
        assert_eq!(desk.shown(), ["On latency 200ms"]);
        desk.press(KeyCode::Char('d'));
        assert_eq!(desk.shown(), Vec::<String>::new());
    }

    #[test]
    fn a_switched_fault_keeps_its_number() {
        let mut desk = Desk::new();
        for line in ["areset", "alatency 10ms"] {
            desk.typed(line);
            desk.press(KeyCode::Enter);
        }
        let both = desk.shown();
        desk.press(KeyCode::Char('1'));
        desk.press(KeyCode::Char('1'));
        assert_eq!(desk.shown(), both);
    }

    #[test]
    fn a_fault_that_cannot_be_switched_on_keeps_its_row_and_one_that_came_has_only_one() {
        let mut desk = Desk::new();
        desk.typed("alatency 10ms");
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::Char('1'));
        let one = KeyEvent::new(KeyCode::Char('1'), KeyModifiers::NONE);
        let Reaction::Do(orders) = desk.app.key(one, &desk.world) else { panic!("no order") };
        assert_eq!(desk.shown(), ["Off latency 10ms"], "refused, or not there yet");
        assert_eq!(desk.app.key(one, &desk.world), Reaction::Do(orders.clone()), "it can be tried again");
        obey(&mut desk.world, &orders);
        assert_eq!(desk.shown(), ["On latency 10ms"]);
        desk.press(KeyCode::Tab);
        assert_eq!(desk.shown(), ["On latency 10ms"]);
        desk.world.edge(&EdgeName::new("cache").unwrap()).faults.clear();
        assert_eq!(desk.shown(), Vec::<String>::new(), "it stood, and ended by itself");
    }

    #[test]
    fn a_fault_that_is_being_switched_off_is_listed_until_it_is_off_and_then() {
        let mut desk = Desk::new();
        desk.typed("alatency 10ms");
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::Char('1'));
        desk.press(KeyCode::Char('1'));
        let one = KeyEvent::new(KeyCode::Char('1'), KeyModifiers::NONE);
        let Reaction::Do(orders) = desk.app.key(one, &desk.world) else { panic!("no order") };
        desk.press(KeyCode::Tab);
        assert_eq!(desk.shown(), ["On latency 10ms"], "it still stands");
        obey(&mut desk.world, &orders);
        assert_eq!(desk.shown(), ["Off latency 10ms"]);
    }

    #[test]
    fn nonsense_is_kept_on_the_line_with_its_reason() {
        let mut desk = Desk::new();
        desk.typed("alatency 200");
        assert_eq!(desk.press(KeyCode::Enter), Reaction::Stay);
        let Mode::Adding { line, error } = &desk.app.mode else { panic!("{:?}", desk.app.mode) };
        assert_eq!(line, "latency 200");
        assert!(error.as_ref().unwrap().contains("200ms"), "{error:?}");
        desk.typed("ms");
        desk.press(KeyCode::Enter);
        assert_eq!(desk.shown(), ["On latency 200ms"]);
    }

    #[test]
    fn the_name_of_a_fault_is_completed() {
        let mut desk = Desk::new();
        desk.typed("alat");
        desk.press(KeyCode::Tab);
        assert_eq!(desk.app.mode, Mode::Adding { line: "latency ".into(), error: None });
    }

    #[test]
    fn faults_go_to_the_selected_edge_and_nought_takes_all_off() {
        let mut desk = Desk::new();
        desk.press(KeyCode::Down);
        desk.press(KeyCode::Down);
        desk.typed("areset");
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::Up);
        desk.typed("alatency 1s");
        desk.press(KeyCode::Enter);
        let count = |desk: &Desk| desk.world.edges.values().map(|edge| edge.faults.len()).collect::<Vec<_>>();
        assert_eq!(count(&desk), [1, 1]);
        desk.press(KeyCode::Char('0'));
        assert_eq!(count(&desk), [0, 0]);
        assert_eq!(desk.shown(), ["Off latency 1s"]);
    }

    #[test]
    fn nought_leaves_what_others_put_there_and_a_new_fault_is_never_called_as_one_of_theirs() {
        let mut desk = Desk::new();
        let fault = fault("latency 10ms").unwrap();
        let theirs = StandingFault {
            id: FaultId::new("latency-1").unwrap(),
            text: fault.text(),
            fault: Some(fault),
            tally: None,
            until: None,
            whose: Whose::Theirs,
        };
        let toxic = FaultId::new("toxic").unwrap();
        let toxic = StandingFault { id: toxic, text: "toxic x".into(), fault: None, ..theirs.clone() };
        desk.world.edge(&EdgeName::new("cache").unwrap()).faults = vec![theirs, toxic];
        desk.press(KeyCode::Char('0'));
        assert_eq!(desk.shown(), ["On toxic x", "On latency 10ms"]);
        assert_eq!(desk.press(KeyCode::Char('1')), Reaction::Stay, "a toxic has no way back");
        desk.press(KeyCode::Char('2'));
        assert_eq!(desk.shown(), ["On toxic x", "Off latency 10ms"]);
        desk.press(KeyCode::Char('d'));
        desk.typed("alatency 30ms");
        desk.press(KeyCode::Enter);
        let faults = &desk.world.edges[&EdgeName::new("cache").unwrap()].faults;
        assert_eq!(faults.iter().map(|known| known.id.as_str()).collect::<Vec<_>>(), ["toxic", "latency-2"]);
    }

    #[test]
    fn tied_hands_only_look() {
        let mut desk = Desk::new();
        (desk.app.hands, desk.app.stack_hands) = (Hands::Tied, Hands::Tied);
        for key in "as01 d".chars() {
            assert_eq!(desk.press(KeyCode::Char(key)), Reaction::Stay, "{key}");
            assert_eq!(desk.app.mode, Mode::Browse, "{key}");
        }
        assert_eq!(desk.press(KeyCode::Char('q')), Reaction::Quit);
    }

    #[test]
    fn control_c_ends_whatever_is_being_typed() {
        let mut desk = Desk::new();
        desk.typed("alat");
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(desk.app.key(key, &desk.world), Reaction::Quit);
    }

    #[test]
    fn a_world_without_edges_takes_every_key() {
        let mut desk = Desk { app: App::new("test", Hands::Free), world: World::default() };
        for code in
            [KeyCode::Down, KeyCode::Up, KeyCode::Tab, KeyCode::BackTab, KeyCode::Right, KeyCode::Delete]
        {
            assert_eq!(desk.press(code), Reaction::Stay);
        }
        for key in "jk 190dl?".chars() {
            desk.press(KeyCode::Char(key));
        }
    }
}
