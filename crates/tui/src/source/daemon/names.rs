//! What the proxies of a daemon are called as edges: each by a name of its own, and by the same one at each look.

use std::collections::{BTreeMap, BTreeSet};

use murphy_core::EdgeName;

/// The API of Toxiproxy takes any text for a name.
fn edge_name(text: &str) -> EdgeName {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let made = || EdgeName::new(&format!("proxy-{}", text.chars().map(plain).collect::<String>()));
    EdgeName::new(text).or_else(|_| made()).or_else(|_| EdgeName::new("proxy")).expect("a plain name")
}

/// A name of its own for each proxy. One that is a name stays as it is; of the others, each keeps what it had `before`.
pub(crate) fn edge_names(
    proxies: &[&str],
    before: &BTreeMap<EdgeName, String>,
) -> BTreeMap<EdgeName, String> {
    let (mut names, mut odd) = (BTreeMap::new(), BTreeSet::new());
    for proxy in proxies {
        match EdgeName::new(proxy) {
            Ok(name) => {
                names.insert(name, (*proxy).to_owned());
            }
            Err(_) => {
                odd.insert(*proxy);
            }
        }
    }
    for (name, proxy) in before {
        if !names.contains_key(name) && odd.remove(proxy.as_str()) {
            names.insert(name.clone(), proxy.clone());
        }
    }
    for proxy in odd {
        let name = edge_name(proxy).free(|name| names.contains_key(name));
        names.insert(name, proxy.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_proxy_becomes_one_of_an_edge() {
        assert_eq!(edge_name("redis").as_str(), "redis");
        assert_eq!(edge_name("my proxy/1").as_str(), "proxy-my-proxy-1");
        for text in ["", " ", "ü", "-", &"x".repeat(300)] {
            edge_name(text);
        }
    }

    #[test]
    fn each_proxy_is_an_edge_of_its_own_and_the_same_one_at_each_look() {
        let all = |names: &BTreeMap<EdgeName, String>| {
            names.iter().map(|(name, proxy)| format!("{name}: {proxy}")).collect::<Vec<_>>()
        };
        let first = edge_names(&["my/proxy"], &BTreeMap::new());
        assert_eq!(all(&first), ["proxy-my-proxy: my/proxy"]);
        let second = edge_names(&["my proxy", "my/proxy"], &first);
        assert_eq!(all(&second), ["proxy-my-proxy: my/proxy", "proxy-my-proxy-2: my proxy"]);
        assert_eq!(edge_names(&["my/proxy", "my proxy"], &second), second);
        let third = edge_names(&["my proxy", "my/proxy", "proxy-my-proxy"], &second);
        let expected =
            ["proxy-my-proxy: proxy-my-proxy", "proxy-my-proxy-2: my proxy", "proxy-my-proxy-3: my/proxy"];
        assert_eq!(all(&third), expected, "what has a name keeps it");
        let (long, longer) = ("/".repeat(200), "/".repeat(201));
        assert_eq!(edge_names(&[long.as_str(), longer.as_str()], &BTreeMap::new()).len(), 2);
    }
}
