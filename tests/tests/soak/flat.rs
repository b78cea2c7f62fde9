//! Whether what a process used over a run is flat. It judges numbers that others have looked up, and looks at nothing.
//!
//! The run is cut into thirds. The first warms up and is left out; of the other two the **medians** are held against each other, for a
//! peak says what happened to meet at one moment, and a median says what is there all the time. A leak moves it by all that has leaked between
//! the middles of both thirds, which is a third of all.

/// By how much the median of something may grow from the second third to the last: what chance has moved it by, and some more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance(pub(crate) u64);

/// The medians of the last two thirds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Medians {
    pub(crate) second: u64,
    pub(crate) last: u64,
}

/// A third must have so many looks for its median to mean something.
const LOOKS: usize = 10;

pub(crate) fn medians(seen: &[u64]) -> Medians {
    let third = seen.len() / 3;
    assert!(third >= LOOKS, "only {} looks: there is no trend to see", seen.len());
    Medians { second: median(&seen[third..third * 2]), last: median(&seen[third * 2..]) }
}

/// Why something is not flat; `None` if it is.
pub(crate) fn trend(what: &str, seen: &[u64], chance: Chance) -> Option<String> {
    let Medians { second, last } = medians(seen);
    let grown = last.saturating_sub(second);
    let said = || format!("{what} grew from {second} to {last} (medians of the second and the last third)");
    (grown > chance.0).then(said)
}

/// One leak in so many uses is the smallest that a run of so many uses would have shown.
pub(crate) fn smallest_leak(uses: u64, chance: Chance) -> u64 {
    uses / 3 / (chance.0 + 1)
}

fn median(part: &[u64]) -> u64 {
    let mut sorted = part.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lots;
    use crate::vitals::DESCRIPTORS;

    /// Ten minutes, ten looks a second, beside 430 connections a second: what docs/performance.md tells of.
    const LOOKS_OF_A_RUN: u64 = 6000;
    const CONNECTIONS: u64 = 260_000;

    /// Descriptors of a run: 17 at rest, and of 40 connections those that happen to be open. `leaked` says how many are never closed
    /// after so many connections.
    fn run(seed: u64, leaked: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut lots = Lots::new(seed);
        let mut level = 20;
        let looks = (0..LOOKS_OF_A_RUN).map(|look| {
            // Edits change how many are open for some looks in a row.
            if look % 20 == 0 {
                level = 10 + lots.below(20);
            }
            17 + level + lots.below(20) + leaked(CONNECTIONS * look / LOOKS_OF_A_RUN)
        });
        looks.collect()
    }

    #[test]
    fn what_is_flat_is_flat_however_it_scatters() {
        assert_eq!(trend("descriptors", &[40; 60], Chance(0)), None);
        for seed in 0..200 {
            assert_eq!(trend("descriptors", &run(seed, |_| 0), DESCRIPTORS), None, "seed {seed}");
        }
        // A peak, and a warm-up, are none.
        let mut seen = run(1, |_| 0);
        seen[5500..5600].fill(5000);
        seen[..2000].fill(1);
        assert_eq!(trend("descriptors", &seen, DESCRIPTORS), None);
        // And what goes down leaks nothing.
        assert_eq!(trend("descriptors", &[[50; 20], [40; 20], [9; 20]].concat(), Chance(0)), None);
    }

    #[test]
    fn one_descriptor_leaked_in_a_thousand_connections_is_seen() {
        for seed in 0..200 {
            let seen = run(seed, |connections| connections / 1000);
            assert!(trend("descriptors", &seen, DESCRIPTORS).is_some(), "seed {seed}: {:?}", medians(&seen));
        }
        assert!(smallest_leak(CONNECTIONS, DESCRIPTORS) >= 1000);
    }

    #[test]
    fn a_leak_that_begins_half_way_is_seen() {
        let seen = run(3, |connections| connections.saturating_sub(CONNECTIONS / 2) / 1000);
        assert!(trend("descriptors", &seen, DESCRIPTORS).is_some(), "{:?}", medians(&seen));
    }

    #[test]
    fn the_bar_is_where_it_says_that_it_is() {
        let stepped = |by: u64| [[40; 20], [40; 20], [40 + by; 20]].concat();
        assert_eq!(trend("descriptors", &stepped(DESCRIPTORS.0), DESCRIPTORS), None);
        let said = trend("descriptors", &stepped(DESCRIPTORS.0 + 1), DESCRIPTORS).unwrap();
        assert!(said.contains("descriptors grew from 40 to"), "{said}");
    }

    #[test]
    #[should_panic(expected = "there is no trend to see")]
    fn a_run_too_short_to_tell_is_no_proof() {
        let _ = trend("descriptors", &[40; 20], DESCRIPTORS);
    }
}
