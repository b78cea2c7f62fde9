//! TLS on the sides of an edge, with clients and servers that others wrote.

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use murphy_core::{Directions, EventKind, ExchangeEnd, Protocol};
use murphy_proxy::http::{HttpStep, Malformed, Then};
use murphy_proxy::{EdgeEffect, EdgeTls, Ending, HandshakeEffect};
use murphy_tls::{Authority, Flaw, Identity, Upstream, UpstreamSettings, Verify};
use support::http::{canned, stage_with, step};
use support::{Stage, armed, fault, within};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// False, and says so, where a tool is missing; on a CI machine that is a failure.
fn has(tool: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(tool).exists());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "no {tool} on a CI machine");
        murphy_testkit::skipped(format_args!("no {tool}"));
    }
    found
}

struct Lab {
    dir: tempfile::TempDir,
    authority: Arc<Authority>,
}

impl Lab {
    fn new() -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::of_state(dir.path()).unwrap());
        Lab { dir, authority }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ca(&self) -> &Path {
        self.authority.certificate()
    }

    fn terminating(&self) -> EdgeTls {
        EdgeTls { terminate: Some(Arc::clone(&self.authority)), originate: None }
    }

    async fn run(&self, program: &str, args: &[&str]) -> Output {
        let output = Command::new(program).args(args).current_dir(self.dir.path()).output();
        within(program, output).await.unwrap()
    }

    /// An authority of the dependency's side, and certificates of it, made by another program than ours.
    async fn certificates(&self) {
        let script = "set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=upstream ca' \
                -keyout up-ca.key -out up-ca.pem
            for who in server client; do
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
                printf 'subjectAltName=DNS:upstream.example,IP:127.0.0.1' > $who.ext
                openssl x509 -req -in $who.csr -CA up-ca.pem -CAkey up-ca.key -CAcreateserial -days 2 -extfile $who.ext \
                    -out $who.pem
            done";
        let output = self.run("sh", &["-c", script]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn upstream(&self, settings: &UpstreamSettings, host: &str) -> Upstream {
        Upstream::read(settings, host).unwrap()
    }

    fn trusting(&self) -> UpstreamSettings {
        UpstreamSettings { ca: Some(self.file("up-ca.pem")), ..Default::default() }
    }

    /// What curl says: its exit code and the body, or its error.
    async fn curl(&self, args: &[&str]) -> (i32, String) {
        let base = ["-sS", "--max-time", "10", "--noproxy", "*"];
        let output = self.run("curl", &[&base[..], args].concat()).await;
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }

    async fn trusted_curl(&self, stage: &Stage, more: &[&str]) -> (i32, String) {
        let url = format!("https://localhost:{}/", stage.address.port());
        self.curl(&[&["--cacert", self.ca().to_str().unwrap(), &url], more].concat()).await
    }

    /// nginx, as a server with TLS and HTTP/2 that tells what it was asked and by whom.
    async fn nginx(&self, more: &str) -> (SocketAddr, Child) {
        let port = murphy_testkit::free_port();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; worker_processes 1; events {{ worker_connections 64; }}
             http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
               uwsgi_temp_path u; scgi_temp_path s;
               server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate server.pem; ssl_certificate_key server.key;
                 {more}
                 location / {{ return 200 '$server_protocol $ssl_server_name $ssl_client_s_dn'; }} }} }}"
        );
        std::fs::write(self.file("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.dir.path()).args(["-c", "nginx.conf"]).kill_on_drop(true);
        command.env("PATH", "/usr/sbin:/usr/bin:/bin").stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        within("nginx", async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
        (address, child)
    }
}

fn handshake(effect: HandshakeEffect) -> murphy_proxy::Armed {
    armed("tls-1", EdgeEffect::Handshake(effect), Directions::default())
}

#[tokio::test]
async fn a_caller_that_trusts_the_authority_is_served_by_name_and_by_address() {
    if !has("curl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let stage = stage_with(protocol, server.address, lab.terminating()).await;
        assert_eq!(lab.trusted_curl(&stage, &[]).await, (0, "hello".to_owned()));
        let by_address = format!("https://127.0.0.1:{}/", stage.address.port());
        let got = lab.curl(&["--cacert", lab.ca().to_str().unwrap(), &by_address, "--tls-max", "1.2"]).await;
        assert_eq!(got, (0, "hello".to_owned()));
        let got = lab.curl(&[&by_address]).await;
        assert_eq!(got.0, 60, "without the authority nobody is trusted: {got:?}");
        stage.empty().await;
        // The last one only shook hands, and gave up.
        let ends: Vec<ExchangeEnd> = stage
            .finish()
            .await
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::Exchange { end, .. } => Some(end),
                EventKind::Request(call) => Some(call.end),
                _ => None,
            })
            .collect();
        assert_eq!(
            ends,
            [ExchangeEnd::Answered, ExchangeEnd::Answered, ExchangeEnd::GivenUp],
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn each_flaw_is_seen_by_a_careful_caller_and_not_by_a_careless_one() {
    if !has("curl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    let stage = stage_with(Protocol::Http, server.address, lab.terminating()).await;
    for (flaw, wanted) in [
        (Flaw::Expired, "certificate has expired"),
        (Flaw::NotYetValid, "certificate is not yet valid"),
        (Flaw::WrongHost, "no alternative certificate subject name matches"),
        (Flaw::SelfSigned, "self-signed certificate"),
        (Flaw::Untrusted, "unable to get local issuer certificate"),
    ] {
        stage.handle.arm(handshake(HandshakeEffect::Show(flaw)));
        let (code, said) = lab.trusted_curl(&stage, &[]).await;
        assert!(code == 60 && said.contains(wanted), "{flaw:?}: {code} {said}");
        assert_eq!(lab.trusted_curl(&stage, &["--insecure"]).await, (0, "hello".to_owned()), "{flaw:?}");
    }
    let tally = stage.handle.lift(&fault("tls-1")).unwrap();
    assert_eq!((tally.connections, tally.hits), (10, 10));
    assert_eq!(lab.trusted_curl(&stage, &[]).await, (0, "hello".to_owned()), "lifted");
    stage.empty().await;
    let mut told = Vec::new();
    for event in stage.finish().await {
        match event.kind {
            EventKind::Exchange { end, touched, .. } => told.push((end, touched, 0)),
            EventKind::Request(call) => told.push((call.end, call.touched, call.faults.len())),
            _ => {}
        }
    }
    let mut wanted = [(ExchangeEnd::Failed, true, 0), (ExchangeEnd::Answered, true, 1)].repeat(5);
    wanted.push((ExchangeEnd::Answered, false, 0));
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_caller_that_accepts_a_bad_certificate_and_leaves_in_mid_request_has_given_up() {
    if !has("openssl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    let stage = stage_with(Protocol::Http, server.address, lab.terminating()).await;
    stage.handle.arm(handshake(HandshakeEffect::Show(Flaw::Untrusted)));
    let ask = format!("printf 'GET / HTTP/1.1\\r\\nHost: sh' | openssl s_client -connect {}", stage.address);
    lab.run("sh", &["-c", &ask]).await;
    stage.empty().await;
    let ends: Vec<(ExchangeEnd, bool)> = stage
        .finish()
        .await
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Exchange { end, touched, .. } => Some((end, touched)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(ExchangeEnd::GivenUp, true)], "it has not refused what it spoke on");
}

#[tokio::test]
async fn a_refused_handshake_is_an_alert_and_a_stalled_one_goes_on_when_the_fault_is_lifted() {
    if !has("curl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    let stage = stage_with(Protocol::Http, server.address, lab.terminating()).await;
    stage.handle.arm(handshake(HandshakeEffect::Refuse));
    let (code, said) = lab.trusted_curl(&stage, &[]).await;
    assert!(code == 35 && said.contains("handshake failure"), "{code} {said}");
    stage.handle.arm(handshake(HandshakeEffect::Stall));
    let (code, said) = lab.trusted_curl(&stage, &["--max-time", "0.3"]).await;
    assert_eq!(code, 28, "{said}");
    let lift = async {
        stage.meter("the third", |meter| meter.accepted == 3).await;
        // Wherever its handshake is by now, it must come through.
        stage.handle.lift(&fault("tls-1")).unwrap();
    };
    let (served, ()) = tokio::join!(lab.trusted_curl(&stage, &[]), lift);
    assert_eq!(served, (0, "hello".to_owned()));
    stage.empty().await;
    assert_eq!(server.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_is_open_keeps_its_certificate_and_a_session_is_never_resumed() {
    if !has("curl") || !has("openssl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    let stage = stage_with(Protocol::Http, server.address, lab.terminating()).await;
    let address = stage.address.to_string();
    let base =
        ["s_client", "-connect", &address, "-servername", "localhost", "-verify_return_error", "-CAfile"];
    let base = [&base[..], &[lab.ca().to_str().unwrap()]].concat();
    let again = lab.run("openssl", &[&base[..], &["-reconnect", "-tls1_2"]].concat()).await;
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && said.matches("New, TLSv1.2").count() > 1, "{said}");
    assert!(!said.contains("Reused"), "{said}");

    let mut command = Command::new("openssl");
    command.args(&base).args(["-quiet", "-no_ign_eof"]).kill_on_drop(true);
    let mut client =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut asks, mut answers) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let mut got = vec![0; ANSWER.len()];
    for round in 0..2 {
        asks.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        within("an answer", answers.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, ANSWER, "round {round}");
        stage.handle.arm(handshake(HandshakeEffect::Show(Flaw::Expired)));
    }
}

#[tokio::test]
async fn a_dependency_with_tls_is_checked_and_its_protocol_is_the_callers() {
    if !has("curl") || !has("openssl") || !has("nginx") {
        return;
    }
    let lab = Lab::new();
    lab.certificates().await;
    let (address, _nginx) = lab.nginx("").await;
    let edge = |settings, host: &str| EdgeTls {
        originate: Some(lab.upstream(&settings, host)),
        ..lab.terminating()
    };
    let both = stage_with(Protocol::Http, address, edge(lab.trusting(), "upstream.example")).await;
    assert_eq!(lab.trusted_curl(&both, &[]).await, (0, "HTTP/2.0 upstream.example ".to_owned()));
    let got = lab.trusted_curl(&both, &["--http1.1"]).await;
    assert_eq!(got, (0, "HTTP/1.1 upstream.example ".to_owned()));
    both.empty().await;
    assert!(both.finish().await.iter().all(|event| !matches!(event.kind, EventKind::Exchange { .. })));

    // The caller does not speak TLS, in either version.
    let tls = EdgeTls { terminate: None, originate: Some(lab.upstream(&lab.trusting(), "127.0.0.1")) };
    let originating = stage_with(Protocol::Http, address, tls).await;
    let url = format!("http://127.0.0.1:{}/", originating.address.port());
    assert_eq!(lab.curl(&[&url]).await, (0, "HTTP/1.1  ".to_owned()));
    assert_eq!(lab.curl(&[&url, "--http2-prior-knowledge"]).await, (0, "HTTP/2.0  ".to_owned()));

    // Unknown authority, wrong name: the caller meets a dependency that cannot be reached.
    let strangers = UpstreamSettings { ca: Some(lab.ca().to_owned()), ..Default::default() };
    let other = UpstreamSettings { name: Some("other.example".to_owned()), ..lab.trusting() };
    for (settings, wanted) in [(strangers, "UnknownIssuer"), (other, "other.example")] {
        let stage = stage_with(Protocol::Http, address, edge(settings, "upstream.example")).await;
        let (code, said) = lab.trusted_curl(&stage, &[]).await;
        assert_eq!(code, 35, "{said}");
        let events = stage.finish().await;
        let why = events.iter().find_map(|event| match &event.kind {
            EventKind::DialFailed { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert!(why.as_ref().is_some_and(|why| why.contains(wanted)), "{why:?}");
    }
    let blind = UpstreamSettings { verify: Verify::Nothing, ..Default::default() };
    let blind = stage_with(Protocol::Http, address, edge(blind, "other.example")).await;
    assert_eq!(lab.trusted_curl(&blind, &[]).await.0, 0);
}

#[tokio::test]
async fn a_dependency_that_asks_who_calls_is_told() {
    if !has("curl") || !has("openssl") || !has("nginx") {
        return;
    }
    let lab = Lab::new();
    lab.certificates().await;
    let (address, _nginx) = lab.nginx("ssl_client_certificate up-ca.pem; ssl_verify_client on;").await;
    let identity = Identity { cert: lab.file("client.pem"), key: lab.file("client.key") };
    for (identity, wanted) in [(None, "400"), (Some(identity), "200")] {
        let settings = UpstreamSettings { identity, ..lab.trusting() };
        let tls = EdgeTls { originate: Some(lab.upstream(&settings, "127.0.0.1")), ..lab.terminating() };
        let stage = stage_with(Protocol::Http, address, tls).await;
        let (_, got) = lab.trusted_curl(&stage, &["-w", " %{http_code}"]).await;
        assert!(got.ends_with(wanted), "{got}");
        assert_eq!(got.contains("CN=client"), wanted == "200", "{got}");
    }
}

#[tokio::test]
async fn a_plain_edge_passes_tls_through_untouched_with_its_name_and_certificate() {
    if !has("openssl") || !has("nginx") || !has("curl") {
        return;
    }
    let lab = Lab::new();
    lab.certificates().await;
    let (address, _nginx) = lab.nginx("").await;
    let stage = stage_with(Protocol::Tcp, address, EdgeTls::default()).await;
    let to = format!("upstream.example:443:127.0.0.1:{}", stage.address.port());
    let args = ["--connect-to", &to, "--cacert", "up-ca.pem", "https://upstream.example/"];
    let untouched = (0, "HTTP/2.0 upstream.example ".to_owned());
    assert_eq!(lab.curl(&args).await, untouched);
    // Faults on bytes act on it as on any others.
    let arm = |yaml: &str| {
        let one: murphy_faults::Fault = serde_yaml::from_str(yaml).unwrap();
        let murphy_faults::Effect::Edge(effect) = one.effect() else { panic!("{yaml} sits on an edge") };
        stage.handle.arm(armed("bytes-1", effect, Directions::ToClient));
    };
    arm("latency: { delay: 150ms }");
    let begun = std::time::Instant::now();
    assert_eq!(lab.curl(&args).await, untouched);
    // The handshake's answer comes late, and the request's.
    assert!(begun.elapsed() >= std::time::Duration::from_millis(300), "{:?}", begun.elapsed());
    // In the middle of the handshake.
    arm("reset: { after-bytes: 100B }");
    let (code, said) = lab.curl(&args).await;
    assert_eq!(code, 35, "{said}");
    stage.handle.lift_all();
    assert_eq!(lab.curl(&args).await, untouched);
}

#[tokio::test]
async fn big_bodies_pass_both_ways_through_tls_on_both_sides() {
    if !has("openssl") {
        return;
    }
    let lab = Lab::new();
    lab.certificates().await;
    // `-rev` answers each line with the line turned round.
    let mut command = Command::new("openssl");
    let args = ["s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem", "-key", "server.key", "-rev"];
    command
        .args(args)
        .current_dir(lab.dir.path())
        .kill_on_drop(true)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut server = command.spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = within("s_server", async {
        loop {
            let line = lines.next_line().await.unwrap().expect("s_server listens");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                return address.parse::<SocketAddr>().unwrap();
            }
        }
    })
    .await;
    let settings = lab.trusting();
    let tls = EdgeTls { originate: Some(lab.upstream(&settings, "upstream.example")), ..lab.terminating() };
    let stage = stage_with(Protocol::Tcp, address, tls).await;
    let to = stage.address.to_string();
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        &to,
        "-servername",
        "shop",
        "-quiet",
        "-verify_return_error",
        "-CAfile",
    ]);
    command
        .arg(lab.ca())
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut client = command.spawn().unwrap();
    let (mut asks, answers) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let mut answers = BufReader::new(answers).lines();
    for n in 0..2_000 {
        let line = format!("{n:08}{}", "x".repeat(2_000));
        asks.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let got = within("an answer", answers.next_line()).await.unwrap().unwrap();
        assert_eq!(got, line.chars().rev().collect::<String>());
    }
    drop(asks);
}

#[tokio::test]
async fn faults_on_requests_act_within_tls_and_faults_on_bytes_beneath_it() {
    if !has("curl") {
        return;
    }
    let lab = Lab::new();
    let server = canned(ANSWER).await;
    let stage = stage_with(Protocol::Http, server.address, lab.terminating()).await;
    // Written past the HTTP layer, and yet sealed.
    stage.handle.arm(step("malform-1", HttpStep::Malform(Malformed::Header)));
    let (code, said) = lab.trusted_curl(&stage, &[]).await;
    assert!(code == 8 && said.contains("Header without colon"), "{code} {said}");
    stage.handle.lift_all();
    for (how, code) in [(Ending::Close, 18), (Ending::Reset, 56)] {
        stage.handle.arm(step("cut-1", HttpStep::Cut { after: 3, then: Then::End(how) }));
        let (found, said) = lab.trusted_curl(&stage, &[]).await;
        assert_eq!(found, code, "{how:?}: {said}");
        stage.handle.lift_all();
    }
    let late = serde_yaml::from_str::<murphy_faults::Fault>("latency: { delay: 150ms }").unwrap();
    let murphy_faults::Effect::Edge(effect) = late.effect() else { panic!("latency sits on an edge") };
    stage.handle.arm(armed("latency-1", effect, Directions::ToClient));
    let begun = std::time::Instant::now();
    assert_eq!(lab.trusted_curl(&stage, &[]).await, (0, "hello".to_owned()));
    // The handshake's answer comes late, and the request's.
    assert!(begun.elapsed() >= std::time::Duration::from_millis(300), "{:?}", begun.elapsed());
    stage.handle.lift_all();
    let broken = serde_yaml::from_str::<murphy_faults::Fault>("corrupt: { rate: 100% }").unwrap();
    let murphy_faults::Effect::Edge(effect) = broken.effect() else { panic!("corrupt sits on an edge") };
    stage.handle.arm(armed("corrupt-1", effect, Directions::ToClient));
    let (code, said) = lab.trusted_curl(&stage, &["--max-time", "3"]).await;
    assert_ne!(code, 0, "a flipped bit never reaches the caller's protocol: {said}");
}
