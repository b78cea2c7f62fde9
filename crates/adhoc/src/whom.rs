//! From what was typed to whom it means: processes or containers. Where a command acts on both kinds, a process is named
//! by `pid:`, `process:` or `command:`, and everything else is a container. Nothing is looked up here.

use murphy_docker::{Pick, Selector, Target, TargetError};
use murphy_host as host;

use crate::network::NetworkTarget;
use crate::process::ProcessTarget;

/// Whom a command means, as typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The conditions.
    pub selector: String,
    /// Whom it does not mean.
    pub exclude: Vec<String>,
    /// How many of those that match.
    pub pick: Pick,
    /// At most so many may be touched.
    pub max: Option<u32>,
}

/// Whom a command means.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    /// Processes of this machine.
    Processes(ProcessTarget),
    /// Containers of the engine.
    Containers(Target),
    /// The network between some of them.
    Network(NetworkTarget),
    /// The machine that Murphy runs on.
    Host,
}

/// Why a text means nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhomError {
    /// It is not a condition on containers.
    #[error(transparent)]
    Container(#[from] TargetError),
    /// It is not a process's number.
    #[error("`{text}` is not a pid: write a whole number above 0, as in `pid:4711`")]
    Pid {
        /// As written.
        text: String,
    },
    /// A process is named by nothing.
    #[error(
        "`{prefix}` is empty: write for example `pid:4711`, `process:redis-server` or `command:*worker.py*`"
    )]
    Empty {
        /// What stands before the nothing.
        prefix: String,
    },
    /// The command acts on processes only.
    #[error(
        "`{text}` names a container, and `{command}` acts on processes: write `pid:`, `process:` or `command:`, or for a container `murphy {instead} {text}`"
    )]
    NotAProcess {
        /// As written.
        text: String,
        /// What was asked for.
        command: &'static str,
        /// What does the like to a container.
        instead: &'static str,
    },
    /// The command acts on containers only.
    #[error("`{text}` names a process, and `{command}` acts on containers; {instead}")]
    NotAContainer {
        /// As written.
        text: String,
        /// What was asked for.
        command: &'static str,
        /// What to type instead.
        instead: String,
    },
    /// A process is excluded from containers, or the other way round.
    #[error(
        "`--exclude {text}` is not of the same kind as the target: both must name processes, or both containers"
    )]
    Mixed {
        /// As written.
        text: String,
    },
}

/// Words before a colon that name a process whatever the command.
const OF_PROCESSES: [&str; 3] = ["pid", "process", "command"];
/// Words before a colon that name a container whatever the command.
const OF_CONTAINERS: [&str; 5] = ["id", "label", "image", "service", "project"];

fn prefix(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').map(|(kind, rest)| (kind.trim(), rest.trim()))
}

fn names_a_process(text: &str) -> bool {
    prefix(text).is_some_and(|(kind, _)| OF_PROCESSES.contains(&kind))
}

/// One condition on processes: with a prefix, or a bare number (a pid) or word (a name).
fn process(text: &str) -> Result<host::Selector, WhomError> {
    let text = text.trim();
    let pid = |digits: &str| match digits.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(host::Selector::Pid(pid)),
        _ => Err(WhomError::Pid { text: digits.to_owned() }),
    };
    let (kind, rest) = match prefix(text) {
        Some((kind, rest)) if OF_PROCESSES.contains(&kind) || kind == "name" => (kind, rest),
        _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => ("pid", text),
        _ => ("process", text),
    };
    match kind {
        _ if rest.is_empty() => Err(WhomError::Empty { prefix: text.to_owned() }),
        "pid" => pid(rest),
        "command" => Ok(host::Selector::CommandLine(rest.to_owned())),
        _ => Ok(host::Selector::Name(rest.to_owned())),
    }
}

impl Wish {
    /// All that match.
    pub fn all(selector: &str) -> Wish {
        Wish { selector: selector.to_owned(), exclude: Vec::new(), pick: Pick::All, max: None }
    }

    /// For a command that acts on processes only. `instead` is the command that does the like to containers.
    pub fn processes(&self, command: &'static str, instead: &'static str) -> Result<Whom, WhomError> {
        if prefix(&self.selector).is_some_and(|(kind, _)| OF_CONTAINERS.contains(&kind)) {
            return Err(WhomError::NotAProcess { text: self.selector.clone(), command, instead });
        }
        self.as_processes()
    }

