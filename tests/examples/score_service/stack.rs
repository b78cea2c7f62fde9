//! The library of a spec, put before the callee.

use std::future::{Ready, ready};
use std::sync::Arc;

use backon::{ExponentialBuilder, Retryable as _};
use hyper::body::Bytes;
use recloser::{AsyncRecloser, Error, Recloser};
use tower::retry::Policy;
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::call::{Callee, Failed};
use crate::spec::{Around, Beyond, Counts, Jitter, Spec};

/// What a request wants of the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Callee,
    /// A place only: it needs no callee.
    Nothing,
}

/// A library, and the callee behind it.
pub(crate) type Stack = BoxCloneSyncService<Wanted, Bytes, Failed>;

/// What the library stands around.
pub(crate) fn around(spec: &Spec) -> Around {
    match spec {
        Spec::ConcurrencyLimit { around, .. } => *around,
        Spec::Timeout { .. } | Spec::Retry { .. } | Spec::Backon { .. } | Spec::Breaker { .. } => {
            Around::Calls
        }
    }
}

/// The library of a spec before the callee.
pub(crate) fn stack(spec: &Spec, callee: Callee) -> Stack {
    let calls = Stack::new(service_fn(move |wanted: Wanted| {
        let callee = callee.clone();
        async move {
            match wanted {
                Wanted::Callee => callee.get().await,
                Wanted::Nothing => Ok(Bytes::from_static(b"{}")),
            }
        }
    }));
    match *spec {
        Spec::Timeout { after } => {
            Stack::new(ServiceBuilder::new().map_err(Failed::of).timeout(after).service(calls))
        }
        Spec::Retry { attempts, budget } => {
            // No retries for free: the whole budget is what the calls that went well have put in.
            let budget = budget.map(|budget| Arc::new(TpsBudget::new(budget.time_to_live, 0, budget.share)));
            let attempts = Attempts { left: attempts.get() - 1, budget };
            Stack::new(ServiceBuilder::new().retry(attempts).service(calls))
        }
        Spec::Backon { attempts, base, factor, jitter } => {
            let waits = ExponentialBuilder::new()
                .with_min_delay(base)
                .with_factor(factor)
                .without_max_delay()
                .with_max_times(attempts.get() - 1);
            let waits = match jitter {
                Jitter::None => waits,
                Jitter::Added => waits.with_jitter(),
            };
            Stack::new(service_fn(move |wanted: Wanted| {
                let calls = calls.clone();
                (move || calls.clone().oneshot(wanted)).retry(waits)
            }))
        }
        Spec::Breaker { failures, open, half_open, counts, timeout } => {
            // A window of so many calls, all of which failed.
            let breaker = Recloser::custom().closed_len(failures.get()).error_rate_closed(1.0);
            let breaker = breaker.half_open_len(half_open.get()).open_wait(open).build();
            let breaker = AsyncRecloser::from(breaker);
            let calls = ServiceBuilder::new().map_err(Failed::of).timeout(timeout).service(calls);
            Stack::new(service_fn(move |wanted: Wanted| {
                let counted = move |failed: &Failed| match counts {
                    Counts::Failures => true,
                    Counts::Timeouts => matches!(failed, Failed::Elapsed),
                };
                let call = breaker.call_with(counted, calls.clone().oneshot(wanted));
                async move {
                    call.await.map_err(|error| match error {
                        Error::Inner(failed) => failed,
                        Error::Rejected => Failed::Open,
                    })
                }
            }))
        }
        Spec::ConcurrencyLimit { places, around: _, beyond } => match beyond {
            Beyond::Queue => Stack::new(ServiceBuilder::new().concurrency_limit(places.get()).service(calls)),
            Beyond::Refuse => Stack::new(
                ServiceBuilder::new()
                    .map_err(Failed::of)
                    .load_shed()
                    .concurrency_limit(places.get())
                    .service(calls),
            ),
        },
    }
}

/// A policy of tower: so many further attempts, as long as the budget has something left.
#[derive(Debug, Clone)]
struct Attempts {
    left: usize,
    budget: Option<Arc<TpsBudget>>,
}

impl Policy<Wanted, Bytes, Failed> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Wanted, result: &mut Result<Bytes, Failed>) -> Option<Ready<()>> {
        if result.is_ok() {
            if let Some(budget) = &self.budget {
                budget.deposit();
            }
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.budget.as_ref().is_none_or(|budget| budget.withdraw()).then(|| ready(()))
    }

    fn clone_request(&mut self, wanted: &Wanted) -> Option<Wanted> {
        Some(*wanted)
    }
}
