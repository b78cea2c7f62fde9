//! How a container sits on a network: recorded from an inspection, and asked for again in the same words. Pure.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, EndpointIpamConfig, EndpointSettings};
use murphy_core::{ContainerIdentity, EndpointRecord, NetworkIdentity};

/// How a container sits on each of its networks, by name of the network.
pub(super) fn attachments(inspected: &ContainerInspectResponse) -> Vec<(NetworkIdentity, EndpointRecord)> {
    let id = inspected.id.as_deref().unwrap_or_default();
    let networks = inspected.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let sorted: BTreeMap<&String, &EndpointSettings> = murphy_core::gathered(networks.into_iter().flatten());
    sorted
        .into_iter()
        .map(|(name, endpoint)| {
            let network = NetworkIdentity {
                id: text(endpoint.network_id.as_ref()).unwrap_or_else(|| name.clone()),
                name: name.clone(),
            };
            (network, record(endpoint, id))
        })
        .collect()
}

fn record(endpoint: &EndpointSettings, container_id: &str) -> EndpointRecord {
    let short = container_id.get(..12).unwrap_or(container_id);
    let pinned = endpoint.ipam_config.as_ref();
    EndpointRecord {
        // The engine adds the short id by itself; asked for again it would stand there twice.
        aliases: endpoint.aliases.iter().flatten().filter(|alias| *alias != short).cloned().collect(),
        links: endpoint.links.clone().unwrap_or_default(),
        driver_options: endpoint.driver_opts.clone().unwrap_or_default().into_iter().collect(),
        pinned_v4: pinned.and_then(|pinned| text(pinned.ipv4_address.as_ref())),
        pinned_v6: pinned.and_then(|pinned| text(pinned.ipv6_address.as_ref())),
        link_local: pinned.and_then(|pinned| pinned.link_local_ips.clone()).unwrap_or_default(),
        v4: text(endpoint.ip_address.as_ref()),
        v6: text(endpoint.global_ipv6_address.as_ref()),
        mac: text(endpoint.mac_address.as_ref()),
    }
}

fn text(field: Option<&String>) -> Option<String> {
    field.filter(|text| !text.is_empty()).cloned()
}

/// Whether the address that a container had by the engine's choice is asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Only what the owner asked for.
    AsAskedByOwner,
    /// All that it had. Only a network whose subnet its owner chose grants that.
    AsTheyWere,
}

/// The words in which the engine is asked for it again.
pub(super) fn settings(record: &EndpointRecord, addresses: Addresses) -> EndpointSettings {
    let (v4, v6) = match addresses {
        Addresses::AsAskedByOwner => (record.pinned_v4.clone(), record.pinned_v6.clone()),
        Addresses::AsTheyWere => (record.v4.clone(), record.v6.clone()),
    };
    let link_local = Some(record.link_local.clone()).filter(|addresses| !addresses.is_empty());
    let pinned = (v4.is_some() || v6.is_some() || link_local.is_some()).then_some(EndpointIpamConfig {
        ipv4_address: v4,
        ipv6_address: v6,
        link_local_ips: link_local,
    });
    EndpointSettings {
        ipam_config: pinned,
        aliases: Some(record.aliases.clone()).filter(|aliases| !aliases.is_empty()),
        links: Some(record.links.clone()).filter(|links| !links.is_empty()),
        driver_opts: Some(
            record.driver_options.clone().into_iter().collect::<std::collections::HashMap<_, _>>(),
        )
        .filter(|options| !options.is_empty()),
        mac_address: record.mac.clone(),
        ..EndpointSettings::default()
    }
}

/// The addresses that differ between what was and what is, as a note; `None` if they are the same.
pub(super) fn moved(network: &str, was: &EndpointRecord, is: &EndpointRecord) -> Option<String> {
    let changed: Vec<String> = [(&was.v4, &is.v4), (&was.v6, &is.v6)]
        .into_iter()
        .filter(|(was, is)| was.is_some() && was != is)
        .map(|(was, is)| format!("{} → {}", spoken(was.as_ref()), spoken(is.as_ref())))
        .collect();
    (!changed.is_empty()).then(|| format!("its address on {network} changed: {}", changed.join(", ")))
}

fn spoken(address: Option<&String>) -> &str {
    address.map_or("none", String::as_str)
}

/// How a container sits on one network now; `None` if it does not.
pub(super) fn on_network(
    inspected: &ContainerInspectResponse,
    network: &NetworkIdentity,
) -> Option<EndpointRecord> {
    attachments(inspected)
        .into_iter()
        .find(|(found, _)| found.id == network.id || found.name == network.name)
        .map(|(_, endpoint)| endpoint)
}

/// The identity that an inspection shows.
pub(super) fn identity(inspected: &ContainerInspectResponse) -> ContainerIdentity {
    ContainerIdentity {
        id: inspected.id.clone().unwrap_or_default(),
        name: inspected.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> EndpointSettings {
        EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: Some("10.0.0.5".into()),
                ..EndpointIpamConfig::default()
            }),
            aliases: Some(vec!["db".into(), "aaaaaaaaaaaa".into()]),
            ip_address: Some("10.0.0.5".into()),
            global_ipv6_address: Some("fd00::2".into()),
            ..EndpointSettings::default()
        }
    }

    #[test]
    fn the_engines_own_alias_is_not_recorded_and_a_pinned_address_is() {
        let record = record(&endpoint(), &"a".repeat(64));
        assert_eq!(record.aliases, ["db"]);
        assert_eq!((record.pinned_v4.as_deref(), record.pinned_v6.as_deref()), (Some("10.0.0.5"), None));
        let asked = settings(&record, Addresses::AsAskedByOwner).ipam_config.unwrap();
        assert_eq!((asked.ipv4_address.as_deref(), asked.ipv6_address), (Some("10.0.0.5"), None));
        let all = settings(&record, Addresses::AsTheyWere).ipam_config.unwrap();
        assert_eq!(all.ipv6_address.as_deref(), Some("fd00::2"));
    }

    #[test]
    fn a_changed_address_is_said() {
        let was = record(&endpoint(), "");
        let is = EndpointRecord { v4: Some("10.0.0.9".into()), ..was.clone() };
        assert_eq!(moved("n", &was, &was), None);
        assert_eq!(moved("n", &was, &is).unwrap(), "its address on n changed: 10.0.0.5 → 10.0.0.9");
    }
}
