//! Listens to a daemon and looks at it now and then, also at one that was away.

use std::sync::Arc;
use std::time::Duration;

use murphy_control::{ClientError, Heard, Listening};
use murphy_core::{Event, Offset, Span};
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Inner, Told};
use crate::screen::lock;
use crate::world::Loudness;

/// Between two looks where nothing is told.
const LOOK: Duration = Duration::from_millis(500);
/// From a notice to the look at what it tells of: one look for all that is changed at once.
const SOON: Duration = Duration::from_millis(50);
/// Between two looks for a daemon that is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// What is read from a daemon all the while.
pub(super) struct Ears {
    events: Listening,
    hold: Listening,
}

impl Inner {
    /// Takes the lease, and begins to listen.
    pub(super) async fn listen(&self) -> Result<Ears, ClientError> {
        let hold = self.client.hold_lease(self.lease.as_str()).await?;
        Ok(Ears { events: self.client.events().await?, hold })
    }

    fn hear(&self, heard: &Heard) -> Then {
        if heard.event == "traffic" {
            if let Ok(event) = serde_json::from_slice::<Event>(heard.data.as_bytes()) {
                self.record.lock().on(&event);
                let mut world = lock(&self.world);
                let now = self.clock.now();
                // The daemon counts from its own beginning.
                if world.begins == Offset::ZERO && world.younger == Span::ZERO {
                    world.set_clock(event.at, now);
                }
                world.see(event);
            }
            return Then::GoOn;
        }
        match heard.event.as_str() {
            "lost" => {
                let count = text(&notice(&heard.data)["count"]);
                self.note(Loudness::Trouble, format!("{count} events were lost: figures are too low"));
                Then::GoOn
            }
            "container-fault" => {
                if let Some(fault) = done_to_containers(&heard.data) {
                    let what = format!("container fault {fault}: `murphy proxies save` has it");
                    self.record.lock().leave_out(what);
                }
                self.note(Loudness::Deed, container_fault(&heard.data));
                Then::GoOn
            }
            "listening" => Then::GoOn,
            _ => Then::LookSoon,
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    /// Something is another than before, and more may be.
    LookSoon,
    Look,
    /// Another page of connections is looked at.
    Read,
}

/// Whether the next look was brought forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beat {
    Usual,
    Soon,
}

/// The fields of a notice; none of what cannot be read.
fn notice(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_default()
}

/// A field as text, whatever it is.
fn text(field: &Value) -> String {
    field.as_str().map_or_else(|| field.to_string(), str::to_owned)
}

/// For people: what happened to a fault on containers.
fn container_fault(data: &str) -> String {
    let notice = notice(data);
    let done = notice["happened"]["event"].as_str().unwrap_or_default();
    format!("container fault {}: {done}", text(&notice["fault"]))
}

/// The fault, once it was done to somebody.
fn done_to_containers(data: &str) -> Option<String> {
    let notice = notice(data);
    (notice["happened"]["event"] == "done").then(|| text(&notice["fault"]))
}

pub(super) async fn watch(inner: Arc<Inner>, ears: Ears, stop: CancellationToken) {
    let mut ears = Some(ears);
    // Of its own time: where traffic is told without a pause, there is never a silence to look in.
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Beat::Usual;
    while !stop.is_cancelled() {
        let Some(Ears { events, hold }) = &mut ears else {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
            if let Ok(heard) = inner.listen().await {
                ears = Some(heard);
                inner.note(Loudness::Notice, "the daemon is back".to_owned());
                let mut world = lock(&inner.world);
                world.stage.clear();
                // It may be another one, which counts from its own beginning.
                (world.begins, world.younger) = (Offset::ZERO, Span::ZERO);
                drop(world);
                inner.record.lock().forget_calls();
            }
            continue;
        };
        let then = tokio::select! {
            () = stop.cancelled() => return,
            heard = events.next() => heard.map(|heard| inner.hear(&heard)),
            held = hold.next() => held.map(|_| Then::GoOn),
            () = inner.look_now.notified() => Some(Then::Read),
            _ = beat.tick() => Some(Then::Look),
        };
        let looked = match then {
            Some(Then::GoOn) => continue,
            Some(Then::Read) => {
                inner.read_connections().await;
                continue;
            }
            // Once, so that notices without a pause do not put it off.
            Some(Then::LookSoon) => {
                if std::mem::replace(&mut next, Beat::Soon) == Beat::Usual {
                    beat.reset_after(SOON);
                }
                continue;
            }
            Some(Then::Look) => {
                next = Beat::Usual;
                inner.client.proxies().await.ok()
            }
            None => None,
        };
        match looked {
            Some(proxies) => {
                inner.take_in(proxies, Told::Aloud);
                inner.read_connections().await;
            }
            None => {
                ears = None;
                inner.lose();
                lock(&inner.world).stage = "NO DAEMON".to_owned();
                inner.note(Loudness::Trouble, "the daemon does not answer any more".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_notice_is_text_whatever_it_is() {
        let read = notice(r#"{"fault":"pause-1","count":7}"#);
        assert_eq!((text(&read["fault"]), text(&read["count"])), ("pause-1".into(), "7".into()));
        assert_eq!(text(&notice("no json")["count"]), "null");
    }

    #[test]
    fn what_happened_to_a_container_is_told_by_its_fault() {
        let data = r#"{"fault":"pause-1","happened":{"event":"done","containers":["web"]}}"#;
        assert_eq!(container_fault(data), "container fault pause-1: done");
        assert_eq!(container_fault(r#"{"fault":"pause-1"}"#), "container fault pause-1: ");
        assert_eq!(done_to_containers(data), Some("pause-1".to_owned()));
        assert_eq!(done_to_containers(r#"{"fault":"pause-1","happened":{"event":"planned"}}"#), None);
    }
}
