//! Edges with `from:`: Murphy sits in on the calls of a container that knows nothing of it, and nothing is left behind,
//! however it ends. A real Redis and a real caller in containers; the programs are this machine's own, lent to them.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use murphy_tests::{Bench, CartStack, Finished, cart, eventually, get, in_network, murphy, processes_with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// The scenario of most tests here.
fn scenario(stack: &CartStack, phases: &str, faults: &str, expect: &str) -> String {
    let (cart, redis) = (&stack.cart.name, &stack.redis.name);
    let url = format!("http://{}:7004", stack.address(&stack.cart));
    format!(
        r#"murphy: 1
name: a cart on whose Redis murphy sits
seed: 7
edges:
  cart-redis: {{ from: {cart}, to: "{redis}:6379", protocol: redis }}
load:
  show: {{ http: "GET {url}/cart/7", rate: 40/s, timeout: 2s }}
phases: {phases}
faults:
{faults}
expect:
{expect}
"#
    )
}

/// The events of a kind in the journal of the last run.
fn events(bench: &Bench, kind: &str) -> Vec<Value> {
    let journals: Vec<PathBuf> = bench.journals();
    let text =
        journals.last().map(|path| std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|event| event["kind"].get(kind).cloned())
        .collect()
}

const SHORT: &str = "{ warm-up: 1s, baseline: 4s, fault: 4s, recovery: 5s }";

#[test]
fn latency_on_the_calls_of_a_container_that_knows_nothing_of_murphy() {
    let Some(stack) = CartStack::up("latency_on_the_calls_of_a_container") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        SHORT,
        "  - { edge: cart-redis, inject: { latency: 700ms } }",
        "  show: { success: \">= 95%\", may: [stale, default] }\n  cart-redis: { timeout: \"<= 400ms\" }",
    );
    bench.file("s.yaml", &text);
    let shown = get(&format!("{}:7004", stack.address(&stack.cart)), "/cart/7");
    assert_eq!(shown.expect("an answer").0, 200, "the cart's pool has a connection from now on");
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL");
    let seats = events(&bench, "edge-intercepted");
    assert_eq!(seats[0]["caller"], json!(stack.cart.name));
    assert!(seats[0]["cut"].as_u64() >= Some(1), "the pool that was open before: {}", seats[0]);
    assert_eq!(seats[0]["destinations"], json!([format!("{}:6379", stack.address(&stack.redis))]));
    let tally = &events(&bench, "fault-lifted")[0]["tally"];
    assert!(tally["hits"].as_u64() > Some(3), "{tally}");
    assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn connections_that_are_open_are_left_alone_where_a_scenario_says_so() {
    let Some(stack) = CartStack::up("connections_that_are_open_are_left_alone") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        "{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }",
        "  - { edge: cart-redis, inject: { latency: 700ms } }",
        "  show: { success: \">= 50%\" }",
    )
    .replace(", protocol: redis", ", open-connections: leave");
    bench.file("s.yaml", &text);
    // One that stays open without the pool of the cart, which may grow and shrink.
    let address = format!("{}:6379", stack.address(&stack.redis));
    let dial = || std::net::TcpStream::connect(&address).expect("before the run");
    let mut open = in_network(stack.pid(&stack.cart), dial);
    let mut ping = || {
        let begun = Instant::now();
        open.write_all(b"PING\r\n").and_then(|()| open.read_exact(&mut [0; 7])).expect("it is open");
        begun.elapsed()
    };
    ping();
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("the fault is armed", PATIENCE, || !events(&bench, "fault-armed").is_empty());
    let seats = events(&bench, "edge-intercepted");
    assert_eq!((&seats[0]["caller"], &seats[0]["cut"]), (&json!(stack.cart.name), &json!(0)));
    // The quickest of a few: a machine may stand still once.
    let past = (0..3).map(|_| ping()).min();
    assert!(past < Some(Duration::from_millis(700)), "it goes on past Murphy: {past:?}");
    let through = stack.ping(&stack.cart, &stack.redis);
    assert!(through >= Duration::from_millis(700), "a new one is late: {through:?}");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let finished: Finished = child.wait_with_output().unwrap().into();
    finished.expect(143);
    ping();
    assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn sigkill_lets_calls_flow_again_within_seconds_and_undo_leaves_no_table() {
    let Some(stack) = CartStack::up("sigkill_lets_calls_flow_again") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        "{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }",
        "  - { edge: cart-redis, inject: blackhole }",
        "  show: { success: \">= 50%\" }",
    );
    bench.file("s.yaml", &text);
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("the fault is armed", PATIENCE, || !events(&bench, "fault-armed").is_empty());
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1);
    // The watchdog first, so that only the kernel is left.
    let needle = format!("watchdog {}", bench.path().join("state").display());
    let watchdogs = processes_with(&needle);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGSTOP).unwrap();
    kill(Pid::from_raw(watchdogs[0] as i32), Signal::SIGKILL).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    let killed = Instant::now();
    child.wait_with_output().unwrap();
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1, "nobody was left to delete it");

    let (pid, redis) = (stack.pid(&stack.cart).to_string(), stack.address(&stack.redis));
    let call = ["-t", &pid, "-n", "redis-cli", "-h", &redis, "ping"];
    eventually("the caller's calls reach Redis again", PATIENCE, || {
        Command::new("nsenter").args(call).output().is_ok_and(|output| output.stdout.starts_with(b"PONG"))
    });
    // The term is 5 s; the rest is the slack of a busy machine.
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());

    bench.run(&["run", "s.yaml"]).expect(3).says("murphy undo");
    bench.run(&["undo"]).expect(0).says("taken back").says("nftables");
    assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
    bench.run(&["undo"]).expect(0).says("nothing to take back");
}

