//! `murphy known`: names for a shell that completes a line: proxies and faults of a running daemon, running containers, what can be
//! explained. It must never keep a shell waiting, nor hand it a name that a shell could read as more than a word, and says nothing where
//! there is nothing to say.

use std::time::Duration;

use clap::CommandFactory;
use murphy_control::ProxyDoc;
use murphy_docker::{Engine, Scope};

use super::daemon::client;
use super::{print, runtime};
use crate::args::Cli;
use crate::exit::Exit;
use crate::native_args::USUAL_API;

/// Longer than this, nobody waits for a completion.
const PATIENCE: Duration = Duration::from_millis(700);

/// What a line asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked<'a> {
    Proxies,
    Faults { proxy: &'a str },
    Containers,
    Topics,
}

/// Prints what fits behind these words, which stand behind `murphy`.
pub fn run(words: &[String]) -> Exit {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(asked) = asked(&words) else { return Exit::Graceful };
    let Ok(runtime) = runtime() else { return Exit::Graceful };
    let named = async { tokio::time::timeout(PATIENCE, names(asked, &words)).await };
    let named = runtime.block_on(named).unwrap_or_default();
    // To look up a host's name blocks a thread, which a runtime that is dropped would wait for.
    runtime.shutdown_background();
    print(&named.iter().filter(|name| is_plain(name)).map(|name| format!("{name}\n")).collect::<String>());
    Exit::Graceful
}

/// Whoever puts a proxy on a daemon chooses its name: none is told that means anything to a shell.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-'))
}

fn asked<'a>(words: &[&'a str]) -> Option<Asked<'a>> {
    // What stands behind it is somebody else's.
    if words.contains(&"--") {
        return None;
    }
    let (plain, flag) = parted(words);
    let (command, plain) = plain.split_first()?;
    match (*command, flag) {
        ("attach" | "top", Some("--from")) | ("top", Some("--containers")) => return Some(Asked::Containers),
        // The value of a flag.
        (_, Some(_)) => return None,
        _ => {}
    }
    match (*command, plain) {
        ("proxies", ["list" | "ls" | "edit" | "toggle" | "remove" | "rm"] | ["remove" | "rm", ..]) => {
            Some(Asked::Proxies)
        }
        ("fault", ["list" | "ls" | "add" | "edit" | "set" | "remove" | "rm"]) => Some(Asked::Proxies),
        ("fault", ["edit" | "set", proxy] | ["remove" | "rm", proxy, ..]) => Some(Asked::Faults { proxy }),
        ("kill" | "stop" | "restart" | "pause" | "disconnect" | "limit" | "remove" | "exec", []) => {
            Some(Asked::Containers)
        }
        ("partition" | "loss" | "reset" | "latency" | "bandwidth", [] | [_]) => Some(Asked::Containers),
        ("explain", []) => Some(Asked::Topics),
        _ => None,
    }
}

/// The words that are neither flags nor their values, and the flag whose value comes next.
fn parted<'a>(words: &[&'a str]) -> (Vec<&'a str>, Option<&'a str>) {
    let mut cli = Cli::command();
    // Each command has the flags of those above it only then.
    cli.build();
    let (mut command, mut plain, mut flag) = (&cli, Vec::new(), None);
    for word in words {
        if word.starts_with('-') {
            flag = wants_value(command, word).then_some(*word);
        } else if flag.take().is_none() {
            command = command.find_subcommand(word).unwrap_or(command);
            plain.push(*word);
        }
    }
    (plain, flag)
}

/// True for a flag of the command whose value is the next word.
fn wants_value(command: &clap::Command, word: &str) -> bool {
    let Some(name) = word.strip_prefix("--") else { return false };
    let is_it = |arg: &clap::Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
    };
    let mut flags = command.get_arguments().filter(|arg| is_it(arg));
    flags.any(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

async fn names(asked: Asked<'_>, words: &[&str]) -> Vec<String> {
    match asked {
        Asked::Topics => super::explain::topics().into_iter().map(str::to_owned).collect(),
        Asked::Containers => containers().await.unwrap_or_default(),
        Asked::Proxies => proxies(words).await.into_iter().map(|proxy| proxy.name).collect(),
        Asked::Faults { proxy } => {
            let found = proxies(words).await.into_iter().find(|known| known.name == proxy);
            let faults = found.map(|known| known.faults).unwrap_or_default();
            faults.into_iter().map(|fault| fault.name.to_string()).collect()
        }
    }
}

async fn containers() -> Option<Vec<String>> {
    let running = Engine::connect().await.ok()?.containers(Scope::Running).await.ok()?;
    Some(running.iter().map(|one| one.name().to_owned()).collect())
}

async fn proxies(words: &[&str]) -> Vec<ProxyDoc> {
    let given = words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--api")? {
        "" => words.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    let usual = std::env::var("MURPHY_API").unwrap_or_else(|_| USUAL_API.to_owned());
    let token = std::env::var("MURPHY_TOKEN").ok();
    match client(given.unwrap_or(&usual), token.as_deref()) {
        Ok(client) => client.proxies().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_asks_for_what_its_next_word_names() {
        for (line, wanted) in [
            ("proxies toggle", Some(Asked::Proxies)),
            ("proxies remove one two", Some(Asked::Proxies)),
            ("proxies --api http://a:1 edit", Some(Asked::Proxies)),
            ("fault edit redis --jitter", None),
            ("fault edit --jitter 5ms", Some(Asked::Proxies)),
            ("proxies --api=http://a:1 edit", Some(Asked::Proxies)),
            ("proxies edit --api=http://a:1", Some(Asked::Proxies)),
            ("proxies edit --api", None),
            ("fault add", Some(Asked::Proxies)),
            ("fault edit redis", Some(Asked::Faults { proxy: "redis" })),
            ("fault set redis", Some(Asked::Faults { proxy: "redis" })),
            ("fault remove redis slow", Some(Asked::Faults { proxy: "redis" })),
            ("pause", Some(Asked::Containers)),
            ("partition web", Some(Asked::Containers)),
            ("attach --from", Some(Asked::Containers)),
            ("top --containers", Some(Asked::Containers)),
            ("explain", Some(Asked::Topics)),
            ("explain --output json", Some(Asked::Topics)),
            ("explain --output", None),
            ("kill --dry-run", Some(Asked::Containers)),
            ("kill --dry-run --yes", Some(Asked::Containers)),
            ("kill --dry-run --for 5s", Some(Asked::Containers)),
            ("kill --color never", Some(Asked::Containers)),
            ("top --api --from", Some(Asked::Containers)),
            ("fault --output json edit redis", Some(Asked::Faults { proxy: "redis" })),
            ("fault remove --all", Some(Asked::Proxies)),
            ("kill --dry-run --for", None),
            ("kill --color", None),
            ("kill --dry-run web", None),
            ("exec --", None),
            ("pause web --for", None),
            ("fault add redis", None),
            ("run", None),
            ("", None),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(asked(&words), wanted, "{line}");
            let is_command = Cli::command().find_subcommand(words[0]).is_some();
            assert!(is_command || line.is_empty(), "{line}: there is no such command");
        }
    }

    #[test]
    fn a_name_that_means_something_to_a_shell_is_not_told() {
        assert!(["redis", "shop-db_1.eu:6379", "exit-codes", "143"].into_iter().all(is_plain));
        for name in ["", "$(touch x)", "`x`", "*", "a b", "a\nb", "a;b", "~", "{a,b}", "ü"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
