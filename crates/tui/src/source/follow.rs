//! A run that somebody else carries out, followed by its journal; where it takes orders, it is asked and steered as well.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use murphy_core::{Event, RunClock};
use murphy_runner::Helm;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{Page, Window};
use crate::order::{Heard, Order};
use crate::record::Recorded;
use crate::screen::{Shared, lock, save};
use crate::source::steer::Reins;
use crate::world::Loudness;

/// Why a run cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("cannot follow {}: {source}; name a run directory, as `murphy run` prints it", .journal.display())]
pub struct FollowError {
    /// The journal that was looked for.
    pub journal: PathBuf,
    /// Why it cannot be read.
    pub source: std::io::Error,
}

/// How often a journal that has ended so far is looked at again.
const AGAIN: Duration = Duration::from_millis(100);

/// A followed run.
pub struct Follow {
    world: Shared,
    clock: RunClock,
    record: Recorded,
    reins: Option<Reins>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Follow {
    /// Follows the journal of a run directory from its beginning. Must be called inside a runtime.
    pub fn start(run: &Path) -> Result<Follow, FollowError> {
        let journal = run.join("journal.ndjson");
        let file = File::open(&journal).map_err(|source| FollowError { journal, source })?;
        let (world, stop, tasks) = (Shared::default(), CancellationToken::new(), TaskTracker::new());
        tasks.spawn(murphy_core::boxed(follow(Shared::clone(&world), BufReader::new(file), stop.clone())));
        let (clock, record) = (RunClock::start(), Recorded::default());
        Ok(Follow { world, clock, record, reins: None, stop, tasks })
    }

    /// Also asks the run itself what is on its edges, and carries orders for them out. Must be called inside a runtime.
    pub fn steer(&mut self, helm: Helm) {
        let (world, record) = (Shared::clone(&self.world), self.record.clone());
        self.reins = Some(Reins::take(helm, world, (self.clock, record), &self.stop, &self.tasks));
    }

    /// Its clock, and what was done so far.
    pub fn recorded(&self) -> (RunClock, Recorded) {
        (self.clock, self.record.clone())
    }

    /// Carries an order out. Never waits.
    pub fn act(&self, order: Order) -> Heard {
        match (order, &self.reins) {
            (Order::Save { path }, _) => save(&self.world, &self.record, self.clock, &path),
            (order, Some(reins)) => return reins.act(order),
            (Order::Look(window), None) => self.look(window),
            _ => return Heard::No,
        }
        Heard::Yes
    }

    /// What is seen.
    pub fn world(&self) -> Shared {
        Shared::clone(&self.world)
    }

    /// A journal tells of connections when they end, and not what has passed through those that are open: that is said.
    fn look(&self, window: Option<Window>) {
        let page = window.map(|window| Arc::new(Page::untold(window, "a journal does not tell them")));
        lock(&self.world).connections = page;
    }

    /// Stops following. What was put on the run's edges goes.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn follow(world: Shared, mut journal: BufReader<File>, stop: CancellationToken) {
    // A line may be half written when it is read: it is kept until its end comes.
    let mut line = String::new();
    while !stop.is_cancelled() {
        match journal.read_line(&mut line) {
            Ok(0) => {}
            Ok(_) if line.ends_with('\n') => {
                match serde_json::from_slice::<Event>(line.as_bytes()) {
                    Ok(event) => lock(&world).see(event),
                    Err(error) => {
                        let mut seen = lock(&world);
                        let now = seen.now;
                        seen.note(
                            now,
                            Loudness::Trouble,
                            format!("a line of the journal cannot be read: {error}"),
                        );
                    }
                }
                line.clear();
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                let mut seen = lock(&world);
                let now = seen.now;
                seen.note(now, Loudness::Trouble, format!("the journal cannot be read: {error}"));
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use murphy_core::{EdgeName, EventKind, Offset, write_line};

    use super::*;

    #[tokio::test]
    async fn lines_that_come_later_and_in_halves_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = File::create(folder.path().join("journal.ndjson")).unwrap();
        let follow = Follow::start(folder.path()).unwrap();
        let edge = EdgeName::new("db").unwrap();
        let kind = EventKind::EdgeListening { edge, listen: "a:1".into(), upstream: "b:2".into() };
        let mut line = Vec::new();
        write_line(&mut line, &Event { seq: 0, at: Offset::ZERO, kind }).unwrap();
        let (first, second) = line.split_at(10);
        journal.write_all(first).unwrap();
        journal.flush().unwrap();
        tokio::time::sleep(AGAIN * 2).await;
        assert!(lock(&follow.world).edges.is_empty());
        journal.write_all(second).unwrap();
        let seen = async {
            while lock(&follow.world).edges.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("the line is seen");
        follow.end().await;
    }

    #[tokio::test]
    async fn a_folder_without_a_journal_is_told_with_what_to_name() {
        let folder = tempfile::tempdir().unwrap();
        let Err(error) = Follow::start(folder.path()) else { panic!("followed nothing") };
        assert!(error.to_string().contains("run directory"), "{error}");
    }
}
