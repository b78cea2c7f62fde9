//! Where a socket is: `127.0.0.1:8080`, `redis:6379`, `[::1]:80`. A name is not resolved here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No colon with a number behind it.
    #[error("`{text}` has no port; write for example {guess}")]
    NoPort {
        /// The text as written.
        text: String,
        /// An address that would be accepted.
        guess: String,
    },
    /// Nothing before the colon.
    #[error("`{text}` has no host; write for example 127.0.0.1{text}")]
    NoHost {
        /// The text as written.
        text: String,
    },
    /// The part behind the colon is no port.
    #[error("`{port}` is not a port; write a number from 1 to 65535")]
    Port {
        /// The port as written.
        port: String,
    },
    /// The part before the colon is no host.
    #[error("`{host}` is not a host; write a name or an IP address, as in 127.0.0.1:8080 or [::1]:8080")]
    Host {
        /// The host as written.
        host: String,
    },
    /// A URL where an address belongs.
    #[error("`{text}` is a URL; write only host and port: {guess}")]
    Url {
        /// The text as written.
        text: String,
        /// Host and port of it.
        guess: String,
    },
}

impl Address {
    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if both name this machine's loopback or the same host, and the same port: one listener would take the
    /// other's calls.
    pub fn overlaps(&self, other: &Address) -> bool {
        let is_local = |address: &Address| address.is_wildcard() || address.canonical().starts_with("127.");
        self.port == other.port
            && (self.canonical() == other.canonical()
                || (self.is_wildcard() && is_local(other))
                || (other.is_wildcard() && is_local(self)))
    }

    /// True if it stands for every address of this machine: `0.0.0.0`, `[::]`.
    pub fn is_wildcard(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_unspecified(),
            Err(_) => self.host == "*",
        }
    }

    /// The host in the one form that all spellings of it share: `localhost` and `::1` are 127.0.0.1.
    fn canonical(&self) -> String {
        match self.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V6(ip)) if ip.is_loopback() => "127.0.0.1".to_owned(),
            Ok(ip) => ip.to_string(),
            Err(_) if self.host.eq_ignore_ascii_case("localhost") => "127.0.0.1".to_owned(),
            Err(_) => self.host.to_ascii_lowercase(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let text = text.trim();
        if let Some((_, rest)) = text.split_once("://") {
            let guess = rest.split('/').next().unwrap_or(rest);
            let guess = if guess.contains(':') { guess.to_owned() } else { format!("{guess}:80") };
            return Err(AddressError::Url { text: text.to_owned(), guess });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| {
            let is_port = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let guess = if is_port { format!("127.0.0.1:{text}") } else { format!("{text}:8080") };
            AddressError::NoPort { text: text.to_owned(), guess }
        })?;
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| AddressError::Port { port: port.to_owned() })?;
        if host.is_empty() {
            return Err(AddressError::NoHost { text: text.to_owned() });
        }
        let bad = || AddressError::Host { host: host.to_owned() };
        let host = if let Some(inner) = host.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(bad)?;
            inner.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            inner
        } else {
            let good = (1..=253).contains(&host.len())
                && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            if !good || (numeric && host.parse::<std::net::Ipv4Addr>().is_err()) {
                return Err(bad());
            }
            host
        };
        Ok(Address { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Address, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Host and port: 127.0.0.1:8080, redis:6379, [::1]:80",
            "pattern": r"^\s*\S+:[0-9]+\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_and_printed_back() {
        for text in ["127.0.0.1:8080", "redis:6379", "[::1]:80", "db_1.internal:5432"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        assert_eq!(
            "redis".parse::<Address>().unwrap_err().to_string(),
            "`redis` has no port; write for example redis:8080"
        );
        assert!(
            matches!("http://a/x".parse::<Address>(), Err(AddressError::Url { guess, .. }) if guess == "a:80")
        );
        for text in ["a:0", "a:65536", "a:+1", ":80", "[::1:80", "1.2.3:80", "a b:80", "ä:80", "-a:80", "a:"]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn all_interfaces_overlap_with_loopback() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        assert!(address("0.0.0.0:80").overlaps(&address("127.0.0.1:80")));
        assert!(address("localhost:80").overlaps(&address("127.0.0.1:80")));
        assert!(!address("127.0.0.1:80").overlaps(&address("127.0.0.1:81")));
        assert!(!address("0.0.0.0:80").overlaps(&address("redis:80")));
        for same in ["[0:0:0:0:0:0:0:1]:80", "[::ffff:127.0.0.1]:80", "LOCALHOST:80", "[::]:80"] {
            assert!(address(same).overlaps(&address("127.0.0.1:80")), "{same}");
        }
        assert!(address("[0::0]:80").is_wildcard() && !address("[::1]:80").is_wildcard());
    }
}
