//! Every route, status, header and body of Toxiproxy 2.12's control API, over real sockets, in both compatibilities.

mod support;

use murphy_control::Compat;
use support::{Daemon, Reply, daemon, field, upstream};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// A reply's status, content type and body in one line.
fn seen(reply: &Reply) -> String {
    format!("{} {} {}", reply.status, reply.header("content-type").unwrap_or("-"), reply.body)
}

async fn check(daemon: &Daemon, method: &str, path: &str, body: &str, wanted: &str) -> Reply {
    let reply = daemon.call(method, path, body).await;
    assert_eq!(seen(&reply), wanted, "{method} {path} {body}");
    let id = reply.header("X-Toxiproxy-Request-Id").unwrap_or_default();
    assert!(id.len() == 20 && id.chars().all(|c| c.is_digit(32) && !c.is_ascii_uppercase()), "{id}");
    reply
}

fn error(compat: Compat, status: u16, text: &str) -> String {
    let kind = if compat == Compat::Strict { TEXT } else { JSON };
    format!("{status} {kind} {{\"error\":\"{text}\",\"status\":{status}}}\n")
}

fn proxy(compat: Compat, name: &str, listen: &str, upstream: &str, enabled: bool, toxics: &str) -> String {
    let logger = if compat == Compat::Strict { r#""Logger":{},"# } else { "" };
    format!(
        r#"{{"name":"{name}","listen":"{listen}","upstream":"{upstream}","enabled":{enabled},{logger}"toxics":[{toxics}]}}"#
    )
}

async fn every_route(compat: Compat) {
    let daemon = daemon(compat).await;
    let d = &daemon;
    let fails = |status, text: &str| error(compat, status, text);
    let version = match compat {
        Compat::Strict => "{\"version\": \"2.12.0\"}\n".to_owned(),
        Compat::Better => {
            format!("{{\"version\": \"2.12.0\", \"murphy\": \"{}\"}}\n", env!("CARGO_PKG_VERSION"))
        }
    };
    check(d, "GET", "/version", "", &format!("200 application/json;charset=utf-8 {version}")).await;
    check(d, "GET", "/proxies", "", "200 application/json {}").await;

    // Creating.
    check(d, "POST", "/proxies", "", &fails(400, "bad request body: EOF")).await;
    let bad = "bad request body: invalid character 'x' looking for beginning of value";
    check(d, "POST", "/proxies", "x", &fails(400, bad)).await;
    let bad =
        "bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string";
    check(d, "POST", "/proxies", r#"{"name":1}"#, &fails(400, bad)).await;
    let bad = "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy";
    check(d, "POST", "/proxies", "[]", &fails(400, bad)).await;
    check(d, "POST", "/proxies", "{}", &fails(400, "missing required field: name")).await;
    check(d, "POST", "/proxies", r#"{"name":"p1"}"#, &fails(400, "missing required field: upstream")).await;
    let body =
        r#"{"NAME":"p1","Listen":"localhost:0","upstream":"localhost:1","other":[1],"enabled":null} garbage"#;
    let reply = d.call("POST", "/proxies", body).await.expect(201);
    let listen = field(&reply.body, "listen");
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{listen}");
    let p1 = |enabled, toxics: &str| proxy(compat, "p1", &listen, "localhost:1", enabled, toxics);
    assert_eq!(seen(&reply), format!("201 {JSON} {}", p1(true, "")));
    check(d, "POST", "/proxies", body, &fails(409, "proxy already exists")).await;
    let taken = format!(r#"{{"name":"p2","listen":"{listen}","upstream":"a:1"}}"#);
    let text = format!("listen tcp {listen}: bind: address already in use");
    check(d, "POST", "/proxies", &taken, &fails(500, &text)).await;
    let bad = r#"{"name":"p2","listen":"local373","upstream":"a:1"}"#;
    check(d, "POST", "/proxies", bad, &fails(500, "listen tcp: address local373: missing port in address"))
        .await;
    check(d, "GET", "/proxies/p2", "", &fails(404, "proxy not found")).await;
    let off = r#"{"name":"<p&2>","listen":"localhost:0","upstream":"a:1","enabled":false}"#;
    let p2 = proxy(compat, r"\u003cp\u00262\u003e", "localhost:0", "a:1", false, "");
    check(d, "POST", "/proxies", off, &format!("201 {JSON} {p2}")).await;
    check(d, "GET", "/proxies/%3Cp&2%3E", "", &format!("200 {JSON} {p2}")).await;
    let all = format!(r#"200 {JSON} {{"\u003cp\u00262\u003e":{p2},"p1":{}}}"#, p1(true, ""));
    check(d, "GET", "/proxies", "", &all).await;

    // Toxics.
    check(d, "GET", "/proxies/p1/toxics", "", &format!("200 {JSON} []")).await;
    check(d, "GET", "/proxies/no/toxics", "", &fails(404, "proxy not found")).await;
    check(d, "POST", "/proxies/no/toxics", "{}", &fails(404, "proxy not found")).await;
    check(d, "POST", "/proxies/p1/toxics", "", &fails(400, "bad request body: EOF")).await;
    check(d, "POST", "/proxies/p1/toxics", "{}", &fails(400, "invalid toxic type")).await;
    let bad = "stream was invalid, can be either upstream or downstream";
    check(d, "POST", "/proxies/p1/toxics", r#"{"type":"x","stream":"side"}"#, &fails(400, bad)).await;
    let bad = "bad request body: json: cannot unmarshal number 1.5 into Go struct field \
               LatencyToxic.attributes.latency of type int64";
    let body = r#"{"type":"latency","attributes":{"latency":1.5}}"#;
    check(d, "POST", "/proxies/p1/toxics", body, &fails(400, bad)).await;
    let latency = r#"{"attributes":{"latency":100,"jitter":5},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}"#;
    let body = r#"{"type":"latency","attributes":{"latency":100,"JITTER":5}}"#;
    check(d, "POST", "/proxies/p1/toxics", body, &format!("200 {JSON} {latency}")).await;
    check(d, "POST", "/proxies/p1/toxics", body, &fails(409, "toxic already exists")).await;
    // The name is taken over both streams, and is looked at before the attributes.
    let body =
        r#"{"name":"latency_downstream","type":"latency","stream":"upstream","attributes":{"latency":"x"}}"#;
    check(d, "POST", "/proxies/p1/toxics", body, &fails(409, "toxic already exists")).await;
    let upper = r#"{"attributes":{"rate":0},"name":"bandwidth_UpStream","type":"bandwidth","stream":"UpStream","toxicity":0.3}"#;
    let body = r#"{"type":"bandwidth","stream":"UpStream","toxicity":0.3}"#;
    check(d, "POST", "/proxies/p1/toxics", body, &format!("200 {JSON} {upper}")).await;
    let both = format!("{upper},{latency}");
    check(d, "GET", "/proxies/p1/toxics", "", &format!("200 {JSON} [{both}]")).await;
    check(d, "GET", "/proxies/p1", "", &format!("200 {JSON} {}", p1(true, &both))).await;
    check(d, "GET", "/proxies/p1/toxics/latency_downstream", "", &format!("200 {JSON} {latency}")).await;
    check(d, "GET", "/proxies/p1/toxics/no", "", &fails(404, "toxic not found")).await;
    check(d, "PATCH", "/proxies/p1/toxics/no", "{}", &fails(404, "toxic not found")).await;
    check(d, "DELETE", "/proxies/p1/toxics/no", "", &fails(404, "toxic not found")).await;
    check(d, "DELETE", "/proxies/no/toxics/no", "", &fails(404, "proxy not found")).await;
    let changed = latency.replace("100", "7").replace(":1}", ":0.2}");
    let body = r#"{"attributes":{"latency":7},"toxicity":0.2,"name":"z","stream":"upstream","type":"noop"}"#;
    check(d, "POST", "/proxies/p1/toxics/latency_downstream", body, &format!("200 {JSON} {changed}")).await;
    check(d, "PATCH", "/proxies/p1/toxics/latency_downstream", "{}", &format!("200 {JSON} {changed}")).await;
    check(d, "PATCH", "/proxies/p1/toxics/latency_downstream", "", &fails(400, "bad request body: EOF"))
        .await;
    let bad = "bad request body: json: cannot unmarshal string into Go struct field \
               LatencyToxic.attributes.jitter of type int64";
    let body = r#"{"attributes":{"latency":99,"jitter":"x"}}"#;
    check(d, "PATCH", "/proxies/p1/toxics/latency_downstream", body, &fails(400, bad)).await;
    // Unlike in Toxiproxy, a refused update has changed nothing.
    check(d, "GET", "/proxies/p1/toxics/latency_downstream", "", &format!("200 {JSON} {changed}")).await;
    check(d, "DELETE", "/proxies/p1/toxics/latency_downstream", "", "204 - ").await;

    // Updating.
    check(d, "POST", "/proxies/no", "{}", &fails(404, "proxy not found")).await;
    check(d, "POST", "/proxies/p1", "", &fails(400, "bad request body: EOF")).await;
    check(d, "POST", "/proxies/p1", "{}", &format!("200 {JSON} {}", p1(true, upper))).await;
    let off = format!("200 {JSON} {}", p1(false, upper));
    check(d, "PATCH", "/proxies/p1", r#"{"enabled":false,"name":"q"}"#, &off).await;
    check(d, "GET", "/proxies/p1", "", &off).await;
    // The port and the toxics are kept.
    check(d, "POST", "/proxies/p1", r#"{"enabled":true}"#, &format!("200 {JSON} {}", p1(true, upper))).await;
    let bad = "address local373: missing port in address";
    check(d, "POST", "/proxies/p1", r#"{"listen":"local373"}"#, &fails(500, bad)).await;
    check(d, "GET", "/proxies/p1", "", &format!("200 {JSON} {}", p1(true, upper))).await;
    let (holder, held) = upstream().await;
    let text = format!("listen tcp {held}: bind: address already in use");
    check(d, "POST", "/proxies/p1", &format!(r#"{{"listen":"{held}"}}"#), &fails(500, &text)).await;
    let broken = proxy(compat, "p1", &held.to_string(), "localhost:1", false, upper);
    check(d, "GET", "/proxies/p1", "", &format!("200 {JSON} {broken}")).await;
    drop(holder);
    let body = format!(r#"{{"enabled":true,"listen":"{listen}","upstream":""}}"#);
    let mended = proxy(compat, "p1", &listen, "", true, upper);
    check(d, "PATCH", "/proxies/p1", &body, &format!("200 {JSON} {mended}")).await;

    // Reset enables and takes toxics away; deleting frees the port at once.
    check(d, "POST", "/reset", "whatever", "204 - ").await;
    let reset = proxy(compat, "p1", &listen, "", true, "");
    check(d, "GET", "/proxies/p1", "", &format!("200 {JSON} {reset}")).await;
    check(d, "DELETE", "/proxies/p1", "", "204 - ").await;
    check(d, "DELETE", "/proxies/p1", "", &fails(404, "proxy not found")).await;
    tokio::net::TcpListener::bind(&listen).await.unwrap();
    daemon.end().await;
}

#[tokio::test]
async fn every_route_answers_as_toxiproxy_to_the_byte_when_strict() {
    every_route(Compat::Strict).await;
}

#[tokio::test]
async fn every_route_answers_as_toxiproxy_in_what_clients_read() {
    every_route(Compat::Better).await;
}

#[tokio::test]
async fn populate_keeps_what_is_the_same_and_stops_at_the_first_failure() {
    for compat in [Compat::Strict, Compat::Better] {
        let daemon = daemon(compat).await;
        let d = &daemon;
        let fails = |status: u16, text: &str, done: &str| {
            format!(r#"{status} {JSON} {{"error":"{text}","status":{status},"proxies":{done}}}"#)
        };
        check(d, "POST", "/populate", "[]", &format!(r#"201 {JSON} {{"proxies":null}}"#)).await;
        check(d, "POST", "/populate", "", &fails(400, "bad request body: EOF", "null")).await;
        let body = r#"[{"name":"a","upstream":"u:1"},{"upstream":"u:1"}]"#;
        let text = "missing required field: name at proxy 2";
        check(d, "POST", "/populate", body, &fails(400, text, "null")).await;
        check(d, "GET", "/proxies", "", "200 application/json {}").await;
        let body = r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"u:1"},
                       {"name":"b","listen":"localhost:0","upstream":"u:2","enabled":false}]"#;
        let reply = d.call("POST", "/populate", body).await.expect(201);
        let listen = field(&reply.body, "listen");
        let b = proxy(compat, "b", "localhost:0", "u:2", false, "");
        let a = |toxics: &str| proxy(compat, "a", &listen, "u:1", true, toxics);
        assert_eq!(seen(&reply), format!(r#"201 {JSON} {{"proxies":[{},{b}]}}"#, a("")));
        let noop =
            r#"{"attributes":{},"name":"noop_downstream","type":"noop","stream":"downstream","toxicity":1}"#;
        check(d, "POST", "/proxies/a/toxics", r#"{"type":"noop"}"#, &format!("200 {JSON} {noop}")).await;
        // The same address and upstream: kept as it is, and `enabled` is not looked at.
        let same = format!(r#"[{{"name":"a","listen":"{listen}","upstream":"u:1","enabled":false}}]"#);
        check(d, "POST", "/populate", &same, &format!(r#"201 {JSON} {{"proxies":[{}]}}"#, a(noop))).await;
        // Another upstream: replaced, and its toxics are gone.
        let other = format!(
            r#"[{{"name":"a","listen":"{listen}","upstream":"u:9"}},{{"name":"c","listen":"{listen}","upstream":"u:1"}},{{"name":"d","upstream":"u:1"}}]"#
        );
        let done = format!("[{}]", proxy(compat, "a", &listen, "u:9", true, ""));
        let text = format!("listen tcp {listen}: bind: address already in use");
        check(d, "POST", "/populate", &other, &fails(500, &text, &done)).await;
        check(d, "GET", "/proxies/d", "", &error(compat, 404, "proxy not found")).await;
        daemon.end().await;
    }
}

#[tokio::test]
async fn every_address_is_written_for_both_families_and_compared_by_what_it_means() {
    for compat in [Compat::Strict, Compat::Better] {
        let daemon = daemon(compat).await;
        let d = &daemon;
        let reply = d.call("POST", "/proxies", r#"{"name":"a","upstream":"u:1"}"#).await.expect(201);
        let listen = field(&reply.body, "listen");
        if !listen.starts_with("[::]:") {
            // A machine without IPv6.
            continue;
        }
        let port = listen.rsplit(':').next().unwrap();
        for written in [listen.clone(), format!(":{port}"), format!("0.0.0.0:{port}")] {
            // 409 if the one before was kept.
            d.call("POST", "/proxies/a/toxics", r#"{"type":"noop"}"#).await;
            let body = format!(r#"[{{"name":"a","listen":"{written}","upstream":"u:1"}}]"#);
            let reply = d.call("POST", "/populate", &body).await.expect(201);
            assert_eq!(field(&reply.body, "listen"), listen);
            // Toxiproxy compares the texts, and loses the toxics of the last two.
            let kept = compat == Compat::Better || written == listen;
            assert_eq!(reply.body.contains("noop"), kept, "{written}: {reply:?}");
        }
        daemon.end().await;
    }
}

#[tokio::test]
async fn what_is_no_route_has_the_forms_of_go() {
    let daemon = daemon(Compat::Strict).await;
    for (method, path, status, body) in [
        ("GET", "/", 404, "404 page not found\n"),
        ("GET", "/proxies/", 404, "404 page not found\n"),
        ("GET", "/proxies/a/b/c", 404, "404 page not found\n"),
        ("PUT", "/proxies", 405, ""),
        ("OPTIONS", "/version", 405, ""),
        ("DELETE", "/reset", 405, ""),
        ("GET", "//proxies?a=b", 301, ""),
    ] {
        let reply = daemon.call(method, path, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{method} {path}");
        assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()), "{path}");
        assert_eq!(reply.header("x-toxiproxy-request-id"), None, "{path}");
        assert_eq!(reply.header("allow"), None, "{path}");
        assert_eq!(reply.header("location"), (status == 301).then_some("/proxies?a=b"));
        assert_eq!(reply.header("x-content-type-options"), (status == 404).then_some("nosniff"));
    }
    let reply = daemon.call("HEAD", "/version", "").await;
    assert_eq!((reply.status, reply.body.as_str()), (405, ""));
    daemon.end().await;
}

#[tokio::test]
async fn browsers_are_kept_out_and_any_content_type_is_let_in() {
    let daemon = daemon(Compat::Better).await;
    let mozilla = [("User-Agent", "Mozilla/5.0 (X11)")];
    let reply = daemon.call_with("GET", "/version", &mozilla, "").await;
    assert_eq!(seen(&reply), format!("403 {TEXT} User agent not allowed\n"));
    assert!(reply.header("x-toxiproxy-request-id").is_some());
    assert_eq!(daemon.call_with("GET", "/nowhere", &mozilla, "").await.status, 404);
    let reply = daemon.call_with("POST", "/reset", &[("Origin", "http://evil.example")], "").await;
    assert_eq!(reply.status, 403);
    for kind in ["application/x-www-form-urlencoded", "text/plain", "nonsense"] {
        let body =
            format!(r#"{{"name":"{}","listen":"127.0.0.1:0","upstream":"u:1"}}"#, kind.replace('/', "-"));
        let reply = daemon.call_with("POST", "/proxies", &[("Content-Type", kind)], &body).await;
        assert_eq!(reply.status, 201, "{kind}: {reply:?}");
    }
    daemon.end().await;
}

#[tokio::test]
async fn extensions_take_toxics_with_the_proxy_both_streams_and_the_alias_of_noxious() {
    let daemon = daemon(Compat::Better).await;
    let d = &daemon;
    let body = r#"{"name":"a","listen":"127.0.0.1:0","upstream":"u:1","toxics":[
        {"type":"latency","attributes":{"latency":5}},
        {"type":"timeout","stream":"both"},
        {"type":"noop","direction":"upstream","name":"n"}]}"#;
    let reply = d.call("POST", "/proxies", body).await.expect(201);
    let order: Vec<usize> = ["\"name\":\"n\"", "timeout_both", "latency_downstream"]
        .map(|name| reply.body.find(name).unwrap())
        .into();
    assert!(order.is_sorted(), "{}", reply.body);
    // One bad toxic and there is no proxy.
    let body = r#"{"name":"b","listen":"127.0.0.1:0","upstream":"u:1","toxics":[{"type":"latency","attributes":{"latency":-1}}]}"#;
    d.call("POST", "/proxies", body).await.expect(400);
    d.call("GET", "/proxies/b", "").await.expect(404);
    // A proxy that is there as it is wanted is left alone, but for the toxics that are given; one bad one, and for these too.
    let listen = field(&reply.body, "listen");
    let again = |toxics: &str| {
        format!(r#"[{{"name":"a","listen":"{listen}","upstream":"u:1","toxics":[{toxics}]}}]"#)
    };
    let given =
        r#"{"type":"latency","attributes":{"latency":7}},{"type":"bandwidth","attributes":{"rate":9}}"#;
    let reply = d.call("POST", "/populate", &again(given)).await.expect(201);
    for part in ["timeout_both", "\"name\":\"n\"", r#"{"latency":7,"jitter":0}"#, r#"{"rate":9}"#] {
        assert_eq!(reply.body.matches(part).count(), 1, "{part}: {}", reply.body);
    }
    assert!(!reply.body.contains(r#"{"latency":5"#), "{}", reply.body);
    let bad =
        r#"{"type":"latency","attributes":{"latency":8}},{"type":"bandwidth","attributes":{"rate":-1}}"#;
    d.call("POST", "/populate", &again(bad)).await.expect(400);
    let shown = d.call("GET", "/proxies/a", "").await.expect(200);
    assert_eq!(reply.body, format!(r#"{{"proxies":[{}]}}"#, shown.body));
    assert_eq!(d.call("POST", "/populate", &again("")).await.expect(201).body, reply.body);
    daemon.end().await;

    let daemon = support::daemon(Compat::Strict).await;
    let reply = daemon.call("POST", "/proxies", &body.replace("\"b\"", "\"c\"")).await.expect(201);
    assert!(reply.body.ends_with(r#""toxics":[]}"#), "{reply:?}");
    daemon.call("POST", "/proxies/c/toxics", r#"{"type":"noop","stream":"both"}"#).await.expect(400);
    daemon.end().await;
}

#[tokio::test]
async fn numbers_that_cannot_be_meant_are_refused_and_taken_when_strict() {
    let nonsense = [
        r#"{"type":"latency","attributes":{"latency":-5}}"#,
        r#"{"type":"latency","attributes":{"jitter":4611686018427387904}}"#,
        r#"{"type":"bandwidth","attributes":{"rate":-1}}"#,
        r#"{"type":"slicer","attributes":{"average_size":10,"size_variation":11}}"#,
        r#"{"type":"slicer","attributes":{"average_size":-1}}"#,
        r#"{"type":"limit_data","attributes":{"bytes":-1}}"#,
        r#"{"type":"packet_loss","attributes":{"loss_rate":1.5}}"#,
        r#"{"type":"noop","toxicity":5}"#,
        r#"{"type":"noop","toxicity":-1}"#,
    ];
    for compat in [Compat::Better, Compat::Strict] {
        let daemon = daemon(compat).await;
        daemon.done("POST", "/proxies", r#"{"name":"a","listen":"127.0.0.1:0","upstream":"u:1"}"#).await;
        for toxic in nonsense {
            let reply = daemon.call("POST", "/proxies/a/toxics", toxic).await;
            assert_eq!(reply.status, if compat == Compat::Better { 400 } else { 200 }, "{toxic}: {reply:?}");
            daemon.call("POST", "/reset", "").await.expect(204);
        }
        daemon.toxic("a", r#"{"type":"latency","attributes":{"latency":5}}"#).await;
        let update =
            daemon.call("PATCH", "/proxies/a/toxics/latency_downstream", r#"{"attributes":{"latency":-5}}"#);
        assert_eq!(update.await.status, if compat == Compat::Better { 400 } else { 200 });
        daemon.end().await;
    }
}
