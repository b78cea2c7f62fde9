//! Who may drive the daemon: not a web page, not through a rebound name, and elsewhere than on loopback only with a
//! token.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};

use super::problem::Problem;

/// A secret that a client must send. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token that somebody chose; `None` for one that is empty or cannot stand in a header.
    pub fn new(text: &str) -> Option<Token> {
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Token(text.to_owned()))
    }

    /// 128 bits of the system's randomness; not of a seed, which is no secret.
    pub fn random() -> std::io::Result<Token> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The secret itself, for the one who starts the daemon.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the same time for every wrong guess of the same length.
    fn is(&self, guess: &[u8]) -> bool {
        let own = self.0.as_bytes();
        own.len() == guess.len() && own.iter().zip(guess).fold(0, |odd, (a, b)| odd | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where the API listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Loopback,
    Elsewhere,
}

/// What the API can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The daemon's own proxies.
    Proxies,
    /// Containers as well: whoever may ask for that is as good as root.
    Containers,
}

/// What clients must send.
#[derive(Debug, Clone)]
enum Secret {
    Nothing,
    /// Made because the API does not listen on loopback only, or acts on containers. It guards the native API; clients of Toxiproxy know no
    /// token, and whoever lets the daemon listen elsewhere wants them served.
    Made(Token),
    /// Somebody chose it: it guards everything.
    Chosen(Token),
}

/// The rules of one daemon.
#[derive(Debug, Clone)]
pub struct Guard {
    place: Place,
    secret: Secret,
}

impl Guard {
    /// The rules for an address. Elsewhere than on loopback, and where the daemon acts on containers, somebody must have
    /// chosen a token, or one is made.
    pub fn new(address: IpAddr, reach: Reach, token: Option<Token>) -> std::io::Result<Guard> {
        let place = if address.is_loopback() { Place::Loopback } else { Place::Elsewhere };
        let secret = match (place, reach, token) {
            (_, _, Some(token)) => Secret::Chosen(token),
            (Place::Elsewhere, _, None) | (_, Reach::Containers, None) => Secret::Made(Token::random()?),
            (Place::Loopback, Reach::Proxies, None) => Secret::Nothing,
        };
        Ok(Guard { place, secret })
    }

    /// The token that was made, which nobody knows yet.
    pub fn made(&self) -> Option<&Token> {
        match &self.secret {
            Secret::Made(token) => Some(token),
            Secret::Nothing | Secret::Chosen(_) => None,
        }
    }

    /// Lets a request in, or says why not.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if headers.contains_key(ORIGIN) {
            return Err(Problem::CrossSite { header: "Origin" });
        }
        if headers.get("sec-fetch-site").is_some_and(|site| site != "none") {
            return Err(Problem::CrossSite { header: "Sec-Fetch-Site" });
        }
        if self.place == Place::Loopback
            && let Some(host) = headers.get(HOST)
            && !is_own(host.as_bytes())
        {
            return Err(Problem::Host { host: String::from_utf8_lossy(host.as_bytes()).into_owned() });
        }
        match &self.secret {
            Secret::Nothing => Ok(()),
            Secret::Made(token) | Secret::Chosen(token) => has(headers, token),
        }
    }

    /// The same for a request to the API of Toxiproxy, which has rules of its own for web pages.
    pub fn check_other(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match &self.secret {
            Secret::Nothing | Secret::Made(_) => Ok(()),
            Secret::Chosen(token) => has(headers, token),
        }
    }
}

fn has(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let sent = headers.get(AUTHORIZATION).and_then(|sent| sent.as_bytes().strip_prefix(b"Bearer "));
    if sent.is_some_and(|sent| token.is(sent)) { Ok(()) } else { Err(Problem::Token) }
}

/// True for a `Host` that no name server of somebody else can have led here.
fn is_own(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = without_port.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn own_names_are_localhost_and_addresses() {
        for own in
            ["localhost", "localhost:8474", "127.0.0.1:1", "[::1]:8474", "[::1]", "10.0.0.1", "LOCALHOST:1"]
        {
            assert!(is_own(own.as_bytes()), "{own}");
        }
        for other in ["evil.example", "evil.example:8474", "localhost.evil.example", "", "127.0.0.1.evil:1"] {
            assert!(!is_own(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_token_is_wanted_elsewhere_and_where_it_was_chosen() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let guard = Guard::new(loopback, Reach::Proxies, None).unwrap();
        assert_eq!(guard.check(&headers(&[("host", "localhost:1")])), Ok(()));
        let on_containers = Guard::new(loopback, Reach::Containers, None).unwrap();
        assert_eq!(on_containers.check(&headers(&[("host", "localhost:1")])), Err(Problem::Token));
        let everywhere = Guard::new("0.0.0.0".parse().unwrap(), Reach::Proxies, None).unwrap();
        assert_eq!(everywhere.check(&headers(&[("host", "murphy:8474")])), Err(Problem::Token));
        assert_eq!(everywhere.check_other(&HeaderMap::new()), Ok(()));
        assert_eq!(everywhere.made().unwrap().reveal().len(), 32);
        let chosen = Guard::new(loopback, Reach::Containers, Token::new("secret")).unwrap();
        for (sent, wanted) in [
            ("Bearer secret", Ok(())),
            ("Bearer secreT", Err(Problem::Token)),
            ("Bearer secret2", Err(Problem::Token)),
            ("secret", Err(Problem::Token)),
        ] {
            let headers = headers(&[("authorization", sent)]);
            assert_eq!(chosen.check(&headers), wanted, "{sent}");
            assert_eq!(chosen.check_other(&headers), wanted, "{sent}");
        }
        assert_eq!(format!("{:?}", Token::new("secret")), "Some(Token(…))");
        assert_eq!(Token::new("with space"), None);
    }

    #[test]
    fn pages_and_rebound_names_are_kept_out() {
        let guard = Guard::new("127.0.0.1".parse().unwrap(), Reach::Proxies, None).unwrap();
        for bad in [
            headers(&[("origin", "null")]),
            headers(&[("sec-fetch-site", "cross-site")]),
            headers(&[("host", "evil.example:8474")]),
        ] {
            assert!(guard.check(&bad).is_err(), "{bad:?}");
        }
    }
}
