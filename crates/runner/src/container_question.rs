//! A probe that looks at containers through their engine: what they do, what their health check says, what they write. It
//! only looks; it acts on nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use murphy_core::{ContainerHealth, ContainerIdentity, Timestamp};
use murphy_docker::{Container, EngineError, Mark};
use murphy_load::Asker;
use murphy_scenario::{self as scenario, Health};
use regex_lite::Regex;
use tokio::sync::Mutex;

use crate::containers::Containers;

/// A question with its patterns compiled, not yet in reach of an engine.
#[derive(Debug)]
pub(crate) struct ContainerQuestion {
    plan: scenario::ContainerQuestion,
    log: Option<Regex>,
    log_not: Option<Regex>,
}

impl ContainerQuestion {
    pub(crate) fn new(plan: &scenario::ContainerQuestion) -> Result<ContainerQuestion, String> {
        Ok(ContainerQuestion {
            log: crate::setup::pattern(plan.log.as_deref())?,
            log_not: crate::setup::pattern(plan.log_not.as_deref())?,
            plan: plan.clone(),
        })
    }

    /// Ready to be asked, of what is written from now on.
    pub(crate) fn of(self, containers: Arc<Containers>) -> Look {
        let began = Mark::at(Timestamp::since_epoch());
        Look { question: self, containers, began, read: Mutex::default() }
    }
}

/// The question, and how far the output of each container was read.
pub(crate) struct Look {
    question: ContainerQuestion,
    containers: Arc<Containers>,
    began: Mark,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    /// How far that of each was, by its id.
    up_to: BTreeMap<String, Mark>,
    /// A line has matched `log`.
    has_matched: bool,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question.fmt(f)
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.question.plan.text())
    }
}

impl Asker for Look {
    fn ask(&self) -> Pin<Box<dyn Future<Output = (bool, String)> + Send + '_>> {
        Box::pin(async {
            match self.look().await {
                Ok((ok, saw)) => (ok, saw),
                Err(error) => (false, error.to_string()),
            }
        })
    }
}

impl Look {
    async fn look(&self) -> Result<(bool, String), EngineError> {
        let plan = &self.question.plan;
        let found = self.containers.matching(&plan.container).await?;
        // What they wrote is read in any case, so that a line is told once and at its time.
        let wrote = self.wrote(&found).await?;
        let unlike = found.iter().find_map(|one| unlike(plan, one));
        Ok(match (unlike, wrote) {
            _ if found.is_empty() => (false, "no container".to_owned()),
            (Some(why), Wrote::Bad(line)) => (false, format!("{line}; {why}")),
            (Some(why), _) | (None, Wrote::Bad(why)) => (false, why),
            (None, Wrote::TooLittle) => (false, "nothing written that matches".to_owned()),
            (None, Wrote::Well) => (true, all_well(plan, found.len())),
        })
    }

    /// Looks at what they wrote since the question before.
    async fn wrote(&self, found: &[Container]) -> Result<Wrote, EngineError> {
        let ContainerQuestion { log, log_not, .. } = &self.question;
        if log.is_none() && log_not.is_none() {
            return Ok(Wrote::Well);
        }
        let mut read = self.read.lock().await;
        let mut all = Vec::new();
        for Container { identity, .. } in found {
            let mut mark = read.up_to.get(&identity.id).unwrap_or(&self.began).clone();
            let lines = self.containers.output_after(identity, &mut mark).await?;
            all.push((identity, mark, lines));
        }
        // From here on nothing waits: a question that is given up takes no line with it.
        let mut bad = None;
        for (ContainerIdentity { id, name }, mark, lines) in all {
            for line in lines {
                read.has_matched |= log.as_ref().is_some_and(|pattern| pattern.is_match(&line));
                if bad.is_none() && log_not.as_ref().is_some_and(|pattern| pattern.is_match(&line)) {
                    bad = Some(format!("{name} wrote `{line}`"));
                }
            }
            read.up_to.insert(id.clone(), mark);
        }
        Ok(match bad {
            Some(line) => Wrote::Bad(line),
            None if log.is_some() && !read.has_matched => Wrote::TooLittle,
            None => Wrote::Well,
        })
    }
}

/// What containers wrote, held against what is expected.
enum Wrote {
    Well,
    /// Nothing yet that `log` waits for.
    TooLittle,
    /// A line that `log-not` forbids.
    Bad(String),
}

/// In what a container is not as expected.
fn unlike(plan: &scenario::ContainerQuestion, container: &Container) -> Option<String> {
    let name = container.name();
    if container.state.name() != plan.state.name() {
        return Some(format!("{name} is {}, not {} ({})", container.state, plan.state, container.status));
    }
    let health = match container.health() {
        ContainerHealth::None => None,
        ContainerHealth::Starting => Some(Health::Starting),
        ContainerHealth::Healthy => Some(Health::Healthy),
        ContainerHealth::Unhealthy => Some(Health::Unhealthy),
    };
    match (plan.health, health) {
        (None, _) => None,
        (Some(expected), Some(seen)) if expected == seen => None,
        (Some(expected), Some(seen)) => Some(format!("{name} is {seen}, not {expected}")),
        (Some(_), None) => Some(format!("{name} has no health check")),
    }
}

fn all_well(plan: &scenario::ContainerQuestion, count: usize) -> String {
    let health = plan.health.map(|health| format!(", {health}")).unwrap_or_default();
    format!("{count} {}{health}", plan.state)
}
