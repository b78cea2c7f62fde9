//! The action's script, called as a runner would call it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, Finished, murphy};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the root").to_owned()
}

/// The action's script, with the variables that a runner sets and these inputs.
pub fn action(bench: &Bench, inputs: &[(&str, &str)]) -> Finished {
    let mut command = Command::new(repository().join("ci/action.sh"));
    command
        .current_dir(bench.path())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .env("MURPHY_BINARY", murphy())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", bench.path())
        .env("GITHUB_ACTION_PATH", repository())
        .env("GITHUB_STEP_SUMMARY", bench.path().join("summary"))
        .env("GITHUB_OUTPUT", bench.path().join("output"));
    for (name, value) in inputs {
        command.env(name, value);
    }
    command.output().expect("the script starts").into()
}
