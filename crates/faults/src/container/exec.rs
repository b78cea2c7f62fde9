//! `exec`: a command in a container, and the one that takes its effect back: for what no other fault can do.

use murphy_docker::{Action, Command};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

impl FaultSpec for Command {
    const NAME: &'static str = "exec";
    const ABOUT: &'static str =
        "Runs a command in the container, and on lift the one that takes its effect back.";
    const EXAMPLE: &'static str = "{ exec: { command: [redis-cli, config, set, maxmemory, 1mb], revert: [redis-cli, config, set, maxmemory, '0'] } }";
    const PLACE: Place = Place::Container;

    /// Without the arguments: they may carry secrets, and this text ends up in reports.
    fn text(&self) -> String {
        format!("exec {}", self.command.first().map_or("", String::as_str))
    }

    fn check(&self, problems: &mut Problems) {
        let empty = |argv: &[String]| argv.first().is_none_or(|program| program.trim().is_empty());
        if empty(&self.command) {
            problems.field("command", "no command is given", "write for example `command: [touch, /tmp/x]`");
        }
        if self.revert.as_deref().is_some_and(empty) {
            problems.field("revert", "`revert` is no command", "write the command, or remove the key");
        }
        if self.within.is_zero() {
            problems.field("within", "no command ends within no time", "write for example `within: 10s`");
        }
        problems.not_absurd("within", self.within);
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Exec(self.clone()))
    }
}
