//! Murphy's side of a worker: started under its mark, heard until it has begun, and ended.
//!
//! The mark must be in an undo log before a worker is started.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Inside, Load, PressureError, Task, WORKER};
use crate::marked::MARK_VARIABLE;

/// How long a worker may take to begin.
const TO_BEGIN: Duration = Duration::from_secs(10);
/// How long the kernel may take to free what a worker held.
const TO_END: Duration = Duration::from_secs(10);

/// A worker at work. It ends with this.
#[derive(Debug)]
pub struct Press {
    child: Child,
    /// The worker lives as long as this.
    pipe: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

/// What became of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was at work to the end, with all that was asked for.
    Full,
    /// It was at work to the end, but not yet with all of it.
    OnTheWay,
    /// It got less than was asked for.
    Short {
        /// How much, and why.
        why: String,
    },
    /// The container that it was in had ended.
    Gone,
    /// It had ended before.
    Early {
        /// How.
        how: String,
    },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Full => f.write_str("all that was asked for was taken"),
            Ended::OnTheWay => f.write_str("not all that was asked for had been taken yet"),
            Ended::Short { why } => write!(f, "less was taken than was asked for, {why}"),
            Ended::Gone => {
                f.write_str("the container's main process had ended before, and with it the pressure")
            }
            Ended::Early { how } => write!(
                f,
                "the worker had ended before its time ({how}); where memory runs out it is the first that the kernel ends"
            ),
        }
    }
}

impl Press {
    /// Starts a worker, on the machine or in a container. `program` is this binary, `mark` is in the undo log.
    pub async fn begin(
        program: &Path,
        load: &Load,
        inside: Option<&Inside>,
        mark: &str,
    ) -> Result<Press, PressureError> {
        let not_begun = |why: String| PressureError::NotBegun { why };
        let task = Task { load: load.clone(), inside: inside.cloned() };
        let task = serde_json::to_string(&task).map_err(|error| not_begun(error.to_string()))?;
        let mut child = Command::new(program)
            .arg(WORKER)
            .arg(task)
            .env(MARK_VARIABLE, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Neither Ctrl-C nor a signal to Murphy's group is for it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(PressureError::Start)?;
        let (Some(pipe), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(not_begun("it has no pipes".to_owned()));
        };
        let mut press = Press { child, pipe: Some(pipe), said: BufReader::new(said) };
        let mut line = String::new();
        match timeout(TO_BEGIN, press.said.read_line(&mut line)).await {
            Ok(Ok(_)) if line.trim() == "begun" => Ok(press),
            Ok(_) => {
                let mut why = String::new();
                if let Some(mut errors) = press.child.stderr.take() {
                    let _ = timeout(TO_END, errors.read_to_string(&mut why)).await;
                }
                let why = why.trim().trim_start_matches("error: ");
                Err(not_begun(if why.is_empty() {
                    "it ended without a word".to_owned()
                } else {
                    why.to_owned()
                }))
            }
            Err(_) => Err(not_begun("it said nothing in time".to_owned())),
        }
    }

    /// Ends it; what it held is free when this returns.
    pub async fn end(mut self) -> Ended {
        let early = self.child.try_wait().ok().flatten();
        drop(self.pipe.take());
        let mut said = String::new();
        if timeout(TO_END, self.said.read_to_string(&mut said)).await.is_err() {
            let _ = self.child.start_kill();
        }
        let _ = timeout(TO_END, self.child.wait()).await;
        let last = said.lines().last().unwrap_or_default();
        match (early, last.strip_prefix("short ")) {
            (Some(_), _) if last == "gone" => Ended::Gone,
            (Some(status), _) => Ended::Early { how: status.to_string() },
            (None, Some(why)) => Ended::Short { why: why.to_owned() },
            (None, None) if last == "full" => Ended::Full,
            (None, None) => Ended::OnTheWay,
        }
    }
}
