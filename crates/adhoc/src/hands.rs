//! The three steps on either kind of target: look (and write down the undo), act, take back. Acts on all targets at once.

use std::path::Path;
use std::sync::Arc;

use murphy_core::{Seed, Undo};
use murphy_docker::{
    ActError, Action, Applied, Choice, Engine, Environment, FindError, Prepared, RevertError, Reverted,
    SelectError, Target, Wanted,
};
use murphy_host::{self as host, Found, SendError};
use murphy_runner::{LockError, Lockable, Locks, Party, Reverter, StretchByHand};

use crate::error::AdhocError;
use crate::happening::{CommandEnd, Kind, Victim};
use crate::network::{self, NetworkEnd, NetworkTarget};
use crate::order::{Deed, Order, ProcessDeed};
use crate::pressure::{Pressed, Pressing};
use crate::process::{ProcessTarget, choose_processes};
use crate::session::Session;
use crate::whom::Whom;

/// What can reach the targets.
pub(crate) enum Hands {
    Containers { engine: Engine, target: Target, action: Action },
    Processes { target: ProcessTarget, deed: ProcessDeed, reverter: Reverter },
    Network { target: NetworkTarget, by_hand: Box<StretchByHand> },
    Pressure(Box<Pressing>),
}

/// Targets with their way back; nothing has been touched.
pub(crate) struct Chosen {
    pub(crate) targets: Vec<Victim>,
    pub(crate) of: usize,
    pub(crate) protected: Vec<String>,
    /// In the order of doing.
    pub(crate) undos: Vec<Undo>,
    /// Ways back that are put on disk by whoever does it, one by one, in words.
    pub(crate) leases: Vec<String>,
    /// What a person should know beforehand.
    pub(crate) notes: Vec<String>,
    prepared: Grip,
}

enum Grip {
    Containers(Vec<Prepared>),
    Processes(Vec<Found>),
    Network(Vec<Party>),
    Pressure(Vec<Pressed>),
}

/// What came of the attempt on one target.
pub(crate) type Acted = (Victim, Result<Did, NotDone>);

/// Something that was done to a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Did {
    pub(crate) notes: Vec<String>,
    pub(crate) command: Option<CommandEnd>,
}

/// Why something was not done to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotDone {
    pub(crate) why: String,
    pub(crate) later: Later,
    /// A command that ran and failed.
    pub(crate) command: Option<CommandEnd>,
}

/// What may become of an act that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// It will not be done.
    Never,
    /// The engine did not answer, and may be at it.
    Perhaps,
}
/// What came of taking one thing back: notes, or why not.
pub(crate) type TakenBack = (Undo, Result<Vec<String>, String>);

pub(crate) fn container(identity: &murphy_core::ContainerIdentity) -> Victim {
    Victim { kind: Kind::Container, name: identity.name.clone(), id: identity.id.clone() }
}

fn process(found: &Found) -> Victim {
    Victim { kind: Kind::Process, name: found.name.clone(), id: found.identity.pid.to_string() }
}

impl Chosen {
    /// Takes the locks of all targets, so that no run and no other command breaks them at the same time.
    pub(crate) fn lock(&self, locks: &Locks) -> Result<(), LockError> {
        match &self.prepared {
            Grip::Containers(prepared) => {
                prepared.iter().try_for_each(|one| locks.take(&Lockable::Container(one.container.clone())))
            }
            Grip::Processes(found) => {
                found.iter().try_for_each(|one| locks.take(&Lockable::Process(one.identity)))
            }
            Grip::Network(parties) => {
                parties.iter().flat_map(|one| &one.locks).try_for_each(|lock| locks.take(lock))
            }
            Grip::Pressure(places) => places.iter().try_for_each(|one| locks.take(&one.lock)),
        }
    }
}

