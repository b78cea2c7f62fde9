//! A service that Murphy starts: a command as leader of a process group of its own, its output in a file.
//!
//! The exit is *observed* without reaping, so the leader's pid and the group's number stay taken until [`Child::stop`]
//! or the drop; a signal to the group can therefore never hit a stranger. No member of the group may outlive the
//! `Child`: the drop kills what is left.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use murphy_core::{ProcessIdentity, ProcessStatus, Span};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::capability::give_own_limit;
use crate::group::{StopError, stop_group};
use crate::output::tail;
use crate::process::identity_of;
use crate::signal::{Signal, send_group};

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments. A program without `/` is searched in `PATH`.
    pub argv: Vec<String>,
    /// Added to Murphy's own environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None` for Murphy's own directory.
    pub dir: Option<PathBuf>,
    /// The file to which its output and its errors are appended; made if it is not there.
    pub log: PathBuf,
}

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No program given.
    #[error(
        "the command is empty; write the program and its arguments, for example [redis-server, --port, \"6380\"]"
    )]
    Empty,
    /// The program is nowhere.
    #[error("`{program}` was not found in PATH ({path}); install it, or write its full path")]
    NotInPath {
        /// As written.
        program: String,
        /// The PATH that was searched.
        path: String,
    },
    /// The path leads to nothing.
    #[error("`{program}` does not exist{}; build or install it, or correct the path", seen_from(.dir))]
    NoSuchFile {
        /// As written.
        program: String,
        /// The directory that a relative path was seen from.
        dir: Option<PathBuf>,
    },
    /// A script whose interpreter is not installed.
    #[error("`{program}` is there, but what its first line (#!…) names is not; install that interpreter")]
    NoInterpreter {
        /// As written.
        program: String,
    },
    /// Not to be executed.
    #[error(
        "`{program}` may not be executed; `chmod +x {program}`, or put its interpreter first: [sh, {program}]"
    )]
    NotExecutable {
        /// As written.
        program: String,
    },
    /// Neither a program of this machine nor a script.
    #[error(
        "`{program}` is no program of this machine: built for another one, or a script without a first line #!…"
    )]
    NoProgram {
        /// As written.
        program: String,
    },
    /// The working directory is missing.
    #[error("the directory `{}` of `{program}` does not exist or cannot be entered", .dir.display())]
    NoDirectory {
        /// As written.
        program: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The log cannot be written.
    #[error("the output of `{program}` cannot be written to `{}`: {source}", .log.display())]
    Log {
        /// As written.
        program: String,
        /// The file.
        log: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Something else.
    #[error("`{program}` could not be started: {source}")]
    System {
        /// As written.
        program: String,
        /// The system's error.
        source: io::Error,
    },
}

fn seen_from(dir: &Option<PathBuf>) -> String {
    dir.as_ref().map(|dir| format!(" (seen from `{}`)", dir.display())).unwrap_or_default()
}

impl Command {
    /// A command with Murphy's own environment and directory.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>, log: impl Into<PathBuf>) -> Command {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            dir: None,
            log: log.into(),
        }
    }

    /// Starts it as the leader of a new process group, its input empty. Must be called inside a tokio runtime.
    pub fn start(&self) -> Result<Child, SpawnError> {
        let [program, arguments @ ..] = self.argv.as_slice() else { return Err(SpawnError::Empty) };
        if program.is_empty() {
            return Err(SpawnError::Empty);
        }
        let log_failed = |source| SpawnError::Log { program: program.clone(), log: self.log.clone(), source };
        let output = OpenOptions::new().create(true).append(true).open(&self.log).map_err(log_failed)?;
        let errors = output.try_clone().map_err(log_failed)?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(dir) = &self.dir {
            if !dir.is_dir() {
                return Err(SpawnError::NoDirectory { program: program.clone(), dir: dir.clone() });
            }
            command.current_dir(dir);
        }
        let process = command.spawn().map_err(|source| self.explain(program, source))?;
        let identity =
            process.id().and_then(|pid| identity_of(pid as i32)).ok_or_else(|| SpawnError::System {
                program: program.clone(),
                source: io::Error::other("it cannot be seen in /proc; is /proc mounted?"),
            })?;
        give_own_limit(identity.pid);
        Ok(Child { identity, process, log: self.log.clone(), ended: None, reaped: false })
    }

    /// The system says little more than "not found"; this finds out what.
    fn explain(&self, program: &str, source: io::Error) -> SpawnError {
        const ENOEXEC: i32 = nix::errno::Errno::ENOEXEC as i32;
        let program = program.to_owned();
        let by_path = program.contains('/');
        let file = match &self.dir {
            Some(dir) => dir.join(&program),
            None => PathBuf::from(&program),
        };
        match (source.kind(), source.raw_os_error()) {
            (io::ErrorKind::NotFound, _) if !by_path => {
                let own = self.env.get("PATH").cloned();
                let path = own.or_else(|| std::env::var("PATH").ok()).unwrap_or_else(|| "not set".to_owned());
                SpawnError::NotInPath { program, path }
            }
            (io::ErrorKind::NotFound, _) if file.exists() => SpawnError::NoInterpreter { program },
            (io::ErrorKind::NotFound, _) => SpawnError::NoSuchFile { program, dir: self.dir.clone() },
            (io::ErrorKind::PermissionDenied, _) => SpawnError::NotExecutable { program },
            (_, Some(ENOEXEC)) => SpawnError::NoProgram { program },
            _ => SpawnError::System { program, source },
        }
    }
}

