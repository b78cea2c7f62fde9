//! Sitting in by hand on the calls of callers that run and know nothing of it: who is meant, what of it is told, and how
//! it begins and ends.

use murphy_core::{EdgeName, Event, EventKind, NameError, Protocol, Recorder, Seed, Timestamp};
use murphy_docker::Target;
use murphy_proxy::{EdgeHands, EdgeTls};
use murphy_runner::{Attached, Attachment, Base, Lockable, Outlook, Stop, Whose, by_hand};
use murphy_scenario::{Address, Caller, OpenConnections};
use serde::Serialize;

use crate::happening::{Happening, Kind, Planned, Victim};
use crate::order::Consent;
use crate::seat::SeatError;
use crate::whom::{Whom, WhomError, Wish};

/// Whose calls are meant, as typed and read.
#[derive(Debug, Clone)]
pub struct FromWhom {
    text: String,
    meant: Meant,
}

#[derive(Debug, Clone)]
enum Meant {
    Process(Caller),
    Containers(Target),
}

impl FromWhom {
    /// Reads what was typed: a container as for every command by hand, one word for a container or a compose service, or
    /// `pid:4711`.
    pub fn read(wish: &Wish) -> Result<FromWhom, FromWhomError> {
        let text = wish.selector.trim().to_owned();
        let meant = if text.starts_with("pid:") {
            Meant::Process(text.parse()?)
        } else {
            match wish.containers("attach", "name the container that it runs in, or write pid:4711")? {
                Whom::Containers(target) => Meant::Containers(target),
                // `Wish::containers` gives nothing else.
                other => unreachable!("{other:?} for a container"),
            }
        };
        Ok(FromWhom { text, meant })
    }

    /// As typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn whose(&self, seed: Seed) -> Whose {
        match &self.meant {
            Meant::Process(caller) => Whose::Callers(vec![caller.clone()]),
            Meant::Containers(target) => {
                Whose::Containers { target: target.clone(), seed: seed.derive("pick", 1) }
            }
        }
    }
}

/// Why a text names no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FromWhomError {
    /// Not a container.
    #[error(transparent)]
    Whom(#[from] WhomError),
    /// Not a process.
    #[error(transparent)]
    Caller(#[from] murphy_scenario::CallerError),
}

/// What is to be sat in on.
#[derive(Debug, Clone)]
pub struct Attach {
    /// Whose calls.
    pub from: FromWhom,
    /// To where.
    pub to: Address,
    /// What becomes of connections that are open when it begins.
    pub open: OpenConnections,
    /// For many callers at once.
    pub consent: Consent,
    /// The undo log, and who watches over it.
    pub base: Base,
}

/// Whose calls go through Murphy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttachedSeen {
    /// As typed.
    pub from: String,
    /// What became of connections that were open.
    pub open_connections: OpenConnections,
    /// All that were sat in on.
    pub callers: Vec<CallerSeen>,
    /// What may not be as before, each with what to type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_taken_back: Vec<String>,
}

/// One caller that was sat in on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallerSeen {
    /// The container, or the process.
    pub name: String,
    /// The process whose network it is.
    pub pid: i32,
    /// The addresses of the destination, as this caller gets them.
    pub destinations: Vec<String>,
}

impl Attach {
    /// By which name an edge by hand is known.
    pub fn edge() -> Result<EdgeName, NameError> {
        EdgeName::new("calls")
    }

    /// For the runner.
    pub fn attachment(&self, edge: EdgeName, protocol: Protocol, tls: EdgeTls, seed: Seed) -> Attachment {
        Attachment {
            from: self.from.whose(seed),
            to: self.to.clone(),
            open: self.open,
            edge,
            protocol,
            tls,
            seed,
            asked: Timestamp::now(),
            title: format!("murphy attach --from {} --to {}", self.from.text, self.to),
        }
    }

