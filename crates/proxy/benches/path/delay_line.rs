//! The plainest delay line that one would write with tokio, to hold what a delay costs and how late it is against: answers are stamped when
//! they are read, wait in order in a queue of so many bytes, and go out at a timerfd of their connection; requests go straight. No tokio
//! timer, which rounds to a millisecond and would make an easy yardstick. It can nothing else: no edit, no jitter, no way to be taken off.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// A delay, and how many bytes of a connection may wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayLine {
    pub delay: Duration,
    pub queue: u32,
}

impl DelayLine {
    /// As a child is told of it.
    pub fn words(self) -> String {
        format!("{} {}", self.delay.as_micros(), self.queue)
    }

    pub fn read(words: &str) -> Option<DelayLine> {
        let (delay, queue) = words.split_once(' ')?;
        Some(DelayLine { delay: Duration::from_micros(delay.parse().ok()?), queue: queue.parse().ok()? })
    }
}

/// Bytes that wait.
struct Held {
    bytes: Vec<u8>,
    due: Instant,
}

pub async fn serve(listener: TcpListener, upstream: String, line: DelayLine) {
    let mut links = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let upstream = upstream.clone();
        links.spawn(async move {
            let Ok(upstream) = TcpStream::connect(upstream).await else { return };
            let _ = client.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            let (mut from_client, to_client) = client.into_split();
            let (from_upstream, mut to_upstream) = upstream.into_split();
            let straight = async {
                let _ = tokio::io::copy(&mut from_client, &mut to_upstream).await;
                let _ = to_upstream.shutdown().await;
            };
            let (held, waiting) = mpsc::unbounded_channel();
            let room = Semaphore::new(line.queue as usize);
            let _ = tokio::join!(
                straight,
                take_in(from_upstream, line, &room, held),
                let_out(waiting, &room, to_client)
            );
        });
        while links.try_join_next().is_some() {}
    }
}

/// What is read at once; what is as small as a message is kept in as little.
const BLOCK: usize = 64 * 1024;
const SMALL: usize = 8 * 1024;

async fn take_in(
    mut from: OwnedReadHalf,
    line: DelayLine,
    room: &Semaphore,
    held: mpsc::UnboundedSender<Held>,
) -> Option<()> {
    let mut block = Vec::with_capacity(BLOCK);
    while from.read_buf(&mut block).await.ok()? > 0 {
        let due = Instant::now() + line.delay;
        let count = block.len();
        let bytes = if count <= SMALL {
            let small = block.to_vec();
            block.clear();
            small
        } else {
            std::mem::replace(&mut block, Vec::with_capacity(BLOCK))
        };
        held.send(Held { bytes, due }).ok()?;
        // Given back when they have gone out. They have been read already: what waits here is the next read.
        room.acquire_many(u32::try_from(count).ok()?).await.ok()?.forget();
    }
    Some(())
}

async fn let_out(
    mut waiting: mpsc::UnboundedReceiver<Held>,
    room: &Semaphore,
    mut to: OwnedWriteHalf,
) -> Option<()> {
    let clock = Clock::new().ok()?;
    while let Some(Held { bytes, due }) = waiting.recv().await {
        clock.until(due).await.ok()?;
        let sent = to.write_all(&bytes).await;
        room.add_permits(bytes.len());
        if sent.is_err() {
            break;
        }
    }
    // Nobody waits for room in a queue that nobody empties.
    room.close();
    to.shutdown().await.ok()
}

struct Fd(TimerFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Tells a moment to some microseconds, and never early.
pub struct Clock(AsyncFd<Fd>);

impl Clock {
    pub fn new() -> io::Result<Clock> {
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        // As in the proxy's own timer: the descriptor stays the same and open, and the other way is unsafe code.
        #[allow(deprecated)]
        let clock = AsyncFd::with_interest(Fd(fd), Interest::READABLE)?;
        Ok(Clock(clock))
    }

    pub async fn until(&self, due: Instant) -> io::Result<()> {
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let once = Expiration::OneShot(TimeSpec::from_duration(wait));
            self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
            let mut ready = self.0.readable().await?;
            let _ = ready.try_io(|fd| fd.get_ref().0.wait().map_err(io::Error::from));
            // As in the proxy's own timer: one read takes all of it.
            ready.clear_ready();
        }
    }
}
