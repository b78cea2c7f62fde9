//! What a look at a daemon finds, put into the world and into the recording: what is new, what is gone, and what each fault
//! did. It must never touch the daemon itself.

use std::collections::BTreeMap;

use murphy_adhoc::How;
use murphy_control::{FaultDoc, ProxyDoc, ToxicDoc};
use murphy_core::{EdgeName, FaultId, LeaseName, Offset, Tally};
use murphy_faults::{Fault, Problems};

use super::known::Sits;
use super::names::edge_names;
use super::{Inner, Told};
use crate::record::At;
use crate::screen::lock;
use crate::source::own::{EdgeSpec, Via};
use crate::words::tally_text;
use crate::world::{Door, Loudness, StandingFault, Whose};

impl Inner {
    /// Puts what the daemon has into the world and into the recording.
    pub(super) fn take_in(&self, proxies: Vec<ProxyDoc>, told: Told) {
        let now = self.clock.now();
        let mut known = self.known();
        let known = &mut *known;
        let mut standing = BTreeMap::new();
        let mut edges = BTreeMap::new();
        let mut toxic_faults = BTreeMap::new();
        known.toxics.clear();
        let names =
            edge_names(&proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>(), known.before());
        let by_proxy: BTreeMap<String, EdgeName> =
            names.iter().map(|(name, proxy)| (proxy.clone(), name.clone())).collect();
        for proxy in proxies {
            let Some(name) = by_proxy.get(&proxy.name).cloned() else { continue };
            for fault in &proxy.faults {
                let (key, text) = ((name.clone(), fault.name.clone()), fault.text.clone());
                let sits = Sits { how: how(fault), lease: fault.lease.clone(), ends_in: fault.ends_in };
                let sat = known.faults.get(&key).is_some_and(|before| before.how == sits.how);
                let is_new = !sat || known.standing.get(&key).is_none_or(|(before, _)| *before != text);
                if is_new {
                    let at = At::Edge(name.clone());
                    self.record.lock().armed(now, &at, fault.name.as_str(), &fault.inject, &sits.how);
                }
                known.faults.insert(key.clone(), sits);
                standing.insert(key, (text, tally(fault)));
            }
            self.record.lock().tls(&name, proxy.tls.as_ref());
            if !known.names.contains_key(&name) {
                self.record.lock().edge(EdgeSpec {
                    name: name.clone(),
                    via: Via::Listen(proxy.listen.clone()),
                    upstream: proxy.upstream.clone(),
                    protocol: proxy.protocol,
                });
            }
            for toxic in &proxy.toxic_faults {
                let key = (name.clone(), toxic.name.clone());
                let sits = (toxic.inject.clone(), toxic_how(toxic));
                if known.toxic_faults.get(&key) != Some(&sits) {
                    self.record_toxic(now, &name, &toxic.name, &sits);
                }
                toxic_faults.insert(key, sits);
            }
            for toxic in &proxy.toxics {
                known.toxics.extend(FaultId::new(toxic).ok().map(|id| (name.clone(), id)));
            }
            edges.insert(name, proxy);
        }
        known.names = names;
        for (edge, toxic) in known.toxic_faults.keys().filter(|key| !toxic_faults.contains_key(*key)) {
            self.record.lock().lifted(now, &At::Edge(edge.clone()), &toxic_id(toxic));
        }
        known.toxic_faults = toxic_faults;
        let mut world = lock(&self.world);
        world.now = world.now.max(now);
        for (key, (text, _)) in &standing {
            if known.standing.get(key).is_none_or(|(before, _)| before != text) && told == Told::Aloud {
                world.note(now, Loudness::Deed, format!("{text} on {}", key.0));
            }
        }
        for (key, (text, tally)) in &known.standing {
            if !standing.contains_key(key) {
                self.record.lock().lifted(now, &At::Edge(key.0.clone()), key.1.as_str());
                // Whatever is called so later is another one.
                if !known.lifted.contains(key) {
                    known.faults.remove(key);
                }
                world.note(now, Loudness::Deed, format!("{text} off {}: {}", key.0, tally_text(*tally)));
            }
        }
        known.standing = standing;
        for gone in world.edges.keys().filter(|name| !edges.contains_key(*name)).cloned().collect::<Vec<_>>()
        {
            world.edges.remove(&gone);
            world.note(now, Loudness::Notice, format!("{gone} is no proxy any more"));
        }
        for (name, proxy) in edges {
            let is_new = !world.edges.contains_key(&name);
            if is_new && told == Told::Aloud {
                world.note(now, Loudness::Notice, format!("{name} listens on {}", proxy.listen));
            }
            let faults = shown(&proxy, now, &self.lease);
            let edge = world.edge(&name);
            edge.door = if proxy.enabled { Door::Open } else { Door::Closed };
            (edge.listen, edge.upstream, edge.faults) = (proxy.listen, proxy.upstream, faults);
            if let Some(traffic) = proxy.traffic {
                (edge.open, edge.accepted, edge.unreachable) =
                    (traffic.open, traffic.accepted, traffic.dial_failed);
                edge.bytes = (traffic.to_upstream, traffic.to_client);
            }
        }
    }

    /// The numbers of toxics have wider bounds than the settings of faults: one that `murphy check` would refuse is told of instead.
    fn record_toxic(&self, now: Offset, edge: &EdgeName, toxic: &str, (fault, how): &(Fault, How)) {
        let (at, id) = (At::Edge(edge.clone()), toxic_id(toxic));
        let mut problems = Problems::new();
        fault.check(&mut problems);
        match problems.iter().next() {
            None => self.record.lock().armed(now, &at, &id, fault, how),
            Some(problem) => {
                let mut record = self.record.lock();
                record.lifted(now, &at, &id);
                record.leave_out(format!("toxic {toxic} on {edge}: {}", problem.message));
                drop(record);
                let text = format!("toxic {toxic} on {edge} is not recorded: {}", problem.message);
                self.note(Loudness::Trouble, text);
            }
        }
    }

