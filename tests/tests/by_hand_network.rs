//! `murphy partition|loss|reset|latency|bandwidth` between containers of a real engine, as a person types them, looked at from
//! inside these containers' networks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Finished, Three, eventually, finish, kill_with_watchdog, send};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// Murphy with this in the world, seen in the network of the first container.
fn begin(three: &Three, bench: &Bench, args: &[&str]) -> Child {
    let child = bench.spawn(&[args, &["--for", "10m"]].concat());
    eventually(args[0], PATIENCE, || !three.left(0).is_empty());
    child
}

/// Ends it by Ctrl-C: all is as before at its end.
fn end(three: &Three, bench: &Bench, child: Child) -> Finished {
    send(&child, Signal::SIGINT);
    let finished = finish(child).expect(130).says("taken back").says("nothing left to take back");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    three.untouched();
    finished
}

#[test]
fn each_fault_of_a_network_acts_where_it_is_put_and_is_gone_at_its_end() {
    let Some(three) = Three::start("each_fault_of_a_network_acts_where_it_is_put_and_is_gone_at_its_end")
    else {
        return;
    };
    let bench = Bench::new();
    let (a, b, c) = (three.name(0), three.name(1), three.name(2));

    let child = begin(&three, &bench, &["partition", a, b]);
    assert!(three.line(0, 1).is_err() && three.line(1, 0).is_err(), "cut");
    for (from, to) in [(0, 2), (2, 0), (1, 2), (2, 1)] {
        three.line(from, to).expect("the third is no part of it");
    }
    end(&three, &bench, child).says("partition: 2 containers, for 10m").says("it met ");

    let both = format!("{a},{b}");
    let child = begin(&three, &bench, &["partition", &both, c]);
    eventually("the second is cut off too", PATIENCE, || !three.left(1).is_empty());
    assert!(three.line(0, 2).is_err() && three.line(2, 1).is_err());
    three.line(0, 1).expect("of one side");
    end(&three, &bench, child).says("partition: 3 containers");

    let others = format!("{b},{c}");
    let child = begin(&three, &bench, &["partition", a, &others, "--one-way"]);
    assert_eq!([three.datagrams(0, 1, 5), three.datagrams(0, 2, 5)], [0, 0]);
    assert_eq!([three.datagrams(1, 0, 5), three.datagrams(2, 0, 5)], [5, 5]);
    end(&three, &bench, child);

    let child = begin(&three, &bench, &["loss", a, b, "--one-way", "--rate", "30%"]);
    let heard = three.datagrams(0, 1, 400);
    // Six standard deviations on both sides.
    assert!((225..=335).contains(&heard), "{heard} of 400");
    assert_eq!(three.datagrams(1, 0, 100), 100, "the other way loses nothing");
    end(&three, &bench, child).says("loss 30%: 2 containers");

    let near = three.echo(1);
    let mut open = three.inside(0, || TcpStream::connect(near).expect("before the fault"));
    let child = begin(&three, &bench, &["reset", a, b]);
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    open.write_all(b"line\n").and_then(|()| open.read_exact(&mut [0; 5])).expect_err("it is reset");
    assert!(three.line(0, 1).is_err(), "new ones are refused");
    end(&three, &bench, child);

    let child = begin(&three, &bench, &["bandwidth", a, "--rate", "1MB/s"]);
    assert!(three.left(0).contains("tbf") && three.left(1).is_empty());
    end(&three, &bench, child).says("remove the shaping of each interface");

    let child = begin(&three, &bench, &["latency", a, b, "--delay", "300ms"]);
    // The redirect comes before the delay.
    eventually("it is slow both ways", PATIENCE, || {
        three.line(0, 1).is_ok_and(|took| took >= Duration::from_millis(300))
            && three.line(1, 0).is_ok_and(|took| took >= Duration::from_millis(300))
    });
    assert!(three.line(0, 2).expect("no part of it") < Duration::from_millis(300));
    end(&three, &bench, child).says("note: TCP only").says("connections delayed");
}

#[test]
fn it_ends_by_itself_comes_again_and_is_told_as_data() {
    let Some(three) = Three::start("it_ends_by_itself_comes_again_and_is_told_as_data") else { return };
    let bench = Bench::new();
    let args = [
        "partition",
        three.name(0),
        three.name(1),
        "--for",
        "300ms",
        "--every",
        "1500ms",
        "--times",
        "2",
        "--output",
        "json",
    ];
    let finished = bench.run(&args).expect(0);
    let events: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(
        [of("planned"), of("done"), of("taken-back"), of("ended")],
        [2, 4, 2, 1],
        "{}",
        finished.stdout
    );
    assert_eq!(events[0]["targets"].as_array().map(Vec::len), Some(2));
    three.untouched();
}

