//! A question that is a command: run in a process group of its own, its output bounded, nothing left behind by a
//! hang. The group is signalled only while its leader is not reaped, so that its number cannot be a stranger's.

use std::io;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::probe::CommandQuestion;

/// How long output may still come after the command has ended: something in the background may hold the pipe open.
const OUTPUT_PATIENCE: std::time::Duration = std::time::Duration::from_millis(100);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub output: String,
    /// How much of the output that is.
    pub extent: Extent,
    pub errors: String,
}

/// How much of a stream was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All, to its end.
    Whole,
    /// The beginning: more came than was to be kept.
    Cut,
    /// What had come; its end had not.
    Unended,
}

/// What is kept of a stream.
struct Stream {
    bytes: Vec<u8>,
    extent: Extent,
}

impl Stream {
    const fn new() -> Stream {
        Stream { bytes: Vec::new(), extent: Extent::Unended }
    }
}

/// Kills a group when dropped before its leader was reaped: on a timeout, and when the asker is cancelled.
struct Leash(Option<Pid>);

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // ESRCH, the only failure to expect, means that nobody is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs it to its end. Dropping the future kills the whole group. At most `kept` bytes of each stream are kept; the rest is read
/// and thrown away, so that the command does not block.
pub(crate) async fn run(question: &CommandQuestion, kept: usize) -> io::Result<Ended> {
    let [program, arguments @ ..] = question.argv.as_slice() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&question.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(dir) = &question.dir {
        command.current_dir(dir);
    }
    let mut child = command.spawn()?;
    let mut leash = Leash(child.id().map(|pid| Pid::from_raw(pid as i32)));
    let (mut output, mut errors) = (Stream::new(), Stream::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = {
        let reading = async {
            tokio::join!(drain(stdout, &mut output, kept), drain(stderr, &mut errors, kept));
        };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                leash.0 = None;
                let _ = tokio::time::timeout(OUTPUT_PATIENCE, reading).await;
                status?
            }
            // All output is there; the end must follow, or the asker's patience ends.
            () = &mut reading => {
                let status = child.wait().await;
                leash.0 = None;
                status?
            }
        }
    };
    let text = |stream: &Stream| String::from_utf8_lossy(&stream.bytes).into_owned();
    Ok(Ended { status, output: text(&output), extent: output.extent, errors: text(&errors) })
}

async fn drain(stream: Option<impl AsyncRead + Unpin>, kept: &mut Stream, most: usize) {
    let Some(mut stream) = stream else { return };
    // On the heap: two of these would make the future a large one.
    let mut buffer = vec![0; 8192];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => {
                let room = most - kept.bytes.len();
                kept.bytes.extend_from_slice(&buffer[..length.min(room)]);
                if length > room {
                    kept.extent = Extent::Cut;
                }
            }
            Err(_) => return,
        }
    }
    if kept.extent == Extent::Unended {
        kept.extent = Extent::Whole;
    }
}
