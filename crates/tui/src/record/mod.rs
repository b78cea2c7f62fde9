//! What was done by hand, kept with its times.

mod history;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_adhoc::{Calls, How, Patterns};
use murphy_core::{EdgeName, Event, EventKind, Offset, Protocol};
use murphy_faults::Fault;
use murphy_tls::TlsSettings;

use crate::source::own::{EdgeSpec, Via};

/// Why a recording could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No fault was ever armed.
    #[error("nothing to save yet: no fault was put anywhere")]
    Nothing,
    /// A scenario has no word for the callers.
    #[error(
        "a scenario cannot name `{from}`: begin with --from and one container or service, as `web` or `service:web,project:shop`"
    )]
    NoWord {
        /// As typed.
        from: String,
    },
    /// A file is there.
    #[error("{} is there already: type another name", .path.display())]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// It could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where something was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// On an edge.
    Edge(EdgeName),
    /// To a container, by its name.
    Container(String),
    /// Between some containers and others.
    Between(Vec<String>, Vec<String>),
}

#[derive(Debug, Clone)]
struct Act {
    at: At,
    id: String,
    fault: Fault,
    how: How,
    from: Offset,
    until: Option<Offset>,
}

/// A recording that several write.
#[derive(Debug, Clone, Default)]
pub struct Recorded(Arc<Mutex<Record>>);

impl Recorded {
    /// The recording.
    pub fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that was done.
#[derive(Debug, Default)]
pub struct Record {
    edges: Vec<EdgeSpec>,
    /// On which sides of these TLS is spoken; none where it passes through.
    tls: BTreeMap<EdgeName, TlsSettings>,
    acts: Vec<Act>,
    /// What was done and is not in it, in words.
    left_out: Vec<String>,
    /// The command that makes it, where that is not `murphy top`.
    made_by: Option<&'static str>,
    /// How callers behave, of edges on which something was done: what that takes is too much for a thousand others.
    calls: BTreeMap<EdgeName, Calls>,
    /// The same of those edges whose calls somebody else has watched.
    seen: BTreeMap<EdgeName, Patterns>,
}

impl Record {
    /// An edge that was there.
    pub fn edge(&mut self, edge: EdgeSpec) {
        self.edges.push(edge);
    }

    /// On which sides of an edge TLS is spoken; none where it passes through.
    pub fn tls(&mut self, edge: &EdgeName, tls: Option<&TlsSettings>) {
        match tls {
            Some(tls) => {
                self.tls.insert(edge.clone(), tls.clone());
            }
            None => {
                self.tls.remove(edge);
            }
        }
    }

    /// What is spoken on an edge.
    pub fn protocol(&self, name: &EdgeName) -> Protocol {
        self.edges.iter().find(|edge| edge.name == *name).map_or_else(Protocol::default, |edge| edge.protocol)
    }

    /// A fault was put somewhere, or edited: an edit ends what stood there and begins anew.
    pub fn armed(&mut self, now: Offset, at: &At, id: &str, fault: &Fault, how: &How) {
        self.lifted(now, at, id);
        if let At::Edge(edge) = at {
            self.calls.entry(edge.clone()).or_default();
        }
        let (at, fault, how) = (at.clone(), fault.clone(), how.clone());
        self.acts.push(Act { at, id: id.to_owned(), fault, how, from: now, until: None });
    }

    /// Something happened: calls say how their callers behave.
    pub fn on(&mut self, event: &Event) {
        let edge = match &event.kind {
            EventKind::Exchange { edge, .. } => edge,
            EventKind::Request(call) => &call.edge,
            _ => return,
        };
        if let Some(calls) = self.calls.get_mut(edge) {
            calls.on(event);
        }
    }

    /// Something was done that no scenario can say: the recording tells of it in a comment.
    pub fn leave_out(&mut self, what: String) {
        if !self.left_out.contains(&what) {
            self.left_out.push(what);
        }
    }

    /// What was done and is not in it.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Whoever tells of calls counts from another beginning: no call before it can be set beside one after it.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }

    /// A fault was taken off.
    pub fn lifted(&mut self, now: Offset, at: &At, id: &str) {
        let open = |act: &&mut Act| act.until.is_none() && act.at == *at && act.id == *id;
        if let Some(act) = self.acts.iter_mut().find(open) {
            act.until = Some(now);
        }
    }

    /// Writes the scenario; never over a file that is there.
    pub fn save(&self, path: &Path, now: Offset) -> Result<(), SaveError> {
        use std::io::Write as _;
        for edge in &self.edges {
            if let Via::From { from, saved: None } = &edge.via {
                return Err(SaveError::NoWord { from: from.clone() });
            }
        }
        let text = self.scenario(now).ok_or(SaveError::Nothing)?;
        let write = |source| SaveError::Write { path: path.to_owned(), source };
        match std::fs::File::create_new(path) {
            Ok(mut file) => file.write_all(text.as_bytes()).map_err(write),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(SaveError::Taken { path: path.to_owned() })
            }
            Err(error) => Err(write(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::fault;

    pub(super) fn at(millis: u64) -> Offset {
        Offset::from_micros(millis * 1000)
    }

    pub(super) fn record() -> (Record, At, &'static str) {
        let (edge, id) = (EdgeName::new("db").unwrap(), "latency-1");
        let mut record = Record::default();
        record.edge(EdgeSpec {
            name: edge.clone(),
            via: Via::Listen("127.0.0.1:16379".into()),
            upstream: "127.0.0.1:6379".into(),
            protocol: Protocol::Tcp,
        });
        (record, At::Edge(edge), id)
    }

    #[test]
    fn nothing_is_saved_before_the_first_fault_and_never_over_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        let (mut record, edge, id) = record();
        assert!(matches!(record.save(&path, at(1)), Err(SaveError::Nothing)));
        record.armed(at(1), &edge, id, &fault("reset").unwrap(), &How::plain());
        record.save(&path, at(2_000)).unwrap();
        assert!(matches!(record.save(&path, at(3_000)), Err(SaveError::Taken { .. })));
    }
}
