//! TLS as a user meets it: `murphy ca`, `murphy proxy --tls`, and what is wrong with their words.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use murphy_tests::{Bench, Daemon, Sitting, answering, free_ports, skip};
use serde_json::json;

#[test]
fn the_authority_is_made_once_with_a_key_for_its_owner_alone() {
    let bench = Bench::new();
    let first = bench.run(&["ca"]).expect(0).says("curl --cacert").says("update-ca-certificates");
    let path = bench.run(&["ca", "--path"]).expect(0).stdout;
    assert!(first.stdout.contains(path.trim()), "{path}");
    let told = bench.run(&["ca", "--output", "json"]).expect(0).json();
    assert_eq!(told, json!({ "certificate": path.trim() }));
    bench.run(&["ca", "--path", "--output", "json"]).expect(2).says("cannot be used with");
    let key = std::path::Path::new(path.trim()).with_extension("key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

/// The body that is answered to a client of Python's standard library that trusts this authority, or why there was none.
fn asked(listen: &str, ca: &str) -> String {
    let script = "import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
try:
    print(urllib.request.urlopen(sys.argv[1], context=context, timeout=20).read().decode())
except Exception as error:
    print(error)
";
    let port = listen.rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}/");
    let mut python = Command::new("python3");
    let output = python.args(["-c", script, &url, ca]).env("no_proxy", "*").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The standard library is enough.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        skip("no python3 on the PATH");
    }
    found
}

#[test]
fn calls_pass_where_both_sides_speak_tls() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let ca = bench.run(&["ca", "--path"]).expect(0).stdout.trim().to_owned();
    // The dependency is another proxy, with a certificate of the same authority.
    let dependency = Sitting::before(&bench, answering("fine"), &["--tls=terminate", "--output", "json"]);
    let upstream = dependency.listen.parse().expect("an address");
    let both = ["--tls", "--tls-ca", "murphy", "--tls-name", "localhost", "--output", "json"];
    let bytes: &[&str] = &[];
    for http in [bytes, &["--http"]] {
        let sitting = Sitting::before(&bench, upstream, &[&both[..], http].concat());
        assert_eq!(asked(&sitting.listen, &ca), "fine\n", "{http:?}");
        let summary = sitting.summary();
        let calls = (&summary["connections"], &summary["calls"]["answered"]);
        assert_eq!(calls, (&1.into(), &1.into()), "{http:?}: {summary}");
    }
    assert!(dependency.summary()["connections"].as_u64() >= Some(2), "each reached it");
}

#[test]
fn python_trusts_the_authority_and_refuses_each_bad_certificate() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let ca = bench.run(&["ca", "--path"]).expect(0).stdout.trim().to_owned();
    let base = ["--tls=terminate", "--http", "--output", "json"];
    let plain = Sitting::before(&bench, answering("fine"), &base);
    assert_eq!(asked(&plain.listen, &ca), "fine\n");
    assert_eq!(plain.summary()["tls"]["mode"], "terminate");
    for (meets, wanted) in [
        ("expired", "certificate has expired"),
        ("wrong-host", "Hostname mismatch"),
        ("self-signed", "self-signed certificate"),
        ("untrusted", "unable to get local issuer certificate"),
        ("refused", "handshake failure"),
    ] {
        let sitting =
            Sitting::before(&bench, answering("fine"), &[&base[..], &["--tls-handshake", meets]].concat());
        let said = asked(&sitting.listen, &ca);
        assert!(said.replace('_', " ").to_lowercase().contains(&wanted.to_lowercase()), "{meets}: {said}");
        let summary = sitting.summary();
        assert_eq!(summary["faults"][0]["tally"]["hits"], 1, "{summary}");
    }
}

#[test]
fn flags_that_cannot_be_meant_are_refused_with_the_mend() {
    let bench = Bench::new();
    let proxy =
        |args: &[&str]| bench.run(&[&["proxy", "127.0.0.1:0", "127.0.0.1:9", "--for", "1s"], args].concat());
    proxy(&["--tls-handshake", "expired"]).expect(2).says("add `--tls`");
    proxy(&["--tls=originate", "--tls-ca", "murphy", "--tls-handshake", "expired"])
        .expect(2)
        .says("add `--tls`");
    proxy(&["--tls", "--tls-cert", "client.pem"]).expect(2).says("`cert` without its `key`");
    proxy(&["--tls-ca", "ca.pem"]).expect(2).says("--tls");
    proxy(&["--tls", "--tls-ca", "none.pem"]).expect(3).says("none.pem");
}

#[test]
fn what_was_done_by_hand_is_saved_with_its_tls() {
    let bench = Bench::new();
    let args = [
        "--tls",
        "--tls-ca",
        "murphy",
        "--tls-handshake",
        "expired",
        "--for",
        "300ms",
        "--save",
        "saved.yaml",
    ];
    bench.run(&[&["proxy", "127.0.0.1:0", "127.0.0.1:9"], &args[..]].concat()).expect(0);
    bench.run(&["check", "saved.yaml"]).expect(0);
    let saved = std::fs::read_to_string(bench.path().join("saved.yaml")).unwrap();
    assert!(saved.contains("tls-handshake") && saved.contains("ca: murphy"), "{saved}");
}

