//! Runs the programs that speak with the kernel's network: `nft`, `tc`, `ss`. They act on the namespace of the thread
//! that starts them.
//!
//! Scripts are made of our own words, numbers and addresses only; text from elsewhere is filtered before it gets here.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::NetnsError;

/// A program that speaks with the kernel's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Packet filter and redirects.
    Nft,
    /// Queueing disciplines.
    Tc,
    /// Sockets: ends those that are open.
    Ss,
}

impl Tool {
    fn program(self) -> &'static str {
        match self {
            Tool::Nft => "nft",
            Tool::Tc => "tc",
            Tool::Ss => "ss",
        }
    }

    /// The package that has it, by the name that most distributions use.
    pub fn package(self) -> &'static str {
        match self {
            Tool::Nft => "nftables",
            Tool::Tc | Tool::Ss => "iproute2",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// Runs a program in the namespace of the calling thread and returns what it printed.
pub(crate) fn run(tool: Tool, arguments: &[&str], input: &str, act: &str) -> Result<String, NetnsError> {
    let output = output_of(tool, arguments, input).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NetnsError::ToolMissing { tool },
        _ => NetnsError::io(format!("run {tool}"), error),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") || said.contains("must be root") {
        return Err(NetnsError::NotAllowed { act: act.to_owned() });
    }
    let said =
        said.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join(" | ");
    Err(NetnsError::Refused { tool, act: act.to_owned(), status: output.status, said })
}

/// `sudo` and services often leave the system directories out of PATH.
fn output_of(tool: Tool, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for directory in ["", "/usr/sbin/", "/sbin/"] {
        match start(&format!("{directory}{tool}"), arguments, input) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = error,
            other => return other,
        }
    }
    Err(last)
}

fn start(program: &str, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        // Ctrl-C in a terminal reaches the whole foreground group; what takes things back must not die of it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(input.as_bytes())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    child.wait_with_output()
}

/// Carries out a script as one transaction: all of it or nothing.
pub(crate) fn script(text: &str, act: &str) -> Result<(), NetnsError> {
    run(Tool::Nft, &["-f", "-"], text, act).map(drop)
}

/// True if the refusal says that the table is not there.
pub(crate) fn is_absent(error: &NetnsError) -> bool {
    matches!(error, NetnsError::Refused { said, .. } if said.contains("No such file or directory"))
}

/// One counter as `nft -j` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct RawCounter {
    pub(crate) family: String,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    counter: Option<RawCounter>,
}

/// All counters in the namespace of the calling thread. `nft` has no form that lists those of one table.
pub(crate) fn counters() -> Result<Vec<RawCounter>, NetnsError> {
    counters_of(&run(Tool::Nft, &["-j", "list", "counters"], "", "read counters")?)
}

fn counters_of(text: &str) -> Result<Vec<RawCounter>, NetnsError> {
    let listing: Listing = serde_json::from_str(text)
        .map_err(|error| NetnsError::Unreadable { tool: Tool::Nft, why: error.to_string() })?;
    Ok(listing.nftables.into_iter().filter_map(|object| object.counter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_a_listing() {
        let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "inet", "name": "cut", "table": "t", "handle": 2, "packets": 3, "bytes": 180}}]}"#;
        let counters = counters_of(text).unwrap();
        assert_eq!(counters.len(), 1);
        assert_eq!((counters[0].name.as_str(), counters[0].packets, counters[0].bytes), ("cut", 3, 180));
    }

    #[test]
    fn a_listing_of_another_kind_is_an_error_not_zero() {
        assert!(matches!(counters_of("[]"), Err(NetnsError::Unreadable { tool: Tool::Nft, .. })));
    }
}
