//! The native API over real sockets: what it does to traffic, how it ends by itself, whom it lets in.

mod support;

use std::time::{Duration, Instant};

use murphy_control::{Compat, Token};
use murphy_core::Seed;
use serde_json::{Value, json};
use support::{
    Daemon, PATIENCE, Reply, daemon, daemon_guarded, lag, pair, passes, quickest, read_exactly, upstream,
    within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One call with a JSON body.
async fn call(daemon: &Daemon, method: &str, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("Content-Type", "application/json")];
    let reply = daemon.call_with(method, path, &headers, &body).await;
    assert!(reply.took < support::PROMPT, "{method} {path}: {:?}", reply.took);
    reply
}

async fn get(daemon: &Daemon, path: &str) -> Value {
    let reply = call(daemon, "GET", path, &Value::Null).await.expect(200);
    serde_json::from_str(&reply.body).unwrap()
}

async fn put(daemon: &Daemon, path: &str, body: Value) -> Value {
    let reply = call(daemon, "PUT", path, &body).await;
    assert!([200, 201].contains(&reply.status), "{path} {body}: {reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

/// The error of a call that must be refused.
async fn refused(daemon: &Daemon, method: &str, path: &str, body: Value, status: u16) -> String {
    call(daemon, method, path, &body).await.expect(status).body
}

async fn proxy(daemon: &Daemon, name: &str, upstream: std::net::SocketAddr) -> std::net::SocketAddr {
    let body = json!({ "name": name, "upstream": upstream.to_string() });
    let made = call(daemon, "POST", "/v1/proxies", &body).await.expect(201);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    made["listen"].as_str().unwrap().parse().unwrap()
}

/// A stream of events that is read as it comes.
struct Stream {
    socket: TcpStream,
    seen: String,
}

async fn stream(daemon: &Daemon, path: &str) -> Stream {
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut stream = Stream { socket, seen: String::new() };
    stream.until(": alive").await;
    assert!(stream.seen.starts_with("HTTP/1.1 200"), "{}", stream.seen);
    stream
}

impl Stream {
    async fn until(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let mut buffer = [0; 4096];
            let read = within(text, self.socket.read(&mut buffer)).await.unwrap();
            assert!(read > 0, "it ended without {text}: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Its last chunk comes, or the connection ends.
    async fn ended(mut self) {
        while !self.seen.ends_with("\r\n0\r\n\r\n") {
            let mut buffer = [0; 4096];
            match within("the end of the stream", self.socket.read(&mut buffer)).await {
                Ok(0) | Err(_) => return,
                Ok(read) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..read])),
            }
        }
    }
}

#[tokio::test]
async fn a_fault_is_put_on_edited_counted_and_taken_off_under_an_open_connection() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let listen = proxy(&daemon, "cart", address).await;
    let (mut caller, mut server) = pair(listen, &listener).await;
    let body = json!({ "inject": { "latency": { "delay": "1s", "jitter": "1ms" } } });
    let made = call(&daemon, "POST", "/v1/proxies/cart/faults", &body).await.expect(201);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!((&made["name"], &made["text"]), (&json!("latency"), &json!("latency 1s ± 1ms")));
    assert_eq!((&made["directions"], &made["chance"]), (&json!("to-client"), &json!("100%")));
    assert!(lag(&mut server, &mut caller).await >= Duration::from_millis(999));
    refused(&daemon, "POST", "/v1/proxies/cart/faults", body, 409).await;

    let edit = json!({ "inject": { "latency": "300ms" }, "directions": "both" });
    put(&daemon, "/v1/proxies/cart/faults/latency", edit).await;
    assert!(lag(&mut caller, &mut server).await >= Duration::from_millis(300));
    let shown = get(&daemon, "/v1/proxies/cart/faults/latency").await;
    // The count goes on over an edit.
    assert_eq!(shown["tally"], json!({ "connections": 1, "hits": 2, "bytes": 2 }));
    let took = quickest(&mut caller, &mut server).await;
    assert!(took < Duration::from_millis(999), "the second from before is gone: {took:?}");
    call(&daemon, "DELETE", "/v1/proxies/cart/faults/latency", &Value::Null).await.expect(204);
    assert!(quickest(&mut caller, &mut server).await < Duration::from_millis(300));
    assert_eq!(get(&daemon, "/v1/proxies/cart/faults").await, json!([]));

    // The proxy as a whole, and its end.
    let shown = get(&daemon, "/v1/proxies/cart").await;
    assert_eq!((&shown["enabled"], &shown["traffic"]["open"]), (&json!(true), &json!(1)));
    call(&daemon, "PATCH", "/v1/proxies/cart", &json!({ "enabled": false })).await.expect(200);
    assert!(TcpStream::connect(listen).await.is_err());
    call(&daemon, "DELETE", "/v1/proxies/cart", &Value::Null).await.expect(204);
    refused(&daemon, "GET", "/v1/proxies/cart", Value::Null, 404).await;
    daemon.end().await;
}

