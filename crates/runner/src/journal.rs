//! The journal's writer: one thread that numbers events, appends them to the file and shows each to an observer.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use murphy_core::{Event, EventKind, JournalError, Recording, Secrets, each_event, write_line};

/// Sees every event once, in the journal's order. It must be quick: the queue behind it is bounded.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

/// The writing thread.
#[derive(Debug)]
pub struct JournalWriter {
    thread: JoinHandle<io::Result<()>>,
}

impl JournalWriter {
    /// Starts the thread. It ends after `RunEnded`, or when every recorder is gone. If the file cannot be written any
    /// more, `on_error` is called once, the rest is read and shown but not kept, and `finish` gives the error.
    pub fn start(
        path: &Path,
        mut recording: Recording,
        secrets: Secrets,
        mut observer: Observer,
        on_error: impl FnOnce() + Send + 'static,
    ) -> io::Result<JournalWriter> {
        let mut file = BufWriter::with_capacity(256 * 1024, File::create_new(path)?);
        let mut on_error = Some(on_error);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            let mut result = Ok(());
            let mut keep = |outcome: io::Result<()>| {
                if let (Ok(()), Err(error)) = (&result, outcome) {
                    result = Err(error);
                    if let Some(on_error) = on_error.take() {
                        on_error();
                    }
                }
            };
            loop {
                match recording.next(Duration::from_millis(50)) {
                    Ok(Some(event)) => {
                        let event = if secrets.is_empty() { event } else { without(&secrets, event) };
                        keep(write_line(&mut file, &event));
                        observer(&event);
                        if event.kind == EventKind::RunEnded {
                            break;
                        }
                    }
                    // Idle: what is there goes to disk, so that a crash loses at most a moment.
                    Ok(None) => keep(file.flush()),
                    Err(()) => break,
                }
            }
            keep(file.flush());
            result
        })?;
        Ok(JournalWriter { thread })
    }

    /// Waits until everything is written.
    pub fn finish(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the journal's thread panicked")))
    }
}

/// The event with its secrets masked, for the file and for whoever watches.
fn without(secrets: &Secrets, event: Event) -> Event {
    let hidden = serde_json::to_vec(&event).ok().and_then(|line| secrets.hide_event(&line));
    hidden.unwrap_or(event)
}

/// Reads a finished (or torn) journal, event by event.
pub fn read_events(path: &Path, take: &mut dyn FnMut(Event)) -> Result<(), JournalError> {
    each_event(&mut BufReader::with_capacity(256 * 1024, File::open(path)?), take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Phase, Recorder, RunClock};
    use std::sync::{Arc, Mutex};

    #[test]
    fn everything_recorded_before_the_end_is_on_disk_and_was_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.ndjson");
        let (recorder, recording) = Recorder::new(RunClock::start(), 10_000);
        let shown = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&shown);
        let writer = JournalWriter::start(
            &path,
            recording,
            Secrets::default(),
            Box::new(move |_| *counter.lock().unwrap() += 1),
            || (),
        )
        .unwrap();
        for _ in 0..999 {
            recorder.record(EventKind::PhaseStarted { phase: Phase::Baseline });
        }
        recorder.record(EventKind::RunEnded);
        writer.finish().unwrap();
        let mut read = 0;
        read_events(&path, &mut |_| read += 1).unwrap();
        assert_eq!(read, 1000);
        assert_eq!(*shown.lock().unwrap(), 1000);
    }
}
