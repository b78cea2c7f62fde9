//! Podman through its Docker-compatible socket, in a store of its own that is thrown away: containers and the network between
//! them are acted on and given back as with Docker's engine, and what Podman does otherwise is told.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_testkit::{Engine, Member, Sandbox, skipped};
use murphy_tests::{Bench, Composing, Finished, Turn, eventually, finish, kill_with_watchdog, send, turn};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// `podman system service` on a socket, with a store of its own; both gone at the end.
struct Podman {
    child: Child,
    engine: Engine,
    dir: tempfile::TempDir,
    /// Two at a time would choose the same bridge and the same addresses: neither knows the networks of the other.
    _turn: Turn,
}

impl Podman {
    /// One, or `None` with a line that says why there is none.
    fn start(test: &str) -> Option<Podman> {
        let in_ci = std::env::var("CI").as_deref() == Ok("true");
        if Command::new("podman").arg("--version").output().is_err() {
            assert!(!in_ci, "{test}: CI=true, but no podman");
            skipped(format_args!("no podman: {test}"));
            return None;
        }
        if !Uid::effective().is_root() {
            assert!(!in_ci, "{test}: CI=true, but not root");
            skipped(format_args!("podman, but not root: {test}"));
            return None;
        }
        let turn = turn();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        // Podman asks for more open files and processes than a test may be allowed to have; and what was imported without the
        // name of a registry is to be found without one.
        let conf = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\ncompat_api_enforce_docker_hub = false\n";
        std::fs::write(at("containers.conf"), conf).expect("to write its configuration");
        let socket = PathBuf::from(at("podman.sock"));
        let child = Command::new("podman")
            .args(["--root", &at("root"), "--runroot", &at("runroot"), "--tmpdir", &at("tmp")])
            .args(["--network-config-dir", &at("networks"), "--storage-driver", "vfs"])
            .args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"])
            .args(["system", "service", "-t", "0", &format!("unix://{}", socket.display())])
            .env("CONTAINERS_CONF", at("containers.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("said")).expect("a file"))
            .spawn()
            .expect("podman starts");
        let podman = Podman { child, engine: Engine { socket }, dir, _turn: turn };
        eventually("podman listens", PATIENCE, || UnixStream::connect(&podman.engine.socket).is_ok());
        Some(podman)
    }

    /// `murphy …` for it.
    fn command(&self, bench: &Bench, args: &[&str]) -> Command {
        let mut command = bench.command(args);
        command.env("DOCKER_HOST", format!("unix://{}", self.engine.socket.display()));
        command
    }

    fn run(&self, bench: &Bench, args: &[&str]) -> Finished {
        self.command(bench, args).output().expect("the binary starts").into()
    }

    fn spawn(&self, bench: &Bench, args: &[&str]) -> Child {
        let mut command = self.command(bench, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // The containers are gone with the sandbox, which was made after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.dir.path().join("said")).unwrap_or_default();
            eprintln!("podman said: {said}");
        }
    }
}

/// Two containers on a network of their own.
struct Pair {
    sandbox: Sandbox,
    web: Member,
    db: Member,
}

impl Pair {
    fn on(podman: &Podman) -> Pair {
        let sandbox = Sandbox::on(podman.engine.clone());
        let network = sandbox.network("net", json!({}));
        let settings = |alias: &str| {
            json!({
                "HostConfig": { "NetworkMode": network, "Memory": 256 << 20, "MemorySwap": 256 << 20 },
                "NetworkingConfig": { "EndpointsConfig": { network.clone(): { "Aliases": [alias] } } },
            })
        };
        let web = sandbox.container("web", &["echo", "7000"], settings("web"));
        let db = sandbox.container("db", &["echo", "7000"], settings("db"));
        Pair { sandbox, web, db }
    }

    /// All that a fault may change of the first, but its address.
    fn state(&self) -> Value {
        let all = self.sandbox.inspect(&self.web.id);
        let (state, host) = (&all["State"], &all["HostConfig"]);
        let networks = all["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        let networks: Vec<Value> = networks.map(|(name, on)| json!([name, sorted(&on["Aliases"])])).collect();
        json!([all["Name"], state["Running"], state["Paused"], host["Memory"], host["PidsLimit"], networks])
    }

    fn address(&self, of: &Member) -> String {
        let all = self.sandbox.inspect(&of.id);
        let networks = all["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        networks.map(|(_, on)| on["IPAddress"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether the first can connect to the second.
    fn reaches(&self) -> bool {
        let pid = self.sandbox.inspect(&self.web.id)["State"]["Pid"].to_string();
        let dial = format!("exec 3<>/dev/tcp/{}/7000", self.address(&self.db));
        let within = ["-t", &pid, "-n", "timeout", "1", "bash", "-c", &dial];
        Command::new("nsenter").args(within).output().expect("nsenter").status.success()
    }
}

fn sorted(names: &Value) -> Vec<String> {
    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn podman_is_found_and_each_act_takes_effect_and_is_taken_back() {
    let Some(podman) = Podman::start("podman_is_found_and_each_act_takes_effect_and_is_taken_back") else {
        return;
    };
    let (pair, bench) = (Pair::on(&podman), Bench::new());
    podman.run(&bench, &["doctor"]).says("Podman ").says("ok  pressure inside its containers");
    let web = pair.web.name.as_str();
    let everybody = pair.sandbox.name("*");
    podman.run(&bench, &["pause", &everybody, "--dry-run"]).expect(0).says(web).says(&pair.db.name);
    let before = pair.state();
    // Podman gives a container that starts the next address and not the one that it had.
    let starts_anew = ["kill", "stop", "remove"];
    for args in [
        vec!["pause", web],
        vec!["kill", web],
        vec!["stop", web, "--grace", "1s"],
        vec!["disconnect", web],
        vec!["remove", web],
    ] {
        let address = pair.address(&pair.web);
        let child = podman.spawn(&bench, &[&args[..], &["--for", "2s"]].concat());
        eventually("it is done", PATIENCE, || pair.state() != before);
        let said = finish(child).expect(0).says("nothing left to take back");
        assert_eq!(pair.state(), before, "{args:?}");
        let kept = pair.address(&pair.web) == address;
        assert!(kept || starts_anew.contains(&args[0]), "{args:?}: {}", said.stdout);
        assert!(kept || said.stdout.contains("its address on"), "{args:?}: {}", said.stdout);
    }
    podman.run(&bench, &["restart", web, "--grace", "1s"]).expect(0);
    let hello = ["exec", web, "--", "/victim", "print", "hello", "exit", "0"];
    podman.run(&bench, &hello).expect(0).says("hello");
    assert_eq!(pair.state(), before);
    // Podman deletes what was started with --rm as soon as it ends, also where it ends for a restart.
    let once = pair.sandbox.container("once", &[], json!({ "HostConfig": { "AutoRemove": true } }));
    for act in ["kill", "restart"] {
        podman.run(&bench, &[act, &once.name]).expect(3).says("--rm");
    }
    assert_eq!(pair.sandbox.inspect(&once.id)["State"]["Running"], true);
    // One that has no way to limit says so before it touches anything.
    let limited = podman.run(&bench, &["limit", web, "--memory", "64MiB", "--for", "1s"]);
    match limited.code {
        0 => drop(limited.says("nothing left to take back")),
        _ => drop(limited.expect(3).says("Podman ").says("memory-pressure")),
    }
    assert_eq!(pair.state(), before);
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

#[test]
fn the_network_between_podmans_containers_is_cut_and_mended_and_pressure_goes_inside() {
    let Some(podman) = Podman::start("the_network_between_podmans_containers_is_cut_and_mended") else {
        return;
    };
    let (pair, bench) = (Pair::on(&podman), Bench::new());
    let (web, db) = (pair.web.name.as_str(), pair.db.name.as_str());
    eventually("the network is up", PATIENCE, || pair.reaches());
    let child = podman.spawn(&bench, &["partition", web, db, "--for", "10m"]);
    eventually("it is cut", PATIENCE, || !pair.reaches());
    send(&child, Signal::SIGTERM);
    finish(child).expect(143).says("nothing left to take back");
    assert!(pair.reaches());
    for args in [
        vec!["latency", web, db, "--delay", "100ms"],
        vec!["bandwidth", web, "--rate", "1MB/s"],
        vec!["pressure", "memory", "16MiB", "--in", web],
    ] {
        let finished = podman.run(&bench, &[&args[..], &["--for", "1s"]].concat());
        finished.expect(0).says("nothing left to take back");
    }
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

#[test]
fn a_run_breaks_podmans_containers_and_a_dead_one_leaves_nothing() {
    let Some(podman) = Podman::start("a_run_breaks_podmans_containers_and_a_dead_one_leaves_nothing") else {
        return;
    };
    let (pair, bench) = (Pair::on(&podman), Bench::new());
    let (web, before) = (pair.web.name.as_str(), pair.state());
    let run = format!(
        "murphy: 1\nname: podman\nprobes: {{ up: {{ tcp: \"{}:7000\", every: 200ms, within: 500ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 1s, fault: 10s, recovery: 2s }}\nlearn: all\nfaults:\n  \
         - {{ container: {{ name: {web} }}, inject: kill, at: 0ms, for: 1s }}\n  \
         - {{ container: {{ name: {web} }}, inject: {{ stop: 1s }}, at: 3s, for: 1s }}\n  \
         - {{ container: {{ name: {web} }}, inject: disconnect, at: 6s, for: 1s }}\n  \
         - {{ container: {{ name: {web} }}, inject: pause, at: 9s, for: 1s }}\n",
        pair.address(&pair.db)
    );
    bench.file("s.yaml", &run);
    let finished = podman.run(&bench, &["run", "s.yaml"]).expect(0);
    assert_eq!(pair.state(), before, "{}", finished.stderr);
    let journal = std::fs::read_to_string(&bench.journals()[0]).expect("a journal");
    let exits = journal.lines().filter(|line| line.contains("\"container-exited\"")).count();
    assert!(exits >= 2 && journal.contains("\"cause\":\"fault\""), "{journal}");
    assert!(!journal.contains("\"cause\":\"itself\""), "a fault's deed is no crash: {journal}");
    // Killed together with nobody: its watchdog takes it back.
    let child = podman.spawn(&bench, &["pause", web, "--for", "10m"]);
    eventually("it is paused", PATIENCE, || pair.state() != before);
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the watchdog has taken it back", PATIENCE, || pair.state() == before);
    eventually("nothing is due", PATIENCE, || bench.undo_logs().is_empty());
    // Killed together with its watchdog: `murphy undo` does, with the engine that the dead command had.
    let child = podman.spawn(&bench, &["stop", web, "--grace", "1s", "--for", "10m"]);
    eventually("it is stopped", PATIENCE, || pair.state() != before);
    kill_with_watchdog(&bench, child);
    bench.run(&["undo"]).expect(0).says("taken back: have ");
    assert_eq!(pair.state(), before);
}

#[test]
fn a_stack_comes_up_on_podman_through_dockers_compose_and_goes_down_without_a_trace() {
    let test = "a_stack_comes_up_on_podman_through_dockers_compose_and_goes_down_without_a_trace";
    let Some(podman) = Podman::start(test) else { return };
    let sandbox = Sandbox::on(podman.engine.clone());
    let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let project = sandbox.name("shop");
    for program in Composing::each_there(test) {
        let bench = Bench::new();
        let service = format!(
            "image: localhost/{}, command: [echo, \"7000\"], stop_grace_period: 1s, labels: {{ murphy.test: \"{}\" }}",
            sandbox.image(),
            sandbox.label()
        );
        bench.file(
            "compose.yaml",
            &format!(
                "version: \"3.8\"\nservices:\n  db: {{ {service}, volumes: [ \"data:/data\" ] }}\n\
                 \x20 web: {{ {service}, depends_on: [db] }}\nvolumes: {{ data: {{}} }}\n"
            ),
        );
        bench.file(
            "s.yaml",
            &format!(
                "murphy: 1\nname: composed\nstack: {{ compose: compose.yaml, project: {project}, up: true, wait: 60s }}\n\
                 probes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
                 phases: {{ warm-up: 0s, baseline: 500ms, fault: 1s, recovery: 500ms }}\nlearn: all\n\
                 faults: [{{ container: {{ service: db }}, inject: pause }}]\n",
                healthy.local_addr().expect("an address")
            ),
        );
        let mut command = podman.command(&bench, &["run", "s.yaml"]);
        program.only(&bench, &mut command);
        let finished: Finished = command.output().expect("the binary starts").into();
        finished.expect(0).says("fault on:  pause on container service:db");
        for path in ["/containers/json?all=true", "/networks", "/volumes"] {
            let there = podman.engine.call("GET", path, None).expect("an answer").json().to_string();
            assert!(!there.contains(&project), "{program:?}: {path}: {there}");
        }
        assert!(bench.undo_logs().is_empty());
    }
}
