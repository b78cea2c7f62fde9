//! `murphy serve` and `murphy toxiproxy` as a person starts them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use murphy_tests::{Bench, Daemon, finish, free_ports, send};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

#[test]
fn the_words_of_toxiproxy_cli_drive_the_daemon() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let cli = |args: &str| daemon.cli(&bench, args);
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    // A port that the system gives to nobody, so that it is free yet when the proxy comes back.
    let [port] = free_ports();
    let made = cli(&format!("create -l localhost:{port} -u {address} redis")).expect(0);
    assert_eq!(made.stdout, "Created new proxy redis\n");
    let line = cli("ls").expect(0).stdout;
    let fields: Vec<&str> = line.trim_end().split('\t').collect();
    let listen = fields[1].to_owned();
    assert_eq!(fields, ["redis", &listen, &address.to_string(), "enabled", "0"]);
    for (args, wanted) in [
        (
            "toxic add -t latency -a latency=1 redis",
            "Added downstream latency toxic 'latency_downstream' on proxy 'redis'\n",
        ),
        (
            "t a -t bandwidth -n bw --tox 0.5 -a rate=10 -u redis",
            "Added upstream bandwidth toxic 'bw' on proxy 'redis'\n",
        ),
        ("t u -n bw -a rate=20 redis", "Updated toxic 'bw' on proxy 'redis'\n"),
        (
            "inspect redis",
            "bw\ttype=bandwidth\tstream=upstream\ttoxicity=0.50\tattributes=[\trate=20\t]\n\
          latency_downstream\ttype=latency\tstream=downstream\ttoxicity=1.00\tattributes=[\tjitter=0\tlatency=1\t]\n",
        ),
        ("t r -n bw redis", "Removed toxic 'bw' on proxy 'redis'\n"),
        ("toggle redis", "Proxy redis is now disabled\n"),
        ("tog redis", "Proxy redis is now enabled\n"),
    ] {
        assert_eq!(cli(args).expect(0).stdout, wanted, "{args}");
    }
    let mut client = TcpStream::connect(&listen).unwrap();
    client.write_all(b"x").unwrap();
    let mut byte = [0];
    upstream.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(cli("delete redis").expect(0).stdout, "Deleted proxy redis\n");
    assert!(TcpStream::connect(&listen).is_err());
    cli("inspect redis").expect(3).says("proxy not found");
    cli("t a -t latency -a latency=abc redis").expect(2).says("is not a number");
    cli("t a -t latency -a latency=-1 redis").expect(3);
    assert_eq!(daemon.end(Signal::SIGTERM).0, Some(0));
    bench.run(&["toxiproxy", "-h", "127.0.0.1:1", "list"]).expect(3).says("start one with `murphy serve`");
}

#[test]
fn the_words_of_toxiproxy_cli_tell_a_program_what_the_api_told() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let told = |args: &str| {
        let finished = daemon.cli(&bench, &format!("{args} --output json")).expect(0);
        assert_eq!(finished.stdout.lines().count(), 1, "{finished:?}");
        finished.json()
    };
    let made = told("create -l 127.0.0.1:0 -u 127.0.0.1:9 redis");
    let listen = made["listen"].as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{made}");
    let proxy = |toxics: Value| json!({ "name": "redis", "listen": listen, "upstream": "127.0.0.1:9", "enabled": true, "toxics": toxics });
    assert_eq!(made, proxy(json!([])));
    let slow = |latency: u64| {
        json!({
            "name": "slow",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 0.5,
            "attributes": { "jitter": 0, "latency": latency },
        })
    };
    assert_eq!(told("toxic add -t latency -n slow --tox 0.5 -a latency=1 redis"), slow(1));
    assert_eq!(told("toxic update -n slow -a latency=20 redis"), slow(20));
    assert_eq!(told("inspect redis"), proxy(json!([slow(20)])));
    assert_eq!(told("list"), json!([proxy(json!([slow(20)]))]));
    assert_eq!(told("toxic remove -n slow redis"), json!({ "proxy": "redis", "removed": "slow" }));
    assert_eq!(told("toggle redis"), json!({ "name": "redis", "enabled": false }));
    assert_eq!(told("delete redis"), json!({ "removed": "redis" }));
    assert_eq!(told("list"), json!([]));
}

#[test]
fn a_program_is_told_where_the_daemon_listens_and_how_it_ends() {
    let bench = Bench::new();
    bench.file("proxies.json", r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}]"#);
    let args = ["serve", "--port", "0", "--seed", "7", "--config", "proxies.json", "--output", "json"];
    let mut child = bench.spawn(&args);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let listening = next();
    let api = listening["api"].as_str().unwrap();
    assert_eq!(listening, json!({ "event": "listening", "api": api, "proxies": 1, "seed": 7 }));
    let proxies = bench.run(&["proxies", "--api", api, "--output", "json"]).expect(0).json();
    assert_eq!(proxies[0]["name"], "a");
    send(&child, Signal::SIGTERM);
    assert_eq!(next(), json!({ "event": "interrupted", "signal": "SIGTERM" }));
    assert_eq!(next(), json!({ "event": "ended", "not-taken-back": 0 }));
    // What a person reads stands beside it, as without the flag.
    finish(child).expect(0).says("murphy serve: control API on http://").says("SIGTERM, ending");
}

#[test]
fn a_configuration_makes_proxies_with_their_toxics_before_the_api_answers() {
    let bench = Bench::new();
    let config = r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","toxics":[{"type":"noop"}]},
                     {"name":"b","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false}]"#;
    bench.file("proxies.json", config);
    let daemon = Daemon::start(&bench, &["-config", "proxies.json", "-seed=7"]);
    let lines = daemon.cli(&bench, "list").expect(0).stdout;
    assert!(
        lines.contains("\tenabled\t1\n") && lines.contains("b\t127.0.0.1:0\t127.0.0.1:9\tdisabled\t0\n"),
        "{lines}"
    );
    let (code, rest) = daemon.end(Signal::SIGINT);
    assert_eq!(code, Some(0));
    assert!(rest.contains("SIGINT"), "{rest}");
}

#[test]
fn a_taken_port_and_a_bad_configuration_end_it_with_a_message() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let port = &daemon.port().to_string();
    bench.run(&["serve", "--port", port]).expect(3).says("address already in use");
    daemon.end(Signal::SIGTERM);
    bench.run(&["serve", "--port", "0", "--config", "nowhere.json"]).expect(2).says("nowhere.json");
    bench.file("broken.json", "[{");
    bench.run(&["serve", "--port", "0", "--config", "broken.json"]).expect(2).says("unexpected EOF");
    bench.file("nameless.json", r#"[{"upstream":"a:1"}]"#);
    bench.run(&["serve", "--port", "0", "--config", "nameless.json"]).expect(2).says("name at proxy 1");
    bench.file("nowhere.json", r#"[{"name":"a","listen":"192.0.2.1:0","upstream":"a:1"}]"#);
    bench.run(&["serve", "--port", "0", "--config", "nowhere.json"]).expect(3).says("proxy `a`");
    bench.run(&["serve", "--compat", "loose"]).expect(2).says("strict");
}

#[test]
fn its_end_is_in_order_also_where_nobody_reads_what_it_says() {
    let bench = Bench::new();
    let mut child = bench.spawn(&["serve", "--port", "0"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(first.contains("control API on http://"), "{first}");
    // As `2>&1 | head -1` does.
    drop(said);
    send(&child, Signal::SIGINT);
    finish(child).expect(0);
}
