//! The crash storm: Murphy is SIGKILLed at random instants of runs with every kind of fault, every third time together with
//! its watchdog; and so are commands by hand on networks, and one that sits in on a container's calls. Within five seconds, or
//! after `murphy undo`, containers, limits, networks, nftables tables, interfaces, processes, ports and what is taken of the
//! machine are as before. `MURPHY_STORM=1000` makes it a long one, `MURPHY_STORM_SEED=7` another one. For every four of these a
//! fifth run gets a signal that it hears: all is as before at the moment of its end.

mod engine;
#[path = "storm/traces.rs"]
mod traces;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use engine::Victims;
use murphy_testkit::Member;
use murphy_tests::{Bench, eventually, free_ports, processes_with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use traces::{due_in, filled_in, in_network, is_broken, is_demo_service, is_frozen, pressed, undo_logs};

/// Runs that are killed at the same time, each on targets of its own.
const LANES: u32 = 4;
/// Kills, if `MURPHY_STORM` names no number: two minutes on two cores.
const USUAL: u32 = 200;
/// How long after the kill everything may be as before without anybody's help.
const BY_ITSELF: Duration = Duration::from_secs(5);

/// A process that Murphy did not start; killed at the end.
struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is done to the container, in turn; one at a time, since one that is paused cannot be stopped as well.
const ON_CONTAINER: [&str; 9] = [
    "pause",
    "{ signal: SIGHUP }",
    "{ limits: { memory: 32MiB, pids: 50 } }",
    "disconnect",
    "kill",
    "{ stop: 1s }",
    "remove",
    "{ restart: 1s }",
    "{ exec: { command: [/victim, write, /tmp/broken, exit, '0'], revert: [/victim, remove, /tmp/broken, exit, '0'] } }",
];

/// What is done by hand in place of a run, in turn after these.
const BY_HAND: [&str; 6] = ["partition", "loss", "reset", "latency", "bandwidth", "attach"];

/// What every storm of the usual length has in the world at some kill: each undo that a run or a command writes, but for
/// that of a stack (`stack_cut.rs`).
const KINDS: [&str; 12] = [
    "continue",
    "drop-table",
    "end-pressure",
    "exec",
    "reconnect",
    "remove-qdisc",
    "rename",
    "restore-limits",
    "start",
    "stop-group",
    "stop-marked",
    "unpause",
];

/// The words of such a command.
fn by_hand(command: &str, victim: &str, peer: &str) -> Vec<String> {
    let to = format!("{peer}:7000");
    let settings: &[&str] = match command {
        "attach" => &["--from", victim, "--to", &to, "--latency", "50ms"],
        "loss" => &[victim, peer, "--rate", "50%"],
        "latency" => &[peer, victim, "--one-way", "--delay", "50ms"],
        "bandwidth" => &[victim, "--rate", "10MB/s"],
        _ => &[victim, peer],
    };
    [&[command, "--for", "2500ms"], settings].concat().into_iter().map(str::to_owned).collect()
}

/// A fault of a container, and beside it faults on two edges (one of them in the container's network), on that network, on a
/// service, on a process that Murphy did not start, and on the machine.
fn scenario(lane: &Lane, bench: &Bench, on_container: &str, service: u16, edge: u16) -> String {
    let Lane { victims, peer, mark, .. } = lane;
    let name = &victims.member.name;
    let filling = |folder: &str| format!("{{ disk-pressure: {{ folder: {folder}, amount: 4MiB }} }}");
    let (disk, inside) =
        (filling(&bench.path().display().to_string()), filling(&format!("/{}", traces::FILLED)));
    let faults: String = [
        ("0ms", "1900ms", "edge: items".to_owned(), "{ latency: 50ms }"),
        ("0ms", "1900ms", "edge: beyond".to_owned(), "reset"),
        ("0ms", "1800ms", format!("network: {{ between: [{name}, {}] }}", peer.name), "partition"),
        ("0ms", "1800ms", format!("network: {{ of: {name} }}"), "{ bandwidth: 10MB/s }"),
        ("100ms", "1700ms", format!("container: {{ name: {name} }}"), on_container),
        ("200ms", "1500ms", format!("process: {{ command: \"sleep {mark}\" }}"), "freeze"),
        ("300ms", "900ms", "service: catalogue".to_owned(), "freeze"),
        ("1300ms", "400ms", "service: catalogue".to_owned(), "kill"),
        ("0ms", "1900ms", format!("container: {{ name: {name} }}"), "{ cpu-pressure: { cpus: 0.1 } }"),
        ("0ms", "1900ms", format!("container: {{ name: {name} }}"), "{ memory-pressure: 8MiB }"),
        ("0ms", "1900ms", format!("container: {{ name: {name} }}"), inside.as_str()),
        ("0ms", "1900ms", "host: this".to_owned(), "{ cpu-pressure: { cpus: 0.1 } }"),
        ("100ms", "1500ms", "host: this".to_owned(), "{ memory-pressure: 16MiB }"),
        ("200ms", "1500ms", "host: this".to_owned(), disk.as_str()),
    ]
    .into_iter()
    .map(|(at, lasts, on, fault)| format!("  - {{ {on}, inject: {fault}, at: {at}, for: {lasts} }}\n"))
    .collect();
    format!(
        r#"murphy: 1
name: storm
services:
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{service}"]
    env: {{ STORM: "{mark}" }}
    ready: {{ tcp: "127.0.0.1:{service}" }}
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service}" }}
  beyond: {{ from: {name}, to: "198.51.100.7:80" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 20/s, timeout: 1s }}
phases: {{ warm-up: 0s, baseline: 100ms, fault: 2s, recovery: 100ms }}
learn: all
faults:
{faults}"#
    )
}

