//! What is drawn, at the sizes of a small, a usual and a wide terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use murphy_core::{ConnId, ContainerHealth, EdgeName, Event, EventKind, FaultId, Offset, Span, Tally};
use murphy_proxy::{Decision, EdgeConn, Stage};
use murphy_tui::{
    App, Behind, CallEnd, ContainerState, Door, Hands, Listed, Load, Loudness, Mode, OpenConnection, Page,
    Proposal, Reaction, Said, StandingFault, Struck, Touch, Whose, Window, World, draw,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

fn at(millis: u64) -> Offset {
    Offset::from_micros(millis * 1000)
}

fn world() -> World {
    let mut world = World::default();
    (world.now, world.stage) = (at(60_000), "fault".into());
    for (name, port, took, failing) in [("cart-redis", 16379, 3, 0), ("payments", 18080, 240, 4)] {
        let edge = world.edge(&EdgeName::new(name).unwrap());
        edge.listen = format!("127.0.0.1:{port}");
        edge.upstream = format!("127.0.0.1:{}", port - 10_000);
        (edge.open, edge.accepted, edge.bytes) = (12, 40, (123_456, 7_654_321));
        for n in 0..1200 {
            let end = if n % 10 < failing { CallEnd::Failed } else { CallEnd::Answered };
            edge.figures.call(at(n * 50), Span::from_millis(took + n % 7), end);
        }
    }
    let payments = world.edge(&EdgeName::new("payments").unwrap());
    payments.faults.push(StandingFault {
        id: FaultId::new("latency-1").unwrap(),
        text: "latency 240ms".into(),
        fault: None,
        tally: Some(Tally { connections: 12, hits: 480, bytes: 91_000 }),
        until: Some(at(72_000)),
        whose: Whose::Ours,
    });
    let cart = world.edge(&EdgeName::new("cart-redis").unwrap());
    cart.door = Door::Closed;
    world.note(at(1_000), Loudness::Notice, "payments listens on 127.0.0.1:18080");
    world.note(at(48_000), Loudness::Deed, "latency 240ms on payments");
    for _ in 0..3 {
        world.note(
            at(59_000),
            Loudness::Trouble,
            "payments: cannot reach the dependency: connection refused",
        );
    }
    world
}

fn drawn(width: u16, height: u16, app: &App, world: &World) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app, world)).unwrap();
    terminal.backend().to_string()
}

fn at_payments(world: &World) -> App {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let mut app = App::new("shop", Hands::Free);
    app.key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE), world);
    app
}

#[test]
fn a_small_terminal_shows_all_that_matters() {
    let world = world();
    insta::assert_snapshot!(drawn(80, 24, &at_payments(&world), &world));
}

#[test]
fn a_wide_terminal_shows_bytes_too() {
    let world = world();
    insta::assert_snapshot!(drawn(140, 32, &at_payments(&world), &world));
}

#[test]
fn a_fault_is_typed_with_its_fields_beside() {
    let world = world();
    let mut app = at_payments(&world);
    app.mode =
        Mode::Adding { line: "latency 200".into(), error: Some("`200` needs a unit: `200ms`?".into()) };
    insta::assert_snapshot!(drawn(100, 30, &app, &world));
}

/// The same with containers: one well, one paused by hand, one that its limits hold back, one that is not to be touched.
fn stack() -> World {
    let mut world = world();
    let megabytes =
        |used: u64, limit: Option<u64>| Some((used * 1_000_000, limit.map(|limit| limit * 1_000_000)));
    let state = |state: &str, health, restarts, load| ContainerState {
        state: state.into(),
        health,
        restarts: Some(restarts),
        load,
        ..ContainerState::default()
    };
    let well = Load { cpus: Some(0.04), memory: megabytes(34, None), ..Load::default() };
    let pressed =
        Load { cpus: Some(0.2), held_back: Some(0.83), memory: megabytes(62, Some(64)), stalled: Some(0.31) };
    for (name, container) in [
        ("shop-cart-1", state("running", ContainerHealth::Healthy, 0, well)),
        ("shop-redis-1", state("paused", ContainerHealth::None, 0, Load { cpus: Some(0.0), ..well })),
        ("shop-web-1", state("running", ContainerHealth::Unhealthy, 2, pressed)),
        ("shop-worker-1", state("exited (137)", ContainerHealth::None, 5, Load::default())),
        (
            "vault",
            ContainerState { touch: Touch::Forbidden, ..state("running", ContainerHealth::None, 0, well) },
        ),
    ] {
        world.containers.insert(name.into(), container);
    }
    let (container, text) = ("shop-redis-1".to_owned(), "pause".to_owned());
    world.struck.push(Struck { number: 1, container, text, until: Some(at(81_000)) });
    world.note(at(59_500), Loudness::Deed, "pause on shop-redis-1");
    world
}

fn on_containers(world: &World) -> App {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let mut app = at_payments(world);
    for code in [KeyCode::Char('c'), KeyCode::Down] {
        app.key(KeyEvent::new(code, KeyModifiers::NONE), world);
    }
    app
}

