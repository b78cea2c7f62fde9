//! Scenarios beside each other (`--parallel`): those with nothing in common at once, the others one after the other, and however
//! the call ends, nothing of any of them is left.

use std::time::Duration;

use murphy_tests::{Bench, catalogue_scenario, eventually, finish, free_ports, processes_with, send};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);

/// `delay` on the one edge; ports of its own.
fn scenario(name: &str, delay: &str, limit: &str) -> String {
    let more = format!(
        r#"phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }}
faults: [{{ edge: items, inject: {{ latency: "{delay}" }} }}]
expect: {{ read: {{ p95: "<= {limit}" }} }}
"#
    );
    // Two runs share the machine.
    catalogue_scenario(name, &more).replace("150/s", "50/s")
}

/// A run of a minute; `mark` is in the command line of what it starts.
fn long(name: &str, mark: &str) -> String {
    let more = "phases: { warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 1s }\n\
                faults: [{ edge: items, inject: { latency: 100ms } }]\n\
                expect: { read: { success: \">= 50%\" } }\n";
    let text = catalogue_scenario(name, more);
    let straggler = format!("services:\n  straggler: {{ run: [sh, -c, \"sleep 600; : {mark}\"] }}\n");
    text.replacen("services:\n", &straggler, 1)
}

/// The numbers of the lines that hold a text.
fn lines(text: &str, part: &str) -> Vec<usize> {
    text.lines().enumerate().filter(|(_, line)| line.contains(part)).map(|(number, _)| number).collect()
}

