//! One nftables table of our own as text: two sets of addresses with a timeout, counters, and the chains that use them.
//!
//! A rule must never act on anything but an element of these sets: when their elements expire, the table is inert.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use murphy_core::{NamespaceIdentity, TableFamily, Undo};

/// The name of a table, unique to one fault of one run: ownership can be read in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName(String);

impl TableName {
    /// `murphy_<run>_<ordinal>`; what nftables does not take in a name becomes `_`.
    pub fn new(run: &str, ordinal: u32) -> TableName {
        let run: String =
            run.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        // 255 bytes are the kernel's limit.
        TableName(format!("murphy_{}_{ordinal}", &run[..run.len().min(200)]))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the sets hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Targets {
    /// Addresses with a port.
    Endpoints(BTreeSet<SocketAddr>),
    /// Whole machines.
    Hosts(BTreeSet<IpAddr>),
}

impl Targets {
    /// The same kind of targets with other addresses.
    pub(crate) fn replaced(&self, addresses: &BTreeSet<SocketAddr>) -> Targets {
        match self {
            Targets::Endpoints(_) => Targets::endpoints(addresses),
            Targets::Hosts(_) => Targets::hosts(addresses.iter().map(SocketAddr::ip)),
        }
    }

    /// IPv4 written as IPv6 becomes IPv4: that is what goes over the wire.
    pub(crate) fn endpoints<'a>(addresses: impl IntoIterator<Item = &'a SocketAddr>) -> Targets {
        Targets::Endpoints(
            addresses
                .into_iter()
                .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
                .collect(),
        )
    }

    pub(crate) fn hosts(addresses: impl IntoIterator<Item = IpAddr>) -> Targets {
        Targets::Hosts(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Targets::Endpoints(addresses) => addresses.is_empty(),
            Targets::Hosts(addresses) => addresses.is_empty(),
        }
    }

    fn element_type(&self, version: Version) -> &'static str {
        match (self, version) {
            (Targets::Endpoints(_), Version::Four) => "ipv4_addr . inet_service",
            (Targets::Endpoints(_), Version::Six) => "ipv6_addr . inet_service",
            (Targets::Hosts(_), Version::Four) => "ipv4_addr",
            (Targets::Hosts(_), Version::Six) => "ipv6_addr",
        }
    }

