//! A way to the real engine that can be cut: a socket of our own in front of the engine's.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The open way.
pub struct Relay {
    path: PathBuf,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<Way>>>,
    accepting: Option<JoinHandle<()>>,
}

/// One connection, both halves of it.
struct Way {
    near: UnixStream,
    far: UnixStream,
    /// The caller has lost it, and the engine shall not hear of that.
    lost: Arc<AtomicBool>,
}

impl Relay {
    /// Listens at `path` for the engine at `engine`.
    pub fn open(path: &Path, engine: &Path) -> Relay {
        let listener = UnixListener::bind(path).expect("a socket");
        let (cut, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_cut, streams, engine) = (Arc::clone(&cut), Arc::clone(&open), engine.to_owned());
        let accepting = std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_cut.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(far) = UnixStream::connect(&engine) else { continue };
                let mut all = streams.lock().expect("a lock");
                let lost = Arc::new(AtomicBool::new(false));
                for (mut from, mut to) in [
                    (near.try_clone().expect("a handle"), far.try_clone().expect("a handle")),
                    (far.try_clone().expect("a handle"), near.try_clone().expect("a handle")),
                ] {
                    let lost = Arc::clone(&lost);
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        if !lost.load(Ordering::SeqCst) {
                            let _ = to.shutdown(Shutdown::Write);
                        }
                    });
                }
                all.push(Way { near, far, lost });
            }
        });
        Relay { path: path.to_owned(), cut, open, accepting: Some(accepting) }
    }

    /// Whoever waits for an answer loses it, and the engine goes on as if it were still waited for. New callers come through.
    #[allow(dead_code, reason = "not every test that shares this file loses answers")]
    pub fn lose_answers(&self) {
        for way in self.open.lock().expect("a lock").iter() {
            way.lost.store(true, Ordering::SeqCst);
            let _ = way.near.shutdown(Shutdown::Both);
        }
    }

    /// Cuts it: the socket is gone, and so are all connections.
    pub fn cut(&mut self) {
        self.cut.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for the next caller.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
        for way in self.open.lock().expect("a lock").drain(..) {
            let _ = way.near.shutdown(Shutdown::Both);
            let _ = way.far.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}
