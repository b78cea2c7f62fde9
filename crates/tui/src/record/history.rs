//! A recording of what was done to a daemon, whoever did it, through whichever of its APIs.

use std::collections::BTreeMap;

use murphy_adhoc::{Deed, Holding, How, Patterns};
use murphy_control::{CallsDoc, DeedDoc, DoneOn, HistoryDoc, ProxySeen, StoodDoc};
use murphy_core::{EdgeName, Offset, Protocol, Span};
use murphy_faults::{Fault, Place, Problems};

use super::{At, Record};
use crate::source::daemon::names::edge_names;
use crate::source::own::{EdgeSpec, Via};

/// What is over as soon as it is done still takes some time in a scenario.
const SHORTEST: Span = Span::from_secs(1);

/// The proxies by their names: what they are called as edges, and as what they were seen last.
type Edges<'a> = BTreeMap<&'a str, (&'a EdgeName, &'a ProxySeen)>;

impl Record {
    /// All that was done since that time of the daemon.
    pub fn of_history(history: &HistoryDoc, since: Span) -> Record {
        let mut record = Record { made_by: Some("murphy proxies save"), ..Record::default() };
        let proxies: Vec<&str> =
            history.deeds.iter().filter_map(proxy).map(|seen| seen.name.as_str()).collect();
        let names = edge_names(&proxies, &BTreeMap::new());
        // One that was made anew under its name is in a scenario once, as it was last.
        let last: BTreeMap<&str, &ProxySeen> = murphy_core::gathered(
            history.deeds.iter().filter_map(proxy).map(|seen| (seen.name.as_str(), seen)),
        );
        let edges: Edges<'_> = names
            .iter()
            .filter_map(|(edge, proxy)| Some((proxy.as_str(), (edge, *last.get(proxy.as_str())?))))
            .collect();
        for (number, deed) in history.deeds.iter().enumerate() {
            if deed.until.is_none_or(|until| until > since) {
                record.take(&number.to_string(), deed, since, &edges);
            }
        }
        for calls in &history.calls {
            if let Some(&(edge, _)) = edges.get(calls.proxy.as_str()) {
                record.take_calls(calls, since, edge);
            }
        }
        if history.forgotten > 0 {
            record.leave_out(format!(
                "{} of the oldest deeds, which the daemon has forgotten",
                history.forgotten
            ));
        }
        history.left_out.iter().cloned().for_each(|what| record.leave_out(what));
        record
    }

    /// How callers behave, as the daemon has seen it: all of it or nothing, for nobody knows what of it was since then.
    fn take_calls(&mut self, calls: &CallsDoc, since: Span, edge: &EdgeName) {
        let CallsDoc { proxy, since: watched, patterns } = calls;
        let is_recorded = self.calls.contains_key(edge);
        if is_recorded && *watched >= since {
            self.seen.insert(edge.clone(), patterns.clone());
        } else if is_recorded && *patterns != Patterns::default() {
            let why =
                "they were watched from before that time, and what they did since then is not told apart";
            self.leave_out(format!("how callers of {proxy} behave: {why}"));
        }
    }

    fn take(&mut self, id: &str, deed: &DeedDoc, since: Span, edges: &Edges<'_>) {
        let StoodDoc { name, inject, directions, chance, matching, which } = &deed.stood;
        if let Some(why) = unsayable(inject) {
            self.leave_out(format!("{name}: {why}"));
            return;
        }
        let holding = holding(&deed.on, inject);
        // It was over before, whenever the daemon told so.
        if holding == Holding::AtOnce && deed.from < since {
            return;
        }
        let at = match &deed.on {
            DoneOn::Proxy(then) => {
                let Some(&(edge, seen)) = edges.get(then.name.as_str()) else { return };
                if then != seen {
                    self.leave_out(format!(
                        "that `{edge}` was another proxy before, from {} to {}",
                        then.listen, then.upstream
                    ));
                }
                if let Some(why) = impossible(inject, seen) {
                    self.leave_out(format!("{name}: `{edge}` {why} any more"));
                    return;
                }
                self.tls(edge, seen.tls.as_ref());
                let spec = EdgeSpec {
                    name: edge.clone(),
                    via: Via::Listen(seen.listen.clone()),
                    upstream: seen.upstream.clone(),
                    protocol: seen.protocol,
                };
                if !self.edges.contains(&spec) {
                    self.edge(spec);
                }
                At::Edge(edge.clone())
            }
            DoneOn::Container(name) => At::Container(name.clone()),
            DoneOn::Between { some, others } => At::Between(some.clone(), others.clone()),
        };
        let how = How {
            directions: *directions,
            chance: *chance,
            matching: (**matching).clone(),
            which: which.clone(),
        };
        let from = offset(deed.from.max(since));
        self.armed(from, &at, id, inject, &how);
        let until = match holding {
            Holding::AtOnce => Some(from + SHORTEST),
            Holding::UntilTakenBack => deed.until.map(offset),
        };
        if let Some(until) = until {
            self.lifted(until, &at, id);
        }
    }
}

