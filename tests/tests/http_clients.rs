//! Published clients and servers with an HTTP proxy between them and no fault: equal results, zero errors.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_tests::{
    Bench, Finished, Sitting, clients, eventually, free_ports, kept_python, murphy, run, skip,
};

/// Files that are written and deleted.
const UPLOADS: [&str; 4] = ["one", "two", "none", "gone"];

/// An nginx of its own, ended with the test.
struct Nginx {
    child: Child,
    /// HTTP/1.1.
    one: SocketAddr,
    /// HTTP/2 without TLS.
    two: SocketAddr,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL: there is nothing to be put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files, a directory that takes uploads, and a redirect. `None` where there is no nginx.
fn nginx(bench: &Bench) -> Option<Nginx> {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        skip("there is no nginx on the PATH");
        return None;
    }
    let [one, two] = free_ports();
    let dir = bench.path().display();
    std::fs::create_dir_all(bench.path().join("www/up")).expect("a directory");
    bench.file("www/small", "hello\n");
    bench.file("www/empty", "");
    bench.file("www/large", &"0123456789abcdef".repeat(20_000));
    let temp =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().fold(String::new(), |mut text, kind| {
            let _ = write!(text, "{kind}_temp_path {dir}/{kind};");
            text
        });
    // One process: what is killed is all there is.
    let conf = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log; events {{}}
         http {{ access_log off; absolute_redirect off; {temp} client_max_body_size 100m; keepalive_requests 1000000;
           server {{ listen 127.0.0.1:{one}; listen 127.0.0.1:{two} http2; root {dir}/www;
             location /up/ {{ dav_methods PUT DELETE; }}
             location /moved {{ return 302 /small; }} }} }}"
    );
    let conf = bench.file("nginx.conf", &conf);
    let child = Command::new("nginx")
        .args(["-e", "stderr", "-p"])
        .arg(bench.path())
        .arg("-c")
        .arg(conf)
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx starts");
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let nginx = Nginx { child, one: at(one), two: at(two) };
    eventually("nginx listens", Duration::from_secs(60), || TcpStream::connect(nginx.two).is_ok());
    Some(nginx)
}

/// What curl says of a server at this address: heads without their date, bodies, and `--write-out`.
fn curl(dir: &Path, address: &str, args: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|arg| arg.replace("@", &format!("http://{address}"))).collect();
    let Finished { code, stdout, stderr, .. } = run(Command::new("curl")
        .args(["-q", "--silent", "--show-error", "--include", "--max-time", "60"])
        .args(&args)
        .current_dir(dir));
    assert_eq!(code, 0, "curl {args:?}: {stderr}");
    // The order of different headers means nothing (RFC 9110, 5.3), and a boundary is counted up by the server.
    let (mut text, mut head) = (String::new(), Vec::new());
    for line in stdout.lines() {
        let is_header = line.split_once(": ").is_some_and(|(name, _)| !name.contains(' '));
        if is_header {
            head.push(line.to_ascii_lowercase());
            continue;
        }
        head.sort();
        for header in head.drain(..).filter(|header| !header.starts_with("date: ")) {
            let _ = writeln!(text, "{header}");
        }
        let _ = writeln!(text, "{line}");
    }
    let boundary =
        text.split("boundary=").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("-").to_owned();
    // A caller of version 1.0 is answered as such by the proxy, and in 1.1 by nginx; both are right (RFC 9110, 2.5).
    text.replace(&boundary, "BOUNDARY").replace("HTTP/1.0 ", "HTTP/1.1 ")
}

/// The same by curl, directly and through a proxy.
fn equal_by_curl(bench: &Bench, upstream: SocketAddr, asks: &[&[&str]], connections: u64) {
    let proxy = Sitting::before(bench, upstream, &["--http", "--output", "json"]);
    for ask in asks {
        let [direct, through] = [upstream.to_string(), proxy.listen.clone()].map(|address| {
            if ask.iter().any(|arg| ["-T", "DELETE"].contains(arg)) {
                for name in UPLOADS {
                    bench.file(&format!("www/up/{name}"), "old");
                }
            }
            curl(bench.path(), &address, ask)
        });
        let (direct, through) =
            (direct.replace(&upstream.to_string(), "HOST"), through.replace(&proxy.listen, "HOST"));
        let other = direct.lines().zip(through.lines()).find(|(direct, through)| direct != through);
        let lengths = (direct.len(), through.len());
        assert!(direct == through, "{ask:?}: {lengths:?} bytes, and first {:.300?}", other);
        assert!(direct.contains("HTTP/"), "{direct}");
    }
    let summary = proxy.summary();
    let calls = &summary["calls"];
    assert_eq!(
        (&calls["failed"], &calls["given-up"], &calls["cut"]),
        (&0.into(), &0.into(), &0.into()),
        "{summary}"
    );
    assert_eq!(summary["connections"], connections, "kept alive as without the proxy: {summary}");
}

