//! The `http://` URLs that a load or a probe may call: checked here, once, so that a sender never meets a bad one.

use std::fmt;

use crate::address::{Address, AddressError};

/// Methods that can be sent.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A method and a URL, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// In capitals.
    pub method: String,
    /// Starts with `http://`; ASCII; no fragment.
    pub url: String,
}

/// Why a text is no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing there.
    #[error("no URL; write for example GET http://127.0.0.1:8000/")]
    Empty,
    /// The first of two words is no method.
    #[error("`{method}` is not a method; write for example {guess} http://…")]
    Method {
        /// The method as written.
        method: String,
        /// The nearest one.
        guess: String,
    },
    /// TLS.
    #[error("`https` is not in this version; write for example {guess}")]
    Https {
        /// The same over plain HTTP.
        guess: String,
    },
    /// No scheme, or one that is not HTTP.
    #[error("`{text}` is not an http URL; write for example http://127.0.0.1:8000/")]
    Scheme {
        /// The text as written.
        text: String,
    },
    /// A character that does not belong into a URL.
    #[error("`{found}` cannot stand in a URL; write for example {escaped}")]
    Character {
        /// The character.
        found: Printable,
        /// Its percent-encoding.
        escaped: String,
    },
    /// A fragment, which is never sent.
    #[error("a `#` part is never sent to a server; write the URL without it")]
    Fragment,
    /// The host or port is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// A character as it can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printable(pub char);

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_default())
    }
}

/// Reads `GET http://host:port/path`, or only the URL, which means GET.
pub fn call(text: &str) -> Result<Call, UrlError> {
    let mut words = text.split_whitespace();
    let first = words.next().ok_or(UrlError::Empty)?;
    let Some(second) = words.next() else {
        if METHODS.contains(&first) {
            return Err(UrlError::Empty);
        }
        check_url(first)?;
        return Ok(Call { method: "GET".to_owned(), url: first.to_owned() });
    };
    if first.contains("://") || words.next().is_some() {
        return Err(UrlError::Character { found: Printable(' '), escaped: "%20".to_owned() });
    }
    if !METHODS.contains(&first) {
        let upper = first.to_ascii_uppercase();
        let guess = crate::suggest::nearest(&upper, METHODS).unwrap_or("GET").to_owned();
        return Err(UrlError::Method { method: first.to_owned(), guess });
    }
    check_url(second)?;
    Ok(Call { method: first.to_owned(), url: second.to_owned() })
}

fn check_url(url: &str) -> Result<(), UrlError> {
    if let Some(rest) = url.strip_prefix("https://") {
        return Err(UrlError::Https { guess: format!("http://{rest}") });
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(UrlError::Scheme { text: url.to_owned() });
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    with_port(host).parse::<Address>()?;
    if path.contains('#') {
        return Err(UrlError::Fragment);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c);
    if let Some(found) = url.chars().find(|c| !allowed(*c)) {
        let mut buffer = [0; 4];
        let escaped = found.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(UrlError::Character { found: Printable(found), escaped });
    }
    Ok(())
}

/// What says whom to ask in a URL.
pub fn authority_of(url: &str) -> Option<&str> {
    url.strip_prefix("http://")?.split(['/', '?', '#']).next()
}

/// Host and port of a checked URL; `None` for anything else.
pub fn address_of(url: &str) -> Option<Address> {
    let authority = authority_of(url)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    with_port(host).parse().ok()
}

fn with_port(host: &str) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    if has_port { host.to_owned() } else { format!("{host}:80") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_alone_means_get() {
        assert_eq!(call("http://a/x").unwrap().method, "GET");
        assert_eq!(call("POST http://a:1/x?y=%20").unwrap().url, "http://a:1/x?y=%20");
        assert_eq!(address_of("http://[::1]/x").unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_nearest_spelling() {
        assert!(matches!(call("get http://a/"), Err(UrlError::Method { guess, .. }) if guess == "GET"));
        assert!(matches!(call("https://a/"), Err(UrlError::Https { .. })));
        assert!(matches!(call("ftp://a/"), Err(UrlError::Scheme { .. })));
        assert!(
            matches!(call("http://a/ü"), Err(UrlError::Character { escaped, .. }) if escaped == "%C3%BC")
        );
        assert!(matches!(call("http://a/#x"), Err(UrlError::Fragment)));
        assert!(matches!(call("http://a:99999/"), Err(UrlError::Address(AddressError::Port { .. }))));
        for text in ["", "GET", "http://", "GET http://a/ b", "http://a/{x}"] {
            assert!(call(text).is_err(), "{text:?} was accepted");
        }
    }
}