#[tokio::test]
async fn every_fault_on_connections_or_requests_of_the_catalogue_can_be_put_on() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    let body =
        json!({ "name": "p", "upstream": address.to_string(), "protocol": "http", "tls": "terminate" });
    call(&daemon, "POST", "/v1/proxies", &body).await.expect(201);
    let mut count = 0;
    for entry in murphy_faults::catalogue() {
        let fault: murphy_faults::Fault = serde_yaml::from_str(entry.example).unwrap();
        let stream = matches!(fault.effect(), murphy_faults::Effect::Edge(_));
        let path = format!("/v1/proxies/p/faults/{}", entry.name);
        if !stream {
            let text = refused(&daemon, "PUT", &path, json!({ "inject": fault }), 422).await;
            assert!(text.contains("murphy explain"), "{text}");
            continue;
        }
        count += 1;
        let order = if fault.acts_on_requests() {
            json!({ "inject": fault, "which": { "chance": "10%" } })
        } else {
            json!({ "inject": fault, "chance": "10%" })
        };
        let shown = put(&daemon, &path, order).await;
        assert_eq!(shown["inject"], serde_json::to_value(&fault).unwrap());
    }
    assert!(count >= 25, "{count}");
    assert_eq!(get(&daemon, "/v1/proxies/p/faults").await.as_array().unwrap().len(), count);
    daemon.end().await;
}

