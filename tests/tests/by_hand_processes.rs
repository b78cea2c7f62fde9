//! `murphy freeze|signal|kill` on real processes, as a person types them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use murphy_tests::{Bench, Finished, eventually, finish, processes_with, send};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

/// Processes of this test alone, with a text in their command lines that no other has.
struct Victims {
    mark: String,
    children: Vec<Child>,
}

impl Victims {
    fn new(test: &str, count: usize) -> Victims {
        // `sleep` adds its arguments up; the second one is the mark. No shell: its child would outlive the test.
        let mark = format!("0.000{}{}", std::process::id(), test.bytes().map(usize::from).sum::<usize>());
        let spawn = || Command::new("sleep").args(["600", &mark]).spawn().expect("there is a sleep");
        let children: Vec<Child> = (0..count).map(|_| spawn()).collect();
        let victims = Victims { mark, children };
        eventually("all victims run", PATIENCE, || processes_with(&victims.mark).len() == count);
        victims
    }

    fn target(&self) -> String {
        format!("command:{}", self.mark)
    }

    fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    fn frozen(&self) -> usize {
        self.pids().into_iter().filter(|pid| state_of(*pid) == Some('T')).count()
    }
}

impl Drop for Victims {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The state letter of `/proc/PID/stat`.
fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The events of `--output json`, by name.
fn events(stdout: &str, name: &str) -> Vec<serde_json::Value> {
    let parsed = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line));
    parsed.filter(|event| event["event"] == name).collect()
}

#[test]
fn a_frozen_process_stands_still_for_its_time_and_then_goes_on() {
    let (bench, victims) = (Bench::new(), Victims::new("stands-still", 1));
    let begun = Instant::now();
    let target = format!("pid:{}", victims.pids()[0]);
    let child = bench.spawn(&["freeze", &target, "--for", "3s", "--seed", "7"]);
    eventually("it is frozen", PATIENCE, || victims.frozen() == 1);
    let finished = finish(child).expect(0);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(victims.frozen(), 0);
    assert!(bench.undo_logs().is_empty());
    snapbox::assert_data_eq!(
        finished.stdout,
        snapbox::str![[r#"
freeze: 1 process, for 3s   (round 1, seed 7)
  target      sleep ([..])
  undo        let sleep (process [..]) go on
  done        sleep ([..]) within [..]
  taken back  let sleep (process [..]) go on
end: 1 round, 1 target touched, nothing left to take back

"#]]
    );
}

#[test]
fn each_signal_to_murphy_lets_the_process_go_on_at_once() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let (bench, victims) = (Bench::new(), Victims::new(signal.as_str(), 2));
        let child = bench.spawn(&["freeze", &victims.target(), "--for", "10m"]);
        eventually("they are frozen", PATIENCE, || victims.frozen() == 2);
        send(&child, signal);
        finish(child).expect(code).says(signal.as_str()).says("nothing left to take back");
        assert_eq!(victims.frozen(), 0, "{signal}");
        assert!(bench.undo_logs().is_empty(), "{signal}");
    }
}

#[test]
fn when_murphy_is_killed_its_watchdog_lets_the_process_go_on() {
    let (bench, victims) = (Bench::new(), Victims::new("sigkill", 2));
    let child = bench.spawn(&["freeze", &victims.target(), "--for", "10m"]);
    eventually("they are frozen", PATIENCE, || victims.frozen() == 2);
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the watchdog lets them go on", PATIENCE, || victims.frozen() == 0);
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
}

/// Freezes them by a Murphy that is then killed together with its watchdog, so that nobody is left to let them go on.
fn left_frozen(bench: &Bench, victims: &Victims) {
    let all = victims.children.len();
    let child = bench.spawn(&["freeze", &victims.target(), "--for", "10m"]);
    eventually("they are frozen", PATIENCE, || victims.frozen() == all);
    let state = bench.path().join("state").display().to_string();
    let watchdogs = processes_with(&format!("watchdog {state}"));
    assert_eq!(watchdogs.len(), 1);
    // Stopped first, so that it cannot replace its watchdog.
    send(&child, Signal::SIGSTOP);
    kill(Pid::from_raw(watchdogs[0] as i32), Signal::SIGKILL).expect("the watchdog lives");
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    assert_eq!(victims.frozen(), all, "nobody was left to let them go on");
}

#[test]
fn when_the_watchdog_is_killed_too_undo_lets_the_process_go_on_and_nothing_starts_before() {
    let (bench, victims) = (Bench::new(), Victims::new("both", 1));
    left_frozen(&bench, &victims);
    bench.run(&["freeze", &victims.target(), "--for", "1s"]).expect(3).says("murphy undo");
    bench.run(&["undo"]).expect(0).says("taken back: let sleep");
    assert_eq!(victims.frozen(), 0);
}

