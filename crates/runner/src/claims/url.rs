//! URLs and sockets among the words of a process.

use murphy_scenario::Address;

use super::claim::{Claim, at_port};

/// Whom an `http://` URL calls.
pub(super) fn of_url(url: &str) -> Option<Address> {
    let authority = authority(url.split_once("://")?.1);
    authority.parse().ok().or_else(|| at_port(authority, 80))
}

/// Host and port, without what stands before and behind them in a URL.
pub(super) fn authority(rest: &str) -> &str {
    let whole = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    whole.rsplit('@').next().unwrap_or(whole)
}

/// With the address of all interfaces in the place of a sign that stands for it.
pub(super) fn spelled_out(authority: &str) -> String {
    match authority.strip_prefix(['*', '+']) {
        Some(port) if port.is_empty() || port.starts_with(':') => format!("0.0.0.0{port}"),
        _ => authority.to_owned(),
    }
}

/// All that a URL may reach.
pub(super) fn in_url(scheme: &str, rest: &str) -> Vec<Claim> {
    if let Some(path) = rest.strip_prefix("unix:") {
        return socket(path).into_iter().collect();
    }
    let authority = authority(rest);
    if authority.is_empty() {
        // Without a host it is a socket, which may be that of the server on the usual port.
        let usual = usual_port(scheme).and_then(|port| at_port("127.0.0.1", port));
        return socket(rest).into_iter().chain(usual.map(Claim::Address)).collect();
    }
    if authority.get(..3).is_some_and(|begins| begins.eq_ignore_ascii_case("%2f")) {
        return socket(&authority.replace("%2F", "/").replace("%2f", "/")).into_iter().collect();
    }
    let authority = spelled_out(authority);
    let usual = || at_port(&authority, usual_port(scheme)?);
    let address = authority.parse().ok().or_else(usual).map(Claim::Address);
    // Of a scheme that is not known here any port of the host may be meant.
    let host = || at_port(&authority, 1).map(|_| Claim::Host(authority.clone()));
    address.or_else(host).into_iter().collect()
}

/// True if a word is the path of a socket, by its end.
pub(super) fn is_socket(word: &str) -> bool {
    end_of_socket(word).is_some()
}

/// Where the name of a socket ends, whatever follows it.
fn end_of_socket(word: &str) -> Option<usize> {
    const END: &str = ".sock";
    let ends = |at: &usize| word[*at..].is_empty() || word[*at..].starts_with([':', '/', '?']);
    word.match_indices(END).map(|(at, _)| at + END.len()).find(ends)
}

/// A socket of this path, which may have slashes before it and a request behind it.
pub(super) fn socket(path: &str) -> Option<Claim> {
    let path = path.split('?').next().unwrap_or(path);
    let path = end_of_socket(path).map_or(path, |end| &path[..end]);
    let path = path.trim_end_matches(':');
    let path = match path.trim_start_matches('/') {
        "" => return None,
        inner if path.starts_with('/') => format!("/{inner}"),
        // An option of one letter, and its value.
        inner if inner.starts_with('-') && inner.contains('/') => inner[inner.find('/')?..].to_owned(),
        inner => inner.to_owned(),
    };
    Some(Claim::Socket(path))
}

/// The port of a URL that names none, for those that services are most often given.
fn usual_port(scheme: &str) -> Option<u16> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "redis" | "rediss" => 6379,
        "postgres" | "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "mongodb" => 27017,
        "amqp" => 5672,
        "amqps" => 5671,
        "nats" => 4222,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_http_is_80_where_none_is_written() {
        assert_eq!(of_url("http://shop/x@y:1").unwrap().to_string(), "shop:80");
        assert_eq!(of_url("http://u:p@shop:81?q").unwrap().to_string(), "shop:81");
        assert_eq!(of_url("http://[::1]/").unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn a_socket_is_the_same_in_every_url() {
        let expected = Claim::Socket("/run/x.sock".to_owned());
        for url in [
            "unix:///run/x.sock",
            "unix:///run/x.sock?db",
            "redis+unix:///run/x.sock?db",
            "http+unix:///run/x.sock/v1/info",
            "http+unix://%2Frun%2Fx.sock/v1/info",
            "http://unix:/run/x.sock:/v1/info",
        ] {
            let (scheme, rest) = url.split_once("://").unwrap();
            assert_eq!(in_url(scheme, rest), std::slice::from_ref(&expected), "{url}");
        }
        for word in ["/run/x.sock", "///run/x.sock", "/run/x.sock:", "-l/run/x.sock"] {
            assert!(is_socket(word), "{word}");
            assert_eq!(socket(word), Some(expected.clone()), "{word}");
        }
        assert!(!is_socket("db.socket:80") && socket("/").is_none());
    }

    #[test]
    fn a_url_without_a_host_is_that_of_a_socket_or_of_the_usual_server() {
        let usual = Claim::Address("127.0.0.1:5432".parse().unwrap());
        assert_eq!(in_url("postgres", "/shop?host"), [Claim::Socket("/shop".to_owned()), usual.clone()]);
        assert_eq!(in_url("postgres", "/"), [usual]);
    }
}
