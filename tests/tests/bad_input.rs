//! Files that are no scenarios, and scenarios that ask for what is not there: answered soon, with a place and a way out,
//! and nothing is started.

use std::time::{Duration, Instant};

use murphy_tests::{Bench, Finished, free_ports};

/// Longer than any answer takes, also of an unoptimised build on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What `check` and `run` say of a file; both refuse it, soon, and `run` starts nothing.
fn refused(bytes: &[u8]) -> Finished {
    let bench = Bench::new();
    std::fs::write(bench.path().join("s.yaml"), bytes).expect("the bench can be written");
    let begun = Instant::now();
    let checked = bench.run(&["check", "s.yaml"]).expect(2).says("s.yaml");
    let run = bench.run(&["run", "s.yaml"]).expect(2);
    assert!(begun.elapsed() < SOON, "{:?} for {} bytes", begun.elapsed(), bytes.len());
    assert_eq!(run.stderr, checked.stderr, "`run` and `check` say the same");
    assert!(checked.stderr.len() < 20_000, "a person shall read it: {} bytes", checked.stderr.len());
    assert!(!checked.stderr.contains("panicked"), "{}", checked.stderr);
    assert!(bench.journals().is_empty() && bench.undo_logs().is_empty(), "nothing was started");
    checked
}

#[test]
fn an_empty_file_is_refused() {
    refused(b"").says("the file says nothing");
    refused(b"\n\n# only a comment\n").says("the file says nothing");
}

#[test]
fn a_file_of_10_megabytes_is_refused_without_reading_it_all() {
    let line = b"# a line of a file that is far too long to be a scenario\n";
    refused(&line.repeat(10_000_000 / line.len())).says("larger than 1 MiB");
}

/// A file with a hole of a TiB takes no disk, and nobody has the memory to read it.
#[test]
fn a_file_larger_than_all_memory_is_refused_as_soon() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path().join("s.yaml")).expect("the bench can be written");
    if file.set_len(1 << 40).is_err() {
        return murphy_testkit::skipped("the file system has no files of a TiB");
    }
    let begun = Instant::now();
    for command in ["check", "run"] {
        bench.run(&[command, "s.yaml"]).expect(2).says("larger than 1 MiB");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_binary_file_is_refused() {
    let program = std::fs::read(murphy_tests::murphy()).expect("the binary can be read");
    refused(&program[..500_000]).says("a binary file");
    refused(&[0xff, 0xfe, b'm', 0]).says("UTF-16");
    refused(b"murphy: 1\nname: \xc3\x28\n").says("UTF-8");
}

#[test]
fn deep_nesting_is_refused() {
    refused("[".repeat(200_000).as_bytes()).says("nested too deeply");
    refused(format!("murphy: 1\nname: {}x{}\n", "{a: ".repeat(50_000), "}".repeat(50_000)).as_bytes())
        .says("deep");
    let stairs: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(stairs.as_bytes()).says("deep");
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb = "murphy: 1\nname: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    refused(bomb.as_bytes()).says("alias");
    refused(b"murphy: 1\nname: &a [*a]\n").says("alias");
}

#[test]
fn duplicate_keys_are_refused_with_both_places() {
    refused(b"murphy: 1\nname: x\nname: y\n").says("s.yaml:3:1").says("name").says("2");
}

/// A scenario that is well but for `faults`, with a service that leaves at once where `leaves` says so.
fn scenario(ports: [u16; 2], service: &str, faults: &str) -> String {
    let [service_port, edge] = ports;
    format!(
        r#"murphy: 1
name: bad input
services:
  catalogue: {service}
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service_port}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 50/s, timeout: 2s }}
phases: {{ warm-up: 200ms, baseline: 1s, fault: 1s, recovery: 1s }}
faults:{faults}
expect:
  read: {{ success: ">= 50%" }}
"#
    )
}

fn catalogue(port: u16) -> String {
    format!(
        r#"{{ run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{port}"], ready: {{ tcp: "127.0.0.1:{port}" }} }}"#
    )
}

#[test]
fn a_target_that_does_not_exist_is_an_error_and_never_a_pass() {
    for (faults, code, says) in [
        ("\n  - { edge: itms, inject: { latency: 9ms } }", 2, "items"),
        ("\n  - { service: catalog, inject: kill }", 2, "catalogue"),
    ] {
        let bench = Bench::new();
        let ports = free_ports();
        bench.file("s.yaml", &scenario(ports, &catalogue(ports[0]), faults));
        bench.run(&["run", "s.yaml"]).expect(code).says(says);
        assert!(bench.journals().is_empty());
    }
}

#[test]
fn a_target_that_is_gone_when_the_fault_comes_could_not_be_carried_out_3() {
    let bench = Bench::new();
    let ports = free_ports();
    // Ready at once, because nothing is asked; gone when the fault is due.
    bench.file(
        "s.yaml",
        &scenario(ports, "{ run: [\"true\"] }", "\n  - { service: catalogue, inject: freeze }"),
    );
    bench.run(&["run", "s.yaml"]).expect(3).says("catalogue").says("not running");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_program_that_does_not_exist_is_named_3() {
    let bench = Bench::new();
    let ports = free_ports();
    let text = scenario(
        ports,
        "{ run: [no-such-program-anywhere] }",
        "\n  - { edge: items, inject: { latency: 9ms } }",
    );
    bench.file("s.yaml", &text);
    bench.run(&["run", "s.yaml"]).expect(3).says("no-such-program-anywhere").says("catalogue");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_target_of_no_process_ends_the_run_before_anything_is_touched() {
    let bench = Bench::new();
    let [port] = murphy_tests::free_ports();
    bench.file(
        "s.yaml",
        &format!(
            r#"murphy: 1
name: nobody there
services:
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{port}"]
    ready: {{ tcp: "127.0.0.1:{port}" }}
load: {{ read: {{ http: "GET http://127.0.0.1:{port}/items/1", rate: 20/s }} }}
phases: {{ warm-up: 0s, baseline: 1s, fault: 1s, recovery: 1s }}
faults:
  - {{ process: {{ name: no-such-program }}, inject: freeze }}
expect: {{ read: {{ success: ">= 50%" }} }}
"#
        ),
    );
    bench.run(&["run", "s.yaml"]).expect(3).says("no running process matches");
    assert!(bench.undo_logs().is_empty(), "nothing is left to take back");
}
