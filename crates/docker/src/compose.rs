//! Brings a compose stack up as its owner would, through the program that is there: `docker compose` or
//! `docker-compose`. Taking it down is the engine's part (`Undo::TakeDown`), because that must work without the program,
//! the files and the environment. A project that is there already is never brought up over.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use murphy_core::{Span, Undo};
use tokio::process::Command;

use crate::container::Container;
use crate::endpoint::Endpoint;
use crate::engine::{Engine, Scope};
use crate::error::EngineError;
use crate::readiness::ReadyError;
use crate::select::nearest;

/// The program that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComposeProgram {
    /// `docker compose`.
    Plugin,
    /// `docker-compose`.
    Standalone,
}

/// Why a stack is not there.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// There is no compose.
    #[error(
        "neither `docker compose` nor `docker-compose` works here: install the compose plugin of Docker, or bring the stack up yourself and leave out `up: true`"
    )]
    NoProgram,
    /// The compose file is not there.
    #[error("there is no compose file {}", .file.display())]
    NoFile {
        /// As written.
        file: PathBuf,
    },
    /// No project name can be made of the directory's name.
    #[error("no project name can be made of the directory {}: give `project:`", .directory.display())]
    NoName {
        /// The directory.
        directory: PathBuf,
    },
    /// The file's name for the project is to be filled in.
    #[error("the project's name in {} is `{name}`, whose variables only compose fills in: give `project:`", .file.display())]
    NameToFill {
        /// The compose file.
        file: PathBuf,
        /// As written.
        name: String,
    },
    /// The project is there already.
    #[error(
        "the compose project `{project}` is there already ({}): leave out `up: true` to use it as it is, or take it down first (`{down}`)",
        .containers.join(", ")
    )]
    AlreadyThere {
        /// The project.
        project: String,
        /// Its containers.
        containers: Vec<String>,
        /// The command that takes it down.
        down: String,
    },
    /// The project is not running.
    #[error("the compose project `{project}` is not running{}; {}", meant(.guess.as_deref()), there(.running))]
    NotRunning {
        /// As asked.
        project: String,
        /// Projects that are.
        running: Vec<String>,
        /// The nearest of them.
        guess: Option<String>,
    },
    /// The program failed.
    #[error("`{command}` failed ({status}):\n{output}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The program took too long.
    #[error("`{command}` did not end within {within}")]
    TooLong {
        /// The command.
        command: String,
        /// The time it had.
        within: Span,
    },
    /// The program could not be started.
    #[error("`{command}` cannot be started: {why}")]
    NotStarted {
        /// The command.
        command: String,
        /// What the system said.
        why: String,
    },
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The stack did not become ready.
    #[error(transparent)]
    Ready(#[from] ReadyError),
}

fn meant(guess: Option<&str>) -> String {
    guess.map(|guess| format!(" (did you mean `{guess}`?)")).unwrap_or_default()
}

fn there(running: &[String]) -> String {
    if running.is_empty() { "no project is".to_owned() } else { format!("running: {}", running.join(", ")) }
}

impl ComposeProgram {
    /// Each, in the order of preference.
    pub const ALL: [ComposeProgram; 2] = [ComposeProgram::Plugin, ComposeProgram::Standalone];

    /// Finds out which works.
    pub async fn detect() -> Result<ComposeProgram, ComposeError> {
        for program in ComposeProgram::ALL {
            if program.works().await {
                return Ok(program);
            }
        }
        Err(ComposeError::NoProgram)
    }

    /// True if it is there and can be started.
    pub async fn works(self) -> bool {
        let mut command = self.command();
        command.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().await.is_ok_and(|status| status.success())
    }

    /// How it is typed.
    pub fn words(self) -> &'static str {
        match self {
            ComposeProgram::Plugin => "docker compose",
            ComposeProgram::Standalone => "docker-compose",
        }
    }

    fn command(self) -> Command {
        let mut words = self.words().split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// How long the parts of bringing a stack up may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpTimes {
    /// Building and fetching images, and starting what is waited for by other services.
    pub start: Span,
    /// From then until all is ready.
    pub ready: Span,
}

impl Default for UpTimes {
    fn default() -> UpTimes {
        UpTimes { start: Span::from_secs(900), ready: Span::from_secs(60) }
    }
}

/// A stack by its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeStack {
    program: ComposeProgram,
    files: Vec<PathBuf>,
    project: String,
    environment: Vec<(OsString, OsString)>,
}

impl ComposeStack {
    /// A stack of these files (the first one's directory is the stack's). Without a project name, it is found as compose
    /// does: `COMPOSE_PROJECT_NAME`, the same in `.env`, the file's `name:`, the directory's name.
    pub fn new(
        program: ComposeProgram,
        files: &[PathBuf],
        project: Option<&str>,
    ) -> Result<ComposeStack, ComposeError> {
        let usual = [PathBuf::from("compose.yaml")];
        let files = if files.is_empty() { &usual[..] } else { files };
        let files = files
            .iter()
            .map(|file| std::path::absolute(file).ok().filter(|path| path.is_file()).ok_or(file))
            .collect::<Result<Vec<PathBuf>, _>>()
            .map_err(|file| ComposeError::NoFile { file: file.clone() })?;
        let project = match project {
            Some(project) => project.to_owned(),
            None => project_name(&files[0], std::env::var("COMPOSE_PROJECT_NAME").ok().as_deref())?,
        };
        Ok(ComposeStack { program, files, project, environment: Vec::new() })
    }

