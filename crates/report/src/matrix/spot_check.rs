//! How often a rule that leaves pairs out was wrong, by those that were tried all the same.

use serde::Serialize;

/// Some pairs were left out by a rule that does not hold everywhere; of these a few were drawn and tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpotCheck {
    /// Pairs that such a rule left out.
    pub skipped: usize,
    /// How many of them were tried.
    pub tried: usize,
    /// Those that told otherwise than was taken for granted, one sentence each.
    pub otherwise: Vec<String>,
    /// How many could not be told.
    pub open: usize,
}

impl SpotCheck {
    /// In a line, and one more for each that told otherwise.
    pub(crate) fn lines(&self) -> Vec<String> {
        let SpotCheck { skipped, tried, otherwise, open } = self;
        let mut first =
            format!("{tried} of {skipped} skipped pairs tried: {} told otherwise", otherwise.len());
        if *open > 0 {
            first += &format!(", {open} could not be told");
        }
        std::iter::once(first).chain(otherwise.iter().map(|one| format!("told otherwise: {one}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_were_tried_and_the_next_which_were_wrong() {
        let none = SpotCheck { skipped: 8, tried: 1, otherwise: Vec::new(), open: 0 };
        assert_eq!(none.lines(), ["1 of 8 skipped pairs tried: 0 told otherwise"]);
        let wrong = "refuse on a and reset on b: NOT GRACEFUL, and not GRACEFUL";
        let some = SpotCheck { skipped: 21, tried: 3, otherwise: vec![wrong.to_owned()], open: 1 };
        let lines = some.lines();
        assert_eq!(lines[0], "3 of 21 skipped pairs tried: 1 told otherwise, 1 could not be told");
        assert_eq!(lines[1], format!("told otherwise: {wrong}"));
    }
}
