//! Pressure on containers over the API of `murphy serve --containers`, on a real engine.

mod pressing;
mod serving;

use murphy_testkit::{Sandbox, skip};
use murphy_tests::{Bench, eventually};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use pressing::{held_on_disk, processor_time, resident, worker, workers};
use serde_json::{Value, json};
use serving::{Api, FAULTS, PATIENCE};

const MIB: u64 = 1 << 20;

/// True with the rights to join a container's control groups. Without them says so out loud, and fails where `CI=true`.
fn root_or_skip(test: &str) -> bool {
    let root = Uid::effective().is_root();
    if !root {
        skip(format_args!("this is not root: {test}"));
    }
    root
}

#[test]
fn the_end_of_one_pressure_leaves_the_others_at_work() {
    let test = "the_end_of_one_pressure_leaves_the_others_at_work";
    let Some(sandbox) = Sandbox::open(test) else { return };
    if !root_or_skip(test) {
        return;
    }
    let members = ["one", "two"].map(|name| sandbox.container(name, &["echo", "7"], json!({})));
    let bench = Bench::new();
    let api = Api::start(&bench);
    let [first, second] = members.each_ref().map(|one| {
        api.begin(json!({ "container": one.name, "inject": { "cpu-pressure": { "load": "1%" } } }))
    });
    assert_eq!(workers(&bench).len(), 2);
    api.lift(&first);
    assert_eq!(workers(&bench).len(), 1);
    api.lift(&second);
    assert_eq!(workers(&bench).len(), 0);
    api.none_is_left();
    assert_eq!(api.daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn pressure_is_put_on_a_container_over_the_api_and_ends_with_its_fault() {
    let Some(sandbox) = Sandbox::open("pressure_is_put_on_a_container_over_the_api_and_ends_with_its_fault")
    else {
        return;
    };
    if !root_or_skip("pressure_is_put_on_a_container_over_the_api_and_ends_with_its_fault") {
        return;
    }
    let host = json!({ "Memory": 128 * MIB, "MemorySwap": 128 * MIB });
    let member = sandbox.container("pressed", &[], json!({ "HostConfig": host }));
    let bench = Bench::new();
    let api = Api::start(&bench);
    type Taken = fn(u32) -> bool;
    let faults: [(Value, Taken); 3] = [
        (json!({ "cpu-pressure": 0.5 }), |pid| processor_time(pid) > 0.3),
        (json!({ "memory-pressure": "48MiB" }), |pid| resident(pid) > 48 * MIB),
        (json!({ "disk-pressure": { "folder": "/", "amount": "4MiB" } }), |pid| held_on_disk(pid) >= 4 * MIB),
    ];
    for (inject, taken) in faults {
        let name = api.begin(json!({ "container": member.name, "inject": inject }));
        let pid = worker(&bench);
        eventually("it is taken", PATIENCE, || taken(pid));
        let (_, shown) = api.ask("GET", &format!("{FAULTS}/{name}"), &Value::Null);
        let undo = shown["undo"][0].as_str().unwrap_or_default();
        assert!(undo.starts_with("end ") && undo.contains(&member.name), "{shown}");
        api.lift(&name);
        assert!(workers(&bench).is_empty(), "{inject}");
        api.none_is_left();
    }
    // What it has not got, and where it cannot be meant.
    let much = json!({ "container": member.name, "inject": { "memory-pressure": "1GiB" } });
    api.refused(&much, 409, "at most");
    let network = json!({ "network": { "of": member.name }, "inject": { "cpu-pressure": 1 } });
    api.refused(&network, 422, "does not act on a network");
    // By itself, and by the death of the daemon.
    let short =
        json!({ "name": "short", "container": member.name, "inject": { "cpu-pressure": 1 }, "for": "300ms" });
    assert_eq!(api.ask("POST", FAULTS, &short).0, 201);
    eventually("it has ended", PATIENCE, || {
        api.ask("GET", &format!("{FAULTS}/short"), &Value::Null).1["state"] == "ended"
    });
    assert!(workers(&bench).is_empty() && bench.undo_logs().is_empty());
    api.begin(json!({ "container": member.name, "inject": { "memory-pressure": "48MiB" } }));
    worker(&bench);
    api.daemon.end(Signal::SIGKILL);
    eventually("the worker has ended", PATIENCE, || workers(&bench).is_empty());
    eventually("nothing is due", PATIENCE, || bench.undo_logs().is_empty());
    assert_eq!(sandbox.inspect(&member.id)["State"]["OOMKilled"], false);
}
