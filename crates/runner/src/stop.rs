//! A wish to end a run early, with its reason; the first one wins.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a run ends before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// A signal: its name and number.
    Signal {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        name: &'static str,
        /// 2, 15 or 1.
        number: i32,
    },
    /// A stop condition of the scenario.
    AbortIf {
        /// The condition as written.
        rule: String,
    },
    /// Somebody who may asked for it.
    Request,
}

/// Shared by whoever may stop a run and the run itself.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Stop {
    /// Not stopped yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Ends the run; a later call changes nothing.
    pub fn stop(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Completes when the run is to end.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }
}