#[tokio::test]
async fn tls_is_made_with_a_proxy_and_its_handshakes_go_wrong_only_there() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    let upstream = address.to_string();
    let with = |name: &str, tls: Value| json!({ "name": name, "upstream": upstream, "tls": tls });
    let made = call(&daemon, "POST", "/v1/proxies", &with("sealed", json!("terminate"))).await.expect(201);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!(made["tls"], json!({ "mode": "terminate" }));
    assert!(daemon.state.path().join("ca/murphy-ca.pem").is_file());
    put(&daemon, "/v1/proxies/sealed/faults/f", json!({ "inject": { "tls-handshake": "expired" } })).await;
    call(&daemon, "POST", "/v1/proxies", &json!({ "name": "plain", "upstream": upstream })).await.expect(201);
    let order = json!({ "inject": { "tls-handshake": "expired" } });
    let text = refused(&daemon, "PUT", "/v1/proxies/plain/faults/f", order, 422).await;
    assert!(text.contains("passes them through"), "{text}");
    for (tls, status, words) in [
        (json!({ "cert": "client.pem" }), 422, "without its `key`"),
        (json!({ "ca": "/nowhere/ca.pem" }), 422, "/nowhere/ca.pem"),
        (json!("sometimes"), 400, "originate"),
    ] {
        let text = refused(&daemon, "POST", "/v1/proxies", with("bad", tls), status).await;
        assert!(text.contains(words), "{text}");
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_set_of_rules_is_put_on_changed_and_taken_off_as_one_or_not_at_all() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let (a, _b) = (proxy(&daemon, "a", address).await, proxy(&daemon, "b", address).await);
    let slow = json!({ "proxy": "a", "inject": { "latency": "500ms" } });
    let cut = json!({ "proxy": "b", "name": "cut", "inject": { "limit": { "bytes": "1kB" } } });
    let shown = put(&daemon, "/v1/rules/evening", json!({ "rules": [slow, cut] })).await;
    assert_eq!(shown["rules"][0]["fault"]["name"], "evening.latency");
    assert_eq!(get(&daemon, "/v1/rules/evening").await, shown);
    let (mut caller, mut server) = pair(a, &listener).await;
    assert!(lag(&mut server, &mut caller).await >= Duration::from_millis(500));

    // One rule cannot be: nothing is touched, whatever stands before or behind it.
    for (bad, status, words) in [
        (json!({ "proxy": "nowhere", "inject": "refuse" }), 404, "rule 2: there is no proxy `nowhere`"),
        (
            json!({ "proxy": "b", "inject": { "latency": { "delay": "1ms", "jitter": "5ms" } } }),
            422,
            "jitter",
        ),
        (json!({ "proxy": "a", "name": "twice", "inject": "reset" }), 409, "rule 2"),
    ] {
        let first = json!({ "proxy": "a", "name": "twice", "inject": { "latency": "1ms" } });
        let text =
            refused(&daemon, "PUT", "/v1/rules/evening", json!({ "rules": [first, bad] }), status).await;
        assert!(text.contains(words), "{text}");
        assert_eq!(get(&daemon, "/v1/rules/evening").await["rules"][1], shown["rules"][1]);
    }
    // Another set may not take a fault of this one; what is the same keeps its count.
    let theirs = json!({ "rules": [{ "proxy": "b", "name": "cut", "inject": "reset" }] });
    refused(&daemon, "PUT", "/v1/rules/other", theirs, 409).await;
    let shown = put(&daemon, "/v1/rules/evening", json!({ "rules": [slow] })).await;
    assert_eq!(shown["rules"].as_array().unwrap().len(), 1);
    assert_eq!(shown["rules"][0]["fault"]["tally"]["hits"], 1);
    assert_eq!(get(&daemon, "/v1/proxies/b/faults").await, json!([]));
    call(&daemon, "DELETE", "/v1/rules/evening", &Value::Null).await.expect(204);
    refused(&daemon, "GET", "/v1/rules/evening", Value::Null, 404).await;
    assert!(quickest(&mut server, &mut caller).await < Duration::from_millis(500));
    daemon.end().await;
}

#[tokio::test]
async fn a_fault_ends_by_itself_and_a_lease_must_be_renewed() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let listen = proxy(&daemon, "p", address).await;
    let mut events = stream(&daemon, "/v1/events").await;
    let (mut caller, mut server) = pair(listen, &listener).await;
    let begun = Instant::now();
    let order = json!({ "inject": "blackhole", "for": "300ms" });
    let shown = put(&daemon, "/v1/proxies/p/faults/gone", order).await;
    assert!(shown["ends-in"].as_str().unwrap().ends_with("ms"), "{shown}");
    server.write_all(b"held").await.unwrap();
    assert_eq!(read_exactly(&mut caller, 4).await, b"held");
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    events.until("event: fault-lifted\ndata: {\"by\":\"time\",\"fault\":\"gone\"").await;

    let hour = json!({ "inject": { "latency": "1h" }, "lease": "mine" });
    refused(&daemon, "PUT", "/v1/proxies/p/faults/slow", hour.clone(), 404).await;
    put(&daemon, "/v1/leases/mine", json!({ "for": "2s" })).await;
    put(&daemon, "/v1/proxies/p/faults/slow", hour).await;
    let begun = Instant::now();
    server.write_all(b"late").await.unwrap();
    // Renewed once: it lasts beyond its first time.
    tokio::time::sleep(Duration::from_millis(200)).await;
    put(&daemon, "/v1/leases/mine", json!({ "for": "2s" })).await;
    assert_eq!(read_exactly(&mut caller, 4).await, b"late");
    assert!(begun.elapsed() >= Duration::from_millis(2200), "{:?}", begun.elapsed());
    events.until("event: lease-ended\ndata: {\"by\":\"time\",\"lease\":\"mine\"}").await;
    assert_eq!(get(&daemon, "/v1/leases").await, json!([]));
    daemon.end().await;
    events.ended().await;
}