fn proxy(deed: &DeedDoc) -> Option<&ProxySeen> {
    match &deed.on {
        DoneOn::Proxy(seen) => Some(seen),
        DoneOn::Container(_) | DoneOn::Between { .. } => None,
    }
}

/// Whether it has a length. What has none (a restart, a command) is told as over when the daemon came to that: on a slow disk, late.
fn holding(on: &DoneOn, inject: &Fault) -> Holding {
    let deed = match on {
        DoneOn::Proxy(_) => None,
        DoneOn::Container(_) => Deed::of_fault(inject, Place::Container),
        DoneOn::Between { .. } => Deed::of_fault(inject, Place::Network),
    };
    deed.map_or(Holding::UntilTakenBack, |deed| deed.holding())
}

/// Why a proxy cannot carry a fault that one of its name has carried.
fn impossible(fault: &Fault, seen: &ProxySeen) -> Option<&'static str> {
    let terminates = seen.tls.as_ref().is_some_and(|tls| tls.mode.terminates());
    if fault.acts_on_handshakes() && !terminates {
        Some("does not speak TLS with callers")
    } else if fault.acts_on_requests() && seen.protocol != Protocol::Http {
        Some("does not read requests")
    } else {
        None
    }
}

fn offset(at: Span) -> Offset {
    Offset::from_micros(at.as_micros())
}

