//! The plainest proxies that one would write with tokio, to measure ours against.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::delay_line::Clock;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

#[derive(Debug, Clone, Copy)]
pub enum Way {
    Copy(usize),
    Lazy,
}

pub async fn serve(listener: TcpListener, upstream: String, way: Way) {
    let mut links = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let upstream = upstream.clone();
        links.spawn(async move {
            let Ok(upstream) = TcpStream::connect(upstream).await else { return };
            let _ = client.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            match way {
                Way::Copy(size) => {
                    let (mut client, mut upstream) = (client, upstream);
                    let _ = copy_bidirectional_with_sizes(&mut client, &mut upstream, size, size).await;
                }
                Way::Lazy => {
                    let _ = tokio::join!(lazily(&client, &upstream), lazily(&upstream, &client));
                }
            }
        });
        while links.try_join_next().is_some() {}
    }
}

/// Copies with tokio's default buffers on a runtime of one thread for each processor, among which the kernel deals out callers.
pub fn copy_on_each_processor(upstream: &str) {
    let listen = |address: SocketAddr| -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        Ok(socket)
    };
    let first = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = first.local_addr().ok().and_then(|address| address.as_socket()).expect("its address");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let others = (1..processors).map(|_| listen(address).expect("the same port"));
    let sockets: Vec<Socket> = std::iter::once(first).chain(others).collect();
    println!("{address}");
    std::thread::scope(|scope| {
        for socket in sockets {
            scope.spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let listener = TcpListener::from_std(socket.into()).expect("a listener");
                    serve(listener, upstream.to_owned(), Way::Copy(8 * 1024)).await;
                });
            });
        }
    });
}

/// When messages are due: one in each beat, each connection at its own place in it. A timer that rounds to a millisecond would have
/// those of many connections go out together, and the wait of each for the others would be taken for the proxy's.
struct Beat {
    clock: Clock,
    every: Duration,
    next: Instant,
}

impl Beat {
    /// `share` is the place in the beat, in 256ths.
    fn new(millis: u8, share: u8) -> io::Result<Beat> {
        let every = Duration::from_millis(millis.max(1).into());
        // The same grid for all, whenever they were opened.
        let into = u64::try_from(every.as_nanos()).map_or(0, |every| crate::client::clock() % every);
        let next = Instant::now() + every - Duration::from_nanos(into) + every * u32::from(share) / 256;
        Ok(Beat { clock: Clock::new()?, every, next })
    }

    async fn next(&mut self) -> io::Result<()> {
        self.clock.until(self.next).await?;
        self.next += self.every;
        Ok(())
    }
}

/// Waits, reads once into the thread's buffer, writes at once, keeps only the rest.
async fn lazily(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    loop {
        from.readable().await?;
        let step = SCRATCH.with_borrow_mut(|scratch| -> io::Result<Option<Vec<u8>>> {
            let read = from.try_read(scratch)?;
            if read == 0 {
                return Ok(None);
            }
            let written = match to.try_write(&scratch[..read]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            Ok(Some(scratch[written..read].to_vec()))
        });
        match step {
            Ok(None) => return socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write),
            Ok(Some(mut rest)) => {
                while !rest.is_empty() {
                    to.writable().await?;
                    match to.try_write(&rest) {
                        Ok(written) => drop(rest.drain(..written)),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Answers by the first byte of a connection: `e` echo, `b` bytes without end, `d` the same in both directions, `n` so many
/// bytes, `m` messages with the time at which they were sent, one in so many milliseconds.
pub async fn upstream(listener: TcpListener) {
    use tokio::io::AsyncReadExt;
    let mut links = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        links.spawn(async move {
            match stream.read_u8().await {
                Ok(b'e') => {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                }
                Ok(b'b') => {
                    let block = vec![1; 256 * 1024];
                    while stream.write_all(&block).await.is_ok() {}
                }
                Ok(b'd') => {
                    let (mut read, mut write) = stream.into_split();
                    let mut ways = JoinSet::new();
                    ways.spawn(async move {
                        let block = vec![1; 256 * 1024];
                        while write.write_all(&block).await.is_ok() {}
                    });
                    ways.spawn(async move {
                        let mut sink = vec![0; 256 * 1024];
                        while let Ok(1..) = read.read(&mut sink).await {}
                    });
                    while ways.join_next().await.is_some() {}
                }
                Ok(b'n') => {
                    let Ok(mut left) = stream.read_u64().await else { return };
                    let block = vec![1; 256 * 1024];
                    while left > 0 {
                        let take = left.min(block.len() as u64);
                        if stream.write_all(&block[..take as usize]).await.is_err() {
                            return;
                        }
                        left -= take;
                    }
                }
                Ok(b'm') => {
                    let Ok(millis) = stream.read_u8().await else { return };
                    let Ok(share) = stream.read_u8().await else { return };
                    let Ok(mut beat) = Beat::new(millis, share) else { return };
                    while beat.next().await.is_ok() {
                        if stream.write_u64(crate::client::clock()).await.is_err() {
                            return;
                        }
                    }
                }
                _ => {}
            }
        });
        while links.try_join_next().is_some() {}
    }
}
