//! `--output json` of what runs scenarios: one document on standard output, with the judgement, the place of the run, and what was
//! not carried out.

use murphy_core::Span;
use murphy_tests::{Bench, catalogue_scenario, turn};
use serde_json::{Value, json};

/// `latency` on the one edge; 95 of 100 users are to be served within 3 s.
fn scenario(name: &str, latency: &str) -> String {
    let more = format!(
        "phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }}\n\
         faults: [{{ edge: items, inject: {{ latency: \"{latency}\" }} }}]\n\
         expect: {{ read: {{ p95: \"<= 3s\" }} }}\n"
    );
    catalogue_scenario(name, &more)
}

#[test]
fn run_tells_the_judgement_and_where_its_run_is() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario("a good one", "30ms"));
    let args = ["run", "s.yaml", "--seed", "7", "--output", "json", "--json", "beside.json"];
    let told = bench.run_expecting(0, &args).json();
    let [one] = &told.as_array().expect("a list")[..] else { panic!("{told}") };
    for (field, wanted) in [("came", "judged"), ("scenario", "a good one"), ("source", "s.yaml")] {
        assert_eq!(one[field], wanted, "{field}");
    }
    let judgement = &one["judgement"];
    assert_eq!(judgement["verdict"], "graceful");
    assert_eq!(judgement["run"]["seed"], 7);
    assert_eq!(judgement["rows"][0]["want"], "<= 3s");
    // From the run's directory the same is told again, and the files hold the same.
    let run = one["run"].as_str().expect("a run directory");
    let again = bench.run(&["report", run, "--output", "json"]).expect(0);
    assert_eq!(&again.json(), judgement);
    let kept = |file: &str| std::fs::read_to_string(bench.path().join(file)).expect("a file");
    assert_eq!(kept(&format!("{run}/report.json")), again.stdout);
    assert!(kept(&format!("{run}/report.txt")).contains("GRACEFUL"));
    let beside: Value = serde_json::from_str(&kept("beside.json")).expect("JSON");
    assert_eq!(beside, json!([judgement]));
}

#[test]
fn run_leaves_out_no_scenario_that_was_not_carried_out() {
    let bench = Bench::new();
    bench.file("a.yaml", &scenario("the first", "30ms"));
    bench.file("b.yaml", &scenario("the second", "30ms"));
    // No directory can be made below a file.
    let args = ["run", "a.yaml", "b.yaml", "--fail-fast", "--report-dir", "a.yaml/runs", "--output", "json"];
    let ended = bench.run(&args).expect(3);
    let told = ended.json();
    let [first, second] = &told.as_array().expect("a list")[..] else { panic!("{told}") };
    assert_eq!((&first["came"], &first["source"]), (&"not-carried-out".into(), &"a.yaml".into()));
    let why = first["why"].as_str().expect("a reason");
    assert!(why.contains("a.yaml/runs") && ended.stderr.contains(why), "{why}\n{}", ended.stderr);
    assert_eq!(first.get("run"), None, "there is none: {first}");
    let wanted = json!({
        "came": "not-run",
        "scenario": "the second",
        "source": "b.yaml",
        "why": "--fail-fast: `the first` came first",
    });
    assert_eq!(second, &wanted);
    // What cannot be read is no result: it stands on standard error alone.
    bench.file("wrong.yaml", "murphy: 1\n");
    let refused = bench.run(&["run", "wrong.yaml", "--output", "json"]).expect(2);
    assert_eq!(refused.stdout, "");
}

#[test]
fn breaking_point_tells_the_limit_and_each_level() {
    let _turn = turn();
    let bench = Bench::new();
    bench.file("s.yaml", &scenario("slower and slower", "${DELAY}"));
    // The mildest level is past the goal already, so that one run tells all.
    let args = [
        "breaking-point",
        "s.yaml",
        "--vary",
        "DELAY",
        "--from",
        "500ms",
        "--to",
        "5s",
        "--goal",
        "99% < 200ms",
        "--seed",
        "7",
        "--output",
        "json",
    ];
    let told = bench.run(&args).expect(0).json();
    let (levels, took) = (&told["levels"], &told["took"]);
    let [level] = &levels.as_array().expect("a list")[..] else { panic!("{told}") };
    let requests = level["requests"].as_u64().expect("a number");
    assert!(requests >= 100, "{told}");
    let lasted = took.as_str().expect("a time").parse::<Span>().expect("a time with its unit");
    assert!(lasted >= Span::from_secs(3), "the fault alone lasts that long: {lasted}");
    let wanted = json!({
        "format": 1,
        "scenario": "slower and slower",
        "seed": 7,
        "vary": "DELAY",
        "load": "read",
        "rate": "150/s",
        "goal": "99% < 200ms",
        "limit": { "is": "below-all", "breaks": "500ms" },
        "standing": { "is": "whole" },
        "levels": [{ "level": "500ms", "held": false, "requests": requests }],
        "runs": 1,
        "took": took,
        "ended": "complete",
    });
    assert_eq!(told, wanted);
    // Where no time is left, that is told, and is no pass.
    let none = bench.run(&[&args[..], &["--budget", "0s"]].concat()).expect(4).json();
    assert_eq!((&none["ended"], &none["limit"], &none["runs"]), (&"budget".into(), &Value::Null, &0.into()));
    // Nor where a run fails: with what was decided before.
    let broken = scenario("no service", "${DELAY}")
        .replace("run: [murphy, demo-service, catalogue,", "run: [no-such-program-anywhere,");
    bench.file("s.yaml", &broken);
    let failed = bench.run(&args).expect(3);
    assert!(failed.stderr.contains("no-such-program-anywhere"), "{}", failed.stderr);
    let failed = failed.json();
    assert_eq!(
        (&failed["ended"], &failed["levels"], &failed["runs"]),
        (&"early".into(), &json!([]), &0.into())
    );
}