    /// Finds the callers and says how each would be taken back. Touches nothing. `faults` are told with it.
    pub async fn plan(
        &self,
        attachment: &Attachment,
        when: String,
        faults: &[String],
    ) -> Result<Planned, SeatError> {
        let Outlook { callers, of, protected } = attachment.look(&self.base.state).await?;
        let undo = callers.iter().map(|one| one.undo.to_string()).collect();
        let targets = callers.into_iter().map(|one| match one.caller {
            Lockable::Container(container) => {
                Victim { kind: Kind::Container, name: container.name, id: container.id }
            }
            _ => Victim { kind: Kind::Process, name: self.from.text.clone(), id: one.pid.to_string() },
        });
        let mut notes = Vec::new();
        if !faults.is_empty() {
            notes.push(format!("faults on these calls: {}", faults.join(", ")));
        }
        if self.open == OpenConnections::Cut {
            notes.push("calls that are open are reset, so that they come again".to_owned());
        }
        let (deed, targets) = (format!("attach to calls to {}", self.to), targets.collect());
        Ok(Planned { round: 1, deed, when, targets, of, protected, undo, notes, seed: attachment.seed })
    }

    /// Asks where many would be sat in on at once. A wish to stop that comes while the question stands is its answer.
    pub fn agreed(
        &self,
        planned: &Planned,
        agree: &mut (dyn FnMut(&Planned) -> Consent + Send),
        stop: &Stop,
    ) -> Result<(), SeatError> {
        let many = planned.targets.len() > self.consent.covers();
        if many && agree(planned) != Consent::Given {
            if stop.reason().is_some() {
                return Err(SeatError::Interrupted);
            }
            let callers = planned.targets.iter().map(|target| target.name.clone()).collect();
            return Err(SeatError::NotAgreed { callers });
        }
        Ok(())
    }

    /// Sits in on all callers; how many there are. A wish to stop ends the waiting, and then all is taken back.
    pub async fn begin(
        &self,
        attachment: &Attachment,
        hands: &EdgeHands,
        recorder: &Recorder,
        stop: &Stop,
    ) -> Result<(Attached, usize), SeatError> {
        let mut attached = attachment.begin(&self.base, hands, recorder)?;
        let ready = tokio::select! {
            ready = attached.ready() => ready.map_err(SeatError::from),
            () = stop.stopped() => Err(SeatError::Interrupted),
        };
        match ready {
            Ok(count) => Ok((attached, count)),
            Err(error) => match attached.leave().await {
                rest if rest.is_empty() => Err(error),
                rest => Err(SeatError::NotTakenBack { error: Box::new(error), rest }),
            },
        }
    }
}

/// What an event tells of who is sat in on.
pub(crate) fn happening(event: &Event) -> Option<Happening> {
    match &event.kind {
        EventKind::EdgeIntercepted { caller, pid, destinations, cut, .. } => Some(Happening::SatIn {
            caller: caller.clone(),
            pid: *pid,
            destinations: destinations.clone(),
            cut: *cut,
        }),
        EventKind::EdgeBypassed { caller, why, .. } => {
            Some(Happening::Bypassed { caller: caller.clone(), why: why.clone() })
        }
        EventKind::Undone { undo } => {
            Some(Happening::TakenBack { round: 1, undo: undo.to_string(), notes: Vec::new() })
        }
        EventKind::UndoFailed { undo, why } => Some(Happening::NotTakenBack {
            round: 1,
            undo: undo.to_string(),
            why: why.clone(),
            by_hand: by_hand(undo),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FromWhom, FromWhomError> {
        FromWhom::read(&Wish::all(text))
    }

    #[test]
    fn a_caller_is_named_as_for_every_command_by_hand_or_by_pid() {
        for text in ["web", "shop-web-*", "id:4f2a", "service:web,project:shop", "label:tier=front"] {
            assert!(matches!(read(text), Ok(FromWhom { meant: Meant::Containers(_), .. })), "{text}");
        }
        let process = read("pid:4711").unwrap();
        assert!(matches!(process.meant, Meant::Process(Caller::Process(4711))));
        assert!(read("pid:0").unwrap_err().to_string().contains("pid:4711"));
        assert!(read("process:redis").unwrap_err().to_string().contains("pid:4711"));
        assert!(read("servce:web").unwrap_err().to_string().contains("`service:`"));
    }
}
