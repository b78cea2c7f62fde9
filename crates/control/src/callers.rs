//! How the callers of those proxies behave on which something stands or stood: what a recording learns its `expect:` from.
//!
//! A proxy is watched from the first fault or toxic that is put on it, by the same watcher as in `murphy top`; one on which nothing ever
//! stood costs the data path nothing. Connections that were open before are not seen: whoever gives a call up closes its connection, and
//! is seen from the next one on. It must never grow without bound: each takes less than a mebibyte whatever passes it, and of many the
//! newest are watched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_adhoc::{Calls, Patterns};
use murphy_core::{Demand, EdgeName, Event, EventKind, Offset, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::ProxySeen;

/// So many proxies are watched.
const WATCHED: usize = 64;

/// How the callers of a proxy behave, as far as was seen.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CallsDoc {
    /// Its name.
    pub proxy: String,
    /// It is watched from this time of the daemon on.
    pub since: Span,
    /// What they do.
    pub patterns: Patterns,
}

#[derive(Debug)]
struct Watched {
    proxy: ProxySeen,
    since: Offset,
    /// That its calls are recorded.
    demand: Demand,
    place: Place,
    /// Once there is one: they take room.
    calls: Option<Calls>,
}

/// Whether there is such a proxy; one that is taken away makes room first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Another one has its name.
    Replaced,
    Gone,
    Taken,
}

/// All that are watched. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Callers(Arc<Mutex<BTreeMap<EdgeName, Watched>>>);

impl Callers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<EdgeName, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if none was ever watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Something is put on a proxy, whose calls are told under this edge once they are wanted. One that is watched goes on, also if it was
    /// taken away and made again as it was; with other addresses it is another one, and begins anew.
    pub(crate) fn watch(&self, now: Offset, edge: EdgeName, proxy: &ProxySeen, demand: &Demand) {
        let mut all = self.lock();
        match all.get_mut(&edge) {
            Some(known) if known.proxy == *proxy => {
                (known.place, known.demand) = (Place::Taken, demand.clone());
            }
            _ => {
                if let Some(other) = all.remove(&edge) {
                    other.demand.set(0);
                }
                let first = all.iter().min_by_key(|(_, known)| (known.place, known.since));
                let first = first.map(|(edge, _)| edge.clone());
                if all.len() >= WATCHED
                    && let Some(known) = first.and_then(|edge| all.remove(&edge))
                {
                    known.demand.set(0);
                }
                let (proxy, demand) = (proxy.clone(), demand.clone());
                all.insert(edge, Watched { proxy, since: now, demand, place: Place::Taken, calls: None });
            }
        }
        demand.set(1);
    }

    /// A proxy is this one from now on. If one of its name was watched that is another, what callers do to this one is not that one's.
    /// What was seen is kept.
    pub(crate) fn is_now(&self, proxy: &ProxySeen) {
        let mut all = self.lock();
        let is_another = |known: &&mut Watched| known.proxy.name == proxy.name && known.proxy != *proxy;
        for known in all.values_mut().filter(is_another) {
            known.demand.set(0);
            known.place = Place::Replaced;
        }
    }

    /// A proxy is taken away. What was seen of it is kept.
    pub(crate) fn gone(&self, proxy: &str) {
        let was_there = |known: &&mut Watched| known.proxy.name == proxy && known.place == Place::Taken;
        for known in self.lock().values_mut().filter(was_there) {
            known.place = Place::Gone;
        }
    }

    /// Something has happened on the data path.
    pub(crate) fn on(&self, event: &Event) {
        let edge = match &event.kind {
            EventKind::Exchange { edge, .. } => edge,
            EventKind::Request(call) => &call.edge,
            _ => return,
        };
        // Events of all proxies come while somebody listens.
        if let Some(known) = self.lock().get_mut(edge).filter(|known| known.place != Place::Replaced) {
            known.calls.get_or_insert_default().on(event);
        }
    }

    /// As it is told, by the names of proxies.
    pub(crate) fn docs(&self) -> Vec<CallsDoc> {
        let all = self.lock();
        let doc = |known: &Watched| CallsDoc {
            proxy: known.proxy.name.clone(),
            since: known.since.since(Offset::ZERO),
            patterns: known.calls.as_ref().map(|calls| calls.seen().patterns).unwrap_or_default(),
        };
        let mut docs: Vec<CallsDoc> = all.values().map(doc).collect();
        murphy_core::sort_short(&mut docs, |a, b| a.proxy.cmp(&b.proxy));
        docs
    }
}

