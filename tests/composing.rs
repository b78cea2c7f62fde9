//! The compose programs of this machine, and how the binary is made to take one of them.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::bench::Bench;

/// A program that brings stacks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Composing {
    /// `docker compose`, which Murphy prefers.
    Plugin,
    /// `docker-compose`.
    Standalone,
}

impl Composing {
    /// Those that work here, the preferred one first; the others are told. In CI there must be one.
    pub fn each_there(test: &str) -> Vec<Composing> {
        let mut there = vec![Composing::Plugin, Composing::Standalone];
        there.retain(|program| {
            let works = program.works();
            if !works {
                murphy_testkit::skipped(format_args!("no {program:?} compose: {test}"));
            }
            works
        });
        assert!(
            !there.is_empty() || std::env::var("CI").as_deref() != Ok("true"),
            "{test}: neither `docker compose` nor `docker-compose`, and CI=true"
        );
        there
    }

    fn works(self) -> bool {
        let mut command = match self {
            Composing::Plugin => {
                let mut command = Command::new("docker");
                command.arg("compose");
                command
            }
            Composing::Standalone => Command::new("docker-compose"),
        };
        command.arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Lets a command of this bench find no other one.
    pub fn only(self, bench: &Bench, command: &mut Command) {
        if self == Composing::Plugin {
            return;
        }
        let folder = bench.path().join("without-the-plugin");
        std::fs::create_dir_all(&folder).expect("a folder");
        let docker = folder.join("docker");
        std::fs::write(&docker, "#!/bin/sh\nexit 1\n").expect("to write");
        std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).expect("to be let");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.display()));
    }
}
