//! `murphy pressure` and `host: this` on this machine: the pressure is there, and it is gone at its end, on a signal, when
//! Murphy is killed, and when its watchdog is killed with it. Small amounts: the machine is also the one that runs the tests.

mod pressing;

use std::time::{Duration, Instant};

use murphy_tests::{Bench, catalogue_scenario, eventually, finish, kill_with_watchdog, send};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pressing::{held_on_disk, processor_time, resident, worker, workers};

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// Names that a worker left in a folder.
fn left_in(bench: &Bench) -> Vec<String> {
    let all = std::fs::read_dir(bench.path()).expect("a folder").flatten();
    all.map(|file| file.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".murphy-"))
        .collect()
}

/// What is typed, and how one sees on the worker that it is there.
type Pressing = (&'static [&'static str], fn(u32) -> bool);

const KINDS: [Pressing; 3] = [
    (&["pressure", "cpu", "--cpus", "0.5"], |pid| processor_time(pid) > 0.1),
    (&["pressure", "memory", "48MiB"], |pid| resident(pid) > 48 * MIB),
    (&["pressure", "disk", "8MiB", "--folder", "."], |pid| held_on_disk(pid) >= 8 * MIB),
];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn each_pressure_is_there_for_its_time_and_gone_after_it() {
    for (args, is_there) in KINDS {
        let bench = Bench::new();
        let begun = Instant::now();
        let child = bench.spawn(&with(args, &["--for", "5s", "--seed", "7"]));
        let pid = worker(&bench);
        eventually("the pressure is there", PATIENCE, || is_there(pid));
        let finished = finish(child).expect(0).says("this machine, for 5s").says("nothing left to take back");
        assert!(begun.elapsed() >= Duration::from_secs(5), "{args:?}");
        assert!(finished.stdout.contains("  taken back  end "), "{}", finished.stdout);
        assert_eq!((workers(&bench).len(), left_in(&bench).len()), (0, 0), "{args:?}");
        assert!(bench.undo_logs().is_empty(), "{args:?}");
    }
}

#[test]
fn a_share_of_the_time_is_not_exceeded() {
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "cpu", "--cpus", "1", "--load", "20%", "--for", "10m"]);
    let pid = worker(&bench);
    let (begun, before) = (Instant::now(), processor_time(pid));
    eventually("it works", PATIENCE, || processor_time(pid) - before > 0.4);
    // The time last: what passes between the two looks must not count as work.
    let had = processor_time(pid) - before;
    let took = begun.elapsed().as_secs_f64();
    // A machine that is busy gives it less, never more.
    assert!(had < 0.3 * took + 0.05, "{had} s of {took} s");
    send(&child, Signal::SIGINT);
    finish(child).expect(130);
}

#[test]
fn memory_can_grow_as_a_leak_does() {
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "memory", "64MiB", "--over", "10m", "--for", "20m"]);
    let pid = worker(&bench);
    eventually("the first of it is there", PATIENCE, || resident(pid) > 4 * MIB);
    assert!(resident(pid) < 48 * MIB, "{}", resident(pid));
    send(&child, Signal::SIGTERM);
    finish(child).expect(143).says("SIGTERM");
    assert!(workers(&bench).is_empty());
}

#[test]
fn a_signal_to_murphy_ends_each_pressure_at_once() {
    for ((args, is_there), (signal, code)) in
        KINDS.into_iter().zip([(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)])
    {
        let bench = Bench::new();
        let child = bench.spawn(&with(args, &["--for", "10m"]));
        let pid = worker(&bench);
        eventually("the pressure is there", PATIENCE, || is_there(pid));
        send(&child, signal);
        finish(child).expect(code).says(signal.as_str()).says("nothing left to take back");
        assert_eq!((workers(&bench).len(), left_in(&bench).len()), (0, 0), "{args:?}");
        assert!(bench.undo_logs().is_empty(), "{args:?}");
    }
}

#[test]
fn a_worker_ends_with_murphy_even_if_nobody_is_left_to_take_it_back() {
    for (args, is_there) in KINDS {
        let bench = Bench::new();
        let child = bench.spawn(&with(args, &["--for", "10m"]));
        let pid = worker(&bench);
        eventually("the pressure is there", PATIENCE, || is_there(pid));
        kill_with_watchdog(&bench, child);
        eventually("the worker has ended", PATIENCE, || workers(&bench).is_empty());
        assert!(left_in(&bench).is_empty());
        // The log still asks for it, and nothing starts before it is looked after.
        bench.run(&with(args, &["--for", "1s"])).expect(3).says("murphy undo");
        bench.run(&["undo"]).expect(0).says("taken back: end ");
        assert!(bench.undo_logs().is_empty());
    }
}

#[test]
fn the_watchdog_ends_a_worker_that_cannot_hear() {
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "memory", "16MiB", "--for", "10m"]);
    let pid = worker(&bench);
    // It cannot see the end of its pipe while it stands still.
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).expect("the worker lives");
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the worker has ended", PATIENCE, || workers(&bench).is_empty());
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
}

#[test]
fn a_pressure_that_ends_before_its_time_is_no_success() {
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "memory", "64MiB", "--for", "5s"]);
    let pid = worker(&bench);
    eventually("the pressure is there", PATIENCE, || resident(pid) > 64 * MIB);
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the worker lives");
    finish(child).expect(3).says("FAILED").says("before its time").says("nothing left to take back");
}

#[test]
fn two_do_not_press_on_the_same_thing() {
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "memory", "16MiB", "--for", "10m"]);
    worker(&bench);
    bench
        .run(&["pressure", "memory", "16MiB", "--for", "1s"])
        .expect(3)
        .says("memory-pressure of this machine");
    bench.run(&["pressure", "cpu", "--cpus", "0.1", "--for", "100ms"]).expect(0);
    send(&child, Signal::SIGINT);
    finish(child).expect(130);
}