#[test]
fn undo_tells_a_program_what_was_left_and_what_was_taken_back() {
    let (bench, victims) = (Bench::new(), Victims::new("told", 2));
    left_frozen(&bench, &victims);
    let said = bench.run(&["undo", "--output", "json"]).expect(0).stdout;
    assert_eq!(victims.frozen(), 0);
    let left = &events(&said, "leftover")[..];
    let [left] = left else { panic!("{said}") };
    assert!(left["pid"].as_i64().is_some_and(|pid| pid > 0), "{left}");
    assert!(left["scenario"].as_str().is_some_and(|scenario| scenario.contains("freeze")), "{left}");
    let mut due = left["undo"].as_array().expect("a list").clone();
    assert_eq!(due.len(), 2, "{left}");
    let mut back: Vec<_> =
        events(&said, "taken-back").into_iter().map(|event| event["undo"].clone()).collect();
    for list in [&mut due, &mut back] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(back, due);
    let ended = serde_json::json!({ "event": "ended", "leftovers": 1, "not-taken-back": 0 });
    assert_eq!(events(&said, "ended"), [ended]);

    let said = bench.run(&["undo", "--output", "json"]).expect(0).stdout;
    let nothing = serde_json::json!({ "event": "ended", "leftovers": 0, "not-taken-back": 0 });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said).expect(&said), nothing);
}

#[test]
fn a_killed_process_is_dead_and_the_others_live() {
    let (bench, mut victims) = (Bench::new(), Victims::new("dead", 3));
    let exclude = format!("pid:{}", victims.pids()[0]);
    let args = ["kill", &victims.target(), "--exclude", &exclude, "--pick", "1", "--output", "json"];
    let finished = bench.run(&args).expect(0);
    let planned = &events(&finished.stdout, "planned")[0];
    assert_eq!((&planned["of"], planned["undo"].as_array().map(Vec::len)), (&2.into(), Some(0)));
    let dead = events(&finished.stdout, "done")[0]["target"]["id"].as_str().unwrap().to_owned();
    for child in &mut victims.children {
        let (killed, pid) = (child.id().to_string() == dead, child.id());
        if killed {
            assert!(!child.wait().unwrap().success());
        }
        assert_eq!(child.try_wait().unwrap().is_some(), killed, "{pid}");
    }
}

#[test]
fn a_signal_is_sent_as_named() {
    // Not SIGHUP: under `nohup` a victim inherits that it is to be ignored.
    let (bench, mut victims) = (Bench::new(), Victims::new("usr1", 1));
    bench.run(&["signal", &victims.target(), "--signal", "usr1"]).expect(0).says("signal SIGUSR1: 1 process");
    let status = victims.children[0].wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::SIGUSR1 as i32));
    bench.run(&["signal", "pid:7", "--signal", "STOP"]).expect(2).says("murphy freeze");
    bench.run(&["signal", "pid:7", "--signal", "SIGHUB"]).expect(2).says("did you mean `SIGHUP`?");
}

