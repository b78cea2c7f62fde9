//! The last good answers, to serve when the source fails (RFC 5861, stale-if-error). Bounded in number and in age; never
//! consulted while the source answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last good answer for each key.
#[derive(Debug)]
pub(crate) struct LastGood<T> {
    most: usize,
    keep: Duration,
    kept: Mutex<BTreeMap<String, Kept<T>>>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    at: Instant,
}

/// An answer of an earlier time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recalled<T> {
    /// The answer.
    pub value: T,
    /// How old it is.
    pub age: Duration,
}

impl<T: Clone> LastGood<T> {
    /// Keeps at most so many answers, none older than `keep`.
    pub fn new(most: usize, keep: Duration) -> LastGood<T> {
        LastGood { most, keep, kept: Mutex::new(BTreeMap::new()) }
    }

    /// Keeps an answer, in the place of the key's earlier one. When full, the oldest answer goes.
    pub fn remember(&self, key: &str, value: T) {
        let mut kept = self.lock();
        if kept.len() >= self.most
            && !kept.contains_key(key)
            && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.at).map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(key.to_owned(), Kept { value, at: Instant::now() });
    }

    /// The key's last good answer, unless it is too old.
    pub fn recall(&self, key: &str) -> Option<Recalled<T>> {
        let kept = self.lock();
        let found = kept.get(key)?;
        let age = found.at.elapsed();
        (age <= self.keep).then(|| Recalled { value: found.value.clone(), age })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_recalled_with_its_age_until_it_is_too_old() {
        let last = LastGood::new(10, KEEP);
        last.remember("7", "old");
        last.remember("7", "new");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(last.recall("7"), Some(Recalled { value: "new", age: Duration::from_secs(9) }));
        assert_eq!(last.recall("8"), None);
        tokio::time::advance(KEEP).await;
        assert_eq!(last.recall("7"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn when_full_the_oldest_answer_goes() {
        let last = LastGood::new(2, KEEP);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            last.remember(key, value);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(last.recall("b"), None, "a was written again after b");
        assert_eq!(last.recall("a").map(|kept| kept.value), Some(3));
        assert_eq!(last.recall("c").map(|kept| kept.value), Some(4));
    }
}
