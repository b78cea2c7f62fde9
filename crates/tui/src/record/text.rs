//! A recording as a scenario that does the same at the same offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use murphy_adhoc::expect_block;
use murphy_core::{Offset, Protocol, Span};
use murphy_faults::Fault;
use murphy_tls::TlsSettings;

use super::{Act, At, Record};
use crate::source::own::{EdgeSpec, SavedCaller, Via};

/// The healthy time before the first fault is at least this, so that there is a baseline to compare with.
const BASELINE: Span = Span::from_secs(10);
/// The healthy time after the last.
const RECOVERY: Span = Span::from_secs(10);

impl Record {
    /// The scenario as YAML; `None` before the first fault. Faults that still stand end at `now`.
    pub fn scenario(&self, now: Offset) -> Option<String> {
        let first = self.acts.iter().map(|act| act.from).min()?;
        let end = |act: &Act| act.until.unwrap_or(now).max(act.from);
        let last = self.acts.iter().map(end).max()?;
        let made_by = self.made_by.unwrap_or("murphy top");
        let mut text = format!(
            "# Recorded by hand with `{made_by}`: the same faults at the same offsets. Add `load:` (what users do) to have\n\
             # it judged by what users see; `learn: all` proposes what to expect of them.\n"
        );
        for what in &self.left_out {
            let _ = writeln!(text, "# Not recorded: {}", what.replace(['\n', '\r'], " "));
        }
        text.push_str("murphy: 1\nname: recorded by hand\n\n");
        let used: BTreeMap<&str, &EdgeSpec> =
            murphy_core::gathered(self.edges.iter().map(|edge| (edge.name.as_str(), edge)));
        let project = |edge: &&EdgeSpec| match &edge.via {
            Via::From { saved: Some(SavedCaller { project, .. }), .. } => project.clone(),
            _ => None,
        };
        if let Some(project) = used.values().find_map(project) {
            let _ = writeln!(text, "stack: {{ project: {} }}\n", plain(&project));
        }
        if !used.is_empty() {
            text.push_str("edges:\n");
        }
        for edge in used.values() {
            let _ = writeln!(
                text,
                "  {}: {{ {}, to: {}{}{} }}",
                plain(edge.name.as_str()),
                match &edge.via {
                    Via::Listen(listen) => format!("listen: {}", plain(listen)),
                    Via::From { from, saved } => {
                        format!("from: {}", plain(saved.as_ref().map_or(from, |saved| &saved.caller)))
                    }
                },
                plain(&edge.upstream),
                if edge.protocol == Protocol::Http { ", protocol: http" } else { "" },
                self.tls.get(&edge.name).map(tls_text).unwrap_or_default()
            );
        }
        if !used.is_empty() {
            text.push('\n');
        }
        text.push_str("probes:\n");
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
        for (number, container) in (1..).zip(self.containers()) {
            let _ = writeln!(text, "  container-{number}: {{ container: {}, every: 1s }}", plain(container));
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
            let _ = match &act.at {
                At::Edge(edge) => writeln!(text, "  - edge: {}", plain(edge.as_str())),
                At::Container(name) => writeln!(text, "  - container: {}", plain(name)),
                At::Between(one, others) => {
                    let side = |names: &[String]| {
                        names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
                    };
                    writeln!(text, "  - network: {{ between: [[{}], [{}]] }}", side(one), side(others))
                }
            };
            let _ = writeln!(text, "    inject: {}", inject(&act.fault));
            if matches!(act.at, At::Edge(_)) {
                text.push_str(&act.how.lines(&act.fault));
            }
            let _ = writeln!(text, "    at: {from}\n    for: {lasts}");
        }
        text.push_str(&self.expected());
        text.push_str("\nlearn: all\n");
        Some(text)
    }

    /// An `expect:` block of what callers were seen to do; empty where nothing was.
    fn expected(&self) -> String {
        let mut seen = Vec::new();
        for (edge, calls) in &self.calls {
            // Refused connections leave no trace, so nothing could be asked of them.
            let tells = |act: &Act| act.at == At::Edge(edge.clone()) && act.fault.name() != "refuse";
            if self.acts.iter().any(tells) {
                let patterns = self.seen.get(edge).cloned().unwrap_or_else(|| calls.seen().patterns);
                seen.push((plain(edge.as_str()), patterns));
            }
        }
        let block = expect_block(&seen);
        if block.is_empty() { block } else { format!("\n{block}") }
    }

    /// The containers that something was done to, by name.
    fn containers(&self) -> BTreeSet<&str> {
        let names = self.acts.iter().flat_map(|act| match &act.at {
            At::Edge(_) => [].iter(),
            At::Container(name) => std::slice::from_ref(name).iter(),
            At::Between(one, _) => one.iter(),
        });
        names.map(String::as_str).collect()
    }
}

/// To whole milliseconds: a hand is no finer.
fn rounded(span: Span) -> Span {
    Span::from_millis((span.as_micros() + 500) / 1000)
}