/// Why `murphy check` would refuse it: the numbers of toxics have wider bounds than the settings of faults.
fn unsayable(fault: &Fault) -> Option<String> {
    let mut problems = Problems::new();
    fault.check(&mut problems);
    problems.into_iter().next().map(|problem| problem.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deed on a proxy, as the daemon tells it.
    fn deed(name: &str, inject: &str, from: &str, until: Option<&str>) -> DeedDoc {
        let seen =
            r#"{"name":"my db","listen":"127.0.0.1:1","upstream":"127.0.0.1:2","protocol":"tcp","tls":null}"#;
        let until = until.map_or("null".to_owned(), |until| format!("{until:?}"));
        let text = format!(
            r#"{{"on":{{"proxy":{seen}}},"stood":{{"name":"{name}","inject":{inject},"directions":"both","chance":"100%"}},"from":"{from}","until":{until}}}"#
        );
        serde_json::from_str(&text).expect("a deed")
    }

    fn history(deeds: Vec<DeedDoc>) -> HistoryDoc {
        let (left_out, calls) = (Vec::new(), Vec::new());
        HistoryDoc { now: Span::from_secs(20), deeds, forgotten: 0, left_out, calls }
    }

    #[test]
    fn what_a_daemon_tells_is_done_again_at_the_same_offsets() {
        let told = history(vec![
            deed("slow", r#"{"latency":"100ms"}"#, "5s", Some("7s")),
            deed("off", r#""refuse""#, "6s", Some("6.5s")),
            deed("toxic t", r#""reset""#, "8s", None),
        ]);
        let text = Record::of_history(&told, Span::ZERO).scenario(offset(told.now)).unwrap();
        for part in [
            "# Recorded by hand with `murphy proxies save`: ",
            "  proxy-my-db: { listen: 127.0.0.1:1, to: 127.0.0.1:2 }\n",
            "    inject: { latency: { delay: 100ms } }\n    direction: both\n    at: 0s\n    for: 2s\n",
            "    inject: refuse\n    direction: both\n    at: 1s\n    for: 500ms\n",
            "    inject: reset\n    direction: both\n    at: 3s\n    for: 12s\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // Of what began before, only the rest.
        let text = Record::of_history(&told, Span::from_secs(10)).scenario(offset(told.now)).unwrap();
        assert!(text.contains("inject: reset\n    direction: both\n    at: 0s\n    for: 10s\n"), "{text}");
        assert!(!text.contains("latency"), "{text}");
    }

    #[test]
    fn what_is_over_as_soon_as_it_is_done_has_no_length_however_late_that_is_told() {
        let on_web = |inject: &str, from: &str, until: Option<&str>| DeedDoc {
            on: DoneOn::Container("web".to_owned()),
            ..deed("it", inject, from, until)
        };
        let told = history(vec![
            on_web(r#""restart""#, "1s", Some("1014ms")),
            on_web(r#"{"exec":{"command":["true"]}}"#, "3s", Some("7s")),
            on_web(r#""pause""#, "5s", Some("5005ms")),
            on_web(r#""restart""#, "8s", None),
        ]);
        let text = Record::of_history(&told, Span::ZERO).scenario(offset(told.now)).unwrap();
        for part in [
            "at: 0s\n    for: 1s\n",
            "at: 2s\n    for: 1s\n",
            "at: 4s\n    for: 5ms\n",
            "at: 7s\n    for: 1s\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // It was done before that time, so it is not done again.
        let told = history(vec![on_web(r#""restart""#, "1s", Some("4s"))]);
        assert!(Record::of_history(&told, Span::from_secs(2)).scenario(offset(told.now)).is_none());
    }

    #[test]
    fn a_proxy_that_speaks_tls_does_so_in_the_scenario_and_its_handshakes_are_met_again() {
        let expired = deed("expired", r#"{"tls-handshake":"expired"}"#, "1s", Some("3s"));
        let DoneOn::Proxy(seen) = expired.on.clone() else { panic!("{:?}", expired.on) };
        let sealed = |tls: serde_json::Value| {
            let tls = serde_json::from_value(tls).expect("TLS");
            let on = DoneOn::Proxy(ProxySeen { tls: Some(tls), ..seen.clone() });
            let record = Record::of_history(&history(vec![DeedDoc { on, ..expired.clone() }]), Span::ZERO);
            assert!(record.left_out().is_empty(), "{:?}", record.left_out());
            record.scenario(offset(Span::from_secs(20))).unwrap()
        };
        let text = sealed(serde_json::json!("terminate"));
        assert!(text.contains(", to: 127.0.0.1:2, tls: { mode: terminate } }\n"), "{text}");
        assert!(text.contains("    inject: { tls-handshake: { meets: expired } }\n"), "{text}");
        let text = sealed(serde_json::json!({ "ca": "/etc/our ca.pem", "verify": "full", "name": "db" }));
        for part in ["tls: { ", "mode: both", "ca: \"/etc/our ca.pem\"", "name: db"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_proxy_that_was_made_anew_is_told_as_it_was_last_with_what_it_can_carry() {
        let slow = deed("slow", r#"{"latency":"100ms"}"#, "5s", Some("7s"));
        let expired = deed("expired", r#"{"tls-handshake":"expired"}"#, "1s", Some("3s"));
        let DoneOn::Proxy(plain) = slow.on.clone() else { panic!("{:?}", slow.on) };
        let tls = serde_json::from_value(serde_json::json!("terminate")).expect("TLS");
        let sealed = DoneOn::Proxy(ProxySeen { tls: Some(tls), upstream: "127.0.0.1:3".to_owned(), ..plain });
        let expired = DeedDoc { on: sealed, ..expired };
        let record = Record::of_history(&history(vec![expired.clone(), slow.clone()]), Span::ZERO);
        let text = record.scenario(offset(Span::from_secs(20))).unwrap();
        assert!(text.contains(", to: 127.0.0.1:2 }\n") && text.contains("latency"), "{text}");
        assert!(!text.contains("inject: { tls-handshake"), "{text}");
        for part in ["was another proxy before, from 127.0.0.1:1 to 127.0.0.1:3", "does not speak TLS"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // Made anew the other way round, it can carry both.
        let record = Record::of_history(&history(vec![slow, expired]), Span::ZERO);
        let text = record.scenario(offset(Span::from_secs(20))).unwrap();
        assert!(text.contains(", to: 127.0.0.1:3, tls: { mode: terminate } }\n"), "{text}");
        assert_eq!((text.matches("inject:").count(), record.left_out().len()), (2, 1), "{text}");
    }

    #[test]
    fn what_the_daemon_saw_callers_do_is_expected_of_a_replay_of_all_of_it_and_of_no_part() {
        let seen = |proxy: &str| -> CallsDoc {
            let gives_up = r#"{"gives-up":{"after":"400ms","from":"398ms","to":"403.21ms","calls":160}}"#;
            let text = format!(r#"{{"proxy":"{proxy}","since":"5s","patterns":{{"timeout":{gives_up}}}}}"#);
            serde_json::from_str(&text).expect("calls")
        };
        let mut told = history(vec![deed("off", r#""blackhole""#, "5s", None)]);
        told.calls = vec![seen("my db"), seen("another")];
        let text = Record::of_history(&told, Span::ZERO).scenario(offset(told.now)).unwrap();
        let expected = "expect:\n  proxy-my-db: { timeout: \"<= 510ms\" }\n\nlearn: all\n";
        assert!(text.ends_with(expected) && !text.contains("Not recorded"), "{text}");
        let text = Record::of_history(&told, Span::from_secs(6)).scenario(offset(told.now)).unwrap();
        let why = "# Not recorded: how callers of my db behave: they were watched from before that time";
        assert!(text.contains(why) && !text.contains("expect:") && !text.contains("another"), "{text}");
        // Nothing was seen, so nothing is left out.
        told.calls[0].patterns = Patterns::default();
        let record = Record::of_history(&told, Span::from_secs(6));
        assert!(record.left_out().is_empty(), "{:?}", record.left_out());
    }

    #[test]
    fn what_no_scenario_can_say_is_told_in_it() {
        let mut told = history(vec![
            deed("reset", r#""reset""#, "1s", None),
            deed("toxic wide", r#"{"latency":{"delay":"1ms","jitter":"5ms"}}"#, "2s", None),
        ]);
        told.forgotten = 3;
        let record = Record::of_history(&told, Span::ZERO);
        let text = record.scenario(offset(told.now)).unwrap();
        assert!(text.contains("# Not recorded: toxic wide: a jitter of 5ms would make"), "{text}");
        assert!(text.contains("# Not recorded: 3 of the oldest"), "{text}");
        assert_eq!((text.matches("inject:").count(), record.left_out().len()), (1, 2), "{text}");
    }
}
