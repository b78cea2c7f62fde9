//! A real Redis behind the proxy, a real Redis client before it: what the ready scenarios say of a careful and of a
//! careless caller.

use std::path::PathBuf;

use murphy_tests::{Bench, redis_or_skip};

fn scenario(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name).display().to_string()
}

/// Runs both twins; the careful one is graceful, the careless one is not and the reason holds `why`.
fn twins(fault: &str, why: &str) {
    if !redis_or_skip() {
        return;
    }
    let bench = Bench::new();
    bench.run_expecting(0, &["run", &scenario(&format!("redis-{fault}-careful.yaml"))]).says("GRACEFUL");
    let careless =
        bench.run_expecting(1, &["run", &scenario(&format!("redis-{fault}.yaml"))]).says("NOT GRACEFUL");
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
