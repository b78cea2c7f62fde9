//! The pages on the daemon: what their consoles show is typed again, in a network of its own where their ports are free,
//! and each answer is the one on the page, but for the figures of a clock.

use std::process::Command;

use murphy_core::Span;
use murphy_tests::{Bench, Finished, Typed, consoles, redis_or_skip, skip};

/// In microseconds.
const MINUTE: u64 = 60_000_000;

/// Blanks are one blank, and what a clock or the kernel chose is `#`: numbers with a point, and ports. Of what is left of a time the
/// minutes count, rounded up: how many seconds there are yet hangs on how long the commands before took.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    for word in line.split_whitespace() {
        let left = word.parse::<Span>().ok().filter(|_| plain.ends_with("ends in "));
        if let Some(left) = left {
            plain.push_str(&format!("{}m ", left.as_micros().div_ceil(MINUTE)));
            continue;
        }
        let pieces = word.split_inclusive(|c: char| !(c.is_ascii_digit() || c == '.'));
        for piece in pieces {
            let digits = piece.trim_end_matches(|c: char| !(c.is_ascii_digit() || c == '.'));
            let is_time = digits.matches('.').count() == 1 && digits.len() > 2;
            let is_port = digits.len() == 5 && plain.ends_with(':');
            if is_time || is_port {
                plain.push('#');
                plain.push_str(&piece[digits.len()..]);
            } else {
                plain.push_str(piece);
            }
        }
        plain.push(' ');
    }
    plain
}

/// True if the line is the one shown, where `…` stands for anything.
fn is_shown(shown: &str, line: &str) -> bool {
    let (shown, line) = (plain(shown), plain(line));
    let mut rest = line.as_str();
    for (n, part) in shown.trim().split('…').enumerate() {
        match rest.find(part) {
            Some(at) if n > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

/// A Redis that goes into the background listens a little later.
const REDIS_ANSWERS: &str =
    "for _ in $(seq 600); do redis-cli -p 6379 ping > /dev/null 2>&1 && break; sleep 0.1; done\n";

/// All of a block in one shell, alone in a network and with processes that end with it.
fn typed(bench: &Bench, block: &[Typed]) -> Finished {
    let mut script = "ip link set lo up\n".to_owned();
    let starts = |name: &str| block.iter().any(|typed| typed.command.starts_with(name));
    if !starts("redis-server") {
        script.push_str("redis-server --port 6379 --save '' --daemonize yes > /dev/null\n");
        script.push_str(REDIS_ANSWERS);
    }
    if !starts("murphy serve") {
        script.push_str("murphy serve --seed 7 2> /dev/null &\nmurphy proxies --wait 20s > /dev/null\n");
    }
    for (n, Typed { command, .. }) in block.iter().enumerate() {
        script.push_str(&format!("echo '@@ {n}'\n{command}\n"));
        if command.starts_with("murphy serve") {
            script.push_str("murphy proxies --wait 20s > /dev/null\n");
        }
        if command.starts_with("redis-server") {
            script.push_str(REDIS_ANSWERS);
        }
    }
    let script = format!("exec 2>&1\n{script}");
    let mut command =
        bench.shell("unshare", &["-rn", "--pid", "--fork", "--kill-child", "bash", "-c", &script]);
    command.output().expect("unshare starts").into()
}

/// True if a network of one's own can be had here; says so out loud where it cannot.
fn alone_or_skip() -> bool {
    let had =
        Command::new("unshare").args(["-rn", "--pid", "--fork", "ip", "link", "set", "lo", "up"]).output();
    let had = had.is_ok_and(|output| output.status.success());
    if !had {
        skip("no network namespace of one's own can be made");
    }
    had
}

fn proven(page: &str, blocks: std::ops::Range<usize>) {
    if !redis_or_skip() || !alone_or_skip() {
        return;
    }
    let consoles = consoles(page);
    let mut compared = 0;
    for block in &consoles[blocks] {
        let bench = Bench::new();
        let ended = typed(&bench, block);
        for (n, Typed { command, shown }) in block.iter().enumerate() {
            let after = ended
                .stdout
                .split(&format!("@@ {n}\n"))
                .nth(1)
                .unwrap_or_else(|| panic!("{page}: {ended:?}"));
            let mut lines = after.split("@@ ").next().unwrap_or_default().lines();
            for shown in shown {
                assert!(
                    lines.any(|line| is_shown(shown, line)),
                    "{page}: $ {command}\nthe page shows: {shown}\nthe answer is:\n{}",
                    after.split("@@ ").next().unwrap_or_default()
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 3, "{page}: {compared} lines compared");
}

#[test]
fn the_page_for_those_who_use_toxiproxy_shows_what_is_answered() {
    proven("toxiproxy.md", 0..1);
}

/// Its third block is about containers: `serve_containers` is the test of those.
#[test]
fn the_page_on_the_control_api_shows_what_is_answered() {
    proven("control-api.md", 0..2);
}

#[test]
fn only_figures_of_a_clock_may_differ() {
    assert!(is_shown("{\"ends-in\":\"599.999s\",…,\"n\":3}", "{\"ends-in\":\"600.1s\",\"x\":[1,2],\"n\":3}"));
    assert!(!is_shown("{\"chance\":\"50%\",…}", "{\"chance\":\"51%\",\"x\":1}"));
    assert!(is_shown("real 0m1.009s", "real\t0m1.012s") && !is_shown("PONG", "-ERR PONG"));
    assert!(
        is_shown("stands; ends in 10m", "stands; ends in 9m58s") && is_shown("ends in 10m", "ends in 599s")
    );
    assert!(!is_shown("ends in 10m", "ends in 8m58s") && !is_shown("ends in 10m", "ends in 11m"));
    assert!(!is_shown("latency 10m", "latency 9m58s"), "not what is left of a time");
    assert!(is_shown("on 127.0.0.1:40112,", "on 127.0.0.1:51234,") && !is_shown("redis 10m", "redis 11m"));
}
