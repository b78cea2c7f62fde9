//! `murphy explore`: the same faults on the same edges, one at a time and two together, tell two builds of one shop apart.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use murphy_tests::{Bench, Keeping, answering, free_ports, keeping, turn};
use serde_json::Value;

struct Explored {
    bench: Bench,
    text: String,
    matrix: Value,
}

impl Explored {
    fn new(build: &str, more: &[&str], code: i32) -> Explored {
        let bench = Bench::new();
        bench.run(&["demo", "--write", "."]).expect(0);
        let file = format!("{build}.yaml");
        let words = ["explore", &file, "--faults", "blackhole", "--pairs", "--seed", "7"];
        let told = bench.run_expecting(code, &[words.as_slice(), &["--json", "matrix.json"], more].concat());
        let text = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
        let matrix: Value = serde_json::from_str(&text).expect("JSON");
        // Each is an ordinary run, which can be judged again.
        for cell in matrix["cells"].as_array().expect("cells") {
            let run = cell["run"].as_str().expect("a run directory");
            assert!(bench.path().join(run).join("report.txt").is_file(), "{run}");
            let again = bench.run(&["report", run, "--json"]).stdout;
            let again: Value = serde_json::from_str(&again).expect("JSON");
            assert_eq!(again["verdict"], cell["verdict"]);
        }
        Explored { text: told.stdout, matrix, bench }
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.bench.path().join(name)).expect("a file that was asked for")
    }

    /// Verdict, and the class of a load, under a fault on these edges.
    fn cell(&self, edge: &str, load: &str) -> Option<(&str, &str)> {
        let cell = self.matrix["cells"].as_array()?.iter().find(|cell| cell["edge"] == edge)?;
        let users = cell["users"].as_array()?.iter().find(|users| users["load"] == load)?;
        Some((cell["verdict"].as_str()?, users["class"].as_str()?))
    }
}

#[test]
fn a_dependency_that_hangs_takes_all_users_of_the_careless_shop_and_none_who_browse_the_careful_one() {
    // One after the other: a run that has the machine for itself is judged by what the shop does.
    let _turn = turn();
    let careless = Explored::new("careless", &["--only-edge", "payments"], 1);
    let forms = ["--html", "matrix.html", "--markdown", "matrix.md", "--junit", "matrix.xml"];
    let careful = Explored::new("careful", &forms, 0);
    for (file, says) in [
        ("matrix.html", "<th>blackhole</th>"),
        ("matrix.html", "<a href=\"#s0\">"),
        ("matrix.md", "| **payments** | graceful<br>browse soft"),
        ("matrix.xml", "blackhole on payments"),
    ] {
        let text = careful.file(file);
        assert!(text.contains(says), "{file} does not say {says}: {}", &text[..text.len().min(4000)]);
    }
    assert_eq!(careful.file("matrix.html").matches("data-run>").count(), 3, "each run in full");
    assert_eq!(careful.cell("payments", "browse"), Some(("graceful", "soft")), "{}", careful.text);
    assert_eq!(careless.cell("payments", "browse"), Some(("not-graceful", "hard")), "{}", careless.text);
    assert!(careless.text.contains("browse success"), "what did not hold is said:\n{}", careless.text);
    // Nobody can order in either shop: there is no stand-in for money.
    for shop in [&careful, &careless] {
        assert_eq!(shop.cell("payments", "order").map(|(_, class)| class), Some("hard"), "{}", shop.text);
    }
    // With nothing broken the shop is at the end as at the beginning, and how much was tried is told.
    for (shop, pairs) in [(&careful, 1), (&careless, 0)] {
        assert_eq!(shop.matrix["closing"]["is"], "as-first", "{}", shop.text);
        let (coverage, cells) =
            (&shop.matrix["coverage"], shop.matrix["cells"].as_array().map_or(0, Vec::len));
        assert_eq!(coverage["singles"]["not-run"], 0, "{}", shop.text);
        assert_eq!((&coverage["pairs"]["of"], &coverage["pairs"]["run"]), (&pairs.into(), &pairs.into()));
        assert_eq!(shop.matrix["cost"]["runs"], cells + 2, "{}", shop.text);
    }
    assert!(
        careful.text.contains("coverage: singles 2 of 2 (100%), pairs 1 of 1 (100%)"),
        "{}",
        careful.text
    );
    // What was no harm alone is tried together; what was is not, and that is said.
    let both = ["catalogue + payments", "payments + catalogue"].map(|edge| careful.cell(edge, "browse"));
    assert!(both.contains(&Some(("graceful", "soft"))), "{}", careful.text);
    assert_eq!(careless.matrix["cells"].as_array().map(Vec::len), Some(1), "{}", careless.text);
    let left_out = "left out: pairs with blackhole on payments: alone it is not graceful; taken for granted: a second fault makes \
                    it no better [dominance]";
    assert!(careless.text.contains(left_out), "{}", careless.text);
}

