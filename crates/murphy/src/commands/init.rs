//! `murphy init`: a first scenario; with a compose file, scenarios for each dependency in it.

use std::path::{Path, PathBuf};

use murphy_propose::{Compose, dependencies, first, scenarios};

use super::{fail, print};
use crate::args::InitArgs;
use crate::exit::Exit;

/// Writes what is proposed. A file that is there is never written over.
pub fn run(args: &InitArgs) -> Exit {
    match &args.compose {
        Some(compose) => from_compose(compose, args.out.as_deref().unwrap_or(Path::new("murphy"))),
        None => one(args.out.as_deref().unwrap_or(Path::new("murphy.yaml"))),
    }
}

fn one(file: &Path) -> Exit {
    if let Err(exit) = write(file, first()) {
        return exit;
    }
    print(&format!("{}\n\nnext:  murphy run {}\n", file.display(), file.display()));
    let usual = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    if let Some(found) = usual.into_iter().find(|name| Path::new(name).is_file()) {
        print(&format!("there is a {found} here:  murphy init --compose {found}\n"));
    }
    Exit::Graceful
}

fn from_compose(file: &Path, folder: &Path) -> Exit {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return fail(Exit::Usage, &format_args!("cannot read {}: {error}", file.display())),
    };
    let compose = match Compose::read(&text) {
        Ok(compose) => compose,
        Err(error) => return fail(Exit::Usage, &format_args!("{}: {error}", file.display())),
    };
    let found = dependencies(&compose);
    for dependency in &found {
        let port = dependency.port.map_or_else(String::new, |port| format!(":{port}"));
        let because = dependency.because.join(", ");
        print(&format!("{} calls {}{port}    ({because})\n", dependency.from, dependency.to));
    }
    if found.is_empty() {
        print(
            "no calls between services were found: neither depends_on nor an environment value names another one\n",
        );
    }
    print("\n");
    for proposal in scenarios(&compose, &seen_from(folder, file)) {
        let path = folder.join(&proposal.file);
        if let Err(exit) = write(&path, &proposal.text) {
            return exit;
        }
        print(&format!("{}\n", path.display()));
    }
    print(&format!(
        "\nnext:  read one of them, then  murphy check {0}  and  murphy run {0}\nor try every fault on all of these calls:  murphy explore {0}/FILE\n",
        folder.display()
    ));
    Exit::Graceful
}

fn write(path: &Path, text: &str) -> Result<(), Exit> {
    use std::io::Write;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => fail(
            Exit::Usage,
            &format_args!("{} is there already: move it away, or write elsewhere with --out", path.display()),
        ),
        _ => fail(Exit::Failed, &format_args!("cannot write {}: {error}", path.display())),
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
