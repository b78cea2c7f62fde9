//! Every exit code, through the real binary, with real services: known answers.

use murphy_tests::{Bench, free_ports};

/// One catalogue service behind one edge; `fault` and `expect` are YAML of their own.
fn scenario(ports: [u16; 2], fault: &str, expect: &str) -> String {
    let [service, edge] = ports;
    format!(
        r#"murphy: 1
name: known answer
seed: 7
services:
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{service}"]
    ready: {{ tcp: "127.0.0.1:{service}" }}
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 150/s, timeout: 2s }}
phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }}
faults:
  - {fault}
expect:
  {expect}
"#
    )
}

#[test]
fn a_fault_that_users_can_bear_is_graceful_0() {
    let bench = Bench::new();
    let text = scenario(
        free_ports(),
        "{ edge: items, inject: { latency: 30ms } }",
        "read: { success: \">= 98%\", p99: \"<= 1s\" }",
    );
    bench.file("s.yaml", &text);
    let report = bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL").says("run directory");
    // The same journal gives the same report, byte for byte.
    let run = bench.journals().last().unwrap().parent().unwrap().to_owned();
    let again = bench.run(&["report", run.to_str().unwrap()]).expect(0);
    assert!(report.stdout.starts_with(&again.stdout), "{}\n-----\n{}", report.stdout, again.stdout);
    assert_eq!(std::fs::read_to_string(run.join("report.txt")).unwrap(), again.stdout);
    let json = bench.run(&["report", "--json", run.to_str().unwrap()]).expect(0).stdout;
    assert_eq!(std::fs::read_to_string(run.join("report.json")).unwrap(), json);
    assert_eq!(bench.run(&["report", "--output", "json", run.to_str().unwrap()]).expect(0).stdout, json);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["verdict"], "graceful");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_fault_that_reaches_users_is_not_graceful_1() {
    let bench = Bench::new();
    let text =
        scenario(free_ports(), "{ edge: items, inject: { latency: 400ms } }", "read: { p95: \"<= 200ms\" }");
    bench.file("s.yaml", &text);
    bench
        .run_expecting(1, &["run", "s.yaml", "--junit", "junit.xml"])
        .says("NOT GRACEFUL")
        .says("want <= 200ms")
        .says("why read p95");
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    assert!(junit.contains("<failure message=\"read p95: "), "{junit}");
    // From the journal alone the same is written again.
    let run = bench.journals().last().unwrap().parent().unwrap().to_owned();
    bench.run(&["report", run.to_str().unwrap(), "--junit", "again.xml"]).expect(1);
    assert_eq!(std::fs::read_to_string(bench.path().join("again.xml")).unwrap(), junit);
}

#[test]
fn a_scenario_with_mistakes_starts_nothing_2() {
    let bench = Bench::new();
    let text =
        scenario(free_ports(), "{ edge: items, inject: { latncy: 400 } }", "reed: { p95: \"<= 200ms\" }");
    bench.file("s.yaml", &text);
    bench.run(&["run", "s.yaml"]).expect(2).says("latency").says("read");
    assert!(bench.journals().is_empty());
    bench.run(&["run"]).expect(2);
    bench.run(&["run", "no-such-file.yaml"]).expect(2).says("no-such-file.yaml");
}

