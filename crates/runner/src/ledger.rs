//! Reads back what a load has written, when it is over and every fault is taken back: until two readings are the same, all that was
//! acknowledged is there and no queue holds any of it, or the time is up. It judges nothing: which writes are lost is told from the journal.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use murphy_core::{Aside, EventKind, Kept, LedgerRead, LoadName, ReadBack, Recorder, Span};
use murphy_load::{Question, Writes, ask_for_all};
use murphy_scenario::{self as scenario, LoadPlan};

use crate::{RunError, setup};

/// The time that one reading may take.
const READING: Span = Span::from_secs(30);

/// The ledger of one load.
#[derive(Debug)]
pub(crate) struct Ledger {
    load: LoadName,
    writes: Writes,
    question: Question,
    dead_letters: Option<Question>,
    queued: Option<Question>,
    settle: Duration,
    within: Duration,
    recorder: Recorder,
}

/// What one reading found.
#[derive(Debug, PartialEq)]
struct Found {
    kept: Kept,
    aside: Aside,
}

impl Ledger {
    /// Of a load; `None` if it has none.
    pub(crate) fn of(
        plan: &LoadPlan,
        writes: Option<&Writes>,
        recorder: &Recorder,
    ) -> Result<Option<Ledger>, RunError> {
        let (Some(ledger), Some(writes)) = (&plan.ledger, writes) else { return Ok(None) };
        let asked = |question: &scenario::Question| {
            setup::question(question, None)
                .map_err(|why| RunError::Setup { what: format!("the ledger of {}", plan.name), why })
        };
        Ok(Some(Ledger {
            load: plan.name.clone(),
            writes: writes.clone(),
            question: asked(&ledger.read)?,
            dead_letters: ledger.dead_letters.as_ref().map(asked).transpose()?,
            queued: ledger.queued.as_ref().map(asked).transpose()?,
            settle: ledger.settle.as_duration(),
            within: ledger.within.as_duration(),
            recorder: recorder.clone(),
        }))
    }

    /// Reads, and records what was found.
    pub(crate) async fn read(self) {
        let until = Instant::now() + self.within;
        let mut before: Option<Found> = None;
        let mut readings = 0u32;
        let (asked, back, aside) = loop {
            let asked = self.recorder.clock().now();
            let found = self.all().await;
            readings += 1;
            // Two readings are the least of which anything can be told, however long one takes.
            let last = readings > 1 && Instant::now() + self.settle > until;
            let same = found.as_ref().ok().is_some_and(|found| before.as_ref() == Some(found));
            match found {
                Ok(found) if same && (last || self.is_done(&found)) => {
                    break (asked, ReadBack::Settled { kept: found.kept }, found.aside);
                }
                Ok(found) if last => break (asked, ReadBack::Changing { kept: found.kept }, found.aside),
                Err(why) if last => break (asked, ReadBack::Failed { why }, Aside::default()),
                found => before = found.ok(),
            }
            tokio::time::sleep(self.settle).await;
        };
        let read = Box::new(LedgerRead { asked, ids: self.writes.ids, back, aside });
        self.recorder.record(EventKind::LedgerRead { load: self.load, read });
    }

    /// One reading of every place, or why one of them could not be read. A message that moves on in the meantime must be seen once
    /// at least: so the places are asked in the order in which it passes them.
    async fn all(&self) -> Result<Found, String> {
        let queued = self.found_by(self.queued.as_ref(), "the queue: ").await?;
        let dead_letters = self.found_by(self.dead_letters.as_ref(), "the dead letters: ").await?;
        let kept = self.found_by(Some(&self.question), "").await?.unwrap_or_default();
        Ok(Found { kept, aside: Aside { dead_letters, queued } })
    }

    /// What an answer has of the ids; `None` if nothing is asked.
    async fn found_by(&self, question: Option<&Question>, place: &str) -> Result<Option<Kept>, String> {
        let Some(question) = question else { return Ok(None) };
        let reply = ask_for_all(question, READING).await;
        let kept = if reply.ok { self.found_in(reply.said.text).await } else { Err(reply.saw) };
        kept.map(Some).map_err(|why| format!("{place}{why}"))
    }

    /// The ids in an answer, or why they cannot be told. Not on a thread of the runtime: other runs may be under way, with
    /// requests to be sent on time, and an answer may be large.
    async fn found_in(&self, text: String) -> Result<Kept, String> {
        let ids = self.writes.ids.clone();
        tokio::task::spawn_blocking(move || ids.found_in(&text)).await.map_err(|panic| panic.to_string())
    }

    /// True if waiting changes nothing: all that was acknowledged is somewhere, and none of it in a queue.
    fn is_done(&self, found: &Found) -> bool {
        let Found { kept, aside } = found;
        let acknowledged = self.writes.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.iter().all(|n| (kept.times(*n) > 0 || aside.is_dead(*n)) && !aside.is_queued(*n))
    }
}
