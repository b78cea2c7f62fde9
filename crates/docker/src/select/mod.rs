//! From what a person typed to the containers that are touched: pure functions over a list of containers.

mod choose;
mod pattern;
mod pick;
mod selector;
mod target;

pub use choose::{Choice, SelectError, Wanted, choose};
pub use pattern::Pattern;
pub use pick::{Pick, PickError};
pub use selector::{Selector, SelectorError};
pub use target::{Target, TargetError};

/// The candidate that is nearest to a mistyped word, if one is near enough to be meant: about a third of its letters may
/// differ (by the edit distance of Levenshtein, 1966).
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = ((word.chars().count() + 1) / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
