//! How an event changes what is seen. Where a source knows better what stands on the edges, an event of it is noted, and moves at
//! most when a fault ends; none may make a figure wrong that the source counts.

use std::sync::Arc;

use murphy_core::{
    CloseHow, ContainerHealth, Event, EventKind, ExchangeEnd, FaultId, HandDeed, Offset, Side, Tally,
};

use super::{Door, Loudness, StandingFault, Teller, Whose, World};
use crate::figures::CallEnd;
use crate::words::tally_text;

impl World {
    /// Takes one event in.
    pub fn see(&mut self, event: Event) {
        let (begins, younger) = (self.begins, self.younger);
        let here = |at: Offset| Offset::ZERO + at.since(begins) + younger;
        let at = here(event.at);
        self.now = self.now.max(at);
        match event.kind {
            EventKind::Exchange { edge, began, answered, ended, end, .. } => {
                let failed = matches!(end, ExchangeEnd::Failed | ExchangeEnd::GivenUp | ExchangeEnd::Open);
                let took = answered.unwrap_or(ended).since(began);
                let end = if failed { CallEnd::Failed } else { CallEnd::Answered };
                self.edge(&edge).figures.call(here(ended), took, end);
            }
            EventKind::Request(call) => {
                let took = call.answered.unwrap_or(call.ended).since(call.began);
                let end = if call.is_good() { CallEnd::Answered } else { CallEnd::Failed };
                self.edge(&call.edge).figures.call(here(call.ended), took, end);
            }
            EventKind::ConnOpened { edge, .. } if self.teller == Teller::Events => {
                let edge = self.edge(&edge);
                edge.open += 1;
                edge.accepted += 1;
            }
            EventKind::ConnClosed { edge, by, how, to_upstream, to_client, .. } => {
                if self.teller == Teller::Events {
                    let known = self.edge(&edge);
                    known.open = known.open.saturating_sub(1);
                    known.bytes.0 += to_upstream;
                    known.bytes.1 += to_client;
                }
                if how == CloseHow::Rst && by == Side::Upstream {
                    self.note(at, Loudness::Trouble, format!("{edge}: reset by the dependency"));
                }
            }
            EventKind::DialFailed { edge, why, .. } => {
                if self.teller == Teller::Events {
                    self.edge(&edge).unreachable += 1;
                }
                self.note(at, Loudness::Trouble, format!("{edge}: cannot reach the dependency: {why}"));
            }
            EventKind::EdgeListening { edge, listen, upstream } => {
                let known = self.edge(&edge);
                (known.listen, known.upstream, known.door) = (listen, upstream, Door::Open);
            }
            other => self.see_rarer(at, other),
        }
    }

    fn see_rarer(&mut self, at: Offset, kind: EventKind) {
        match kind {
            EventKind::RunStarted(brief) => {
                self.note(at, Loudness::Notice, format!("run of `{}` began", brief.scenario));
                self.briefs = brief.faults;
            }
            EventKind::PhaseStarted { phase } => {
                self.stage = phase.name().to_owned();
                self.note(at, Loudness::Notice, format!("phase {phase}"));
            }
            EventKind::RunEnded => {
                self.stage = "ended".to_owned();
                self.note(at, Loudness::Notice, "the run has ended");
            }
            EventKind::FaultArmed { fault } => self.armed(at, &fault),
            EventKind::FaultLifted { fault, tally } => self.lifted(at, &fault, tally),
            EventKind::FaultFailed { fault, why } => {
                self.note(at, Loudness::Trouble, format!("fault {fault} failed: {why}"));
            }
            EventKind::FaultTriggered { fault, by } => {
                self.note(at, Loudness::Notice, format!("{fault} begins: {by}"));
            }
            EventKind::FaultNeverArmed { fault, why } => {
                self.note(at, Loudness::Trouble, format!("fault {fault} was never armed: {why}"));
            }
            EventKind::ByHand(deed) => self.by_hand(at, *deed),
            EventKind::ServiceStarted { service, pid } => {
                self.note(at, Loudness::Notice, format!("service {service} started, pid {pid}"));
            }
            EventKind::ServiceExited { service, status, .. } => {
                self.note(at, Loudness::Trouble, format!("service {service} ended: {status:?}"));
            }
            EventKind::ContainerExited { container, code, .. } => {
                self.note(at, Loudness::Trouble, format!("container {} exited with {code}", container.name));
                self.container(container.name, &format!("exited ({code})"), ContainerHealth::None);
            }
            EventKind::ContainerOom { container, .. } => {
                self.note(at, Loudness::Trouble, format!("container {} ran out of memory", container.name));
            }
            EventKind::ContainerRestarted { container, down, .. } => {
                self.note(at, Loudness::Notice, format!("container {} is back after {down}", container.name));
                self.container(container.name, "running", ContainerHealth::None);
            }
            EventKind::ContainerHealthChanged { container, health } => {
                self.container(container.name, "running", health);
            }
            EventKind::EdgeIntercepted { edge, caller, destinations, cut, .. } => {
                let to = destinations.join(", ");
                self.note(
                    at,
                    Loudness::Notice,
                    format!("{edge}: sits in on {caller}, to {to}; {cut} open cut"),
                );
                let known = self.edge(&edge);
                if known.listen.is_empty() {
                    known.listen = format!("from {caller}");
                }
            }
            EventKind::EdgeBypassed { edge, caller, why } => {
                self.note(at, Loudness::Trouble, format!("{edge}: past Murphy, {caller}: {why}"));
            }
            EventKind::AcceptFailed { edge, why } => {
                self.note(at, Loudness::Trouble, format!("{edge}: cannot accept: {why}"));
            }
            EventKind::EventsLost { count } => {
                self.note(at, Loudness::Trouble, format!("{count} events were lost: figures are too low"));
            }
            EventKind::Interrupted { signal } => {
                self.note(at, Loudness::Trouble, format!("interrupted by {signal}"))
            }
            EventKind::Aborted { rule } => self.note(at, Loudness::Trouble, format!("aborted: {rule}")),
            EventKind::RunFailed { why } => {
                self.note(at, Loudness::Trouble, format!("the run failed: {why}"))
            }
            EventKind::UndoFailed { undo, why } => {
                self.note(at, Loudness::Trouble, format!("not taken back: {undo}: {why}"));
            }
            _ => {}
        }
    }