#[test]
fn the_watchdog_deletes_the_table_of_a_killed_run() {
    let Some(stack) = CartStack::up("the_watchdog_deletes_the_table") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        "{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }",
        "  - { edge: cart-redis, inject: { latency: 100ms } }",
        "  show: { success: \">= 50%\" }",
    );
    bench.file("s.yaml", &text);
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("the fault is armed", PATIENCE, || !events(&bench, "fault-armed").is_empty());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    child.wait_with_output().unwrap();
    // The end of the lease leaves the table there, as is seen above.
    eventually("the table is gone", PATIENCE, || stack.tables_of_murphy(&stack.cart) == 0);
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
}

#[test]
fn a_restarted_caller_a_new_replica_and_a_moved_destination_are_followed() {
    let Some(mut stack) = CartStack::up("a_restarted_caller") else { return };
    // The cart as one of two replicas of a compose service.
    let project = stack.sandbox.name("shop");
    let replica = |stack: &CartStack, number: u32| {
        let labels = stack.sandbox.compose_labels(&project, "basket", number);
        let short = format!("basket{number}");
        cart(
            &stack.sandbox,
            &stack.network,
            &short,
            &stack.sandbox.name("redis"),
            json!({ "Labels": labels }),
        )
    };
    stack.cart = replica(&stack, 1);
    stack.wait_ready(&stack.cart);
    let bench = Bench::new();
    let text = scenario(
        &stack,
        "{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }",
        "  - { edge: cart-redis, inject: { latency: 100ms } }",
        "  show: { success: \">= 50%\" }",
    )
    .replace(&format!("from: {}", stack.cart.name), "from: basket");
    bench.file("s.yaml", &text);
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("the fault is armed", PATIENCE, || !events(&bench, "fault-armed").is_empty());

    let second = replica(&stack, 2);
    let is_sat_in = |name: &str, times: usize| {
        events(&bench, "edge-intercepted").iter().filter(|seat| seat["caller"] == json!(name)).count()
            >= times
    };
    eventually("a new replica is sat in on", PATIENCE, || is_sat_in(&second.name, 1));
    stack.sandbox.post(&format!("/containers/{}/restart?t=0", stack.cart.id), &Value::Null);
    eventually("a restarted caller is sat in on again", PATIENCE, || is_sat_in(&stack.cart.name, 2));

    // Redis comes back elsewhere: a third container holds its address meanwhile.
    stack.sandbox.post(&format!("/containers/{}/stop?t=0", stack.redis.id), &Value::Null);
    let holder = json!({ "HostConfig": { "NetworkMode": stack.network } });
    stack.sandbox.container("holder", &[], holder);
    stack.sandbox.post(&format!("/containers/{}/start", stack.redis.id), &Value::Null);
    let moved = json!([format!("{}:6379", stack.address(&stack.redis))]);
    eventually("the new address is followed in both networks", PATIENCE, || {
        let seats = events(&bench, "edge-intercepted");
        [&stack.cart.name, &second.name].iter().all(|name| {
            seats.iter().any(|seat| seat["caller"] == json!(name) && seat["destinations"] == moved)
        })
    });
    // An address is followed as soon as the container has it, which may be before its program listens.
    let redis = stack.address(&stack.redis);
    let ping = ["redis-cli", "-h", &redis, "ping"];
    eventually("Redis answers whoever is not sat in on", PATIENCE, || {
        Command::new(ping[0]).args(&ping[1..]).output().is_ok_and(|said| said.stdout.starts_with(b"PONG"))
    });
    // A call that is made in there now is late by the fault that was armed long before.
    let begun = Instant::now();
    let said = stack.inside(&second, &ping);
    let took = begun.elapsed();
    assert!(said.starts_with("PONG") && took >= Duration::from_millis(100), "{said} after {took:?}");

    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let finished: Finished = child.wait_with_output().unwrap().into();
    finished.expect(143);
    for caller in [&stack.cart, &second] {
        assert_eq!(stack.tables_of_murphy(caller), 0);
    }
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn without_root_the_run_says_so_before_anything_is_touched() {
    let Some(stack) = CartStack::up("without_root") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        SHORT,
        "  - { edge: cart-redis, inject: { latency: 1s } }",
        "  show: { success: \">= 50%\" }",
    );
    bench.file("s.yaml", &text);
    std::fs::set_permissions(bench.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let open = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut command = bench.command(&["run", "s.yaml"]);
    let run = Command::new("setpriv")
        .args(open)
        .arg(lent_to_all(&bench))
        .args(["run", "s.yaml"])
        .current_dir(bench.path())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .output()
        .expect("setpriv");
    let finished: Finished = run.into();
    finished.expect(3).says("cart-redis").says("CAP_SYS_ADMIN").says("sudo").says("listen:");
    assert!(bench.journals().is_empty(), "nothing was begun");
    // The same where the engine is on another machine: here, behind a TCP port.
    let port = forward(stack.sandbox.engine().socket.clone());
    command.env("DOCKER_HOST", format!("tcp://127.0.0.1:{port}"));
    let finished: Finished = command.output().expect("the binary starts").into();
    finished.expect(3).says("cart-redis").says("another machine").says("listen:");
    assert!(bench.journals().is_empty(), "nothing was begun");
}

/// A copy of the binary that any user can start: the build folder may be closed to others.
fn lent_to_all(bench: &Bench) -> PathBuf {
    let copy = bench.path().join("murphy");
    std::fs::copy(murphy(), &copy).expect("to copy the binary");
    copy
}

/// Passes connections to a port of loopback on to a socket file, as a remote engine's would be; ends with the test.
fn forward(socket: PathBuf) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let far = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut near_in, &mut far_out));
            let (mut far_in, mut near_out) = (far, near);
            std::thread::spawn(move || std::io::copy(&mut far_in, &mut near_out));
        }
    });
    port
}

