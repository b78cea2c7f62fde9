//! What may be reached by the words that a process is started with: the host of a URL, a host with a port, a socket, and a number
//! that can be a port, which is one of this machine, under whatever name if its own name speaks of a port. Taken for an address by
//! mistake, a word costs time and nothing else; an address that is not seen could let two scenarios meet.

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

use murphy_scenario::{Address, Given, Sight, is_telling};

use super::claim::{Claim, at_port};
use super::url;

/// A word without what separates it from others.
struct Word<'a> {
    /// What stands before it and may be its name: `port` of `port=1`, `--port` of `--port 1`.
    name: Option<&'a str>,
    text: &'a str,
    sight: Sight,
}

/// Whether a number can be a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// Their name says so.
    ArePorts,
    /// Those that services are mostly given.
    MayBePorts,
    AreNone,
}

/// What all these texts of one process claim, and whether it may be shown.
pub(super) fn in_given(given: &[Given<'_>]) -> Vec<(Claim, Sight)> {
    let words: Vec<Word<'_>> = given.iter().flat_map(words_of).collect();
    let mut all = Vec::new();
    for word in &words {
        // A number in the place of a secret is that secret, unless its name speaks of a port.
        let is_port = word.name.is_some_and(|name| name.to_ascii_lowercase().contains("port"));
        let numbers = match word.sight {
            _ if is_port => Numbers::ArePorts,
            Sight::Open => Numbers::MayBePorts,
            Sight::Secret => Numbers::AreNone,
        };
        let claims = in_word(word.text, numbers).into_iter().chain(as_host(word, &words));
        all.extend(claims.map(|claim| (claim, word.sight)));
    }
    all
}

/// A text in its words, each with its name.
fn words_of<'a>(given: &'a Given<'_>) -> Vec<Word<'a>> {
    let mut all: Vec<Word<'_>> = Vec::new();
    let mut last = given.name;
    // The last word was a name, by what stood behind it.
    let mut named = false;
    for (before, text) in split(&given.text) {
        if text.bytes().all(|byte| byte == b':') {
            named = true;
            continue;
        }
        let name = match all.last() {
            // In a list all have the name of the first; between two values of JSON there is more than a comma.
            Some(first) if matches!(before, "," | ";") => first.name,
            _ if before.contains([',', ';', '{']) => None,
            _ => last,
        };
        let is_value =
            |name: &str| named || before.contains('=') || text.starts_with(':') || name.starts_with('-');
        let is_secret = name.is_some_and(|name| is_value(name) && is_telling(name));
        let sight = if is_secret { Sight::Secret } else { given.sight };
        all.push(Word { name, text, sight });
        // `-p11211`, `-l127.0.0.1:3000`: an option of one letter and its value in one word.
        if let Some((letter, value)) = text.split_at_checked(2)
            && letter.starts_with('-')
            && letter.ends_with(|letter: char| letter.is_ascii_alphabetic())
            && !value.is_empty()
            && !is_long(text)
        {
            all.push(Word { name: Some(letter), text: value, sight });
        }
        named = text.ends_with(':');
        last = Some(text.trim_end_matches(':'));
    }
    all
}

/// True of the options of several letters that some programs write with one dash and that look like a host behind `-h`.
fn is_long(option: &str) -> bool {
    ["-host", "-http", "-he"].iter().any(|begins| option.starts_with(begins))
}

/// The parts of a text, each with what separates it from the one before. The brackets of an IPv6 address belong to it.
fn split(text: &str) -> Vec<(&str, &str)> {
    const MARKS: &[char] = &['=', ',', ';', '"', '\'', '(', ')', '{', '}', '[', ']', '|', '&', '<', '>'];
    let (mut all, mut gap, mut from, mut at) = (Vec::new(), 0, 0, 0);
    while let Some(c) = text[at..].chars().next() {
        if let Some(length) = in_brackets(&text[at..]) {
            at += length;
            continue;
        }
        let next = at + c.len_utf8();
        if c.is_whitespace() || MARKS.contains(&c) {
            if from < at {
                all.push((&text[gap..from], &text[from..at]));
                gap = at;
            }
            from = next;
        }
        at = next;
    }
    if from < at {
        all.push((&text[gap..from], &text[from..at]));
    }
    all
}

/// The length of an IPv6 address in brackets with which a text begins.
fn in_brackets(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?.split_once(']')?.0;
    inner.parse::<Ipv6Addr>().ok().map(|_| inner.len() + 2)
}

fn in_word(word: &str, numbers: Numbers) -> Vec<Claim> {
    if let Some((scheme, rest)) = word.split_once("://") {
        return url::in_url(scheme, rest);
    }
    if let Some(path) = word.strip_prefix("unix:").or_else(|| url::is_socket(word).then_some(word)) {
        return url::socket(path).into_iter().collect();
    }
    let word = url::authority(word);
    if let Some(claims) = forwarded(word, numbers) {
        return claims;
    }
    if let (Numbers::ArePorts, Some(ports)) = (numbers, ports(word)) {
        return at_ports(ALL, ports);
    }
    let address = match word.parse::<u16>() {
        Ok(port) if numbers == Numbers::MayBePorts && (port >= 1024 || matches!(port, 80 | 443)) => {
            at_port("127.0.0.1", port)
        }
        Ok(_) => None,
        Err(_) if word.starts_with(':') => format!("0.0.0.0{word}").parse().ok(),
        Err(_) => url::spelled_out(word).parse().ok(),
    };
    address.map(Claim::Address).into_iter().collect()
}

/// All interfaces: a service that is told a port and no host mostly listens there.
const ALL: &str = "0.0.0.0";

/// A port, or all of a range: `8000`, `8000-8010`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (first <= last).then_some(first..=last)
}

