//! `limits`: a container that gets less than it is used to. Called as compose and Kubernetes call it; `limit` is the
//! fault that lets so many bytes pass on an edge.

use murphy_core::Size;
use murphy_docker::{Action, Limits};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Less than this, engines refuse.
const LEAST_MEMORY: Size = Size::from_mib(6);

impl FaultSpec for Limits {
    const NAME: &'static str = "limits";
    const ABOUT: &'static str =
        "Gives the container less memory, processor time or processes; its own limits come back on lift.";
    const EXAMPLE: &'static str = "{ limits: { memory: 64MiB, cpus: 0.5 } }";
    const PLACE: Place = Place::Container;
    const SHORTHAND: Option<&'static str> = Some("memory");

    fn text(&self) -> String {
        let parts = [
            self.memory.map(|memory| format!("memory {memory}")),
            self.swap.map(|swap| format!("swap {swap}")),
            self.cpus.map(|cpus| format!("cpus {cpus}")),
            self.pids.map(|pids| format!("pids {pids}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("limits {}", parts.join(", "))
    }

    fn check(&self, problems: &mut Problems) {
        if self.cpus.is_none() && self.memory.is_none() && self.pids.is_none() {
            problems.whole("no limit is given", "write `memory`, `cpus` or `pids`, as `{ memory: 64MiB }`");
        }
        if self.memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            problems.field(
                "memory",
                "engines give a container no less than 6MiB of memory",
                "write 6MiB or more",
            );
        }
        if self.swap.is_some() && self.memory.is_none() {
            problems.field("swap", "`swap` is what goes beyond `memory`", "write `memory` as well");
        }
        if self.pids == Some(0) {
            problems.field("pids", "0 means no limit to an engine", "write 1 or more");
        }
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Limit(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_limit_nothing_or_that_no_engine_takes_are_reported() {
        for (yaml, wanted) in [
            ("{}", "no limit is given"),
            ("{ memory: 1MiB }", "no less than 6MiB"),
            ("{ cpus: 0.5, swap: 1GiB }", "beyond `memory`"),
            ("{ pids: 0 }", "no limit to an engine"),
        ] {
            let limits: Limits = serde_yaml::from_str(yaml).unwrap();
            let mut problems = Problems::new();
            limits.check(&mut problems);
            let found: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
            assert!(found.len() == 1 && found[0].contains(wanted), "{yaml}: {found:?}");
        }
    }
}
