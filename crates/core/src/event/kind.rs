//! All that can happen in a run, each with what is told of it. A journal is read years later: a kind or a field
//! that was once written must never change its name or its meaning.

use serde::{Deserialize, Serialize};

use super::{CloseHow, ContainerHealth, ExchangeEnd, ExitCause, OutputStream, ProcessStatus, Side, Tally};
use crate::{
    ConnId, ContainerIdentity, EdgeName, FaultId, HandDeed, HttpCall, LedgerRead, LoadName, Offset, Phase,
    ProbeName, RunBrief, Sample, ServiceName, Span, Undo,
};

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// First of every journal.
    RunStarted(Box<RunBrief>),
    /// A phase begins; the one before ends.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// The load is not stopped and begun again after the recovery phase.
    QuiesceSkipped {
        /// Why there is no need.
        why: String,
    },
    /// Load has ended and everything is taken back.
    RunEnded,
    /// A service process exists.
    ServiceStarted {
        /// Which.
        service: ServiceName,
        /// Its process id.
        pid: i32,
    },
    /// Its ready check passed.
    ServiceReady {
        /// Which.
        service: ServiceName,
        /// Time from start to ready.
        took: Span,
    },
    /// Its process is gone.
    ServiceExited {
        /// Which.
        service: ServiceName,
        /// How.
        status: ProcessStatus,
        /// Why.
        cause: ExitCause,
        /// The last lines that it wrote, oldest first.
        last_output: Vec<String>,
    },
    /// The main process of a container is gone.
    ContainerExited {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// The exit code; 128 and more is a signal.
        code: i64,
        /// Why, as far as Murphy knows.
        cause: ExitCause,
        /// The last lines that it wrote, oldest first.
        last_output: Vec<String>,
    },
    /// The kernel killed a process of a container for want of memory.
    ContainerOom {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// The containers that a fault acts on.
    ContainersChosen {
        /// Which fault.
        fault: FaultId,
        /// Which containers.
        containers: Vec<ContainerIdentity>,
    },
    /// A container that had exited runs again.
    ContainerRestarted {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// How long it was down.
        down: Span,
    },
    /// A new container stands in for one that was there.
    ContainerReplaced {
        /// Which is gone.
        container: ContainerIdentity,
        /// Which stands in for it.
        by: ContainerIdentity,
    },
    /// A container's own health check changed its mind.
    ContainerHealthChanged {
        /// Which.
        container: ContainerIdentity,
        /// What it says now.
        health: ContainerHealth,
    },
    /// A container wrote a line.
    ContainerOutput {
        /// Which.
        container: ContainerIdentity,
        /// Where.
        stream: OutputStream,
        /// The line without its end, cut if it is very long.
        line: String,
        /// Lines left out before this one, because there were too many.
        #[serde(default, skip_serializing_if = "is_zero")]
        left_out: u64,
    },
    /// The engine's event stream broke and is followed again; what happened between is not known.
    ContainerEventsLost {
        /// Why.
        why: String,
    },
    /// A proxy listens for an edge.
    EdgeListening {
        /// Which.
        edge: EdgeName,
        /// The address that callers dial.
        listen: String,
        /// The address that is dialled on.
        upstream: String,
    },
    /// Murphy sits in on the calls of one caller, inside that caller's own network. Told again with new destinations.
    EdgeIntercepted {
        /// Which edge.
        edge: EdgeName,
        /// Whose calls, for people: `web-1`, `pid 4711`.
        caller: String,
        /// The process whose network it is.
        pid: i32,
        /// The addresses whose calls are taken.
        destinations: Vec<String>,
        /// Connections that were open and have been reset so far.
        cut: u64,
    },
    /// Calls of one caller may have gone past Murphy, or do from now on.
    EdgeBypassed {
        /// Which edge.
        edge: EdgeName,
        /// Whose calls, for people.
        caller: String,
        /// Why.
        why: String,
    },
    /// What a fault waited for was seen: it is put into the world now.
    FaultTriggered {
        /// Which.
        fault: FaultId,
        /// What was seen, as printed.
        by: String,
    },
    /// What a fault waited for was not seen, and its time is over. It was never in the world.
    FaultNeverArmed {
        /// Which.
        fault: FaultId,
        /// What was seen instead.
        why: String,
    },
    /// A fault is in the world. Its time is read before the act, so whatever meets the fault ends later.
    FaultArmed {
        /// Which.
        fault: FaultId,
    },
    /// A fault that is in the world has other settings from now on.
    FaultChanged {
        /// Which.
        fault: FaultId,
        /// The fault with its main settings, as printed: `latency 1.2s`.
        text: String,
    },
    /// A fault is out of the world again.
    FaultLifted {
        /// Which.
        fault: FaultId,
        /// What it did.
        tally: Tally,
    },
    /// A fault could not be put into the world or taken out.
    FaultFailed {
        /// Which.
        fault: FaultId,
        /// Why.
        why: String,
    },
    /// Somebody intervened by hand.
    ByHand(Box<HandDeed>),
    /// A caller connected.
    ConnOpened {
        /// On which edge.
        edge: EdgeName,
        /// Its ordinal.
        conn: ConnId,
        /// The caller's address.
        peer: String,
    },
    /// The dependency could not be reached for a caller.
    DialFailed {
        /// On which edge.
        edge: EdgeName,
        /// For which connection.
        conn: ConnId,
        /// Why.
        why: String,
    },
    /// A connection is gone.
    ConnClosed {
        /// On which edge.
        edge: EdgeName,
        /// Which.
        conn: ConnId,
        /// Who ended it.
        by: Side,
        /// How.
        how: CloseHow,
        /// Bytes delivered to the dependency.
        to_upstream: u64,
        /// Bytes delivered to the caller.
        to_client: u64,
        /// Its age.
        age: Span,
    },
    /// A caller's burst of bytes and the burst that answered it. On a protocol without pipelining: a call.
    Exchange {
        /// On which edge.
        edge: EdgeName,
        /// On which connection.
        conn: ConnId,
        /// When the first byte of the request reached the proxy.
        began: Offset,
        /// When the first byte of the answer was *delivered* to the caller (so after any injected delay).
        answered: Option<Offset>,
        /// When it was over: last byte of the answer delivered, or given up, or failed.
        ended: Offset,
        /// How.
        end: ExchangeEnd,
        /// True if a fault touched it.
        touched: bool,
    },
    /// One request of an HTTP edge. On such an edge it stands in the place of exchanges.
    Request(Box<HttpCall>),
    /// Accepting a caller failed (descriptors ran out, for example); the listener goes on.
    AcceptFailed {
        /// On which edge.
        edge: EdgeName,
        /// The system's error.
        why: String,
    },
    /// The task of one connection panicked; the run goes on.
    ConnPanicked {
        /// On which edge.
        edge: EdgeName,
        /// Which.
        conn: ConnId,
    },
    /// One user request.
    Sample(Sample),
    /// A load's schedule is done.
    LoadEnded {
        /// Which.
        load: LoadName,
        /// Requests that the schedule held so far: samples with `n` below this must all be in the journal.
        planned: u64,
        /// The most that were in flight at once.
        in_flight_max: u64,
    },
    /// What a load's writes have left behind.
    LedgerRead {
        /// Which load.
        load: LoadName,
        /// What was found.
        read: Box<LedgerRead>,
    },
    /// A probe's answer.
    Probe {
        /// Which.
        probe: ProbeName,
        /// When it was asked.
        asked: Offset,
        /// Time to the answer.
        took: Span,
        /// Whether it was as expected.
        ok: bool,
        /// What was seen, in a few words.
        saw: String,
    },
    /// The journal could not keep up: so many events are missing from here.
    EventsLost {
        /// How many.
        count: u64,
    },
    /// A signal ended the run early.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        signal: String,
    },
    /// A stop condition (`abort-if`) ended the run early.
    Aborted {
        /// The condition as written.
        rule: String,
    },
    /// The run could not be carried out.
    RunFailed {
        /// Why, in full.
        why: String,
    },
    /// Something was taken back.
    Undone {
        /// What.
        undo: Undo,
    },
    /// Something could not be taken back.
    UndoFailed {
        /// What.
        undo: Undo,
        /// Why.
        why: String,
    },
}