#[test]
fn containers_stand_in_the_place_of_the_chosen_edge_on_a_small_terminal() {
    let world = stack();
    insta::assert_snapshot!(drawn(80, 24, &on_containers(&world), &world));
}

#[test]
fn containers_stand_beside_the_edges_on_a_large_terminal_with_what_holds_them_back() {
    let world = stack();
    insta::assert_snapshot!(drawn(200, 50, &on_containers(&world), &world));
}

#[test]
fn a_question_names_whom_it_touches_before_anything_is_done() {
    let mut world = stack();
    let mut app = on_containers(&world);
    app.mode = Mode::Asked { number: 3 };
    let lines = [
        "kill SIGKILL: 1 container, for 30s",
        "  target      shop-redis-1 (4f2ab8c01d22)",
        "  undo        start shop-redis-1",
    ];
    let said = Said::Ready { lines: lines.iter().map(ToString::to_string).collect() };
    world.proposal = Some(Proposal { number: 3, title: "kill shop-redis-1".into(), said });
    insta::assert_snapshot!(drawn(100, 30, &app, &world));
}

#[test]
fn a_question_that_does_not_fit_says_so_and_cannot_be_agreed_to() {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let mut world = stack();
    let mut app = on_containers(&world);
    let mut lines = vec!["pause: 30 containers, for 30s   (round 1, seed 1)".to_owned()];
    lines.extend((1..=30).map(|n| format!("  target      shop-web-{n} (0123456789ab)")));
    lines.extend((1..=30).map(|n| format!("  undo        unpause shop-web-{n} (0123456789ab)")));
    lines.push("  calls       cart goes to shop-web-1: 3.0 calls/s, 3 open connections".to_owned());
    let said = Said::Ready { lines };
    world.proposal = Some(Proposal { number: 3, title: "pause shop-web-1".into(), said });
    for width in [1, 2, 5, 20, 79] {
        for height in [1, 2, 3, 4, 5, 23] {
            app.mode = Mode::Asked { number: 3 };
            drawn(width, height, &app, &world);
        }
    }
    let yes = KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE);
    app.mode = Mode::Asked { number: 3 };
    let small = drawn(80, 24, &app, &world);
    for text in [
        "30 containers",
        "calls       cart goes to shop-web-1",
        "and 42 more: enlarge the terminal",
        "y only where all is shown · Esc leaves everything as it is",
    ] {
        assert!(small.contains(text), "{text} is not in\n{small}");
    }
    app.drawn_on(Rect::new(0, 0, 80, 24), Some(3));
    assert_eq!(app.key(yes, &world), Reaction::Stay);
    assert_eq!(app.mode, Mode::Asked { number: 3 }, "the question still stands");
    let large = drawn(80, 66, &app, &world);
    assert!(large.contains("unpause shop-web-30") && large.contains("y does it"), "{large}");
    app.drawn_on(Rect::new(0, 0, 80, 66), Some(3));
    assert!(matches!(app.key(yes, &world), Reaction::Do(_)));
}

/// A connection of the chosen edge.
fn open(
    conn: u64,
    peer: &str,
    age: u64,
    bytes: (u64, u64),
    decisions: &[(&str, Decision)],
) -> OpenConnection {
    OpenConnection {
        place: EdgeConn { proxy: 0, conn: ConnId(conn) },
        peer: peer.into(),
        age: Span::from_millis(age),
        stage: if bytes == (0, 0) { Stage::Opening } else { Stage::Carried },
        to_upstream: bytes.0,
        to_client: bytes.1,
        decisions: decisions.iter().map(|(fault, decision)| ((*fault).to_owned(), *decision)).collect(),
    }
}

/// What a source has read of the connections of `payments`.
fn listed(listed: Listed) -> Option<Arc<Page>> {
    let window = Window { edge: EdgeName::new("payments").unwrap(), after: EdgeConn::START };
    Some(Arc::new(Page { window, listed }))
}

/// With open connections of the chosen edge: one on which a fault acts, one that it spares, one that waits.
fn connected(mut world: World) -> World {
    let rows = vec![
        open(1, "127.0.0.1:40112", 61_200, (12_345, 7_654_321), &[("latency-1", Decision::Acts)]),
        open(2, "127.0.0.1:40118", 12_000, (870, 0), &[("latency-1", Decision::Spares)]),
        open(
            9,
            "[2001:db8::17]:51234",
            240,
            (0, 0),
            &[("latency-1", Decision::Acts), ("slow-open-2", Decision::Acts)],
        ),
    ];
    world.connections = listed(Listed::Rows { rows, behind: Behind::Nothing });
    world
}

fn on_connections(world: &World) -> App {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let mut app = at_payments(world);
    for code in [KeyCode::Char('o'), KeyCode::Down] {
        app.key(KeyEvent::new(code, KeyModifiers::NONE), world);
    }
    app
}

#[test]
fn open_connections_stand_in_the_place_of_the_chosen_edge_on_a_small_terminal() {
    let world = connected(world());
    insta::assert_snapshot!(drawn(80, 24, &on_connections(&world), &world));
}

