//! What works on this machine and what does not, found out by trying, each lack with its mend: for `murphy doctor`.
//!
//! Must never change anything that exists: what has to be tried is tried in a namespace that is thrown away.

use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use murphy_core::plural;
use murphy_docker::{ComposeProgram, Container, Engine, Scope};
use murphy_host::{Inside, Spare, myself};
use murphy_netns::{Ability, Capabilities, Capability, Finding, probe};
use serde::{Serialize, Serializer};
use tokio::process::Command;

use crate::StateDir;
use crate::callers::main_process;
use crate::pressure::inside;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Examined {
    /// What: `container engine`.
    pub what: String,
    /// What it is good for.
    pub needed_for: String,
    /// Whether without it Murphy can do nothing at all.
    pub need: Need,
    /// What was found.
    #[serde(serialize_with = "as_object")]
    pub finding: Finding,
}

/// How much depends on a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Every run needs it.
    Basic,
    /// Some runs need it.
    Some,
}

impl Examined {
    /// True if it works.
    pub fn works(&self) -> bool {
        matches!(self.finding, Finding::Works { .. })
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.finding {
            Finding::Works { by } => write!(f, "ok  {}: {by}", self.what),
            Finding::Missing { why, mend } => {
                write!(f, "no  {}: {why}\n      for   {}\n      mend  {mend}", self.what, self.needed_for)
            }
        }
    }
}

fn as_object<S: Serializer>(finding: &Finding, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(None)?;
    match finding {
        Finding::Works { by } => {
            map.serialize_entry("works", &true)?;
            map.serialize_entry("by", by)?;
        }
        Finding::Missing { why, mend } => {
            map.serialize_entry("works", &false)?;
            map.serialize_entry("why", why)?;
            map.serialize_entry("mend", mend)?;
        }
    }
    map.end()
}

/// Looks at everything. Takes a second at most, but for an engine that does not answer.
pub async fn examine() -> Vec<Examined> {
    let mut all = vec![basic("loopback", loopback()), basic("processes", processes())];
    all.push(basic("state directory", state_directory()));
    let engine = Engine::connect().await;
    let (containers, pressed) = match &engine {
        Ok(engine) => {
            let shown = one_that_runs(engine).await;
            (Some(containers_here(&shown)), Some(pressure_inside(engine, &shown).await))
        }
        Err(_) => (None, None),
    };
    all.push(some(
        "container engine",
        "faults on containers, `stack:`, and `from:` a container",
        match engine {
            Ok(engine) => {
                let facts = engine.facts();
                works(format!(
                    "{:?} {}, API {}, at {}",
                    facts.kind,
                    facts.version,
                    facts.api,
                    engine.endpoint()
                ))
            }
            Err(error) => missing(error.to_string(), "faults on edges and on processes work without it"),
        },
    ));
    all.extend(containers.map(|found| some("processes of its containers", FROM_CONTAINER, found)));
    all.extend(pressed.map(|found| some("pressure inside its containers", IN_CONTAINER, found)));
    all.push(some("pressure on this machine", ON_HOST, pressure_here()));
    all.push(some(
        "compose",
        "`stack:` with compose files",
        match ComposeProgram::detect().await {
            Ok(program) => works(program.words()),
            Err(error) => {
                missing(error.to_string(), "install the compose plugin of Docker, or name a running project")
            }
        },
    ));
    if let Ok(Capabilities(found)) = tokio::task::spawn_blocking(probe).await {
        all.extend(found.iter().filter(|one| one.ability == Ability::Intercept).map(latency));
        all.extend(
            found.into_iter().map(|one| some(&one.ability.to_string(), needed_for(one.ability), one.finding)),
        );
    }
    all.push(some(
        "redis-server",
        "`scenarios/redis-*.yaml` only",
        program("redis-server", "redis-server").await,
    ));
    all
}