impl Hands {
    /// Connects to the engine if the order is about containers.
    pub(crate) async fn new(order: &Order) -> Result<Hands, AdhocError> {
        Ok(match (&order.whom, &order.deed) {
            (Whom::Containers(target), Deed::Container(action)) => Hands::Containers {
                engine: Engine::connect().await?,
                target: target.clone(),
                action: action.clone(),
            },
            (Whom::Processes(target), Deed::Process(deed)) => Hands::Processes {
                target: target.clone(),
                deed: *deed,
                reverter: Reverter::new(Environment::of_process()),
            },
            (Whom::Network(target), Deed::Network(fault)) => {
                let project = target.project.as_deref();
                let by_hand = StretchByHand::new(fault, &target.stretch, project, order.seed)?;
                Hands::Network { target: target.clone(), by_hand: Box::new(by_hand) }
            }
            (Whom::Host, Deed::Pressure(pressure)) => {
                Hands::Pressure(Box::new(Pressing::new(pressure, None)))
            }
            (Whom::Containers(target), Deed::Pressure(pressure)) => {
                let containers = Some((Engine::connect().await?, target.clone()));
                Hands::Pressure(Box::new(Pressing::new(pressure, containers)))
            }
            // `Order::new` lets only these pass.
            (whom, _) => unreachable!("an order of one kind for {whom:?}"),
        })
    }

    /// Chooses targets and says how each will be taken back. `not` is a text that only Murphy's own helpers have; `locks`
    /// say whether others are the reason why no target runs.
    pub(crate) async fn look(
        &self,
        seed: Seed,
        not: Option<&str>,
        locks: &Locks,
    ) -> Result<Chosen, AdhocError> {
        match self {
            Hands::Containers { engine, target, action } => {
                let choice = match engine.targets(target, seed, Wanted::Running).await {
                    Err(error @ FindError::Select(SelectError::NotRunning { .. })) => {
                        refuse_held(&engine.targets(target, seed, Wanted::Any).await?, locks)?;
                        return Err(error.into());
                    }
                    answer => answer?,
                };
                let prepared = engine.prepare_all(&choice.targets, action).await?;
                Ok(Chosen {
                    targets: choice.targets.iter().map(|one| container(&one.identity)).collect(),
                    of: choice.of,
                    protected: choice.protected.iter().map(|one| one.name.clone()).collect(),
                    undos: prepared.iter().flat_map(|one| one.undos.clone()).collect(),
                    leases: Vec::new(),
                    notes: Vec::new(),
                    prepared: Grip::Containers(prepared),
                })
            }
            Hands::Processes { target, deed, .. } => {
                let choice = choose_processes(target, seed, not)?;
                let undos = match deed {
                    ProcessDeed::Freeze => choice.targets.iter().map(thaw).collect(),
                    ProcessDeed::Kill(_) | ProcessDeed::Signal(_) => Vec::new(),
                };
                Ok(Chosen {
                    targets: choice.targets.iter().map(process).collect(),
                    of: choice.of,
                    protected: Vec::new(),
                    undos,
                    leases: Vec::new(),
                    notes: Vec::new(),
                    prepared: Grip::Processes(choice.targets),
                })
            }
            Hands::Network { target, by_hand } => {
                let parties = network::parties(target, by_hand).await?;
                Ok(Chosen {
                    targets: parties.iter().map(network::victim).collect(),
                    of: parties.len(),
                    protected: Vec::new(),
                    undos: Vec::new(),
                    leases: parties.iter().filter_map(|one| one.undo.clone()).collect(),
                    notes: by_hand.notes(),
                    prepared: Grip::Network(parties),
                })
            }
            Hands::Pressure(pressing) => {
                let (places, of, protected) = pressing.look(seed, locks).await?;
                Ok(Chosen {
                    targets: places.iter().map(|one| one.victim.clone()).collect(),
                    of,
                    protected,
                    undos: places.iter().map(|one| one.undo.clone()).collect(),
                    leases: Vec::new(),
                    notes: Vec::new(),
                    prepared: Grip::Pressure(places),
                })
            }
        }
    }

    /// Does it to all of them; each has its own answer. An `Err` where it is all or nothing, and nothing was done once
    /// [`Hands::end`] has ended what was begun. `program` is this binary.
    pub(crate) async fn act(
        &mut self,
        chosen: &Chosen,
        session: Option<&Session>,
        locks: &Arc<Locks>,
        program: &Path,
    ) -> Result<Vec<Acted>, AdhocError> {
        if let (Hands::Network { by_hand, .. }, Some(session)) = (&mut *self, session) {
            by_hand.begin(session.log(), Arc::clone(locks), session.name()).await?;
            return Ok(chosen.targets.iter().map(|one| (one.clone(), Ok(Did::default()))).collect());
        }
        if let (Hands::Pressure(pressing), Grip::Pressure(places)) = (&mut *self, &chosen.prepared) {
            return Ok(pressing.begin(places, program).await);
        }
        Ok(self.act_on_each(chosen).await)
    }