#[test]
fn a_bad_certificate_is_put_on_a_running_proxy_by_hand_taken_off_and_saved_with_its_tls() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let ca = bench.run(&["ca", "--path"]).expect(0).stdout.trim().to_owned();
    let (daemon, upstream, [port]) = (Daemon::start(&bench, &[]), answering("fine"), free_ports());
    let listen = format!("127.0.0.1:{port}");
    daemon.run(&bench, &format!("proxies add sealed {upstream} --listen {listen} --tls=terminate")).expect(0);
    assert_eq!(asked(&listen, &ca), "fine\n");
    daemon.run(&bench, "fault add sealed --name old --tls-handshake expired").expect(0);
    let said = asked(&listen, &ca);
    assert!(said.contains("certificate has expired"), "{said}");
    daemon.run(&bench, "fault remove sealed old").expect(0);
    assert_eq!(asked(&listen, &ca), "fine\n");
    daemon.run(&bench, "proxies save saved.yaml").expect(0);
    bench.run(&["check", "saved.yaml"]).expect(0);
    let saved = std::fs::read_to_string(bench.path().join("saved.yaml")).unwrap();
    assert!(saved.contains("tls: { mode: terminate }") && saved.contains("meets: expired"), "{saved}");
    assert!(!saved.contains("Not recorded"), "{saved}");
}

/// A dependency with TLS that asks who calls, ended with the test.
struct Asking {
    child: Child,
    port: u16,
}

impl Drop for Asking {
    fn drop(&mut self) {
        // SIGKILL: there is nothing to be put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Asking {
    /// Its authority is in `ca.pem`; what that gave a caller is in `client.pem` and `client.key`.
    fn start(bench: &Bench) -> Asking {
        let certificates = "set -e
            new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
            $new -x509 -days 2 -subj '/CN=upstream ca' -keyout ca.key -out ca.pem
            for who in server client; do
                $new -subj /CN=$who -keyout $who.key -out $who.csr
                echo 'subjectAltName=IP:127.0.0.1' > $who.ext
                openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
            done";
        let made = bench.shell("sh", &["-c", certificates]).output().expect("sh starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = "import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = dict(part[0] for part in self.connection.getpeercert()['subject'])['commonName']
        self.send_response(200 if who == 'client' else 403)
        self.send_header('Content-Length', '0')
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
context.load_verify_locations('ca.pem')
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";
        let mut python = Command::new("python3");
        python.args(["-c", server]).current_dir(bench.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut asking = Asking { child: python.spawn().expect("python3 starts"), port: 0 };
        let said = asking.child.stdout.take().expect("its output is kept");
        let mut port = String::new();
        BufReader::new(said).read_line(&mut port).expect("where it listens");
        asking.port = port.trim().parse().expect("a port");
        asking
    }
}

#[test]
fn a_dependency_that_asks_who_calls_is_told_where_a_scenario_says_who() {
    if !has_python() {
        return;
    }
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("no openssl on the PATH");
    }
    let bench = Bench::new();
    let (asking, [port]) = (Asking::start(&bench), free_ports());
    for (identity, wanted) in
        [(", cert: client.pem, key: client.key", "probe up ok (200)"), ("", "probe up NOT ok")]
    {
        let scenario = format!(
            "murphy: 1
name: it asks who calls
edges:
  shop:
    listen: 127.0.0.1:{port}
    to: 127.0.0.1:{}
    protocol: http
    tls: {{ mode: originate, ca: ca.pem{identity} }}
probes: {{ up: {{ http: GET http://127.0.0.1:{port}/, every: 100ms }} }}
phases: {{ warm-up: 0s, baseline: 1s, fault: 1s, recovery: 1s }}
control: true
",
            asking.port
        );
        bench.file("asked.yaml", &scenario);
        bench.run_expecting(0, &["run", "asked.yaml"]).says(wanted);
    }
}

#[test]
fn a_scenario_without_its_certificates_is_not_carried_out_and_says_why() {
    let bench = Bench::new();
    let scenario = "murphy: 1
name: no certificates
edges: { shop: { listen: 127.0.0.1:0, to: 127.0.0.1:9, tls: { ca: none.pem } } }
probes: { up: { tcp: 127.0.0.1:9, every: 1s } }
phases: { baseline: 1s, fault: 1s, recovery: 1s }
control: true
";
    let port = murphy_tests::free_ports::<1>()[0];
    bench.file("tls.yaml", &scenario.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    bench.run(&["run", "tls.yaml"]).expect(3).says("tls of edge shop").says("none.pem");
}
