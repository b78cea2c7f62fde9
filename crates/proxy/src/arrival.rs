//! Reads from a socket, and says when what it read had arrived. A delay counts from the arrival of the bytes, not from the moment
//! at which a busy machine got round to reading them; so the kernel's own stamp of them is asked for where a fault sits.
//!
//! It must never say a moment that is later than the read, nor one so early that the clock of the day must have been set.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, setsockopt};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

/// The longest that a stamp is believed to lie back. Stamps are of the clock of the day: one that is older, while somebody was waiting
/// for the bytes, rather says that the clock was set.
const LONGEST: Duration = Duration::from_millis(10);

/// Whether the kernel stamps what arrives on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stamps {
    /// Nobody has asked for it.
    #[default]
    Off,
    /// It does, or will not.
    Asked,
}

/// Whose doing it is that bytes were not read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The machine's: the reader waited for them.
    Awaited,
    /// The reader's own: it had not asked yet.
    Late,
}

/// Reads once. A read that did not fill the buffer has emptied the socket, so the readiness is cleared with it: that
/// saves the second read that would only answer "nothing there". The one exception has a second look where bytes are only carried (see
/// `second_look`).
pub(crate) fn read_some(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let room = buffer.len();
    read_by(stream, room, || recv(stream.as_raw_fd(), buffer, MsgFlags::empty()).map_err(io::Error::from))
}

/// Reads once, whatever is known of the socket: to make sure that nothing is there.
pub(crate) fn look(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    recv(stream.as_raw_fd(), buffer, MsgFlags::empty()).map_err(io::Error::from)
}

/// Reads once, as above, into what is not filled yet.
pub(crate) fn read_into(stream: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    read_by(stream, buf.remaining(), || stream.try_read_buf(buf))
}

/// Reads once, as above, bytes that were waited for since before they came; with the moment at which they came.
pub(crate) fn read_awaited(
    stream: &TcpStream,
    buffer: &mut [u8],
    stamps: &mut Stamps,
) -> io::Result<(usize, Instant)> {
    if *stamps == Stamps::Off {
        *stamps = Stamps::Asked;
        // What does not stamp costs exactness, and nothing else.
        let _ = setsockopt(stream, ReceiveTimestampns, &true);
    }
    let room = buffer.len();
    let mut stamp = None;
    let read = read_by(stream, room, || {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
        stamp = message.cmsgs().ok().into_iter().flatten().find_map(|said| match said {
            ControlMessageOwned::ScmTimestampns(at) => Some(at),
            _ => None,
        });
        Ok(message.bytes)
    })?;
    // In this order: what lies between the two clocks makes an arrival later and never earlier than it was, or bytes
    // behind an edit would come before it.
    let age = stamp.and_then(age);
    let now = Instant::now();
    Ok((read, age.and_then(|age| now.checked_sub(age)).unwrap_or(now)))
}

/// How long ago this was, if it can be believed.
fn age(stamp: TimeSpec) -> Option<Duration> {
    let today = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    let age = Duration::from_nanos(u64::try_from((today - stamp).num_nanoseconds()).ok()?);
    (age <= LONGEST).then_some(age)
}

fn read_by(stream: &TcpStream, room: usize, read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let mut result = Ok(0);
    let tried = stream.try_io(Interest::READABLE, || {
        result = read();
        match &result {
            Ok(read) if *read == 0 || *read == room => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    match (result, tried) {
        (Ok(0), Err(error)) => Err(error), // the readiness was stale: nothing was called
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_came_when_they_came_and_not_when_they_were_read() {
        let (mut near, far) = pair().await;
        let mut stamps = Stamps::default();
        let mut buffer = [0; 16];
        assert!(read_awaited(&far, &mut buffer, &mut stamps).is_err(), "nothing is there yet");
        // A stall of this machine between the two would only make the reading later, and the stamp unbelieved.
        for _ in 0..100 {
            near.write_all(b"x").await.unwrap();
            let written = Instant::now();
            far.readable().await.unwrap();
            while written.elapsed() < Duration::from_millis(3) {
                std::hint::spin_loop();
            }
            let begun = Instant::now();
            let Ok((1, came)) = read_awaited(&far, &mut buffer, &mut stamps) else { continue };
            assert!(came <= Instant::now());
            if came < begun - Duration::from_millis(2) {
                return;
            }
        }
        panic!("no byte of a hundred was known to have come before it was read");
    }

    #[test]
    fn a_stamp_of_tomorrow_or_of_yesterday_is_not_believed() {
        let today = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
        assert_eq!(age(today + TimeSpec::hours(24)), None);
        assert_eq!(age(today - TimeSpec::hours(24)), None);
        assert_eq!(age(today - TimeSpec::milliseconds(11)), None);
    }
}
