//! DNS messages (RFC 1035): one question for the addresses of a name, and what an answer says to it.
//!
//! Pure: no socket here. An answer is not trusted: it must never be read past its end, and never panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordType {
    A,
    Aaaa,
}

impl RecordType {
    fn code(self) -> u16 {
        match self {
            RecordType::A => 1,
            RecordType::Aaaa => 28,
        }
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The name exists; it may have no address of this type.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The answer did not fit: to be asked for again over TCP.
    Truncated,
    /// The server did not answer the question (its code, RFC 1035 section 4.1.1).
    Failed(u8),
}

const CLASS_IN: u16 = 1;

/// A question; `None` if the text cannot be a name (an empty or too long part).
pub(crate) fn question(id: u16, name: &str, record: RecordType) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(name.len() + 18);
    // One question, recursion desired.
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    if name.len() > 253 {
        return None;
    }
    message.extend(record.code().to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// Reads an answer to this question; `None` if it is not one. Every address of the asked type counts, whatever its
/// owner: the server resolved the aliases.
pub(crate) fn answer(question: &[u8], message: &[u8]) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = word(2)?;
    let is_answer = flags & 0x8000 != 0;
    if !is_answer || message.get(..2)? != question.get(..2)? {
        return None;
    }
    let asked = question.get(12..)?;
    if word(4)? != 1 || !message.get(12..12 + asked.len())?.eq_ignore_ascii_case(asked) {
        return None;
    }
    match flags & 0x000f {
        0 => {}
        3 => return Some(Answer::NoSuchName),
        code => return Some(Answer::Failed(code as u8)),
    }
    if flags & 0x0200 != 0 {
        return Some(Answer::Truncated);
    }
    let wanted = u16::from_be_bytes([asked[asked.len() - 4], asked[asked.len() - 3]]);
    let mut at = 12 + asked.len();
    let mut addresses = Vec::new();
    for _ in 0..word(6)? {
        at = after_name(message, at)?;
        let (record, class, length) = (word(at)?, word(at + 2)?, usize::from(word(at + 8)?));
        let data = message.get(at + 10..at + 10 + length)?;
        if record == wanted && class == CLASS_IN {
            addresses.extend(address_of(data));
        }
        at += 10 + length;
    }
    Some(Answer::Addresses(addresses))
}

fn address_of(data: &[u8]) -> Option<IpAddr> {
    match data.len() {
        4 => <[u8; 4]>::try_from(data).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        16 => <[u8; 16]>::try_from(data).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
        _ => None,
    }
}

/// The place behind a name: its parts end with an empty one or with a pointer to elsewhere.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with an alias and then an address, as a server writes it: names by pointers.
    fn reply(question: &[u8], flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (record, data) in records {
            message.extend([0xc0, 12]);
            message.extend(record.to_be_bytes());
            message.extend([0, 1, 0, 0, 2, 88]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn addresses_are_read_past_an_alias() {
        let asked = question(7, "redis.shop", RecordType::A).unwrap();
        let message = reply(&asked, 0x8180, &[(5, &[1, b'x', 0]), (1, &[10, 0, 0, 3]), (28, &[0; 16])]);
        let addresses = vec![IpAddr::from([10, 0, 0, 3])];
        assert_eq!(answer(&asked, &message), Some(Answer::Addresses(addresses)));
    }

    #[test]
    fn refusals_are_told_apart() {
        let asked = question(7, "x", RecordType::Aaaa).unwrap();
        assert_eq!(answer(&asked, &reply(&asked, 0x8183, &[])), Some(Answer::NoSuchName));
        assert_eq!(answer(&asked, &reply(&asked, 0x8182, &[])), Some(Answer::Failed(2)));
        assert_eq!(answer(&asked, &reply(&asked, 0x8380, &[])), Some(Answer::Truncated));
        assert_eq!(answer(&asked, &reply(&asked, 0x8180, &[])), Some(Answer::Addresses(Vec::new())));
    }

    #[test]
    fn the_answer_to_another_question_is_not_taken() {
        let asked = question(7, "x", RecordType::A).unwrap();
        let other_id = question(8, "x", RecordType::A).unwrap();
        let other_name = question(7, "y", RecordType::A).unwrap();
        assert_eq!(answer(&asked, &reply(&other_id, 0x8180, &[])), None);
        assert_eq!(answer(&asked, &reply(&other_name, 0x8180, &[])), None);
        assert_eq!(answer(&asked, &asked), None);
    }

    #[test]
    fn a_cut_answer_is_no_answer_at_any_length() {
        let asked = question(7, "x.y", RecordType::A).unwrap();
        let whole = reply(&asked, 0x8180, &[(1, &[10, 0, 0, 3]), (1, &[10, 0, 0, 4])]);
        for length in 0..whole.len() {
            assert_eq!(answer(&asked, &whole[..length]), None, "at {length}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked() {
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(question(1, name, RecordType::A), None, "{name}");
        }
    }
}
