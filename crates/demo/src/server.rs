//! Serves one handler on a bound listener until told to stop. Owns every task; never accepts after the stop.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::log::Log;
use crate::reply::{Reply, X_SERVED, problem};

/// How long requests in flight may take to end once the service stops.
const GRACE: Duration = Duration::from_millis(500);

/// Wait after a failed accept (descriptors ran out, for example), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a service does. Its future is dropped when the caller goes away: give up then costs nothing.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;

    /// Called once, after the last answer: waits for work that outlives its request. Must be short.
    fn finish(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a task does, its type forgotten: a runtime's part in a task is compiled anew for each type.
pub(crate) type Task = Later<'static, ()>;

/// A handler whose type is forgotten: hyper's server is compiled once, and not once more for each service.
trait AnyHandler: Send + Sync {
    fn answer_any(&self, request: Request<Incoming>) -> Later<'_, Reply>;
    fn finish_any(&self) -> Later<'_, ()>;
}

impl<H: Handler> AnyHandler for H {
    fn answer_any(&self, request: Request<Incoming>) -> Later<'_, Reply> {
        Box::pin(self.answer(request))
    }

    fn finish_any(&self) -> Later<'_, ()> {
        Box::pin(self.finish())
    }
}

/// The segments of a path, with empty ones left out: `/items/7` is `["items", "7"]`.
pub(crate) fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// The answer for a path that the service does not have.
pub(crate) fn not_found(known: &str) -> Reply {
    problem(StatusCode::NOT_FOUND, &format!("no such path; this service has {known}"))
}

/// Serves until `shutdown` is ready, then lets what is in flight end within a short grace.
pub(crate) async fn serve(
    listener: TcpListener,
    handler: impl Handler,
    log: Log,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve_any(listener, Arc::new(handler), log, std::pin::pin!(shutdown)).await;
}

async fn serve_any(
    listener: TcpListener,
    handler: Arc<dyn AnyHandler>,
    log: Log,
    mut shutdown: Pin<&mut (dyn Future<Output = ()> + Send)>,
) {
    if let Ok(address) = listener.local_addr() {
        log.change("listening", [("address", Value::from(address.to_string()))]);
    }
    // A set, so that connections end with this future if it is dropped.
    let mut connections = JoinSet::new();
    let stop = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                while connections.try_join_next().is_some() {}
                let serving: Task =
                    Box::pin(connection(stream, Arc::clone(&handler), log.clone(), stop.clone()));
                connections.spawn(serving);
            }
            Err(error) => accept_failed(&error, &log).await,
        }
    }
    drop(listener);
    log.change("stopping", [("connections", Value::from(connections.len()))]);
    stop.cancel();
    // Each connection ends itself when the grace is over, so this wait is bounded.
    while connections.join_next().await.is_some() {}
    handler.finish_any().await;
}

async fn accept_failed(error: &io::Error, log: &Log) {
    log.change("accept failed", [("why", Value::from(error.to_string()))]);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(stream: TcpStream, handler: Arc<dyn AnyHandler>, log: Log, stop: CancellationToken) {
    // Answers are small: Nagle's algorithm would hold them back.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, log) = (Arc::clone(&handler), log.clone());
        async move { Ok::<Reply, std::convert::Infallible>(logged(&*handler, request, &log).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // An error here is a caller that went away; its request was dropped with it.
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(GRACE, connection).await;
}

async fn logged(handler: &dyn AnyHandler, request: Request<Incoming>, log: &Log) -> Reply {
    let began = Instant::now();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let reply = handler.answer_any(request).await;
    let served = reply.headers().get(X_SERVED).and_then(|value| value.to_str().ok()).unwrap_or("fresh");
    log.request([
        ("method", Value::from(method)),
        ("path", Value::from(path)),
        ("status", Value::from(reply.status().as_u16())),
        ("served", Value::from(served)),
        ("took_ms", Value::from(began.elapsed().as_micros() as f64 / 1e3)),
    ]);
    reply
}
