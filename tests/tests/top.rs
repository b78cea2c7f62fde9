//! `murphy top` in a real terminal: tmux presses the keys and reads the screen.

use std::net::TcpStream;
use std::time::Duration;

use murphy_tests::{
    Bench, CartStack, Terminal, echo, eventually, free_ports, murphy, processes_with, round_trip,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// A shell line: says `good-42` where what is typed is shown and lines end where they should.
const CAN_TYPE: &str =
    "case $(stty -a) in *-opost*|*-icanon*|*-echo\\ *) echo bad;; *) echo good-$((40+2));; esac";

#[test]
fn a_fault_is_put_on_tuned_saved_and_gone_at_the_end_by_keys_alone() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let line = format!("{} top --edge cache 127.0.0.1:{port} {upstream}", murphy().display());
    let Some(terminal) = Terminal::open("keys", &bench, &line) else { return };
    terminal.shows("no fault stands");
    let copy = bench.path().join("written");
    terminal.copied_to(&copy);
    let mut call = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    round_trip(&mut call).expect("the echo");

    terminal.typed("alatency 150");
    terminal.key("Enter");
    terminal.shows("150ms");
    terminal.typed("ms");
    terminal.key("Enter");
    terminal.shows("1 FAULT STANDS");
    // On the connection that was open before, once each way.
    assert!(round_trip(&mut call).expect("the echo") >= Duration::from_millis(300));

    terminal.key("Right");
    terminal.shows("ON  latency 170ms");
    terminal.typed("1");
    terminal.shows("off latency 170ms");
    // The quickest of a few: a machine may stand still once.
    let quickest = (0..5).map(|_| round_trip(&mut call).expect("the echo")).min();
    assert!(quickest < Some(Duration::from_millis(300)), "{quickest:?}");

    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    bench.run(&["check", "recorded.yaml"]).expect(0).says("2 faults");

    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    // Frames write what has changed over what is there: a screen that is cleared before each flickers.
    let written = || String::from_utf8_lossy(&std::fs::read(&copy).unwrap_or_default()).into_owned();
    eventually("frames are written", PATIENCE, || written().len() > 1000);
    let frames = written();
    for clear in ["\u{1b}[2J", "\u{1b}[3J", "\u{1b}[J", "\u{1b}[0J", "\u{1b}c"] {
        assert!(!frames.contains(clear), "{clear:?} in {} bytes", frames.len());
    }
    terminal.typed("q");
    terminal.shows("ended with 0");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the proxy is gone");
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted_and_what_stands_is_reversed_then() {
    for (test, before, option, coloured) in [
        ("no-color", "NO_COLOR=1", "", false),
        ("never", "NO_COLOR=", "--color never", false),
        ("always", "NO_COLOR=1", "--color always", true),
    ] {
        let bench = Bench::new();
        let (upstream, [port]) = (echo(), free_ports());
        let top = format!("top --edge cache 127.0.0.1:{port} {upstream} {option}");
        let line = format!("{before} {} {top}", murphy().display());
        let Some(terminal) = Terminal::open(test, &bench, &line) else { return };
        terminal.shows("no fault stands");
        let copy = bench.path().join("written");
        terminal.copied_to(&copy);
        terminal.typed("alatency 150ms");
        terminal.key("Enter");
        terminal.shows("1 FAULT STANDS");
        let written = || String::from_utf8_lossy(&std::fs::read(&copy).unwrap_or_default()).into_owned();
        // The title, bold on yellow or reversed, is among them.
        eventually("frames are written", PATIENCE, || written().contains("STANDS"));
        let frames = written();
        let colours = ["\u{1b}[38;", "\u{1b}[48;", ";48;", "\u{1b}[;m"];
        let is_coloured = colours.iter().any(|colour| frames.contains(colour));
        assert_eq!(is_coloured, coloured, "{test}: {frames:?}");
        assert!(coloured || frames.contains("\u{1b}[7m"), "{test}: {frames:?}");
        terminal.typed("q");
        terminal.shows("ended with 0");
    }
}

#[test]
fn a_closed_terminal_ends_it_and_its_proxies() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let line = format!("{} top --edge cache 127.0.0.1:{port} {upstream}", murphy().display());
    let Some(terminal) = Terminal::open("hang-up", &bench, &line) else { return };
    terminal.shows("no fault stands");
    drop(terminal);
    let gone = || TcpStream::connect(("127.0.0.1", port)).is_err();
    eventually("the proxy is gone with its terminal", PATIENCE, gone);
}

#[test]
fn a_signal_gives_the_terminal_back_and_its_own_code() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let line = format!("{} top --edge cache 127.0.0.1:{port} {upstream}", murphy().display());
    let Some(terminal) = Terminal::open("signal", &bench, &line) else { return };
    terminal.shows("no fault stands");
    // The shell's own command line holds the words too, and more.
    let shells = processes_with("ended with $?");
    let mut found = processes_with(&format!("top --edge cache 127.0.0.1:{port}"));
    found.retain(|pid| !shells.contains(pid));
    let [pid] = found[..] else { panic!("{found:?}") };
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).expect("it lives");
    terminal.shows("ended with 143");
}

