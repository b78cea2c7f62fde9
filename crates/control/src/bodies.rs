//! Bodies of requests, read whole within a time and a length; of large ones a few at a time.
//!
//! Whoever sends them must not fill the memory, however many they are and however long each may be. A small body waits for nobody.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body as long as this at most is small.
const SMALL: usize = 64 * 1024;
/// Large ones at a time, the answering included.
const LARGE: usize = 8;
/// How long a body may take.
const TIME: Duration = Duration::from_secs(15);

/// Where bodies are read.
pub(crate) struct Bodies(Arc<Semaphore>);

/// A body, and the place that a large one takes until it is dropped.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It has not come in time.
    Late,
    /// It is longer than is read.
    Long,
    /// The connection broke.
    Broken {
        /// What was said.
        why: String,
    },
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies(Arc::new(Semaphore::new(LARGE)))
    }
}

impl Bodies {
    /// All of a body that is at most so long.
    pub(crate) async fn read<B>(&self, body: B, most: usize) -> Result<Whole, BodyError>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        tokio::time::timeout(TIME, self.gather(body, most)).await.unwrap_or(Err(BodyError::Late))
    }

    async fn gather<B>(&self, body: B, most: usize) -> Result<Whole, BodyError>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut body = pin!(Limited::new(body, most));
        let (mut bytes, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => BodyError::Long,
                false => BodyError::Broken { why: error.to_string() },
            })?;
            // Trailers say nothing here.
            let Ok(data) = frame.into_data() else { continue };
            if place.is_none() && bytes.len() + Buf::remaining(&data) > SMALL {
                let free = Arc::clone(&self.0).acquire_owned().await;
                // Nobody closes the semaphore.
                place = Some(free.map_err(|error| BodyError::Broken { why: error.to_string() })?);
            }
            bytes.put(data);
        }
        Ok(Whole { bytes: bytes.freeze(), _place: place })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;

    const MOST: usize = 16 * SMALL;

    /// Its beginning comes at once, its end never.
    struct Endless(Option<Bytes>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    fn of(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_and_small_ones_for_nobody() {
        let bodies = Arc::new(Bodies::default());
        let begun = Instant::now();
        let mut endless = JoinSet::new();
        for _ in 0..LARGE {
            let bodies = Arc::clone(&bodies);
            endless.spawn(async move { bodies.read(Endless(Some(of(SMALL + 1))), MOST).await.err() });
        }
        // Each has its place before the clock moves.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let small = bodies.read(Full::new(of(SMALL)), MOST).await.unwrap();
        assert_eq!((small.bytes.len(), begun.elapsed().as_secs()), (SMALL, 5));
        // One place more comes with the end of those who keep theirs.
        let large = bodies.read(Full::new(of(MOST)), MOST).await.unwrap();
        assert_eq!((large.bytes.len(), begun.elapsed().as_secs()), (MOST, TIME.as_secs()));
        while let Some(ended) = endless.join_next().await {
            assert_eq!(ended.unwrap(), Some(BodyError::Late));
        }
    }

    #[tokio::test]
    async fn a_large_body_keeps_its_place_until_it_is_answered_and_one_that_is_too_long_has_none() {
        let bodies = Bodies::default();
        let free = || bodies.0.available_permits();
        let large = bodies.read(Full::new(of(SMALL + 1)), MOST).await.unwrap();
        assert_eq!(free(), LARGE - 1);
        drop(large);
        assert_eq!(free(), LARGE);
        assert_eq!(bodies.read(Full::new(of(MOST + 1)), MOST).await.err(), Some(BodyError::Long));
        assert_eq!(free(), LARGE);
    }
}