#[tokio::test]
async fn a_held_lease_ends_with_the_connection_of_its_owner() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let listen = proxy(&daemon, "p", address).await;
    let (mut caller, mut server) = pair(listen, &listener).await;
    put(&daemon, "/v1/leases/mine", json!({ "for": "1500ms" })).await;
    let owner = stream(&daemon, "/v1/leases/mine/hold").await;
    refused(&daemon, "GET", "/v1/leases/mine/hold", Value::Null, 409).await;
    let rules = json!({ "rules": [{ "proxy": "p", "inject": "blackhole" }], "lease": "mine" });
    put(&daemon, "/v1/rules/mine", rules).await;
    server.write_all(b"held").await.unwrap();
    // Beyond its time: it does not run out while it is held.
    let early = tokio::time::timeout(Duration::from_millis(1700), caller.read(&mut [0; 4])).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(get(&daemon, "/v1/leases/mine").await, json!({ "name": "mine", "ends-in": null }));
    drop(owner);
    assert_eq!(read_exactly(&mut caller, 4).await, b"held");
    refused(&daemon, "GET", "/v1/leases/mine", Value::Null, 404).await;

    // Ending a lease ends the answer of the one who holds it.
    put(&daemon, "/v1/leases/other", json!({ "for": "1m" })).await;
    let owner = stream(&daemon, "/v1/leases/other/hold").await;
    call(&daemon, "DELETE", "/v1/leases/other", &Value::Null).await.expect(204);
    owner.ended().await;
    daemon.end().await;
}

#[tokio::test]
async fn live_connections_tell_what_each_fault_decided() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let listen = proxy(&daemon, "p", address).await;
    let order = json!({ "inject": { "latency": "1h" }, "chance": "50%" });
    put(&daemon, "/v1/proxies/p/faults/half", order).await;
    daemon.toxic("p", r#"{"type":"noop"}"#).await;
    daemon.toxic("p", r#"{"type":"slow_close","toxicity":0,"attributes":{"delay":9}}"#).await;
    let mut pairs = Vec::new();
    for _ in 0..16 {
        pairs.push(pair(listen, &listener).await);
    }
    let list = get(&daemon, "/v1/proxies/p/connections").await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 16);
    for (_, server) in &mut pairs {
        server.write_all(b"x").await.unwrap();
    }
    let mut held = Vec::new();
    for (index, ((caller, _), shown)) in pairs.iter_mut().zip(list).enumerate() {
        assert_eq!(shown["conn"], index + 1);
        assert_eq!(shown["peer"], caller.local_addr().unwrap().to_string());
        assert_eq!(shown["stage"], "carried");
        let decisions = shown["decisions"].as_array().unwrap();
        assert_eq!(decisions[0]["fault"], "half");
        assert_eq!(decisions[1], json!({ "fault": null, "toxic": "slow_close_downstream", "acts": false }));
        // What it says is what it does.
        if decisions[0]["acts"] == true {
            held.push(caller);
        } else {
            read_exactly(caller, 1).await;
        }
    }
    for caller in &mut held {
        let early = tokio::time::timeout(Duration::from_millis(20), caller.read(&mut [0; 1])).await;
        assert!(early.is_err(), "{early:?}");
    }
    assert!((2..=14).contains(&held.len()), "{} of 16", held.len());
    call(&daemon, "DELETE", "/v1/proxies/p/faults/half", &Value::Null).await.expect(204);
    for caller in held {
        read_exactly(caller, 1).await;
    }
    let rest = get(&daemon, "/v1/proxies/p/connections?after=14").await;
    assert_eq!(rest.as_array().unwrap().len(), 2);
    refused(&daemon, "GET", "/v1/proxies/p/connections?after=x", Value::Null, 400).await;
    let bytes = &get(&daemon, "/v1/proxies/p/connections").await[0]["to-client"];
    assert_eq!(bytes, 1);
    drop(pairs);
    within("no connection", async { while get(&daemon, "/v1/proxies/p/connections").await != json!([]) {} })
        .await;
    daemon.end().await;
}

