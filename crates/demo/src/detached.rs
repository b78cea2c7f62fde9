//! Work that goes on when its user has gone, as in most frameworks: the handler does not hear that nobody waits any more.
//! For careless services only; a careful one drops the work with the connection.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::reply::{Reply, problem};
use crate::server::{Handler, Task};

/// A handler whose answers are worked out to their end, whoever has left.
#[derive(Debug)]
pub(crate) struct Detached<H> {
    handler: Arc<H>,
    work: Mutex<JoinSet<()>>,
}

impl<H> Detached<H> {
    /// Without any work yet.
    pub fn new(handler: H) -> Detached<H> {
        Detached { handler: Arc::new(handler), work: Mutex::default() }
    }
}

impl<H: Handler> Handler for Detached<H> {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (done, result) = oneshot::channel();
        let handler = Arc::clone(&self.handler);
        {
            let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            while work.try_join_next().is_some() {}
            // Nobody may be there to take the answer: that is the point.
            let answer: Task = Box::pin(async move { drop(done.send(handler.answer(request).await)) });
            work.spawn(answer);
        }
        result.await.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the service is stopping"))
    }

    /// What still waits for a dependency may wait without end: it is given up.
    async fn finish(&self) {
        let mut work = std::mem::take(&mut *self.work.lock().unwrap_or_else(PoisonError::into_inner));
        work.shutdown().await;
    }
}
