//! A container that is restarted or replaced while a fault is on it, or on its network: the fault comes with it, and at the
//! end whoever is there then is as before. On a real engine.

mod engine;

use std::time::Duration;

use engine::{Victims, armed};
use murphy_core::Timestamp;
use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, Three, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A minute of these faults, judged by a probe that is always good.
fn scenario(healthy: &std::net::TcpListener, more: &str) -> String {
    format!(
        "murphy: 1\nname: followed\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 500ms, fault: 60s, recovery: 1s }}\nlearn: all\n{more}\n",
        healthy.local_addr().expect("an address")
    )
}

fn healthy() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// Ends a run with SIGTERM; its journal.
fn ended(bench: &Bench, mut run: std::process::Child) -> String {
    kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(run.wait().expect("its end").code(), Some(143));
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    std::fs::read_to_string(&bench.journals()[0]).expect("a journal")
}

/// How many containers took the fault, as its journal tells.
fn hits(journal: &str) -> Option<u64> {
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lifted = lines.filter_map(|event| event["kind"].get("fault-lifted").cloned());
    lifted.next().and_then(|lifted| lifted["tally"]["hits"].as_u64())
}

/// Restarts it, as its owner does.
fn restart(victims: &Victims) {
    victims.sandbox.post(&format!("/containers/{}/restart?t=0", victims.member.id), &Value::Null);
}

#[test]
fn a_pause_comes_with_a_container_that_is_restarted() {
    let Some(victims) = Victims::start("a_pause_comes_with_a_container_that_is_restarted") else {
        return;
    };
    let bench = Bench::new();
    let fault =
        format!("  - {{ container: {{ label: murphy.test={} }}, inject: pause }}", victims.sandbox.label());
    let healthy = healthy();
    bench.file("s.yaml", &scenario(&healthy, &format!("faults:\n{fault}")));
    let run = bench.spawn(&["run", "s.yaml"]);
    armed(&bench);
    eventually("it is paused", PATIENCE, || victims.is_paused());
    let began = victims.started_at();
    restart(&victims);
    eventually("it is paused again after its restart", PATIENCE, || {
        victims.started_at() != began && victims.is_paused()
    });
    ended(&bench, run);
    assert!(!victims.is_paused());
}

/// What the engine keeps through a restart is not done twice: limits, and that it is on no network.
#[test]
fn limits_and_a_lost_network_stay_with_a_container_that_is_restarted() {
    let test = "limits_and_a_lost_network_stay_with_a_container_that_is_restarted";
    let Some(victims) = Victims::start(test) else { return };
    let kept = LASTING.into_iter().filter(|(fault, _)| *fault != "pause");
    for (fault, is_there) in kept {
        let (bench, healthy, before) = (Bench::new(), healthy(), victims.state());
        let begun = Timestamp::since_epoch();
        let step = format!("faults: [{{ container: {}, inject: {fault} }}]", victims.member.name);
        bench.file("s.yaml", &scenario(&healthy, &step));
        let run = bench.spawn(&["run", "s.yaml"]);
        eventually(fault, PATIENCE, || is_there(&victims.sandbox.inspect(&victims.member.id)));
        is_told(&victims.sandbox, &victims.member, fault, begun);
        let began = victims.started_at();
        restart(&victims);
        assert_ne!(victims.started_at(), began);
        assert!(is_there(&victims.sandbox.inspect(&victims.member.id)), "{fault} after the restart");
        let journal = ended(&bench, run);
        assert_eq!(hits(&journal), Some(1), "{journal}");
        assert!(!journal.contains("\"fault-failed\""), "{journal}");
        assert_eq!(victims.state(), before, "{fault}");
    }
}

type IsThere = fn(&Value) -> bool;

/// Faults that last, and how the engine shows them.
const LASTING: [(&str, IsThere); 3] = [
    ("pause", |all| all["State"]["Paused"] == json!(true)),
    ("disconnect", |all| {
        all["NetworkSettings"]["Networks"].as_object().is_some_and(serde_json::Map::is_empty)
    }),
    ("{ limits: { memory: 64MiB, cpus: 0.5, pids: 20 } }", |all| {
        let host = &all["HostConfig"];
        host["Memory"] == json!(64 << 20) && host["PidsLimit"] == json!(20)
    }),
];

