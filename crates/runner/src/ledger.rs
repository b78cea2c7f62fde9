//! Reads back what a load has written, when it is over and every fault is taken back: until two readings are the same and all
//! that was acknowledged is there, or the time is up. It judges nothing: which writes are lost is told from the journal.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use murphy_core::{EventKind, Kept, LedgerRead, LoadName, ReadBack, Recorder, Span};
use murphy_load::{Question, Writes, ask_for_all};
use murphy_scenario::LoadPlan;

use crate::{RunError, setup};

/// The time that one reading may take.
const READING: Span = Span::from_secs(30);

/// The ledger of one load.
#[derive(Debug)]
pub(crate) struct Ledger {
    load: LoadName,
    writes: Writes,
    question: Question,
    settle: Duration,
    within: Duration,
    recorder: Recorder,
}

impl Ledger {
    /// Of a load; `None` if it has none.
    pub(crate) fn of(
        plan: &LoadPlan,
        writes: Option<&Writes>,
        recorder: &Recorder,
    ) -> Result<Option<Ledger>, RunError> {
        let (Some(ledger), Some(writes)) = (&plan.ledger, writes) else { return Ok(None) };
        let question = setup::question(&ledger.read, None)
            .map_err(|why| RunError::Setup { what: format!("the ledger of {}", plan.name), why })?;
        Ok(Some(Ledger {
            load: plan.name.clone(),
            writes: writes.clone(),
            question,
            settle: ledger.settle.as_duration(),
            within: ledger.within.as_duration(),
            recorder: recorder.clone(),
        }))
    }

    /// Reads, and records what was found.
    pub(crate) async fn read(self) {
        let until = Instant::now() + self.within;
        let mut before: Option<Kept> = None;
        let mut readings = 0u32;
        let (asked, back) = loop {
            let asked = self.recorder.clock().now();
            let reply = ask_for_all(&self.question, READING).await;
            let kept = if reply.ok { self.found_in(reply.said.text).await } else { Err(reply.saw) };
            readings += 1;
            // Two readings are the least of which anything can be told, however long one takes.
            let last = readings > 1 && Instant::now() + self.settle > until;
            let same = kept.as_ref().ok().is_some_and(|kept| before.as_ref() == Some(kept));
            match kept {
                Ok(kept) if same && (last || self.holds_all(&kept)) => {
                    break (asked, ReadBack::Settled { kept });
                }
                Ok(kept) if last => break (asked, ReadBack::Changing { kept }),
                Err(why) if last => break (asked, ReadBack::Failed { why }),
                kept => before = kept.ok(),
            }
            tokio::time::sleep(self.settle).await;
        };
        let read = Box::new(LedgerRead { asked, ids: self.writes.ids, back });
        self.recorder.record(EventKind::LedgerRead { load: self.load, read });
    }

    /// The ids in an answer, or why they cannot be told. Not on a thread of the runtime: other runs may be under way, with
    /// requests to be sent on time, and an answer may be large.
    async fn found_in(&self, text: String) -> Result<Kept, String> {
        let ids = self.writes.ids.clone();
        tokio::task::spawn_blocking(move || ids.found_in(&text)).await.map_err(|panic| panic.to_string())
    }

    fn holds_all(&self, kept: &Kept) -> bool {
        let acknowledged = self.writes.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.iter().all(|n| kept.times(*n) > 0)
    }
}