#[test]
fn a_dry_run_says_how_much_and_starts_nothing() {
    for (args, _) in KINDS {
        let bench = Bench::new();
        bench
            .run(&with(args, &["--dry-run"]))
            .expect(0)
            .says("this machine, for 30s")
            .says("  undo        end ")
            .says("nothing was touched");
        assert_eq!((workers(&bench).len(), left_in(&bench).len(), bench.undo_logs().len()), (0, 0, 0));
    }
}

#[test]
fn the_last_of_a_machine_is_refused_and_what_was_mistyped_is_told() {
    let bench = Bench::new();
    // Only looked at: a guard that does not hold must not fill the machine.
    for (args, code, says) in [
        ("pressure memory 100% --dry-run", 3, "at most"),
        ("pressure memory 100% --reserve 0B --dry-run", 3, "64MiB stay so"),
        ("pressure memory 4000000GiB --dry-run", 3, "at most"),
        ("pressure disk 100% --folder / --reserve 0B --dry-run", 3, "64MiB stay so"),
        ("pressure disk 100% --folder . --dry-run", 3, "smaller reserve"),
        ("pressure disk 1MiB --folder no-such --dry-run", 3, "name one that is there"),
        ("pressure cpu --cpus 4000 --dry-run", 3, "for all"),
        ("pressure cpu --cpus many", 2, "write 0.5"),
        ("pressure cpu --load 0%", 2, "--load 80%"),
        ("pressure memory 64", 2, "`64MiB`?"),
        ("pressure memory 64MB/s", 2, "80%"),
        ("pressure memory 0B", 2, "512MiB"),
        ("pressure memory", 2, "<AMOUNT>"),
        ("pressure disk 1MiB", 2, "--folder"),
        ("pressure memory 1MiB --pick 1", 2, "one machine"),
        ("pressure memory 1MiB --for 0s", 2, "--for 30s"),
        ("pressure-worker nonsense", 3, "no task"),
    ] {
        bench.run(&args.split(' ').collect::<Vec<_>>()).expect(code).says(says);
    }
    assert!(workers(&bench).is_empty() && bench.undo_logs().is_empty());
}

/// All three kinds on this machine, each with how one sees it.
fn scenario(bench: &Bench, fault: &str) -> String {
    let more = format!(
        r#"phases: {{ warm-up: 200ms, baseline: 1s, fault: {fault}, recovery: 500ms }}
faults:
  - {{ host: this, inject: {{ cpu-pressure: {{ cpus: 0.2 }} }} }}
  - {{ host: this, inject: {{ memory-pressure: 48MiB }} }}
  - {{ host: this, inject: {{ disk-pressure: {{ folder: "{}", amount: 8MiB }} }} }}
expect: {{ read: {{ success: ">= 50%" }} }}
"#,
        bench.path().display()
    );
    catalogue_scenario("a machine with little to spare", &more)
}

fn all_there(bench: &Bench) -> bool {
    let workers = workers(bench);
    KINDS.iter().all(|(_, is_there)| workers.iter().any(|pid| is_there(*pid)))
}

#[test]
fn a_run_presses_during_its_fault_and_leaves_nothing() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(&bench, "8s"));
    bench
        .run(&["plan", "s.yaml"])
        .expect(0)
        .says("memory-pressure 48MiB on this machine")
        .says("end the worker process");
    let child = bench.spawn(&["run", "s.yaml", "--inconclusive", "warn"]);
    eventually("all three are there", PATIENCE, || all_there(&bench));
    finish(child).expect(0);
    assert_eq!((workers(&bench).len(), left_in(&bench).len(), bench.undo_logs().len()), (0, 0, 0));
    let journal = std::fs::read_to_string(&bench.journals()[0]).expect("a journal");
    for fault in ["cpu-pressure-1", "memory-pressure-1", "disk-pressure-1"] {
        let lifted = journal.lines().find(|line| line.contains("fault-lifted") && line.contains(fault));
        assert!(lifted.is_some_and(|line| line.contains("\"hits\":1")), "{fault}: {lifted:?}");
    }
}

#[test]
fn a_run_that_is_killed_leaves_no_pressure() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(&bench, "10m"));
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("all three are there", PATIENCE, || all_there(&bench));
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the workers have ended", PATIENCE, || workers(&bench).is_empty());
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
    assert!(left_in(&bench).is_empty());
}

#[test]
fn a_run_that_asks_for_too_much_begins_nothing() {
    let bench = Bench::new();
    let more = "phases: { warm-up: 100ms, baseline: 200ms, fault: 1s, recovery: 100ms }\nlearn: all\n\
                faults: [{ host: this, inject: { memory-pressure: 100% } }]\n";
    bench.file("s.yaml", &catalogue_scenario("too much", more));
    bench.run(&["run", "s.yaml"]).expect(3).says("at most");
    for (fault, says) in [
        ("{ host: that, inject: cpu-pressure }", "this"),
        ("{ inject: cpu-pressure }", "`host: this`"),
        ("{ host: this, inject: pause }", "`container: { service: NAME }`"),
        ("{ host: this, inject: { memory-pressure: 0% } }", "no pressure"),
        ("{ host: this, inject: { memory-pressure: 64 } }", "64MiB"),
        ("{ host: this, inject: { disk-pressure: { folder: data, amount: 1MiB } } }", "from the root on"),
    ] {
        let more = format!("learn: all\nfaults: [{fault}]\n");
        bench.file("wrong.yaml", &catalogue_scenario("wrong", &more));
        bench.run(&["check", "wrong.yaml"]).expect(2).says(says);
    }
    assert!(workers(&bench).is_empty());
}
