//! Those who call the control API: so many at a time, each over its own connection.
//!
//! None may keep its place for nothing: one that does not ask in time is put away, and so is one that takes nothing of what it is sent.
//! One that reads slowly, or listens to a stream on which little happens, is neither.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answers::Answers;
use crate::native::{Answer, NativeApi};
use crate::taken::{TAKING, Taken};
use crate::toxiproxy::Api;

/// What is answered, by whom.
pub(crate) struct Apis {
    pub(crate) toxiproxy: Api,
    pub(crate) native: NativeApi,
    pub(crate) answers: Answers,
}

/// Connections of clients at a time; the next ones wait in the listener's queue. More than those who may stay for good: each lease may
/// be held by one (1024), and 64 may listen to events.
const CLIENTS: usize = 2048;
/// How long a client may take for the head of a request; also how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(60);
/// The same for those who come when more than half of the places are taken: those who ask for nothing must not keep the others waiting.
const CROWDED_HEAD: Duration = Duration::from_secs(10);
/// What our kernel takes for a client that has not taken it. There is room for more only when a third of that has gone, and by itself it
/// would take some megabytes: a client that reads slowly, but reads, must be seen to do so.
const UNTAKEN: usize = 64 * 1024;
/// Whose head has more of it is refused; of a body hardly more is read at a time. A read may go beyond it once.
const READ: usize = 64 * 1024;

/// The places of all clients.
pub(crate) struct Clients(Arc<Semaphore>);

impl Default for Clients {
    fn default() -> Clients {
        Clients(Arc::new(Semaphore::new(CLIENTS)))
    }
}

/// The connection of a client, and the place that it takes.
pub(crate) struct Client<S> {
    stream: S,
    place: OwnedSemaphorePermit,
    head: Duration,
}

/// The tasks of all clients and of what they asked for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// Nothing more may be asked for.
    stop: CancellationToken,
    /// What is under way is given up.
    cut: CancellationToken,
}

impl Clients {
    /// The next client, when there is a place for it.
    pub(crate) async fn accept(&self, listener: &TcpListener) -> io::Result<Client<TcpStream>> {
        // Nobody closes the semaphore.
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok(Client { stream, place, head: self.head() })
    }

    /// How long the last one who came may take for the head of a request.
    fn head(&self) -> Duration {
        if self.0.available_permits() < CLIENTS / 2 { CROWDED_HEAD } else { HEAD }
    }
}

impl Tasks {
    /// None yet. After `stop` nothing more may be asked for.
    pub(crate) fn new(stop: CancellationToken) -> Tasks {
        Tasks { tracker: TaskTracker::new(), stop, cut: CancellationToken::new() }
    }

    /// Answers the requests of one client, until it goes or the daemon ends. Each is carried out as one of the tasks, also when nobody
    /// waits for its answer any more.
    pub(crate) fn talk(&self, client: Client<TcpStream>, apis: Arc<Apis>) {
        let tasks = self.clone();
        self.tracker.spawn(murphy_core::boxed(async move {
            prepare(&client.stream);
            converse(client, apis, tasks).await;
        }));
    }

    /// Waits for what is under way, and gives up what takes longer. When this returns there is nothing that could still act on a proxy.
    pub(crate) async fn end(&self, grace: Duration) {
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.cut.cancel();
            self.tracker.wait().await;
        }
    }
}

/// Sets what the kernel does for a connection. It refuses only for one that is already dead.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // A machine that has gone acknowledges nothing: whoever held a lease or listened from there is not waited for until the kernel gives
    // up by itself, which takes a quarter of an hour.
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_user_timeout(Some(TAKING));
    let _ = socket.set_send_buffer_size(UNTAKEN);
}