    async fn act_on_each(&self, chosen: &Chosen) -> Vec<Acted> {
        match (self, &chosen.prepared) {
            (Hands::Containers { engine, action, .. }, Grip::Containers(prepared)) => {
                let answers = engine.apply_all(prepared, action).await;
                let answers = answers.into_iter().map(|answer| answer.map(did).map_err(not_done));
                prepared.iter().map(|one| container(&one.container)).zip(answers).collect()
            }
            (Hands::Processes { deed, .. }, Grip::Processes(found)) => {
                found.iter().map(|found| (process(found), do_to(*deed, found))).collect()
            }
            // Both are made by `look` of the same hands.
            _ => Vec::new(),
        }
    }

    /// Ends what has written its undos itself; `None` where there is no such thing.
    pub(crate) async fn end(&mut self) -> Option<NetworkEnd> {
        let Hands::Network { by_hand, .. } = self else { return None };
        let ended = by_hand.end().await;
        Some(NetworkEnd::of(by_hand, ended))
    }

    /// Ends a pressure. On whom it was less than was asked for, and why.
    pub(crate) async fn relieve(&mut self) -> Vec<(Victim, String)> {
        match self {
            Hands::Pressure(pressing) => pressing.end().await,
            _ => Vec::new(),
        }
    }

    /// Takes things back, given in the order of doing. All are attempted.
    pub(crate) async fn take_back(&self, undos: &[Undo]) -> Vec<TakenBack> {
        match self {
            Hands::Containers { engine, .. } => {
                let answers = engine.revert_all(undos).await;
                answers.into_iter().map(|(undo, answer)| (undo, notes(answer))).collect()
            }
            Hands::Network { .. } => Vec::new(),
            Hands::Pressure(pressing) => pressing.take_back(undos).await,
            Hands::Processes { reverter, .. } => {
                let mut answers = Vec::new();
                for undo in undos.iter().rev() {
                    let gone = match undo {
                        Undo::Continue { process, .. } if !host::is_alive(process) => {
                            vec!["it has ended meanwhile".to_owned()]
                        }
                        Undo::Continue { process, .. } if !host::is_frozen(process) => {
                            vec!["it had been let go on already".to_owned()]
                        }
                        _ => Vec::new(),
                    };
                    let answer =
                        reverter.revert(undo).await.map(|()| gone).map_err(|error| error.to_string());
                    answers.push((undo.clone(), answer));
                }
                answers
            }
        }
    }
}

/// Where another run is why nothing of a target runs, that is what must be said.
pub(crate) fn refuse_held(choice: &Choice, locks: &Locks) -> Result<(), LockError> {
    choice.targets.iter().try_for_each(|one| locks.take(&Lockable::Container(one.identity.clone())))
}

fn thaw(found: &Found) -> Undo {
    Undo::Continue { process: found.identity, name: found.name.clone() }
}

fn did(applied: Applied) -> Did {
    let command = applied.output.map(|output| CommandEnd { exit_code: 0, output });
    Did { notes: applied.notes, command }
}

fn not_done(error: ActError) -> NotDone {
    let later = if error.may_still_come() { Later::Perhaps } else { Later::Never };
    let why = error.to_string();
    let command = match error {
        ActError::CommandFailed { code, output, .. } => Some(CommandEnd { exit_code: code, output }),
        _ => None,
    };
    NotDone { why, later, command }
}

fn do_to(deed: ProcessDeed, found: &Found) -> Result<Did, NotDone> {
    let sent = match deed {
        ProcessDeed::Kill(signal) | ProcessDeed::Signal(signal) => host::send(&found.identity, signal),
        ProcessDeed::Freeze => host::freeze(&found.identity),
    };
    let never = |why| NotDone { why, later: Later::Never, command: None };
    match sent {
        Ok(()) => Ok(Did::default()),
        Err(SendError::Gone { .. }) => Err(never("it ended before it could be touched".to_owned())),
        Err(error) => Err(never(error.to_string())),
    }
}

fn notes(answer: Result<Reverted, RevertError>) -> Result<Vec<String>, String> {
    match answer {
        Ok(Reverted::Restored { notes }) => Ok(notes),
        Ok(Reverted::AlreadyAsBefore) => Ok(vec!["it was as before already".to_owned()]),
        Ok(Reverted::Gone) => Ok(vec!["the container does not exist any more".to_owned()]),
        Err(error) => Err(error.to_string()),
    }
}