    fn container(&mut self, name: String, state: &str, health: ContainerHealth) {
        let known = self.containers.entry(name).or_default();
        (known.state, known.health) = (state.to_owned(), health);
    }

    fn armed(&mut self, at: Offset, fault: &FaultId) {
        let Some(brief) = self.briefs.iter().find(|brief| brief.id == *fault).cloned() else { return };
        self.note(at, Loudness::Deed, format!("{} on {}", brief.text, brief.on));
        let Some(edge) = &brief.edge else { return };
        let until = Some(at + brief.lasts);
        if self.teller == Teller::Source {
            let known = self.edge(edge).faults.iter_mut().find(|known| known.id == brief.id);
            known.into_iter().for_each(|known| known.until = until);
            return;
        }
        let standing = StandingFault {
            id: brief.id.clone(),
            text: brief.text.clone(),
            fault: None,
            tally: None,
            until,
            whose: Whose::Theirs,
        };
        let edge = self.edge(edge);
        edge.faults.retain(|known| known.id != brief.id);
        edge.faults.push(standing);
    }

    /// Somebody did something to a run.
    fn by_hand(&mut self, at: Offset, deed: HandDeed) {
        self.note(at, Loudness::Deed, format!("by hand: {deed}"));
        if self.teller == Teller::Source {
            return;
        }
        match deed {
            HandDeed::Armed { edge, fault, text } | HandDeed::Changed { edge, fault, text } => {
                let faults = &mut self.edge(&edge).faults;
                match faults.iter_mut().find(|known| known.id == fault) {
                    Some(known) => known.text = text,
                    None => faults.push(StandingFault {
                        id: fault,
                        text,
                        fault: None,
                        tally: None,
                        until: None,
                        whose: Whose::Theirs,
                    }),
                }
            }
            HandDeed::Lifted { edge, fault, .. } => {
                self.edge(&edge).faults.retain(|known| known.id != fault);
            }
            HandDeed::Done { .. } => {}
        }
    }

