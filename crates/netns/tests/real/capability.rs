//! What the probe finds must be what the other tests then do.

use murphy_netns::{Ability, probe};

use crate::bench::Bench;

#[tokio::test]
async fn where_the_other_tests_run_the_probe_finds_what_they_need() {
    let Some(_bench) = Bench::new() else { return };
    let found = tokio::task::spawn_blocking(probe).await.unwrap();
    for ability in [Ability::Rights, Ability::Enter, Ability::Intercept, Ability::Cut, Ability::Bandwidth] {
        assert!(found.has(ability), "{:?}", found.of(ability));
    }
}