/// One place where runs are killed again and again.
struct Lane {
    victims: Victims,
    /// A container that is not touched itself.
    peer: Member,
    bystander: Bystander,
    mark: String,
    dice: murphy_core::Dice,
    struck: usize,
}

/// A run whose time has come.
struct Strike {
    run: Child,
    after: Duration,
    service: u16,
    edge: u16,
    before: serde_json::Value,
    /// Where it runs, and with it its workers.
    bench: PathBuf,
    on_container: &'static str,
}

/// What it took to have everything as before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mended {
    ByItself,
    ByUndo,
}

impl Lane {
    fn open(number: u32) -> Option<Lane> {
        let victims = Victims::start("the_storm_leaves_nothing_behind")?;
        let host = serde_json::json!({ "HostConfig": { "NetworkMode": victims.network } });
        let peer = victims.sandbox.container("peer", &["echo", "7000"], host);
        let mark = format!("{}.{}", 100_000 + u64::from(std::process::id()), 10 + number);
        // In a group of its own, as a stranger's process is.
        let bystander = Command::new("sleep")
            .arg(&mark)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sleep");
        let seed: u64 =
            std::env::var("MURPHY_STORM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let dice = murphy_core::Dice::new(murphy_core::Seed(seed * u64::from(LANES) + u64::from(number)));
        Some(Lane { victims, peer, bystander: Bystander(bystander), mark, dice, struck: number as usize })
    }

    /// A run that is about to be ended, at an instant that the dice choose: from its first system calls to a little after its
    /// end by itself.
    fn begin(&mut self, bench: &Bench) -> Strike {
        let [service, edge] = free_ports();
        let turn = self.struck % (ON_CONTAINER.len() + BY_HAND.len());
        self.struck += 1;
        let before = self.victims.state();
        let (on_container, words) = match ON_CONTAINER.get(turn) {
            Some(on_container) => {
                bench.file("s.yaml", &scenario(self, bench, on_container, service, edge));
                (*on_container, vec!["run".to_owned(), "s.yaml".to_owned()])
            }
            None => {
                let command = BY_HAND[turn - ON_CONTAINER.len()];
                (command, by_hand(command, &self.victims.member.name, &self.peer.name))
            }
        };
        let run = bench
            .command(&words.iter().map(String::as_str).collect::<Vec<_>>())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(bench.path().join("said")).expect("a file"))
            .spawn()
            .expect("the binary starts");
        let after = Duration::from_micros(self.dice.bits() % 3_000_000);
        std::thread::park_timeout(after);
        let bench = bench.path().to_owned();
        Strike { run, after, service, edge, before, bench, on_container }
    }

    fn is_as_before(&self, strike: &Strike) -> bool {
        !processes_with(&format!("127.0.0.1:{}", strike.service)).into_iter().any(is_demo_service)
            && !is_frozen(self.bystander.0.id())
            && pressed(&strike.bench).is_empty()
            && TcpListener::bind(("127.0.0.1", strike.edge)).is_ok()
            && self.victims.state() == strike.before
            && !is_broken(&self.victims)
            && filled_in(&self.victims).is_empty()
            && in_network(&self.victims).is_empty()
    }

