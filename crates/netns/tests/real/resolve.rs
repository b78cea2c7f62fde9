//! Names are resolved as the process inside would: its own files, its own name server.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;

use murphy_netns::{Netns, ResolveError};

use crate::bench::{Bench, host, identity_of, until};

/// Answers like an engine's name server: knows `redis` (A and AAAA) and `v4only`, fails on `broken`.
fn serve_names(socket: UdpSocket) {
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut reply = buffer[..length].to_vec();
            let is_v6 = reply[length - 3] == 28;
            let first_label = String::from_utf8_lossy(&reply[13..13 + usize::from(reply[12])]).into_owned();
            let (code, data): (u8, Option<Vec<u8>>) = match (first_label.as_str(), is_v6) {
                ("redis" | "v4only", false) => (0, Some(vec![10, 77, 0, 2])),
                ("redis", true) => (0, Some("fd77::2".parse::<Ipv6Addr>().unwrap().octets().to_vec())),
                ("v4only", true) => (0, None),
                ("broken", _) => (2, None),
                _ => (3, None),
            };
            reply[2] = 0x81;
            reply[3] = 0x80 | code;
            if let Some(data) = data {
                reply[7] = 1;
                reply.extend([
                    0xc0,
                    12,
                    0,
                    if is_v6 { 28 } else { 1 },
                    0,
                    1,
                    0,
                    0,
                    2,
                    88,
                    0,
                    data.len() as u8,
                ]);
                reply.extend(data);
            }
            let _ = socket.send_to(&reply, from);
        }
    });
}

#[tokio::test]
async fn names_come_from_the_files_and_the_name_server_inside() {
    let Some(bench) = Bench::new() else { return };
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    write("hosts", "127.0.0.1 localhost\n10.77.0.9 pinned\n");
    write("resolv.conf", "nameserver 127.0.0.11\noptions ndots:0\n");
    let mut command = Command::new("unshare");
    let script =
        "mount --bind $0/hosts /etc/hosts && mount --bind $0/resolv.conf /etc/resolv.conf && exec sleep 300";
    command.args(["--mount", "sh", "-c", script]).arg(files.path());
    let mut process = bench.caller.start(command);
    let pid = process.id() as i32;
    let comm = format!("/proc/{pid}/comm");
    until("the process is ready", async || std::fs::read_to_string(&comm).unwrap().trim() == "sleep").await;
    let address = SocketAddr::from(([127, 0, 0, 11], 53));
    serve_names(bench.caller.inside(move || UdpSocket::bind(address).unwrap()).await);

    let netns = Netns::enter(identity_of(pid)).await.unwrap();
    let v6: IpAddr = "fd77::2".parse().unwrap();
    assert_eq!(netns.resolve("10.1.2.3").await.unwrap(), [IpAddr::from([10, 1, 2, 3])]);
    assert_eq!(netns.resolve("pinned").await.unwrap(), [host(9)]);
    assert_eq!(netns.resolve("redis").await.unwrap(), [host(2), v6]);
    assert_eq!(netns.resolve("v4only").await.unwrap(), [host(2)]);
    let error = netns.resolve("nobody").await.unwrap_err();
    assert!(matches!(error, ResolveError::NoAddress { .. }), "{error}");
    let error = netns.resolve("broken").await.unwrap_err();
    assert!(matches!(&error, ResolveError::Silent { last, .. } if last == "error code 2"), "{error}");
    let error = netns.resolve("redis:6379").await.unwrap_err();
    assert!(matches!(error, ResolveError::BadName { .. }), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
}
