//! The containers in `murphy top`: their state is shown, and they are struck by key, after a question that names whom it touches, and
//! given back at the end.

use std::net::TcpStream;
use std::time::Duration;

use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, CartStack, Daemon, Terminal, echo, eventually, free_ports, murphy, round_trip};
use serde_json::{Value, json};

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
fn proxies_of_a_daemon_and_containers_of_a_project_are_steered_in_one_view() {
    let Some(sandbox) = Sandbox::open("proxies_of_a_daemon_and_containers_in_one_view") else { return };
    let project = sandbox.name("shop");
    let labelled = |service: &str| {
        sandbox.container(service, &[], json!({ "Labels": sandbox.compose_labels(&project, service, 1) }))
    };
    let (web, other) = (labelled("web"), sandbox.container("other", &[], json!({})));
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen 127.0.0.1:{port}")).expect(0);
    let line = format!("{} top --api {} --containers project:{project}", murphy().display(), daemon.url);
    let Some(terminal) = Terminal::open("daemon-stack", &bench, &line) else { return };
    terminal.shows("no fault stands");
    let mut call = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    round_trip(&mut call).expect("the echo");

    terminal.typed("alatency 300ms");
    terminal.key("Enter");
    terminal.shows("1 FAULT STANDS");
    assert!(round_trip(&mut call).expect("the echo") >= Duration::from_millis(600), "each way");
    terminal.typed("c");
    terminal.shows("K kill");
    terminal.shows(&web.name[..12]);
    terminal.typed("P");
    terminal.shows("y does it");
    terminal.shows(&format!("pause {}?", web.name));
    terminal.typed("y");
    terminal.shows("2 FAULTS STAND");
    let paused = |of: &Member| sandbox.inspect(&of.id)["State"]["Paused"] == true;
    assert!(paused(&web) && !paused(&other));
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("q");
    terminal.shows("ended with 0");

    assert!(!paused(&web), "given back with the view");
    let said = daemon.run(&bench, "proxies list cache --output json").expect(0).stdout;
    assert!(!said.contains("latency 300ms"), "so is the proxy: {said}");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    bench.run(&["check", "recorded.yaml"]).expect(0).says("2 faults");
    bench.run(&["plan", "recorded.yaml"]).expect(0).says("latency 300ms").says("pause").says(&web.name);
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
