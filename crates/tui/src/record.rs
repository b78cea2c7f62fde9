//! What was done by hand, kept with its times and written as a scenario that does the same at the same offsets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use murphy_core::{EdgeName, FaultId, Offset, Protocol, Span};
use murphy_faults::Fault;

use crate::source::own::{EdgeSpec, SavedCaller, Via};

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

#[derive(Debug, Clone)]
struct Act {
    edge: EdgeName,
    id: FaultId,
    fault: Fault,
    from: Offset,
    until: Option<Offset>,
}

/// The healthy time before the first fault is at least this, so that there is a baseline to compare with.
const BASELINE: Span = Span::from_secs(10);
/// The healthy time after the last.
const RECOVERY: Span = Span::from_secs(10);

/// All that was done.
#[derive(Debug, Clone, Default)]
pub struct Record {
    edges: Vec<EdgeSpec>,
    acts: Vec<Act>,
}

impl Record {
    /// An edge that was there.
    pub fn edge(&mut self, edge: EdgeSpec) {
        self.edges.push(edge);
    }

    /// What is spoken on an edge.
    pub fn protocol(&self, name: &EdgeName) -> Protocol {
        self.edges.iter().find(|edge| edge.name == *name).map_or_else(Protocol::default, |edge| edge.protocol)
    }

    /// A fault was put on an edge, or edited: an edit ends what stood there and begins anew.
    pub fn armed(&mut self, at: Offset, edge: &EdgeName, id: &FaultId, fault: &Fault) {
        self.lifted(at, edge, id);
        self.acts.push(Act {
            edge: edge.clone(),
            id: id.clone(),
            fault: fault.clone(),
            from: at,
            until: None,
        });
    }