    fn elements(&self, version: Version) -> Vec<String> {
        let wanted = |ip: &IpAddr| ip.is_ipv4() == (version == Version::Four);
        match self {
            Targets::Endpoints(addresses) => addresses
                .iter()
                .filter(|address| wanted(&address.ip()))
                .map(|address| format!("{} . {}", address.ip(), address.port()))
                .collect(),
            Targets::Hosts(addresses) => {
                addresses.iter().filter(|ip| wanted(ip)).map(IpAddr::to_string).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
}

impl Version {
    const BOTH: [Version; 2] = [Version::Four, Version::Six];

    fn set(self) -> &'static str {
        match self {
            Version::Four => "targets4",
            Version::Six => "targets6",
        }
    }
}

/// A table that holds its targets on a lease.
#[derive(Debug, Clone)]
pub(crate) struct LeasedTable {
    pub(crate) name: TableName,
    pub(crate) family: TableFamily,
    /// Who made it and what for, for a person who lists the tables.
    pub(crate) note: String,
    /// Names of its counters.
    pub(crate) counters: Vec<&'static str>,
    /// Its chains; they name the sets `targets4` and `targets6`.
    pub(crate) chains: String,
    pub(crate) targets: Targets,
}

impl LeasedTable {
    fn path(&self) -> String {
        format!("{} {}", self.family, self.name)
    }

    /// Makes the table, with its first lease: one transaction. Fails if a table of this name is there already.
    pub(crate) fn creation(&self, term: Duration) -> String {
        let path = self.path();
        let mut text = format!("create table {path}\ntable {path} {{\n  comment \"{}\"\n", plain(&self.note));
        for version in Version::BOTH {
            let element_type = self.targets.element_type(version);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  set {} {{ type {element_type}; flags timeout; }}", version.set());
        }
        for counter in &self.counters {
            let _ = writeln!(text, "  counter {counter} {{ }}");
        }
        text.push_str(&self.chains);
        text.push_str("}\n");
        self.add_elements(&mut text, term);
        text
    }

    /// Replaces the elements of the sets by the present targets with a full term: one transaction, in which no packet
    /// sees an empty set. Adding alone would not do: before Linux 6.12 it leaves an old element's timeout as it is.
    pub(crate) fn renewal(&self, term: Duration) -> String {
        let mut text = String::new();
        for version in Version::BOTH {
            let _ = writeln!(text, "flush set {} {}", self.path(), version.set());
        }
        self.add_elements(&mut text, term);
        text
    }

    fn add_elements(&self, text: &mut String, term: Duration) {
        let millis = term.as_millis();
        for version in Version::BOTH {
            let elements = self.targets.elements(version);
            if elements.is_empty() {
                continue;
            }
            let leased: Vec<String> =
                elements.iter().map(|element| format!("{element} timeout {millis}ms")).collect();
            let _ =
                writeln!(text, "add element {} {} {{ {} }}", self.path(), version.set(), leased.join(", "));
        }
    }

    pub(crate) fn undo(&self, namespace: NamespaceIdentity) -> Undo {
        Undo::DropTable { namespace, family: self.family, table: self.name.as_str().to_owned() }
    }
}

/// Text that cannot end a quoted string of nftables, at most 100 bytes (a comment may have 128).
fn plain(note: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || " _.:>,-".contains(letter);
    note.chars().take(100).map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(targets: Targets) -> LeasedTable {
        LeasedTable {
            name: TableName::new("run-1", 7),
            family: TableFamily::Inet,
            note: "edge \"a\" }".to_owned(),
            counters: vec!["hit"],
            chains: String::new(),
            targets,
        }
    }

    #[test]
    fn a_name_shows_its_owner_and_holds_no_odd_letter() {
        assert_eq!(TableName::new("2026-11-24 a;b", 3).as_str(), "murphy_2026_11_24_a_b_3");
        assert!(TableName::new(&"x".repeat(1000), u32::MAX).as_str().len() <= 255);
    }

    #[test]
    fn a_note_cannot_end_its_quotes() {
        let text = table(Targets::Hosts(BTreeSet::new())).creation(Duration::from_secs(5));
        assert!(text.contains("comment \"edge _a_ _\""), "{text}");
    }

    #[test]
    fn a_renewal_replaces_all_elements_and_gives_each_the_full_term() {
        let addresses: BTreeSet<SocketAddr> =
            ["10.0.0.2:80", "10.0.0.1:80", "[fd00::1]:80"].map(|text| text.parse().unwrap()).into();
        assert_eq!(
            table(Targets::endpoints(&addresses)).renewal(Duration::from_millis(2500)),
            "flush set inet murphy_run_1_7 targets4\n\
             flush set inet murphy_run_1_7 targets6\n\
             add element inet murphy_run_1_7 targets4 { 10.0.0.1 . 80 timeout 2500ms, 10.0.0.2 . 80 timeout 2500ms }\n\
             add element inet murphy_run_1_7 targets6 { fd00::1 . 80 timeout 2500ms }\n"
        );
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_counts_as_ipv4() {
        let mapped: SocketAddr = "[::ffff:10.0.0.9]:80".parse().unwrap();
        let text = table(Targets::endpoints([&mapped])).renewal(Duration::from_secs(5));
        assert!(text.contains("targets4 { 10.0.0.9 . 80 timeout 5000ms }"), "{text}");
        assert!(!text.contains("targets6 {"), "{text}");
    }

    #[test]
    fn new_addresses_keep_the_kind_of_the_targets() {
        let hosts = Targets::hosts(["10.0.0.1".parse().unwrap()]);
        let now = hosts.replaced(&["10.0.0.2:80".parse().unwrap()].into());
        assert_eq!(now, Targets::hosts(["10.0.0.2".parse().unwrap()]));
    }
}
