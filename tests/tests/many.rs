//! Several scenarios in one call, and runs held against older ones: through the real binary.

use murphy_tests::{Bench, catalogue_scenario, long_scenario};

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
    bench.run(&["compare", "--save", "baseline.json", &old]).expect(0).says("of 1 runs");
    bench.run(&["compare", "baseline.json", &old]).expect(0);
    bench.run(&["compare", "baseline.json", &slow, "--json"]).expect(1).says("\"change\": \"worse\"");
    bench.run(&["compare", "baseline.json", &slow, "--slack", "10000%"]).expect(2);
    let kept = std::fs::read_to_string(bench.path().join("baseline.json")).unwrap();
    bench.file("other.json", &kept.replace("\"compared\"", "\"another\""));
    bench.run(&["compare", "other.json", &slow]).expect(2).says("`another`").says("`compared`");
    bench.file("future.json", &kept.replace("\"format\": 1", "\"format\": 9"));
    bench.run(&["compare", "future.json", &slow]).expect(2).says("form 9");
    bench.run(&["compare", &old]).expect(2).says("OLD NEW");
}
