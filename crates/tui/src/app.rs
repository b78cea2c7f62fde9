//! The state of the screen: what is selected, what is being typed, what was put aside. Keys go in, orders come out;
//! it knows no terminal and touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use murphy_core::{EdgeName, FaultId};
use murphy_faults::Fault;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::connections_keys::Among;
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
    pub(crate) among: Among,
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
            title: title.into(),
            edge: 0,
            row: 0,
            aside: BTreeMap::new(),
            armed: BTreeSet::new(),
            removed: BTreeSet::new(),
            counter: 0,
            focus: Focus::default(),
            among: Among::default(),
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
        self.hands == Hands::Free
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
            Mode::Browse if self.is_on_connections(world) => self.browse_connections(key, world),
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
            KeyCode::Down | KeyCode::Char('j') => self.next_edge(world),
            KeyCode::Up | KeyCode::Char('k') => self.previous_edge(world),
            KeyCode::Tab => self.row = (self.row_index(world) + 1) % rows.len().max(1),
            KeyCode::BackTab => {
                self.row = (self.row_index(world) + rows.len().max(1) - 1) % rows.len().max(1)
            }
            KeyCode::Char('c') => self.focus = Focus::Containers,
            KeyCode::Char('o') => self.focus = Focus::Connections,
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

    pub(crate) fn next_edge(&mut self, world: &World) {
        (self.edge, self.row) = ((self.edge_index(world) + 1).min(world.edges.len().max(1) - 1), 0);
    }

    pub(crate) fn previous_edge(&mut self, world: &World) {
        (self.edge, self.row) = (self.edge_index(world).saturating_sub(1), 0);
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
mod tests;