/// Waits until the engine is through with a fault. Limits are in its record before it is; the others only when it is.
fn is_told(sandbox: &Sandbox, of: &Member, fault: &str, since: Duration) {
    if fault.contains("limits") {
        eventually("it is told", PATIENCE, || sandbox.has_told(of, "update", since));
    }
}

/// What was given to it, as the engine shows it.
fn given(all: &Value, network: &str) -> Value {
    let (host, on) = (&all["HostConfig"], &all["NetworkSettings"]["Networks"][network]);
    let aliases = on["Aliases"].as_array().is_some_and(|aliases| aliases.contains(&json!("shop")));
    json!([
        all["State"]["Paused"],
        host["Memory"],
        host["MemorySwap"],
        host["NanoCpus"],
        host["PidsLimit"],
        aliases
    ])
}

#[test]
fn a_fault_comes_with_the_container_that_takes_the_place_of_its_target() {
    let test = "a_fault_comes_with_the_container_that_takes_the_place_of_its_target";
    let Some(sandbox) = Sandbox::open(test) else { return };
    let network = sandbox.network("net", json!({}));
    for (number, (fault, is_there)) in LASTING.into_iter().enumerate() {
        let (project, name) = (sandbox.name(&format!("shop{number}")), format!("web{number}"));
        let settings = json!({
            "Labels": sandbox.compose_labels(&project, "web", 1),
            "HostConfig": {
                "NetworkMode": network, "PidsLimit": 50, "NanoCpus": 750_000_000,
                "Memory": 256 << 20, "MemorySwap": 256 << 20,
            },
            "NetworkingConfig": { "EndpointsConfig": { network.clone(): { "Aliases": ["shop"] } } },
        });
        let web = || sandbox.container(&name, &[], settings.clone());
        let (bench, healthy) = (Bench::new(), healthy());
        let more = format!(
            "stack: {{ project: {project} }}\nfaults: [{{ container: {{ service: web }}, inject: {fault} }}]"
        );
        bench.file("s.yaml", &scenario(&healthy, &more));
        let (begun, old) = (Timestamp::since_epoch(), web());
        let before = given(&sandbox.inspect(&old.id), &network);
        let run = bench.spawn(&["run", "s.yaml"]);
        eventually(fault, PATIENCE, || is_there(&sandbox.inspect(&old.id)));
        is_told(&sandbox, &old, fault, begun);
        // As `docker compose up --force-recreate` does.
        let path = format!("/containers/{}?force=true", old.id);
        assert_eq!(sandbox.engine().call("DELETE", &path, None).expect("an answer").status, 204);
        let new = web();
        eventually("the same on the one in its place", PATIENCE, || is_there(&sandbox.inspect(&new.id)));
        let journal = ended(&bench, run);
        assert_eq!(hits(&journal), Some(2), "{journal}");
        assert!(!journal.contains("\"fault-failed\""), "{journal}");
        assert_eq!(given(&sandbox.inspect(&new.id), &network), before, "{fault}");
    }
}

/// Waits until the rules, which stand in the network of the first, are there, and looks what passes.
fn is_cut(three: &Three) {
    eventually("rules are in its network", PATIENCE, || !three.left(0).is_empty());
    eventually("the two do not reach each other", PATIENCE, || {
        three.line(0, 1).is_err() && three.line(1, 0).is_err()
    });
    assert_eq!(three.datagrams(0, 1, 5) + three.datagrams(1, 0, 5), 0);
    for (from, to) in [(0, 2), (2, 0), (1, 2), (2, 1)] {
        three.line(from, to).expect("the third is no part of it");
    }
}

#[test]
fn a_partition_comes_with_a_side_that_is_restarted_and_with_one_that_is_replaced() {
    let test = "a_partition_comes_with_a_side_that_is_restarted_and_with_one_that_is_replaced";
    let Some(mut three) = Three::start(test) else { return };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ between: [<a>, <b>] }", "partition");
    is_cut(&three);
    for side in [0, 1] {
        // A network of its own: nothing is left in it of what stood in the one before.
        let before = three.pid(side);
        three.restart(side);
        assert_ne!(three.pid(side), before);
        is_cut(&three);
        // By its name, and at an address where nobody was cut off before.
        three.replace(side);
        is_cut(&three);
    }
    three.end(&bench, run);
}
