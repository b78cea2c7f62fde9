//! The journal's writer: one thread that numbers events, appends them to the file and shows each to an observer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc;
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

/// Bytes of whole lines that change hands at once: a hand-over wakes a thread, which costs nothing beside some hundreds of events.
const BLOCK: usize = 256 * 1024;

/// Reads a finished (or torn) journal, event by event, in its order. Of each two blocks of lines a thread of its own understands the
/// second while the first is understood and taken here: that is most of the work of judging a long run.
pub fn read_events(path: &Path, take: &mut dyn FnMut(Event)) -> Result<(), JournalError> {
    let mut file = BufReader::with_capacity(BLOCK, File::open(path)?);
    std::thread::scope(|scope| {
        let (to_helper, lines) = mpsc::channel::<Vec<u8>>();
        let (understood, from_helper) = mpsc::channel();
        std::thread::Builder::new().name("journal-reader".into()).spawn_scoped(scope, move || {
            for block in lines {
                let mut events = Vec::new();
                let done = each_event(&mut &block[..], &mut |event| events.push(event));
                if understood.send((events, done)).is_err() {
                    return;
                }
            }
        })?;
        // Each line is an event, or the end of reading.
        let mut taken = 0;
        loop {
            let first = block(&mut file)?;
            let (second, failed) = match block(&mut file) {
                Ok(lines) => (lines, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let is_last = second.is_empty();
            if !is_last {
                // Nothing but its panic ends the helper early, and the scope passes that on.
                let _ = to_helper.send(second);
            }
            let before = taken;
            each_event(&mut &first[..], &mut |event| {
                taken += 1;
                take(event);
            })
            .map_err(|error| further(error, before))?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if is_last {
                return Ok(());
            }
            let before = taken;
            let Ok((events, done)) = from_helper.recv() else { return Ok(()) };
            taken += events.len() as u64;
            events.into_iter().for_each(&mut *take);
            done.map_err(|error| further(error, before))?;
        }
    })
}

/// The next lines; none at the end. Only the last of all may be torn.
fn block(file: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(BLOCK + 4096);
    (&mut *file).take(BLOCK as u64).read_to_end(&mut lines)?;
    if !lines.is_empty() && !lines.ends_with(b"\n") {
        file.read_until(b'\n', &mut lines)?;
    }
    Ok(lines)
}

/// The same error in a file in which so many lines stand before.
fn further(error: JournalError, before: u64) -> JournalError {
    match error {
        JournalError::Line { line, source } => JournalError::Line { line: line + before, source },
        JournalError::Read(error) => JournalError::Read(error),
    }
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
    fn phase_at(seq: u64, file: &mut File) {
        let kind = EventKind::PhaseStarted { phase: Phase::Baseline };
        write_line(file, &Event { seq, at: murphy_core::Offset::ZERO, kind }).unwrap();
    }

    #[test]
    fn events_are_read_in_their_order_up_to_a_line_that_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.ndjson");
        let mut file = File::create(&path).unwrap();
        let mut count = 0;
        // In an even block and in an odd one, and torn behind either.
        for blocks in 1..=4 {
            while file.metadata().unwrap().len() < (blocks * BLOCK - BLOCK / 2) as u64 {
                phase_at(count, &mut file);
                count += 1;
            }
            for (end, is_error) in [("{}\n", true), ("{\"seq\":", false)] {
                let broken = dir.path().join("broken.ndjson");
                std::fs::copy(&path, &broken).unwrap();
                File::options().append(true).open(&broken).unwrap().write_all(end.as_bytes()).unwrap();
                let mut read = Vec::new();
                let done = read_events(&broken, &mut |event| read.push(event.seq));
                assert_eq!(read, (0..count).collect::<Vec<u64>>());
                match done {
                    Ok(()) => assert!(!is_error),
                    Err(JournalError::Line { line, .. }) => assert!(is_error && line == count + 1, "{line}"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    #[test]
    fn a_panic_of_who_takes_events_is_no_hang() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.ndjson");
        let mut file = File::create(&path).unwrap();
        for seq in 0..10_000 {
            phase_at(seq, &mut file);
        }
        let taken = std::panic::AssertUnwindSafe(|| read_events(&path, &mut |_| panic!("no more of it")));
        assert!(std::panic::catch_unwind(taken).is_err());
    }
}
