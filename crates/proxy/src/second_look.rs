//! A second look at sockets that were taken for empty.
//!
//! A read that did not fill its buffer has emptied the socket, and nothing is asked to make sure: that saves a system call in each
//! round trip. There is one exception. A read ends before a byte that its sender called urgent, whatever lies behind it, and no event
//! tells of that once more. So whoever rests on such a read is woken within half a second to look, once.
//!
//! That is done where bytes are only carried. Where HTTP or TLS is spoken nobody looks again: neither has a use for an urgent byte, and
//! bytes behind one come there with the next that is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::shared::Shared;

/// How long bytes behind an urgent one may lie there, if nothing comes after them.
const LATE: Duration = Duration::from_millis(500);

/// Whether some connection is to look.
#[derive(Default)]
pub(crate) struct SecondLook {
    is_wanted: AtomicBool,
    wanted: Notify,
}

impl SecondLook {
    /// Some connection went to rest without having seen its sockets empty.
    pub(crate) fn want(&self) {
        // Loaded first: nearly always it is known, and a load leaves the cache line where it is. In one order with what the connection
        // has said of itself, or it could say so just after all were asked, and believe that they would yet be.
        if !self.is_wanted.load(Ordering::SeqCst) && !self.is_wanted.swap(true, Ordering::SeqCst) {
            self.wanted.notify_one();
        }
    }
}

/// Wakes whoever is to look, for ever; nobody, where nothing travels. One task of a proxy runs this.
pub(crate) async fn drive(shared: Arc<Shared>) {
    loop {
        shared.second_look.wanted.notified().await;
        tokio::time::sleep(LATE).await;
        // Before the look, so that who comes to rest during it is not forgotten.
        shared.second_look.is_wanted.store(false, Ordering::SeqCst);
        shared.roster.look_all();
    }
}
