//! What a run may leave behind in the world, looked at without any of Murphy's code but the form of its undo log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use murphy_core::UndoEntry;
use murphy_tests::{Bench, processes_with};

use crate::engine::Victims;

/// The folder of the container that a run fills.
pub const FILLED: &str = "tmp";

pub fn is_frozen(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// True if what the command of the `exec` leaves in the container is there.
pub fn is_broken(victims: &Victims) -> bool {
    let path = format!("/containers/{}/archive?path=/tmp/broken", victims.member.id);
    victims.sandbox.engine().call("GET", &path, None).expect("the engine").status == 200
}

pub fn undo_logs(bench: &Bench) -> Vec<PathBuf> {
    let is_log = |path: &PathBuf| path.to_string_lossy().ends_with(".undo.ndjson");
    bench.undo_logs().into_iter().filter(is_log).collect()
}

/// The kinds of undo that a log asks for.
pub fn due_in(log: &Path) -> Vec<String> {
    let mut due = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        match serde_json::from_str(line) {
            Ok(UndoEntry::Due { id, undo, .. }) => {
                let kind = serde_json::to_value(undo).expect("plain data");
                let kind = kind.as_object().and_then(|kind| kind.keys().next().cloned());
                due.insert(id, kind.unwrap_or_default());
            }
            Ok(UndoEntry::Done { id }) => drop(due.remove(&id)),
            // The first line, and a torn last one.
            Err(_) => {}
        }
    }
    due.into_values().collect()
}

/// What of Murphy's is in the network of the container: nftables tables and limits of interfaces.
pub fn in_network(victims: &Victims) -> Vec<String> {
    let pid = victims.sandbox.inspect(&victims.member.id)["State"]["Pid"].to_string();
    let look = |command: &[&str]| {
        let output = Command::new("nsenter").args(["-t", &pid, "-n"]).args(command).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    let all = look(&["nft", "list", "tables"]) + &look(&["tc", "qdisc", "show"]);
    let is_ours = |line: &&str| line.contains("murphy") || line.contains("tbf");
    all.lines().filter(is_ours).map(str::to_owned).collect()
}

/// What fills the disk of the container and still has a name there.
pub fn filled_in(victims: &Victims) -> Vec<String> {
    let pid = victims.sandbox.inspect(&victims.member.id)["State"]["Pid"].to_string();
    let folder = Path::new("/proc").join(pid).join("root").join(FILLED);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".murphy-")).collect()
}

/// True if it is a service that a run started, and not something that only names its address.
pub fn is_demo_service(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains("demo-service"))
}

/// Workers of runs in this folder, and what they filled in it that still has a name.
pub fn pressed(bench: &Path) -> Vec<String> {
    let runs_there =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(bench));
    let pids = processes_with("pressure-worker").into_iter().filter(runs_there);
    let files = std::fs::read_dir(bench).into_iter().flatten().flatten();
    let files = files.map(|file| file.file_name().to_string_lossy().into_owned());
    pids.map(|pid| format!("worker {pid}")).chain(files.filter(|name| name.starts_with(".murphy-"))).collect()
}