#[tokio::test]
async fn events_tell_of_edits_and_of_traffic() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let mut events = stream(&daemon, "/v1/events").await;
    events.until("event: listening").await;
    let listen = proxy(&daemon, "p", address).await;
    put(&daemon, "/v1/proxies/p/faults/f", json!({ "inject": { "latency": "1ms" } })).await;
    daemon.toxic("p", r#"{"type":"noop"}"#).await;
    let (mut caller, mut server) = pair(listen, &listener).await;
    assert!(passes(&mut caller, &mut server, PATIENCE).await);
    assert!(passes(&mut server, &mut caller, PATIENCE).await);
    drop((caller, server));
    events.until("\"conn-closed\"").await;
    call(&daemon, "DELETE", "/v1/proxies/p", &Value::Null).await.expect(204);
    events.until("event: proxy-deleted\ndata: {\"proxy\":\"p\"}").await;
    for wanted in [
        "event: proxy-created\ndata: {\"proxy\":\"p\"}",
        "event: fault-armed\ndata: {\"fault\":\"f\",\"proxy\":\"p\"}",
        "event: toxic-added",
        "event: traffic\ndata: {\"seq\":0,",
        "\"conn-opened\"",
        "\"exchange\"",
    ] {
        assert!(events.seen.contains(wanted), "{wanted} in {}", events.seen);
    }
    daemon.end().await;
    events.ended().await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_all_that_is_wrong() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    proxy(&daemon, "p", address).await;
    let faults = "/v1/proxies/p/faults";
    for (method, path, body, status, words) in [
        ("POST", "/v1/proxies", json!({ "name": "p", "upstream": "a:1" }), 409, "proxy already exists"),
        ("POST", "/v1/proxies", json!({ "name": "a b", "upstream": "a:1" }), 400, "is not a name"),
        ("POST", "/v1/proxies", json!({ "name": "q", "upstream": "a" }), 422, "write host:port"),
        (
            "POST",
            "/v1/proxies",
            json!({ "name": "q", "upstream": "a:1", "listen": "here" }),
            422,
            "127.0.0.1:0",
        ),
        (
            "POST",
            "/v1/proxies",
            json!({ "name": "q", "upstream": "a:1", "listen": "192.0.2.1:0" }),
            409,
            "cannot assign",
        ),
        ("POST", "/v1/proxies", json!({ "name": "q", "upstrem": "a:1" }), 400, "unknown field `upstrem`"),
        ("POST", faults, json!({ "inject": { "latency": 800 } }), 400, "`800ms`?"),
        ("POST", faults, json!({ "inject": { "latncy": "800ms" } }), 400, "latency"),
        ("POST", faults, json!({ "inject": { "bandwidth": "0B/s" }, "for": "2y" }), 400, "unit"),
        ("POST", faults, json!({ "inject": "reset", "for": "25h" }), 422, "10ms to 24h"),
        ("PUT", "/v1/leases/x", json!({ "for": "1ms" }), 422, "10ms to 24h"),
        ("PUT", "/v1/proxies/p/faults/a%20b", json!({ "inject": "reset" }), 400, "is not a name"),
        ("DELETE", "/v1/proxies/p/faults/x", Value::Null, 404, "fault not found"),
        ("PUT", "/v1/proxies", Value::Null, 405, "GET, POST"),
        ("GET", "/v1/nothing", Value::Null, 404, "/v1/openapi.json"),
        ("GET", "/v1/proxies/%zz", Value::Null, 400, "% escape"),
    ] {
        let text = refused(&daemon, method, path, body.clone(), status).await;
        assert!(text.contains(words), "{method} {path} {body}: {text}");
    }
    let reply = daemon.call("POST", faults, r#"{"inject":"reset"}"#).await.expect(415);
    assert!(reply.body.contains("application/json"));
    let long = json!({ "name": "q", "upstream": "u".repeat(2 << 20) });
    refused(&daemon, "POST", "/v1/proxies", long, 413).await;
    daemon.end().await;
}

#[tokio::test]
async fn pages_and_strangers_are_kept_out_and_toxiproxys_clients_need_a_chosen_token_too() {
    let open = daemon(Compat::Better).await;
    for header in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
        assert_eq!(open.call_with("GET", "/v1/proxies", &[header], "").await.status, 403, "{header:?}");
    }
    // A name that was made to point here.
    let mut socket = TcpStream::connect(open.address).await.unwrap();
    socket.write_all(b"GET /v1/proxies HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    assert!(read_exactly(&mut socket, 12).await.ends_with(b"403"));
    open.end().await;

    let guarded = daemon_guarded(Compat::Better, Seed(1), Token::new("secret")).await;
    let right = [("Authorization", "Bearer secret")];
    for path in ["/v1/proxies", "/v1/events", "/proxies"] {
        assert_eq!(guarded.call("GET", path, "").await.status, 401, "{path}");
    }
    for path in ["/v1/proxies", "/proxies"] {
        assert_eq!(guarded.call_with("GET", path, &right, "").await.status, 200, "{path}");
    }
    guarded.end().await;
}

/// A dependency that answers each request (without a body) with 200.
async fn fine() -> (JoinSet<()>, std::net::SocketAddr) {
    let (listener, address) = upstream().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut seen = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    seen.push(byte);
                    if seen.ends_with(b"\r\n\r\n") {
                        seen.clear();
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (tasks, address)
}

/// The status of a request on a connection that stays.
async fn status(stream: &mut TcpStream, request: &str) -> u16 {
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("a head", stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap())
    });
    read_exactly(stream, length.unwrap_or(0)).await;
    head[9..12].parse().unwrap()
}

