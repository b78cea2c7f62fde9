//! The life of a worker: one thread waits for the end of the pipe that Murphy holds, the others work. What it did is told
//! on standard output, a word a line.
//!
//! It must end with the pipe, whatever its other threads do; and be the first that the kernel ends where memory runs out.

use std::fs::{self, File, OpenOptions};
use std::hint::{black_box, spin_loop};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use murphy_core::{Chance, Size, Span};

use super::{Inside, Load, Task};
use crate::process::is_alive;

/// One turn of work and rest.
const TURN: Duration = Duration::from_millis(10);
/// Memory is touched again after this, so that it stays memory where there is swap.
const TOUCH_AGAIN: Duration = Duration::from_secs(1);
/// Whether the container still runs is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Files grow by so much at a time.
const CHUNK: usize = 1 << 20;
/// Memory by so much: the kernel keeps a list of these, of 65530 at most.
const PIECE: usize = 4 << 20;
const PAGE: usize = 4096;

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Its task is not one of this version.
    #[error("this is no task of a worker: {0}")]
    Task(#[from] serde_json::Error),
    /// Its threads were not started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// It cannot enter the container.
    #[error("cannot join {group}: {source}; this needs root on the machine of the container")]
    Join {
        /// Which.
        group: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its file cannot be made.
    #[error("cannot make a file to fill, {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Works until standard input ends. `task` is a `Task` as JSON.
pub fn work(task: &str) -> Result<(), WorkError> {
    let Task { load, inside } = serde_json::from_str(task)?;
    match inside {
        Some(inside) => join(&inside)?,
        // Better this process than any other. Everybody may say that of himself. In a container the largest goes, as if
        // its own program had grown.
        None => drop(fs::write("/proc/self/oom_score_adj", "1000")),
    }
    begin(load)?;
    let mut pipe = io::stdin().lock();
    let mut said = [0; 64];
    // A read error means that the other end is gone as surely as an end of file does.
    while pipe.read(&mut said).is_ok_and(|count| count > 0) {}
    Ok(())
}

/// From here on the container's limits are this process's, and its end is this one's.
fn join(inside: &Inside) -> Result<(), WorkError> {
    for group in &inside.groups {
        let group = group.join("cgroup.procs");
        // 0 is whoever writes.
        fs::write(&group, "0")
            .map_err(|source| WorkError::Join { group: group.display().to_string(), source })?;
    }
    let process = inside.process;
    start(move || {
        while is_alive(&process) {
            rest(LOOK_AGAIN);
        }
        tell("gone");
        // At once, whatever the other threads do: an engine waits until nobody is in the groups any more.
        std::process::exit(0);
    })
}

fn begin(load: Load) -> Result<(), WorkError> {
    match load {
        Load::Cpu { threads, busy } => {
            for _ in 0..threads {
                start(move || spin(busy))?;
            }
            tell("begun\nfull");
        }
        Load::Memory { size, over } => {
            tell("begun");
            start(move || hold(size, over))?;
        }
        Load::Disk { file, size } => {
            let opened =
                open(&file).map_err(|source| WorkError::File { path: file.display().to_string(), source })?;
            tell("begun");
            start(move || fill(opened, size))?;
        }
    }
    Ok(())
}

fn start(job: impl FnOnce() + Send + 'static) -> Result<(), WorkError> {
    thread::Builder::new().spawn(job).map(drop).map_err(WorkError::Thread)
}

/// Nobody may listen any more; then the pipe ends, too.
fn tell(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn rest(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

fn spin(busy: Chance) {
    let work = TURN.mul_f64(busy.as_fraction());
    loop {
        let begun = Instant::now();
        while begun.elapsed() < work {
            spin_loop();
        }
        rest(TURN.saturating_sub(work));
    }
}

/// Takes memory chunk by chunk, and keeps touching it.
fn hold(size: Size, over: Span) {
    let begun = Instant::now();
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut left = usize::try_from(size.as_bytes()).unwrap_or(usize::MAX);
    let all = left;
    let zeros = vec![0; PIECE];
    let mut touched = Instant::now();
    while left > 0 {
        let due = over.as_duration().mul_f64((all - left) as f64 / all as f64);
        rest(due.saturating_sub(begun.elapsed()));
        let length = left.min(PIECE);
        let mut chunk = Vec::new();
        if chunk.try_reserve_exact(length).is_err() {
            break;
        }
        chunk.extend_from_slice(&zeros[..length]);
        touch(&mut chunk);
        chunks.push(chunk);
        left -= length;
        if touched.elapsed() > TOUCH_AGAIN {
            chunks.iter_mut().for_each(|chunk| touch(chunk));
            touched = Instant::now();
        }
    }
    tell(&reached(all - left, all, "the system gives no more memory"));
    loop {
        rest(TOUCH_AGAIN);
        chunks.iter_mut().for_each(|chunk| touch(chunk));
    }
}

/// Changes one byte of each page.
fn touch(chunk: &mut [u8]) {
    for page in chunk.chunks_mut(PAGE) {
        page[0] = page[0].wrapping_add(1);
    }
    black_box(chunk);
}

/// A new file that has no name any more: the kernel frees it when this process ends, however it ends.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn fill(mut file: File, size: Size) {
    let all = usize::try_from(size.as_bytes()).unwrap_or(usize::MAX);
    let (noise, mut written) = (noise(), 0);
    let mut why = String::new();
    while written < all {
        match file.write(&noise[..CHUNK.min(all - written)]) {
            Ok(count) if count > 0 => written += count,
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                why = error.to_string();
                break;
            }
        }
    }
    tell(&reached(written, all, &why));
    loop {
        thread::park();
    }
}

fn reached(done: usize, all: usize, why: &str) -> String {
    if done == all { "full".to_owned() } else { format!("short at {done} bytes: {why}") }
}

/// Bytes that no file system makes smaller.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..CHUNK / 8).flat_map(|_| next()).collect()
}
