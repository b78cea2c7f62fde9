//! Why an exploration leaves something out, in words, with what is taken for granted by that. Pure.

use murphy_core::Verdict;
use murphy_scenario::Single;

use super::explore_alone::Alone;
use super::explore_pairs::Pair;

/// Why a fault is not tried on an edge without calls.
pub const NOT_CALLED: &str =
    "no call in the run with nothing broken; taken for granted: its callers do not need it";

/// Why a share of the connections of an edge is not broken.
pub const KEPT_CONNECTIONS: &str = "callers keep their connections, and a share of so few is too few to tell; taken for granted: who stands \
                                    reset stands that of some";

/// Why an edge that is called under another fault only is not refused.
pub const UNSEEN_REFUSAL: &str = "who is refused leaves no trace where nobody calls in health; taken for granted: they fare as under \
                                  reset";

/// Why nothing is laid beside a fault of which this was told alone, and not that it is graceful.
pub fn dominated(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Inconclusive => {
            "alone it is inconclusive; taken for granted: a second fault makes it no clearer"
        }
        Verdict::Graceful | Verdict::NotGraceful => {
            "alone it is not graceful; taken for granted: a second fault makes it no better"
        }
    }
}

/// Why two faults that have nothing in common are not tried together.
pub const DISJOINT: &str = "no load calls both edges and no caller makes both calls; taken for granted: what one does is not felt by \
                            the users of the other";

/// Why faults are not tried together of which each caller knows its part.
pub const SEEN: &str = "each caller has seen before just what it would see; taken for granted: it does the same again, whatever others \
                        do meanwhile";

/// Why a pair is left out for which another stands that differs only in the instances.
pub fn symmetric(alone: &[Alone], as_in: Pair) -> String {
    format!("as {}, on other instances; taken for granted: instances are alike", text(alone, as_in))
}

/// `blackhole on a and refuse on b`.
pub fn text(alone: &[Alone], pair: Pair) -> String {
    let one = |place: usize| {
        let single: &Single = &alone[place].single;
        format!("{} on {}", single.text(), single.edge)
    };
    format!("{} and {}", one(pair.one), one(pair.other))
}