const OUT: &str =
    "code %{http_code} version %{http_version} connects %{num_connects} size %{size_download}\n";

#[test]
fn curl_finds_nginx_as_it_is() {
    let bench = Bench::new();
    let Some(nginx) = nginx(&bench) else { return };
    let asks: &[&[&str]] = &[
        // Kept alive: the second asks on the connection of the first.
        &["-w", OUT, "@/small", "@/empty", "@/large", "@/none"],
        &["-w", OUT, "--head", "@/small"],
        &["-w", OUT, "--head", "@/large", "--next", "-q", "--silent", "--include", "-w", OUT, "@/small"],
        &["-w", OUT, "-H", "Connection: close", "@/small"],
        &["--http1.0", "@/small"],
        &["-w", OUT, "-L", "@/moved"],
        &["-w", OUT, "-r", "3-9,20-25", "@/large"],
        &["-w", OUT, "-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", "@/small"],
        // Uploads: with a length, in chunks, and after a 100 that is waited for; then what came.
        &["-w", OUT, "-T", "www/small", "@/up/one", "--next", "-q", "--silent", "@/up/one"],
        &[
            "-w",
            OUT,
            "-T",
            "-",
            "-H",
            "Transfer-Encoding: chunked",
            "@/up/none",
            "--next",
            "-q",
            "--silent",
            "@/up/none",
        ],
        &[
            "-w",
            OUT,
            "-T",
            "www/large",
            "-H",
            "Expect: 100-continue",
            "@/up/two",
            "--next",
            "-q",
            "--silent",
            "@/up/two",
        ],
        &["-w", OUT, "-X", "DELETE", "@/up/gone"],
        &["-w", OUT, "-X", "OPTIONS", "@/small"],
        &["-w", OUT, "-X", "POST", "-d", "a=1", "-H", "Expect: 100-continue", "@/small"],
    ];
    equal_by_curl(&bench, nginx.one, asks, asks.len() as u64);
    assert!(!bench.path().join("www/up/gone").exists(), "what was deleted");
}

#[test]
fn curl_finds_nginx_as_it_is_over_http_2() {
    let bench = Bench::new();
    let Some(nginx) = nginx(&bench) else { return };
    let two = "--http2-prior-knowledge";
    // One request a call: curl 7.88 cannot use such a connection of nginx twice, with or without a proxy.
    let asks: &[&[&str]] = &[
        &[two, "-w", OUT, "@/small"],
        &[two, "-w", OUT, "@/empty"],
        &[two, "-w", OUT, "@/none"],
        &[two, "-w", OUT, "--head", "@/large"],
        &[two, "-w", OUT, "-T", "www/large", "@/up/two"],
        &[two, "-w", OUT, "@/moved"],
    ];
    equal_by_curl(&bench, nginx.two, asks, asks.len() as u64);
    let uploaded = std::fs::read(bench.path().join("www/up/two")).expect("what was uploaded last");
    assert_eq!(uploaded.len(), 320_000, "through the proxy");
}

#[test]
fn wrk_drives_many_connections_without_an_error() {
    let bench = Bench::new();
    if run(Command::new("wrk").arg("-v")).code < 0 {
        return skip("there is no wrk on the PATH");
    }
    let Some(nginx) = nginx(&bench) else { return };
    let proxy = Sitting::before(&bench, nginx.one, &["--http", "--output", "json"]);
    let address = format!("http://{}/small", proxy.listen);
    let wrk =
        run(Command::new("wrk").args(["-t1", "-c50", "-d2s", "--timeout", "30s"]).arg(&address)).expect(0);
    assert!(!wrk.stdout.contains("Non-2xx") && !wrk.stdout.contains("Socket errors"), "{}", wrk.stdout);
    let count =
        wrk.stdout.lines().find_map(|line| line.trim().split_once(" requests in ")).expect(&wrk.stdout).0;
    let summary = proxy.summary();
    let answered = summary["calls"]["answered"].as_u64().expect("a count");
    assert!(answered >= count.parse::<u64>().expect("a count"), "{count} by wrk: {summary}");
    assert_eq!(summary["calls"]["failed"], 0, "{summary}");
}

#[test]
fn pools_events_web_sockets_and_grpc_are_as_without_a_proxy() {
    let python = match kept_python("http-requirements.txt") {
        Ok(python) => python,
        Err(why) => return skip(&why),
    };
    let bench = Bench::new();
    let Some(nginx) = nginx(&bench) else { return };
    run(Command::new("timeout")
        .arg("120")
        .arg(&python)
        .arg(clients().join("http_clients.py"))
        .arg(murphy())
        .arg(nginx.two.port().to_string())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .current_dir(bench.path()))
    .expect(0)
    .says("requests: ok")
    .says("server-sent events: ok")
    .says("websockets: ok")
    .says("grpc: ok")
    .says("http/2: ok");
}