/// Each of these ports of a host; of more than anybody would list, the host on any.
fn at_ports(host: &str, ports: RangeInclusive<u16>) -> Vec<Claim> {
    const MOST: usize = 256;
    if ports.len() > MOST {
        return at_port(host, 1).map(|_| Claim::Host(host.to_owned())).into_iter().collect();
    }
    ports.filter_map(|port| at_port(host, port)).map(Claim::Address).collect()
}

/// `9000:80`, `8000-8010:80`, `8080:db:5432`, `TCP-LISTEN:8080`: which of the ports is of this machine stands nowhere, and so each may
/// be. `None` of a word that is a host with its port.
fn forwarded(word: &str, numbers: Numbers) -> Option<Vec<Claim>> {
    let rest = &word[in_brackets(word).unwrap_or(0)..];
    let parts: Vec<&str> = rest.split(':').collect();
    let is_forwarded = match parts[..] {
        [first, last] => {
            numbers == Numbers::ArePorts
                || ports(first).is_some()
                || ports(last).is_some_and(|ports| ports.len() > 1)
                || first.to_ascii_lowercase().contains("listen")
        }
        _ => parts.len() > 2,
    };
    if !is_forwarded || numbers == Numbers::AreNone || word.parse::<Ipv6Addr>().is_ok() {
        return None;
    }
    let far = parts.windows(2).filter_map(|pair| match pair {
        [host, end] if ports(host).is_none() => Some(at_ports(&url::spelled_out(host), ports(end)?)),
        _ => None,
    });
    let near = parts.iter().filter_map(|part| Some(at_ports(ALL, ports(part)?)));
    Some(near.chain(far).flatten().collect())
}

/// A value that its name calls a host: with the ports that are named like it, or else on any port.
fn as_host(word: &Word<'_>, words: &[Word<'_>]) -> Vec<Claim> {
    let Some(stem) = word.name.and_then(stem_of_host) else { return Vec::new() };
    if word.text.starts_with('/') {
        return url::socket(word.text).into_iter().collect();
    }
    let some = |host: &Address| !host.is_wildcard() && word.text.parse::<u16>().is_err();
    // On all interfaces a service listens; whom it dials is not called so.
    if at_port(word.text, 1).filter(some).is_none() {
        return Vec::new();
    }
    let ports = words.iter().filter(|other| {
        other.name.and_then(|name| stem_of(name, &["port", "p"])).is_some_and(|other| other == stem)
    });
    let ports = ports.filter_map(|port| port.text.trim_start_matches(':').parse().ok());
    let addresses: Vec<Claim> =
        ports.filter_map(|port| at_port(word.text, port)).map(Claim::Address).collect();
    if addresses.is_empty() { vec![Claim::Host(word.text.to_owned())] } else { addresses }
}