/// A build for development panics when a test asks it to; a release has no word for that.
#[cfg(debug_assertions)]
#[test]
fn a_panic_gives_the_terminal_back_takes_its_faults_off_and_is_told() {
    // Where the screen is drawn, and in a thread beside it.
    for (key, says) in [("F12", "asked to by a test"), ("F11", "asked to beside the screen")] {
        let bench = Bench::new();
        let (upstream, [port]) = (echo(), free_ports());
        let top = format!("{} top --edge cache 127.0.0.1:{port} {upstream}", murphy().display());
        let line = format!("RUST_BACKTRACE=0 MURPHY_TEST_PANIC=1 {top}; code=$?; {CAN_TYPE}; (exit $code)");
        let Some(terminal) = Terminal::open(&format!("panic-{key}"), &bench, &line) else { return };
        terminal.shows("no fault stands");
        terminal.typed("ablackhole");
        terminal.key("Enter");
        terminal.shows("1 FAULT STANDS");
        assert!(terminal.is_taken());
        terminal.key(key);
        terminal.shows("ended with 3");
        let screen = terminal.screen();
        assert!(screen.contains(says) && screen.contains("good-42"), "{key}:\n{screen}");
        assert!(!screen.contains("murphy top ·") && !terminal.is_taken(), "{key}:\n{screen}");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{key}: the proxy is gone");
        assert!(bench.undo_logs().is_empty(), "{key}: {:?}", bench.undo_logs());
    }
}

#[test]
fn a_killed_shell_leaves_a_terminal_in_which_one_can_type() {
    for (test, shell) in [("killed-bash", "bash --norc --noprofile -i"), ("killed-sh", "sh -i")] {
        let bench = Bench::new();
        let (upstream, [port]) = (echo(), free_ports());
        let Some(terminal) = Terminal::open(test, &bench, shell) else { return };
        let inner = format!("top --edge cache 127.0.0.1:{port} {upstream}; true");
        terminal.typed(&format!("sh -c '{} {inner}'", murphy().display()));
        terminal.key("Enter");
        terminal.shows("no fault stands");
        let [pid] = processes_with(&inner)[..] else { panic!("{:?}", processes_with(&inner)) };
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it lives");
        let gone = || TcpStream::connect(("127.0.0.1", port)).is_err();
        eventually("it ends with the shell that started it", PATIENCE, gone);
        let ends = || processes_with(&format!("top --edge cache 127.0.0.1:{port}")).is_empty();
        eventually("its process is gone", PATIENCE, ends);
        // And the picture is gone.
        terminal.typed(CAN_TYPE);
        terminal.key("Enter");
        terminal.shows("good-42");
        assert!(!terminal.screen().contains("murphy top ·"), "{shell}:\n{}", terminal.screen());
    }
}

#[test]
fn the_calls_of_a_running_container_are_slowed_by_key_and_its_own_again_at_the_end() {
    const DELAY: Duration = Duration::from_millis(1500);
    let Some(stack) = CartStack::up("the_calls_of_a_running_container_are_slowed") else { return };
    let bench = Bench::new();
    let (cart, redis) = (&stack.cart.name, &stack.redis.name);
    let line = format!("{} top --from {cart} --to {redis}:6379", murphy().display());
    let Some(terminal) = Terminal::open("attached", &bench, &line) else { return };
    terminal.shows("calls: sits in on");
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1);
    assert!(stack.ping(&stack.cart, &stack.redis) < DELAY);
    terminal.typed("alatency 1500ms");
    terminal.key("Enter");
    terminal.shows("1 FAULT STANDS");
    assert!(stack.ping(&stack.cart, &stack.redis) >= DELAY);
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    bench.run(&["check", "recorded.yaml"]).expect(0).says("1 fault");
    bench.run(&["plan", "recorded.yaml"]).expect(0).says(cart);
    terminal.typed("q");
    terminal.shows("ended with 0");
    assert!(terminal.screen().contains("taken back"), "{}", terminal.screen());
    assert!(stack.ping(&stack.cart, &stack.redis) < DELAY);
    assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());

    let Some(terminal) = Terminal::open("attached-hang-up", &bench, &line) else { return };
    terminal.shows("calls: sits in on");
    drop(terminal);
    let gone = || stack.tables_of_murphy(&stack.cart) == 0 && bench.undo_logs().is_empty();
    eventually("nothing is left after the terminal is closed", PATIENCE, gone);

    if cfg!(debug_assertions) {
        let line = format!("MURPHY_TEST_PANIC=1 {line}");
        let Some(terminal) = Terminal::open("attached-panic", &bench, &line) else { return };
        terminal.shows("calls: sits in on");
        terminal.key("F12");
        terminal.shows("ended with 3");
        assert!(terminal.screen().contains("taken back"), "{}", terminal.screen());
        assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
        assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    }
}

#[test]
fn callers_that_are_not_there_are_told_of_before_the_screen_is_taken() {
    let Some(stack) = CartStack::up("callers_that_are_not_there_are_told_of") else { return };
    let bench = Bench::new();
    let to = format!("{}:6379", stack.redis.name);
    let line = format!("{} top --from nobody --to {to}", murphy().display());
    let Some(terminal) = Terminal::open("nobody", &bench, &line) else { return };
    terminal.shows("no running container matches `nobody`");
    terminal.shows("ended with 3");
    bench.run(&["top", "--from", "web"]).expect(2).says("--to");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let bench = Bench::new();
    bench.run(&["top", "--edge", "x", "127.0.0.1:0", "127.0.0.1:9"]).expect(2).says("murphy run");
    bench.run(&["top"]).expect(2).says("--edge");
}
