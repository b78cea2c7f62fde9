//! What really happened, counted on a way that does not pass the proxy.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Counts by name, and the file that they are written to.
#[derive(Debug)]
pub(crate) struct Truth {
    file: Option<PathBuf>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Truth {
    /// Nothing has happened yet.
    pub(crate) fn new(file: Option<PathBuf>) -> Truth {
        Truth { file, counts: Mutex::default() }
    }

    /// It happened once more.
    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// Puts all counts into the file, in place of those before.
    pub(crate) fn write(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let counts = serde_json::to_vec(&*self.counts.lock().unwrap_or_else(PoisonError::into_inner))?;
        std::fs::write(file, counts)
    }
}
