//! Keys while a container is chosen: what they ask for, and the question that stands before anything is done.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use crate::app::{App, Mode, Reaction, edit};
use crate::order::{Hands, Order};
use crate::stack::{Blow, ContainerState, Said, StackOrder, Touch};
use crate::stack_pane::fits;
use crate::world::World;

/// What the arrow keys choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    /// An edge.
    #[default]
    Edges,
    /// A container.
    Containers,
    /// An open connection of the chosen edge.
    Connections,
}

impl App {
    /// The chosen container.
    pub fn chosen<'w>(&self, world: &'w World) -> Option<&'w str> {
        world.containers.keys().nth(self.container_index(world)).map(String::as_str)
    }

    /// The place of the chosen container.
    pub fn container_index(&self, world: &World) -> usize {
        self.container.min(world.containers.len().saturating_sub(1))
    }

    /// True while keys are about containers.
    pub fn is_on_containers(&self, world: &World) -> bool {
        self.focus == Focus::Containers && !world.containers.is_empty()
    }

    pub(crate) fn browse_stack(&mut self, key: KeyEvent, world: &World) -> Reaction {
        match key.code {
            KeyCode::Char('q') => return Reaction::Quit,
            KeyCode::Char('c') | KeyCode::Esc => self.focus = Focus::Edges,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => {
                self.container = (self.container_index(world) + 1).min(world.containers.len().max(1) - 1);
            }
            KeyCode::Up | KeyCode::Char('k') => {
                self.container = self.container_index(world).saturating_sub(1);
            }
            KeyCode::Char('s') if self.may_save() => self.mode = Mode::saving(),
            _ if self.hands == Hands::Tied => {}
            KeyCode::Char('K') => return self.propose(world, Blow::Kill),
            KeyCode::Char('P') => return self.propose(world, Blow::Pause),
            KeyCode::Char('C') => self.mode = Mode::Cutting { line: self.others(world) },
            KeyCode::Char('u') => {
                if let Some(container) = self.chosen(world) {
                    let container = container.to_owned();
                    return Reaction::Do(vec![Order::Stack(StackOrder::Relieve { container })]);
                }
            }
            _ => {}
        }
        Reaction::Stay
    }

    /// All that run beside the chosen one and may be touched, as a line to be edited.
    fn others(&self, world: &World) -> String {
        let chosen = self.chosen(world);
        let runs = |state: &ContainerState| {
            !matches!(state.state.as_str(), "created" | "dead") && !state.state.starts_with("exited")
        };
        let others = world.containers.iter().filter(|(name, state)| {
            Some(name.as_str()) != chosen && runs(state) && state.touch == Touch::Allowed
        });
        others.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn cutting(&mut self, key: KeyEvent, mut line: String, world: &World) -> Reaction {
        match key.code {
            KeyCode::Esc => return Reaction::Stay,
            KeyCode::Enter if !line.trim().is_empty() => {
                return self.propose(world, Blow::Cut { from: line.trim().to_owned() });
            }
            _ => edit(&mut line, key),
        }
        self.mode = Mode::Cutting { line };
        Reaction::Stay
    }

    fn propose(&mut self, world: &World, blow: Blow) -> Reaction {
        let Some(container) = self.chosen(world).map(str::to_owned) else { return Reaction::Stay };
        self.question += 1;
        let number = self.question;
        self.mode = Mode::Asked { number };
        Reaction::Do(vec![Order::Stack(StackOrder::Propose { number, blow, container })])
    }

    /// Only `y`, and only once it is known whom it touches and all of that was drawn: a key that was pressed too early does nothing.
    pub(crate) fn asked(&mut self, key: KeyEvent, number: u64, world: &World) -> Reaction {
        let proposal = world.proposal.as_ref().filter(|proposal| proposal.number == number);
        let is_seen =
            |said: &Said| self.screen.is_some_and(|(area, drawn)| drawn == number && fits(area, said));
        let is_ready = proposal.is_some_and(|proposal| proposal.ready().is_some() && is_seen(&proposal.said));
        match key.code {
            KeyCode::Char('y') if is_ready => Reaction::Do(vec![Order::Stack(StackOrder::Agree { number })]),
            KeyCode::Char('n' | 'q') | KeyCode::Esc => Reaction::Stay,
            _ => {
                self.mode = Mode::Asked { number };
                Reaction::Stay
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;
    use ratatui::layout::Rect;

    use super::*;
    use crate::stack::Proposal;

    fn world() -> World {
        let mut world = World::default();
        for (name, state) in [("cart", "running"), ("db", "running"), ("old", "exited (0)")] {
            world
                .containers
                .insert(name.into(), ContainerState { state: state.into(), ..Default::default() });
        }
        world
    }

    fn press(app: &mut App, world: &World, code: KeyCode) -> Reaction {
        app.key(KeyEvent::new(code, KeyModifiers::NONE), world)
    }

    /// Draws, as the screen does.
    fn draw(app: &mut App, world: &World) {
        app.drawn_on(Rect::new(0, 0, 100, 30), world.proposal.as_ref().and_then(Proposal::ready));
    }

    #[test]
    fn a_proposal_that_was_not_drawn_yet_is_not_agreed_to() {
        let (mut app, mut world) = (App::new("x", Hands::Free), world());
        press(&mut app, &world, KeyCode::Char('c'));
        press(&mut app, &world, KeyCode::Char('K'));
        let yes = KeyCode::Char('y');
        let ready = Said::Ready { lines: vec!["cart".into()] };
        let proposal =
            |number, said: &Said| Some(Proposal { number, title: "kill cart".into(), said: said.clone() });
        world.proposal = proposal(1, &ready);
        assert_eq!(press(&mut app, &world, yes), Reaction::Stay, "nothing was drawn");
        world.proposal = proposal(1, &Said::Looking);
        draw(&mut app, &world);
        world.proposal = proposal(1, &ready);
        assert_eq!(press(&mut app, &world, yes), Reaction::Stay, "it became ready behind the picture");
        world.proposal = proposal(7, &ready);
        draw(&mut app, &world);
        world.proposal = proposal(1, &ready);
        assert_eq!(press(&mut app, &world, yes), Reaction::Stay, "another one was drawn");
        assert_eq!(app.mode, Mode::Asked { number: 1 }, "the question still stands");
        draw(&mut app, &world);
        let agreed = press(&mut app, &world, yes);
        assert_eq!(agreed, Reaction::Do(vec![Order::Stack(StackOrder::Agree { number: 1 })]));
    }

    #[test]
    fn nothing_is_done_before_it_is_known_whom_it_touches() {
        let (mut app, mut world) = (App::new("x", Hands::Free), world());
        press(&mut app, &world, KeyCode::Char('c'));
        press(&mut app, &world, KeyCode::Down);
        let asked = press(&mut app, &world, KeyCode::Char('K'));
        let order = StackOrder::Propose { number: 1, blow: Blow::Kill, container: "db".into() };
        assert_eq!(asked, Reaction::Do(vec![Order::Stack(order)]));
        draw(&mut app, &world);
        assert_eq!(press(&mut app, &world, KeyCode::Char('y')), Reaction::Stay, "nothing is known yet");
        let ready = Said::Ready { lines: vec!["db".into()] };
        world.proposal = Some(Proposal { number: 7, title: "kill cart".into(), said: ready.clone() });
        draw(&mut app, &world);
        assert_eq!(press(&mut app, &world, KeyCode::Char('y')), Reaction::Stay, "that was another question");
        world.proposal = Some(Proposal { number: 1, title: "kill db".into(), said: ready });
        draw(&mut app, &world);
        assert_eq!(press(&mut app, &world, KeyCode::Enter), Reaction::Stay, "Enter is pressed too easily");
        let agreed = press(&mut app, &world, KeyCode::Char('y'));
        assert_eq!(agreed, Reaction::Do(vec![Order::Stack(StackOrder::Agree { number: 1 })]));
        assert_eq!(app.mode, Mode::Browse);
    }

    #[test]
    fn a_cut_is_from_all_that_run_unless_another_name_is_typed() {
        let (mut app, world) = (App::new("x", Hands::Free), world());
        press(&mut app, &world, KeyCode::Char('c'));
        press(&mut app, &world, KeyCode::Char('C'));
        assert_eq!(app.mode, Mode::Cutting { line: "db".into() });
        let Reaction::Do(orders) = press(&mut app, &world, KeyCode::Enter) else { panic!("no order") };
        let blow = Blow::Cut { from: "db".into() };
        assert_eq!(orders, [Order::Stack(StackOrder::Propose { number: 1, blow, container: "cart".into() })]);
    }

    #[test]
    fn tied_hands_strike_nobody_and_a_world_without_containers_has_nothing_to_choose() {
        let (mut app, world) = (App::new("x", Hands::Tied), world());
        press(&mut app, &world, KeyCode::Char('c'));
        for key in ['K', 'P', 'C', 'u'] {
            assert_eq!(press(&mut app, &world, KeyCode::Char(key)), Reaction::Stay);
            assert_eq!(app.mode, Mode::Browse);
        }
        let (mut app, empty) = (App::new("x", Hands::Free), World::default());
        press(&mut app, &empty, KeyCode::Char('c'));
        assert!(!app.is_on_containers(&empty));
        assert_eq!(press(&mut app, &empty, KeyCode::Char('K')), Reaction::Stay);
    }
}