    /// The daemon is away: nothing stands there. What its proxies are called is kept for when it is back.
    pub(super) fn lose(&self) {
        let before = self.known().before().clone();
        self.take_in(Vec::new(), Told::Aloud);
        self.known().away = before;
    }
}

fn how(fault: &FaultDoc) -> How {
    How {
        directions: fault.directions,
        chance: fault.chance,
        matching: (*fault.matching).clone(),
        which: fault.which.clone(),
    }
}

fn toxic_how(toxic: &ToxicDoc) -> How {
    How { directions: toxic.directions, chance: toxic.chance, ..How::plain() }
}

/// Its name in the recording: no fault has one with a blank in it.
fn toxic_id(toxic: &str) -> String {
    format!("toxic {toxic}")
}

fn tally(fault: &FaultDoc) -> Tally {
    Tally { connections: fault.tally.connections, hits: fault.tally.hits, bytes: fault.tally.bytes }
}

fn shown(proxy: &ProxyDoc, now: Offset, ours: &LeaseName) -> Vec<StandingFault> {
    let faults = proxy.faults.iter().map(|fault| StandingFault {
        id: fault.name.clone(),
        text: fault.text.clone(),
        fault: Some(fault.inject.clone()),
        tally: Some(tally(fault)),
        until: fault.ends_in.map(|left| now + left),
        whose: if fault.lease.as_ref() == Some(ours) { Whose::Ours } else { Whose::Theirs },
    });
    let toxics = proxy.toxics.iter().filter_map(|toxic| {
        let id = FaultId::new(toxic).ok()?;
        let known = proxy.toxic_faults.iter().find(|known| known.name == *toxic);
        let does = known.map(|known| format!(": {}", known.text)).unwrap_or_default();
        let (text, whose) = (format!("toxic {toxic}{does}"), Whose::Theirs);
        Some(StandingFault { id, text, fault: None, tally: None, until: None, whose })
    });
    faults.chain(toxics).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use murphy_control::Client;

    use super::*;

    pub(in super::super) fn inner(lease: &LeaseName) -> Inner {
        Inner::new(Client::new("http://127.0.0.1:9", None).unwrap(), lease.clone())
    }

    pub(in super::super) fn proxy(name: &str, faults: &[(&str, Option<&str>)]) -> ProxyDoc {
        let fault = |(name, lease): &(&str, Option<&str>)| {
            serde_json::json!({
                "name": name, "inject": { "latency": "100ms" }, "text": "latency 100ms", "directions": "to-client",
                "chance": "100%", "ends-in": "20s", "lease": lease, "set": null,
                "tally": { "connections": 0, "hits": 0, "bytes": 0 },
            })
        };
        let faults: Vec<_> = faults.iter().map(fault).collect();
        let doc = serde_json::json!({
            "name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "protocol": "tcp",
            "enabled": true, "toxics": [], "faults": faults, "traffic": null,
        });
        serde_json::from_value(doc).expect("a proxy")
    }

    #[test]
    fn a_daemon_that_was_away_has_each_proxy_under_the_name_that_it_had() {
        let inner = inner(&LeaseName::new("top-1").unwrap());
        // Of these, the first one that is seen has the name without a number.
        inner.take_in(vec![proxy("my/proxy", &[])], Told::Silently);
        let both = || vec![proxy("my proxy", &[]), proxy("my/proxy", &[])];
        inner.take_in(both(), Told::Aloud);
        let names = inner.known().names.clone();
        inner.lose();
        assert!(lock(&inner.world).edges.is_empty(), "nothing is to be seen of one that is away");
        inner.take_in(both(), Told::Aloud);
        assert_eq!(inner.known().names, names);
        assert_eq!(names.values().collect::<Vec<_>>(), ["my/proxy", "my proxy"]);
    }

    #[test]
    fn a_toxic_that_no_scenario_can_say_is_told_of_once_and_ends_what_was_recorded_there() {
        let inner = inner(&LeaseName::new("top-1").unwrap());
        let look = |delay: &str| {
            let toxic = serde_json::json!({
                "name": "slow", "inject": { "latency": delay }, "text": format!("latency {delay}"),
                "directions": "to-client", "chance": "100%",
            });
            let mut proxy = proxy("db", &[]);
            proxy.toxic_faults.push(serde_json::from_value(toxic).expect("a toxic"));
            inner.take_in(vec![proxy], Told::Silently);
        };
        let notes = || {
            let world = lock(&inner.world);
            world.happenings.iter().filter(|one| one.text.contains("toxic slow on")).count()
        };
        let recorded = |minutes: u64| {
            let record = inner.record.lock();
            record.scenario(Offset::from_micros(minutes * 60_000_000))
        };
        look("25h");
        look("25h");
        assert_eq!((notes(), recorded(1)), (1, None), "nothing was armed");
        let text = lock(&inner.world).happenings.iter().map(|one| one.text.clone()).collect::<String>();
        assert!(text.contains("is not recorded: ") && text.contains("longer than a day"), "{text}");

        look("100ms");
        assert_ne!(recorded(1), recorded(2), "it stands");
        look("26h");
        look("26h");
        assert_eq!(notes(), 2);
        assert_eq!(recorded(1), recorded(2), "nothing stands");
        let text = recorded(1).unwrap();
        assert_eq!(text.matches("    inject: ").count(), 1, "{text}");
        assert!(text.contains("# Not recorded: toxic slow on"), "{text}");
    }
}