    fn lifted(&mut self, at: Offset, fault: &FaultId, tally: Tally) {
        let text =
            self.briefs.iter().find(|brief| brief.id == *fault).map_or(fault.as_str(), |brief| &brief.text);
        let words = format!("{text} lifted: {}", tally_text(tally));
        self.note(at, Loudness::Deed, words);
        if self.teller == Teller::Source {
            return;
        }
        for edge in self.edges.values_mut().filter(|edge| edge.faults.iter().any(|known| known.id == *fault))
        {
            Arc::make_mut(edge).faults.retain(|known| known.id != *fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{ConnId, EdgeName, Span};

    use super::*;

    fn event(at: u64, kind: EventKind) -> Event {
        Event { seq: 0, at: Offset::from_micros(at), kind }
    }

    fn name(text: &str) -> EdgeName {
        EdgeName::new(text).unwrap()
    }

    #[test]
    fn an_exchange_counts_with_the_wait_for_its_answer() {
        let mut world = World::default();
        let exchange = |answered, end| EventKind::Exchange {
            edge: name("db"),
            conn: ConnId(1),
            began: Offset::from_micros(100_000),
            answered,
            ended: Offset::from_micros(500_000),
            end,
            touched: false,
        };
        world.see(event(500_000, exchange(Some(Offset::from_micros(130_000)), ExchangeEnd::Answered)));
        world.see(event(500_000, exchange(None, ExchangeEnd::GivenUp)));
        let figures = &world.edges[&name("db")].figures;
        let (now, over) = (Offset::from_micros(1_000_000), std::time::Duration::from_secs(1));
        assert_eq!(figures.quantile(now, over, 0.5), Some(Span::from_millis(30)));
        assert_eq!(figures.failed(now, over), Some(0.5));
    }

    #[test]
    fn calls_are_counted_now_whether_the_clock_of_who_tells_of_them_is_older_or_younger() {
        for (told, now) in [(500_000_000, 20_000_000), (3_000_000, 20_000_000), (20_000_000, 20_000_000)] {
            let mut world = World::default();
            let (told, now) = (Offset::from_micros(told), Offset::from_micros(now));
            world.set_clock(told, now);
            let exchange = EventKind::Exchange {
                edge: name("db"),
                conn: ConnId(1),
                began: told,
                answered: Some(told),
                ended: told,
                end: ExchangeEnd::Answered,
                touched: false,
            };
            world.see(event(told.as_micros(), exchange));
            let (soon, over) = (now + Span::from_millis(1_000), std::time::Duration::from_secs(1));
            assert_eq!(world.now, now);
            assert_eq!(world.edges[&name("db")].figures.rate(soon, over), 1.0);
        }
    }

    #[test]
    fn the_same_happening_on_end_is_counted() {
        let mut world = World::default();
        for n in 0..500 {
            let kind = EventKind::DialFailed { edge: name("db"), conn: ConnId(n), why: "refused".to_owned() };
            world.see(event(n, kind));
        }
        assert_eq!(world.happenings.len(), 1);
        assert_eq!(world.happenings[0].times, 500);
        assert_eq!(world.edges[&name("db")].unreachable, 500);
    }

    #[test]
    fn what_somebody_does_to_a_run_by_hand_is_shown() {
        let mut world = World::default();
        let (edge, fault) = (name("db"), FaultId::new("latency-by-hand-1").unwrap());
        let deed = |text: &str| {
            let (edge, fault, text) = (edge.clone(), fault.clone(), text.to_owned());
            EventKind::ByHand(Box::new(HandDeed::Armed { edge, fault, text }))
        };
        let shown = |world: &World| {
            world.edges[&name("db")].faults.iter().map(|known| known.text.clone()).collect::<Vec<_>>()
        };
        world.see(event(1, deed("latency 300ms")));
        world.see(event(2, deed("latency 330ms")));
        assert_eq!(shown(&world), ["latency 330ms"]);
        assert_eq!(world.happenings[0].text, "by hand: latency 300ms on db");
        let (text, tally) = ("latency 330ms".to_owned(), Tally::default());
        let lifted = HandDeed::Lifted { edge: edge.clone(), fault: fault.clone(), text, tally };
        world.see(event(3, EventKind::ByHand(Box::new(lifted))));
        assert_eq!(shown(&world), [""; 0]);
        // One who knows it earlier has said what stands: an event that comes late changes nothing.
        world.teller = Teller::Source;
        world.see(event(4, deed("latency 300ms")));
        assert_eq!(shown(&world), [""; 0]);
        assert_eq!(world.happenings.len(), 4);
    }

    #[test]
    fn open_connections_never_go_below_zero() {
        let mut world = World::default();
        let closed = EventKind::ConnClosed {
            edge: name("db"),
            conn: ConnId(1),
            by: Side::Client,
            how: CloseHow::Fin,
            to_upstream: 3,
            to_client: 4,
            age: Span::ZERO,
        };
        world.see(event(1, closed.clone()));
        assert_eq!((world.edges[&name("db")].open, world.edges[&name("db")].bytes), (0, (3, 4)));
        // One who reads the counters has counted it already, however late a journal tells of it.
        world.teller = Teller::Source;
        world.see(event(2, closed));
        assert_eq!(world.edges[&name("db")].bytes, (3, 4));
    }
}
