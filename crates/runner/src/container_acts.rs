//! What is done to containers: which of them a fault is about, the act on all of them at once, and what is known of it in
//! advance (whether it ends them, whether the engine takes its time).

use std::time::Instant;

use murphy_docker::{ActError, Action, Engine, EngineError, Prepared, Removal, RevertError, Target};
use murphy_scenario::FaultStep;

use crate::undo::Unsure;

/// Why an act was not done on every container.
#[derive(Debug)]
pub(crate) struct NotDone {
    pub(crate) why: String,
    pub(crate) unsure: Unsure,
}

/// Acts on all of them at once; on how many it was done.
pub(crate) async fn act_on(engine: Engine, prepared: Vec<Prepared>, action: Action) -> Result<u64, NotDone> {
    let answers = engine.apply_all(&prepared, &action).await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    let errors: Vec<ActError> = answers.into_iter().filter_map(Result::err).collect();
    let Some(first) = errors.first() else { return Ok(done) };
    let unsure = if errors.iter().any(ActError::may_still_come) {
        Unsure::since(Instant::now(), prepared.iter().flat_map(|one| &one.undos))
    } else {
        Unsure::No
    };
    Err(NotDone { why: first.to_string(), unsure })
}

/// Which containers a step is about, and what is done to them.
pub(crate) fn asked(step: &FaultStep) -> Option<(Target, Action)> {
    use murphy_faults::{Effect, Place};
    let murphy_scenario::FaultTarget::Container { container } = &step.target else { return None };
    match step.fault.effect_on(Place::Container)? {
        Effect::Container(action) => Some((container.clone(), action)),
        Effect::Edge(_) | Effect::Process(_) | Effect::Network(_) | Effect::Pressure(_) => None,
    }
}

/// True if the engine answers only when the container has ended, or a command in it.
pub(crate) fn takes_its_time(action: &Action) -> bool {
    matches!(action, Action::Stop { .. } | Action::Restart { .. } | Action::Exec(_))
}

/// True if the act is the end of the container's main process.
pub(crate) fn ends(action: &Action) -> bool {
    matches!(
        action,
        Action::Kill { .. }
            | Action::Stop { .. }
            | Action::Restart { .. }
            | Action::Remove(Removal::SetAside)
            | Action::Remove(Removal::ForGood)
    )
}

/// True if an exit while it lasts is its doing: where memory or processes are refused, programs end too. One that only
/// becomes slow and ends of that has crashed.
pub(crate) fn may_end(action: &Action) -> bool {
    match action {
        Action::Limit(limits) => limits.memory.is_some() || limits.pids.is_some(),
        Action::Exec(_) => true,
        _ => ends(action),
    }
}

/// True if the engine did not answer at all.
pub(crate) fn is_away(error: &RevertError) -> bool {
    matches!(
        error,
        RevertError::Engine(
            EngineError::Unreachable { .. } | EngineError::NoSocket { .. } | EngineError::Timeout { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::Cpus;
    use murphy_docker::Limits;

    #[test]
    fn an_end_is_the_faults_deed_where_something_was_refused_and_not_where_it_was_only_slow() {
        let slow = Action::Limit(Limits { cpus: Some(Cpus::new(0.1).unwrap()), ..Limits::default() });
        assert!(!may_end(&slow) && !may_end(&Action::Pause));
        let memory = Action::Limit(Limits { memory: Some("16MiB".parse().unwrap()), ..Limits::default() });
        let pids = Action::Limit(Limits { pids: Some(20), ..Limits::default() });
        for action in [memory, pids, Action::Remove(Removal::SetAside)] {
            assert!(may_end(&action), "{action:?}");
        }
    }
}
