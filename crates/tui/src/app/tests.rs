//! The keys of the screen, and what comes of them.

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
            Order::Look(_) | Order::Save { .. } | Order::Stack(_) => {}
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
    desk.app.hands = Hands::Tied;
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
    for code in [KeyCode::Down, KeyCode::Up, KeyCode::Tab, KeyCode::BackTab, KeyCode::Right, KeyCode::Delete]
    {
        assert_eq!(desk.press(code), Reaction::Stay);
    }
    for key in "jk 190dl?".chars() {
        desk.press(KeyCode::Char(key));
    }
}
