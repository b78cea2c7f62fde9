//! Callers and their dependency. Each byte is a function of its place, so that a wrong, missing or repeated one is seen.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::{Lots, Soak};

/// A dependency that answers what it is sent and ends when its caller has ended.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut buffer = vec![0; 32 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

/// The byte at a place of the stream with this seed.
fn byte(seed: u64, place: u64) -> u8 {
    let mixed = (place ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All came back.
    Whole,
    /// It broke; what came before is right.
    Broken(u64),
}

/// Sends so many bytes and checks what comes back, both at once.
fn talk(stream: &TcpStream, seed: u64, total: u64, lots: &mut Lots) -> End {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let step = 1 + lots.below(40_000);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut writer, mut place) = (stream, 0);
            while place < total {
                let take = step.min(total - place);
                let block: Vec<u8> = (place..place + take).map(|place| byte(seed, place)).collect();
                if writer.write_all(&block).is_err() {
                    return;
                }
                place += take;
            }
            let _ = stream.shutdown(Shutdown::Write);
        });
        let (mut reader, mut place) = (stream, 0);
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) if place == total => return End::Whole,
                Ok(read @ 1..) => {
                    for got in &buffer[..read] {
                        assert!(place < total, "more came back than was sent");
                        assert_eq!(*got, byte(seed, place), "byte {place} of {total} is another");
                        place += 1;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came for 60 s after {place} of {total} bytes: a connection is stuck")
                }
                Ok(0) | Err(_) => {
                    // The writer must not wait for one that is gone.
                    let _ = stream.shutdown(Shutdown::Both);
                    return End::Broken(place);
                }
            }
        }
    })
}

/// Bulk traffic through faults that lose nothing.
pub(crate) fn gently(soak: &Soak, number: u64) {
    let mut lots = Lots::new(100 + number);
    while !soak.is_over() {
        let total = 1 + lots.below(400_000);
        let stream = TcpStream::connect(soak.gentle).expect("the gentle proxy always listens");
        let end = talk(&stream, lots.draw(), total, &mut lots);
        assert_eq!(end, End::Whole, "of {total} bytes");
        soak.bytes.fetch_add(total, Ordering::Relaxed);
        soak.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// Traffic through faults that break connections; some callers go by themselves, with a FIN or a RST.
pub(crate) fn harshly(soak: &Soak, number: u64) {
    let mut lots = Lots::new(200 + number);
    while !soak.is_over() {
        let Ok(stream) = TcpStream::connect(soak.harsh) else {
            // Disabled at the moment. A pause, so as not to spin.
            std::thread::park_timeout(Duration::from_millis(5));
            continue;
        };
        soak.connections.fetch_add(1, Ordering::Relaxed);
        match lots.below(4) {
            0 => {
                // Goes without a word over unread answers: a RST.
                let _ = (&stream).write_all(&[7; 20_000]);
                soak.broken.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                let total = 1 + lots.below(200_000);
                match talk(&stream, lots.draw(), total, &mut lots) {
                    End::Whole => soak.bytes.fetch_add(total, Ordering::Relaxed),
                    End::Broken(came) => {
                        soak.bytes.fetch_add(came, Ordering::Relaxed);
                        soak.broken.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        }
    }
}