#[test]
fn scenarios_with_nothing_in_common_run_at_once_and_the_worst_verdict_wins() {
    let bench = Bench::new();
    bench.file("a.yaml", &scenario("a bad one", "700ms", "200ms"));
    bench.file("b.yaml", &scenario("a good one", "30ms", "3s"));
    let args = ["run", "a.yaml", "b.yaml", "--parallel", "2", "--junit", "junit.xml"];
    let both = bench.run_expecting(1, &args);
    let both = both.says("2 scenarios").says("NOT GRACEFUL    a bad one").says("GRACEFUL        a good one");
    let begins = lines(&both.stderr, "begins: a good one");
    let bad = lines(&both.stderr, "  a bad one: ");
    let last = bad.last().unwrap_or_else(|| panic!("{}", both.stderr));
    assert!(begins.len() == 1 && begins[0] < *last, "at once\n{}", both.stderr);
    // Every line of progress says whose it is.
    let mut told = 0;
    for line in both.stderr.lines().filter(|line| line.contains("s  ")) {
        assert!(line.contains("s  a bad one: ") || line.contains("s  a good one: "), "{line}");
        told += 1;
    }
    assert!(told > 10, "{}", both.stderr);
    // Files tell of them in the order in which they were typed, whichever ended first.
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    let place = |name: &str| junit.find(name).unwrap_or_else(|| panic!("{name}\n{junit}"));
    assert!(place("a bad one") < place("a good one"), "{junit}");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn scenarios_that_share_an_address_wait_for_each_other() {
    let bench = Bench::new();
    let text = scenario("first", "30ms", "3s");
    bench.file("a.yaml", &text);
    bench.file("b.yaml", &text.replace("name: first", "name: second"));
    bench.file("c.yaml", &scenario("third", "30ms", "3s"));
    let args = ["run", "a.yaml", "b.yaml", "c.yaml", "--parallel", "3", "--inconclusive", "warn"];
    let all = bench.run(&args).expect(0);
    let all = all.says("3 scenarios").says("waits:  second (for first: address 127.0.0.1:");
    let begins = lines(&all.stderr, "begins: second");
    let first = lines(&all.stderr, "  first: ");
    assert!(begins.len() == 1 && begins[0] > *first.last().unwrap(), "{}", all.stderr);
    assert!(lines(&all.stderr, "begins: third")[0] < begins[0], "{}", all.stderr);
    assert_eq!(bench.journals().len(), 3);
}

#[test]
fn nothing_is_begun_after_the_first_that_is_not_graceful() {
    let bench = Bench::new();
    let bad = scenario("bad", "700ms", "200ms");
    bench.file("a.yaml", &bad);
    bench.file("b.yaml", &scenario("beside it", "30ms", "3s"));
    bench.file("c.yaml", &bad.replace("name: bad", "name: later"));
    let args =
        ["run", "a.yaml", "b.yaml", "c.yaml", "--parallel", "2", "--fail-fast", "--junit", "junit.xml"];
    let ended = bench.run_expecting(1, &args);
    // The one beside it comes to its end and has its verdict.
    let ended = ended.says("NOT RUN         later");
    assert!(!ended.stdout.contains("NOT RUN         beside it"), "{}", ended.stdout);
    let mut journals = bench.journals().into_iter();
    let beside =
        journals.find(|journal| journal.display().to_string().contains("beside-it")).expect("it ran");
    let whole = std::fs::read_to_string(beside).unwrap();
    assert!(whole.contains("\"run-ended\"") && whole.contains("\"recovery\""), "{whole}");
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    assert!(junit.contains("type=\"not-run\""), "{junit}");
}

#[test]
fn a_signal_ends_all_of_them_and_everything_is_taken_back() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let bench = Bench::new();
        let [port] = free_ports();
        let mark = format!("murphy-beside-{port}-{}", std::process::id());
        let first = long("first", &mark);
        bench.file("a.yaml", &first);
        bench.file("b.yaml", &long("second", &mark));
        bench.file("c.yaml", &first.replace("name: first", "name: later"));
        let murphy = bench.spawn(&["run", "a.yaml", "b.yaml", "c.yaml", "--parallel", "2"]);
        eventually("both faults are armed", PATIENCE, || {
            let armed = |journal: &std::path::PathBuf| {
                std::fs::read_to_string(journal).is_ok_and(|text| text.contains("\"fault-armed\""))
            };
            bench.journals().iter().filter(|journal| armed(journal)).count() == 2
        });
        assert!(processes_with(&mark).len() >= 2);
        send(&murphy, signal);
        let ended = finish(murphy);
        if signal == Signal::SIGKILL {
            ended.expect(137);
        } else {
            let ended = ended.expect(143).says("NOT RUN         later").says("interrupted by SIGTERM");
            assert_eq!(
                lines(&ended.stderr, ": SIGTERM: taking everything back").len(),
                2,
                "{}",
                ended.stderr
            );
        }
        // By Murphy itself, or by one watchdog for each run.
        eventually("nothing runs any more", PATIENCE, || processes_with(&mark).is_empty());
        eventually("no undo log is left", PATIENCE, || bench.undo_logs().is_empty());
    }
}

#[test]
fn a_number_that_is_none_is_refused() {
    let bench = Bench::new();
    bench.file("a.yaml", &scenario("a", "30ms", "3s"));
    for number in ["0", "-1", "many"] {
        bench.run(&["run", "a.yaml", &format!("--parallel={number}")]).expect(2).says("--parallel");
    }
    assert!(bench.journals().is_empty());
}

#[test]
fn a_signal_while_the_last_of_one_run_goes_down_ends_the_call_with_its_code() {
    let bench = Bench::new();
    // It tells that it was told to go, and stays until it is killed.
    let stubborn = "services:\n  stubborn: { run: [sh, -c, \"trap 'touch told' TERM; touch up; while :; do sleep 0.1; done\"], ready: { command: [test, -f, up] } }\n";
    let more = "phases: { warm-up: 0s, baseline: 500ms, fault: 500ms, recovery: 500ms }\n\
                faults: [{ edge: items, inject: { latency: 20ms } }]\nlearn: all\n";
    bench.file("a.yaml", &catalogue_scenario("one", more).replacen("services:\n", stubborn, 1));
    bench.file("b.yaml", &catalogue_scenario("another", more));
    let run = bench.spawn(&["run", "a.yaml", "b.yaml"]);
    eventually("the first one is taken down", PATIENCE, || bench.path().join("told").exists());
    send(&run, Signal::SIGTERM);
    finish(run).expect(143).says("NOT RUN         another").says("SIGTERM: no further scenario is begun");
}
