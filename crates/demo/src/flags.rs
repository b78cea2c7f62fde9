//! The values of flags: read once, at the edge, with an answer that says what to type instead.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// `host:port`, as in `127.0.0.1:8000` or `catalogue:7001`. The host may be a name; it is looked up when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Host and port. An IPv6 host comes without its brackets.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        // Checked when it was read: there is a colon, and a port after it.
        let (host, port) = self.0.rsplit_once(':').unwrap_or((&self.0, "0"));
        (host.trim_matches(['[', ']']), port.parse().unwrap_or(0))
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Address {
        Address(address.to_string())
    }
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// A URL was given.
    #[error("wants host:port without a scheme or a path: {0}?")]
    Url(String),
    /// No port.
    #[error("wants a port: {0}:8000?")]
    NoPort(String),
    /// A port that is none.
    #[error("'{0}' is no port; a port is a number from 0 to 65535")]
    BadPort(String),
    /// No host.
    #[error("wants a host before the port: 127.0.0.1:{0}?")]
    NoHost(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let bare = bare.split('/').next().unwrap_or(bare);
        if bare != text {
            return Err(AddressError::Url(bare.to_owned()));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NoPort(text.to_owned()));
        };
        if port.parse::<u16>().is_err() {
            return Err(AddressError::BadPort(port.to_owned()));
        }
        if host.is_empty() {
            return Err(AddressError::NoHost(port.to_owned()));
        }
        Ok(Address(text.to_owned()))
    }
}

/// What a service writes on its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Nothing,
    /// Start, stop, and every change of state, such as a breaker that opens.
    Changes,
    /// Every request as well.
    Requests,
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// No unit.
    #[error("needs a unit: {0}ms?")]
    NoUnit(String),
    /// No number, or another unit.
    #[error("'{0}' is no duration; write 250ms, 2s or 1.5m")]
    Unreadable(String),
}

/// Reads `250ms`, `2s`, `1.5m`. At most an hour: longer is a slip of the keyboard in a demo.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationError> {
    const LONGEST: f64 = 3600.0;
    let text = text.trim();
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unreadable = || DurationError::Unreadable(text.to_owned());
    let number: f64 = number.parse().map_err(|_| unreadable())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "" => return Err(DurationError::NoUnit(text.to_owned())),
        _ => return Err(unreadable()),
    };
    if seconds > LONGEST {
        return Err(unreadable());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Why a text is no number of places.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is no number of places; write at least 1 and at most {MOST_PLACES}")]
pub(crate) struct PlacesError(String);

/// Far more than a demo needs, and less than the semaphores can count.
const MOST_PLACES: usize = 1_000_000;

/// Reads a number of places: of a pool, of a bulkhead.
pub(crate) fn places(text: &str) -> Result<usize, PlacesError> {
    text.parse()
        .ok()
        .filter(|places| (1..=MOST_PLACES).contains(places))
        .ok_or_else(|| PlacesError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        for good in ["127.0.0.1:0", "localhost:8000", "[::1]:80", "catalogue:7001"] {
            assert_eq!(good.parse::<Address>().unwrap().as_str(), good);
        }
        let wrong = |text: &str| text.parse::<Address>().unwrap_err().to_string();
        assert_eq!(
            wrong("http://localhost:80/x"),
            "wants host:port without a scheme or a path: localhost:80?"
        );
        assert_eq!(wrong("localhost"), "wants a port: localhost:8000?");
        assert_eq!(wrong(":80"), "wants a host before the port: 127.0.0.1:80?");
        assert!(wrong("localhost:65536").starts_with("'65536' is no port"));
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("0.5s").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("250").unwrap_err().to_string(), "needs a unit: 250ms?");
        for bad in ["", "ms", "-1s", "1.2.3s", "1h", "99999s", "inf", "NaNs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