/// Behind the other settings of an edge.
fn tls_text(tls: &TlsSettings) -> String {
    let value = serde_json::to_value(tls).unwrap_or_default();
    let fields: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(field, value)| Some(format!("{field}: {}", plain(value.as_str()?))))
        .collect();
    format!(", tls: {{ {} }}", fields.join(", "))
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
    use std::path::Path;

    use murphy_adhoc::How;
    use murphy_core::{Directions, EdgeName, Event, EventKind};
    use murphy_faults::{Match, Which};

    use super::*;
    use crate::record::tests::{at, record};
    use crate::typed::fault;

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
        record.armed(at(0), &At::Edge(edge), "headers-1", &fault, &How::plain());
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
        let (id, place, how) = ("reset-1", At::Edge(edge.clone()), How::plain());
        let (mut named, mut unnamed) = (Record::default(), Record::default());
        named.edge(spec(Some(saved)));
        named.armed(at(0), &place, id, &fault("reset").unwrap(), &how);
        let text = named.scenario(at(1_000)).unwrap();
        for part in [
            "stack: { project: shop }\n",
            "  calls: { from: web, to: redis:6379 }\n",
            "  calls-callers: { container: service:web, every: 1s }\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        unnamed.edge(spec(None));
        unnamed.armed(at(0), &place, id, &fault("reset").unwrap(), &how);
        let error = unnamed.save(Path::new("/nowhere/x"), at(1)).unwrap_err().to_string();
        assert!(error.contains("--from"), "{error}");
    }

    #[test]
    fn an_edit_ends_one_fault_and_begins_the_next_at_the_same_offset() {
        let (mut record, edge, id) = record();
        record.armed(at(5_000), &edge, id, &fault("latency 200ms").unwrap(), &How::plain());
        record.armed(at(7_000), &edge, id, &fault("latency 220ms jitter=20ms").unwrap(), &How::plain());
        record.lifted(at(9_500), &edge, id);
        insta::assert_snapshot!(record.scenario(at(60_000)).unwrap(), @r"
        # Recorded by hand with `murphy top`: the same faults at the same offsets. Add `load:` (what users do) to have
        # it judged by what users see; `learn: all` proposes what to expect of them.
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
        record.armed(fine(0), &edge, id, &latency, &How::plain());
        record.lifted(fine(300_000), &edge, id);
        record.armed(fine(351_500), &edge, id, &latency, &How::plain());
        record.lifted(fine(407_200), &edge, id);
        let text = record.scenario(fine(500_000)).unwrap();
        assert!(text.contains("fault: 407ms") && text.contains("at: 352ms\n    for: 55ms"), "{text}");
    }

    #[test]
    fn what_still_stands_ends_with_the_recording() {
        let (mut record, edge, id) = record();
        record.armed(at(1_000), &edge, id, &fault("reset").unwrap(), &How::plain());
        assert!(record.scenario(at(4_000)).unwrap().contains("for: 3s"));
    }

    #[test]
    fn ways_shares_and_chosen_requests_are_written_and_so_is_what_was_done_to_containers() {
        let (mut record, edge, id) = record();
        let both = How { directions: Directions::Both, ..How::plain() };
        record.armed(at(0), &edge, id, &fault("latency 5ms").unwrap(), &both);
        let some = How { chance: "20%".parse().unwrap(), ..How::plain() };
        record.armed(at(1_000), &edge, "reset-1", &fault("reset").unwrap(), &some);
        let (which, matching) = (Which { first: Some(3), ..Which::default() }, Match::default());
        let three = How { which, matching, ..How::plain() };
        record.armed(at(2_000), &edge, "abort-1", &fault("abort status=503").unwrap(), &three);
        let of = |name| Fault::from_settings(name, serde_json::Map::new()).unwrap();
        record.armed(at(3_000), &At::Container("shop-db-1".into()), "1", &of("pause"), &both);
        let cut = At::Between(vec!["web".into()], vec!["db".into(), "no".into()]);
        record.armed(at(4_000), &cut, "2", &of("partition"), &both);
        let text = record.scenario(at(5_000)).unwrap();
        for part in [
            "    direction: both\n    at: 0s\n",
            "    chance: 20%\n    at: 1s\n",
            "    which: { first: 3 }\n    at: 2s\n",
            "  - container: shop-db-1\n    inject: pause\n    at: 3s\n",
            "  - network: { between: [[web], [db, \"no\"]] }\n    inject: partition\n    at: 4s\n    for: 1s\n",
            "  container-1: { container: shop-db-1, every: 1s }\n  container-2: { container: web, every: 1s }\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn callers_that_give_up_are_expected_to_do_so_again_and_an_edge_that_nobody_touched_says_nothing() {
        let (mut record, edge, id) = record();
        let At::Edge(name) = edge.clone() else { panic!("an edge") };
        let given_up = |edge: &EdgeName, second: u64| Event {
            seq: 0,
            at: at(second * 1000 + 400),
            kind: EventKind::Exchange {
                edge: edge.clone(),
                conn: murphy_core::ConnId(1),
                began: at(second * 1000),
                answered: None,
                ended: at(second * 1000 + 400),
                end: murphy_core::ExchangeEnd::GivenUp,
                touched: true,
            },
        };
        record.armed(at(0), &edge, id, &fault("blackhole").unwrap(), &How::plain());
        (1..9).for_each(|second| record.on(&given_up(&name, second)));
        let text = record.scenario(at(10_000)).unwrap();
        let too_few = "# Seen on db, but in 8 calls only, and it takes 100 that are given up: timeout: ";
        assert!(text.contains(too_few) && !text.contains("expect:"), "{text}");
        (9..=100).for_each(|second| record.on(&given_up(&name, second)));
        (1..=100).for_each(|second| record.on(&given_up(&EdgeName::new("other").unwrap(), second)));
        let text = record.scenario(at(110_000)).unwrap();
        assert!(text.contains("expect:\n  db: { timeout: \"<= 510ms\" }\n\nlearn: all\n"), "{text}");
    }
}
