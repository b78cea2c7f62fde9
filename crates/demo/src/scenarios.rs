//! The two scenarios of `murphy demo`: the same trouble for two builds of one shop.

/// The careful shop: it degrades gracefully.
pub const CAREFUL: &str = include_str!("../scenarios/careful.yaml");

/// The careless shop: it does not.
pub const CARELESS: &str = include_str!("../scenarios/careless.yaml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Everything after the comment at the top, with the build's name and its ports taken out.
    fn asked(scenario: &str) -> String {
        let start = scenario.find("murphy: 1").expect("the format's version");
        scenario[start..]
            .replace("careless", "BUILD")
            .replace("careful", "BUILD")
            .replace(", --breaker-open, 1s", "")
            .replace(":1661", ":PORT")
            .replace(":1660", ":PORT")
    }

    fn ports(scenario: &str) -> BTreeSet<&str> {
        scenario.match_indices("127.0.0.1:").map(|(at, host)| &scenario[at + host.len()..][..5]).collect()
    }

    #[test]
    fn the_two_builds_are_asked_the_same() {
        assert_eq!(asked(CAREFUL), asked(CARELESS));
    }

    #[test]
    fn the_two_can_run_side_by_side() {
        assert!(ports(CAREFUL).is_disjoint(&ports(CARELESS)));
        assert!(ports(CAREFUL).len() >= 6);
    }
}