#[tokio::test]
async fn a_fault_sits_on_the_chosen_requests_of_an_open_connection_and_each_request_is_told_of() {
    let daemon = daemon(Compat::Better).await;
    let (_fine, address) = fine().await;
    let body = json!({ "name": "shop", "upstream": address.to_string(), "protocol": "http" });
    let made = call(&daemon, "POST", "/v1/proxies", &body).await.expect(201);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!(made["protocol"], "http");
    let mut events = stream(&daemon, "/v1/events").await;
    let mut caller = TcpStream::connect(made["listen"].as_str().unwrap()).await.unwrap();
    assert_eq!(status(&mut caller, "POST /orders").await, 200);

    let fault = "/v1/proxies/shop/faults/busy";
    let order = json!({
        "inject": { "abort": { "status": 503, "retry-after": "2s" } },
        "match": { "method": "POST", "path": "/orders" },
        "which": { "first": 2 },
    });
    let armed = put(&daemon, fault, order.clone()).await;
    assert_eq!((&armed["match"], &armed["which"]), (&order["match"], &order["which"]));
    for (request, wanted) in [
        ("GET /orders", 200),
        ("POST /orders", 503),
        ("POST /items", 200),
        ("POST /orders", 503),
        ("POST /orders", 200),
    ] {
        assert_eq!(status(&mut caller, request).await, wanted, "{request}");
    }
    // An edit keeps the count: one more of three is left.
    let edit = json!({ "inject": { "abort": 429 }, "match": order["match"], "which": { "first": 3 } });
    put(&daemon, fault, edit).await;
    assert_eq!(status(&mut caller, "POST /orders").await, 429);
    assert_eq!(status(&mut caller, "POST /orders").await, 200);
    assert_eq!(get(&daemon, fault).await["tally"]["hits"], 3);
    call(&daemon, "DELETE", fault, &Value::Null).await.expect(204);
    assert_eq!(status(&mut caller, "POST /orders").await, 200);

    events.until("\"status\":429").await;
    let told: Vec<Value> = events
        .seen
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .filter_map(|event: Value| event["kind"].get("request").cloned())
        .collect();
    let injected: Vec<&Value> = told.iter().filter(|call| call["answerer"] == "murphy").collect();
    assert_eq!(injected.len(), 3, "{}", events.seen);
    assert_eq!((&injected[0]["route"], &injected[0]["method"]), (&json!("/orders"), &json!("POST")));
    assert_eq!((&injected[0]["status"], &injected[0]["reached"]), (&json!(503), &json!(false)));
    assert_eq!(injected[0]["faults"], json!(["busy"]));
    daemon.end().await;
}