#[test]
fn open_connections_have_room_for_long_addresses_on_a_wide_terminal() {
    let world = connected(world());
    insta::assert_snapshot!(drawn(140, 32, &on_connections(&world), &world));
}

#[test]
fn open_connections_stand_below_containers_on_a_large_terminal() {
    let world = connected(stack());
    insta::assert_snapshot!(drawn(200, 50, &on_connections(&world), &world));
}

#[test]
fn connections_that_are_not_there_are_told_of_with_the_reason() {
    let mut world = world();
    let app = on_connections(&world);
    let says = |world: &World, text: &str| {
        let screen = drawn(80, 24, &app, world);
        assert!(screen.contains(text), "{text} is not on\n{screen}");
    };
    says(&world, "looking …");
    world.connections = listed(Listed::Rows { rows: Vec::new(), behind: Behind::Nothing });
    says(&world, "none is open");
    world.connections = listed(Listed::Untold { why: "a journal does not tell them".into() });
    says(&world, "! a journal does not tell them");
}

#[test]
fn of_many_connections_those_around_the_chosen_one_are_drawn() {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    let mut world = world();
    let row =
        |n: u64| open(n, &format!("127.0.0.1:{}", 40_000 + n), n, (n, n), &[("latency-1", Decision::Acts)]);
    world.connections = listed(Listed::Rows { rows: (1..=1000).map(row).collect(), behind: Behind::More });
    let mut app = at_payments(&world);
    let press = |app: &mut App, code: KeyCode| app.key(KeyEvent::new(code, KeyModifiers::NONE), &world);
    press(&mut app, KeyCode::Char('o'));
    let shows = |app: &App, first: u64, last: u64| {
        let screen = drawn(80, 24, app, &world);
        for (conn, is_shown) in [(first - 1, false), (first, true), (last, true), (last + 1, false)] {
            let peer = format!(" 127.0.0.1:{} ", 40_000 + conn);
            assert_eq!(screen.contains(&peer), is_shown, "{peer} on\n{screen}");
        }
    };
    // Thirteen rows are left, of which two are the title and the heads.
    shows(&app, 1, 11);
    for _ in 0..2 {
        press(&mut app, KeyCode::PageDown);
    }
    shows(&app, 31, 41);
    for _ in 0..100 {
        press(&mut app, KeyCode::PageDown);
    }
    shows(&app, 990, 1000);
}

#[test]
fn a_long_title_is_cut_and_never_what_stands() {
    let world = world();
    let app = App::new(format!("{}20260101-120000-shop-s7-4242", "a/long/way/".repeat(9)), Hands::Tied);
    let screen = drawn(80, 24, &app, &world);
    for part in [" murphy top · …", "-s7-4242 · ", "watching only", "1 FAULT STANDS"] {
        assert!(screen.contains(part), "{part} is not on\n{screen}");
    }
}

#[test]
fn no_size_panics() {
    let world = world();
    let mut helped = App::new("x", Hands::Tied);
    helped.mode = Mode::Help;
    let (stack, mut asked) = (stack(), on_containers(&stack()));
    let connected = connected(stack.clone());
    asked.mode = Mode::Asked { number: 1 };
    for app in [at_payments(&world), helped, on_containers(&stack), asked, on_connections(&connected)] {
        for width in [1, 2, 5, 20, 79, 160] {
            for height in [1, 2, 3, 7, 11, 23, 50] {
                drawn(width, height, &app, &world);
                drawn(width, height, &app, &connected);
                drawn(width, height, &app, &stack);
                drawn(width, height, &app, &World::default());
            }
        }
    }
}

/// The bound is loose, for a debug build on a busy machine; the figure is printed.
#[test]
fn a_thousand_edges_with_ten_thousand_connections_are_drawn_and_copied_without_a_hitch() {
    let mut world = world();
    let busy = world.edges[&EdgeName::new("payments").unwrap()].as_ref().clone();
    for n in 0..1000 {
        *world.edge(&EdgeName::new(&format!("edge-{n:04}")).unwrap()) = busy.clone();
    }
    for n in 0..10_000 {
        let edge = EdgeName::new(&format!("edge-{:04}", n % 1000)).unwrap();
        let kind = EventKind::ConnOpened { edge, conn: ConnId(n), peer: "127.0.0.1:1".into() };
        world.see(Event { seq: n, at: at(60_000), kind });
    }
    assert_eq!(world.edges.values().map(|edge| edge.open).sum::<u64>(), 10_000 + 1002 * 12);
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    let app = at_payments(&world);
    let best = (0..5)
        .map(|_| {
            let began = Instant::now();
            let seen = world.clone();
            terminal.draw(|frame| draw(frame, &app, &seen)).unwrap();
            began.elapsed()
        })
        .min()
        .unwrap();
    eprintln!("a frame of 1,000 edges and 10,000 connections: {best:?}");
    assert!(best < Duration::from_millis(500), "{best:?}");
}
