//! Faults on chosen requests, in the ready scenarios: what they say of a careful and of a careless shop.

use std::path::PathBuf;

use murphy_tests::{Bench, turn};

fn scenario(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name).display().to_string()
}

/// Runs both twins; the careful one is graceful, the careless one is not and the reason holds `why`.
fn twins(fault: &str, why: &str) {
    // Four pairs at once are more than two processors have for them: a careful shop that is slow by itself opens its breakers.
    let _turn = turn();
    // Both at once: they share no port, and neither needs much of a machine.
    let careless = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = scenario(&format!("shop-{fault}-careful.yaml"));
            Bench::new().run_expecting(0, &["run", &file]).says("GRACEFUL");
        });
        let file = scenario(&format!("shop-{fault}.yaml"));
        Bench::new().run_expecting(1, &["run", &file]).says("NOT GRACEFUL")
    });
    let reasons: String = careless.stdout.split("\nwhy ").skip(1).collect();
    let reasons = reasons.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(reasons.contains(why), "the cause is not named ({why}):\n{}", careless.stdout);
}

#[test]
fn a_503_with_retry_after_is_heeded_only_by_the_careful_shop() {
    twins("payments-503", "times the usual calls for each user request");
}

#[test]
fn a_lost_answer_charges_twice_only_in_the_careless_shop() {
    twins("charge-lost", "had no idempotency key");
}

#[test]
fn broken_json_reaches_the_users_of_the_careless_shop_only() {
    twins("catalogue-broken-json", "were answered with an error");
}

#[test]
fn an_expired_certificate_is_met_with_attempts_by_the_careless_shop_only() {
    twins("certificate-expired", "times the usual calls for each user request");
}