    /// A fault was taken off.
    pub fn lifted(&mut self, at: Offset, edge: &EdgeName, id: &FaultId) {
        let open = |act: &&mut Act| act.until.is_none() && act.edge == *edge && act.id == *id;
        if let Some(act) = self.acts.iter_mut().find(open) {
            act.until = Some(at);
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

    /// The scenario as YAML; `None` before the first fault. Faults that still stand end at `now`.
    pub fn scenario(&self, now: Offset) -> Option<String> {
        let first = self.acts.iter().map(|act| act.from).min()?;
        let end = |act: &Act| act.until.unwrap_or(now).max(act.from);
        let last = self.acts.iter().map(end).max()?;
        let mut text = String::from(
            "# Recorded by hand with `murphy top`: the same faults at the same offsets. Add `load:` (what users do) and\n\
             # `expect:` to have it judged by what users see; `learn: all` proposes an `expect:` block.\n\
             murphy: 1\nname: recorded by hand\n\n",
        );
        let used: BTreeMap<&str, &EdgeSpec> =
            murphy_core::gathered(self.edges.iter().map(|edge| (edge.name.as_str(), edge)));
        let project = |edge: &&EdgeSpec| match &edge.via {
            Via::From { saved: Some(SavedCaller { project, .. }), .. } => project.clone(),
            _ => None,
        };
        if let Some(project) = used.values().find_map(project) {
            let _ = writeln!(text, "stack: {{ project: {} }}\n", plain(&project));
        }
        text.push_str("edges:\n");
        for edge in used.values() {
            let _ = writeln!(
                text,
                "  {}: {{ {}, to: {}{} }}",
                plain(edge.name.as_str()),
                match &edge.via {
                    Via::Listen(listen) => format!("listen: {}", plain(listen)),
                    Via::From { from, saved } => {
                        format!("from: {}", plain(saved.as_ref().map_or(from, |saved| &saved.caller)))
                    }
                },
                plain(&edge.upstream),
                if edge.protocol == Protocol::Http { ", protocol: http" } else { "" }
            );
        }
        text.push_str("\nprobes:\n");
        for edge in used.values() {
            let name = plain(edge.name.as_str());
            let _ = match &edge.via {
                Via::Listen(listen) => {
                    writeln!(text, "  {name}-answers: {{ tcp: {}, every: 1s }}", plain(listen))
                }
                // Nobody but the callers is sure to reach the dependency.
                Via::From { from, saved } => {
                    let container = saved.as_ref().map_or(from, |saved| &saved.container);
                    writeln!(text, "  {name}-callers: {{ container: {}, every: 1s }}", plain(container))
                }
            };
        }
        let _ = write!(
            text,
            "\nphases: {{ warm-up: 0s, baseline: {BASELINE}, fault: {}, recovery: {RECOVERY} }}\n\nfaults:\n",
            rounded(last.since(first)).max(Span::from_millis(100))
        );
        for act in &self.acts {
            // Moments are rounded, never lengths: two lengths rounded up would end behind the phase.
            let (from, until) = (rounded(act.from.since(first)), rounded(end(act).since(first)));
            let lasts = Span::from_micros(until.as_micros().saturating_sub(from.as_micros()));
            if lasts.is_zero() {
                continue;
            }
            let _ = write!(
                text,
                "  - edge: {}\n    inject: {}\n    at: {from}\n    for: {lasts}\n",
                plain(act.edge.as_str()),
                inject(&act.fault),
            );
        }
        text.push_str("\nlearn: all\n");
        Some(text)
    }
}

/// To whole milliseconds: a hand is no finer.
fn rounded(span: Span) -> Span {
    Span::from_millis((span.as_micros() + 500) / 1000)
}

fn inject(fault: &Fault) -> String {
    let settings: Vec<String> = fault
        .settings()
        .into_iter()
        .filter(|(_, value)| value != "null")
        .map(|(field, value)| format!("{field}: {}", nested(&value).unwrap_or_else(|| plain(&value))))
        .collect();
    match settings.as_slice() {
        [] => fault.name().to_owned(),
        all => format!("{{ {}: {{ {} }} }}", fault.name(), all.join(", ")),
    }
}

/// A list or a map as JSON, which YAML reads as such.
fn nested(text: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    (json.is_array() || json.is_object()).then(|| text.to_owned())
}

/// As it stands where YAML reads it as the text that it is, else quoted.
fn plain(text: &str) -> String {
    let safe = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./%".contains(c) || c == ':')
        && !text.ends_with(':')
        && !matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n" | "null");
    if safe { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::fault;

    fn at(millis: u64) -> Offset {
        Offset::from_micros(millis * 1000)
    }

    fn record() -> (Record, EdgeName, FaultId) {
        let (edge, id) = (EdgeName::new("db").unwrap(), FaultId::new("latency-1").unwrap());
        let mut record = Record::default();
        record.edge(EdgeSpec {
            name: edge.clone(),
            via: Via::Listen("127.0.0.1:16379".into()),
            upstream: "127.0.0.1:6379".into(),
            protocol: Protocol::Tcp,
        });
        (record, edge, id)
    }

    #[test]
    fn an_edge_of_http_and_a_fault_with_lists_and_maps_are_written_as_they_are() {
        let edge = EdgeName::new("shop").unwrap();
        let mut record = Record::default();
        record.edge(EdgeSpec {
            name: edge.clone(),
            via: Via::Listen("127.0.0.1:1".into()),
            upstream: "127.0.0.1:2".into(),
            protocol: Protocol::Http,
        });
        let fault = fault(r#"headers remove=["etag"] set={"x-a":"1"}"#).unwrap();
        record.armed(at(0), &edge, &FaultId::new("headers-1").unwrap(), &fault);
        let text = record.scenario(at(1_000)).unwrap();
        assert!(text.contains("to: 127.0.0.1:2, protocol: http }"), "{text}");
        let inject = r#"inject: { headers: { of: response, remove: ["etag"], set: {"x-a":"1"} } }"#;
        assert!(text.contains(inject), "{text}");
    }

    #[test]
    fn callers_that_are_sat_in_on_are_named_if_a_scenario_has_a_word_for_them() {
        let edge = EdgeName::new("calls").unwrap();
        let spec = |saved| EdgeSpec {
            name: edge.clone(),
            via: Via::From { from: "service:web,project:shop".into(), saved },
            upstream: "redis:6379".into(),
            protocol: Protocol::Tcp,
        };
        let saved = SavedCaller {
            caller: "web".into(),
            container: "service:web".into(),
            project: Some("shop".into()),
        };
        let id = FaultId::new("reset-1").unwrap();
        let (mut named, mut unnamed) = (Record::default(), Record::default());
        named.edge(spec(Some(saved)));
        named.armed(at(0), &edge, &id, &fault("reset").unwrap());
        let text = named.scenario(at(1_000)).unwrap();
        for part in [
            "stack: { project: shop }\n",
            "  calls: { from: web, to: redis:6379 }\n",
            "  calls-callers: { container: service:web, every: 1s }\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        unnamed.edge(spec(None));
        unnamed.armed(at(0), &edge, &id, &fault("reset").unwrap());
        let error = unnamed.save(Path::new("/nowhere/x"), at(1)).unwrap_err().to_string();
        assert!(error.contains("--from"), "{error}");
    }

    #[test]
    fn an_edit_ends_one_fault_and_begins_the_next_at_the_same_offset() {
        let (mut record, edge, id) = record();
        record.armed(at(5_000), &edge, &id, &fault("latency 200ms").unwrap());
        record.armed(at(7_000), &edge, &id, &fault("latency 220ms jitter=20ms").unwrap());
        record.lifted(at(9_500), &edge, &id);
        insta::assert_snapshot!(record.scenario(at(60_000)).unwrap(), @r"
        # Recorded by hand with `murphy top`: the same faults at the same offsets. Add `load:` (what users do) and
        # `expect:` to have it judged by what users see; `learn: all` proposes an `expect:` block.
        murphy: 1
        name: recorded by hand

        edges:
          db: { listen: 127.0.0.1:16379, to: 127.0.0.1:6379 }

        probes:
          db-answers: { tcp: 127.0.0.1:16379, every: 1s }

        phases: { warm-up: 0s, baseline: 10s, fault: 4.5s, recovery: 10s }

        faults:
          - edge: db
            inject: { latency: { delay: 200ms } }
            at: 0s
            for: 2s
          - edge: db
            inject: { latency: { delay: 220ms, jitter: 20ms } }
            at: 2s
            for: 2.5s

        learn: all
        ");
    }

    #[test]
    fn a_fault_that_ends_the_recording_ends_with_its_phase_whatever_the_fractions() {
        let (mut record, edge, id) = record();
        let (latency, fine) = (fault("latency 5ms").unwrap(), Offset::from_micros);
        record.armed(fine(0), &edge, &id, &latency);
        record.lifted(fine(300_000), &edge, &id);
        record.armed(fine(351_500), &edge, &id, &latency);
        record.lifted(fine(407_200), &edge, &id);
        let text = record.scenario(fine(500_000)).unwrap();
        assert!(text.contains("fault: 407ms") && text.contains("at: 352ms\n    for: 55ms"), "{text}");
    }

    #[test]
    fn what_still_stands_ends_with_the_recording() {
        let (mut record, edge, id) = record();
        record.armed(at(1_000), &edge, &id, &fault("reset").unwrap());
        assert!(record.scenario(at(4_000)).unwrap().contains("for: 3s"));
    }

    #[test]
    fn nothing_is_saved_before_the_first_fault_and_never_over_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        let (mut record, edge, id) = record();
        assert!(matches!(record.save(&path, at(1)), Err(SaveError::Nothing)));
        record.armed(at(1), &edge, &id, &fault("reset").unwrap());
        record.save(&path, at(2_000)).unwrap();
        assert!(matches!(record.save(&path, at(3_000)), Err(SaveError::Taken { .. })));
    }
}