fn stem_of_host(name: &str) -> Option<String> {
    const HOST: &[&str] = &[
        "hostname", "hosts", "host", "address", "addr", "servers", "server", "endpoint", "brokers", "broker",
        "h",
    ];
    let stem = stem_of(name, HOST)?;
    // Where it listens is mostly named apart from the port.
    Some(if matches!(&*stem, "bind" | "listen") { String::new() } else { stem })
}

/// What is left of a name without its end: `redis` of `REDIS_HOST`, nothing of `--port`. A single letter must be the whole name.
fn stem_of(name: &str, ends: &[&str]) -> Option<String> {
    let plain = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let end = ends.iter().find(|end| plain.ends_with(**end) && (end.len() > 1 || plain.len() == 1))?;
    Some(plain[..plain.len() - end.len()].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims_of(argv: &[&str]) -> Vec<String> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let claims = in_given(&Given::of_command(&argv)).into_iter();
        let text = |(claim, sight): (Claim, Sight)| {
            let text = match claim {
                Claim::Address(address) => address.to_string(),
                Claim::Host(host) => format!("{host}:?"),
                Claim::Socket(path) => path,
                other => format!("{other:?}"),
            };
            if sight == Sight::Secret { format!("({text})") } else { text }
        };
        claims.map(text).collect()
    }

    fn one(text: &str) -> Vec<String> {
        claims_of(&["a", text])
    }

    #[test]
    fn options_of_one_letter_may_have_their_value_in_the_same_word() {
        assert_eq!(one("-p11211"), ["127.0.0.1:11211"]);
        assert_eq!(one("-l127.0.0.1:3000"), ["127.0.0.1:3000"]);
        assert_eq!(claims_of(&["a", "-hdb", "-P3306"]), ["db:3306", "127.0.0.1:3306"]);
        assert_eq!(claims_of(&["a", "-verbose", "-host", "db"]), ["db:?"]);
    }

    #[test]
    fn all_interfaces_are_seen_in_every_spelling() {
        assert_eq!(one("*:8080"), ["0.0.0.0:8080"]);
        assert_eq!(one("http://+:5000"), ["0.0.0.0:5000"]);
        assert_eq!(one("http://*"), ["0.0.0.0:80"]);
        assert_eq!(one("tcp://*:5555"), ["0.0.0.0:5555"]);
        assert_eq!(one(":8080"), ["0.0.0.0:8080"]);
    }

    #[test]
    fn a_port_that_is_named_so_is_one_of_all_names_of_this_machine_however_low_it_is() {
        assert_eq!(claims_of(&["a", "--port", "81"]), ["0.0.0.0:81"]);
        assert_eq!(claims_of(&["a", "PORT=81"]), ["0.0.0.0:81"]);
        assert_eq!(claims_of(&["a", "--port", "0"]), [""; 0]);
        assert_eq!(claims_of(&["a", "--retries", "81"]), [""; 0]);
    }

    #[test]
    fn of_what_is_forwarded_every_port_may_be_one_of_this_machine() {
        let docker = ["0.0.0.0:9000", "0.0.0.0:80"];
        assert_eq!(claims_of(&["docker", "run", "-p", "9000:80"]), docker);
        assert_eq!(claims_of(&["docker", "run", "--publish=9000:80/tcp"]), docker);
        let there = claims_of(&["docker", "run", "-p", "127.0.0.1:9000:80"]);
        assert_eq!(there, ["0.0.0.0:9000", "0.0.0.0:80", "127.0.0.1:9000"]);
        assert_eq!(claims_of(&["docker", "run", "-p", "[::1]:9000:80"]), docker);
        let ssh = ["0.0.0.0:8080", "0.0.0.0:5432", "db:5432"];
        assert_eq!(claims_of(&["ssh", "-L", "8080:db:5432"]), ssh);
        let socat = claims_of(&["socat", "TCP-LISTEN:8080,fork", "TCP:db:5432"]);
        for claim in ["0.0.0.0:8080", "0.0.0.0:5432", "db:5432"] {
            assert!(socat.iter().any(|seen| seen == claim), "{claim} in {socat:?}");
        }
        assert_eq!(claims_of(&["a", "--port", "tcp:81"]), ["0.0.0.0:81", "tcp:81"]);
        // A host with its port, and addresses that have none.
        assert_eq!(one("db:5432"), ["db:5432"]);
        assert_eq!(claims_of(&["a", "::1", "fe80::1", "a::b"]), [""; 0]);
        assert_eq!(claims_of(&["a", "--password", "4711:4712"]), [""; 0]);
    }

    #[test]
    fn every_port_of_a_range_is_claimed_and_of_a_wide_one_the_host() {
        let two = ["0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:80"];
        assert_eq!(claims_of(&["docker", "run", "-p", "8000-8001:80"]), two);
        assert_eq!(claims_of(&["docker", "run", "-p8000-8001:80"]), two);
        let both = claims_of(&["docker", "run", "--publish=8000-8001:80-81/tcp"]);
        assert_eq!(both, ["0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:80", "0.0.0.0:81"]);
        let there = claims_of(&["docker", "run", "-p", "127.0.0.1:8000-8001:80"]);
        assert_eq!(there[..3], two);
        assert_eq!(there[3..], ["127.0.0.1:8000", "127.0.0.1:8001"]);
        assert_eq!(claims_of(&["a", "--port-range", "81-82"]), ["0.0.0.0:81", "0.0.0.0:82"]);
        assert_eq!(one("db:7000-7001")[2..], ["db:7000", "db:7001"]);
        assert_eq!(claims_of(&["docker", "run", "-p", "1024-65535:80"]), ["0.0.0.0:?", "0.0.0.0:80"]);
        // Not a range, and numbers that nobody calls ports.
        assert_eq!(claims_of(&["a", "--port", "8001-8000"]), [""; 0]);
        assert_eq!(claims_of(&["a", "--lines", "8000-8001"]), [""; 0]);
    }

    #[test]
    fn json_and_lists_are_taken_apart_and_brackets_of_an_address_are_not() {
        assert_eq!(one(r#"{"port":5432}"#), ["0.0.0.0:5432"]);
        assert_eq!(one(r#"{"port": 5432}"#), ["0.0.0.0:5432"]);
        assert_eq!(one("[5432,5433]"), ["127.0.0.1:5432", "127.0.0.1:5433"]);
        assert_eq!(one(r#"{"db":{"host":"db","port":5432}}"#), ["db:5432", "0.0.0.0:5432"]);
        assert_eq!(one("[::1]:9000"), ["[::1]:9000"]);
        assert_eq!(one("a>[::1]:9000&2|b:7"), ["[::1]:9000", "b:7"]);
        assert_eq!(one("http://[::1]:9000/x"), ["[::1]:9000"]);
        assert_eq!(one("[[ä"), [""; 0]);
    }

    #[test]
    fn a_host_is_one_with_its_own_port_or_on_any() {
        assert_eq!(one("host=db port=5432"), ["db:5432", "0.0.0.0:5432"]);
        assert_eq!(claims_of(&["a", "--host", "redis"]), ["redis:?"]);
        assert_eq!(claims_of(&["a", "REDIS_HOST=redis", "PORT=3000"]), ["redis:?", "0.0.0.0:3000"]);
        let local = ["a", "--host", "127.0.0.1", "--port", "3000"];
        assert_eq!(claims_of(&local), ["127.0.0.1:3000", "0.0.0.0:3000"]);
        assert_eq!(claims_of(&["a", "BIND_ADDR=0.0.0.0", "PORT=3000"]), ["0.0.0.0:3000"]);
        assert_eq!(one("hosts=a,b"), ["a:?", "b:?"]);
        assert_eq!(one("host=/run/pg"), ["/run/pg"]);
    }

    #[test]
    fn what_stands_in_the_place_of_a_secret_is_seen_and_marked_and_its_numbers_are_left_alone() {
        assert_eq!(claims_of(&["a", "--auth-addr", "127.0.0.1:9000"]), ["(127.0.0.1:9000)"]);
        assert_eq!(claims_of(&["a", "--auth-url", "http://auth:81/x"]), ["(auth:81)"]);
        assert_eq!(claims_of(&["a", "--auth-port", "9000"]), ["(0.0.0.0:9000)"]);
        for text in ["--password=4711", "password: 4711", r#"{"password":"4711"}"#, "run TOKEN=4711"] {
            assert_eq!(one(text), [""; 0], "{text}");
        }
        assert_eq!(claims_of(&["a", "--password", "4711"]), [""; 0]);
        assert_eq!(one("auth-server 9000"), ["127.0.0.1:9000"]);
    }
}
