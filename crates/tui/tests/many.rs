//! A thousand edges with up to ten thousand open connections that carry calls: what a frame costs then.

use std::time::{Duration, Instant};

use murphy_core::{EdgeName, Protocol, Seed};
use murphy_tui::{App, EdgeSpec, Hands, Own, Via, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const EDGES: usize = 1000;
/// On each; fewer where this user may not have four descriptors for each of them, for all four ends are in this process.
const CONNECTIONS: usize = 10;
/// What is promised.
const FRAME: Duration = Duration::from_millis(50);

/// One caller: a call now and then, for as long as it lives.
async fn call(address: String, ordinal: usize) {
    let mut stream = TcpStream::connect(address).await.expect("the edge listens");
    let mut answer = [0; 5];
    loop {
        stream.write_all(b"hello").await.expect("it takes the call");
        stream.read_exact(&mut answer).await.expect("an answer");
        tokio::time::sleep(Duration::from_millis(4000 + (ordinal % 2000) as u64)).await;
    }
}

async fn echo(listener: TcpListener) {
    let mut open = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        open.spawn(async move {
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
    }
}

/// The usual frame, so that a moment in which the machine stands still is no verdict.
#[test]
fn a_frame_of_a_thousand_edges_that_carry_calls_is_drawn_in_time() {
    let files = murphy_host::raise_open_files().expect("descriptors");
    let room = usize::try_from(files.now).unwrap_or(usize::MAX).saturating_sub(EDGES + 500);
    let connections = EDGES * (room / 4 / EDGES).min(CONNECTIONS);
    if connections == 0 {
        murphy_testkit::skip(format_args!("5,500 descriptors are needed, and there are {}", files.now));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut callers = JoinSet::new();
    let own = runtime.block_on(async {
        let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = upstream.local_addr().expect("an address").to_string();
        callers.spawn(echo(upstream));
        let edges: Vec<EdgeSpec> = (0..EDGES)
            .map(|n| EdgeSpec {
                name: EdgeName::new(&format!("edge-{n:04}")).expect("a name"),
                via: Via::Listen("127.0.0.1:0".into()),
                upstream: to.clone(),
                protocol: Protocol::Tcp,
            })
            .collect();
        Own::start(&edges, Seed(1)).await.expect("ports")
    });
    let world = own.world();
    let listens: Vec<String> =
        world.lock().expect("whole").edges.values().map(|edge| edge.listen.clone()).collect();
    let inside = runtime.enter();
    for ordinal in 0..connections {
        callers.spawn(call(listens[ordinal % EDGES].clone(), ordinal));
    }
    drop(inside);
    let open = || world.lock().expect("whole").edges.values().map(|edge| edge.open).sum::<u64>();
    let begun = Instant::now();
    while open() < connections as u64 {
        assert!(begun.elapsed() < Duration::from_secs(120), "only {} are open", open());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let app = App::new("many", Hands::Free);
    let mut terminal = Terminal::new(TestBackend::new(200, 50)).expect("a screen");
    let mut frames: Vec<Duration> = (0..40)
        .map(|_| {
            std::thread::park_timeout(Duration::from_millis(25));
            let began = Instant::now();
            let seen = world.lock().expect("whole").clone();
            terminal.draw(|frame| draw(frame, &app, &seen)).expect("a frame");
            began.elapsed()
        })
        .collect();
    frames.sort_unstable();
    let (usual, longest) = (frames[frames.len() / 2], frames[frames.len() - 1]);
    eprintln!("a frame of {EDGES} edges and {} connections: {usual:?}, at most {longest:?}", open());
    // Before anything can fail: a runtime waits for who still feeds the screen.
    runtime.block_on(callers.shutdown());
    own.end(runtime.handle());
    assert!(usual < FRAME, "{usual:?}");
}
