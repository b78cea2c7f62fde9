//! A container's own output: followed line by line into the journal, within a budget, and its last lines after an exit.

use std::cmp::Ordering;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use chrono::{DateTime, SecondsFormat};
use futures_util::StreamExt;
use murphy_core::{ContainerIdentity, EventKind, Offset, OutputStream, Recorder, Span, Timestamp};

use crate::engine::Engine;
use crate::error::EngineError;

/// Lines of one container that are written down in a second; more are counted.
const LINES_A_SECOND: u32 = 100;
/// A line is cut after so many bytes.
const LINE_BYTES: usize = 2048;
/// Lines that are kept of a container that ended.
const LAST_LINES: usize = 20;
/// As far back as lines are read when a container's output is followed (again).
const BURST: &str = "1000";
/// How long an engine may take to hand out the last lines.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How much of a container's output is written down.
#[derive(Debug, Default)]
struct Budget {
    second: u64,
    used: u32,
    left_out: u64,
}

impl Budget {
    /// Whether one more line may be written down now, and how many were left out before it.
    fn grant(&mut self, now: Offset) -> Option<u64> {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.used) = (second, 0);
        }
        if self.used >= LINES_A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// How far a container's output has been read. An engine's stamps may be as coarse as a second (Podman's are).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The latest stamp of a line that was.
    stamp: String,
    /// So many lines had it.
    lines: usize,
}

impl Mark {
    /// Nothing, of what is written from a time since 1970 on.
    pub fn at(since_epoch: Duration) -> Mark {
        let seconds = Timestamp::from_unix(since_epoch.as_secs());
        let stamp = format!("{}.{:09}Z", seconds.as_str().trim_end_matches('Z'), since_epoch.subsec_nanos());
        Mark { stamp, lines: 0 }
    }

    fn add(&mut self, stamp: String) {
        match stamp.cmp(&self.stamp) {
            Ordering::Greater => *self = Mark { stamp, lines: 1 },
            Ordering::Equal => self.lines += 1,
            // An engine may swap the lines of two streams.
            Ordering::Less => {}
        }
    }
}

/// Passes over the lines up to a mark, in a log that is read again from an earlier line on.
#[derive(Debug)]
struct Skip {
    to: Mark,
    passed: Passed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// So many lines with the mark's own stamp so far.
    NotYet(usize),
    Yes,
}

impl Skip {
    fn to(to: Mark) -> Skip {
        Skip { to, passed: Passed::NotYet(0) }
    }

    fn is_new(&mut self, stamp: &str) -> bool {
        let Passed::NotYet(met) = self.passed else { return true };
        match stamp.cmp(&self.to.stamp) {
            Ordering::Less => return false,
            Ordering::Equal if met < self.to.lines => {
                self.passed = Passed::NotYet(met + 1);
                return false;
            }
            Ordering::Equal | Ordering::Greater => self.passed = Passed::Yes,
        }
        true
    }
}

/// A line of a log stream with the engine's timestamp in front: when (in UTC; such stamps sort as text), where, what.
fn read(output: LogOutput) -> Option<(String, OutputStream, String)> {
    let stream = match output {
        LogOutput::StdErr { .. } => OutputStream::Stderr,
        LogOutput::StdOut { .. } | LogOutput::Console { .. } => OutputStream::Stdout,
        LogOutput::StdIn { .. } => return None,
    };
    let bytes = output.into_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (stamp, line) = text.trim_end_matches(['\n', '\r']).split_once(' ').unwrap_or((&text, ""));
    let stamp = stamp.trim_end();
    Some((utc(stamp).unwrap_or_else(|| stamp.to_owned()), stream, cut(line)))
}

/// A stamp with the offset of a time zone (Podman's, where its machine has one) brought to UTC; `None` if it is in UTC, or none.
fn utc(stamp: &str) -> Option<String> {
    if stamp.ends_with('Z') {
        return None;
    }
    let time = DateTime::parse_from_rfc3339(stamp).ok()?;
    // As many digits in all stamps of an engine, so that they sort as text.
    let digits = if stamp.contains('.') { SecondsFormat::Nanos } else { SecondsFormat::Secs };
    Some(time.to_utc().to_rfc3339_opts(digits, true))
}

fn cut(line: &str) -> String {
    if line.len() <= LINE_BYTES {
        return line.to_owned();
    }
    let end = (0..=LINE_BYTES).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    format!("{} …", &line[..end])
}

/// Follows one life of a container's output until it ends. Lines up to the mark were written down earlier, or are from
/// before the watch, and are not repeated.
pub(super) async fn follow(
    engine: Engine,
    container: ContainerIdentity,
    mut mark: Mark,
    recorder: Recorder,
) -> (ContainerIdentity, Mark) {
    let options =
        LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).timestamps(true).tail(BURST).build();
    engine.count_call();
    let mut lines = Box::pin(engine.docker().logs(&container.id, Some(options)));
    let (mut budget, mut skip) = (Budget::default(), Skip::to(mark.clone()));
    // A container without readable logs ends this at once; that is its owner's choice and no error.
    while let Some(Ok(output)) = lines.next().await {
        let Some((stamp, stream, line)) = read(output) else { continue };
        if !skip.is_new(&stamp) {
            continue;
        }
        if let Some(left_out) = budget.grant(recorder.clock().now()) {
            let container = container.clone();
            recorder.record(EventKind::ContainerOutput { container, stream, line, left_out });
        }
        mark.add(stamp);
    }
    (container, mark)
}

