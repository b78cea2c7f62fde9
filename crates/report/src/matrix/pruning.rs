//! The rules by which an exploration leaves something out without a try.

use std::fmt;

use serde::Serialize;

/// Why something was not tried though there was time: what was known already, and what is taken for granted by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// Nobody calls the edge while nothing is broken. Taken for granted: its callers do not need it.
    NoCalls,
    /// Callers keep their connections, and a share of so few meets too few to tell. Taken for granted: who stands the loss of all stands
    /// that of some.
    KeptConnections,
    /// No load calls both edges, and no caller does. Taken for granted: what one does is not felt by the users of the other.
    Disjoint,
    /// One of the two is not graceful alone, or inconclusive. Taken for granted: a second fault makes it no better, or no clearer.
    Dominance,
    /// Every caller has seen, in one graceful run or another, just what it would see. Taken for granted: it does the same again, whatever
    /// went before and whatever others do meanwhile.
    Seen,
    /// Users fared as under another fault on the same edge, and callers turned to the same edges meanwhile. Taken for granted: in pairs
    /// too.
    Equivalence,
    /// The edges are instances of one dependency. Taken for granted: one is as good as another.
    Symmetry,
}

impl Pruning {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Pruning::NoCalls => "no-calls",
            Pruning::KeptConnections => "kept-connections",
            Pruning::Disjoint => "disjoint",
            Pruning::Dominance => "dominance",
            Pruning::Seen => "seen",
            Pruning::Equivalence => "equivalence",
            Pruning::Symmetry => "symmetry",
        }
    }

    /// True if what it takes for granted does not hold where services share something that changes: a pool, a cache.
    pub fn is_unsound(self) -> bool {
        matches!(self, Pruning::Seen | Pruning::Equivalence)
    }
}

impl fmt::Display for Pruning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_one_name_everywhere() {
        let rules = [
            Pruning::NoCalls,
            Pruning::KeptConnections,
            Pruning::Disjoint,
            Pruning::Dominance,
            Pruning::Seen,
            Pruning::Equivalence,
            Pruning::Symmetry,
        ];
        for rule in rules {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
