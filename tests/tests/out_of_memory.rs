//! Containers that run out of memory during a run, on a real engine: who has a dependency to blame has crashed, and the
//! report says how and with which last words; whom Murphy itself squeezed is told as a fact, and runs again afterwards.

use std::time::Duration;

use murphy_core::Timestamp;
use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A shop that keeps in memory what it cannot hand on to its database.
struct Shop {
    sandbox: Sandbox,
    network: String,
    project: String,
    db: Member,
    web: Member,
    /// What users see of it.
    healthy: std::net::TcpListener,
}

impl Shop {
    fn open(test: &str) -> Option<Shop> {
        let sandbox = Sandbox::open(test)?;
        let (network, project) = (sandbox.network("net", json!({})), sandbox.name("shop"));
        let db = service(&sandbox, &network, &project, "db", &["echo", "7000"]);
        let web = web(&sandbox, &network, &project, &db);
        let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        Some(Shop { sandbox, network, project, db, web, healthy })
    }

    /// As `docker compose up --force-recreate` does.
    fn replace_web(&mut self) {
        let path = format!("/containers/{}?force=true", self.web.id);
        assert_eq!(self.sandbox.engine().call("DELETE", &path, None).expect("an answer").status, 204);
        self.web = web(&self.sandbox, &self.network, &self.project, &self.db);
    }

    fn scenario(&self, fault_phase: &str, faults: &str) -> String {
        format!(
            "murphy: 1\nname: hoarding\nstack: {{ project: {} }}\n\
             probes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 2s, fault: {fault_phase}, recovery: 2s }}\nfaults:\n{faults}\n\
             expect: {{ up: {{ always: true }} }}\n",
            self.project,
            self.healthy.local_addr().expect("an address")
        )
    }

    fn run(&self, bench: &Bench, fault_phase: &str, faults: &str) -> Finished {
        bench.file("s.yaml", &self.scenario(fault_phase, faults));
        bench.run(&["run", "s.yaml", "--html", "report.html"])
    }

    fn state(&self, of: &Member) -> Value {
        self.sandbox.inspect(&of.id)["State"].clone()
    }

    fn memory(&self) -> Value {
        let host = &self.sandbox.inspect(&self.web.id)["HostConfig"];
        json!([host["Memory"], host["MemorySwap"]])
    }
}

/// One with 64 MiB of memory.
fn service(sandbox: &Sandbox, network: &str, project: &str, name: &str, words: &[&str]) -> Member {
    let host = json!({ "NetworkMode": network, "Memory": 64 << 20, "MemorySwap": 64 << 20 });
    let labels = sandbox.compose_labels(project, name, 1);
    sandbox.container(name, words, json!({ "Labels": labels, "HostConfig": host }))
}

fn web(sandbox: &Sandbox, network: &str, project: &str, db: &Member) -> Member {
    let address = &sandbox.inspect(&db.id)["NetworkSettings"]["Networks"][network]["IPAddress"];
    let db = format!("{}:7000", address.as_str().expect("an address"));
    service(sandbox, network, project, "web", &["hoard", &db])
}

/// The exits of a service in the run's journal.
fn exits(bench: &Bench, service: &str) -> Vec<Value> {
    let journal = std::fs::read_to_string(&bench.journals()[0]).expect("a journal");
    let events = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let exits = events.filter_map(|event| event["kind"].get("container-exited").cloned());
    exits.filter(|exit| exit["service"] == json!(service)).collect()
}

#[test]
fn a_service_that_runs_out_of_memory_without_its_dependency_has_crashed_and_its_last_line_is_told() {
    let test =
        "a_service_that_runs_out_of_memory_without_its_dependency_has_crashed_and_its_last_line_is_told";
    let Some(shop) = Shop::open(test) else { return };
    let bench = Bench::new();
    let finished = shop.run(&bench, "8s", "  - { container: { service: db }, inject: kill }");
    let finished = finished.expect(1).says("NOT GRACEFUL");
    let report = finished.words();
    for text in ["web ended by itself (signal 9, out of memory)", "MiB wait for "] {
        assert!(report.contains(text), "{text}\n{}", finished.stdout);
    }
    assert!(!report.contains("the fault's deed"), "{}", finished.stdout);
    let html = std::fs::read_to_string(bench.path().join("report.html")).expect("a page");
    assert!(html.contains(&format!("container {} ran out of memory", shop.web.name)), "in the timeline");
    let exits = exits(&bench, "web");
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!((&exits[0]["code"], &exits[0]["cause"]), (&json!(137), &json!("itself")));
    assert_eq!(shop.state(&shop.db)["Running"], json!(true));
    assert_eq!(shop.state(&shop.web)["Running"], json!(false), "Murphy starts nothing that it did not end");
}

