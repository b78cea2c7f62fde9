//! `murphy breaking-point`, end to end: a service whose deadline is known, and the interval that is found around it.

use std::time::Duration;

use murphy_tests::{Bench, free_ports, turn};

/// What the service gives its dependency, in milliseconds: a delay beyond it fails every order.
const DEADLINE: u64 = 300;

/// The careful shop, whose one attempt to charge an order may take [`DEADLINE`], with a delay before payments. Its breaker stays
/// closed, so that every order meets the deadline.
fn a_known_deadline() -> String {
    let [payments, edge, shop]: [u16; 3] = free_ports();
    format!(
        "murphy: 1
name: a deadline that is known
services:
  payments:
    run: [murphy, demo-service, payments, --listen, \"127.0.0.1:{payments}\"]
    ready: {{ http: \"GET http://127.0.0.1:{payments}/live\" }}
    within: 30s
  shop:
    run: [murphy, demo-service, shop, --careful, --timeout, {DEADLINE}ms, --attempts, \"1\", --breaker-failures, \"1000000\",
          --listen, \"127.0.0.1:{shop}\", --payments, \"127.0.0.1:{edge}\"]
    ready: {{ http: \"GET http://127.0.0.1:{shop}/live\" }}
    within: 30s
edges: {{ payments: {{ listen: \"127.0.0.1:{edge}\", to: \"127.0.0.1:{payments}\", protocol: http }} }}
load:
  order: {{ http: \"POST http://127.0.0.1:{shop}/orders\", json: {{ sku: a1 }}, rate: 40/s, timeout: 4s, expect-status: 201 }}
phases: {{ warm-up: 200ms, baseline: 500ms, fault: 1s, recovery: 200ms }}
faults: [{{ edge: payments, inject: {{ latency: \"${{DELAY}}\" }} }}]
expect: {{ order: {{ success: \">= 50%\" }} }}
"
    )
}

/// `tolerates <= 287ms, breaks by 300ms`, in milliseconds.
fn interval(told: &str) -> Option<(u64, u64)> {
    let (_, rest) = told.split_once("DELAY: tolerates <= ")?;
    let (holds, rest) = rest.split_once("ms, breaks by ")?;
    let (breaks, _) = rest.split_once("ms (goal 80% of order; ")?;
    Some((holds.parse().ok()?, breaks.parse().ok()?))
}

#[test]
fn the_interval_holds_the_deadline_of_the_service_and_the_budget_is_kept() {
    // A delay near the deadline is a matter of a few milliseconds.
    let _turn = turn();
    let bench = Bench::new();
    bench.file("s.yaml", &a_known_deadline());
    // So low a goal is told from its opposite by a second of orders at each level.
    let words =
        ["breaking-point", "s.yaml", "--vary", "DELAY", "--from", "150ms", "--to", "600ms", "--goal", "80%"];
    let told = bench.run(&words).expect(0).says("both ends tried again");
    let (holds, breaks) = interval(&told.stdout).unwrap_or_else(|| panic!("no interval:\n{}", told.stdout));
    assert!(holds <= DEADLINE, "{}", told.stdout);
    // What the machine adds to the delay lets the service break a little before its deadline, and never long after it.
    assert!(breaks > DEADLINE - 60 && breaks < DEADLINE + 100 && holds < breaks, "{}", told.stdout);
    assert!(holds >= 150 && told.stdout.contains("150ms        yes"), "{}", told.stdout);
    // Each level is a run of its own, from a healthy service.
    let runs = bench.journals().len();
    assert!(runs >= 8 && told.stdout.contains(&format!("{runs} runs")), "{runs}:\n{}", told.stdout);

    // A run takes longer than a second: the first uses the budget up, and no other is begun.
    let told = bench.run(&[&words[..], &["--budget", "1s"]].concat()).expect(4);
    let told = told.says("the budget is used up: not confirmed").says("of order; 1 runs");
    assert_eq!(bench.journals().len(), runs + 1, "{}", told.stdout);
    assert!(told.took < Some(Duration::from_secs(30)), "{:?}", told.took);
}