    /// One run and a signal that it hears. At its end, and not later, all is as before.
    fn interrupt(&mut self) {
        let bench = Bench::new();
        let mut strike = self.begin(&bench);
        let signal = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP][(self.dice.bits() % 3) as usize];
        let _ = kill(Pid::from_raw(strike.run.id() as i32), signal);
        let status = strike.run.wait().expect("it ends");
        assert!(
            self.is_as_before(&strike) && undo_logs(&bench).is_empty(),
            "{signal} after {:?} under {}, ended with {status}: {} instead of {}; {:?}, {:?}, {:?}\n{}",
            strike.after,
            strike.on_container,
            self.victims.state(),
            strike.before,
            in_network(&self.victims),
            filled_in(&self.victims),
            undo_logs(&bench),
            std::fs::read_to_string(bench.path().join("said")).unwrap_or_default(),
        );
    }

    /// One run and its death; how everything came to be as before, and what was in the world at its death.
    fn strike(&mut self) -> (Mended, Vec<String>) {
        let bench = Bench::new();
        let mut strike = self.begin(&bench);
        let with_watchdog = self.dice.bits().is_multiple_of(3);
        let due = kill_run(&bench, &mut strike.run, with_watchdog);
        let killed = Instant::now();
        let as_before = || self.is_as_before(&strike);
        while !with_watchdog && killed.elapsed() < BY_ITSELF {
            // The log goes last, when all that it asks for is done.
            if undo_logs(&bench).is_empty() && as_before() {
                return (Mended::ByItself, due);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        // A watchdog that is slow may still be at work; both may do the same thing.
        let undo = bench.run(&["undo"]).expect(0);
        eventually("everything is as before after murphy undo", Duration::from_secs(10), || {
            as_before() || {
                eprintln!(
                    "killed after {:?} with {due:?} due; {} instead of {}; {:?}, {:?}\n{}",
                    strike.after,
                    self.victims.state(),
                    strike.before,
                    in_network(&self.victims),
                    filled_in(&self.victims),
                    undo.stdout
                );
                false
            }
        });
        assert!(undo_logs(&bench).is_empty(), "{:?}", undo_logs(&bench));
        (Mended::ByUndo, due)
    }
}

/// Kills a run, and if asked for its watchdog before it; what the run's undo log asked for at that moment.
fn kill_run(bench: &Bench, run: &mut Child, with_watchdog: bool) -> Vec<String> {
    let pid = Pid::from_raw(run.id() as i32);
    if with_watchdog {
        // Stopped first: it would start another one.
        let _ = kill(pid, Signal::SIGSTOP);
        let state = bench.path().join("state").display().to_string();
        for watchdog in processes_with(&format!("watchdog {state}")) {
            let _ = kill(Pid::from_raw(watchdog as i32), Signal::SIGKILL);
        }
    }
    let due = undo_logs(bench).iter().flat_map(|log| due_in(log)).collect();
    let _ = kill(pid, Signal::SIGKILL);
    let _ = run.wait();
    due
}

/// What was in the world at none of these kills, though runs have it.
fn missed(kinds: &BTreeMap<String, u32>) -> Vec<&'static str> {
    KINDS.into_iter().filter(|kind| !kinds.contains_key(*kind)).collect()
}

#[test]
fn the_storm_leaves_nothing_behind() {
    let strikes = std::env::var("MURPHY_STORM").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let lanes: Vec<Lane> = (0..LANES).map_while(Lane::open).collect();
    if lanes.is_empty() {
        return;
    }
    let begun = Instant::now();
    let (next, by_itself, by_undo) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let signals = AtomicU32::new(0);
    let (in_the_world, kinds) = (AtomicU32::new(0), Mutex::new(BTreeMap::<String, u32>::new()));
    // A kind that only one run of fifteen has, and that for half of its time, may be missed by all kills: then there are more of them, as
    // many again at most.
    let is_enough = |number: u32| {
        let kinds = kinds.lock().expect("a lock");
        number >= strikes && (strikes < USUAL || number >= 2 * strikes || missed(&kinds).is_empty())
    };
    std::thread::scope(|scope| {
        for mut lane in lanes {
            let (next, by_itself, by_undo, signals) = (&next, &by_itself, &by_undo, &signals);
            let (in_the_world, kinds, is_enough) = (&in_the_world, &kinds, &is_enough);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if is_enough(number) {
                        break;
                    }
                    if number.is_multiple_of(4) {
                        lane.interrupt();
                        signals.fetch_add(1, Ordering::Relaxed);
                    }
                    let (mended, due) = lane.strike();
                    in_the_world.fetch_add(u32::from(!due.is_empty()), Ordering::Relaxed);
                    let mut kinds = kinds.lock().expect("a lock");
                    due.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
                    match mended {
                        Mended::ByItself => by_itself.fetch_add(1, Ordering::Relaxed),
                        Mended::ByUndo => by_undo.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
    });
    let (by_itself, by_undo) = (by_itself.into_inner(), by_undo.into_inner());
    let (in_the_world, kills) = (in_the_world.into_inner(), by_itself + by_undo);
    let kinds = kinds.into_inner().expect("a lock");
    println!(
        "crash storm: {kills} kills, {} of them with something in the world {:?}; as before: {by_itself} within 5 s \
         by itself, {by_undo} after murphy undo; 0 left; and \
         {} signals, all as before at the end of the run; {:.0} s",
        in_the_world,
        kinds,
        signals.into_inner(),
        begun.elapsed().as_secs_f64()
    );
    assert!(kills >= strikes, "{kills} of {strikes}");
    // A run that ends by itself as soon as it begins would leave nothing either.
    assert!(in_the_world * 2 > kills, "the runs did not get far");
    if strikes >= USUAL {
        let never = missed(&kinds);
        assert!(never.is_empty(), "at no kill there was one of {never:?} to be taken back");
    }
}
