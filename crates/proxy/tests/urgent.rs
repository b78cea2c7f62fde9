//! Bytes around one that its sender calls urgent (`MSG_OOB`): a read of them ends early, and they must travel on all the same.

mod support;

use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, send};
use support::{stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends all of it before anybody else gets a turn: the test has one thread, on which the proxy runs too.
fn send_around_an_urgent_byte(stream: &TcpStream) {
    for (bytes, flags) in
        [("before", MsgFlags::empty()), ("!", MsgFlags::MSG_OOB), ("behind", MsgFlags::empty())]
    {
        assert_eq!(send(stream.as_raw_fd(), bytes.as_bytes(), flags), Ok(bytes.len()));
    }
}

async fn one_way(from: &mut TcpStream, to: &mut TcpStream) {
    // The way is open and both ends are at rest.
    from.write_all(b"?").await.unwrap();
    within("a byte", to.read_exact(&mut [0; 1])).await.unwrap();
    send_around_an_urgent_byte(from);
    let mut got = [0; 12];
    within("what is behind", to.read_exact(&mut got)).await.unwrap();
    assert_eq!(got.escape_ascii().to_string(), "beforebehind");
}

#[tokio::test]
async fn bytes_behind_an_urgent_one_come_though_nothing_follows_them() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..3 {
        one_way(&mut client, &mut server).await;
        one_way(&mut server, &mut client).await;
    }
}
