//! Murphy as a container beside those that it breaks: with the rights to enter networks, the host's processes and the
//! engine's socket. The binary under test, with this machine's libraries and programs lent to it, so that nothing is built twice.

use std::path::Path;
use std::time::{Duration, Instant};

use murphy_testkit::Member;
use murphy_tests::{Bench, Three, eventually, murphy, processes_with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Murphy's container, made and started. It sees the bench where it is, and is on the network of the three.
fn beside(three: &Three, bench: &Bench, short: &str, words: &[&str]) -> Member {
    let mut binds: Vec<String> = ["/usr", "/lib", "/lib64", "/bin", "/sbin"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| format!("{path}:{path}:ro"))
        .collect();
    binds.push(format!("{}:/murphy:ro", murphy().display()));
    let place = bench.path().display();
    binds.push(format!("{place}:{place}"));
    binds.push(format!("{}:/var/run/docker.sock", three.sandbox.engine().socket.display()));
    let settings = json!({
        "Entrypoint": ["/murphy"],
        "WorkingDir": bench.path(),
        "Env": [format!("MURPHY_STATE_DIR={place}/state"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        "HostConfig": {
            "Binds": binds,
            "NetworkMode": three.network,
            "PidMode": "host",
            "CapAdd": ["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN"],
            "SecurityOpt": ["apparmor=unconfined"],
        },
    });
    three.sandbox.container(short, words, settings)
}

fn signal(three: &Three, to: &Member, name: &str) {
    three.sandbox.post(&format!("/containers/{}/kill?signal={name}", to.id), &Value::Null);
}

/// Waits for the container's end; its exit code and what it wrote.
fn end(three: &Three, of: &Member) -> (i64, String) {
    let code =
        three.sandbox.post(&format!("/containers/{}/wait", of.id), &Value::Null)["StatusCode"].as_i64();
    let path = format!("/containers/{}/logs?stdout=true&stderr=true", of.id);
    let logs = three.sandbox.engine().call("GET", &path, None).expect("an answer");
    (code.expect("a code"), String::from_utf8_lossy(&logs.body).into_owned())
}

/// An edge that is sat in on between the first two, and a cut between the first and the third.
fn scenario(three: &Three) -> String {
    let (a, b) = (three.name(0), three.name(1));
    let edge = format!("edges: {{ echo: {{ from: {a}, to: \"{b}:7000\" }} }}\nlearn: all\n");
    let slow = "faults: [{ edge: echo, inject: { latency: 400ms } }, {";
    three
        .scenario("{ between: [<a>, <c>] }", "partition")
        .replace("learn: all\n", &edge)
        .replace("faults: [{", slow)
}

/// Waits until both faults are in the world, and looks at them from inside.
fn is_broken(three: &Three, bench: &Bench) {
    eventually("both faults are in the world", Duration::from_secs(60), || {
        let journal = bench.journals().first().and_then(|path| std::fs::read_to_string(path).ok());
        journal.is_some_and(|text| text.matches("\"fault-armed\"").count() == 2)
    });
    let took = three.line(0, 1).expect("late, but there");
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(three.line(0, 2).is_err(), "cut");
    three.line(1, 2).expect("nobody else is touched");
}

#[test]
fn murphy_as_a_container_breaks_others_and_takes_all_back_at_its_end() {
    let Some(three) = Three::start("murphy_as_a_container_breaks_others_and_takes_all_back_at_its_end")
    else {
        return;
    };
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(&three));
    let run = beside(&three, &bench, "murphy", &["run", "s.yaml"]);
    is_broken(&three, &bench);
    // As `docker stop` does.
    signal(&three, &run, "SIGTERM");
    let (code, said) = end(&three, &run);
    assert_eq!(code, 143, "{said}");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    three.untouched();
}

#[test]
fn when_its_container_is_killed_the_kernel_lets_go_and_another_container_takes_back_the_rest() {
    let Some(three) = Three::start(
        "when_its_container_is_killed_the_kernel_lets_go_and_another_container_takes_back_the_rest",
    ) else {
        return;
    };
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(&three));
    let run = beside(&three, &bench, "murphy", &["run", "s.yaml"]);
    is_broken(&three, &bench);
    // The engine ends all that is in the container, but the watchdog may be quicker.
    let pid: i32 = three.sandbox.inspect(&run.id)["State"]["Pid"].to_string().parse().expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it runs");
    for watchdog in processes_with(&format!("watchdog {}", bench.path().display())) {
        kill(Pid::from_raw(watchdog as i32), Signal::SIGKILL).expect("it runs");
    }
    signal(&three, &run, "SIGKILL");
    let killed = Instant::now();
    assert_eq!(end(&three, &run).0, 137);
    eventually("the leases have run out", Duration::from_secs(30), || {
        three.line(0, 2).is_ok() && three.line(0, 1).is_ok_and(|took| took < Duration::from_millis(300))
    });
    println!("calls flow again {:.1} s after the kill", killed.elapsed().as_secs_f64());
    let (code, said) = end(&three, &beside(&three, &bench, "undo", &["undo"]));
    assert_eq!(code, 0, "{said}");
    assert!(bench.undo_logs().is_empty(), "{:?}\n{said}", bench.undo_logs());
    three.untouched();
}
