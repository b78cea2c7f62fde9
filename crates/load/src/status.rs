//! Sets of HTTP statuses: what counts as the expected answer.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// HTTP statuses: `200`, `2xx`, `200-299`, `200, 404`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

/// A text that is not a set of statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an HTTP status; write for example 200, 2xx or 200-204 (100 to 599)")]
pub struct StatusError {
    /// The part that cannot be read.
    pub text: String,
}

impl StatusSet {
    /// Exactly these statuses. Ones outside 100..=599 are kept and never match.
    pub fn of(statuses: impl IntoIterator<Item = u16>) -> StatusSet {
        StatusSet(statuses.into_iter().map(|status| status..=status).collect())
    }

    /// These ranges, each inclusive at both ends.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u16, u16)>) -> StatusSet {
        StatusSet(ranges.into_iter().map(|(from, to)| from..=to).collect())
    }

    /// True if the status is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// 200 to 399: redirects are answers, and are not followed.
impl Default for StatusSet {
    fn default() -> StatusSet {
        StatusSet(vec![200..=399])
    }
}

fn one(part: &str) -> Option<RangeInclusive<u16>> {
    let valid = |status: &u16| (100..=599).contains(status);
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(valid);
    if let Some(class) = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX")) {
        let first = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))? * 100;
        return Some(first..=first + 99);
    }
    match part.split_once('-') {
        Some((from, to)) => Some(number(from)?..=number(to)?).filter(|range| !range.is_empty()),
        None => number(part).map(|status| status..=status),
    }
}

impl FromStr for StatusSet {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<StatusSet, StatusError> {
        let parts = text.split(',').map(str::trim);
        let ranges = parts.map(|part| one(part).ok_or_else(|| StatusError { text: part.to_owned() }));
        ranges.collect::<Result<_, _>>().map(StatusSet)
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let (from, to) = (*range.start(), *range.end());
            let comma = if i > 0 { ", " } else { "" };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else if from.is_multiple_of(100) && to == from + 99 {
                write!(f, "{comma}{}xx", from / 100)?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_printed_back() {
        for text in ["200", "2xx", "200, 201, 404", "200-204", "2xx, 404"] {
            assert_eq!(text.parse::<StatusSet>().unwrap().to_string(), text);
        }
        let set: StatusSet = "2xx,404".parse().unwrap();
        assert!(set.contains(200) && set.contains(299) && set.contains(404));
        assert!(!set.contains(199) && !set.contains(300) && !set.contains(500));
        assert!(StatusSet::from_ranges([(200, 204)]).contains(204));
        assert!(StatusSet::of([201]).contains(201) && !StatusSet::of([201]).contains(200));
    }

    #[test]
    fn created_and_no_content_are_successes_by_default_and_errors_are_not() {
        let set = StatusSet::default();
        assert!([200, 201, 204, 302, 304].iter().all(|status| set.contains(*status)));
        assert!([199, 400, 404, 500, 503].iter().all(|status| !set.contains(*status)));
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in ["", "ok", "99", "600", "6xx", "204-200", "200,", "2x", "20 0", "-"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text:?} was accepted");
        }
    }
}
