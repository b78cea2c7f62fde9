//! Answers that are large: so many bytes of them at a time, until their clients have taken them.
//!
//! Whoever asks for them and does not read must not fill the memory, however many they are. A small answer takes no room and is never
//! refused; nobody waits for room, for what waits would be kept, too.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::native::Answer;

/// An answer as long as this at most is small.
const SMALL: u64 = 64 * 1024;
/// In this room is counted.
const UNIT: u64 = 1024;
/// So much there is: more than the longest answer, and some hundred times a usual one that is large.
const ROOM: u32 = 256 * 1024;

/// The room of all large answers.
pub(crate) struct Answers(Arc<Semaphore>);

/// A large body that has its room.
struct Held {
    body: UnsyncBoxBody<Bytes, Infallible>,
    room: Option<OwnedSemaphorePermit>,
}

/// The bytes of one, and their room until the kernel has the last of them.
struct Kept {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers(Arc::new(Semaphore::new(ROOM as usize)))
    }
}

impl Answers {
    /// The answer; or, if it is large and there is no room for it, that it may be asked for again.
    pub(crate) fn admit(&self, answer: Answer) -> Answer {
        let length = answer.body().size_hint().exact();
        let Some(length) = length.filter(|length| *length > SMALL) else { return answer };
        let units = u32::try_from(length / UNIT).unwrap_or(ROOM).min(ROOM);
        match Arc::clone(&self.0).try_acquire_many_owned(units) {
            Ok(room) => answer.map(|body| Held { body, room: Some(room) }.boxed_unsync()),
            Err(_) => refusal(length),
        }
    }
}

/// In the form of both APIs.
fn refusal(length: u64) -> Answer {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let error = format!(
        "the answer has {length} bytes, and with those that others have not read yet there would be more than {}; what was to be \
         done is done; ask with GET for what there is now",
        u64::from(ROOM) * UNIT
    );
    let json = json!({ "error": error, "status": status.as_u16() });
    let mut answer = Response::new(Full::from(format!("{json}\n")).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let held = self.get_mut();
        let polled = Pin::new(&mut held.body).poll_frame(cx);
        // It goes with the bytes: the body is dropped long before they are sent.
        let room = &mut held.room;
        polled.map_ok(|frame| frame.map_data(|bytes| Bytes::from_owner(Kept { bytes, _room: room.take() })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 100 * 1024;

    fn of(length: usize) -> Answer {
        Response::new(Full::from(vec![b'x'; length]).boxed_unsync())
    }

    #[tokio::test]
    async fn large_answers_have_so_much_room_until_they_are_taken_and_small_ones_need_none() {
        // For two of these, and not for three.
        let answers = Answers(Arc::new(Semaphore::new(250)));
        let status = |length| answers.admit(of(length)).status();
        let (first, second) = (answers.admit(of(LARGE)), answers.admit(of(LARGE)));
        assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
        assert_eq!(first.body().size_hint().exact(), Some(LARGE as u64));
        let third = answers.admit(of(LARGE));
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        let told = third.into_body().collect().await.unwrap().to_bytes();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["status"], 503);
        assert!(told["error"].as_str().unwrap().contains("has 102400 bytes"), "{told}");
        assert_eq!(status(64 * 1024), StatusCode::OK);
        // Of the first, the bytes are still to be sent when its body has been read.
        let bytes = first.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(bytes, vec![b'x'; LARGE]);
        assert_eq!(status(LARGE), StatusCode::SERVICE_UNAVAILABLE);
        drop(bytes);
        assert_eq!(status(LARGE), StatusCode::OK);
        drop(second);
        assert_eq!(answers.0.available_permits(), 250);
    }

    /// It only says how long it is.
    struct Long(u64);

    impl Body for Long {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(None)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    #[test]
    fn one_that_is_longer_than_all_room_takes_all_of_it() {
        let answers = Answers::default();
        let held = answers.admit(Response::new(Long(u64::MAX).boxed_unsync()));
        assert_eq!((held.status(), answers.0.available_permits()), (StatusCode::OK, 0));
    }
}
