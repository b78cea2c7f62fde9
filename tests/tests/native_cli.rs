//! `murphy proxies` and `murphy fault` against a running daemon, as a person and a script type them.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use murphy_tests::{Bench, Daemon, echo, free_ports, round_trip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn json(daemon: &Daemon, bench: &Bench, args: &str) -> Value {
    let said = daemon.run(bench, &format!("{args} --output json")).expect(0).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    serde_json::from_str(&said).unwrap()
}

#[test]
fn proxies_and_faults_are_made_edited_and_removed_by_words() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let upstream = echo();
    // A port that the system gives to nobody, so that it is free yet when the proxy comes back.
    let [port] = free_ports();
    let made = json(&daemon, &bench, &format!("proxies add redis {upstream} --listen 127.0.0.1:{port}"));
    let listen = made["listen"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(&listen).unwrap();
    round_trip(&mut stream).unwrap();
    let said = |args: &str| {
        let text = daemon.run(&bench, args).expect(0).stdout;
        text.replace(&listen, "LISTEN").replace(&upstream.to_string(), "UPSTREAM")
    };
    for (args, wanted) in [
        ("fault list", "no faults; put one up with for example `murphy fault add PROXY --latency 300ms`\n"),
        (
            "fault add redis --latency 300ms --jitter 1ms",
            "latency on redis: latency 300ms ± 1ms, to-client, all connections; stays until it is removed\n",
        ),
        (
            "fault add redis --name narrow --bandwidth 1MB/s --direction to-upstream --chance 0%",
            "narrow on redis: bandwidth 1MB/s, to-upstream, 0% of connections; stays until it is removed\n",
        ),
        (
            "proxies",
            "proxy  listen  upstream  protocol  state  accepted  open  faults\n\
             redis  LISTEN  UPSTREAM  tcp  on  1  1  latency 300ms ± 1ms, bandwidth 1MB/s\n",
        ),
    ] {
        // How wide the columns are depends on the ports.
        let squeezed = |text: &str| {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(squeezed(&said(args)), squeezed(wanted), "{args}");
    }
    // A delay has no end before its time, however slow the machine.
    assert!(round_trip(&mut stream).unwrap() >= Duration::from_millis(299));
    assert_eq!(
        said("fault edit redis latency --latency 200ms --for 10m").split("; ends in ").next(),
        Some("latency on redis: latency 200ms ± 1ms, to-client, all connections"),
        "what is not given stays"
    );
    // `set` is the same.
    assert!(
        said("fault set redis latency --latency 0.2s").starts_with("latency on redis: latency 200ms ± 1ms,")
    );
    let faults = json(&daemon, &bench, "fault list redis");
    assert_eq!(faults[0]["fault"]["inject"]["latency"]["jitter"], "1ms");
    assert_eq!(faults[0]["fault"]["tally"]["hits"], 1, "an edit keeps the count: {faults}");
    assert_eq!((&faults[1]["proxy"], &faults[1]["fault"]["name"]), (&"redis".into(), &"narrow".into()));
    assert_eq!(said("fault remove redis narrow"), "narrow is off redis\n");
    assert_eq!(said("fault remove redis --all"), "latency is off redis\n");
    assert_eq!(json(&daemon, &bench, "fault list"), Value::Array(Vec::new()));
    assert_eq!(said("proxies toggle redis"), "redis is off: callers of LISTEN are refused\n");
    assert_eq!(TcpStream::connect(&listen).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(said("proxies toggle redis"), "redis listens on LISTEN, dials UPSTREAM\n");
    let elsewhere = echo();
    let text = said(&format!("proxies edit redis --upstream {elsewhere}"));
    assert_eq!(text, format!("redis listens on LISTEN, dials {elsewhere}\n"));
    round_trip(&mut TcpStream::connect(&listen).unwrap()).unwrap();
    assert_eq!(said("proxies remove redis"), "redis is gone\n");
    assert_eq!(said("proxies ls"), "no proxies; make one with `murphy proxies add NAME UPSTREAM`\n");
    assert_eq!(daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn faults_on_requests_take_the_words_that_choose_requests_and_keep_them() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    json(&daemon, &bench, "proxies add shop 127.0.0.1:9 --http");
    let said = |args: &str| daemon.run(&bench, args).expect(0).stdout;
    assert_eq!(
        said("fault add shop --name no --abort 503 --method POST --path /orders --first 3"),
        "no on shop: abort 503 on POST /orders, the first 3, to-client, all requests; stays until it is removed\n"
    );
    assert_eq!(
        said("fault edit shop no --abort 429"),
        "no on shop: abort 429 on POST /orders, the first 3, to-client, all requests; stays until it is removed\n"
    );
    assert_eq!(
        said("fault add shop --name some --abort 503 --path /orders --chance 20%"),
        "some on shop: abort 503 on /orders, to-client, 20% of requests; stays until it is removed\n"
    );
    assert_eq!(
        said("fault edit shop some --abort 429 --first 3"),
        "some on shop: abort 429 on /orders, the first 3, to-client, 20% of requests; stays until it is removed\n"
    );
    let faults = json(&daemon, &bench, "fault list shop");
    assert_eq!(faults[1]["fault"]["which"], serde_json::json!({ "chance": "20%", "first": 3 }), "{faults}");
    assert_eq!(
        said("fault edit shop some --chance 100%"),
        "some on shop: abort 429 on /orders, the first 3, to-client, all requests; stays until it is removed\n"
    );
    assert!(said("proxies list shop").contains("http"));
}

#[test]
fn mistakes_say_what_to_type_and_leave_nothing_behind() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    json(&daemon, &bench, "proxies add redis 127.0.0.1:9");
    for (args, code, wanted) in [
        ("fault add redis", 2, "for example --latency 300ms"),
        ("fault add redis --latency 300", 2, "300ms"),
        ("fault add redis --jitter 5ms", 2, "`--latency` too"),
        ("fault add redis --latency 1ms --reset", 2, "--latency and --reset are 2 faults"),
        ("fault add redis --latency 1ms --path /a", 2, "`latency` acts on connections"),
        ("fault add redis --abort 503", 3, "does not read them"),
        ("fault add redis --latency 1ms --for 1ms", 3, "from 10ms to 24h"),
        ("fault add redis --latency 1ms --lease nobody", 3, "lease not found"),
        ("fault add nobody --latency 1ms", 3, "proxy not found"),
        ("fault edit redis nobody --latency 1ms", 3, "fault not found"),
        ("fault remove redis", 2, "--all"),
        ("proxies add redis 127.0.0.1:9", 3, "already exists"),
        ("proxies add other nowhere", 3, "host:port"),
        ("proxies add a/b 127.0.0.1:9", 2, "a/b"),
        ("proxies edit redis", 2, "--listen"),
        ("proxies list --api https://a:1", 2, "http://127.0.0.1:8474"),
    ] {
        daemon.run(&bench, args).expect(code).says(wanted);
    }
    assert_eq!(json(&daemon, &bench, "fault list"), Value::Array(Vec::new()));
    assert_eq!(json(&daemon, &bench, "proxies").as_array().unwrap().len(), 1);
}

#[test]
fn without_a_daemon_the_error_says_where_it_looked_and_what_to_start() {
    let bench = Bench::new();
    let [port] = free_ports();
    let api = format!("127.0.0.1:{port}");
    let missing = format!("no control API at {api}: connection refused; start one with `murphy serve`");
    bench.run(&["proxies", "--api", &api]).expect(3).says(&missing).says("--wait 10s");
    bench.run(&["fault", "add", "a", "--latency", "1ms", "--api", &api]).expect(3).says(&missing);
    bench.run(&["fault", "--api", &api, "--wait", "50ms"]).expect(3).says(&missing);
    let waiting = bench.spawn(&["proxies", "list", "--api", &api, "--wait", "60s"]);
    let mut daemon = bench.spawn(&["serve", "--port", &port.to_string()]);
    let waited = waiting.wait_with_output().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(waited.status.code(), Some(0), "{}", String::from_utf8_lossy(&waited.stderr));
    assert!(String::from_utf8_lossy(&waited.stdout).starts_with("no proxies"));
}

#[test]
fn a_token_is_sent_and_a_missing_one_is_told() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &["--token", "secret"]);
    daemon.run(&bench, "proxies").expect(3).says("token");
    daemon.run(&bench, "proxies --token secret").expect(0).says("no proxies");
    daemon.cli(&bench, "list --token secret").expect(0);
}

#[test]
fn watching_tells_every_change_until_ctrl_c() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let mut watching =
        daemon.command(&bench, "fault list --watch --output json").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), Value::Array(Vec::new()));
    json(&daemon, &bench, "proxies add redis 127.0.0.1:9");
    json(&daemon, &bench, "fault add redis --latency 1ms --for 1h");
    assert_eq!(next()[0]["fault"]["name"], "latency");
    json(&daemon, &bench, "proxies remove redis");
    assert_eq!(next(), Value::Array(Vec::new()));
    kill(Pid::from_raw(i32::try_from(watching.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(0));

    let mut command = daemon.command(&bench, "proxies ls --watch");
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(watching.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let address = daemon.url.trim_start_matches("http://").to_owned();
    daemon.end(Signal::SIGKILL);
    let ended = watching.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&ended.stderr).contains(&address));
}