const FROM_CONTAINER: &str = "edges with `from:` a container";
const IN_CONTAINER: &str = "`cpu-pressure`, `memory-pressure` and `disk-pressure` with `container:`";
const ON_HOST: &str = "`cpu-pressure`, `memory-pressure` and `disk-pressure` on `host: this`";

/// Which way a delay between containers goes, which is the same on every kernel.
fn latency(intercept: &Capability) -> Examined {
    let finding = match &intercept.finding {
        Finding::Works { .. } => {
            works("through proxies in the networks of both sides, TCP only; netem is not used")
        }
        lack => lack.clone(),
    };
    some("latency between containers", "`latency` on `network:`", finding)
}

fn needed_for(ability: Ability) -> &'static str {
    match ability {
        Ability::Rights | Ability::Enter | Ability::Intercept => "edges with `from:`",
        Ability::EndSockets => "`open-connections: cut` at once, also of idle connections",
        Ability::Cut | Ability::LoseUnnoticed | Ability::Bandwidth => "faults on `network:`",
    }
}

fn basic(what: &str, finding: Finding) -> Examined {
    Examined { what: what.to_owned(), needed_for: "every run".to_owned(), need: Need::Basic, finding }
}

fn some(what: &str, needed_for: &str, finding: Finding) -> Examined {
    Examined { what: what.to_owned(), needed_for: needed_for.to_owned(), need: Need::Some, finding }
}

fn works(by: impl Into<String>) -> Finding {
    Finding::Works { by: by.into() }
}

fn missing(why: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding::Missing { why: why.into(), mend: mend.into() }
}

fn loopback() -> Finding {
    match TcpListener::bind("127.0.0.1:0") {
        Ok(_) => works("127.0.0.1 can be listened on"),
        Err(error) => {
            missing(format!("cannot listen on 127.0.0.1: {error}"), "bring it up: ip link set lo up")
        }
    }
}

fn processes() -> Finding {
    if fs::read_to_string("/proc/self/stat").is_ok() {
        works("/proc is there")
    } else {
        missing("/proc cannot be read", "mount it: mount -t proc proc /proc")
    }
}

/// Also what is left of dead runs: no run starts over it.
fn state_directory() -> Finding {
    let leftovers = StateDir::from_environment().and_then(|state| Ok((state.leftovers()?, state)));
    match leftovers {
        Err(error) => missing(error.to_string(), "set MURPHY_STATE_DIR to a directory that can be written"),
        Ok((leftovers, state)) if leftovers.is_empty() => works(state.path().display().to_string()),
        Ok((leftovers, _)) => missing(
            format!("{} dead run(s) have left something behind, and no run starts over it", leftovers.len()),
            "murphy undo",
        ),
    }
}

/// What an engine shows of its containers.
enum Shown {
    /// One that runs, and its process as the engine tells it.
    One(Box<Container>, i64),
    /// None runs.
    None,
    /// They are on another machine.
    Elsewhere(String),
    /// The engine does not tell.
    Untold(String),
}

const UNTOLD: &str = "let the engine answer `docker ps` and `docker inspect`: what stands in front of its socket may forbid them";

/// The first of the containers that the engine tells of.
async fn one_that_runs(engine: &Engine) -> Shown {
    if !engine.endpoint().is_local() {
        return Shown::Elsewhere(format!("the engine at {} is on another machine", engine.endpoint()));
    }
    let running = match engine.containers(Scope::Running).await {
        Ok(running) => running,
        Err(error) => return Shown::Untold(error.to_string()),
    };
    let mut untold = None;
    for container in running {
        match engine.main_pid(&container.identity).await {
            Ok(Some(pid)) => return Shown::One(Box::new(container), pid),
            // One that ends at this moment says nothing about the others.
            Ok(None) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => drop(untold.get_or_insert_with(|| error.to_string())),
        }
    }
    untold.map_or(Shown::None, Shown::Untold)
}

