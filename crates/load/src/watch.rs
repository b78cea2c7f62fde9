//! Asking a question again and again, at fixed times. Open loop, too: an answer that takes long does not delay the
//! next question, so an outage counts with its whole length.

use std::sync::Arc;
use std::time::Instant;

use murphy_core::{EventKind, ProbeName, Recorder, Span};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::probe::{Question, ask};

/// Asks at once and then every `every`, measured from the beginning so that nothing drifts, and records each answer as
/// `Probe`. Each question has `within` to be answered. Returns when `stop` is cancelled; questions that are open then
/// are withdrawn without a record.
///
/// Should this process have stood still for longer than `every`, the times that were missed are left out rather than
/// asked in a burst: unlike a load, a probe promises no number of questions.
pub async fn watch(
    probe: ProbeName,
    question: Question,
    every: Span,
    within: Span,
    recorder: Recorder,
    stop: CancellationToken,
) {
    let question = Arc::new(question);
    let mut open = JoinSet::new();
    // A period below the timer's grain would mean a busy loop.
    let every = every.max(Span::from_millis(1)).as_duration();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while open.try_join_next().is_some() {}
        let (probe, question, recorder) = (probe.clone(), Arc::clone(&question), recorder.clone());
        open.spawn(murphy_core::boxed(async move {
            // Read here: a task may begin late, and what is asked after a fault began is not to look as if it was answered before.
            let asked = recorder.clock().offset(Instant::now());
            let reply = ask(&question, within).await;
            recorder.record(EventKind::Probe {
                probe,
                asked,
                took: reply.took,
                ok: reply.ok,
                saw: reply.saw,
            });
        }));
    }
}