#[cfg(test)]
mod tests {
    use murphy_adhoc::Timeout;
    use murphy_core::{ConnId, ExchangeEnd, Protocol, Recorder, RunClock};

    use super::*;

    fn proxy(name: &str, upstream: &str) -> ProxySeen {
        let (name, listen) = (name.to_owned(), "127.0.0.1:1".to_owned());
        ProxySeen { name, listen, upstream: upstream.to_owned(), protocol: Protocol::Tcp, tls: None }
    }

    fn edge(name: &str) -> EdgeName {
        EdgeName::new(name).unwrap()
    }

    fn at(millis: u64) -> Offset {
        Offset::from_micros(millis * 1000)
    }

    fn given_up(name: &str, second: u64) -> Event {
        let (began, ended) = (at(second * 1000), at(second * 1000 + 400));
        let end = ExchangeEnd::GivenUp;
        let (edge, conn) = (edge(name), ConnId(second));
        let kind = EventKind::Exchange { edge, conn, began, answered: None, ended, end, touched: true };
        Event { seq: second, at: ended, kind }
    }

    /// How many calls of each proxy were seen to be given up.
    fn seen(callers: &Callers) -> Vec<(String, u64)> {
        let counted = |doc: CallsDoc| match doc.patterns.timeout {
            Some(Timeout::GivesUp { calls, .. }) => (doc.proxy, calls),
            _ => (doc.proxy, 0),
        };
        callers.docs().into_iter().map(counted).collect()
    }

    #[test]
    fn nothing_is_recorded_of_a_proxy_before_something_is_put_on_it() {
        let (callers, db, cache) = (Callers::default(), Demand::default(), Demand::default());
        let (recorder, _recording) = Recorder::on_demand(RunClock::start(), 8, Demand::default());
        let (of_db, of_cache) = (recorder.also_on_demand(db.clone()), recorder.also_on_demand(cache.clone()));
        assert!(!of_db.is_enabled() && !of_cache.is_enabled());
        callers.watch(at(1), edge("db"), &proxy("db", "127.0.0.1:2"), &db);
        assert!(of_db.is_enabled() && !of_cache.is_enabled());
        (1..=7).for_each(|second| callers.on(&given_up("db", second)));
        (1..=7).for_each(|second| callers.on(&given_up("cache", second)));
        assert_eq!(seen(&callers), [("db".to_owned(), 7)]);
        assert_eq!(callers.docs()[0].since, Span::from_millis(1));
    }

    #[test]
    fn one_that_is_made_again_goes_on_as_it_was_and_begins_anew_as_another() {
        let (callers, first, second) = (Callers::default(), Demand::default(), Demand::default());
        let (recorder, _recording) = Recorder::on_demand(RunClock::start(), 8, Demand::default());
        let as_it_was = proxy("db", "127.0.0.1:2");
        callers.watch(at(1), edge("db"), &as_it_was, &first);
        (1..=6).for_each(|second| callers.on(&given_up("db", second)));
        callers.gone("db");
        assert_eq!(seen(&callers), [("db".to_owned(), 6)], "it is told of those that are gone, too");
        callers.watch(at(9_000), edge("db"), &as_it_was, &second);
        callers.on(&given_up("db", 9));
        assert_eq!(seen(&callers), [("db".to_owned(), 7)]);
        assert!(recorder.also_on_demand(second.clone()).is_enabled());
        callers.watch(at(10_000), edge("db"), &proxy("db", "127.0.0.1:3"), &Demand::default());
        assert_eq!(seen(&callers), [("db".to_owned(), 0)], "another dependency");
        assert!(!recorder.also_on_demand(second).is_enabled());
    }

    #[test]
    fn of_many_the_newest_are_watched_and_those_that_are_gone_make_room_first() {
        let callers = Callers::default();
        let (recorder, _recording) = Recorder::on_demand(RunClock::start(), 8, Demand::default());
        let demands: Vec<Demand> = (0..WATCHED + 2).map(|_| Demand::default()).collect();
        let name = |number: usize| format!("p{number}");
        for (number, demand) in demands.iter().enumerate() {
            if number == WATCHED {
                callers.gone(&name(3));
            }
            let now = at(number as u64);
            callers.watch(now, edge(&name(number)), &proxy(&name(number), "127.0.0.1:2"), demand);
        }
        let ended = demands.iter().map(|demand| !recorder.also_on_demand(demand.clone()).is_enabled());
        let ended: Vec<usize> =
            ended.enumerate().filter_map(|(number, is_ended)| is_ended.then_some(number)).collect();
        assert_eq!((callers.docs().len(), ended), (WATCHED, vec![0, 3]));
    }
}
