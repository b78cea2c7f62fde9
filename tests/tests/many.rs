//! Several scenarios in one call, and runs held against older ones: through the real binary.

use murphy_core::{Rule, Seed, Span, Subject, write_line};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};
use murphy_tests::{Bench, catalogue_scenario, long_scenario};
use serde_json::{Value, json};

/// `delay` on the one edge.
fn scenario(name: &str, delay: &str, limit: &str) -> String {
    let more = format!(
        r#"phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }}
faults: [{{ edge: items, inject: {{ latency: "{delay}" }} }}]
expect: {{ read: {{ p95: "<= {limit}" }} }}
"#
    );
    catalogue_scenario(name, &more)
}

#[test]
fn a_directory_is_run_file_by_file_and_the_worst_verdict_wins() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path().join("all/deeper")).unwrap();
    bench.file("all/a.yaml", &scenario("a bad one", "700ms", "200ms"));
    bench.file("all/deeper/b.yml", &scenario("a good one", "30ms", "3s"));
    bench.file("all/compose.yaml", "services: {}\n");
    bench.run(&["check", "all"]).expect(0).says("all/a.yaml: ok").says("passed over: all/compose.yaml");
    let both = bench.run_expecting(1, &["run", "all", "--junit", "junit.xml"]);
    let both = both.says("2 scenarios").says("NOT GRACEFUL    a bad one").says("a good one");
    assert!(both.stdout.find("a bad one").unwrap() < both.stdout.find("a good one").unwrap(), "in order");
    // The first ends it, and the second is told as such.
    bench.run_expecting(1, &["run", "all", "--fail-fast", "--junit", "junit.xml"]).says("NOT RUN");
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    assert!(junit.contains("type=\"not-run\"") && junit.contains("<failure"), "{junit}");
    // One of them, by a part of its name.
    let one = bench.run(&["run", "all", "--only", "good"]);
    assert!(one.stdout.contains("a good one") && !one.stdout.contains("a bad one"), "{}", one.stdout);
    bench.run(&["run", "all", "--only", "neither"]).expect(2).says("a bad one").says("a good one");
}

#[test]
fn a_budget_that_is_too_small_is_inconclusive_and_starts_nothing() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario("too long", "30ms", "3s"));
    bench.run(&["run", "s.yaml", "--within", "5s"]).expect(4).says("no time is left");
    // The phases that may come to a service that does not recover are not counted.
    let rarely = scenario("rarely longer", "30ms", "3s").replace("recovery: 1s", "recovery: 1s, quiet: 5m");
    bench.file("q.yaml", &rarely);
    bench.run(&["run", "q.yaml", "--within", "5s"]).expect(4).says("no time is left for its 7.5s");
    assert!(bench.journals().is_empty());
    bench.run(&["run", "s.yaml", "--within", "soon"]).expect(2).says("--within");
}

#[test]
fn a_file_of_five_thousand_lines_and_sixty_files_are_checked() {
    let bench = Bench::new();
    bench.file("long.yaml", &long_scenario(5_000));
    bench.run(&["check", "long.yaml"]).expect(0).says("ok (1248 faults, 1248 expectations)");
    // A mistake in its last lines is found in its place.
    bench.file("wrong.yaml", &long_scenario(5_000).replace("  read1247: { success", "  read1247: { sucess"));
    bench.run(&["check", "wrong.yaml"]).expect(2).says("wrong.yaml:4999:").says("did you mean `success`?");
    std::fs::create_dir(bench.path().join("all")).unwrap();
    for n in 0..60 {
        bench.file(&format!("all/{n}.yaml"), &long_scenario(40 + n));
    }
    let all = bench.run(&["check", "all"]).expect(0);
    assert_eq!(all.stdout.matches(": ok (").count(), 60, "{}", all.stdout);
}

#[test]
fn a_directory_without_scenarios_is_a_mistake() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path().join("none")).unwrap();
    bench.run(&["run", "none"]).expect(2).says("there is no scenario in none");
}