#[test]
fn a_service_that_dies_at_once_cannot_be_judged_3() {
    let bench = Bench::new();
    let text =
        scenario(free_ports(), "{ edge: items, inject: { latency: 30ms } }", "read: { p95: \"<= 1s\" }")
            .replace("[murphy, demo-service, catalogue,", "[sh, -c, \"echo out of cheese; exit 3\",");
    bench.file("s.yaml", &text);
    bench
        .run(&["run", "s.yaml"])
        .expect(3)
        .says("died before it was ready")
        .says("exit code 3")
        .says("out of cheese");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_service_that_never_gets_ready_cannot_be_judged_3() {
    let bench = Bench::new();
    let text =
        scenario(free_ports(), "{ edge: items, inject: { latency: 30ms } }", "read: { p95: \"<= 1s\" }")
            .replace("[murphy, demo-service, catalogue,", "[sh, -c, \"echo still thinking; sleep 60\",")
            .replace("    ready:", "    within: 3s\n    ready:");
    bench.file("s.yaml", &text);
    bench.run(&["run", "s.yaml"]).expect(3).says("not ready within 3s").says("still thinking");
}

#[test]
fn a_port_that_is_taken_is_named_3() {
    let bench = Bench::new();
    let ports = free_ports();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", ports[1])).unwrap();
    let text = scenario(ports, "{ edge: items, inject: { latency: 30ms } }", "read: { p95: \"<= 1s\" }");
    bench.file("s.yaml", &text);
    bench
        .run(&["run", "s.yaml", "--junit", "junit.xml"])
        .expect(3)
        .says(&format!("127.0.0.1:{}", ports[1]))
        .says("items");
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    assert!(junit.contains("type=\"could-not-be-carried-out\"") && !junit.contains("<skipped"), "{junit}");
}

#[test]
fn an_upstream_that_is_down_from_the_start_is_never_green_4() {
    let bench = Bench::new();
    let ports: [u16; 2] = free_ports();
    let text = scenario(
        ports,
        "{ edge: items, inject: { latency: 30ms } }",
        "read: { success: within 1% of baseline }",
    )
    .replace("[murphy, demo-service, catalogue,", "[sleep, \"60\"]\n    env: {}\n    #")
    .replace(&format!("    ready: {{ tcp: \"127.0.0.1:{}\" }}\n", ports[0]), "");
    bench.file("s.yaml", &text);
    bench.run(&["run", "s.yaml"]).expect(4).says("INCONCLUSIVE").says("baseline");
}

#[test]
fn a_run_that_breaks_nothing_is_no_proof_4_unless_it_is_a_control_0() {
    let bench = Bench::new();
    let text = scenario(free_ports(), "FAULT", "read: { success: \">= 98%\" }");
    let without = text.replace("faults:\n  - FAULT\n", "faults: []\n");
    bench.file("s.yaml", &without);
    bench.run(&["check", "s.yaml"]).expect(0).says("nothing breaks").says("control: true");
    bench.run(&["run", "s.yaml"]).expect(4).says("INCONCLUSIVE").says("nothing was broken");
    bench.file("control.yaml", &without.replace("faults: []", "control: true"));
    let control = bench.run_expecting(0, &["run", "control.yaml"]);
    assert!(control.stdout.contains("control: nothing was broken"), "{}", control.stdout);
    assert!(!control.stderr.contains("warning"), "{}", control.stderr);
    bench.file("both.yaml", &text.replace("FAULT", "{ edge: items, inject: reset }\ncontrol: true"));
    bench.run(&["check", "both.yaml"]).expect(2).says("in a scenario that breaks something");
    bench.file("never.yaml", &without.replace("read:", "recovery: \"<= 2s\"\n  read:"));
    bench.run(&["check", "never.yaml"]).expect(2).says("`recovery` can never be seen");
}

#[test]
fn a_fault_without_effect_is_never_green_4() {
    let bench = Bench::new();
    let ports: [u16; 2] = free_ports();
    // Users go past the edge: the fault sits where nobody calls.
    let text = scenario(ports, "{ edge: items, inject: { latency: 400ms } }", "read: { p95: \"<= 1s\" }")
        .replace(
            &format!("http://127.0.0.1:{}/items", ports[1]),
            &format!("http://127.0.0.1:{}/items", ports[0]),
        );
    bench.file("s.yaml", &text);
    bench
        .run(&["run", "s.yaml"])
        .expect(4)
        .says("INCONCLUSIVE")
        .says("latency-1 hit 0 connections")
        .says("could not tell: read dependency (the fault had no effect");
    bench.run(&["run", "s.yaml", "--inconclusive", "warn"]).expect(0).says("INCONCLUSIVE");
}

#[test]
fn a_stop_condition_ends_the_run_and_the_failure_stands_1() {
    let bench = Bench::new();
    let text = scenario(free_ports(), "{ edge: items, inject: reset }", "read: { success: \">= 98%\" }")
        .replace("fault: 3s", "fault: 60s")
        + "abort-if: [ \"read success < 20% for 1s\" ]\n";
    bench.file("s.yaml", &text);
    let begun = std::time::Instant::now();
    bench.run(&["run", "s.yaml"]).expect(1).says("NOT GRACEFUL").says("read success < 20% for 1s");
    assert!(begun.elapsed() < std::time::Duration::from_secs(55), "{:?}", begun.elapsed());
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_probe_that_fails_for_too_long_ends_the_run_as_well() {
    let bench = Bench::new();
    let ports = free_ports();
    let text = scenario(ports, "{ edge: items, inject: reset }", "read: { success: \">= 98%\" }")
        .replace("fault: 3s", "fault: 60s")
        + &format!(
            "probes: {{ item: {{ http: \"http://127.0.0.1:{}/items/1\", every: 250ms }} }}\n",
            ports[1]
        )
        + "abort-if: [ \"item failing for 1s\" ]\n";
    bench.file("s.yaml", &text);
    let begun = std::time::Instant::now();
    bench.run(&["run", "s.yaml"]).says("item failing for 1s").expect(1).says("NOT GRACEFUL");
    assert!(begun.elapsed() < std::time::Duration::from_secs(55), "{:?}", begun.elapsed());
    assert!(bench.undo_logs().is_empty());
}
