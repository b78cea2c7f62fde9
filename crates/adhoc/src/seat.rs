//! A proxy by hand as it is asked for: whose calls it carries, with which faults, and why there is none. What could never stand
//! must be refused here, before anything is touched.

use murphy_core::{Chance, Directions, NameError, Protocol, Seed, Span};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_proxy::{BindError, EdgeTls};
use murphy_runner::{AttachError, StateDir};
use murphy_tls::{TlsError, TlsSettings};
use serde::Serialize;

use crate::attach::Attach;

/// A proxy with its faults, as asked for.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Whose calls it carries, and where to.
    pub route: Route,
    /// What is spoken; faults on requests want HTTP.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    pub tls: Option<TlsSettings>,
    /// Where the local authority is kept.
    pub state: StateDir,
    /// The faults, each with whether it stands from the beginning.
    pub faults: Vec<(Fault, Switch)>,
    /// The ways on which they sit.
    pub directions: Directions,
    /// The share of connections, and for faults on requests of requests, that they act on.
    pub chance: Chance,
    /// The requests that faults on requests are for.
    pub matching: Match,
    /// Which of these they act on; a chance stands in [`Seat::chance`].
    pub which: Which,
    /// Root of all choices.
    pub seed: Seed,
    /// How long it sits; without end if not given.
    pub hold: Option<Span>,
}

/// How calls come to a proxy by hand.
#[derive(Debug, Clone)]
pub enum Route {
    /// Callers dial it.
    Listen {
        /// The address that callers dial.
        listen: String,
        /// The address that is dialled on.
        upstream: String,
    },
    /// It sits in on the calls of callers that know nothing of it.
    Attach(Box<Attach>),
}

impl Seat {
    /// Where calls go.
    pub(crate) fn upstream(&self) -> String {
        match &self.route {
            Route::Listen { upstream, .. } => upstream.clone(),
            Route::Attach(attach) => attach.to.to_string(),
        }
    }

    /// Refuses what could never stand here, before anything is touched.
    pub(crate) fn check(&self) -> Result<EdgeTls, SeatError> {
        if let Some((fault, _)) =
            self.faults.iter().find(|(fault, _)| !matches!(fault.effect(), Effect::Edge(_)))
        {
            return Err(SeatError::NotOfConnections { fault: fault.name() });
        }
        let tls = match &self.tls {
            Some(settings) => EdgeTls::open(settings, self.state.path(), &self.upstream())?,
            None => EdgeTls::default(),
        };
        match self.faults.iter().find(|(fault, _)| fault.acts_on_handshakes()) {
            Some((fault, _)) if tls.terminate.is_none() => {
                Err(SeatError::NoHandshakes { fault: fault.name() })
            }
            _ => Ok(tls),
        }
    }

    pub(crate) fn fault_texts(&self) -> Vec<String> {
        let off = |switch| if switch == Switch::Off { " (off)" } else { "" };
        self.faults.iter().map(|(fault, switch)| format!("{}{}", fault.text(), off(*switch))).collect()
    }

    pub(crate) fn when(&self) -> String {
        self.hold.map(|hold| format!("for {hold}")).unwrap_or_default()
    }

    /// What a fault does here, to the requests that are chosen if it acts on requests.
    pub(crate) fn effect_of(&self, fault: &Fault) -> Effect {
        fault.on_requests(&self.matching, &self.which_with_chance()).unwrap_or_else(|| fault.effect())
    }

    pub(crate) fn which_with_chance(&self) -> Which {
        let chance = (self.chance != Chance::ALWAYS).then_some(self.chance);
        Which { chance, ..self.which.clone() }
    }
}

/// Whether a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// It stands.
    On,
    /// It does not.
    Off,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// A fault on handshakes where there are none.
    #[error(
        "{fault} acts on TLS handshakes of callers: add `--tls`, or `--tls=terminate` if the dependency speaks no TLS"
    )]
    NoHandshakes {
        /// Which.
        fault: &'static str,
    },
    /// A fault of another kind.
    #[error("{fault} does not act on connections")]
    NotOfConnections {
        /// Which.
        fault: &'static str,
    },
    /// A name of ours is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody can be sat in on.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Many would be sat in on, and nobody agreed to it.
    #[error(
        "attach would sit in on {} callers at once: {}; if that is meant, add --yes, else narrow it (--pick, --exclude)",
        .callers.len(), .callers.join(", ")
    )]
    NotAgreed {
        /// Their names.
        callers: Vec<String>,
    },
    /// A signal came before it sat.
    #[error("interrupted before the callers were sat in on; everything was taken back")]
    Interrupted,
    /// It did not come about, and something may not be as before.
    #[error("{error}; and something may not be as before: {}", .rest.join("; "))]
    NotTakenBack {
        /// Why it did not.
        error: Box<SeatError>,
        /// What may not be, each with what to type.
        rest: Vec<String>,
    },
}