/// One edge, and users of a service that Murphy does not start.
fn not_started(db: SocketAddr, edge: u16, service: SocketAddr, status: u16) -> String {
    format!(
        "murphy: 1
name: a service that runs already
edges: {{ db: {{ listen: \"127.0.0.1:{edge}\", to: \"{db}\" }} }}
load: {{ read: {{ http: \"GET http://{service}/\", rate: 40/s, timeout: 2s, expect-status: {status} }} }}
phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 3s }}
"
    )
}

/// A service whose answer to each request, in a thread for each connection, has this status.
fn serving(status: impl Fn() -> u16 + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let status = Arc::new(status);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let status = Arc::clone(&status);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                while let Some(Ok(line)) = lines.next() {
                    if !line.is_empty() {
                        continue;
                    }
                    let answer = format!("HTTP/1.1 {} Status\r\nContent-Length: 0\r\n\r\n", status());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A service that asks at `db` for each request, and fails for good once it has waited there for a second.
fn broken_for_good_by_a_hang(db: SocketAddr) -> SocketAddr {
    let hangs = move || {
        let Ok(mut stream) = TcpStream::connect(db) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n");
        let answer = asked.and_then(|()| stream.read_exact(&mut [0; 8]));
        answer.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let broken = AtomicBool::new(false);
    serving(move || {
        if !broken.load(Ordering::SeqCst) && hangs() {
            broken.store(true, Ordering::SeqCst);
        }
        if broken.load(Ordering::SeqCst) { 500 } else { 200 }
    })
}

#[test]
fn nothing_else_is_tried_on_a_service_that_does_not_come_back_and_that_is_no_pass() {
    let _turn = turn();
    let bench = Bench::new();
    let [edge] = free_ports();
    let service = broken_for_good_by_a_hang(SocketAddr::from(([127, 0, 0, 1], edge)));
    bench.file("s.yaml", &not_started(answering("{}"), edge, service, 200));
    let told = bench.run(&["explore", "s.yaml", "--faults", "blackhole,latency"]).expect(4);
    assert!(told.stdout.contains("1 tried, 1 left out"), "{}", told.stdout);
    let why = "left out: latency 1s on db: the services did not come back by themselves";
    assert!(told.stdout.contains(why), "{}", told.stdout);
}

/// Asks there, and waits for half a second.
fn answers(store: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(store) else { return false };
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let mut answer = [0; "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".len()];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: store\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok()
}

/// A service that asks a spare store where the main one does not answer. Once neither did, it takes 60 ms longer for every answer.
fn with_a_spare(main: SocketAddr, spare: SocketAddr) -> SocketAddr {
    let hurt = AtomicBool::new(false);
    serving(move || {
        let is_answered = answers(main) || answers(spare);
        hurt.fetch_or(!is_answered, Ordering::SeqCst);
        if hurt.load(Ordering::SeqCst) {
            // Nothing is ever sent here: a wait on it is a wait of just so long.
            let (_never, nothing) = std::sync::mpsc::channel::<()>();
            let _ = nothing.recv_timeout(Duration::from_millis(60));
        }
        if is_answered { 200 } else { 503 }
    })
}

/// A service that asks a spare store the first few times only that the main one does not answer, and knows the answer from then on.
fn that_asks_a_spare_a_few_times(main: SocketAddr, spare: SocketAddr) -> SocketAddr {
    const TIMES: u32 = 5;
    let asked = AtomicU32::new(0);
    serving(move || {
        let is_answered = answers(main) || asked.fetch_add(1, Ordering::SeqCst) >= TIMES || answers(spare);
        if is_answered { 200 } else { 503 }
    })
}

/// Users of a service with a main and a spare store.
fn two_stores(main: SocketAddr, spare: SocketAddr, service: SocketAddr) -> String {
    let store = answering("{}");
    format!(
        "murphy: 1
name: a spare store
edges:
  main: {{ listen: \"{main}\", to: \"{store}\" }}
  spare: {{ listen: \"{spare}\", to: \"{store}\" }}
load: {{ read: {{ http: \"GET http://{service}/\", rate: 60/s, timeout: 2s }} }}
phases: {{ warm-up: 500ms, baseline: 2s, fault: 3s, recovery: 2s }}
expect: {{ read: {{ success: \">= 80%\" }} }}
"
    )
}

#[test]
fn the_way_out_is_broken_too_and_a_service_that_is_another_one_at_the_end_makes_all_of_it_inconclusive() {
    let _turn = turn();
    let bench = Bench::new();
    let ports: [u16; 2] = free_ports();
    let [main, spare] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let service = with_a_spare(main, spare);
    bench.file("s.yaml", &two_stores(main, spare, service));
    // The pair does harm, which would end with 1 if the service were as before.
    let told = bench.run(&["explore", "s.yaml", "--faults", "blackhole", "--json", "matrix.json"]).expect(4);
    let matrix = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
    let matrix: Value = serde_json::from_str(&matrix).expect("JSON");
    let fallback = &matrix["fallback-edges"][0];
    assert_eq!((&fallback["edge"], &fallback["of"]), (&"spare".into(), &"main".into()), "{matrix}");
    let cells = matrix["cells"].as_array().expect("cells");
    let verdict = |edge: &str| cells.iter().find(|cell| cell["edge"] == edge).map(|cell| &cell["verdict"]);
    assert_eq!(verdict("main"), Some(&"graceful".into()), "{}", told.stdout);
    assert_eq!(verdict("main + spare"), Some(&"not-graceful".into()), "{}", told.stdout);
    assert!(told.stdout.contains("coverage: singles 2 of 2 (100%)"), "{}", told.stdout);
    let drifted = "nothing broken, once more at the end: not as the first time: half of read take ";
    assert!(told.stdout.contains(drifted), "{}", told.stdout);
    assert!(
        told.stderr.contains("plan: 2 singles, and nothing broken first and last: 4 runs"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_way_out_that_is_taken_too_seldom_to_tell_is_left_open_and_that_is_no_pass() {
    let _turn = turn();
    let bench = Bench::new();
    let ports: [u16; 2] = free_ports();
    let [main, spare] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let service = that_asks_a_spare_a_few_times(main, spare);
    bench.file("s.yaml", &two_stores(main, spare, service));
    // Every run is graceful; what comes of it where the spare store does not answer either was not seen.
    let told = bench.run(&["explore", "s.yaml", "--faults", "blackhole", "--json", "matrix.json"]).expect(4);
    let matrix = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
    let matrix: Value = serde_json::from_str(&matrix).expect("JSON");
    let [cell] = &matrix["cells"].as_array().expect("cells")[..] else { panic!("{}", told.stdout) };
    assert_eq!((&cell["edge"], &cell["verdict"]), (&"main".into(), &"graceful".into()), "{}", told.stdout);
    assert_eq!(matrix["closing"]["is"], "as-first", "{}", told.stdout);
    assert_eq!(matrix["fallback-edges"][0]["edge"], "spare", "{matrix}");
    let singles = &matrix["coverage"]["singles"];
    assert_eq!((&singles["run"], &singles["not-run"]), (&1.into(), &1.into()), "{matrix}");
    let why = "left out: blackhole on spare: called during blackhole on main 5 times, too seldom to tell: inconclusive; a higher rate";
    assert!(told.stdout.contains(why), "{}", told.stdout);
}

#[test]
fn nothing_else_is_tried_where_data_is_lost() {
    let _turn = turn();
    let bench = Bench::new();
    let [edge] = free_ports();
    let service = keeping(SocketAddr::from(([127, 0, 0, 1], edge)), Keeping::OrForgets);
    let db = answering("{}");
    let text = format!(
        "murphy: 1
name: a service that forgets
edges: {{ db: {{ listen: \"127.0.0.1:{edge}\", to: \"{db}\" }} }}
load:
  order:
    http: \"POST http://{service}/write/${{order.id}}\"
    rate: 50/s
    ledger: {{ read: {{ http: \"http://{service}/writes\" }}, settle: 200ms, within: 2s }}
phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 3s }}
expect: {{ order: {{ lost: none }} }}
"
    );
    bench.file("s.yaml", &text);
    let told = bench.run(&["explore", "s.yaml", "--faults", "blackhole,latency"]).expect(1);
    assert!(told.stdout.contains("1 tried, 1 left out"), "{}", told.stdout);
    let stopped = told.stdout.lines().find(|line| line.starts_with("stopped: data is lost: "));
    let stopped = stopped.unwrap_or_else(|| panic!("{}", told.stdout));
    assert!(stopped.contains("acknowledged writes gone ("), "{stopped}");
    assert!(told.stdout.contains("left out: latency 1s on db: data is lost"), "{}", told.stdout);
}

#[test]
fn nothing_is_tried_where_users_are_not_served_with_nothing_broken() {
    let _turn = turn();
    let bench = Bench::new();
    let [edge] = free_ports();
    let service = answering("{}");
    let asked = not_started(service, edge, service, 201) + "expect: { read: { success: \">= 99%\" } }\n";
    bench.file("s.yaml", &asked);
    let told = bench.run(&["explore", "s.yaml", "--faults", "blackhole"]).expect(4);
    assert!(told.stdout.contains("0 tried, 1 left out"), "{}", told.stdout);
    let why = "users were not seen to be served well with nothing broken: baseline of read is 0/";
    assert!(told.stdout.contains(why), "{}", told.stdout);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_run() {
    let bench = Bench::new();
    bench.run(&["demo", "--write", "."]).expect(0);
    let told = bench.run(&["explore", "careful.yaml", "--json", "none/matrix.json"]).expect(2);
    assert!(told.stderr.contains("--json none/matrix.json: cannot be written: "), "{}", told.stderr);
    assert!(bench.journals().is_empty());
}

#[test]
fn nothing_is_begun_for_which_there_is_no_time_and_that_is_no_pass() {
    let bench = Bench::new();
    bench.run(&["demo", "--write", "."]).expect(0);
    let told = bench.run(&["explore", "careful.yaml", "--budget", "5s", "--only-edge", "payments"]).expect(4);
    assert!(told.stdout.contains("0 tried, 8 left out"), "{}", told.stdout);
    for fault in ["latency 1s", "abort 503, 20% of all requests"] {
        let out = format!("left out: {fault} on payments: no time is left");
        assert!(told.stdout.contains(&out), "{}", told.stdout);
    }
    // A program is told the same, and a file beside it holds the same.
    let budget = ["explore", "careful.yaml", "--budget", "5s", "--only-edge", "payments"];
    let forms = ["--output", "json", "--json", "matrix.json"];
    let told = bench.run(&[&budget[..], &forms].concat()).expect(4);
    let matrix = told.json();
    assert_eq!(matrix["cells"], Value::Array(Vec::new()));
    let left_out = matrix["left-out"].as_array().expect("a list");
    assert_eq!(left_out.len(), 8, "{matrix}");
    assert!(left_out.iter().all(|out| out["edge"] == "payments"), "{matrix}");
    assert!(left_out.iter().any(|out| out["fault"] == "latency 1s"), "{matrix}");
    assert!(matrix["stopped"].as_str().is_some_and(|why| why.starts_with("no time is left")), "{matrix}");
    // What was planned, and that nothing of it was done; nothing was tried that an end could be held against.
    assert_eq!(
        (&matrix["plan"]["singles"], &matrix["plan"]["budget"]),
        (&8.into(), &"5s".into()),
        "{matrix}"
    );
    let singles = &matrix["coverage"]["singles"];
    assert_eq!((&singles["run"], &singles["not-run"]), (&0.into(), &8.into()), "{matrix}");
    assert_eq!((&matrix["cost"]["runs"], &matrix["closing"]), (&0.into(), &Value::Null), "{matrix}");
    assert_eq!(std::fs::read_to_string(bench.path().join("matrix.json")).unwrap(), told.stdout);
}

/// Asks there, and is answered well.
fn is_served(store: SocketAddr) -> bool {
    const WELL: &[u8] = b"HTTP/1.1 200";
    let Ok(mut stream) = TcpStream::connect(store) else { return false };
    let mut start = [0; WELL.len()];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: store\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut start)).is_ok() && start == WELL
}

/// A service that asks two stores for each request, each so many times at most.
fn that_tries(times: u32, stores: [SocketAddr; 2]) -> SocketAddr {
    serving(move || {
        let is_answered = stores.iter().all(|store| (0..times).any(|_| is_served(*store)));
        if is_answered { 200 } else { 503 }
    })
}

#[test]
fn a_fifth_of_the_calls_that_fail_is_felt_where_nobody_tries_again_and_a_budget_that_ends_there_is_no_pass() {
    let _turn = turn();
    let bench = Bench::new();
    let ports: [u16; 2] = free_ports();
    let stores = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let [items, prices] = stores;
    let (careless, careful) = (that_tries(1, stores), that_tries(6, stores));
    let store = answering("{}");
    // What is asked holds: that this is no pass has to do with what was not run. 400 requests and more settle a class.
    let text = format!(
        "murphy: 1
name: two callers of the same stores
edges:
  items: {{ listen: \"{items}\", to: \"{store}\", protocol: http }}
  prices: {{ listen: \"{prices}\", to: \"{store}\", protocol: http }}
load:
  careless: {{ http: \"GET http://{careless}/\", rate: 120/s, timeout: 2s }}
  careful: {{ http: \"GET http://{careful}/\", rate: 120/s, timeout: 2s }}
phases: {{ warm-up: 500ms, baseline: 4s, fault: 4s, recovery: 2s }}
expect: {{ careful: {{ success: \">= 95%\" }} }}
"
    );
    bench.file("s.yaml", &text);
    // A run takes 10.5 s and a bit: there is time for three, and not for four.
    let words = ["explore", "s.yaml", "--faults", "partial", "--budget", "41s", "--seed", "7"];
    let told = bench.run(&[&words[..], &["--json", "matrix.json"]].concat()).expect(4);
    let matrix = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
    let matrix: Value = serde_json::from_str(&matrix).expect("JSON");
    let [cell] = &matrix["cells"].as_array().expect("cells")[..] else { panic!("{}", told.stdout) };
    assert_eq!((&cell["edge"], &cell["verdict"]), (&"items".into(), &"graceful".into()), "{}", told.stdout);
    assert_eq!(cell["fault"], "abort 503, 20% of all requests", "{matrix}");
    let users = cell["users"].as_array().expect("users");
    let class = |load: &str| users.iter().find(|users| users["load"] == load).map(|users| &users["class"]);
    assert_eq!(class("careless"), Some(&"degraded".into()), "{}", told.stdout);
    assert_eq!(class("careful"), Some(&"soft".into()), "{}", told.stdout);
    // What was run is told, and held against an end; so is what was not.
    assert_eq!(matrix["closing"]["is"], "as-first", "{}", told.stdout);
    let singles = &matrix["coverage"]["singles"];
    assert_eq!((&singles["of"], &singles["run"], &singles["not-run"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(matrix["cost"]["runs"], 3, "{matrix}");
    let coverage = "coverage: singles 1 of 2 (50%)\nnot run: 1 single\n";
    assert!(told.stdout.contains(coverage), "{}", told.stdout);
    let left_out = "left out: abort 503, 20% of all requests on prices: no time is left: --budget 41s";
    assert!(told.stdout.contains(left_out), "{}", told.stdout);
}

#[test]
fn a_word_that_is_no_edge_or_no_fault_is_answered_with_those_that_are() {
    let bench = Bench::new();
    bench.run(&["demo", "--write", "."]).expect(0);
    let told = bench.run(&["explore", "careful.yaml", "--only-edge", "nonsense"]).expect(2);
    assert!(told.stderr.contains("--only-edge nonsense: there are catalogue, payments"), "{}", told.stderr);
    let told = bench.run(&["explore", "careful.yaml", "--faults", "nonsense"]).expect(2);
    assert!(told.stderr.contains("blackhole, refuse, latency"), "{}", told.stderr);
}
