//! The socket of a run: lets in who may steer it, and carries out what is asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::desk::{Desk, Hand, Parting};
use super::words::SteerAnswer;
use super::{Door, SOCKET, line};
use crate::world::World;

/// So many may steer at once.
const HANDS: usize = 16;
/// The longest order.
const LONGEST: u64 = 64 * 1024;
/// After an order to let somebody in that failed, as without descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Whoever may steer a run, while it goes on.
pub(crate) struct Steering {
    stop: DropGuard,
    tasks: TaskTracker,
    /// Where it was made.
    socket: Option<PathBuf>,
}

impl Steering {
    /// Opens the socket in the directory of a run. Where none can be had, the run goes on and nobody steers it. Must be called inside a
    /// runtime.
    pub(crate) fn open(run: &Path, world: Arc<World>) -> Steering {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listener = Door::of(run).and_then(|door| door.listen());
        let socket = listener.ok().map(|listener| {
            let desk = Arc::new(Desk::new(world));
            tasks.spawn(murphy_core::boxed(let_in(listener, desk, stop.clone(), tasks.clone())));
            run.join(SOCKET)
        });
        Steering { stop: stop.drop_guard(), tasks, socket }
    }

    /// Nobody is let in any more, and what hands have put on is off when this returns.
    pub(crate) async fn close(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(socket) = self.socket {
            // One that somebody has removed is no harm.
            let _ = std::fs::remove_file(socket);
        }
    }
}

async fn let_in(listener: UnixListener, desk: Arc<Desk>, stop: CancellationToken, tasks: TaskTracker) {
    let seats = Arc::new(Semaphore::new(HANDS));
    loop {
        let came = tokio::select! {
            () = stop.cancelled() => return,
            came = listener.accept() => came,
        };
        let stream = match came {
            Ok((stream, _)) => stream,
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if !may_steer(&stream) {
            continue;
        }
        match Arc::clone(&seats).try_acquire_owned() {
            Ok(seat) => tasks.spawn(murphy_core::boxed(serve(stream, Arc::clone(&desk), stop.clone(), seat))),
            Err(_) => tasks.spawn(murphy_core::boxed(turn_away(stream, stop.clone()))),
        };
    }
}

/// Says that there is no room.
async fn turn_away(mut stream: UnixStream, stop: CancellationToken) {
    let why = format!(
        "{HANDS} hands are already on this run, with those that only look: end one of these views and try again"
    );
    let full = SteerAnswer::Refused { why };
    tokio::select! {
        () = stop.cancelled() => {}
        // Whoever does not wait for it need not know.
        _ = say(&mut stream, &full) => {}
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), answer: &SteerAnswer) -> io::Result<()> {
    let mut said = serde_json::to_vec(answer)?;
    said.push(b'\n');
    to.write_all(&said).await
}

/// Who carries the run out may, and root: whatever the permissions of its directory and of the socket are by now.
fn may_steer(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn serve(stream: UnixStream, desk: Arc<Desk>, stop: CancellationToken, seat: OwnedSemaphorePermit) {
    let hand = desk.begin().await;
    let mut talking = JoinSet::new();
    talking.spawn(murphy_core::boxed(talk(stream, Arc::clone(&desk), hand, stop.clone())));
    // What the hand has done goes, however that ends: by a panic too.
    drop(talking.join_next().await);
    let parting = if stop.is_cancelled() { Parting::OfTheRun } else { Parting::OfTheHand };
    desk.leave(hand, parting).await;
    drop(seat);
}

/// Until one side ends it. An order that is begun is carried out.
async fn talk(stream: UnixStream, desk: Arc<Desk>, hand: Hand, stop: CancellationToken) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut answer = SteerAnswer::Welcome;
    loop {
        let sent = tokio::select! {
            () = stop.cancelled() => return,
            sent = say(&mut write, &answer) => sent,
        };
        if sent.is_err() {
            return;
        }
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            asked = line(&mut read, LONGEST) => asked,
        };
        let Ok(Some(asked)) = asked else { return };
        answer = match serde_json::from_slice(&asked) {
            Ok(ask) => desk.answer(hand, ask).await,
            Err(error) => SteerAnswer::Refused { why: error.to_string() },
        };
    }
}