async fn converse<S>(client: Client<S>, apis: Arc<Apis>, tasks: Tasks)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Client { stream, place, head } = client;
    // What is asked for keeps the place, too: who asks and goes, again and again, has no more under way than one that stays.
    let place = Arc::new(place);
    let Tasks { tracker, stop, cut } = tasks;
    let until = cut.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (apis, place, cut) = (Arc::clone(&apis), Arc::clone(&place), cut.clone());
        // In a task of its own: a client that goes in the middle leaves nothing half done.
        let answer = tracker.spawn(murphy_core::boxed(async move {
            let answer = cut.run_until_cancelled(apis.answer(request)).await;
            drop(place);
            answer
        }));
        // One that panics, or is given up, ends its connection.
        async move {
            answer.await.map_err(io::Error::other)?.ok_or_else(|| io::Error::from(io::ErrorKind::Interrupted))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(READ)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(Taken::new(stream)), service)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = until.run_until_cancelled(connection).await;
}

impl Apis {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let answer = if NativeApi::owns(request.uri().path()) {
            Box::pin(self.native.answer(request)).await
        } else if let Some(refusal) = self.native.turns_away(request.headers()) {
            refusal
        } else {
            Box::pin(self.toxiproxy.answer(request)).await.map(BodyExt::boxed_unsync)
        };
        self.answers.admit(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use murphy_core::{Demand, Recorder, Seed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;
    use crate::events::Events;
    use crate::metrics::MetricsChoice;
    use crate::native::{Guard, OPENAPI, Reach};
    use crate::proxies::Proxies;
    use crate::toxiproxy::Compat;

    /// What lies between the two ends: much less than an answer.
    const BETWEEN: usize = 256;
    const HOUR: Duration = Duration::from_secs(3600);

    fn tasks() -> Tasks {
        Tasks::new(CancellationToken::new())
    }

    /// The daemon's end of a connection, with a place for it.
    fn placed<S>(clients: &Clients, stream: S) -> Client<S> {
        let place = Arc::clone(&clients.0).try_acquire_owned().unwrap();
        Client { stream, place, head: clients.head() }
    }

    fn alone<S>(stream: S) -> Client<S> {
        placed(&Clients::default(), stream)
    }

    fn apis() -> (Arc<Apis>, Events) {
        let events = Events::new(Demand::default());
        let (compat, seed) = (Compat::Better, Seed(7));
        let proxies = Proxies::new(seed, Recorder::disabled(), compat, events.clone(), std::env::temp_dir());
        let guard = Guard::new(Ipv4Addr::LOCALHOST.into(), Reach::Proxies, None).unwrap();
        let toxiproxy = Api::new(proxies.clone(), compat, MetricsChoice::default(), seed);
        let native = NativeApi::new(proxies, events.clone(), guard, None);
        (Arc::new(Apis { toxiproxy, native, answers: Answers::default() }), events)
    }

    /// Asks for something; the client's end and the daemon's.
    async fn asking(path: &str, header: &str) -> (DuplexStream, DuplexStream) {
        let (mut client, server) = tokio::io::duplex(BETWEEN);
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        (client, server)
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_loses_its_place() {
        for (path, header) in [
            ("/v1/openapi.json", ""),
            ("/v1/openapi.json", "Connection: close\r\n"),
            // What is sent here is short, and without end.
            ("/v1/events", ""),
        ] {
            let (apis, events) = apis();
            let (client, server) = asking(path, header).await;
            let begun = Instant::now();
            let talk = converse(alone(server), apis, tasks());
            let left = tokio::time::timeout(HOUR, talk).await;
            assert!(left.is_ok(), "{path} {header}: it is still there after {HOUR:?}");
            assert!(begun.elapsed() >= TAKING, "{path} {header}: {:?}", begun.elapsed());
            assert!(!events.is_heard(), "{path}");
            drop(client);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_nothing_goes_after_its_time_and_sooner_where_places_are_few() {
        for (others, time) in [(0, HEAD), (CLIENTS / 2 - 1, HEAD), (CLIENTS / 2, CROWDED_HEAD)] {
            let clients = Clients::default();
            let others = u32::try_from(others).unwrap();
            let _others = Arc::clone(&clients.0).try_acquire_many_owned(others).unwrap();
            for sent in
                ["", "GET /version HTTP/1.1\r\nHo", "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"]
            {
                let (mut client, server) = tokio::io::duplex(4096);
                client.write_all(sent.as_bytes()).await.unwrap();
                let begun = Instant::now();
                converse(placed(&clients, server), apis().0, tasks()).await;
                assert_eq!(begun.elapsed().as_secs(), time.as_secs(), "{others} others, {sent:?}");
            }
        }
    }

    #[tokio::test]
    async fn who_asks_and_goes_keeps_its_place_until_that_is_done() {
        let (clients, tasks) = (Clients::default(), tasks());
        let (client, server) = asking("/version", "").await;
        drop(client);
        converse(placed(&clients, server), apis().0, tasks.clone()).await;
        assert_eq!(clients.0.available_permits(), CLIENTS - 1);
        tasks.end(HOUR).await;
        assert_eq!(clients.0.available_permits(), CLIENTS);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_the_end_of_the_daemon_is_given_up() {
        const GRACE: Duration = Duration::from_secs(5);
        let tasks = tasks();
        // Its body never comes; it would be waited for three times as long.
        let (client, server) = asking("/proxies", "Content-Length: 10\r\n").await;
        tasks.tracker.spawn(murphy_core::boxed(converse(alone(server), apis().0, tasks.clone())));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.tracker.len(), 2, "the client, and what it asks for");
        let begun = Instant::now();
        tasks.stop.cancel();
        tasks.end(GRACE).await;
        assert_eq!((tasks.tracker.len(), begun.elapsed().as_secs()), (0, GRACE.as_secs()));
        drop(client);
    }

    #[tokio::test]
    async fn a_machine_that_has_gone_is_not_waited_for_longer_than_one_that_takes_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let Client { stream, place: _place, .. } = Clients::default().accept(&listener).await.unwrap();
        prepare(&stream);
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(TAKING));
    }

    #[tokio::test]
    async fn the_kernel_keeps_little_of_what_a_client_has_not_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let Client { stream, place: _place, .. } = Clients::default().accept(&listener).await.unwrap();
        prepare(&stream);
        // The kernel doubles it, for what it needs for itself.
        let kept = SockRef::from(&stream).send_buffer_size().unwrap();
        assert!(kept <= 2 * UNTAKEN, "{kept} bytes");
    }

    #[tokio::test]
    async fn a_head_longer_than_anybody_needs_is_refused_and_not_kept() {
        for (length, status) in [(READ / 2, "HTTP/1.1 200 "), (3 * READ, "HTTP/1.1 431 ")] {
            let (mut client, server) = tokio::io::duplex(4 * READ);
            let long = "x".repeat(length);
            let request =
                format!("GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {long}\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            converse(alone(server), apis().0, tasks()).await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(status), "{length}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_at_a_time_gets_it_all() {
        let (mut client, server) = asking("/v1/openapi.json", "Connection: close\r\n").await;
        let mut whole = Vec::new();
        let slowly = async {
            let mut some = [0; BETWEEN];
            loop {
                tokio::time::sleep(TAKING - Duration::from_secs(1)).await;
                match client.read(&mut some).await.unwrap() {
                    0 => break,
                    count => whole.extend_from_slice(&some[..count]),
                }
            }
        };
        tokio::join!(converse(alone(server), apis().0, tasks()), slowly);
        assert!(whole.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(whole.ends_with(OPENAPI.as_bytes()), "{} bytes", whole.len());
    }

    #[tokio::test(start_paused = true)]
    async fn who_listens_where_nothing_happens_may_stay() {
        let (mut client, server) = asking("/v1/events", "").await;
        let mut heard = Vec::new();
        let listening = async {
            let begun = Instant::now();
            let mut some = [0; BETWEEN];
            while begun.elapsed() < HOUR {
                let count = client.read(&mut some).await.unwrap();
                assert!(count > 0, "ended after {:?}", begun.elapsed());
                heard.extend_from_slice(&some[..count]);
            }
        };
        tokio::select! {
            () = converse(alone(server), apis().0, tasks()) => panic!("a stream that is read was ended"),
            () = listening => {}
        }
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.contains("event: listening"), "{heard}");
        assert!(heard.matches(": alive").count() >= 200, "{heard}");
    }
}
