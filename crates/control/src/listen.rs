//! Addresses to listen on, as Go's `net` reads them: an empty host or 0.0.0.0 is every address of both families, a name
//! is looked up with IPv4 first, an empty port is a free one. The messages are Go's, because clients' tests quote them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Why a text is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// No colon.
    #[error("address {listen}: missing port in address")]
    NoPort {
        /// As written.
        listen: String,
    },
    /// An IPv6 address without brackets.
    #[error("address {listen}: too many colons in address")]
    TooManyColons {
        /// As written.
        listen: String,
    },
    /// An opening bracket without its end, or the other way round.
    #[error("address {listen}: {what} in address")]
    Bracket {
        /// As written.
        listen: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A port that is no number.
    #[error("lookup tcp/{port}: unknown port")]
    UnknownPort {
        /// As written.
        port: String,
    },
    /// A port beyond 65535.
    #[error("address {port}: invalid port")]
    InvalidPort {
        /// As written.
        port: String,
    },
    /// A name without an address.
    #[error("lookup {host}: no such host")]
    NoSuchHost {
        /// As written.
        host: String,
    },
    /// A name whose look-up takes too long.
    #[error("lookup {host}: i/o timeout")]
    LookupTimeout {
        /// As written.
        host: String,
    },
}

/// How long a name may take. No lock is held meanwhile.
const LOOKUP: Duration = Duration::from_secs(5);

/// Host and port of `host:port`, as Go splits them.
fn split(listen: &str) -> Result<(&str, &str), ListenError> {
    let bracket = |what| ListenError::Bracket { listen: listen.to_owned(), what };
    let Some(colon) = listen.rfind(':') else {
        return Err(ListenError::NoPort { listen: listen.to_owned() });
    };
    let (host, port) = (&listen[..colon], &listen[colon + 1..]);
    let host = match host.strip_prefix('[') {
        Some(inner) => match inner.find(']') {
            None if listen.contains(']') => return Err(ListenError::NoPort { listen: listen.to_owned() }),
            None => return Err(bracket("missing ']'")),
            Some(end) if end + 1 == inner.len() => &inner[..end],
            Some(end) if inner[end + 1..].starts_with(':') => {
                return Err(ListenError::TooManyColons { listen: listen.to_owned() });
            }
            Some(_) => return Err(ListenError::NoPort { listen: listen.to_owned() }),
        },
        None if host.contains(':') => {
            return Err(ListenError::TooManyColons { listen: listen.to_owned() });
        }
        None => host,
    };
    if host.contains('[') {
        return Err(bracket("unexpected '['"));
    }
    if host.contains(']') {
        return Err(bracket("unexpected ']'"));
    }
    Ok((host, port))
}

fn port_number(port: &str) -> Result<u16, ListenError> {
    if port.is_empty() {
        return Ok(0);
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ListenError::UnknownPort { port: port.to_owned() });
    }
    port.parse().map_err(|_| ListenError::InvalidPort { port: port.to_owned() })
}

/// The address that a text means. Every address of this machine is `[::]`.
pub async fn resolve(listen: &str) -> Result<SocketAddr, ListenError> {
    let (host, port) = if listen.is_empty() { ("", "") } else { split(listen)? };
    let port = port_number(port)?;
    if let Some(ip) = literal(host) {
        return Ok(SocketAddr::new(ip, port));
    }
    let lookup = tokio::net::lookup_host((host, port));
    let found = tokio::time::timeout(LOOKUP, lookup)
        .await
        .map_err(|_| ListenError::LookupTimeout { host: host.to_owned() })?;
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    best.copied().ok_or_else(|| ListenError::NoSuchHost { host: host.to_owned() })
}

/// A host that needs no look-up.
fn literal(host: &str) -> Option<IpAddr> {
    let ip = if host.is_empty() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { host.parse().ok()? };
    Some(if ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED) { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { ip })
}

/// The text that Go makes of a resolved address without binding it: every address has no host.
pub fn go_text(listen: &str, resolved: SocketAddr) -> String {
    let host = split(listen).map(|(host, _)| host).unwrap_or_default();
    match host {
        "" => format!(":{}", resolved.port()),
        "0.0.0.0" => format!("0.0.0.0:{}", resolved.port()),
        _ => resolved.to_string(),
    }
}

/// An error of the system in the words of Go, which are those of C in lower case.
pub fn system_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            let words = text.split(" (os error").next().unwrap_or_default();
            words.to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(listen: &str) -> String {
        match resolve(listen).await {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn addresses_are_read_as_go_reads_them() {
        for (listen, wanted) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("", "[::]:0"),
            (":0", "[::]:0"),
            (":81", "[::]:81"),
            ("127.0.0.1:", "127.0.0.1:0"),
            ("0.0.0.0:82", "[::]:82"),
            ("[::1]:83", "[::1]:83"),
            ("local373", "address local373: missing port in address"),
            ("::1:80", "address ::1:80: too many colons in address"),
            ("[::1]", "address [::1]: missing port in address"),
            ("[::1:80", "address [::1:80: missing ']' in address"),
            ("a]:80", "address a]:80: unexpected ']' in address"),
            ("localhost:x", "lookup tcp/x: unknown port"),
            ("localhost:99999", "address 99999: invalid port"),
        ] {
            assert_eq!(told(listen).await, wanted, "{listen}");
        }
    }

    #[tokio::test]
    async fn the_text_of_go_keeps_what_every_address_was_written_as() {
        for (listen, wanted) in
            [("", ":0"), (":81", ":81"), ("0.0.0.0:81", "0.0.0.0:81"), ("localhost:81", "127.0.0.1:81")]
        {
            assert_eq!(go_text(listen, resolve(listen).await.unwrap()), wanted);
        }
    }
}
