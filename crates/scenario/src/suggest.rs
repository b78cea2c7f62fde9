//! "Did you mean": the nearest of the words that would have been right.

/// The candidate with the fewest edits to `word`, if few enough for a slip: at most a third of the word's length, at
/// least one. Ties go to the earlier candidate.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word of this length is no slip of any name, and the table below grows with its square.
    if word.chars().count() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = edits(&normal(word), &normal(candidate));
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Letters that are often confused are one: case, and the three spellings of a word gap.
fn normal(word: &str) -> Vec<char> {
    word.chars().map(|c| if matches!(c, '_' | ' ') { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment).
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut next = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replace = row[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            next[j] = replace.min(row[j] + 1).min(next[j - 1] + 1);
            let swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if swapped {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_do_not() {
        let words = ["timeout", "rate", "expect-status", "http"];
        assert_eq!(nearest("tiemout", words), Some("timeout"));
        assert_eq!(nearest("expect_status", words), Some("expect-status"));
        assert_eq!(nearest("Rate", words), Some("rate"));
        assert_eq!(nearest("htpp", words), Some("http"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
