//! Running out of descriptors. In a test binary of its own, for the limit is the process's.

mod support;

use murphy_core::EventKind;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{Stage, stage, stage_on_each_processor, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

#[tokio::test]
async fn a_lack_of_descriptors_is_told_and_the_listener_goes_on() {
    starve(stage().await).await;
    // Where connections are carried on threads of their own it is another one that accepts.
    starve(stage_on_each_processor().await).await;
}

async fn starve(stage: Stage) {
    let (mut before, mut server) = stage.pair().await;
    let socket = TcpSocket::new_v4().unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Every number below the highest open one is in use or was given back just now; take those too.
    let mut plugs = Vec::new();
    let highest = loop {
        let plug = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&plug);
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as i32 - 1;
        plugs.push(plug);
        if number + 1 >= open {
            break number;
        }
    };
    setrlimit(Resource::RLIMIT_NOFILE, highest as u64 + 1, hard).unwrap();
    let (starved, failed_before) = (std::time::Instant::now(), stage.handle.meter().accept_failed);
    let mut client = within("connect", socket.connect(stage.address)).await.unwrap();
    stage.meter("failures", |meter| meter.accept_failed >= 8).await;
    // It does not ask again and again: the pauses are 2, 4, 8 ms and so on, up to 100 ms.
    let failed = stage.handle.meter().accept_failed - failed_before;
    let doubling = (starved.elapsed().as_secs_f64() / 0.002 + 1.0).log2();
    let most = 2.0 + doubling + starved.elapsed().as_secs_f64() / 0.1;
    assert!(failed as f64 <= most, "{failed} failures within {:?}: no back-off", starved.elapsed());
    // Open connections are served meanwhile.
    before.write_all(b"x").await.unwrap();
    within("an open connection", server.read_exact(&mut [0; 1])).await.unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let (mut late, _) = within("accept", stage.upstream.as_ref().unwrap().accept()).await.unwrap();
    client.write_all(b"y").await.unwrap();
    within("the late one", late.read_exact(&mut [0; 1])).await.unwrap();
    drop(plugs);
    let told = stage.finish().await.into_iter().filter(|event| match &event.kind {
        EventKind::AcceptFailed { why, .. } => why.contains("open files"),
        _ => false,
    });
    let told = told.count();
    assert!((1..=5).contains(&told), "told {told} times");
}
