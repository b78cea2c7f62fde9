//! Running out of descriptors (g of docs/toxiproxy.md). In a test binary of its own, for the limit is the process's.

mod support;

use std::os::fd::AsRawFd;

use murphy_control::Compat;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{daemon, pair, passes, read_exactly, upstream, within};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

#[tokio::test]
async fn g_a_lack_of_descriptors_costs_waiting_and_no_listener() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let proxy = daemon.proxy("p", address).await;
    let (mut before, mut server) = pair(proxy, &listener).await;
    // Made now, connected in the drought.
    let (to_proxy, to_api) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut plugs = Vec::new();
    // Every number below the highest open one is in use or was given back just now; take those too.
    let highest = loop {
        let plug = std::fs::File::open("/dev/null").unwrap();
        let number = plug.as_raw_fd();
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as i32 - 1;
        plugs.push(plug);
        if number + 1 >= open {
            break number;
        }
    };
    setrlimit(Resource::RLIMIT_NOFILE, highest as u64 + 1, hard).unwrap();
    let mut late = within("connect", to_proxy.connect(proxy)).await.unwrap();
    let mut api = within("connect", to_api.connect(daemon.address)).await.unwrap();
    api.write_all(b"GET /version HTTP/1.0\r\n\r\n").await.unwrap();
    within("failures to accept", async {
        while daemon.proxies.ledger().read().values().all(|meter| meter.accept_failed < 3) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Open connections are served meanwhile.
    assert!(passes(&mut before, &mut server, support::PATIENCE).await);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    // Both listeners go on by themselves, and those who waited are served.
    let (mut late_server, _) = within("accept", listener.accept()).await.unwrap();
    assert!(passes(&mut late, &mut late_server, support::PATIENCE).await);
    assert!(read_exactly(&mut api, 15).await.starts_with(b"HTTP/1.0 200"));
    let shown = daemon.done("GET", "/proxies/p", "").await;
    assert!(shown.body.contains(r#""enabled":true"#));
    drop(plugs);
    daemon.end().await;
}
