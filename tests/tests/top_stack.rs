//! The containers in `murphy top`: their state is shown, and they are struck by key, after a question that names whom it touches, and
//! given back at the end.

use std::time::Duration;

use murphy_testkit::Member;
use murphy_tests::{Bench, CartStack, Terminal, eventually, murphy};
use serde_json::Value;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn state(stack: &CartStack, of: &Member) -> Value {
    stack.sandbox.inspect(&of.id)["State"].clone()
}

fn is(stack: &CartStack, of: &Member, field: &str) -> bool {
    state(stack, of)[field].as_bool().expect("a state")
}

/// Opens it on both containers; the first one (the cart) is chosen.
fn opened(test: &str, bench: &Bench, stack: &CartStack) -> Option<Terminal> {
    let all = stack.sandbox.name("*");
    let line = format!("{} top --containers '{all}'", murphy().display());
    let terminal = Terminal::open(test, bench, &line)?;
    terminal.shows("no fault stands");
    terminal.typed("c");
    terminal.shows("K kill");
    terminal.shows(&stack.redis.name[..12]);
    Some(terminal)
}

#[test]
fn containers_are_paused_killed_and_cut_off_by_key_only_once_it_is_agreed_and_all_is_given_back() {
    let Some(stack) = CartStack::up("containers_are_paused_killed_and_cut_off") else { return };
    let bench = Bench::new();
    let Some(terminal) = opened("stack", &bench, &stack) else { return };
    let (cart, redis) = (&stack.cart, &stack.redis);
    terminal.shows(" MB");

    terminal.key("Down");
    terminal.typed("P");
    terminal.shows("y does it");
    terminal.shows(&format!("pause {}?", redis.name));
    terminal.shows("unpause");
    terminal.key("Escape");
    // Else the next key may come behind it in one piece, and both together are another key.
    terminal.hides("y does it");
    terminal.shows("no fault stands");
    assert!(!is(&stack, redis, "Paused"), "nobody agreed");
    terminal.typed("P");
    terminal.shows("y does it");
    terminal.typed("y");
    terminal.shows("!paused");
    terminal.shows("1 FAULT STANDS");
    assert!(is(&stack, redis, "Paused") && !is(&stack, cart, "Paused"));
    terminal.typed("u");
    terminal.shows("no fault stands");
    assert!(!is(&stack, redis, "Paused"));

    terminal.key("Up");
    terminal.typed("C");
    terminal.shows(&format!("> {}", redis.name));
    terminal.key("Enter");
    terminal.shows("y does it");
    let tables = || stack.tables_of_murphy(cart) + stack.tables_of_murphy(redis);
    assert_eq!(tables(), 0);
    terminal.typed("y");
    terminal.shows("1 FAULT STANDS");
    assert!(tables() > 0, "packets are stopped somewhere");
    terminal.typed("u");
    terminal.shows("no fault stands");
    assert_eq!(tables(), 0);

    terminal.typed("K");
    terminal.shows("y does it");
    terminal.typed("y");
    terminal.shows("!exited (137)");
    assert!(!is(&stack, cart, "Running"));
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("q");
    terminal.shows("ended with 0");
    assert!(is(&stack, cart, "Running"), "it was started again at the end");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    bench.run(&["check", "recorded.yaml"]).expect(0).says("3 faults");
    bench.run(&["plan", "recorded.yaml"]).expect(0).says(&cart.name).says("partition").says("kill");
}

#[test]
fn a_closed_terminal_gives_the_containers_back() {
    let Some(stack) = CartStack::up("a_closed_terminal_gives_the_containers_back") else { return };
    let bench = Bench::new();
    let Some(terminal) = opened("stack-hang-up", &bench, &stack) else { return };
    terminal.typed("P");
    terminal.shows("y does it");
    terminal.typed("y");
    terminal.shows("1 FAULT STANDS");
    assert!(is(&stack, &stack.cart, "Paused"));
    drop(terminal);
    let back = || !is(&stack, &stack.cart, "Paused") && bench.undo_logs().is_empty();
    eventually("it goes on, and nothing is left", PATIENCE, back);
}
