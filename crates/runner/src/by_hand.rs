//! What a person types to take something back without Murphy: the last word where Murphy itself could not.

use murphy_core::{ContainerIdentity, EndpointRecord, NetworkIdentity, Undo};
use murphy_docker::restoring_options;

/// A line for a POSIX shell on the machine of the target.
pub fn by_hand(undo: &Undo) -> String {
    let words = match undo {
        Undo::RestoreLimits { container, limits } => {
            let update = |options: Vec<String>| {
                typed(&[words(&["docker", "update"]), options, vec![container.name.clone()]].concat())
            };
            let updates = restoring_options(limits).into_iter().map(update).collect::<Vec<_>>().join(" || ");
            // It may have run out of memory meanwhile. One that runs is left alone by this.
            return match limits.memory {
                Some(_) => format!("{updates} && docker start {}", container.id),
                None => updates,
            };
        }
        Undo::Continue { process, .. } => words(&["kill", "-CONT", &process.pid.to_string()]),
        Undo::Unpause { container } => words(&["docker", "unpause", &container.name]),
        Undo::Start { container, .. } => words(&["docker", "start", &container.id]),
        Undo::Rename { container } => words(&["docker", "rename", &container.id, &container.name]),
        Undo::Reconnect { container, network, endpoint } => reconnect(container, network, endpoint),
        Undo::Exec { container, command, .. } => {
            [words(&["docker", "exec", &container.name]), command.clone()].concat()
        }
        Undo::DropTable { namespace, family, table } => {
            let pid = namespace.process.pid.to_string();
            let family = family.to_string();
            words(&["nsenter", "-t", &pid, "-n", "nft", "delete", "table", &family, table])
        }
        Undo::RemoveQdisc { namespace, interface, .. } => {
            let pid = namespace.process.pid.to_string();
            words(&["nsenter", "-t", &pid, "-n", "tc", "qdisc", "del", "dev", interface, "root"])
        }
        Undo::StopMarked { .. }
        | Undo::StopGroup { .. }
        | Undo::EndPressure { .. }
        | Undo::TakeDown { .. } => words(&["murphy", "undo"]),
    };
    typed(&words)
}

fn typed(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn reconnect(
    container: &ContainerIdentity,
    network: &NetworkIdentity,
    endpoint: &EndpointRecord,
) -> Vec<String> {
    let mut all = words(&["docker", "network", "connect"]);
    let mut option = |name: &str, value: &str| all.extend([name.to_owned(), value.to_owned()]);
    endpoint.aliases.iter().for_each(|alias| option("--alias", alias));
    endpoint.links.iter().for_each(|link| option("--link", link));
    endpoint.pinned_v4.iter().for_each(|ip| option("--ip", ip));
    endpoint.pinned_v6.iter().for_each(|ip| option("--ip6", ip));
    endpoint.link_local.iter().for_each(|ip| option("--link-local-ip", ip));
    endpoint.driver_options.iter().for_each(|(key, value)| option("--driver-opt", &format!("{key}={value}")));
    all.extend([network.name.clone(), container.name.clone()]);
    all
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{CpuRecord, LimitsRecord, MemoryRecord, PidsRecord, Span};

    use super::*;

    fn web() -> ContainerIdentity {
        ContainerIdentity { id: "ab".repeat(32), name: "web".into() }
    }

    #[test]
    fn limits_are_given_back_with_their_numbers() {
        let limits = LimitsRecord {
            cpu: Some(CpuRecord { nano_cpus: 1_500_000_000, ..CpuRecord::default() }),
            memory: Some(MemoryRecord { memory: 64 << 20, with_swap: 128 << 20 }),
            pids: Some(PidsRecord { limit: Some(100) }),
        };
        assert_eq!(
            by_hand(&Undo::RestoreLimits { container: web(), limits }),
            format!(
                "docker update --cpus 1.5 --memory 67108864 --memory-swap 134217728 --pids-limit 100 web && \
                 docker start {}",
                web().id
            )
        );
        // Without the memory nothing has ended it.
        assert_eq!(
            by_hand(&Undo::RestoreLimits {
                container: web(),
                limits: LimitsRecord { memory: None, ..limits }
            }),
            "docker update --cpus 1.5 --pids-limit 100 web"
        );
    }

    #[test]
    fn what_was_unlimited_is_said_as_the_engine_wants_it() {
        let limits = LimitsRecord {
            cpu: Some(CpuRecord::default()),
            memory: Some(MemoryRecord::default()),
            pids: Some(PidsRecord { limit: None }),
        };
        assert_eq!(
            by_hand(&Undo::RestoreLimits { container: web(), limits }),
            format!(
                "docker update --cpu-quota -1 --memory 9223372036854771712 --memory-swap -1 --pids-limit -1 web || \
                 docker update --cpu-quota -1 --memory 9223372036854771712 --memory-swap 9223372036854771712 --pids-limit -1 web && \
                 docker start {}",
                web().id
            )
        );
    }

    #[test]
    fn a_network_is_joined_again_under_the_old_names_and_addresses() {
        let endpoint = EndpointRecord {
            aliases: vec!["cache".into()],
            pinned_v4: Some("10.1.2.3".into()),
            v4: Some("10.1.2.3".into()),
            ..EndpointRecord::default()
        };
        let network = NetworkIdentity { id: "cd".repeat(32), name: "shop_default".into() };
        let undo = Undo::Reconnect { container: web(), network, endpoint: Box::new(endpoint) };
        assert_eq!(by_hand(&undo), "docker network connect --alias cache --ip 10.1.2.3 shop_default web");
    }

    #[test]
    fn a_command_stays_one_command_in_a_shell() {
        let command = ["sh", "-c", "echo 'it is' > /tmp/x"].map(str::to_owned).to_vec();
        let undo = Undo::Exec { container: web(), command, within: Span::from_secs(1) };
        let typed = by_hand(&undo).replace("docker exec web ", "");
        let output = std::process::Command::new("sh").args(["-c", &format!("printf '%s|' {typed}")]).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(said, "sh|-c|echo 'it is' > /tmp/x|");
    }
}
