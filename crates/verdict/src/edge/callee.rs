//! Which faults act on the callee of an edge, and which leave nobody there to answer. Told by names alone, which
//! must not be taken for what happened to the calls.

use murphy_core::{EdgeBrief, FaultBrief};

/// Faults on an edge that leave its caller alone, as if the callee were not there.
const AWAY: [&str; 6] = ["refuse", "hang", "blackhole", "timeout", "reset", "drop"];
/// Faults of the callee that do the same.
const GONE: [&str; 6] = ["kill", "stop", "pause", "freeze", "remove", "disconnect"];

/// True if by this fault there is nobody to answer the calls on an edge.
pub(crate) fn takes_away(fault: &FaultBrief, edge: &EdgeBrief) -> bool {
    match &fault.edge {
        Some(on) => on == &edge.name && AWAY.contains(&fault.name.as_str()),
        None => GONE.contains(&fault.name.as_str()) && acts_on_callee(&fault.on, &edge.to),
    }
}

/// True if a process fault that acts on `on` (`process redis`, `redis`) ends or stops the callee `to` (`redis`, `redis:6379`).
pub(super) fn names_callee(on: &str, to: &str) -> bool {
    let callee = to.split(':').next().unwrap_or(to);
    on.split_whitespace().last() == Some(callee)
}

/// True if a fault acts on whoever is called at `to`, which may be all containers of a service: `container service:redis`.
pub(crate) fn acts_on_callee(on: &str, to: &str) -> bool {
    let all_of = on.split_whitespace().last().and_then(|last| last.strip_prefix("service:"));
    names_callee(on, to) || all_of.is_some_and(|service| names_callee(service, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_fault_is_matched_to_the_callee_by_its_name() {
        assert!(names_callee("process redis", "redis:6379"));
        assert!(names_callee("redis", "redis"));
        assert!(!names_callee("process redis-2", "redis:6379"));
        assert!(!names_callee("", "redis"));
        assert!(acts_on_callee("container service:redis", "redis:6379") && acts_on_callee("redis", "redis"));
        assert!(!acts_on_callee("container service:redis-2", "redis:6379"));
    }
}