    /// Sets a variable for the compose program, as `KEY=value` before the command would.
    pub fn with_variable(mut self, key: &str, value: &str) -> ComposeStack {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// Its project name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The services that it has, by name.
    pub async fn services(&self, engine: &Engine) -> Result<Vec<String>, ComposeError> {
        let text = self.run(engine, &["config", "--services"], Span::from_secs(30)).await?;
        let mut services: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        murphy_core::sort_short(&mut services, Ord::cmp);
        Ok(services)
    }

    /// How to take it down again. Touches nothing; refuses a project of which there is a container already. Volumes
    /// that are there already are kept: they hold what their owner left in them.
    pub async fn prepare(&self, engine: &Engine) -> Result<Undo, ComposeError> {
        let there = engine.project(&self.project).await?;
        if !there.is_empty() {
            return Err(ComposeError::AlreadyThere {
                project: self.project.clone(),
                containers: there.iter().map(|container| container.name().to_owned()).collect(),
                down: format!("{} -p {} down", self.program.words(), self.project),
            });
        }
        let keep_volumes = engine.project_volumes(&self.project).await?;
        Ok(Undo::TakeDown { project: self.project.clone(), keep_volumes })
    }

    /// Brings it up and waits until it is ready. The undo must be in the undo log before this is called. A container that
    /// ends with an error meanwhile, or time that is up, is an error; what was started is then still there to be undone.
    pub async fn up(&self, engine: &Engine, times: UpTimes) -> Result<Vec<Container>, ComposeError> {
        let services = self.services(engine).await?;
        self.run(engine, &["up", "-d"], times.start).await?;
        Ok(engine.until_ready(&self.project, &services, times.ready).await?)
    }

    /// Runs compose; what it wrote on its standard output.
    async fn run(&self, engine: &Engine, words: &[&str], within: Span) -> Result<String, ComposeError> {
        let mut command = self.program.command();
        command.args(["-p", &self.project]);
        for file in &self.files {
            command.arg("-f").arg(file);
        }
        command.args(words).stdin(Stdio::null()).kill_on_drop(true);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        if !matches!(engine.endpoint(), Endpoint::Tls { .. }) {
            // The same engine, also where it was not found by this variable.
            command.env("DOCKER_HOST", engine.endpoint().to_string());
        }
        let spoken = || format!("{} -p {} {}", self.program.words(), self.project, words.join(" "));
        let output = match tokio::time::timeout(within.as_duration(), command.output()).await {
            Err(_) => return Err(ComposeError::TooLong { command: spoken(), within }),
            Ok(Err(error)) => {
                return Err(ComposeError::NotStarted { command: spoken(), why: error.to_string() });
            }
            Ok(Ok(output)) => output,
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let output_end = lines[lines.len().saturating_sub(20)..].join("\n");
        Err(ComposeError::Failed { command: spoken(), status: output.status.to_string(), output: output_end })
    }
}

impl Engine {
    /// The containers of a project that runs, whoever brought it up.
    pub async fn running_project(&self, project: &str) -> Result<Vec<Container>, ComposeError> {
        let running = self.containers(Scope::Running).await?;
        let of_it: Vec<Container> =
            running.iter().filter(|container| container.project() == Some(project)).cloned().collect();
        if !of_it.is_empty() {
            return Ok(of_it);
        }
        let mut projects: Vec<String> =
            running.iter().filter_map(|container| container.project().map(str::to_owned)).collect();
        projects.dedup();
        murphy_core::sort_short(&mut projects, Ord::cmp);
        projects.dedup();
        let guess = nearest(project, projects.iter().map(String::as_str)).map(str::to_owned);
        Err(ComposeError::NotRunning { project: project.to_owned(), running: projects, guess })
    }
}

/// The name that compose itself would give the project.
fn project_name(file: &Path, variable: Option<&str>) -> Result<String, ComposeError> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let from_env_file = || {
        let text = std::fs::read_to_string(directory.join(".env")).ok()?;
        let value = text.lines().find_map(|line| line.trim().strip_prefix("COMPOSE_PROJECT_NAME="))?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix("name:"))?;
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        Some(value.to_owned())
    };
    let given = variable.map(str::to_owned).filter(|name| !name.is_empty()).or_else(from_env_file);
    let name = match given.or_else(from_file) {
        Some(name) if name.contains('$') => {
            return Err(ComposeError::NameToFill { file: file.to_owned(), name });
        }
        Some(name) => name,
        None => directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let normal: String = name.to_lowercase().chars().filter(allowed).collect();
    let normal = normal.trim_start_matches(['-', '_']).to_owned();
    if normal.is_empty() { Err(ComposeError::NoName { directory: directory.to_owned() }) } else { Ok(normal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_as_compose_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let stack = directory.path().join("My Shop.2");
        std::fs::create_dir(&stack).unwrap();
        let file = stack.join("compose.yaml");
        std::fs::write(&file, "services: {}\n").unwrap();
        let name = |variable| project_name(&file, variable).unwrap();
        assert_eq!(name(None), "myshop2");
        std::fs::write(&file, "name: \"shop-a\" # the shop\nservices: {}\n").unwrap();
        assert_eq!(name(None), "shop-a");
        std::fs::write(&file, "name: ${SHOP:-shop-a}\nservices: {}\n").unwrap();
        let error = project_name(&file, None).unwrap_err().to_string();
        assert!(error.contains("`${SHOP:-shop-a}`") && error.contains("give `project:`"), "{error}");
        std::fs::write(stack.join(".env"), "X=1\nCOMPOSE_PROJECT_NAME=shop-b\n").unwrap();
        assert_eq!(name(None), "shop-b");
        assert_eq!(name(Some("shop-c")), "shop-c");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error =
            ComposeStack::new(ComposeProgram::Plugin, &["/nowhere/compose.yaml".into()], None).unwrap_err();
        assert!(error.to_string().contains("/nowhere/compose.yaml"), "{error}");
    }
}
