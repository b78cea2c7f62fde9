//! The journal's form: one JSON object a line. Reading tolerates a torn last line (a crash in mid-write) and nothing else.

use std::io::{self, BufRead, Write};

use crate::Event;

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read.
    #[error("cannot read the journal: {0}")]
    Read(#[from] io::Error),
    /// A line is not an event.
    #[error("journal line {line} is not an event of this version: {source}")]
    Line {
        /// From 1.
        line: u64,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// Appends one event as one line.
pub fn write_line(out: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// Reads event by event, so that a journal need not fit into memory. A last line without its newline is a torn write and is
/// left out.
pub fn each_event(input: &mut dyn BufRead, take: &mut dyn FnMut(Event)) -> Result<(), JournalError> {
    let mut text = Vec::with_capacity(512);
    let mut line = 0;
    loop {
        text.clear();
        if input.read_until(b'\n', &mut text)? == 0 || !text.ends_with(b"\n") {
            return Ok(());
        }
        line += 1;
        take(serde_json::from_slice(&text).map_err(|source| JournalError::Line { line, source })?);
    }
}

/// Reads all events.
pub fn read_journal(mut input: impl BufRead) -> Result<Vec<Event>, JournalError> {
    let mut events = Vec::new();
    each_event(&mut input, &mut |event| events.push(event))?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventKind, Offset, Phase};

    fn event(seq: u64) -> Event {
        Event { seq, at: Offset::from_micros(seq), kind: EventKind::PhaseStarted { phase: Phase::Baseline } }
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_the_rest_is_read() {
        let mut bytes = Vec::new();
        write_line(&mut bytes, &event(0)).unwrap();
        write_line(&mut bytes, &event(1)).unwrap();
        bytes.truncate(bytes.len() - 5);
        assert_eq!(read_journal(bytes.as_slice()).unwrap(), vec![event(0)]);
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_with_its_number() {
        let error = read_journal(&b"{\n{}\n"[..]).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
