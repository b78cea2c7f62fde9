//! What is bounded stays bounded: of each thing so many, of clients so many at a time, and off loopback only those who know the token.

mod support;

use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use murphy_control::Compat;
use murphy_core::Seed;
use support::{Daemon, PROMPT, daemon, daemon_on, within};
use tokio::net::TcpStream;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A body that makes a proxy; disabled, so that it takes no address.
fn proxy(name: &str) -> String {
    format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}}"#)
}

/// A body with so many rules for one proxy.
fn rules(proxy: &str, name: &str, count: usize) -> String {
    let rule = |number| format!(r#"{{"proxy":"{proxy}","name":"{name}{number}","inject":"reset"}}"#);
    format!(r#"{{"rules":[{}]}}"#, (0..count).map(rule).collect::<Vec<String>>().join(","))
}

/// A daemon with as many of each thing as there may be; all toxics and faults are on proxy `full`.
async fn full() -> Daemon {
    let daemon = daemon(Compat::Better).await;
    let toxics: Vec<String> = (0..256).map(|n| format!(r#"{{"type":"noop","name":"t{n}"}}"#)).collect();
    let mut proxies = vec![format!(
        r#"{{"name":"full","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false,"toxics":[{}]}}"#,
        toxics.join(",")
    )];
    proxies.extend((1..4096).map(|n| proxy(&format!("p{n}"))));
    daemon.done("POST", "/populate", &format!("[{}]", proxies.join(","))).await;
    daemon.call_with("PUT", "/v1/rules/all", &JSON, &rules("full", "f", 256)).await.expect(200);
    for number in 0..1024 {
        let name = format!("l{number}").parse().unwrap();
        daemon.proxies.put_lease(name, Duration::from_secs(600)).unwrap();
    }
    daemon
}

#[tokio::test]
async fn of_each_thing_there_are_so_many_and_one_more_is_refused_with_how_many() {
    let daemon = full().await;
    for (method, path, body, status, words) in [
        ("POST", "/proxies", proxy("more"), 409, "there are 4096 proxies already"),
        ("POST", "/populate", format!("[{}]", proxy("more")), 409, "there are 4096 proxies already"),
        (
            "POST",
            "/v1/proxies",
            r#"{"name":"more","upstream":"a:1"}"#.to_owned(),
            409,
            "there are 4096 proxies already",
        ),
        (
            "POST",
            "/proxies/full/toxics",
            r#"{"type":"noop","name":"more"}"#.to_owned(),
            409,
            "there are 256 toxics on this proxy already",
        ),
        (
            "POST",
            "/v1/proxies/full/faults",
            r#"{"inject":"reset"}"#.to_owned(),
            409,
            "there are 256 faults on this proxy already",
        ),
        (
            "PUT",
            "/v1/proxies/full/faults/more",
            r#"{"inject":"reset"}"#.to_owned(),
            409,
            "there are 256 faults on this proxy already",
        ),
        (
            "PUT",
            "/v1/rules/more",
            rules("full", "more", 1),
            409,
            "there are 256 faults on this proxy already",
        ),
        ("PUT", "/v1/rules/all", rules("full", "f", 257), 409, "there are 256 faults on this proxy already"),
        ("PUT", "/v1/rules/long", rules("p1", "f", 1025), 422, "write at most 1024"),
        ("PUT", "/v1/leases/more", r#"{"for":"1m"}"#.to_owned(), 409, "there are 1024 leases already"),
    ] {
        let reply = daemon.call_with(method, path, &JSON, &body).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.body.contains(words), "{method} {path}: {}", reply.body);
        assert!(reply.took < PROMPT, "{method} {path}: {:?}", reply.took);
    }
    // What is there can be changed, and what is taken away makes room.
    daemon.call_with("PUT", "/v1/rules/all", &JSON, &rules("full", "f", 255)).await.expect(200);
    daemon.call_with("PUT", "/v1/rules/more", &JSON, &rules("full", "more", 1)).await.expect(200);
    daemon.call_with("PUT", "/v1/leases/l7", &JSON, r#"{"for":"1m"}"#).await.expect(200);
    daemon.done("DELETE", "/proxies/p1", "").await;
    daemon.done("POST", "/proxies", &proxy("more")).await;
    daemon.end().await;
}

#[tokio::test]
async fn of_what_stands_on_all_proxies_there_is_so_much_and_more_is_refused_with_how_much() {
    // So many proxies are full.
    const FULL: usize = 64;
    let daemon = daemon(Compat::Better).await;
    let toxics: Vec<String> = (0..256).map(|n| format!(r#"{{"type":"noop","name":"t{n}"}}"#)).collect();
    let toxics = toxics.join(",");
    let with = |name: &str, toxics: &str| {
        let proxy = proxy(name);
        format!(r#"{},"toxics":[{toxics}]}}"#, proxy.trim_end_matches('}'))
    };
    let mut proxies: Vec<String> = (0..FULL).map(|n| with(&format!("p{n}"), &toxics)).collect();
    proxies.push(proxy("empty"));
    daemon.done("POST", "/populate", &format!("[{}]", proxies.join(","))).await;
    for set in 0..FULL / 4 {
        let on = |proxy: usize| {
            let rule = move |n: usize| format!(r#"{{"proxy":"p{proxy}","name":"f{n}","inject":"reset"}}"#);
            (0..256).map(rule)
        };
        let all: Vec<String> = (4 * set..4 * set + 4).flat_map(on).collect();
        let body = format!(r#"{{"rules":[{}]}}"#, all.join(","));
        daemon.call_with("PUT", &format!("/v1/rules/s{set}"), &JSON, &body).await.expect(200);
    }
    let noop = r#"{"type":"noop","name":"more"}"#;
    let (of_toxics, of_faults) =
        ("there are 16384 toxics on all proxies already", "there are 16384 faults on all proxies already");
    for (method, path, body, words) in [
        ("POST", "/proxies/empty/toxics", noop.to_owned(), of_toxics),
        ("POST", "/proxies", with("other", noop), of_toxics),
        ("POST", "/populate", format!("[{}]", with("other", noop)), of_toxics),
        ("POST", "/populate", format!("[{}]", with("empty", noop)), of_toxics),
        ("POST", "/v1/proxies/empty/faults", r#"{"inject":"reset"}"#.to_owned(), of_faults),
        ("PUT", "/v1/proxies/empty/faults/more", r#"{"inject":"reset"}"#.to_owned(), of_faults),
        ("PUT", "/v1/rules/more", rules("empty", "f", 1), of_faults),
    ] {
        let reply = daemon.call_with(method, path, &JSON, &body).await.expect(409);
        assert!(reply.body.contains(words), "{method} {path}: {}", reply.body);
    }
    // A proxy without toxics is made all the same, what is there can be changed, and what is taken away makes room.
    daemon.done("POST", "/proxies", &proxy("plain")).await;
    daemon.done("POST", "/populate", &format!("[{}]", with("p1", r#"{"type":"noop","name":"t1"}"#))).await;
    daemon.call_with("PUT", "/v1/rules/s0", &JSON, &rules("p0", "f", 255)).await.expect(200);
    daemon.call_with("PUT", "/v1/rules/more", &JSON, &rules("empty", "f", 1)).await.expect(200);
    daemon.done("DELETE", "/proxies/p0/toxics/t0", "").await;
    daemon.toxic("empty", noop).await;
    daemon.end().await;
}

#[tokio::test]
async fn the_texts_of_all_faults_are_together_no_longer_than_can_be_kept() {
    let daemon = daemon(Compat::Better).await;
    let body = r#"{"name":"p","upstream":"a:1","protocol":"http","enabled":false}"#;
    daemon.call_with("POST", "/v1/proxies", &JSON, body).await.expect(201);
    let long = "x".repeat(1_000_000);
    let fault = format!(r#"{{"inject":{{"abort":{{"status":503,"body":"{long}"}}}}}}"#);
    let put = |number: usize| format!("/v1/proxies/p/faults/f{number}");
    // 32 MiB are 33 554 432 bytes.
    for number in 0..33 {
        daemon.call_with("PUT", &put(number), &JSON, &fault).await.expect(201);
    }
    let reply = daemon.call_with("PUT", &put(33), &JSON, &fault).await.expect(409);
    assert!(reply.body.contains("33554432 is the most; take some away first"), "{}", reply.body);
    // The place of one is enough for another.
    daemon.call_with("PUT", &put(0), &JSON, &fault).await.expect(200);
    daemon.end().await;
}

#[tokio::test]
async fn a_text_that_is_kept_is_no_longer_than_anybody_can_mean_and_a_body_lists_no_more_than_there_may_be() {
    let (longest, longer) = ("x".repeat(1024), "x".repeat(1025));
    let toxic = |name: &str| format!(r#"{{"type":"noop","name":"{name}"}}"#);
    let of = |field: &str| format!("{field} has 1025 bytes; write at most 1024");
    for compat in [Compat::Better, Compat::Strict] {
        let daemon = daemon(compat).await;
        daemon.done("POST", "/proxies", &proxy(&longest)).await;
        let this = format!("/proxies/{longest}");
        let toxics = format!("{this}/toxics");
        daemon.call("POST", &toxics, &toxic(&longest)).await.expect(200);
        daemon.done("GET", &format!("{toxics}/{longest}"), "").await;
        let before = daemon.done("GET", "/proxies", "").await.body;
        let many = vec![proxy("one"); 4097].join(",");
        // The list itself is one more than there may be.
        let values = format!("[{}]", vec!["0"; 262_144].join(","));
        for (method, path, body, words) in [
            ("POST", "/proxies", proxy(&longer), of("name")),
            ("POST", "/populate", format!("[{},{}]", proxy("one"), proxy(&longer)), of("name")),
            (
                "POST",
                "/populate",
                format!("[{many}]"),
                "4097 proxies; write at most 4096 at a time".to_owned(),
            ),
            ("POST", "/populate", values, "more than 262144 values; send it in parts".to_owned()),
            ("POST", "/proxies", format!(r#"{{"name":"q","upstream":"{longer}"}}"#), of("upstream")),
            (
                "POST",
                "/proxies",
                format!(r#"{{"name":"q","upstream":"a:1","listen":"{longer}"}}"#),
                of("listen"),
            ),
            ("PATCH", this.as_str(), format!(r#"{{"upstream":"{longer}"}}"#), of("upstream")),
            ("POST", this.as_str(), format!(r#"{{"listen":"{longer}"}}"#), of("listen")),
            ("POST", toxics.as_str(), toxic(&longer), of("name")),
        ] {
            let reply = daemon.call(method, path, &body).await.expect(400);
            assert!(reply.body.contains(&words), "{method} {path}: {}", reply.body);
        }
        let body = format!(r#"{{"name":"q","upstream":"{longer}:1"}}"#);
        daemon.call_with("POST", "/v1/proxies", &JSON, &body).await.expect(422);
        // None of these has left anything behind.
        assert_eq!(daemon.done("GET", "/proxies", "").await.body, before);
        daemon.end().await;
    }
}

#[tokio::test]
async fn more_clients_than_the_api_has_at_a_time_wait_until_one_has_gone() {
    const CLIENTS: usize = 2048;
    if !support::may_open(5000) {
        return;
    }
    let daemon = daemon(Compat::Better).await;
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        clients.push(within("dial", TcpStream::connect(daemon.address)).await.unwrap());
    }
    {
        let mut answer = pin!(daemon.call("GET", "/version", ""));
        let early = tokio::time::timeout(Duration::from_millis(300), answer.as_mut()).await;
        assert!(early.is_err(), "one more than {CLIENTS}: {early:?}");
        clients.pop();
        answer.await.expect(200);
    }
    drop(clients);
    daemon.end().await;
}

#[tokio::test]
async fn off_loopback_the_native_api_wants_the_token_that_was_made_and_toxiproxys_clients_need_none() {
    let mut daemon = daemon_on("0.0.0.0", Compat::Better, Seed(7), None).await;
    assert!(daemon.address.ip().is_unspecified());
    daemon.address.set_ip(Ipv4Addr::LOCALHOST.into());
    let made = format!("Bearer {}", daemon.made.as_ref().expect("a token was made"));
    for path in ["/v1/proxies", "/v1/events", "/v1/openapi.json"] {
        daemon.call("GET", path, "").await.expect(401);
        daemon.call_with("GET", path, &[("Authorization", "Bearer guess")], "").await.expect(401);
    }
    daemon.call_with("PUT", "/v1/leases/l", &JSON, r#"{"for":"1m"}"#).await.expect(401);
    daemon.call_with("GET", "/v1/proxies", &[("Authorization", made.as_str())], "").await.expect(200);
    daemon.call("GET", "/proxies", "").await.expect(200);
    daemon.end().await;
}