#[test]
fn a_caller_that_is_not_there_is_an_error_with_what_runs() {
    let Some(stack) = CartStack::up("a_caller_that_is_not_there") else { return };
    let bench = Bench::new();
    let text = scenario(
        &stack,
        SHORT,
        "  - { edge: cart-redis, inject: { latency: 1s } }",
        "  show: { success: \">= 50%\" }",
    )
    .replace(&format!("from: {}", stack.cart.name), "from: nobody");
    bench.file("s.yaml", &text);
    bench.run(&["run", "s.yaml"]).expect(3).says("cart-redis").says("nobody").says(&stack.cart.name);
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn two_runs_do_not_sit_in_on_one_caller() {
    let Some(stack) = CartStack::up("two_runs_do_not_sit_in_on_one_caller") else { return };
    let bench = Bench::new();
    let fault = "  - { edge: cart-redis, inject: { latency: 50ms } }";
    let first = scenario(
        &stack,
        "{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }",
        fault,
        "  show: { success: \">= 50%\" }",
    );
    let short = "{ warm-up: 200ms, baseline: 500ms, fault: 500ms, recovery: 500ms }";
    let second = scenario(&stack, short, fault, "  show: { success: \">= 0%\" }");
    bench.file("first.yaml", &first.replace("name: a cart", "name: the first, a cart"));
    bench.file("second.yaml", &second);
    let child = bench.spawn(&["run", "first.yaml"]);
    eventually("the fault is armed", PATIENCE, || !events(&bench, "fault-armed").is_empty());
    let (cart, held) = (&stack.cart.name, "in the hands of another run (\"the first, a cart");
    bench.run(&["run", "second.yaml"]).expect(3).says("cart-redis").says(cart).says(held);
    // The same caller by another of its names: a process that lives in its network.
    let by_pid =
        second.replace(&format!("from: {cart}"), &format!("from: \"pid:{}\"", stack.pid(&stack.cart)));
    bench.file("second.yaml", &by_pid);
    bench.run(&["run", "second.yaml"]).expect(3).says("cart-redis").says(held);
    bench.run(&["pause", cart, "--for", "1s"]).expect(3).says(held);
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1, "that of the first");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let finished: Finished = child.wait_with_output().unwrap().into();
    finished.expect(143);
    bench.file("second.yaml", &second);
    let free: Finished = bench.run(&["run", "second.yaml"]);
    assert!(!free.stderr.contains("in the hands of"), "{}", free.stderr);
    assert_eq!(stack.tables_of_murphy(&stack.cart), 0);
    assert!(bench.undo_logs().is_empty(), "neither logs nor locks are left: {:?}", bench.undo_logs());
}
