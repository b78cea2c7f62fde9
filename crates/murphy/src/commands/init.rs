//! `murphy init`: a first scenario; with a compose file, scenarios for each dependency in it.

use std::io;
use std::path::{Path, PathBuf};

use murphy_propose::{Compose, ComposeError, Dependency, dependencies, first, scenarios};
use serde::Serialize;

use super::answer::answer;
use super::fail;
use crate::args::InitArgs;
use crate::exit::Exit;

/// What was found, and what was written.
#[derive(Debug, Default, Serialize)]
struct Proposed {
    /// The calls in a compose file, where one was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<Call>>,
    /// The files, as they are named from here.
    written: Vec<String>,
}

/// One service calls another.
#[derive(Debug, Serialize)]
struct Call {
    from: String,
    to: String,
    port: Option<u16>,
    /// What it was guessed from: `environment CACHE`, `depends_on`.
    because: Vec<String>,
}

/// Why no more is written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Compose { path: PathBuf, source: ComposeError },
    #[error("{} is there already: move it away, or write elsewhere with --out", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes what is proposed. A file that is there is never written over.
pub fn run(args: &InitArgs) -> Exit {
    let mut proposed = Proposed::default();
    let done = match &args.compose {
        Some(compose) => {
            from_compose(compose, args.out.as_deref().unwrap_or(Path::new("murphy")), &mut proposed)
        }
        None => one(args.out.as_deref().unwrap_or(Path::new("murphy.yaml")), &mut proposed),
    };
    let next = done.as_deref().unwrap_or_default();
    // What stands on the disk is told, also where it is not all.
    let told = answer(args.answer.output, &proposed, || proposed.text() + next);
    match done {
        Ok(_) => told,
        Err(error) => fail(error.exit(), &error).worst(told),
    }
}

/// Writes the first scenario, and says what comes next.
fn one(file: &Path, proposed: &mut Proposed) -> Result<String, InitError> {
    write(file, first())?;
    let file = file.display().to_string();
    let mut next = format!("\nnext:  murphy run {file}\n");
    proposed.written.push(file);
    let usual = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    if let Some(found) = usual.into_iter().find(|name| Path::new(name).is_file()) {
        next += &format!("there is a {found} here:  murphy init --compose {found}\n");
    }
    Ok(next)
}

/// Writes scenarios for each call in a compose file, and says what comes next.
fn from_compose(file: &Path, folder: &Path, proposed: &mut Proposed) -> Result<String, InitError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| InitError::Read { path: file.to_owned(), source })?;
    let compose =
        Compose::read(&text).map_err(|source| InitError::Compose { path: file.to_owned(), source })?;
    proposed.calls = Some(dependencies(&compose).into_iter().map(Call::of).collect());
    for proposal in scenarios(&compose, &seen_from(folder, file)) {
        let path = folder.join(&proposal.file);
        write(&path, &proposal.text)?;
        proposed.written.push(path.display().to_string());
    }
    Ok(format!(
        "\nnext:  read one of them, then  murphy check {0}  and  murphy run {0}\nor try every fault on all of these calls:  murphy explore {0}/FILE\n",
        folder.display()
    ))
}

impl Proposed {
    fn text(&self) -> String {
        let mut text = match self.calls.as_deref() {
            None => String::new(),
            Some([]) => {
                "no calls between services were found: neither depends_on nor an environment value names another one\n\n"
                    .to_owned()
            }
            Some(calls) => calls.iter().map(Call::text).collect::<String>() + "\n",
        };
        for file in &self.written {
            text += &format!("{file}\n");
        }
        text
    }
}

impl Call {
    fn of(dependency: Dependency) -> Call {
        let Dependency { from, to, port, because, .. } = dependency;
        Call { from, to, port, because }
    }

    fn text(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{} calls {}{port}    ({})\n", self.from, self.to, self.because.join(", "))
    }
}

impl InitError {
    fn exit(&self) -> Exit {
        match self {
            InitError::Read { .. } | InitError::Compose { .. } | InitError::Exists { .. } => Exit::Usage,
            InitError::Write { .. } => Exit::Failed,
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), InitError> {
    use std::io::Write;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Write { path: path.to_owned(), source },
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// A file as seen from a folder: relative where both are, so that the two can be moved together.
fn seen_from(folder: &Path, file: &Path) -> String {
    let plain = |path: &Path| path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain(folder) || !plain(file) {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        return absolute.display().to_string();
    }
    let mut path = PathBuf::new();
    let shared = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    // The last part of the file is its name, and never shared.
    let shared = shared.min(file.components().count() - 1);
    for _ in folder.components().skip(shared) {
        path.push("..");
    }
    path.extend(file.components().skip(shared));
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_is_named_as_seen_from_the_scenarios() {
        let seen = |folder: &str, file: &str| seen_from(Path::new(folder), Path::new(file));
        assert_eq!(seen("murphy", "compose.yaml"), "../compose.yaml");
        assert_eq!(seen("deploy/murphy", "deploy/compose.yaml"), "../compose.yaml");
        assert_eq!(seen("a/b", "c/compose.yaml"), "../../c/compose.yaml");
        assert_eq!(seen("/tmp/x", "/tmp/compose.yaml"), "/tmp/compose.yaml");
    }
}
