//! In whose networks the rules of a fault between callers are put, and towards whom they hold. Pure.

use murphy_core::Directions;
use murphy_netns::Way;
use murphy_scenario::{Caller, Stretch};

/// Rules that are put into the network of each of `at`.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    pub(crate) at: Vec<Caller>,
    pub(crate) peers: Vec<Caller>,
    pub(crate) way: Way,
}

/// Rules on one side hold both ways, so each pair of groups has them on one side only.
pub(crate) fn legs(stretch: &Stretch) -> Vec<Leg> {
    match stretch {
        Stretch::Between { groups } => (0..groups.len().saturating_sub(1))
            .map(|index| Leg {
                at: groups[index].clone(),
                peers: groups[index + 1..].concat(),
                way: Way::Both,
            })
            .collect(),
        Stretch::OneWay { from, to } => vec![Leg { at: from.clone(), peers: to.clone(), way: Way::Out }],
        Stretch::Of { callers } => vec![Leg { at: callers.clone(), peers: Vec::new(), way: Way::Out }],
    }
}

/// Who calls whom, and which way of these calls is meant. A call is delayed where it is made, whichever side makes it.
pub(crate) fn slow_legs(stretch: &Stretch) -> Vec<(Vec<Caller>, Vec<Caller>, Directions)> {
    match stretch {
        Stretch::Between { groups } => (0..groups.len())
            .map(|index| {
                let others: Vec<Caller> = groups
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index)
                    .flat_map(|(_, g)| g.clone())
                    .collect();
                (groups[index].clone(), others, Directions::Both)
            })
            .collect(),
        Stretch::OneWay { from, to } => vec![
            (from.clone(), to.clone(), Directions::ToUpstream),
            (to.clone(), from.clone(), Directions::ToClient),
        ],
        Stretch::Of { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(names: &[&str]) -> Vec<Caller> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn each_pair_of_groups_is_parted_on_one_side() {
        let groups = vec![group(&["a", "b"]), group(&["c"]), group(&["d"])];
        let legs = legs(&Stretch::Between { groups });
        let pairs: Vec<_> = legs.iter().map(|leg| (leg.at.clone(), leg.peers.clone(), leg.way)).collect();
        assert_eq!(
            pairs,
            [(group(&["a", "b"]), group(&["c", "d"]), Way::Both), (group(&["c"]), group(&["d"]), Way::Both)]
        );
    }

    #[test]
    fn one_way_delays_the_same_packets_whoever_made_the_connection() {
        let stretch = Stretch::OneWay { from: group(&["a"]), to: group(&["b"]) };
        let legs = slow_legs(&stretch);
        assert_eq!(legs[0], (group(&["a"]), group(&["b"]), Directions::ToUpstream));
        assert_eq!(legs[1], (group(&["b"]), group(&["a"]), Directions::ToClient));
    }
}
