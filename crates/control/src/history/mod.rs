//! What was done to the proxies and containers of a daemon, with its times, through whichever API: what a recording is made of.
//!
//! It must never wait, nor grow without bound: of what is over, the oldest is forgotten, and counted.

mod doc;
mod kept;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_adhoc::{Happening, Kind, NetworkTarget, Whom};
use murphy_core::{Demand, EdgeName, Event, EventKind, FaultId, RunClock};
use murphy_faults::Fault;
use murphy_scenario::Stretch;

pub(crate) use self::kept::text_len;
use self::kept::{Deed, Kept, Key, span};
use crate::callers::Callers;

pub use self::doc::{DeedDoc, DoneOn, HistoryDoc, ProxySeen, StoodDoc};

/// Told once: which and how many they were says nothing of a caller.
const LOST: &str = "calls that came too many at once: how callers behave is told without them";

/// The history of a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct History {
    clock: RunClock,
    kept: Arc<Mutex<Kept>>,
    callers: Callers,
}

impl History {
    /// Nothing was done yet; its time begins now.
    pub(crate) fn start() -> History {
        History { clock: RunClock::start(), kept: Arc::default(), callers: Callers::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that stands on a proxy from now on: what is new begins, what is not there any more is over.
    pub(crate) fn stands(&self, proxy: &ProxySeen, stands: Vec<StoodDoc>) {
        self.callers.is_now(proxy);
        let now = self.clock.now();
        let mut kept = self.lock();
        let key = Key::Proxy(proxy.name.clone());
        let open = kept.open.remove(&key).unwrap_or_default();
        let (mut open, over): (Vec<Deed>, Vec<Deed>) =
            open.into_iter().partition(|deed| stands.contains(&deed.stood));
        kept.end(now, over);
        for stood in stands {
            if !open.iter().any(|deed| deed.stood == stood) {
                open.push(Deed::begin(DoneOn::Proxy(proxy.clone()), stood, now, None));
            }
        }
        if !open.is_empty() {
            kept.open.insert(key, open);
        }
    }

    /// Something stands on a proxy that its calls may meet: they are watched from now on, under this edge.
    pub(crate) fn watch(&self, edge: EdgeName, proxy: &ProxySeen, demand: &Demand) {
        self.callers.watch(self.clock.now(), edge, proxy, demand);
    }

    /// Something has happened on the data path.
    pub(crate) fn on(&self, event: &Event) {
        // Of which proxy they were, nobody knows.
        if matches!(event.kind, EventKind::EventsLost { .. }) && !self.callers.is_empty() {
            self.lock().leave_out(LOST.to_owned());
        }
        self.callers.on(event);
    }

    /// A proxy is gone, with all that stood on it.
    pub(crate) fn gone(&self, proxy: &str) {
        self.callers.gone(proxy);
        let now = self.clock.now();
        let mut kept = self.lock();
        let open = kept.open.remove(&Key::Proxy(proxy.to_owned())).unwrap_or_default();
        kept.end(now, open);
    }

    /// Something happened to a fault on containers or on the network between them.
    pub(crate) fn happened(&self, fault: &FaultId, whom: &Whom, inject: &Fault, happening: &Happening) {
        let now = self.clock.now();
        let mut kept = self.lock();
        let key = Key::ContainerFault(fault.clone());
        match happening {
            Happening::Done { target, took, .. } => {
                let on = match (whom, target.kind) {
                    (Whom::Containers(_), Kind::Container) => {
                        Some((DoneOn::Container(target.name.clone()), Some(target.to_string())))
                    }
                    (Whom::Network(network), _) => between(network).map(|on| (on, None)),
                    _ => None,
                };
                let Some((on, victim)) = on else {
                    kept.leave_out(format!("{fault}: {} on {}", inject.text(), target.name));
                    return;
                };
                let stood = StoodDoc::plain(fault.to_string(), inject.clone());
                let open = kept.open.entry(key).or_default();
                // Between two sides it is one deed, however many are on each. It began when the engine was asked for it: whoever does it
                // again asks then.
                if !open.iter().any(|deed| deed.on == on) {
                    open.push(Deed::begin(on, stood, now.before(*took), victim));
                }
            }
            Happening::TakenBack { undo, .. } => kept.end_those(now, key, |deed| deed.ends_by(undo)),
            Happening::NotTakenBack { undo, .. } => {
                kept.owe(&key, undo);
                kept.leave_out(format!("{fault}: when this was done at last, for it failed: {undo}"));
            }
            // What is over as soon as it is done (a restart) has no undo that would tell. What could not be taken back stands, as far as
            // anybody here knows, in later rounds too.
            Happening::Planned(_) | Happening::Ended { .. } => kept.end_those(now, key, |deed| !deed.owed),
            _ => {}
        }
    }

    /// As it is told.
    pub(crate) fn doc(&self) -> HistoryDoc {
        let calls = self.callers.docs();
        let kept = self.lock();
        // Read behind the lock: nothing that is told here is later.
        let now = span(self.clock.now());
        let all = kept.over.iter().chain(kept.open.values().flatten());
        let mut deeds: Vec<DeedDoc> = all.map(Deed::doc).collect();
        deeds.sort_by_key(|deed| deed.from);
        let left_out = kept.left_out.iter().cloned().collect();
        HistoryDoc { now, deeds, forgotten: kept.forgotten, left_out, calls }
    }
}

/// Two sides, if a recording has a word for them.
fn between(network: &NetworkTarget) -> Option<DoneOn> {
    let names = |side: &[murphy_scenario::Caller]| side.iter().map(ToString::to_string).collect();
    match (&network.stretch, &network.project) {
        (Stretch::Between { groups }, None) => match groups.as_slice() {
            [some, others] => Some(DoneOn::Between { some: names(some), others: names(others) }),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::kept::{KEPT, KEPT_BYTES};
    use super::*;
    use murphy_adhoc::Timeout;
    use murphy_core::{ConnId, ExchangeEnd, Offset, Protocol, Recorder, Span};

    fn proxy() -> ProxySeen {
        ProxySeen {
            name: "db".into(),
            listen: "127.0.0.1:1".into(),
            upstream: "127.0.0.1:2".into(),
            protocol: Protocol::Tcp,
            tls: None,
        }
    }

    fn stood(name: &str, inject: &str) -> StoodDoc {
        StoodDoc::plain(name.to_owned(), serde_json::from_str(inject).unwrap())
    }

    #[test]
    fn an_edit_ends_one_deed_and_begins_the_next_and_what_is_the_same_goes_on() {
        let history = History::start();
        let (slow, slower, reset) = (
            stood("slow", r#"{"latency":"100ms"}"#),
            stood("slow", r#"{"latency":"200ms"}"#),
            stood("reset", r#""reset""#),
        );
        history.stands(&proxy(), vec![slow.clone(), reset.clone()]);
        history.stands(&proxy(), vec![slower.clone(), reset.clone()]);
        let told = history.doc();
        let stands = |what: &StoodDoc| {
            let deed = told.deeds.iter().find(|deed| deed.stood == *what).expect("it was done");
            deed.until.is_none()
        };
        assert_eq!(
            (told.deeds.len(), stands(&slow), stands(&slower), stands(&reset)),
            (3, false, true, true)
        );
        history.gone("db");
        assert!(history.doc().deeds.iter().all(|deed| deed.until.is_some_and(|until| until >= deed.from)));
    }

    #[test]
    fn calls_that_were_lost_are_told_once_and_only_where_callers_are_watched() {
        let history = History::start();
        let lost = |count| Event { seq: 1, at: Offset::ZERO, kind: EventKind::EventsLost { count } };
        history.on(&lost(3));
        assert_eq!(history.doc().left_out, Vec::<String>::new());
        history.watch(EdgeName::new("db").unwrap(), &proxy(), &Demand::default());
        history.on(&lost(3));
        history.on(&lost(4));
        assert_eq!(history.doc().left_out, [LOST]);
    }

    #[test]
    fn what_callers_do_to_another_dependency_under_the_same_name_is_not_told_as_done_to_the_first() {
        let (history, demand) = (History::start(), Demand::default());
        let edge = EdgeName::new("db").unwrap();
        let given_up = |second: u64| {
            let at = |millis: u64| Offset::from_micros((second * 1_000 + millis) * 1_000);
            let (edge, conn, end) = (edge.clone(), ConnId(second), ExchangeEnd::GivenUp);
            let (began, ended) = (at(0), at(400));
            let kind = EventKind::Exchange { edge, conn, began, answered: None, ended, end, touched: true };
            Event { seq: second, at: ended, kind }
        };
        let seen = || match history.doc().calls[0].patterns.timeout {
            Some(Timeout::GivesUp { calls, .. }) => calls,
            _ => 0,
        };
        let (recorder, _recording) = Recorder::on_demand(RunClock::start(), 8, Demand::default());
        let is_recorded = || recorder.also_on_demand(demand.clone()).is_enabled();
        history.watch(edge.clone(), &proxy(), &demand);
        (1..=6).for_each(|second| history.on(&given_up(second)));
        history.stands(&proxy(), Vec::new());
        history.on(&given_up(7));
        assert_eq!((seen(), is_recorded()), (7, true), "nothing stands on it any more, and it is the same");
        // Another upstream, and nothing is put on that. Somebody listens to all events meanwhile.
        history.stands(&ProxySeen { upstream: "127.0.0.1:3".into(), ..proxy() }, Vec::new());
        (8..=12).for_each(|second| history.on(&given_up(second)));
        assert_eq!((seen(), is_recorded()), (7, false));
        // As it was, and something is put on it.
        history.watch(edge.clone(), &proxy(), &demand);
        history.stands(&proxy(), vec![stood("off", r#""blackhole""#)]);
        history.on(&given_up(13));
        assert_eq!((seen(), is_recorded()), (8, true));
    }

    #[test]
    fn a_proxy_is_told_with_its_tls_as_it_was_given() {
        let history = History::start();
        let given = serde_json::json!({ "mode": "both", "name": "db.example", "ca": "/etc/ca.pem" });
        let tls = serde_json::from_value(given.clone()).unwrap();
        let expired = stood("expired", r#"{"tls-handshake":"expired"}"#);
        history.stands(&ProxySeen { tls: Some(tls), ..proxy() }, vec![expired]);
        let told = serde_json::to_value(history.doc()).unwrap();
        assert_eq!(told["deeds"][0]["on"]["proxy"]["tls"], given);
        let read: HistoryDoc = serde_json::from_value(told).unwrap();
        assert_eq!(read.deeds[0].on, history.doc().deeds[0].on);
    }

    #[test]
    fn the_oldest_of_what_is_over_is_forgotten_and_counted_and_what_stands_is_not() {
        let history = History::start();
        let stays = stood("stays", r#""reset""#);
        for number in 0..KEPT + 3 {
            let passes = stood(&format!("n{number}"), r#""blackhole""#);
            history.stands(&proxy(), vec![stays.clone(), passes]);
        }
        let told = history.doc();
        assert_eq!((told.deeds.len(), told.forgotten), (KEPT + 2, 2));
        assert!(told.deeds.iter().any(|deed| deed.stood == stays && deed.until.is_none()));
        assert!(!told.deeds.iter().any(|deed| deed.stood.name == "n0"));
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_too() {
        let history = History::start();
        let body = "x".repeat(KEPT_BYTES / 4);
        let large = stood("large", &format!(r#"{{"abort":{{"body":"{body}"}}}}"#)).inject;
        for number in 0..7 {
            history.stands(&proxy(), vec![StoodDoc::plain(format!("n{number}"), large.clone())]);
        }
        // Six are over; with their names and settings only three of a quarter each have room.
        let told = history.doc();
        let names: Vec<&str> = told.deeds.iter().map(|deed| deed.stood.name.as_str()).collect();
        assert_eq!((names, told.forgotten), (vec!["n3", "n4", "n5", "n6"], 3));
        history.stands(&proxy(), Vec::new());
        assert_eq!((history.doc().deeds.len(), history.doc().forgotten), (3, 4));
    }

    #[test]
    fn what_is_done_to_a_container_begins_when_it_is_asked_for_however_long_the_engine_takes() {
        let history = History::start();
        let whom = Whom::Containers("service:web".parse().unwrap());
        let inject: Fault = serde_json::from_str(r#""stop""#).unwrap();
        let begun = |name: &str, took: Span| {
            let target = murphy_adhoc::Victim { kind: Kind::Container, name: name.into(), id: "aa".into() };
            let done = Happening::Done { round: 1, target, took, notes: Vec::new(), command: None };
            history.happened(&FaultId::new(name).unwrap(), &whom, &inject, &done);
            let deeds = history.doc().deeds;
            deeds.into_iter().find(|deed| deed.stood.name == name).expect("it was done").from
        };
        let before = history.doc().now;
        assert!(begun("stop-1", Span::ZERO) >= before);
        assert_eq!(begun("stop-2", Span::from_secs(86_400)), Span::ZERO, "it took longer than there was");
    }

    #[test]
    fn of_several_containers_each_ends_with_its_own_undo_and_what_is_not_taken_back_stands() {
        let history = History::start();
        let (fault, whom) =
            (FaultId::new("pause-1").unwrap(), Whom::Containers("service:web".parse().unwrap()));
        let inject: Fault = serde_json::from_str(r#""pause""#).unwrap();
        let on = |happening: Happening| history.happened(&fault, &whom, &inject, &happening);
        let victim = |name: &str, id: &str| murphy_adhoc::Victim {
            kind: Kind::Container,
            name: name.to_owned(),
            id: id.to_owned(),
        };
        let stand = || {
            let stands = |deed: &DeedDoc| (deed.on.clone(), deed.until.is_none());
            history.doc().deeds.iter().map(stands).collect::<Vec<_>>()
        };
        let is = |name: &str, stands: bool| (DoneOn::Container(name.to_owned()), stands);
        for target in [victim("web", "aa"), victim("web-1", "bb")] {
            let took = Span::from_millis(1);
            on(Happening::Done { round: 1, target, took, notes: Vec::new(), command: None });
        }
        assert_eq!(stand(), [is("web", true), is("web-1", true)]);
        let undo = "unpause web-1 (bb)".to_owned();
        on(Happening::TakenBack { round: 1, undo, notes: Vec::new() });
        assert!(stand().contains(&is("web", true)) && stand().contains(&is("web-1", false)), "{:?}", stand());
        let (undo, why, by_hand) =
            ("unpause web (aa)".to_owned(), "gone".to_owned(), "murphy undo".to_owned());
        on(Happening::NotTakenBack { round: 1, undo: undo.clone(), why, by_hand });
        on(Happening::Planned(murphy_adhoc::Planned {
            round: 2,
            deed: "pause".to_owned(),
            when: "every 1s".to_owned(),
            targets: vec![victim("web-2", "cc")],
            of: 1,
            protected: Vec::new(),
            undo: Vec::new(),
            notes: Vec::new(),
            seed: murphy_core::Seed(7),
        }));
        let (target, took) = (victim("web-2", "cc"), Span::from_millis(1));
        on(Happening::Done { round: 2, target, took, notes: Vec::new(), command: None });
        on(Happening::Ended { rounds: 2, touched: 3, not_taken_back: 1 });
        let now = stand();
        assert!(now.contains(&is("web", true)) && now.contains(&is("web-2", false)), "{now:?}");
        assert!(history.doc().left_out[0].contains("unpause web (aa)"), "{:?}", history.doc().left_out);
        on(Happening::TakenBack { round: 3, undo, notes: Vec::new() });
        assert!(stand().iter().all(|(_, stands)| !stands), "{:?}", stand());
    }
}
