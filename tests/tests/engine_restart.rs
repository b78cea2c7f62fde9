//! The engine itself is restarted in mid-run: a second, real one that belongs to the test. Whether its containers live
//! through that (`live-restore`) or not, nothing is left behind.

#[path = "engine/own.rs"]
mod own;

use std::path::Path;
use std::process::Stdio;

use murphy_core::Timestamp;
use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use own::{Containers, OwnEngine, PATIENCE};
use serde_json::{Value, json};

/// What a fault changes, as the engine shows it.
fn essence(all: &Value) -> Value {
    let (state, host) = (&all["State"], &all["HostConfig"]);
    let networks = all["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    // One that does not run has no address.
    let aliases = |on: &Value| {
        let aliases = on["Aliases"].as_array().into_iter().flatten();
        aliases.filter(|alias| **alias == json!("shop")).count()
    };
    let networks: Value = networks.map(|(name, on)| json!([name, aliases(on)])).collect();
    json!([
        state["Paused"],
        host["Memory"],
        host["MemorySwap"],
        host["NanoCpus"],
        host["PidsLimit"],
        networks
    ])
}

/// A container of an engine of its own.
struct Restarted {
    finished: Finished,
    running: bool,
    before: Value,
    after: Value,
}

/// Runs a fault of a minute, restarts the engine under it, and ends the run with SIGTERM.
fn restarted_in_mid_run(test: &str, containers: Containers, fault: &str) -> Option<Restarted> {
    let others = Path::new("/sys/class/net/docker0").exists();
    let mut own = OwnEngine::start(test, containers)?;
    let sandbox = Sandbox::on(own.engine());
    let network = sandbox.network("net", json!({}));
    let settings = json!({
        "HostConfig": {
            "NetworkMode": network, "RestartPolicy": { "Name": "no" },
            "Memory": 256 << 20, "MemorySwap": 256 << 20, "NanoCpus": 750_000_000, "PidsLimit": 50,
        },
        "NetworkingConfig": { "EndpointsConfig": { network.clone(): { "Aliases": ["shop"] } } },
    });
    let member = sandbox.container("victim", &["echo", "7000"], settings);
    let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let scenario = format!(
        "murphy: 1\nname: restart\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 500ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
         faults: [{{ container: {{ label: murphy.test={} }}, inject: {fault} }}]\n",
        healthy.local_addr().expect("an address"),
        sandbox.label()
    );
    let bench = Bench::new();
    bench.file("s.yaml", &scenario);
    let all = || sandbox.inspect(&member.id);
    let before = essence(&all());
    let begun = Timestamp::since_epoch();
    let run = bench
        .command(&["run", "s.yaml"])
        .env("DOCKER_HOST", format!("unix://{}", own.engine().socket.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("murphy");
    eventually(fault, PATIENCE, || essence(&all()) != before);
    // Limits are in its record before the engine is through with them; the others only when it is.
    if fault.contains("limits") {
        eventually("it is told", PATIENCE, || sandbox.has_told(&member, "update", begun));
    }
    let broken = essence(&all());
    own.stop();
    own.begin_again();
    if containers == Containers::LiveOn {
        assert_eq!(essence(&all()), broken, "else there would be nothing to take back");
    }
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    let finished: Finished = run.wait_with_output().expect("its end").into();
    assert!(bench.undo_logs().is_empty(), "the undo log is gone with what it asked for");
    assert_eq!(
        Path::new("/sys/class/net/docker0").exists(),
        others,
        "the bridge of this machine's own engine"
    );
    let all = all();
    Some(Restarted {
        finished,
        running: all["State"]["Running"] == json!(true),
        before,
        after: essence(&all),
    })
}

const FAULTS: [&str; 3] = ["pause", "disconnect", "{ limits: { memory: 64MiB, cpus: 0.25, pids: 20 } }"];

#[test]
fn an_engine_that_is_restarted_with_its_containers_alive_leaves_nothing_broken() {
    let test = "an_engine_that_is_restarted_with_its_containers_alive_leaves_nothing_broken";
    for fault in FAULTS {
        let Some(ended) = restarted_in_mid_run(test, Containers::LiveOn, fault) else { return };
        let finished = ended.finished.expect(143);
        assert!(ended.running, "{fault}");
        assert_eq!(ended.after, ended.before, "{fault}\n{}", finished.stderr);
    }
}

#[test]
fn an_engine_that_is_restarted_and_stops_its_containers_leaves_nothing_broken() {
    let test = "an_engine_that_is_restarted_and_stops_its_containers_leaves_nothing_broken";
    for fault in FAULTS {
        let Some(ended) = restarted_in_mid_run(test, Containers::Stop, fault) else { return };
        let finished = ended.finished.expect(143);
        assert_eq!(ended.after, ended.before, "{fault}\n{}", finished.stderr);
    }
}
