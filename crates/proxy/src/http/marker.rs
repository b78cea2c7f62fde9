//! How the end of a stream of HTTP/2 waits for what was let go before it. The HTTP layer throws away what is queued for a
//! stream that is reset, the head of the answer too, and does not say when it has written anything. It must hold no bytes.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::hub::Wait;

/// The bytes of a frame without any; dropped when the frame has been written, or will never be.
struct Marker {
    _written: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Marker {
    fn as_ref(&self) -> &[u8] {
        &[]
    }
}

/// The bytes of an empty frame, and a wait until it has been written, with all that was queued before it.
pub(super) fn marker() -> (Bytes, Wait) {
    let (written, waits) = oneshot::channel();
    let wait = async move {
        // That nobody holds the sender any more is the word that is waited for.
        let _ = waits.await;
    };
    (Bytes::from_owner(Marker { _written: written }), Box::pin(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    #[test]
    fn the_wait_is_over_when_the_frame_is_gone() {
        let (frame, mut wait) = marker();
        assert!(frame.is_empty());
        let mut context = Context::from_waker(Waker::noop());
        let kept = frame.clone();
        drop(frame);
        assert!(wait.as_mut().poll(&mut context).is_pending(), "a copy of it is still on its way");
        drop(kept);
        assert!(wait.as_mut().poll(&mut context).is_ready());
    }
}
