//! What a person sees while a run goes on: a bar that lives on a terminal, plain lines where there is none.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use murphy_tests::{Bench, answering, expecting, free_ports};
use nix::pty::{Winsize, openpty};

fn scenario(bench: &Bench) {
    let upstream = answering("hello");
    let [listen] = free_ports();
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: progress\nedges: {{ shop: {{ to: \"{upstream}\", listen: \"127.0.0.1:{listen}\" }} }}\n\
             load:\n\
             \x20 users: {{ http: GET http://127.0.0.1:{listen}/, rate: 200/s }}\n\
             phases: {{ warm-up: 0s, baseline: 1s, fault: 1500ms, recovery: 1s }}\nlearn: all\n\
             faults: [{{ name: slow, edge: shop, inject: {{ latency: {{ delay: 20ms, jitter: 1ms }} }} }}]\n"
        ),
    );
}

/// The things that are worth telling, in the order of their coming.
const TOLD: [&str; 5] = ["phase baseline", "phase fault", "fault on:  ", "fault off: ", "phase recovery"];

fn told_in_order(text: &str) {
    let mut from = 0;
    for what in TOLD {
        let at = text[from..].find(what);
        from += at.unwrap_or_else(|| panic!("no {what:?} behind byte {from} of\n{text}"));
    }
}

#[test]
fn a_run_on_a_terminal_draws_a_bar_with_phase_time_and_load_over_itself() {
    let bench = Bench::new();
    scenario(&bench);
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let mut command = bench.command(&["run", "s.yaml"]);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(Stdio::from(terminal.slave));
    let mut run = command.spawn().unwrap();
    // Its copy of the terminal's other end: while one is open, the reader below sees no end.
    drop(command);
    let mut seen = Vec::new();
    // The kernel answers EIO, not an end of file, once the last holder of the other end is gone.
    let _ = File::from(terminal.master).read_to_end(&mut seen);
    // With 4 if this machine sent the load late: that is drawn as well.
    assert!(matches!(run.wait().unwrap().code(), Some(0 | 4)));

    let seen = String::from_utf8(seen).unwrap();
    told_in_order(&seen);
    // The bar: phase, how far of how long, how the load of the last moment fared.
    let bars: Vec<&str> = seen.split('\r').filter(|line| line.contains("s/3s  ")).collect();
    for (phase, load) in [("baseline [", "users "), ("fault [", " ok, slowest "), ("recovery [", "=")] {
        assert!(bars.iter().any(|bar| bar.contains(phase) && bar.contains(load)), "{phase} {load}\n{seen:?}");
    }
    // Drawn over: the cursor goes back to the line's begin and clears it, and nothing of the bar is left at the end.
    assert!(seen.contains("\r\u{1b}[2K"), "{seen:?}");
    let last = seen.rsplit("\u{1b}[2K").next().unwrap();
    assert!(!last.contains("s/3s"), "the bar is left standing: {last:?}");
}

#[test]
fn a_run_without_a_terminal_tells_in_plain_lines_and_draws_nothing() {
    let bench = Bench::new();
    scenario(&bench);
    let finished = expecting(0, || bench.run(&["run", "s.yaml"]));
    told_in_order(&finished.stderr);
    for stream in [&finished.stderr, &finished.stdout] {
        assert!(!stream.contains('\u{1b}') && !stream.contains('\r'), "{stream:?}");
        assert!(stream.is_ascii() && stream.contains("latency 20ms +- 1ms"), "{stream:?}");
    }
    assert!(!finished.stderr.contains("s/3s"), "a bar in {}", finished.stderr);
}
