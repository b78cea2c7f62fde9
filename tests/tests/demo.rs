//! `murphy demo`: one graceful, one not, in under a minute, and what to try next.

use std::time::Duration;

use murphy_tests::Bench;

#[test]
fn the_demo_shows_one_graceful_and_one_not_in_under_a_minute() {
    let bench = Bench::new();
    let demo = bench.run_expecting(0, &["demo"]).says("the careful shop served").says("What to try next");
    assert!(demo.took < Some(Duration::from_secs(60)), "{:?}", demo.took);
    let verdicts: Vec<&str> = demo
        .stdout
        .lines()
        .filter_map(|line| {
            ["NOT GRACEFUL", "INCONCLUSIVE", "GRACEFUL"].into_iter().find(|verdict| line.contains(verdict))
        })
        .collect();
    assert_eq!(verdicts, ["GRACEFUL", "NOT GRACEFUL"], "{}", demo.stdout);
    assert!(demo.stdout.contains("why "), "the failure is explained:\n{}", demo.stdout);
    // What the demo says to try next works.
    bench.run(&["demo", "--write", "."]).expect(0);
    bench.run(&["check", "careful.yaml", "careless.yaml"]).expect(0);
    bench.run(&["plan", "careful.yaml"]).expect(0);
}
