//! Programs of others that tests drive: fetched once, kept below the target folder, never without saying so.

use std::path::{Path, PathBuf};
use std::process::Command;

pub use murphy_testkit::skip;

use crate::bench::{Finished, murphy};

/// Where the lists of what is fetched are.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A place below the target folder that outlives the test, so that nothing is fetched twice.
pub fn kept(name: &str) -> PathBuf {
    let binary = murphy();
    let target = binary.parent().and_then(Path::parent).expect("the binary lies in target/PROFILE");
    target.join("clients").join(name)
}

/// Runs a command to its end. One that cannot be started has the code -1.
pub fn run(command: &mut Command) -> Finished {
    match command.output() {
        Ok(output) => output.into(),
        Err(error) => Finished { code: -1, stdout: String::new(), stderr: error.to_string(), took: None },
    }
}

/// A Python with the packages of a list in `tests/clients`, or why there is none.
pub fn kept_python(list: &str) -> Result<PathBuf, String> {
    let requirements = clients().join(list);
    let wanted = std::fs::read_to_string(&requirements).expect("the list of packages");
    let venv = kept(&format!("venv-{}", list.trim_end_matches(".txt")));
    let (python, done) = (venv.join("bin/python"), venv.join("installed.txt"));
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    if made.code != 0 {
        return Err(format!("there is no python3 with venv: {}{}", made.stdout, made.stderr));
    }
    let pip = run(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(&requirements));
    if pip.code != 0 {
        return Err(format!("the packages cannot be fetched: {}", pip.stderr));
    }
    std::fs::write(&done, wanted).expect("the target folder can be written");
    Ok(python)
}
