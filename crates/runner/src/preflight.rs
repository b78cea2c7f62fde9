//! Says before anything is touched that a run needs what this machine cannot do, and what to do instead: all of it at
//! once.

use murphy_core::ServiceName;
use murphy_docker::{Engine, EngineError};
use murphy_faults::{Effect, NetworkAction, Place};
use murphy_netns::{Ability, Capabilities, Finding, probe};
use murphy_scenario::{Caller, EdgePlan, FaultStep, FaultTarget, Plan, Route};

use crate::RunError;
use crate::callers::Whose;

/// Something that the run needs and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What needs it: `edge cart-cache (from: web)`, `fault loss-1 (on web | db)`.
    pub what: String,
    /// What is lacking.
    pub why: String,
    /// What to do.
    pub mend: String,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n      mend: {}", self.what, self.why, self.mend)
    }
}

/// What one part of a plan needs of this machine.
struct Needs {
    /// For people.
    what: String,
    /// In the order in which they follow from each other.
    abilities: Vec<Ability>,
    callers: Vec<Caller>,
}

/// Fails if the run cannot be carried out here. Touches nothing.
pub(crate) async fn check(plan: &Plan) -> Result<(), RunError> {
    let all: Vec<Needs> =
        plan.edges.iter().filter_map(of_edge).chain(plan.faults.iter().filter_map(of_fault)).collect();
    check_needs(&all, &|name| plan.services.iter().any(|service| service.name == *name)).await
}

/// The same for one fault outside of a run.
pub(crate) async fn check_fault(step: &FaultStep) -> Result<(), RunError> {
    check_needs(of_fault(step).as_slice(), &|_| false).await
}

async fn check_needs(
    all: &[Needs],
    is_of_run: &(dyn Fn(&ServiceName) -> bool + Sync),
) -> Result<(), RunError> {
    if all.is_empty() {
        return Ok(());
    }
    let capabilities = capabilities().await;
    let mut lacks: Vec<Lack> = all.iter().filter_map(|needs| lack(&capabilities, needs)).collect();
    if lacks.is_empty() {
        let of_engine = |caller: &Caller| match caller {
            Caller::Named(name) => !is_of_run(name),
            Caller::Process(_) => false,
        };
        if let Some(needs) = all.iter().find(|needs| needs.callers.iter().any(of_engine)) {
            lacks.extend(engine_lack(&needs.what, Engine::connect().await));
        }
    }
    if lacks.is_empty() { Ok(()) } else { Err(RunError::Unable { lacks }) }
}

/// What is lacking to sit in on these calls by hand, if anything is. Touches nothing.
pub(crate) async fn lacks_to_sit_in(what: String, whose: &Whose) -> Option<Lack> {
    let needs = Needs { what, abilities: TO_SIT_IN.to_vec(), callers: Vec::new() };
    if let Some(lack) = lack(&capabilities().await, &needs) {
        return Some(lack);
    }
    match whose {
        Whose::Containers { .. } => engine_lack(&needs.what, Engine::connect().await),
        // Those that need an engine say so themselves.
        Whose::Callers(_) => None,
    }
}

async fn capabilities() -> Capabilities {
    // A probe that panicked has found nothing, which is no reason to refuse: the act itself says what is wrong.
    tokio::task::spawn_blocking(probe).await.unwrap_or(Capabilities(Vec::new()))
}

const TO_SIT_IN: [Ability; 3] = [Ability::Rights, Ability::Enter, Ability::Intercept];

fn of_edge(edge: &EdgePlan) -> Option<Needs> {
    match &edge.route {
        Route::Intercept { from, .. } => Some(Needs {
            what: format!("edge {} (from: {from})", edge.name),
            abilities: TO_SIT_IN.to_vec(),
            callers: vec![from.clone()],
        }),
        Route::Listen { .. } => None,
    }
}

fn of_fault(step: &FaultStep) -> Option<Needs> {
    let FaultTarget::Network { network } = &step.target else { return None };
    let own = match step.fault.effect_on(Place::Network)? {
        Effect::Network(NetworkAction::Bandwidth { .. }) => Ability::Bandwidth,
        Effect::Network(NetworkAction::Latency { .. }) => Ability::Intercept,
        _ => Ability::Cut,
    };
    Some(Needs {
        what: format!("fault {} (on {network})", step.id),
        abilities: vec![Ability::Rights, Ability::Enter, own],
        callers: network.callers().cloned().collect(),
    })
}

/// The first ability that is needed and not there: the others follow from it.
fn lack(capabilities: &Capabilities, needs: &Needs) -> Option<Lack> {
    needs.abilities.iter().find_map(|ability| match capabilities.of(*ability)? {
        Finding::Works { .. } => None,
        Finding::Missing { why, mend } => Some(Lack {
            what: needs.what.clone(),
            why: match ability {
                Ability::Rights => format!("no rights over the networks of other processes: {why}"),
                other => format!("cannot {other}: {why}"),
            },
            mend: mend.clone(),
        }),
    })
}

fn engine_lack(what: &str, engine: Result<Engine, EngineError>) -> Option<Lack> {
    match engine {
        Ok(engine) if engine.endpoint().is_local() => None,
        Ok(engine) => Some(Lack {
            what: what.to_owned(),
            why: format!(
                "the engine at {} is on another machine; its networks cannot be entered",
                engine.endpoint()
            ),
            mend: "run murphy on that machine; or give the edge `listen:` and let the caller dial that"
                .into(),
        }),
        Err(error) => Some(Lack {
            what: what.to_owned(),
            why: error.to_string(),
            mend: "start the engine; or give the edge `listen:` and let the caller dial that".into(),
        }),
    }
}