impl Engine {
    /// What a container wrote since the mark, of its last 1000 lines. The mark moves only if this succeeds.
    ///
    /// # Errors
    /// An engine that does not answer, or does not keep this container's output.
    pub async fn output_after(
        &self,
        container: &ContainerIdentity,
        mark: &mut Mark,
    ) -> Result<Vec<String>, EngineError> {
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail(BURST).build();
        let collect = async {
            let mut output = Box::pin(self.docker().logs(&container.id, Some(options)));
            let (mut lines, mut reached, mut skip) = (Vec::new(), mark.clone(), Skip::to(mark.clone()));
            while let Some(chunk) = output.next().await {
                if let Some((stamp, _, line)) = read(chunk?).filter(|(stamp, ..)| skip.is_new(stamp)) {
                    reached.add(stamp);
                    lines.push(line);
                }
            }
            *mark = reached;
            Ok(lines)
        };
        self.call("logs", collect).await
    }

    /// The last lines that a container wrote, oldest first; none if the engine does not keep them or is too slow.
    pub async fn last_output(&self, container: &ContainerIdentity) -> Vec<String> {
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&LAST_LINES.to_string()).build();
        self.count_call();
        let mut output = Box::pin(self.docker().logs(&container.id, Some(options)));
        let mut lines = Vec::new();
        let collect = async {
            while let Some(Ok(chunk)) = output.next().await {
                let text = String::from_utf8_lossy(&chunk.into_bytes()).into_owned();
                lines.extend(text.lines().map(cut));
            }
        };
        // What has come until then is worth having.
        let _ = tokio::time::timeout(PATIENCE, collect).await;
        let surplus = lines.len().saturating_sub(LAST_LINES);
        lines.drain(..surplus);
        lines
    }
}

/// The pause before a broken stream is followed again.
pub(super) const AGAIN_AFTER: Span = Span::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a log to its end, and says which lines were new.
    fn read_on(mark: &mut Mark, log: &[&str]) -> usize {
        let mut skip = Skip::to(mark.clone());
        let new: Vec<&&str> = log.iter().filter(|stamp| skip.is_new(stamp)).collect();
        new.iter().for_each(|stamp| mark.add((**stamp).to_owned()));
        new.len()
    }

    #[test]
    fn each_line_is_new_once_also_where_stamps_are_coarse() {
        let mut mark = Mark { stamp: "48.5".to_owned(), lines: 0 };
        assert_eq!(read_on(&mut mark, &["47Z", "48.4", "48.6", "49Z", "49Z"]), 3);
        assert_eq!(read_on(&mut mark, &["47Z", "48.4", "48.6", "49Z", "49Z", "49Z", "50Z"]), 2);
        assert_eq!(read_on(&mut mark, &["49Z", "49Z", "49Z", "50Z"]), 0);
        // Two streams whose lines came to the log the wrong way round.
        assert_eq!(read_on(&mut mark, &["50Z", "52Z", "51Z"]), 2);
        assert_eq!(read_on(&mut mark, &["50Z", "52Z", "51Z", "52Z"]), 1);
    }

    #[test]
    fn a_stamp_of_another_time_zone_is_brought_to_utc() {
        for (local, expected) in [
            ("2026-11-24T12:00:05-05:00", "2026-11-24T17:00:05Z"),
            ("2026-03-01T04:29:59.25+05:30", "2026-02-28T22:59:59.250000000Z"),
            ("2028-02-29T23:30:00-00:30", "2028-03-01T00:00:00Z"),
            ("2027-01-01T00:00:00+00:00", "2027-01-01T00:00:00Z"),
            ("2026-11-24T12:00:05Z", "2026-11-24T12:00:05Z"),
            ("2026-11-24T12:00:05.000000001Z", "2026-11-24T12:00:05.000000001Z"),
            ("+05:00", "+05:00"),
            ("warming-up", "warming-up"),
        ] {
            let message = format!("{local} hello\n").into();
            let (stamp, ..) = read(LogOutput::StdOut { message }).unwrap();
            assert_eq!(stamp, expected, "{local}");
        }
    }

    #[test]
    fn a_flood_of_lines_is_cut_to_its_budget_and_counted() {
        let mut budget = Budget::default();
        let granted = (0..250).filter(|_| budget.grant(Offset::from_micros(10)).is_some()).count();
        assert_eq!(granted, 100);
        assert_eq!(budget.grant(Offset::from_micros(1_000_001)), Some(150));
        assert_eq!(budget.grant(Offset::from_micros(1_000_002)), Some(0));
    }

    #[test]
    fn a_line_is_read_with_its_timestamp_and_a_long_one_is_cut_at_a_letter() {
        let message = "2026-11-24T10:00:00.000000001Z hello there\n".into();
        let (stamp, stream, line) = read(LogOutput::StdErr { message }).unwrap();
        assert_eq!(
            (stamp.as_str(), stream, line.as_str()),
            ("2026-11-24T10:00:00.000000001Z", OutputStream::Stderr, "hello there")
        );
        assert_eq!(stamp.len(), Mark::at(Duration::from_nanos(1)).stamp.len());
        let empty = read(LogOutput::StdOut { message: "2026-11-24T10:00:00.000000001Z \n".into() }).unwrap();
        assert_eq!(empty.2, "");
        assert!(cut(&"ä".repeat(2000)).len() <= LINE_BYTES + 4);
    }
}
