//! One call of the callee, and how it can fail.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::BoxError;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;

use crate::truth::Truth;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("no connection to the callee: {0}")]
    Connection(#[from] std::io::Error),
    #[error("no whole answer of the callee: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the callee answered {0}")]
    Status(StatusCode),
    #[error("the callee took too long")]
    Elapsed,
    #[error("all places are taken")]
    Overloaded,
    #[error("the breaker is open")]
    Open,
    #[error("a library failed otherwise: {0}")]
    Other(BoxError),
}

impl Failed {
    /// What a layer of tower made of a failure.
    pub(crate) fn of(error: BoxError) -> Failed {
        match error.downcast::<Failed>() {
            Ok(failed) => *failed,
            Err(error) if error.is::<Elapsed>() => Failed::Elapsed,
            Err(error) if error.is::<Overloaded>() => Failed::Overloaded,
            Err(error) => Failed::Other(error),
        }
    }

    /// Its name among the counts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Failed::Connection(_) => "connection",
            Failed::Answer(_) => "answer",
            Failed::Status(_) => "status",
            Failed::Elapsed => "elapsed",
            Failed::Overloaded => "overloaded",
            Failed::Open => "open",
            Failed::Other(_) => "other",
        }
    }

    /// What users are told.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Failed::Connection(_) | Failed::Answer(_) | Failed::Status(_) => StatusCode::BAD_GATEWAY,
            Failed::Elapsed => StatusCode::GATEWAY_TIMEOUT,
            Failed::Overloaded | Failed::Open => StatusCode::SERVICE_UNAVAILABLE,
            Failed::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The service behind the edge.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    address: SocketAddr,
    truth: Arc<Truth>,
}

impl Callee {
    /// The callee at an address.
    pub(crate) fn new(address: SocketAddr, truth: Arc<Truth>) -> Callee {
        Callee { address, truth }
    }

    /// A GET on a connection of its own, which closes if this is dropped.
    pub(crate) async fn get(&self) -> Result<Bytes, Failed> {
        self.truth.count("calls");
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::get("/").header(HOST, "callee").header(CONNECTION, "close");
        let request = request.body(Empty::<Bytes>::new()).expect("a request of constants");
        let asked = async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if status == StatusCode::OK { Ok(body) } else { Err(Failed::Status(status)) }
        };
        // How the connection failed, the request tells.
        let (answer, _) = tokio::join!(asked, connection);
        answer
    }
}
