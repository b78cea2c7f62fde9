//! A real Redis behind the proxy, a real Redis client before it: what the ready scenarios say of a careful and of a
//! careless caller.

use std::path::PathBuf;

use murphy_tests::{Bench, redis_or_skip, turn};

fn scenario(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name).display().to_string()
}

/// Runs both twins; the careful one is graceful, the careless one is not and the reason holds `why`.
fn twins(fault: &str, why: &str) {
    if !redis_or_skip() {
        return;
    }
    // Two pairs at once are more than two processors have for them: whether a cart has recovered is told by what is usual.
    let _turn = turn();
    // Both at once: they share no port, and neither needs much of a machine.
    let careless = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = scenario(&format!("redis-{fault}-careful.yaml"));
            Bench::new().run_expecting(0, &["run", &file]).says("GRACEFUL");
        });
        let file = scenario(&format!("redis-{fault}.yaml"));
        Bench::new().run_expecting(1, &["run", &file]).says("NOT GRACEFUL")
    });
    let reasons: String = careless.stdout.split("\nwhy ").skip(1).collect();
    assert!(reasons.contains(why), "the cause is not named ({why}):\n{}", careless.stdout);
}

#[test]
fn a_slow_redis_is_felt_only_through_the_careless_cart() {
    twins("slow", "no timeout");
}

#[test]
fn a_hanging_redis_is_felt_only_through_the_careless_cart() {
    twins("hang", "no timeout");
}

#[test]
fn a_frozen_redis_is_felt_only_through_the_careless_cart() {
    twins("frozen", "no timeout");
}

#[test]
fn a_redis_that_refuses_is_felt_only_through_the_careless_cart() {
    twins("refused", "no fallback");
}

#[test]
fn a_redis_that_resets_is_felt_only_through_the_careless_cart() {
    twins("reset", "no fallback");
}

#[test]
fn a_redis_that_is_killed_is_felt_only_through_the_careless_cart() {
    twins("killed", "no fallback");
}