/// Whether the pids that the engine gives are those of its containers here.
fn containers_here(shown: &Shown) -> Finding {
    const MEND: &str = "run murphy on the engine's machine, or as a container there with `--privileged --pid=host`; else \
                        give edges `listen:`";
    match shown {
        Shown::Elsewhere(why) => missing(why, MEND),
        Shown::Untold(why) => missing(why, UNTOLD),
        Shown::None => works("not tried: no container runs"),
        Shown::One(container, pid) => match main_process(container, *pid) {
            Ok(_) => works(format!("seen: container {} is process {pid}", container.name())),
            Err(error) => missing(error.to_string(), MEND),
        },
    }
}

/// Whether a worker could join the control groups of a container: tried on one that runs, else on those of this process.
async fn pressure_inside(engine: &Engine, shown: &Shown) -> Finding {
    const MEND: &str = "run murphy as root on the engine's machine, or as a container there with `--privileged --pid=host -v \
                        /sys/fs/cgroup:/sys/fs/cgroup`; the fault `limits` squeezes a container without that";
    let open = match shown {
        Shown::Elsewhere(why) => Err(why.clone()),
        Shown::Untold(why) => return missing(why, UNTOLD),
        Shown::None => Inside::of(myself())
            .and_then(|own| own.is_open())
            .map(|()| "control groups can be joined; not tried on a container: none runs".to_owned())
            .map_err(|error| error.to_string()),
        Shown::One(container, _) => match inside(engine, container).await {
            Ok(found) => found
                .is_open()
                .map(|()| format!("seen: a worker could join container {}", container.name()))
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        },
    };
    open.map_or_else(|why| missing(why, MEND), works)
}

/// What could be taken of the machine now.
fn pressure_here() -> Finding {
    const MEND: &str = "free some, or say how little may stay free: `reserve:`";
    match Spare::of_this_machine() {
        Ok(spare) if spare.memory.as_bytes() == 0 => {
            missing("no memory can be had beside what stays free", MEND)
        }
        Ok(spare) if spare.disk.as_bytes() == 0 => missing(
            "no room can be had on / beside what stays free; other file systems are not looked at",
            MEND,
        ),
        Ok(Spare { processors, memory, disk }) => {
            let processors = plural(processors.get() as u64, "processor");
            works(format!("{processors}; {memory} of memory and {disk} on / can be had now"))
        }
        Err(error) => missing(error.to_string(), "mount what is missing: mount -t proc proc /proc"),
    }
}

/// Whether a program can be started; its version is what it says first.
async fn program(name: &str, package: &str) -> Finding {
    let output = Command::new(name).arg("--version").stdin(Stdio::null()).output().await;
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            works(said.lines().next().unwrap_or(name).trim())
        }
        Ok(output) => missing(format!("`{name} --version` ends with {}", output.status), "install it anew"),
        Err(error) => {
            missing(format!("`{name}` cannot be started: {error}"), format!("install the package {package}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_gets_a_finding_and_every_lack_a_mend() {
        let all = examine().await;
        assert!(all.iter().filter(|one| one.need == Need::Basic).all(Examined::works), "{all:?}");
        for what in [
            "container engine",
            "pressure on this machine",
            "compose",
            "redis-server",
            "limit the rate of an interface (tbf)",
        ] {
            assert!(all.iter().any(|one| one.what == what), "{what}");
        }
        for one in &all {
            if let Finding::Missing { why, mend } = &one.finding {
                assert!(!why.is_empty() && !mend.is_empty(), "{one:?}");
            }
        }
    }

    #[test]
    fn a_lack_is_told_with_what_it_is_for_and_its_mend() {
        let lack = some("tbf", "x", missing("no module", "modprobe"));
        assert_eq!(lack.to_string(), "no  tbf: no module\n      for   x\n      mend  modprobe");
        let json = serde_json::to_value(&lack).unwrap();
        assert_eq!(json["finding"]["works"], false);
        assert_eq!(json["need"], "some");
    }
}