    /// For a command that acts on containers only. `instead` says what does the like to processes.
    pub fn containers(&self, command: &'static str, instead: &str) -> Result<Whom, WhomError> {
        if names_a_process(&self.selector) {
            let (text, instead) = (self.selector.clone(), instead.replace("TARGET", &self.selector));
            return Err(WhomError::NotAContainer { text, command, instead });
        }
        self.as_containers()
    }

    /// For a command that acts on both.
    pub fn either(&self) -> Result<Whom, WhomError> {
        if names_a_process(&self.selector) { self.as_processes() } else { self.as_containers() }
    }

    fn as_processes(&self) -> Result<Whom, WhomError> {
        let of_containers =
            |text: &&String| prefix(text).is_some_and(|(kind, _)| OF_CONTAINERS.contains(&kind));
        if let Some(text) = self.exclude.iter().find(of_containers) {
            return Err(WhomError::Mixed { text: text.clone() });
        }
        Ok(Whom::Processes(ProcessTarget {
            condition: process(&self.selector)?,
            exclude: self.exclude.iter().map(|text| process(text)).collect::<Result<_, _>>()?,
            pick: self.pick,
            max: self.max,
        }))
    }

    fn as_containers(&self) -> Result<Whom, WhomError> {
        if let Some(text) = self.exclude.iter().find(|text| names_a_process(text)) {
            return Err(WhomError::Mixed { text: text.clone() });
        }
        let target: Target = self.selector.parse()?;
        let exclude: Result<Vec<Selector>, _> = self.exclude.iter().map(|text| text.parse()).collect();
        Ok(Whom::Containers(Target {
            exclude: exclude.map_err(TargetError::from)?,
            pick: self.pick,
            max: self.max,
            ..target
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> Result<&'static str, WhomError> {
        Wish::all(text).either().map(|whom| match whom {
            Whom::Processes(_) => "process",
            Whom::Containers(_) => "container",
            Whom::Network(_) => "network",
            Whom::Host => "machine",
        })
    }

    #[test]
    fn a_prefix_tells_a_process_from_a_container() {
        for text in ["pid:1234", "process:redis-server", "command:*worker*"] {
            assert_eq!(kind(text), Ok("process"), "{text}");
        }
        for text in ["web", "web-*", "/web-[12]/", "1234", "name:web", "service:web,project:shop"] {
            assert_eq!(kind(text), Ok("container"), "{text}");
        }
    }

    #[test]
    fn where_only_processes_can_be_meant_no_prefix_is_needed() {
        let processes = |text: &str| match Wish::all(text).processes("freeze", "pause") {
            Ok(Whom::Processes(target)) => target.condition,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(processes("1234"), host::Selector::Pid(1234));
        assert_eq!(processes("redis-server"), host::Selector::Name("redis-server".into()));
        assert_eq!(processes("name:redis-server"), host::Selector::Name("redis-server".into()));
        assert_eq!(processes("command:python w.py: x"), host::Selector::CommandLine("python w.py: x".into()));
        // A thread's or worker's title may hold a colon.
        assert_eq!(processes("nginx: worker"), host::Selector::Name("nginx: worker".into()));
    }

    #[test]
    fn the_wrong_kind_is_answered_with_the_right_command() {
        let error = Wish::all("service:web").processes("freeze", "pause").unwrap_err().to_string();
        assert!(error.contains("`murphy pause service:web`"), "{error}");
        let error = Wish::all("pid:7")
            .containers("pause", "to stop a process: murphy freeze TARGET")
            .unwrap_err()
            .to_string();
        assert!(error.contains("murphy freeze pid:7"), "{error}");
        let mixed = Wish { exclude: vec!["pid:3".into()], ..Wish::all("web") };
        assert!(matches!(mixed.either(), Err(WhomError::Mixed { .. })));
        for text in ["pid:0", "pid:-3", "pid:x", "pid:99999999999"] {
            assert!(matches!(kind(text), Err(WhomError::Pid { .. })), "{text}");
        }
        assert!(matches!(kind("process:"), Err(WhomError::Empty { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in "\\PC{0,30}") {
            let wish = Wish { exclude: vec![text.clone()], ..Wish::all(&text) };
            let _ = (wish.either(), wish.processes("freeze", "pause"), wish.containers("pause", ""));
        }
    }
}
