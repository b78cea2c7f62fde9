//! Writes that are told apart: the id that each request of a load puts into what a service keeps, and which ids are found
//! there afterwards. Whether one that is missing is a loss is not decided here.

use serde::{Deserialize, Serialize};

use crate::{Offset, Seed};

/// The ids of one load in one run. Each has the form of a UUID (RFC 9562, version 4), so that a column of that type can hold
/// it; the last twelve digits are the request's ordinal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteIds {
    prefix: String,
}

/// Digits of the ordinal.
const DIGITS: usize = 12;

impl WriteIds {
    /// The ids of a seed. Another run must have another seed: what an earlier one wrote may still be kept.
    pub fn of(seed: Seed) -> WriteIds {
        let (first, more) = (seed.derive("ids", 0).0, seed.derive("ids", 1).0);
        let prefix = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-",
            first >> 32,
            first & 0xffff,
            (first >> 16) & 0xfff,
            more & 0xfff
        );
        WriteIds { prefix }
    }

    /// The id of a request.
    pub fn id(&self, n: u64) -> String {
        format!("{}{n:0width$x}", self.prefix, width = DIGITS)
    }

    /// Every id that stands in a text, in any notation: only the ids themselves are looked for.
    pub fn found_in(&self, text: &str) -> Kept {
        let mut found = Vec::new();
        // Some write a UUID in capitals.
        let text = text.to_ascii_lowercase();
        for (at, _) in text.match_indices(&self.prefix) {
            let digits = text.get(at + self.prefix.len()..at + self.prefix.len() + DIGITS);
            found.extend(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
        }
        Kept::of(found)
    }
}

/// Which writes were found, and how often each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kept(Vec<(u64, u64, u64)>);

impl Kept {
    /// Of ordinals in any order, each as often as it was found.
    pub fn of(mut found: Vec<u64>) -> Kept {
        found.sort_unstable();
        // First, last and times: neighbours that were found equally often are one entry, so that a million take little room.
        let mut runs: Vec<(u64, u64, u64)> = Vec::new();
        for same in found.chunk_by(|one, other| one == other) {
            let (n, times) = (same[0], same.len() as u64);
            match runs.last_mut() {
                Some((_, last, before)) if last.checked_add(1) == Some(n) && *before == times => *last = n,
                _ => runs.push((n, n, times)),
            }
        }
        Kept(runs)
    }

    /// How often a write was found.
    pub fn times(&self, n: u64) -> u64 {
        let at = self.0.partition_point(|(_, last, _)| *last < n);
        self.0.get(at).filter(|(first, ..)| *first <= n).map_or(0, |(_, _, times)| *times)
    }

    /// First, last and times of neighbours that were found equally often, in order.
    pub fn runs(&self) -> &[(u64, u64, u64)] {
        &self.0
    }
}

/// What was found when a load was over and everything had been taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBack {
    /// Two readings, one after the other, were the same.
    Settled {
        /// What was found.
        kept: Kept,
    },
    /// It was still changing when the time was up.
    Changing {
        /// What was found last.
        kept: Kept,
    },
    /// It could not be read.
    Failed {
        /// Why, as seen.
        why: String,
    },
}

/// Which writes were found elsewhere than where they have their effect: those of a queue that have none yet, or never will.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Aside {
    /// Given up, and put aside for somebody to look at; `None` if nobody asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Kept>,
    /// Not delivered yet, or to be delivered once more; `None` if nobody asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Kept>,
}

impl Aside {
    /// True if only what is kept was asked for.
    pub fn is_unasked(&self) -> bool {
        self.dead_letters.is_none() && self.queued.is_none()
    }

    /// True if a write stands with the dead letters.
    pub fn is_dead(&self, n: u64) -> bool {
        self.dead_letters.as_ref().is_some_and(|found| found.times(n) > 0)
    }

    /// True if a write is queued still.
    pub fn is_queued(&self, n: u64) -> bool {
        self.queued.as_ref().is_some_and(|found| found.times(n) > 0)
    }
}

/// The ledger of a load, read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRead {
    /// When it was read for the last time.
    pub asked: Offset,
    /// The ids of its requests.
    pub ids: WriteIds,
    /// What was found.
    pub back: ReadBack,
    /// What was found elsewhere, with it.
    #[serde(default, skip_serializing_if = "Aside::is_unasked")]
    pub aside: Aside,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid_and_differ_between_runs_and_requests() {
        let ids = WriteIds::of(Seed(7));
        let id = ids.id(255);
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(
            id.ends_with("-0000000000ff") && id.as_bytes()[14] == b'4' && id.as_bytes()[19] == b'8',
            "{id}"
        );
        assert_ne!(WriteIds::of(Seed(8)).id(255), id);
    }

    #[test]
    fn ids_are_found_in_any_notation_and_others_are_not() {
        let (ids, other) = (WriteIds::of(Seed(7)), WriteIds::of(Seed(8)));
        let text = format!(
            "[{{\"id\":\"{}\"}}, {}|x\n{}\n{} {} {}",
            ids.id(3),
            ids.id(4),
            ids.id(4),
            other.id(5),
            ids.id(6).to_ascii_uppercase(),
            // One that is cut at the end is none.
            &ids.id(7)[..30]
        );
        let kept = ids.found_in(&text);
        assert_eq!(kept.runs(), [(3, 3, 1), (4, 4, 2), (6, 6, 1)]);
        assert_eq!([2, 3, 4, 5, 6, 7].map(|n| kept.times(n)), [0, 1, 2, 0, 1, 0]);
        assert_eq!(ids.found_in("").runs(), []);
        assert_eq!(Kept::of((0..1000).collect()).runs(), [(0, 999, 1)]);
    }

    #[test]
    fn what_was_read_of_one_place_alone_is_written_as_it_was_before_there_were_more() {
        let back = ReadBack::Settled { kept: Kept::of(vec![1, 2]) };
        let read =
            LedgerRead { asked: Offset::ZERO, ids: WriteIds::of(Seed(7)), back, aside: Aside::default() };
        let text = serde_json::to_string(&read).expect("JSON");
        assert!(!text.contains("aside"), "{text}");
        assert_eq!(serde_json::from_str::<LedgerRead>(&text).expect("what was written"), read);
        let aside = Aside { dead_letters: Some(Kept::of(vec![3])), queued: None };
        assert!(aside.is_dead(3) && !aside.is_dead(1) && !aside.is_queued(3) && !aside.is_unasked());
        let more = LedgerRead { aside, ..read };
        let text = serde_json::to_string(&more).expect("JSON");
        assert_eq!(serde_json::from_str::<LedgerRead>(&text).expect("what was written"), more, "{text}");
    }
}
