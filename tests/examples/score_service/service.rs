//! What users ask for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::call::Callee;
use crate::spec::{Around, Spec};
use crate::stack::{Stack, Wanted, around, stack};
use crate::truth::Truth;

type Reply = Response<Full<Bytes>>;

/// Answers users, with the callee behind one library.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    stack: Stack,
    around: Around,
    truth: Arc<Truth>,
}

impl Service {
    /// A service as the spec wants it.
    pub(crate) fn new(spec: &Spec, upstream: SocketAddr, truth: Arc<Truth>) -> Service {
        let callee = Callee::new(upstream, Arc::clone(&truth));
        Service { stack: stack(spec, callee), around: around(spec), truth }
    }

    async fn answer(&self, path: &str) -> Reply {
        let wanted = match path {
            "/" => Wanted::Callee,
            "/free" if self.around == Around::Requests => Wanted::Nothing,
            "/free" | "/live" => return reply(StatusCode::OK, "{}"),
            _ => return reply(StatusCode::NOT_FOUND, "{}"),
        };
        self.truth.count("requests");
        match self.stack.clone().oneshot(wanted).await {
            Ok(body) => reply(StatusCode::OK, body),
            Err(failed) => {
                self.truth.count(failed.name());
                reply(failed.status(), failed.to_string())
            }
        }
    }
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply
}

/// Serves one user. One who leaves takes along what is done for them: hyper drops it, and with it the call.
pub(crate) async fn connection(stream: TcpStream, service: Service) {
    let _ = stream.set_nodelay(true);
    let answering = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request.uri().path()).await) }
    });
    // An error here is a user who left.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await;
}
