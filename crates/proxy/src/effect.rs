//! What a fault may do to a stream, without a word about how streams are carried.
//!
//! An effect is pure: it is handed chunks and moments and answers with chunks, moments and endings. It must never
//! sleep, lock, log, read a clock or see a socket; then the same input and the same dice give the same output.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use murphy_core::{Dice, Span};

use crate::chunk::{Chunk, Due, Wait};
use crate::http::HttpEffect;
use crate::tls::HandshakeEffect;

/// How a fault ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// In order: FIN to both sides.
    Close,
    /// RST to both sides.
    Reset,
}

/// What a peer says when it stops sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Farewell {
    /// FIN: nothing more will come, answers are welcome.
    Fin,
    /// RST, or another error.
    Rst,
}

/// Something that a stage lets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Letter {
    Chunk(Chunk),
    End(Ending),
}

/// Where a stage puts what it lets go, in order, and says what it did.
#[derive(Debug, Default)]
pub struct Outbox {
    pub(crate) letters: Vec<Letter>,
    pub(crate) at_once: Option<Ending>,
    pub(crate) hits: u64,
    pub(crate) bytes: u64,
}

impl Outbox {
    /// Lets a chunk go on. A chunk that is not sent is lost, on purpose.
    pub fn send(&mut self, chunk: Chunk) {
        self.letters.push(Letter::Chunk(chunk));
    }

    /// Ends the connection as soon as everything sent before has been delivered.
    pub fn end(&mut self, how: Ending) {
        self.letters.push(Letter::End(how));
    }

    /// Ends the connection now, whatever is still on its way.
    pub fn end_at_once(&mut self, how: Ending) {
        self.at_once = Some(how);
    }

    /// Says that the fault acted, and on how many bytes. A fault that says nothing is reported as without effect.
    pub fn acted(&mut self, bytes: usize) {
        self.hits += 1;
        self.bytes += bytes as u64;
    }
}

/// The effect of one fault on one direction of one connection.
pub trait StreamEffect: Any + Send {
    /// The effect begins to sit on the direction: at its connection's first moment, or later, on an open connection.
    fn on_arm(&mut self, _now: Instant) {}

    /// Bytes came. Sends on what shall go on, each piece with a moment not before the one that it came with.
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox);

    /// The sender ends. Answers when the ending may be passed on; the outbox is for saying that the fault acted.
    fn on_farewell(&mut self, _farewell: Farewell, due: Due, _out: &mut Outbox) -> Due {
        due
    }

    /// When the effect wants to be asked again even if nothing comes.
    fn next_wake(&self) -> Option<Instant> {
        None
    }

    /// The moment asked for by [`next_wake`](Self::next_wake) has come.
    fn on_wake(&mut self, _now: Instant, _out: &mut Outbox) {}

    /// The most bytes that it wants at a time.
    fn appetite(&self) -> usize {
        usize::MAX
    }

    /// The moment before which it wants no bytes; this is what lets back-pressure reach the sender.
    fn not_before(&self) -> Option<Instant> {
        None
    }

    /// The most bytes that may wait in this direction while the effect sits on it.
    fn capacity(&self) -> usize {
        usize::MAX
    }

    /// Takes over what the same fault knew before it was edited, such as bytes already counted.
    fn inherit(&mut self, _before: &dyn Any) {}

    /// The effect is taken off an open connection. Only an ending at once is heeded here; it is for an effect after
    /// which the stream cannot go on.
    fn on_lift(&mut self, _out: &mut Outbox) {}

    /// A chunk that waits because of the settings before an edit: how long shall its whole wait be now?
    fn revise(&self, was: Wait) -> Wait {
        was
    }
}

/// Makes the effect for each connection and direction.
pub trait EffectFactory: Send + Sync {
    /// A fresh effect.
    fn make(&self) -> Box<dyn StreamEffect>;

    /// True if with these settings the effect does nothing at all; then connections stay on the fast path.
    fn is_neutral(&self) -> bool {
        false
    }
}

/// What happens to callers beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// They are reset at once.
    Reset,
    /// They wait, accepted and unanswered, until another connection ends.
    Wait,
}

/// What a fault does at an edge.
#[derive(Clone)]
pub enum EdgeEffect {
    /// Something happens to the bytes.
    Stream(Arc<dyn EffectFactory>),
    /// The listener is closed: callers get ECONNREFUSED. With a chance below 100 %, the sampled callers are reset on
    /// arrival instead, for a closed port cannot choose.
    Refuse,
    /// The dependency is dialled only after this time.
    OpenLate(Duration),
    /// At most so many connections are carried at a time.
    Crowd {
        /// The most connections.
        max: u64,
        /// What happens to others.
        then: Overflow,
    },
    /// Something happens to the handshakes of callers. Only on an edge that speaks TLS with them.
    Handshake(HandshakeEffect),
    /// Something happens to requests. Only on an edge that speaks HTTP.
    Http(HttpEffect),
}

impl EdgeEffect {
    /// An effect on bytes.
    pub fn stream(factory: impl EffectFactory + 'static) -> EdgeEffect {
        EdgeEffect::Stream(Arc::new(factory))
    }

    /// The dependency is dialled only after this time.
    pub fn open_late(delay: Span) -> EdgeEffect {
        EdgeEffect::OpenLate(delay.as_duration())
    }
}

impl fmt::Debug for EdgeEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EdgeEffect::Stream(_) => f.write_str("Stream"),
            EdgeEffect::Refuse => f.write_str("Refuse"),
            EdgeEffect::OpenLate(delay) => f.debug_tuple("OpenLate").field(delay).finish(),
            EdgeEffect::Crowd { max, then } => {
                f.debug_struct("Crowd").field("max", max).field("then", then).finish()
            }
            EdgeEffect::Handshake(effect) => f.debug_tuple("Handshake").field(effect).finish(),
            EdgeEffect::Http(effect) => f.debug_tuple("Http").field(effect).finish(),
        }
    }
}
