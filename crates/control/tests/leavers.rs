//! Clients that go before they are answered: what they asked for is done all the same, and whole, as Toxiproxy does it.

mod support;

use std::io::Write;
use std::net::TcpStream;

use murphy_control::Compat;
use support::{Daemon, PATIENCE, daemon, upstream, within};

/// Sends a request and goes, all before the daemon, which shares this thread, has seen any of it.
fn send_and_go(daemon: &Daemon, method: &str, path: &str, body: &str) {
    let mut stream = TcpStream::connect(daemon.address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_of_proxies_is_made_to_its_end() {
    // Too many for one turn of a task, and little enough for the buffers of a socket.
    const COUNT: usize = 500;
    let daemon = daemon(Compat::Better).await;
    let proxy = |number: usize| format!(r#"{{"name":"{number}","upstream":"a:1","enabled":false}}"#);
    let all: Vec<String> = (0..COUNT).map(proxy).collect();
    send_and_go(&daemon, "POST", "/populate", &format!("[{}]", all.join(",")));
    eventually("all proxies", || daemon.proxies.list().len() == COUNT).await;
    daemon.end().await;
}

#[tokio::test]
async fn a_proxy_that_is_started_anew_is_not_left_stopped() {
    let daemon = daemon(Compat::Better).await;
    let (_listener, address) = upstream().await;
    daemon.proxy("p", address).await;
    send_and_go(&daemon, "POST", "/proxies/p", r#"{"upstream":"localhost:1"}"#);
    let shown = || daemon.proxies.show("p").unwrap();
    eventually("the new upstream", || shown().upstream == "localhost:1" && shown().enabled).await;
    daemon.end().await;
}
