//! A caller that behaves in a known way: it gives each call up after the same time, and goes on calling whatever happens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(25);

/// Several threads that call one address, each one call at a time. They end with this value.
#[derive(Debug)]
pub struct Caller {
    ends: Arc<AtomicBool>,
    given_up: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Caller {
    /// Begins to call.
    pub fn of(address: SocketAddr, patience: Duration) -> Caller {
        let (ends, given_up) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let call = |_| {
            let (ends, given_up) = (Arc::clone(&ends), Arc::clone(&given_up));
            std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    if is_given_up(address, patience) {
                        given_up.fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::park_timeout(PAUSE);
                }
            })
        };
        let threads = (0..4).map(call).collect();
        Caller { ends, given_up, threads }
    }

    /// Calls that were given up so far.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }
}

/// One call over a connection of its own; whether it had no answer in time. Where nobody listens there is no call.
fn is_given_up(address: SocketAddr, patience: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = stream.set_read_timeout(Some(patience)).and_then(|()| stream.write_all(b"hello"));
    if asked.is_err() {
        return false;
    }
    matches!(stream.read(&mut [0; 16]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