#[test]
fn when_murphy_is_killed_the_network_comes_back_all_the_same() {
    let Some(three) = Three::start("when_murphy_is_killed_the_network_comes_back_all_the_same") else {
        return;
    };
    let (a, b) = (three.name(0), three.name(1));
    for args in [
        &["partition", a, b][..],
        &["bandwidth", a, "--rate", "1MB/s"],
        &["latency", a, b, "--delay", "100ms"],
    ] {
        let bench = Bench::new();
        let child = begin(&three, &bench, args);
        send(&child, Signal::SIGKILL);
        finish(child).expect(137);
        eventually("the watchdog has taken it back", PATIENCE, || bench.undo_logs().is_empty());
        three.untouched();
    }
    // With the watchdog dead too, the kernel's leases end and `murphy undo` does the rest; nothing new begins before.
    let bench = Bench::new();
    let child = begin(&three, &bench, &["bandwidth", a, "--rate", "1MB/s"]);
    kill_with_watchdog(&bench, child);
    bench.run(&["partition", a, b]).expect(3).says("murphy undo");
    bench.run(&["undo"]).expect(0).says("taken back");
    assert!(bench.undo_logs().is_empty());
    three.untouched();
}

#[test]
fn nothing_is_touched_where_it_cannot_be_meant_or_another_has_it() {
    let Some(three) = Three::start("nothing_is_touched_where_it_cannot_be_meant_or_another_has_it") else {
        return;
    };
    let bench = Bench::new();
    let (a, b) = (three.name(0), three.name(1));
    let dry = bench.run(&["partition", a, b, "--dry-run"]).expect(0);
    dry.says("2 containers")
        .says("undo        delete Murphy's nftables table in the network of")
        .says("dry run");
    bench.run(&["partition", a]).expect(2).says("needs two sides").says("murphy partition web db");
    bench.run(&["partition", a, a]).expect(2).says("stands on both sides");
    bench
        .run(&["partition", a, b, three.name(2), "--one-way"])
        .expect(2)
        .says("from the first to the second");
    bench.run(&["bandwidth", a, b, "--rate", "1MB/s"]).expect(2).says("name one side");
    bench.run(&["loss", a, b, "--rate", "2"]).expect(2).says("loss: ");
    bench.run(&["loss", a, b]).expect(2).says("--rate");
    bench.run(&["partition", a, "service:web"]).expect(2).says("is not a caller");
    bench
        .run(&["partition", a, b, "--max", "1"])
        .expect(3)
        .says("would touch 2 networks, and at most 1 may be");
    bench.run(&["partition", a, &three.sandbox.name("nobody")]).expect(3).says("nobody");
    let labels = json!({ "Labels": { "murphy.protect": "true" } });
    let safe = three.sandbox.container("safe", &[], labels);
    bench.run(&["partition", a, &safe.name]).expect(3).says("protected");
    three.untouched();

    let child = begin(&three, &bench, &["partition", a, b]);
    let held = "in the hands of another run (\"murphy partition";
    bench.run(&["loss", b, three.name(2), "--rate", "10%"]).expect(3).says(held);
    bench.run(&["pause", a]).expect(3).says(held);
    end(&three, &bench, child);
}

#[test]
fn services_of_a_project_are_meant_with_all_their_replicas() {
    let Some(sandbox) = Sandbox::open("services_of_a_project_are_meant_with_all_their_replicas") else {
        return;
    };
    let bench = Bench::new();
    let (shop, other) = (sandbox.name("shop"), sandbox.name("other"));
    let service = sandbox.name("svc").replace(['-', '_'], "");
    for (project, name, number) in [(&shop, "one", 1), (&shop, "two", 2), (&other, "three", 1)] {
        sandbox.container(name, &[], json!({ "Labels": sandbox.compose_labels(project, &service, number) }));
    }
    let peer = sandbox.container("peer", &[], json!({}));
    bench.run(&["partition", &service, &peer.name, "--dry-run"]).expect(3).says("several compose projects");
    let args = ["partition", &service, &peer.name, "--project", &shop, "--dry-run"];
    bench.run(&args).expect(0).says("3 containers").says(&sandbox.name("two"));
}