#[tokio::test]
async fn what_is_about_requests_is_refused_where_it_cannot_be_meant() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    proxy(&daemon, "bytes", address).await;
    let http = json!({ "name": "http", "upstream": address.to_string(), "protocol": "http" });
    call(&daemon, "POST", "/v1/proxies", &http).await.expect(201);
    for (proxy, body, says) in [
        ("bytes", json!({ "inject": { "abort": 503 } }), "make it with"),
        ("bytes", json!({ "inject": { "latency": "1s" }, "which": { "first": 3 } }), "acts on bytes"),
        ("http", json!({ "inject": { "abort": 503 }, "chance": "20%" }), "chance"),
        ("http", json!({ "inject": { "abort": 503 }, "directions": "both" }), "about bytes"),
        ("http", json!({ "inject": { "abort": 503 }, "which": { "fail": 3 } }), "`pass: 5`"),
        ("http", json!({ "inject": { "abort": 99 } }), "status"),
    ] {
        let error = refused(&daemon, "POST", &format!("/v1/proxies/{proxy}/faults"), body, 422).await;
        assert!(error.contains(says), "{says}: {error}");
    }
    let rule = json!({ "rules": [{ "proxy": "bytes", "inject": { "abort": 503 } }] });
    refused(&daemon, "PUT", "/v1/rules/night", rule, 422).await;
    let redis = json!({ "name": "r", "upstream": address.to_string(), "protocol": "redis" });
    refused(&daemon, "POST", "/v1/proxies", redis, 422).await;
    // Faults on bytes sit on a proxy of HTTP too.
    let slow = json!({ "inject": { "latency": "1ms" } });
    call(&daemon, "POST", "/v1/proxies/http/faults", &slow).await.expect(201);
    daemon.end().await;
}

#[tokio::test]
async fn the_callers_of_a_proxy_are_watched_from_its_first_fault_on_though_nobody_listens() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let listen = proxy(&daemon, "cart", address).await;
    proxy(&daemon, "other", address).await;
    assert_eq!(get(&daemon, "/v1/history").await["calls"], json!([]));
    let body = json!({ "inject": { "latency": "60ms" } });
    call(&daemon, "POST", "/v1/proxies/cart/faults", &body).await.expect(201);
    // Callers that wait at least so long for each answer, however slow the machine is.
    for _ in 0..12 {
        let (mut caller, mut server) = pair(listen, &listener).await;
        lag(&mut caller, &mut server).await;
        lag(&mut server, &mut caller).await;
    }
    let told = within("what they do", async {
        loop {
            let calls = get(&daemon, "/v1/history").await["calls"].clone();
            if calls[0]["patterns"]["timeout"]["none-up-to"]["waited"].is_string() {
                return calls;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let told = told.await;
    assert_eq!((told.as_array().map(Vec::len), &told[0]["proxy"]), (Some(1), &json!("cart")), "{told}");
    call(&daemon, "DELETE", "/v1/proxies/cart", &Value::Null).await.expect(204);
    let kept = get(&daemon, "/v1/history").await["calls"][0].clone();
    assert!(kept["patterns"]["timeout"].is_object() && kept["since"] == told[0]["since"], "{kept}");
    daemon.end().await;
}