/// A started command and its group.
#[derive(Debug)]
pub struct Child {
    identity: ProcessIdentity,
    process: tokio::process::Child,
    log: PathBuf,
    ended: Option<ProcessStatus>,
    reaped: bool,
}

impl Child {
    /// The leader's identity. Its pid is also the group's number.
    pub fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// The file that holds its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote, oldest first; see [`tail`].
    pub fn tail(&self, lines: usize) -> Vec<String> {
        tail(&self.log, lines)
    }

    /// How the leader ended; `None` while it runs or is frozen.
    pub fn status(&mut self) -> Option<ProcessStatus> {
        if self.ended.is_none() {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            self.ended = match waitid(Id::Pid(Pid::from_raw(self.identity.pid)), flags) {
                Ok(WaitStatus::Exited(_, code)) => Some(ProcessStatus::Code(code)),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(ProcessStatus::Signal(signal as i32)),
                Ok(_) => None,
                // A real-time signal, which nix cannot name; reaping tells its number.
                Err(_) => self.process.try_wait().ok().flatten().map(|status| {
                    self.reaped = true;
                    status_of(status)
                }),
            };
        }
        self.ended
    }

    /// Waits until the leader has ended by whatever cause. May be cancelled and called again; later calls answer at
    /// once. Other members of the group may still run; [`Child::stop`] ends them.
    pub async fn wait(&mut self) -> ProcessStatus {
        // Subscribed before the first look, so that an exit in between is not missed.
        let mut children = signal(SignalKind::child()).ok();
        loop {
            if let Some(status) = self.status() {
                return status;
            }
            match &mut children {
                Some(children) => {
                    children.recv().await;
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends the whole group (see [`stop_group`]), reaps the leader and says how it ended. Harmless when all is over.
    pub async fn stop(&mut self, grace: Span) -> Result<ProcessStatus, StopError> {
        if !self.reaped {
            stop_group(&self.identity, grace).await?;
        }
        let status = self.wait().await;
        if !self.reaped {
            self.reaped = self.process.wait().await.is_ok();
        }
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            // The leader is not reaped yet, so the number is still the group's own; tokio reaps in the background.
            let _ = send_group(&self.identity, Signal::KILL);
        }
    }
}

fn status_of(status: ExitStatus) -> ProcessStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ProcessStatus::Code(code),
        (None, signal) => ProcessStatus::Signal(signal.unwrap_or_default()),
    }
}