#[test]
fn a_slower_run_is_worse_and_an_equal_one_is_not() {
    let bench = Bench::new();
    let text = scenario("compared", "${DELAY}", "60s").replace("150/s", "60/s");
    bench.file("s.yaml", &text);
    let run = |delay: &str| {
        bench.run(&["run", "s.yaml", "--set", &format!("DELAY={delay}"), "--inconclusive", "warn"]).expect(0);
        let last = bench.journals().pop().unwrap();
        last.parent().unwrap().display().to_string()
    };
    let (old, slow) = (run("50ms"), run("1500ms"));
    // The faults differ by their delay: said, but worse is worse.
    bench
        .run(&["compare", &old, &slow])
        .expect(1)
        .says("WORSE")
        .says("read.p95")
        .says("the faults are not the same");
    bench.run(&["compare", &slow, &old]).expect(4).says("better");
    bench.run(&["compare", &old, &old]).expect(0).says("not worse").says("same within intervals");
    // A baseline that can be committed.
    bench.run(&["compare", "--save", "baseline.json", &old]).expect(0).says("of 1 run\n");
    // One of two faults is a baseline of neither.
    bench.run(&["compare", "--save", "both.json", &old, &slow]).expect(2).says("do not have the same faults");
    assert!(!bench.path().join("both.json").exists());
    bench
        .run(&["compare", "nowhere.json", &old])
        .expect(3)
        .says("neither a run directory nor a baseline file");
    bench.run(&["compare", "baseline.json", &old]).expect(0);
    let worse = bench.run(&["compare", "baseline.json", &slow, "--output", "json"]).expect(1);
    let compared = worse.json();
    let is_worse_p95 = |one: &Value| {
        one["change"] == "worse" && one["id"].as_str().is_some_and(|id| id.starts_with("read.p95"))
    };
    assert!(compared["measures"].as_array().is_some_and(|all| all.iter().any(is_worse_p95)), "{compared}");
    assert_eq!(bench.run(&["compare", "baseline.json", &slow, "--json"]).expect(1).stdout, worse.stdout);
    let saved = bench.run(&["compare", "--save", "again.json", &old, "--output", "json"]).expect(0).json();
    let again: Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path().join("again.json")).unwrap()).unwrap();
    let measures = again["measures"].as_array().map(Vec::len);
    assert_eq!(
        saved,
        json!({ "file": "again.json", "scenario": "compared", "measures": measures, "runs": 1 })
    );
    assert!(measures > Some(0), "{again}");
    bench.run(&["compare", "baseline.json", &slow, "--slack", "10000%"]).expect(2);
    let kept = std::fs::read_to_string(bench.path().join("baseline.json")).unwrap();
    bench.file("other.json", &kept.replace("\"compared\"", "\"another\""));
    bench.run(&["compare", "other.json", &slow]).expect(2).says("`another`").says("`compared`");
    bench.file("future.json", &kept.replace("\"format\": 1", "\"format\": 9"));
    bench.run(&["compare", "future.json", &slow]).expect(2).says("form 9");
    bench.run(&["compare", "--save", "now.json", "future.json", &old]).expect(2).says("form 9");
    bench.run(&["compare", &old]).expect(2).says("OLD NEW");
}

/// The directory of a run whose truth is known, in which a dependency was reset and recovery and amplification were asked for.
fn simulated(bench: &Bench, name: &str, caller: Caller, seed: Seed, bad_for: Option<Span>) -> String {
    let mut golden = Golden { seed, ..Golden::new("compared", caller, Break::Reset) }
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(60) }, "<= 60s")
        .expect(
            "cart-cache.amplification",
            Subject::Edge(Golden::edge()),
            Rule::Amplification { at_most: 9.0 },
            "<= 9",
        );
    if let Some(bad_for) = bad_for {
        golden = golden.with(Trouble::SlowRecovery(bad_for));
    }
    let mut journal = Vec::new();
    for event in golden.journal() {
        write_line(&mut journal, &event).expect("an event is JSON");
    }
    std::fs::create_dir(bench.path().join(name)).expect("a directory can be made");
    std::fs::write(bench.path().join(name).join("journal.ndjson"), journal)
        .expect("a journal can be written");
    name.to_owned()
}

/// What became of one measure, and that the gate says nothing but that.
fn change(bench: &Bench, [old, new]: [&str; 2], measure: &str, code: i32) -> String {
    let said = bench.run(&["compare", old, new, "--json"]).expect(code).stdout;
    let compared: Value = serde_json::from_str(&said).expect("one document");
    let changes = compared["measures"].as_array().expect("measures");
    let others = changes.iter().filter(|change| change["id"] != measure && change["change"] == "worse");
    assert_eq!(others.count(), 0, "{said}");
    let of = changes.iter().find(|change| change["id"] == measure).unwrap_or_else(|| panic!("{said}"));
    of["change"].as_str().expect("a word").to_owned()
}

#[test]
fn a_later_recovery_fails_the_gate_only_where_the_intervals_are_apart() {
    let bench = Bench::new();
    let bad_for = |name: &str, seconds| {
        simulated(&bench, name, Caller::careless(), Seed(7), Some(Span::from_secs(seconds)))
    };
    // Recovery is seen in windows of a second: 4 s lie in [3, 5], 5 s in [4, 6], 9 s in [8, 10]; 60 s are never.
    let (four, five, nine, never) =
        (bad_for("four", 4), bad_for("five", 5), bad_for("nine", 9), bad_for("never", 60));
    assert_eq!(change(&bench, [&four, &five], "recovery", 0), "same");
    assert_eq!(change(&bench, [&four, &nine], "recovery", 1), "worse");
    assert_eq!(change(&bench, [&four, &never], "recovery", 1), "worse");
    assert_eq!(change(&bench, [&nine, &four], "recovery", 0), "better");
    // Kept in one file, two runs make an interval that holds both, and what lies within it is no regression.
    bench.run(&["compare", "--save", "kept.json", &four, &nine]).expect(0);
    assert_eq!(change(&bench, ["kept.json", &nine], "recovery", 0), "same");
    assert_eq!(change(&bench, ["kept.json", &never], "recovery", 1), "worse");
}

#[test]
fn more_calls_for_each_user_fail_the_gate_only_where_the_intervals_are_apart() {
    let bench = Bench::new();
    let tries = |name: &str, attempts, seed| {
        let caller = Caller { attempts, back_off: Span::from_millis(300), ..Caller::careless() };
        simulated(&bench, name, caller, Seed(seed), None)
    };
    let (once, twice, again) = (tries("once", 1, 7), tries("twice", 2, 7), tries("again", 2, 8));
    let measure = "cart-cache.amplification";
    assert_eq!(change(&bench, [&once, &twice], measure, 1), "worse");
    assert_eq!(change(&bench, [&twice, &again], measure, 0), "same");
    assert_eq!(change(&bench, [&twice, &once], measure, 0), "better");
}
