//! Pressure on a machine: processors kept busy, memory held, a file system filled, by worker processes of Murphy's own.
//!
//! A worker ends with the pipe that Murphy holds, so at once when Murphy dies, however it dies; and it carries a mark that
//! is on disk before it exists. It must never take the last of what a machine needs to live: what is asked is held against
//! what is free, and refused, before anything is started.

mod felt;
mod inside;
mod press;
mod room;
mod work;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use murphy_core::{Amount, Chance, Cpus, Size, Span, Undo};
use serde::{Deserialize, Serialize};

pub use felt::Felt;
pub use inside::Inside;
pub use press::{Ended, Press};
pub use room::Spare;
use room::filling;
pub use work::{WorkError, work};

/// The command of this binary that is a worker.
pub const WORKER: &str = "pressure-worker";

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Pressure {
    /// Processors are kept busy.
    Cpu {
        /// How many; all if not given.
        cpus: Option<Cpus>,
        /// For which share of the time.
        load: Chance,
    },
    /// Memory is held, every page of it touched.
    Memory {
        /// How much, or which share of what is free.
        amount: Amount,
        /// From nothing to all of it, evenly.
        over: Span,
        /// What must stay free.
        reserve: Option<Size>,
    },
    /// A file system is filled.
    Disk {
        /// A folder of it.
        folder: PathBuf,
        /// How much, or which share of what is free.
        amount: Amount,
        /// What must stay free.
        reserve: Option<Size>,
    },
}

impl Pressure {
    /// The catalogue's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Pressure::Cpu { .. } => "cpu-pressure",
            Pressure::Memory { .. } => "memory-pressure",
            Pressure::Disk { .. } => "disk-pressure",
        }
    }

    /// Holds it against this machine as it is now. `mark` names the file that is filled, if any: no other may have it.
    pub fn on_this_machine(&self, mark: &str) -> Result<Load, PressureError> {
        match self {
            Pressure::Cpu { cpus, load } => room::busy(*cpus, *load, std::thread::available_parallelism()?),
            Pressure::Memory { amount, over, reserve } => {
                let size = filling(&self.to_string(), *amount, room::memory()?, *reserve)?;
                Ok(Load::Memory { size, over: *over })
            }
            Pressure::Disk { folder, amount, reserve } => {
                self.filled(folder, folder, *amount, *reserve, mark)
            }
        }
    }

    /// Holds it against what a container may use now.
    pub fn in_container(&self, inside: &Inside, mark: &str) -> Result<Load, PressureError> {
        match self {
            Pressure::Cpu { .. } => self.on_this_machine(mark),
            Pressure::Memory { amount, over, reserve } => {
                let size = filling(&self.to_string(), *amount, inside.memory()?, *reserve)?;
                Ok(Load::Memory { size, over: *over })
            }
            Pressure::Disk { folder, amount, reserve } => {
                let seen = inside
                    .folder(folder)
                    .map_err(|source| PressureError::Folder { folder: folder.clone(), source })?;
                self.filled(folder, &seen, *amount, *reserve, mark)
            }
        }
    }

    fn filled(
        &self,
        folder: &Path,
        seen: &Path,
        amount: Amount,
        reserve: Option<Size>,
        mark: &str,
    ) -> Result<Load, PressureError> {
        let room =
            room::disk(seen).map_err(|source| PressureError::Folder { folder: folder.to_owned(), source })?;
        let size = filling(&self.to_string(), amount, room, reserve)?;
        Ok(Load::Disk { file: seen.join(format!(".murphy-{mark}")), size })
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Pressure::Cpu { cpus, load } => {
                match cpus {
                    Some(cpus) => write!(f, " {cpus}")?,
                    None => f.write_str(" all")?,
                }
                if load.as_fraction() < 1.0 { write!(f, " at {load}") } else { Ok(()) }
            }
            Pressure::Memory { amount, over, .. } => {
                write!(f, " {amount}")?;
                if over.is_zero() { Ok(()) } else { write!(f, " over {over}") }
            }
            Pressure::Disk { folder, amount, .. } => write!(f, " {amount} in {}", folder.display()),
        }
    }
}

/// What a worker is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Task {
    pub(crate) load: Load,
    /// The container that it works in; on the machine if there is none.
    pub(crate) inside: Option<Inside>,
}

/// What a worker does: nothing is left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// So many threads, each busy for a share of the time.
    Cpu {
        /// How many.
        threads: u32,
        /// Which share.
        busy: Chance,
    },
    /// So much memory.
    Memory {
        /// How much.
        size: Size,
        /// From nothing to all of it.
        over: Span,
    },
    /// A file of this size.
    Disk {
        /// Which; it must not exist.
        file: PathBuf,
        /// How large.
        size: Size,
    },
}

impl Load {
    /// The file that is filled.
    fn file(&self) -> Option<&PathBuf> {
        match self {
            Load::Disk { file, .. } => Some(file),
            Load::Cpu { .. } | Load::Memory { .. } => None,
        }
    }

    /// What ends the worker that does it under this mark. `on` is where, for messages.
    pub fn undo(&self, mark: &str, pressure: &Pressure, on: &str) -> Undo {
        Undo::EndPressure {
            marker: mark.to_owned(),
            file: self.file().cloned(),
            pressure: format!("{pressure} on {on} ({})", self.text()),
        }
    }

    /// In numbers, for people.
    fn text(&self) -> String {
        match self {
            Load::Cpu { threads: 1, busy } => format!("1 thread, busy for {busy} of the time"),
            Load::Cpu { threads, busy } => format!("{threads} threads, each busy for {busy} of the time"),
            Load::Memory { size, .. } => format!("{} of memory", room::readable(*size)),
            Load::Disk { file, size } => format!("{} in {}", room::readable(*size), file.display()),
        }
    }
}

/// Why there is no pressure. Nothing was started, or it has ended again.
#[derive(Debug, thiserror::Error)]
pub enum PressureError {
    /// It would take the last of it.
    #[error(
        "{pressure} is {}, and of {} that are free {} stay so: at most {} can be had; write less, or a smaller reserve",
        room::readable(*.asked), room::readable(*.free), room::readable(*.reserve), room::readable(*.most)
    )]
    TooMuch {
        /// As asked.
        pressure: String,
        /// In bytes.
        asked: Size,
        /// What is free now.
        free: Size,
        /// What must stay free.
        reserve: Size,
        /// What is left of it.
        most: Size,
    },
    /// Nothing would be taken.
    #[error("{pressure} comes to nothing: of {} that are free {} stay so; write more", room::readable(*.free), room::readable(*.reserve))]
    Nothing {
        /// As asked.
        pressure: String,
        /// What is free now.
        free: Size,
        /// What must stay free.
        reserve: Size,
    },
    /// There are not so many processors.
    #[error(
        "{asked} processors cannot be kept busy: there are {there}; write {there} or less, or leave it out for all"
    )]
    TooManyCpus {
        /// As asked.
        asked: Cpus,
        /// How many there are.
        there: usize,
    },
    /// The folder is none.
    #[error("the folder {} cannot be filled: {source}; name one that is there", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine does not say what it has.
    #[error("cannot see what this machine has: {0}; is /proc mounted?")]
    Machine(#[from] io::Error),
    /// The worker was not started.
    #[error("cannot start a worker process: {0}")]
    Start(io::Error),
    /// The worker ended before it began.
    #[error("the worker process did not begin: {why}")]
    NotBegun {
        /// What it said.
        why: String,
    },
}
