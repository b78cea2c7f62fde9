//! Threads that have entered the network namespace of another process: one makes sockets there, the other runs programs
//! there and renews the leases, so that a dial never waits for a program.
//!
//! A namespace belongs to a thread, so this must never happen on a thread of the async runtime, which others share.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use murphy_core::{NamespaceIdentity, ProcessIdentity};
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use crate::lease::Keeper;
use crate::{NetnsError, namespace};

type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// The network namespace of another process, entered. Clones share its two threads; they end with the last clone, and
/// with them the renewing of leases.
#[derive(Debug, Clone)]
pub struct Netns {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    identity: NamespaceIdentity,
    /// Makes sockets: always free within microseconds.
    sockets: mpsc::Sender<Job>,
    /// Runs programs and renews leases: busy for some milliseconds at a time.
    leases: mpsc::Sender<Job>,
}

impl Netns {
    /// Enters the namespace of a process. Refuses the one in which Murphy itself lives. Changes nothing.
    pub async fn enter(process: ProcessIdentity) -> Result<Netns, NetnsError> {
        let (identity, file) = namespace::open_foreign(process)?;
        let file = Arc::new(file);
        let sockets = start(identity, "sockets", Arc::clone(&file)).await?;
        let leases = start(identity, "leases", file).await?;
        Ok(Netns { inner: Arc::new(Inner { identity, sockets, leases }) })
    }

    /// Which namespace this is.
    pub fn identity(&self) -> NamespaceIdentity {
        self.inner.identity
    }

    /// Runs a piece of work on a thread inside and waits for its result. It must be short, as making a socket is: the
    /// proxy's dials wait for it.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetnsError> {
        let (reply, answer) = oneshot::channel();
        // A caller that was cancelled does not wait any more.
        self.send(&self.inner.sockets, move |_| drop(reply.send(work())))?;
        answer.await.map_err(|_| self.gone())
    }

    /// The same where one cannot await. Blocks the calling thread for some microseconds.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetnsError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(&self.inner.sockets, move |_| drop(reply.send(work())))?;
        answer.recv().map_err(|_| self.gone())
    }

    /// Runs a piece of work on the thread that renews leases: whatever runs a program. Leases are not renewed in the
    /// meantime.
    pub(crate) async fn run_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> T + Send + 'static,
    ) -> Result<T, NetnsError> {
        let (reply, answer) = oneshot::channel();
        // A caller that was cancelled does not wait any more; what it would have got is dropped, a lease with it.
        self.send(&self.inner.leases, move |keeper| drop(reply.send(work(keeper))))?;
        answer.await.map_err(|_| self.gone())
    }

    /// Leaves a piece of work to that thread without waiting: for `Drop`.
    pub(crate) fn leave(&self, work: impl FnOnce(&mut Keeper) + Send + 'static) {
        // Without the thread nothing is renewed, and what it would have done is left to the undo.
        let _ = self.send(&self.inner.leases, work);
    }

    fn send(
        &self,
        to: &mpsc::Sender<Job>,
        work: impl FnOnce(&mut Keeper) + Send + 'static,
    ) -> Result<(), NetnsError> {
        to.send(Box::new(work)).map_err(|_| self.gone())
    }

    fn gone(&self) -> NetnsError {
        NetnsError::WorkerGone { process: self.inner.identity.process }
    }
}

/// Starts a thread inside.
async fn start(
    identity: NamespaceIdentity,
    work: &str,
    file: Arc<File>,
) -> Result<mpsc::Sender<Job>, NetnsError> {
    let (jobs, orders) = mpsc::channel();
    let (entered, outcome) = oneshot::channel();
    let inside = move || {
        let result = enter_thread(&file);
        drop(file);
        let is_inside = result.is_ok();
        // Nobody waits any more if the caller was cancelled; then the channel of jobs is closed, too.
        let _ = entered.send(result);
        if is_inside {
            serve(&orders);
        }
    };
    // The kernel shows 15 bytes of it.
    let name = format!("netns-{work}");
    thread::Builder::new()
        .name(name)
        .spawn(inside)
        .map_err(|error| NetnsError::io("start a thread", error))?;
    let act = || format!("enter the network namespace of process {}", identity.process.pid);
    match outcome.await {
        Ok(entered) => entered.map_err(|error| NetnsError::io(act(), error))?,
        Err(_) => return Err(NetnsError::WorkerGone { process: identity.process }),
    }
    Ok(jobs)
}

/// Moves the calling thread into the namespace, for good.
pub(crate) fn enter_thread(file: &File) -> io::Result<()> {
    setns(file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
}

/// Works off jobs, and renews leases between them, until nobody can send a job any more.
fn serve(orders: &mpsc::Receiver<Job>) {
    let mut keeper = Keeper::default();
    loop {
        let order = match keeper.until_due() {
            Some(wait) => orders.recv_timeout(wait),
            None => orders.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
        };
        match order {
            // A job that panics must not take the leases of others with it: its caller sees a closed channel.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(|| job(&mut keeper)))),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        // Also after a job: a stream of jobs must not starve the leases.
        keeper.renew_due();
    }
}
