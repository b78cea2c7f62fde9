//! A service of gRPC and its caller, both of tonic. Messages are of one text field, as `google.protobuf.StringValue`, which
//! prost writes without generated code.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::http::uri::PathAndQuery;
use hyper::http::{self, Uri};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::server::{ServerStreamingService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};

/// Texts, as prost writes them.
#[derive(Debug, Clone, Copy)]
struct Texts;

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Texts;
    type Decoder = Texts;

    fn encoder(&mut self) -> Texts {
        Texts
    }

    fn decoder(&mut self) -> Texts {
        Texts
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        text.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        String::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// What the service and the test tell each other beside the wire.
#[derive(Debug)]
pub(crate) struct Aside {
    /// Calls that have come.
    pub(crate) calls: AtomicU64,
    /// A call that never ends has come.
    pub(crate) hanging: Notify,
    /// It was cancelled.
    pub(crate) cancelled: Notify,
    /// Items that the caller has received: the next one is sent only then.
    pub(crate) received: Semaphore,
}

/// The service: `Price` answers, `Items` streams, `Fail` fails, `Hang` and `Watch` never end.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    aside: Arc<Aside>,
}

type Soon<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Items = Pin<Box<dyn tokio_stream::Stream<Item = Result<String, Status>> + Send>>;

impl Shop {
    /// Serves on a free port until the set is dropped.
    pub(crate) async fn open() -> (SocketAddr, Arc<Aside>, JoinSet<()>) {
        let aside = Arc::new(Aside {
            calls: AtomicU64::new(0),
            hanging: Notify::new(),
            cancelled: Notify::new(),
            received: Semaphore::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shop, mut tasks) = (Shop { aside: Arc::clone(&aside) }, JoinSet::new());
        tasks.spawn(async move {
            let served = Server::builder().serve_with_incoming(shop, TcpListenerStream::new(listener));
            served.await.expect("it serves");
        });
        (address, aside, tasks)
    }
}

impl tower_service::Service<http::Request<Body>> for Shop {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Soon<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.aside.calls.fetch_add(1, Ordering::SeqCst);
        let shop = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Texts);
            Ok(match request.uri().path() {
                "/Shop/Items" | "/Shop/Watch" => grpc.server_streaming(shop, request).await,
                _ => grpc.unary(shop, request).await,
            })
        })
    }
}

/// Tells of the end of a call that did not end by itself.
struct Cancelled(Arc<Aside>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.cancelled.notify_one();
    }
}

impl UnaryService<String> for Shop {
    type Response = String;
    type Future = Soon<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let aside = Arc::clone(&self.aside);
        Box::pin(async move {
            match request.get_ref().as_str() {
                "fail" => {
                    let mut status = Status::with_details(
                        Code::ResourceExhausted,
                        "sold out: \u{e4}",
                        vec![0, 1, 255].into(),
                    );
                    status.metadata_mut().insert("x-why", MetadataValue::from_static("sold out"));
                    Err(status)
                }
                "hang" => {
                    let _cancelled = Cancelled(Arc::clone(&aside));
                    aside.hanging.notify_one();
                    std::future::pending().await
                }
                text => {
                    let mut response = Response::new(text.to_uppercase());
                    if let Some(user) = request.metadata().get("x-user") {
                        response.metadata_mut().insert("x-for", user.clone());
                    }
                    Ok(response)
                }
            }
        })
    }
}

impl ServerStreamingService<String> for Shop {
    type Response = String;
    type ResponseStream = Items;
    type Future = Soon<Result<Response<Items>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let aside = Arc::clone(&self.aside);
        Box::pin(async move {
            let (count, last) = match request.get_ref().parse::<usize>() {
                Ok(count) => (count, Some(Err(Status::data_loss("no more")))),
                // The first one, and then nothing.
                Err(_) => (1, None),
            };
            let cancelled = last.is_none().then(|| Cancelled(Arc::clone(&aside)));
            let items = tokio_stream::iter(0..count).then(move |n| {
                let aside = Arc::clone(&aside);
                async move {
                    if n > 0 {
                        aside.received.acquire().await.expect("it stays open").forget();
                    }
                    Ok(format!("item {n}"))
                }
            });
            let items: Items = match last {
                Some(last) => Box::pin(items.chain(tokio_stream::once(last))),
                None => Box::pin(items.chain(tokio_stream::pending()).map(move |item| {
                    let _held = &cancelled;
                    item
                })),
            };
            Ok(Response::new(items))
        })
    }
}

/// A caller on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Caller(tonic::client::Grpc<Channel>);

impl Caller {
    pub(crate) async fn dial(address: &str) -> Caller {
        let uri: Uri = format!("http://{address}").parse().expect("an address");
        let channel = Endpoint::from(uri).connect().await.expect("a connection");
        Caller(tonic::client::Grpc::new(channel).max_decoding_message_size(1 << 24))
    }

    pub(crate) async fn unary(&mut self, path: &'static str, text: &str) -> Result<Response<String>, Status> {
        self.0.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let mut request = Request::new(text.to_owned());
        request.metadata_mut().insert("x-user", MetadataValue::from_static("7"));
        self.0.unary(request, PathAndQuery::from_static(path), Texts).await
    }

    pub(crate) async fn stream(
        &mut self,
        path: &'static str,
        text: &str,
    ) -> Result<Streaming<String>, Status> {
        self.0.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let request = Request::new(text.to_owned());
        let answer = self.0.server_streaming(request, PathAndQuery::from_static(path), Texts).await?;
        Ok(answer.into_inner())
    }
}
