//! The stack of `examples/compose`, on a machine that may have no registry.

use std::process::Command;

use crate::action::repository;

/// The base image of the stack: made here if it is not there; `None` where that cannot be done.
pub fn base_image() -> Option<String> {
    let script = repository().join("examples/compose/local-base.sh");
    let output = Command::new("bash").arg(script).output().ok()?;
    if output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no base image in CI: {why}");
    murphy_testkit::skipped(format_args!("no base image: {why}"));
    None
}

/// True if all that needs minutes of it is to be run: `make compose`.
pub fn whole_example() -> bool {
    std::env::var("MURPHY_COMPOSE").as_deref() == Ok("all")
}
