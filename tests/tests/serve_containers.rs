//! `murphy serve --containers`: faults on containers of a real engine and on the network between them, over the API, and back.

mod serving;

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, Daemon, Three, eventually};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use serving::{Api, FAULTS, PATIENCE, ask, send};

/// What a fault may change.
fn state(sandbox: &Sandbox, member: &Member) -> Value {
    let all = sandbox.inspect(&member.id);
    let host = &all["HostConfig"];
    let networks = all["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let networks: Value = networks.map(|(name, on)| json!([name, on["IPAddress"], on["Aliases"]])).collect();
    json!([
        all["Name"],
        all["State"]["Running"],
        all["State"]["Paused"],
        host["Memory"],
        host["MemorySwap"],
        host["NanoCpus"],
        host["PidsLimit"],
        host["RestartPolicy"],
        networks,
    ])
}

/// A container with limits of its own, on this network.
fn container(sandbox: &Sandbox, network: &str, name: &str) -> Member {
    let host = json!({
        "NetworkMode": network, "PidsLimit": 50, "Memory": 256 << 20, "MemorySwap": 512 << 20,
        "NanoCpus": 750_000_000, "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
    });
    sandbox.container(name, &[], json!({ "HostConfig": host }))
}

/// One of these on a network of its own; `None` where there is no engine and a test may be skipped.
fn alone(test: &str) -> Option<(Sandbox, Member)> {
    let sandbox = Sandbox::open(test)?;
    let network = sandbox.network("net", json!({}));
    let member = container(&sandbox, &network, "web");
    Some((sandbox, member))
}

#[test]
fn each_fault_is_done_over_the_api_and_taken_back_by_its_end() {
    let test = "each_fault_is_done_over_the_api_and_taken_back_by_its_end";
    let Some((sandbox, member)) = alone(test) else { return };
    let bench = Bench::new();
    let api = Api::start(&bench);
    let before = state(&sandbox, &member);
    let faults = [
        json!("pause"),
        json!("kill"),
        json!({ "stop": { "grace": "1s" } }),
        json!("disconnect"),
        json!("remove"),
        json!({ "limits": { "memory": "64MiB", "swap": "32MiB", "cpus": 0.25, "pids": 20 } }),
    ];
    for inject in faults {
        let name = api.begin(json!({ "container": member.name, "inject": inject }));
        assert_ne!(state(&sandbox, &member), before, "{inject}");
        let (_, shown) = api.ask("GET", &format!("{FAULTS}/{name}"), &Value::Null);
        assert_eq!(shown["targets"][0]["name"], json!(member.name), "{shown}");
        assert!(shown["ends-in"].as_str().is_some() && shown["undo"][0].as_str().is_some(), "{shown}");
        let (_, list) = api.ask("GET", FAULTS, &Value::Null);
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        // One target is in one hand, also within one daemon.
        let (status, said) = api.ask("POST", FAULTS, &json!({ "container": member.name, "inject": "pause" }));
        match inject == json!("remove") {
            // By its name nobody finds it now.
            true => assert_eq!(status, 422, "{said}"),
            false => assert_eq!(
                (status, said["error"].as_str().map(|e| e.contains("in the hands of"))),
                (409, Some(true)),
                "{said}"
            ),
        }
        api.lift(&name);
        assert_eq!(state(&sandbox, &member), before, "{inject}");
        api.none_is_left();
    }
    // All of it is in the history, and a scenario does it again.
    let (_, history) = api.ask("GET", "/v1/history", &Value::Null);
    let is_over = |deed: &&Value| deed["on"]["container"] == json!(member.name) && deed["until"].is_string();
    assert_eq!(history["deeds"].as_array().into_iter().flatten().filter(is_over).count(), 6, "{history}");
    api.daemon.run(&bench, "proxies save done.yaml --token secret").expect(0).says("murphy check done.yaml");
    bench.run(&["check", "done.yaml"]).expect(0).says("6 faults");
    // It ends by itself, and what is over at once needs no end.
    let words = json!({ "exec": { "command": ["/victim", "print", "hello", "exit", "0"] } });
    let (status, told) = api.ask("POST", FAULTS, &json!({ "container": member.name, "inject": words }));
    assert_eq!((status, &told["happened"][1]["command"]["output"]), (201, &json!("hello")), "{told}");
    let body = json!({ "name": "short", "container": member.name, "inject": "pause", "for": "300ms" });
    assert_eq!(api.ask("POST", FAULTS, &body).0, 201);
    eventually("it has ended", PATIENCE, || {
        api.ask("GET", &format!("{FAULTS}/short"), &Value::Null).1["state"] == "ended"
    });
    assert_eq!(state(&sandbox, &member), before);
    assert!(bench.undo_logs().is_empty());
    assert_eq!(api.daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn what_is_done_inside_a_container_or_at_once_is_done_over_the_api_too() {
    let test = "what_is_done_inside_a_container_or_at_once_is_done_over_the_api_too";
    let Some((sandbox, member)) = alone(test) else { return };
    let bench = Bench::new();
    let api = Api::start(&bench);
    let before = state(&sandbox, &member);
    let of_state = |key: &str| sandbox.inspect(&member.id)["State"][key].clone();
    let pid = of_state("Pid");
    let body = json!({ "container": member.name, "inject": { "restart": { "grace": "1s" } } });
    let (status, told) = api.ask("POST", FAULTS, &body);
    assert_eq!((status, &told["happened"][1]["event"]), (201, &json!("done")), "{told}");
    let path = format!("{FAULTS}/{}", told["name"].as_str().expect("a name"));
    eventually("it has ended", PATIENCE, || api.ask("GET", &path, &Value::Null).1["state"] == "ended");
    api.lift(told["name"].as_str().expect("a name"));
    assert_ne!(of_state("Pid"), pid);
    assert_eq!(state(&sandbox, &member), before);
    // It ends in order, as it does not by SIGKILL; the way back of a signal is a start.
    let name = api.begin(json!({ "container": member.name, "inject": { "signal": "SIGTERM" } }));
    eventually("it has ended by SIGTERM", PATIENCE, || of_state("Running") == json!(false));
    assert_eq!(of_state("ExitCode"), json!(0));
    api.lift(&name);
    assert_eq!(state(&sandbox, &member), before);
    let holds = || {
        let path = format!("/containers/{}/archive?path=/tmp/broken", member.id);
        sandbox.engine().call("GET", &path, None).expect("the engine").status == 200
    };
    let name = api.begin(json!({ "container": member.name, "inject": { "exec": {
        "command": ["/victim", "write", "/tmp/broken", "exit", "0"],
        "revert": ["/victim", "remove", "/tmp/broken", "exit", "0"],
    } } }));
    assert!(holds());
    api.lift(&name);
    assert!(!holds());
    assert_eq!(state(&sandbox, &member), before);
    api.none_is_left();
    assert_eq!(api.daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn sides_ways_and_groups_of_a_network_are_those_of_a_scenario_over_the_api() {
    let Some(three) = Three::start("sides_ways_and_groups_of_a_network_are_those_of_a_scenario_over_the_api")
    else {
        return;
    };
    let bench = Bench::new();
    let api = Api::start(&bench);
    let (a, b, c) = (three.name(0), three.name(1), three.name(2));
    let name = api.begin(json!({ "network": { "from": a, "to": [b, c] }, "inject": "partition" }));
    assert_eq!([three.datagrams(0, 1, 5), three.datagrams(0, 2, 5)], [0, 0]);
    assert_eq!([three.datagrams(1, 0, 5), three.datagrams(2, 0, 5), three.datagrams(1, 2, 5)], [5, 5, 5]);
    api.lift(&name);
    three.untouched();
    let name = api.begin(json!({ "network": { "between": [[a, b], c] }, "inject": "partition" }));
    assert!(three.line(0, 2).is_err() && three.line(2, 1).is_err());
    three.line(0, 1).expect("of one group");
    api.lift(&name);
    three.untouched();
    let near = three.echo(1);
    let mut open = three.inside(0, || TcpStream::connect(near).expect("before the fault"));
    open.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let name = api.begin(json!({ "network": { "between": [a, b] }, "inject": "reset" }));
    open.write_all(b"line\n").and_then(|()| open.read_exact(&mut [0; 5])).expect_err("it is reset");
    let refused = three.line(0, 1).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(std::io::ErrorKind::ConnectionRefused));
    three.line(0, 2).expect("no part of it");
    api.lift(&name);
    three.untouched();
    api.none_is_left();
    assert_eq!(api.daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn the_network_between_containers_is_broken_and_mended_over_the_api() {
    let Some(three) = Three::start("the_network_between_containers_is_broken_and_mended_over_the_api") else {
        return;
    };
    let bench = Bench::new();
    let api = Api::start(&bench);
    let (a, b) = (three.name(0), three.name(1));
    let name = api.begin(json!({ "network": { "between": [a, b] }, "inject": "partition" }));
    assert!(three.line(0, 1).is_err() && three.line(1, 0).is_err());
    three.line(0, 2).expect("no part of it");
    api.lift(&name);
    three.untouched();
    let name = api.begin(json!({ "network": { "from": a, "to": b }, "inject": { "loss": "30%" } }));
    let heard = three.datagrams(0, 1, 400);
    assert!((225..=335).contains(&heard), "{heard} of 400");
    api.lift(&name);
    let name = api.begin(json!({ "network": { "of": a }, "inject": { "bandwidth": "1MB/s" } }));
    assert!(three.left(0).contains("tbf"));
    api.lift(&name);
    let name = api.begin(json!({ "network": { "between": [a, b] }, "inject": { "latency": "300ms" } }));
    assert!(three.line(0, 1).expect("slow") >= Duration::from_millis(300));
    // Two at a time, each on its own.
    let other = api.begin(json!({ "container": three.name(2), "inject": "pause" }));
    api.lift(&name);
    api.lift(&other);
    three.untouched();
    api.none_is_left();
    api.refused(&json!({ "network": { "of": a }, "inject": "partition" }), 422, "needs two sides");
    let body = json!({ "network": { "between": [a, b] }, "inject": "partition", "max": 1 });
    api.refused(&body, 422, "at most 1 may be");
    assert_eq!(api.daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn nobody_acts_on_containers_without_the_switch_and_the_token() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    for request in [("GET", FAULTS), ("POST", FAULTS), ("GET", "/v1/containers/faults/x")] {
        let (status, said) = ask(&daemon, request, None, &json!({ "container": "web", "inject": "pause" }));
        let said = said["error"].as_str().unwrap_or_default().to_owned();
        assert!(status == 403 && said.contains("murphy serve --containers"), "{request:?}: {status} {said}");
    }
    daemon.end(Signal::SIGTERM);
    // On loopback too, one is made and told if none is chosen.
    let daemon = Daemon::start(&bench, &["--containers"]);
    for token in [None, Some("wrong")] {
        assert_eq!(ask(&daemon, ("GET", FAULTS), token, &Value::Null).0, 401);
        assert_eq!(ask(&daemon, ("GET", "/v1/proxies"), token, &Value::Null).0, 401);
    }
    let (code, said) = daemon.end(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert!(said.contains("it acts on containers, so /v1 wants the token "), "{said}");
}

#[test]
fn bodies_that_cannot_be_meant_touch_nothing_and_say_what_to_write() {
    let Some(sandbox) = Sandbox::open("bodies_that_cannot_be_meant_touch_nothing_and_say_what_to_write")
    else {
        return;
    };
    let bench = Bench::new();
    let api = Api::start(&bench);
    let all: Vec<Member> = (1..=7).map(|n| sandbox.container(&format!("web-{n}"), &[], json!({}))).collect();
    let safe = sandbox.container("safe", &[], json!({ "Labels": { "murphy.protect": "true" } }));
    let web = sandbox.name("web-*");
    let pause = |more: Value| {
        let mut body = json!({ "container": web, "inject": "pause" });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        body
    };
    let paused = || all.iter().filter(|one| sandbox.inspect(&one.id)["State"]["Paused"] == true).count();
    api.refused(&pause(json!({})), 422, "would touch 7 targets at once");
    api.refused(&pause(json!({})), 422, "give `max`");
    api.refused(&pause(json!({ "max": 6 })), 422, "at most 6 may be");
    api.refused(&pause(json!({ "for": "0s" })), 422, "is no time");
    api.refused(&pause(json!({ "fro": "1s" })), 400, "unknown field");
    api.refused(&pause(json!({ "container": safe.name })), 422, "protected");
    api.refused(&pause(json!({ "container": sandbox.name("nobody") })), 422, "nobody");
    api.refused(
        &json!({ "container": web, "inject": { "latency": "1s" } }),
        422,
        "does not act on containers",
    );
    api.refused(&json!({ "inject": "pause" }), 422, "service:web");
    let (status, told) = api.ask("POST", FAULTS, &pause(json!({ "max": 7, "dry-run": true })));
    assert_eq!(
        (status, &told["state"], told["targets"].as_array().map(Vec::len)),
        (200, &json!("dry-run"), Some(7))
    );
    assert_eq!(paused(), 0);
    api.none_is_left();
    let (status, _) = api.ask("DELETE", "/v1/containers/faults/nobody", &Value::Null);
    assert_eq!(status, 404);
    // Seven with leave; the same name cannot stand twice; a command by hand is told whose they are.
    let name = api.begin(pause(json!({ "max": 7, "name": "all" })));
    assert_eq!((name.as_str(), paused()), ("all", 7));
    api.refused(&json!({ "name": "all", "container": safe.name, "inject": "pause" }), 409, "stands already");
    bench.run(&["kill", &all[0].name]).expect(3).says("in the hands of another run (\"murphy pause");
    api.lift("all");
    assert_eq!(paused(), 0);
    // A share, again and again, by the seed.
    let body = json!({
        "name": "monkey", "container": { "name": web, "pick": 2 }, "inject": "pause", "for": "200ms", "every": "1s",
    });
    let (status, made) = api.ask("POST", FAULTS, &body);
    assert_eq!((status, made["targets"].as_array().map(Vec::len)), (201, Some(2)), "{made}");
    eventually("a second round", PATIENCE, || {
        api.ask("GET", "/v1/containers/faults/monkey", &Value::Null).1["rounds"].as_u64() >= Some(2)
    });
    api.lift("monkey");
    assert_eq!(paused(), 0);
    api.none_is_left();
}

#[test]
fn what_happens_is_told_in_the_stream_of_events() {
    let Some(sandbox) = Sandbox::open("what_happens_is_told_in_the_stream_of_events") else { return };
    let member = sandbox.container("web", &[], json!({}));
    let bench = Bench::new();
    let api = Api::start(&bench);
    let mut stream = send(&api.daemon, ("GET", "/v1/events"), Some("secret"), "");
    let mut line = String::new();
    while !line.contains("event: listening") {
        line.clear();
        stream.read_line(&mut line).expect("an event");
    }
    let name = api.begin(json!({ "container": member.name, "inject": "pause" }));
    api.lift(&name);
    let mut told = Vec::new();
    while told.last() != Some(&"ended".to_owned()) {
        line.clear();
        stream.read_line(&mut line).expect("an event");
        let data = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        let event =
            data.filter(|data| data["fault"] == json!(name)).map(|data| data["happened"]["event"].clone());
        told.extend(event.and_then(|event| event.as_str().map(str::to_owned)));
    }
    assert_eq!(told, ["planned", "done", "taken-back", "ended"]);
}

#[test]
fn nothing_is_left_when_the_daemon_ends_or_is_killed() {
    let Some(three) = Three::start("nothing_is_left_when_the_daemon_ends_or_is_killed") else { return };
    let member = container(&three.sandbox, &three.network, "web");
    let before = state(&three.sandbox, &member);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL, Signal::SIGHUP] {
        let bench = Bench::new();
        let api = Api::start(&bench);
        api.begin(json!({ "container": member.name, "inject": { "limits": { "memory": "64MiB" } } }));
        api.begin(json!({ "network": { "between": [three.name(0), three.name(1)] }, "inject": "partition" }));
        api.begin(json!({ "container": three.name(2), "inject": "pause" }));
        assert_eq!(
            bench.undo_logs().iter().filter(|path| path.to_string_lossy().contains(".undo.")).count(),
            3
        );
        let (code, _) = api.daemon.end(signal);
        match signal {
            Signal::SIGTERM | Signal::SIGINT => assert_eq!(code, Some(0)),
            // The watchdogs take it back.
            _ => eventually("nothing is due", PATIENCE, || bench.undo_logs().is_empty()),
        }
        assert!(bench.undo_logs().is_empty(), "{signal}: {:?}", bench.undo_logs());
        assert_eq!(state(&three.sandbox, &member), before, "{signal}");
        three.untouched();
    }
}
