//! `murphy demo`: one graceful, one not, in under a minute; each weakness that the careless shop was given is named, and the
//! careful one has none. `MURPHY_DEMO=10` (`make demo-ten`) holds it to that ten times, beside a program that keeps a processor busy.

use std::process::{Child, Command};
use std::time::Duration;

use murphy_testkit::number;
use murphy_tests::{Bench, Finished};
use serde_json::{Value, json};

/// What the careless shop was given to fail with, and what its report must say of it.
struct Weakness {
    /// The expectation that does not hold for it.
    label: &'static str,
    /// The causes that may be named: while its one pool is full of calls that nobody ends, it is the one or the other that is seen.
    causes: &'static [&'static str],
    /// What the mechanism, or the change that is proposed, has in it.
    says: &'static str,
}

const WEAKNESSES: [Weakness; 4] = [
    // A call waits without end.
    Weakness { label: "catalogue timeout", causes: &["no-timeout"], says: "no timeout <= " },
    // Nothing else is there to answer with,
    Weakness { label: "browse success", causes: &["no-timeout", "queue"], says: "a timeout of " },
    // not even a no.
    Weakness { label: "order p95", causes: &["no-timeout", "queue"], says: "a timeout of " },
    // Even `/live` asks everybody.
    Weakness { label: "live always", causes: &["no-timeout", "queue"], says: "health check" },
];

/// A program that has a processor for itself, until this is dropped.
struct Busy(Child);

impl Busy {
    fn new() -> Busy {
        Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The judgement of a shop, the careful one first.
fn judgements(bench: &Bench) -> [Value; 2] {
    let text = std::fs::read_to_string(bench.path().join("demo.json")).expect("judgements");
    serde_json::from_str(&text).expect("two judgements")
}

fn list<'a>(judgement: &'a Value, what: &str) -> &'a [Value] {
    judgement[what].as_array().expect(what)
}

fn holds_both_shops_apart(bench: &Bench, demo: Finished) {
    let demo = demo.says("the careful shop served").says("What to try next");
    let verdicts: Vec<&str> = demo
        .stdout
        .lines()
        .filter_map(|line| {
            ["NOT GRACEFUL", "INCONCLUSIVE", "GRACEFUL"].into_iter().find(|verdict| line.contains(verdict))
        })
        .collect();
    assert_eq!(verdicts, ["GRACEFUL", "NOT GRACEFUL"], "{}", demo.stdout);
    let [careful, careless] = judgements(bench);
    assert!(list(&careful, "why").is_empty(), "{}", demo.stdout);
    assert!(list(&careful, "rows").iter().all(|row| row["answer"] == "pass"), "{}", demo.stdout);
    for Weakness { label, causes, says } in WEAKNESSES {
        let named = list(&careless, "why").iter().find(|why| why["label"] == label);
        let named = named.unwrap_or_else(|| panic!("`{label}` is not explained:\n{}", demo.stdout));
        let text = |what: &str| named[what].as_str().unwrap_or_default();
        assert!(causes.contains(&text("cause")), "{label}: {named}\n{}", demo.stdout);
        assert!(text("mechanism").contains(says) || text("change").contains(says), "{label}: {named}");
        assert!(demo.stdout.contains("why "), "it is in the report that people read:\n{}", demo.stdout);
    }
}

#[test]
fn the_demo_names_each_weakness_of_the_careless_shop_and_none_of_the_careful_one_in_under_a_minute() {
    let bench = Bench::new();
    let words = ["demo", "--json", "demo.json"];
    match number("MURPHY_DEMO") {
        None => {
            let demo = bench.run_expecting(0, &words);
            assert!(demo.took < Some(Duration::from_secs(60)), "{:?}", demo.took);
            holds_both_shops_apart(&bench, demo);
        }
        Some(times) => {
            let _busy = Busy::new();
            for time in 1..=times {
                eprintln!("{time} of {times}, with a processor busy");
                holds_both_shops_apart(&bench, bench.run(&words).expect(0));
            }
        }
    }
    let written = json!({ "written": ["told/careful.yaml", "told/careless.yaml"] });
    assert_eq!(bench.run(&["demo", "--write", "told", "--output", "json"]).expect(0).json(), written);
    // What the demo says to try next works.
    bench.run(&["demo", "--write", "."]).expect(0);
    bench.run(&["check", "careful.yaml", "careless.yaml"]).expect(0);
    bench.run(&["plan", "careful.yaml"]).expect(0);
}