#[test]
fn a_service_whose_memory_murphy_squeezed_has_not_crashed_is_told_of_and_runs_again() {
    let test = "a_service_whose_memory_murphy_squeezed_has_not_crashed_is_told_of_and_runs_again";
    let Some(shop) = Shop::open(test) else { return };
    let (bench, before) = (Bench::new(), shop.memory());
    let finished = shop.run(
        &bench,
        "6s",
        "  - { container: { service: web }, inject: { limits: { memory: 16MiB } }, at: 0s, for: 6s }\n\
         \x20 - { container: { service: db }, inject: kill, at: 500ms, for: 3s }",
    );
    let finished = finished.expect(0).says("GRACEFUL");
    let report = finished.words();
    for text in [
        "web ran out of memory under the fault, 1 time: its end is the fault's deed and no crash; its last line: ",
        "MiB wait for ",
    ] {
        assert!(report.contains(text), "{text}\n{}", finished.stdout);
    }
    assert!(!report.contains("ended by itself"), "{}", finished.stdout);
    let exits = exits(&bench, "web");
    assert_eq!((&exits[0]["code"], &exits[0]["cause"]), (&json!(137), &json!("fault")), "{exits:?}");
    assert_eq!(shop.memory(), before);
    assert_eq!(shop.state(&shop.web)["Running"], json!(true), "it ran before");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

#[test]
fn one_that_takes_the_place_of_a_squeezed_service_and_runs_out_of_memory_has_not_crashed_either() {
    let test = "one_that_takes_the_place_of_a_squeezed_service_and_runs_out_of_memory_has_not_crashed_either";
    let Some(mut shop) = Shop::open(test) else { return };
    let (bench, before, begun) = (Bench::new(), shop.memory(), Timestamp::since_epoch());
    let limits = "  - { container: { service: web }, inject: { limits: { memory: 16MiB } } }";
    bench.file("s.yaml", &shop.scenario("5m", limits));
    let run = bench.spawn(&["run", "s.yaml"]);
    eventually("the first is squeezed", PATIENCE, || shop.sandbox.has_told(&shop.web, "update", begun));
    shop.replace_web();
    let squeezed = json!([16 << 20, 16 << 20]);
    eventually("the one in its place is, too", PATIENCE, || shop.memory() == squeezed);
    shop.sandbox.post(&format!("/containers/{}/kill", shop.db.id), &Value::Null);
    let end = || exits(&bench, "web").into_iter().find(|exit| exit["container"]["id"] == json!(shop.web.id));
    eventually("its end is told", PATIENCE, || end().is_some());
    let exit = end().expect("it was told");
    assert_eq!((&exit["code"], &exit["cause"]), (&json!(137), &json!("fault")), "{exit}");
    shop.sandbox.post(&format!("/containers/{}/start", shop.db.id), &Value::Null);
    murphy_tests::send(&run, Signal::SIGTERM);
    murphy_tests::finish(run).expect(143);
    assert_eq!(shop.memory(), before);
    assert_eq!(shop.state(&shop.web)["Running"], json!(true), "it ran before");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

#[test]
fn a_service_that_is_only_slow_and_runs_out_of_memory_has_crashed() {
    let test = "a_service_that_is_only_slow_and_runs_out_of_memory_has_crashed";
    let Some(shop) = Shop::open(test) else { return };
    let bench = Bench::new();
    let finished = shop.run(
        &bench,
        "10s",
        "  - { container: { service: web }, inject: { limits: { cpus: 0.5 } } }\n\
         \x20 - { container: { service: db }, inject: kill }",
    );
    let finished = finished.expect(1);
    assert!(
        finished.words().contains("web ended by itself (signal 9, out of memory)"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_container_that_a_limit_by_hand_has_ended_runs_again_at_its_end() {
    let test = "a_container_that_a_limit_by_hand_has_ended_runs_again_at_its_end";
    let Some(shop) = Shop::open(test) else { return };
    let (bench, before) = (Bench::new(), shop.memory());
    let limit = bench.spawn(&["limit", &shop.web.name, "--memory", "16MiB", "--for", "10m"]);
    eventually("its memory is squeezed", PATIENCE, || shop.memory() != before);
    shop.sandbox.post(&format!("/containers/{}/kill", shop.db.id), &Value::Null);
    eventually("it has run out of memory", PATIENCE, || shop.state(&shop.web)["Running"] == json!(false));
    shop.sandbox.post(&format!("/containers/{}/start", shop.db.id), &Value::Null);
    murphy_tests::send(&limit, Signal::SIGINT);
    murphy_tests::finish(limit).expect(130).says("it had run out of memory, and was started again");
    assert_eq!(shop.memory(), before);
    assert_eq!(shop.state(&shop.web)["Running"], json!(true));
}
