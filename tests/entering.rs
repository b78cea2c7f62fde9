//! Acting in the network of another process.

use std::fmt::Display;
use std::fs::File;

use nix::sched::{CloneFlags, setns};

/// Does something in the network of a process, on a thread that lives for this only.
pub fn in_network<T: Send>(pid: impl Display, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("a namespace");
    std::thread::scope(|scope| {
        let acting = scope.spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("to enter it");
            act()
        });
        acting.join().expect("no panic in there")
    })
}