#[test]
fn again_and_again_picks_by_the_seed_and_stops_after_its_rounds() {
    let (bench, victims) = (Bench::new(), Victims::new("monkey", 4));
    let target = victims.target();
    let args = [
        "freeze", &target, "--pick", "1", "--every", "200ms", "--jitter", "50ms", "--for", "50ms", "--times",
        "14", "--seed", "11", "--output", "json",
    ];
    let rounds = |finished: Finished| -> Vec<String> {
        let planned = events(&finished.stdout, "planned");
        assert_eq!(events(&finished.stdout, "taken-back").len(), planned.len());
        let ids = planned.iter().map(|event| event["targets"][0]["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let first = rounds(bench.run(&args).expect(0));
    assert_eq!(first.len(), 14);
    // The pids are part of each lot, and are others every time: fourteen are alike once in 4^13.
    assert!(first.iter().any(|id| *id != first[0]), "not always the same one: {first:?}");
    assert_eq!(rounds(bench.run(&args).expect(0)), first, "the same seed, the same choices");
    assert_eq!(victims.frozen(), 0);
    // Without a number of rounds it goes on until it is told to end.
    let child = bench.spawn(&["freeze", &target, "--every", "200ms", "--for", "50ms"]);
    eventually("a first round", PATIENCE, || victims.frozen() == 4);
    send(&child, Signal::SIGINT);
    finish(child).expect(130);
    assert_eq!(victims.frozen(), 0);
}

#[test]
fn many_at_once_need_a_yes_and_a_cap_is_never_exceeded() {
    let (bench, victims) = (Bench::new(), Victims::new("many", 6));
    let target = victims.target();
    bench.run(&["freeze", &target, "--for", "1s"]).expect(2).says("6 targets at once").says("--yes");
    bench.run(&["freeze", &target, "--for", "1s", "--yes", "--max", "5"]).expect(3).says("at most 5 may be");
    assert_eq!(victims.frozen(), 0);
    bench.run(&["freeze", &target, "--for", "200ms", "--yes"]).expect(0).says("6 targets touched");
    bench.run(&["freeze", &target, "--for", "200ms", "--pick", "50%"]).expect(0).says("3 targets touched");
}

/// A call at a terminal, once its question stands there: the call, the person's end, and the call's end.
fn asked(bench: &Bench, victims: &Victims) -> (Child, File, OwnedFd) {
    let terminal = openpty(None, None).expect("a terminal");
    let mut command = bench.command(&["freeze", &victims.target(), "--for", "200ms"]);
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
    command.stdin(end(&terminal.slave)).stderr(end(&terminal.slave)).stdout(Stdio::piped());
    let call = command.spawn().expect("the binary starts");
    let mut screen = File::from(terminal.master);
    let mut seen = Vec::new();
    while !seen.ends_with(b"Go on? [y/N] ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {}", seen.escape_ascii()));
        seen.push(byte[0]);
    }
    (call, screen, terminal.slave)
}

#[test]
fn a_signal_ends_the_question_at_once_and_an_answer_is_heard() {
    let (bench, victims) = (Bench::new(), Victims::new("question", 6));
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let (call, _screen, _) = asked(&bench, &victims);
        kill(Pid::from_raw(call.id() as i32), signal).unwrap();
        // Nobody presses Enter.
        Finished::from(call.wait_with_output().unwrap()).expect(code);
        assert_eq!(victims.frozen(), 0);
    }
    for (answer, code, says) in [("n\n", 2, ""), ("\u{4}", 2, ""), ("y\n", 0, "6 targets touched")] {
        let (call, mut screen, _) = asked(&bench, &victims);
        screen.write_all(answer.as_bytes()).unwrap();
        Finished::from(call.wait_with_output().unwrap()).expect(code).says(says);
    }
}

#[test]
fn a_signal_ends_the_question_in_the_midst_of_an_answer() {
    let (bench, victims) = (Bench::new(), Victims::new("midst", 6));
    let (mut call, mut screen, slave) = asked(&bench, &victims);
    // Ctrl-D hands over what has been typed, which is no line yet.
    screen.write_all(b"y\x04").unwrap();
    let mut echo = [0];
    screen.read_exact(&mut echo).unwrap();
    eventually("what was typed is read", PATIENCE, || {
        poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
    });
    kill(Pid::from_raw(call.id() as i32), Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    while call.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            call.kill().unwrap();
            panic!("it waits for the rest of the line");
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Finished::from(call.wait_with_output().unwrap()).expect(143);
    assert_eq!(victims.frozen(), 0);
}

#[test]
fn a_dry_run_says_all_and_touches_nothing() {
    let (bench, victims) = (Bench::new(), Victims::new("dry", 2));
    let target = victims.target();
    bench
        .run(&["freeze", &target, "--dry-run"])
        .expect(0)
        .says("2 processes, for 30s")
        .says("nothing was touched");
    bench.run(&["kill", &target, "--dry-run"]).expect(0).says("there is no way back");
    assert_eq!((victims.frozen(), processes_with(&victims.mark).len()), (0, 2));
    assert!(!bench.path().join("state").exists() || bench.undo_logs().is_empty());
}

#[test]
fn nobody_to_touch_is_never_a_pass_and_murphy_spares_itself() {
    let bench = Bench::new();
    bench.run(&["freeze", "process:no-such-program"]).expect(3).says("no running process matches");
    bench.run(&["kill", "pid:1"]).expect(3).says("pid 1 is the first process");
    // This test is an ancestor of the murphy that it starts.
    bench.run(&["freeze", &std::process::id().to_string()]).expect(3).says("ancestor of murphy");
    for (args, says) in [
        ("freeze service:web", "murphy pause service:web"),
        ("pause pid:7", "murphy freeze pid:7"),
        ("kill pid:abc", "`pid:4711`"),
        ("kill pid:7 --for 3s", "leave it out"),
        ("freeze 7 --times 3", "--every"),
        ("freeze 7 --every 2s --times 0", "`--times 0` would do nothing"),
        ("freeze 7 --max 0", "--max"),
        ("freeze 7 --for 30", "30ms"),
        ("freeze 7 --every 2s --for 5s", "does not fit"),
        ("freeze 7 --pick 0", "at least 1"),
    ] {
        bench.run(&args.split(' ').collect::<Vec<_>>()).expect(2).says(says);
    }
}
