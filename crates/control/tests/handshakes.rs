//! `tls-handshake` put up over the API: what a caller meets that checks whom it talks to.

mod support;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use murphy_control::Compat;
use murphy_tls::{Upstream, UpstreamSettings};
use serde_json::{Value, json};
use support::{Daemon, daemon, upstream, within};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const FAULT: &str = "/v1/proxies/sealed/faults/f";

async fn call(daemon: &Daemon, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = daemon.call_with(method, path, &[("Content-Type", "application/json")], &body).await;
    assert!((200..300).contains(&reply.status), "{method} {path} {body}: {reply:?}");
    if reply.body.is_empty() { Value::Null } else { serde_json::from_str(&reply.body).unwrap() }
}

/// A proxy that speaks TLS with its callers; where it listens.
async fn sealed(daemon: &Daemon, name: &str, upstream: SocketAddr) -> SocketAddr {
    let body = json!({ "name": name, "upstream": upstream.to_string(), "tls": "terminate" });
    let made = call(daemon, "POST", "/v1/proxies", &body).await;
    made["listen"].as_str().unwrap().parse().unwrap()
}

/// Shakes hands with a proxy; what went wrong, if anything.
async fn shake(trust: &Upstream, to: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(to).await.unwrap();
    let greeting = TlsConnector::from(trust.offering(&[])).connect(trust.name(), stream);
    greeting.await.map(drop).map_err(|error| error.to_string())
}

async fn hits(daemon: &Daemon) -> u64 {
    call(daemon, "GET", FAULT, &Value::Null).await["tally"]["hits"].as_u64().unwrap()
}

#[tokio::test]
async fn a_careful_caller_meets_each_handshake_that_is_put_up_and_none_after_it() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    let (listen, other) = (sealed(&daemon, "sealed", address).await, sealed(&daemon, "other", address).await);
    let authority = daemon.state.path().join("ca/murphy-ca.pem");
    let settings = UpstreamSettings { ca: Some(authority), ..Default::default() };
    let trust = Upstream::read(&settings, "localhost").unwrap();
    assert_eq!(within("a handshake", shake(&trust, listen)).await, Ok(()));
    for (count, (meets, wanted)) in [
        ("expired", "certificate expired"),
        ("not-yet-valid", "certificate not valid yet"),
        ("wrong-host", "certificate not valid for name \"localhost\""),
        ("self-signed", "UnknownIssuer"),
        ("untrusted", "UnknownIssuer"),
        ("refused", "HandshakeFailure"),
    ]
    .into_iter()
    .enumerate()
    {
        call(&daemon, "PUT", FAULT, &json!({ "inject": { "tls-handshake": { "meets": meets } } })).await;
        let why = within(meets, shake(&trust, listen)).await.unwrap_err();
        assert!(why.contains(wanted), "{meets}: {why}");
        assert_eq!(hits(&daemon).await, count as u64 + 1, "{meets}");
        assert_eq!(within("another proxy", shake(&trust, other)).await, Ok(()), "{meets}");
    }
    call(&daemon, "PUT", FAULT, &json!({ "inject": { "tls-handshake": "stalled" } })).await;
    {
        let mut shaking = pin!(shake(&trust, listen));
        let met = async {
            while hits(&daemon).await < 7 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            shaken = shaking.as_mut() => panic!("{shaken:?}"),
            () = within("the seventh", met) => {}
        }
        // That nothing comes cannot be waited for.
        let more = tokio::time::timeout(Duration::from_millis(50), shaking.as_mut()).await;
        assert!(more.is_err(), "{more:?}");
        call(&daemon, "DELETE", FAULT, &Value::Null).await;
        assert_eq!(within("the lift", shaking).await, Ok(()));
    }
    assert_eq!(within("a handshake", shake(&trust, listen)).await, Ok(()));
    daemon.end().await;
}
