//! Pressure by hand, on the machine or in containers: the places, each with its worker and its way back.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use murphy_core::{Seed, Undo};
use murphy_docker::{Engine, Environment, FindError, SelectError, Target, Wanted};
use murphy_host::{self as host, Inside, Load, Press, Pressure, PressureEnded, PressureError};
use murphy_runner::{Lockable, Locks, Reverter, inside};

use crate::error::AdhocError;
use crate::hands::{Acted, Did, Later, NotDone, TakenBack, container, refuse_held};
use crate::happening::{Kind, Victim};

/// Marks given out by this process. A daemon has many pressures at a time, and the end of one must not end another.
static MARKS: AtomicU32 = AtomicU32::new(0);

/// A pressure, and where it is meant.
pub(crate) struct Pressing {
    pressure: Pressure,
    /// Containers; the machine if there are none.
    containers: Option<(Engine, Target)>,
    presses: Vec<(Victim, Press)>,
    reverter: Reverter,
}

/// One place, looked at; nothing has been touched.
pub(crate) struct Pressed {
    pub(crate) victim: Victim,
    pub(crate) undo: Undo,
    pub(crate) lock: Lockable,
    load: Load,
    inside: Option<Inside>,
    mark: String,
}

/// The machine, by the name that it has among machines.
fn this_machine() -> Victim {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Victim { kind: Kind::Host, name: "this machine".to_owned(), id: name.trim().to_owned() }
}

impl Pressing {
    pub(crate) fn new(pressure: &Pressure, containers: Option<(Engine, Target)>) -> Pressing {
        Pressing {
            pressure: pressure.clone(),
            containers,
            presses: Vec::new(),
            reverter: Reverter::new(Environment::of_process()),
        }
    }

    /// Chooses the places, and holds what is asked against what each has; of how many, and whom their owner protects.
    pub(crate) async fn look(
        &self,
        seed: Seed,
        locks: &Locks,
    ) -> Result<(Vec<Pressed>, usize, Vec<String>), AdhocError> {
        let Some((engine, target)) = &self.containers else {
            let place =
                self.place(this_machine(), Lockable::Machine(self.pressure.name()), None, "this machine")?;
            return Ok((vec![place], 1, Vec::new()));
        };
        let choice = match engine.targets(target, seed, Wanted::Running).await {
            Err(error @ FindError::Select(SelectError::NotRunning { .. })) => {
                refuse_held(&engine.targets(target, seed, Wanted::Any).await?, locks)?;
                return Err(error.into());
            }
            answer => answer?,
        };
        let mut places = Vec::new();
        for one in &choice.targets {
            let within = inside(engine, one).await?;
            let lock = Lockable::Container(one.identity.clone());
            places.push(self.place(
                container(&one.identity),
                lock,
                Some(within),
                &one.identity.to_string(),
            )?);
        }
        Ok((places, choice.of, choice.protected.iter().map(|one| one.name.clone()).collect()))
    }

    fn place(
        &self,
        victim: Victim,
        lock: Lockable,
        inside: Option<Inside>,
        name: &str,
    ) -> Result<Pressed, AdhocError> {
        let me = host::myself();
        let mark = format!("by-hand-{}-{}-{}", me.pid, me.born, MARKS.fetch_add(1, Ordering::Relaxed));
        let load = match &inside {
            None => self.pressure.on_this_machine(&mark)?,
            Some(inside) => self
                .pressure
                .in_container(inside, &mark)
                .map_err(|error| AdhocError::PressureIn { container: victim.name.clone(), source: error })?,
        };
        let undo = load.undo(&mark, &self.pressure, name);
        Ok(Pressed { victim, undo, lock, load, inside, mark })
    }

    /// Begins on each of them; each has its own answer.
    pub(crate) async fn begin(&mut self, places: &[Pressed], program: &Path) -> Vec<Acted> {
        let never =
            |error: PressureError| NotDone { why: error.to_string(), later: Later::Never, command: None };
        let mut acted = Vec::new();
        for Pressed { victim, load, inside, mark, .. } in places {
            let begun = Press::begin(program, load, inside.as_ref(), mark).await;
            let answer = begun.map(|begun| self.presses.push((victim.clone(), begun)));
            acted.push((victim.clone(), answer.map(|()| Did::default()).map_err(never)));
        }
        acted
    }

    /// Ends all of them. On whom it was less than was asked for, and why.
    pub(crate) async fn end(&mut self) -> Vec<(Victim, String)> {
        let mut short = Vec::new();
        for (victim, press) in self.presses.drain(..) {
            match press.end().await {
                PressureEnded::Full | PressureEnded::OnTheWay => {}
                ended => short.push((victim, ended.to_string())),
            }
        }
        short
    }

    /// Takes back what workers may have left.
    pub(crate) async fn take_back(&self, undos: &[Undo]) -> Vec<TakenBack> {
        let mut answers = Vec::new();
        for undo in undos.iter().rev() {
            let answer = self.reverter.revert(undo).await.map(|()| Vec::new());
            answers.push((undo.clone(), answer.map_err(|error| error.to_string())));
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::Chance;

    #[test]
    fn no_two_pressures_of_one_process_have_a_mark_in_common() {
        let pressure = Pressure::Cpu { cpus: None, load: Chance::ALWAYS };
        let mark = || {
            let pressing = Pressing::new(&pressure, None);
            let lock = Lockable::Machine(pressure.name());
            pressing.place(this_machine(), lock, None, "this machine").unwrap().mark
        };
        assert_ne!(mark(), mark());
    }
}
