//! A request's way to the dependency: its body, the permission to send it, what is said meanwhile, and the answer's head.
//! Nothing is buffered here, and no fault is known.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::http::request::Parts;
use hyper::http::{Method, StatusCode, Version, header};
use hyper::{Request, Response};
use tokio::sync::oneshot;

use super::hand_made::{has_one_end, header_line, make_length_plain, status_line};
use super::hub::{Hub, Tunnel};

/// How long a caller's body is kept back for a dependency that was asked to allow it and says nothing. RFC 9110 leaves
/// the time open; this is what common clients wait.
const PERMISSION: Duration = Duration::from_secs(1);

/// The sending half of the connection to the dependency.
pub(crate) enum Sender {
    /// One request at a time.
    One(Mutex<Option<hyper::client::conn::http1::SendRequest<RequestBody>>>),
    /// Any number.
    Two(hyper::client::conn::http2::SendRequest<RequestBody>),
}

/// Ends when the body may be sent.
type Permission = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The body of a request on its way to the dependency.
pub(crate) struct RequestBody {
    body: Incoming,
    /// The dependency was asked whether it wants the body.
    permission: Option<Permission>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(permission) = &mut self.permission {
            if permission.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.permission = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The dependency ended.
    Lost(hyper::Error),
    /// It said something that is not HTTP.
    Nonsense,
}

/// All that needs no wait is done at the call, so that what waits for the answer is small.
pub(super) fn pass_on<'a>(
    hub: &'a Arc<Hub>,
    sender: &'a Sender,
    parts: Parts,
    body: Incoming,
) -> impl Future<Output = Result<Response<Incoming>, NoAnswer>> + Send + use<'a> {
    let connects = parts.method == Method::CONNECT;
    let upgrades = connects || parts.headers.contains_key(header::UPGRADE);
    let (permission, allow) = permission(&parts);
    let informs = parts.version == Version::HTTP_11;
    let mut request = Request::from_parts(parts, RequestBody { body, permission });
    let client = upgrades.then(|| hyper::upgrade::on(&mut request));
    if informs && matches!(sender, Sender::One(_)) {
        inform_through(hub, &mut request, allow);
    }
    async move {
        let mut response = answer_to(sender, request).await?;
        // To another protocol goes only who asked for it (RFC 9110, section 15.2.2): what follows has no end that can be told.
        let switches_unasked = response.status() == StatusCode::SWITCHING_PROTOCOLS && client.is_none();
        if switches_unasked || !has_one_end(response.headers()) {
            return Err(NoAnswer::Nonsense);
        }
        make_length_plain(response.headers_mut());
        if let Some(client) = client {
            let connected = connects && response.status().is_success();
            if response.status() == StatusCode::SWITCHING_PROTOCOLS || connected {
                hub.open_tunnel(Tunnel { client, upstream: hyper::upgrade::on(&mut response) });
            }
        }
        Ok(response)
    }
}

async fn answer_to(sender: &Sender, request: Request<RequestBody>) -> Result<Response<Incoming>, NoAnswer> {
    match sender {
        Sender::Two(sender) => {
            let mut sender = sender.clone();
            sender.ready().await.map_err(NoAnswer::Lost)?;
            sender.send_request(request).await.map_err(NoAnswer::Lost)
        }
        Sender::One(slot) => {
            let take = || slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Requests come one at a time, so the sender is there.
            let Some(mut sender) = take() else { return Err(NoAnswer::Nonsense) };
            let ready = sender.ready().await;
            let sent = sender.send_request(request);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
            ready.map_err(NoAnswer::Lost)?;
            sent.await.map_err(|error| {
                let nonsense = error.is_parse() || error.is_parse_status() || error.is_parse_too_large();
                if nonsense { NoAnswer::Nonsense } else { NoAnswer::Lost(error) }
            })
        }
    }
}

type Allow = Arc<(AtomicBool, Mutex<Option<oneshot::Sender<()>>>)>;

/// If the caller waits to be allowed to send its body: the wait for that, and how it ends.
fn permission(parts: &Parts) -> (Option<Permission>, Option<Allow>) {
    let asks =
        parts.headers.get(header::EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !asks || parts.version != Version::HTTP_11 {
        return (None, None);
    }
    let (allow, allowed) = oneshot::channel();
    let wait: Permission = Box::pin(async move {
        // Without a word and with the answer there already, nobody wants the body any more.
        if matches!(tokio::time::timeout(PERMISSION, allowed).await, Ok(Err(_))) {
            std::future::pending::<()>().await;
        }
    });
    (Some(wait), Some(Arc::new((AtomicBool::new(false), Mutex::new(Some(allow))))))
}

/// Passes informational answers through. A `100` to a caller that waits for it is written by the HTTP layer when its
/// body is asked for, so it opens that way only.
fn inform_through(hub: &Arc<Hub>, request: &mut Request<RequestBody>, allow: Option<Allow>) {
    let hub = Arc::clone(hub);
    hyper::ext::on_informational(request, move |response| {
        if let Some(allow) = &allow
            && response.status() == StatusCode::CONTINUE
            && !allow.0.swap(true, Ordering::Relaxed)
        {
            if let Some(allow) = allow.1.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = allow.send(());
            }
            return;
        }
        let mut raw = status_line(response.status());
        // It has no body, and what says of one has no place in it (RFC 9110, sections 8.6 and 15.2).
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        for (name, value) in response.headers().iter().filter(|(name, _)| !framing.contains(name)) {
            header_line(&mut raw, name, value);
        }
        raw.extend_from_slice(b"\r\n");
        hub.inform(&raw);
    });
}
