//! The shipped scenarios on the example stack, with its own files over a base image made here: each ends as its first
//! lines say, for the reason that they say, and the stack is gone afterwards. One stack at a time: a second one that comes up beside it
//! makes its users wait, and their recovery is held against what is usual.

use std::time::Instant;

use murphy_testkit::engine_or_skip;
use murphy_tests::{Bench, base_image, free_ports, repository, turn, whole_example};

/// A scenario's file without its ending, its exit code, and what its report must say.
type Case = (&'static str, i32, &'static [&'static str]);

/// Those that `make test` runs: an edge into the stack behind which the shop holds, one behind which it does not, and a network.
const SOME: &[Case] = &[
    ("partition", 0, &["fault hit web | db", "order dependency    fact  hard"]),
    ("cache-slow", 0, &["held by cache timeout: gives up after", "held by cache breaker: opens"]),
    (
        "payments-hang-careless",
        1,
        &["calls on payments were held", "was given up: no timeout", "a timeout of"],
    ),
];

/// The others, with `MURPHY_COMPOSE=all`: `make compose`.
const MORE: &[Case] = &[
    ("db-paused", 0, &["fault hit container service:db", "order dependency    fact  hard"]),
    ("cache-killed", 0, &["fault ended cache", "product dependency"]),
    ("payments-hang", 0, &["held by payments timeout: gives up after"]),
    ("payments-503", 0, &["on POST /charge on web", "held by payments breaker: opens"]),
    ("replica-killed", 0, &["fault ended web"]),
    ("memory-squeezed", 0, &["fault hit container service:web"]),
];

#[test]
fn every_compose_scenario_has_its_case_here() {
    let named = |name: &str| SOME.iter().chain(MORE).any(|case| name == format!("compose-{}.yaml", case.0));
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("scenarios")).expect("scenarios") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if name.starts_with("compose-") {
            count += 1;
            assert!(named(&name), "{name} is run by no test");
        }
    }
    assert_eq!(count, SOME.len() + MORE.len());
}

#[test]
fn the_compose_scenarios_end_as_they_say_and_leave_no_stack_behind() {
    let Some(engine) = engine_or_skip("the_compose_scenarios_end_as_they_say_and_leave_no_stack_behind")
    else {
        return;
    };
    let _turn = turn();
    let Some(base) = base_image() else { return };
    let more = if whole_example() { MORE } else { &[] };
    for (name, code, says) in SOME.iter().chain(more) {
        let bench = Bench::new();
        let [port] = free_ports();
        let scenario = repository().join(format!("scenarios/compose-{name}.yaml")).display().to_string();
        let (base, port) = (format!("BASE={base}"), format!("PORT={port}"));
        let begun = Instant::now();
        let finished = bench.run_expecting(*code, &["run", &scenario, "--set", &base, "--set", &port]);
        println!("{name}: exit {code} in {:.0} s\n{}", begun.elapsed().as_secs_f64(), finished.stdout);
        // Lines are broken where the terminal ends.
        let report = finished.words();
        for text in *says {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(report.contains(&text), "{name} does not say: {text}\n{}", finished.stdout);
        }
        let filter = "filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3Dmurphy-shop%22%5D%7D";
        for left in ["/containers/json?all=true&", "/networks?"] {
            let left = engine.call("GET", &format!("{left}{filter}"), None).expect("an answer").json();
            assert_eq!(left.as_array().map(Vec::len), Some(0), "{name} leaves {left}\n{}", finished.stderr);
        }
        assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
    }
}

#[test]
fn an_exploration_finds_the_edges_of_a_stack_in_its_compose_file() {
    let test = "an_exploration_finds_the_edges_of_a_stack_in_its_compose_file";
    if engine_or_skip(test).is_none() {
        return;
    }
    let _turn = turn();
    let Some(base) = base_image() else { return };
    let bench = Bench::new();
    let [port] = free_ports();
    let compose = repository().join("examples/compose/compose.yaml");
    let text = format!(
        "murphy: 1
name: what the compose shop can do without
stack:
  compose: {}
  project: murphy-explored
  up: true
  wait: 120s
  env: {{ BASE: {base}, PORT: \"{port}\" }}
load:
  product: {{ http: \"GET http://127.0.0.1:{port}/products/7\", rate: 60/s, timeout: 5s }}
phases: {{ warm-up: 2s, baseline: 8s, fault: 8s, recovery: 3s }}
control: true
expect:
  product: {{ success: \">= 80%\" }}
",
        compose.display()
    );
    bench.file("s.yaml", &text);
    let told = bench.run_expecting(
        0,
        &["explore", "s.yaml", "--only-edge", "web-cache", "--faults", "blackhole", "--json", "matrix.json"],
    );
    assert!(told.stderr.contains("web calls cache:6379"), "{}", told.stderr);
    let matrix = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
    let matrix: serde_json::Value = serde_json::from_str(&matrix).expect("JSON");
    let cell = &matrix["cells"][0];
    assert_eq!((&cell["edge"], &cell["verdict"]), (&"web-cache".into(), &"graceful".into()), "{matrix}");
    assert_eq!(cell["users"][0]["load"], "product", "{matrix}");
    // Nothing tells on which port front calls web: that is said, and nothing guessed.
    let out = matrix["left-out"].as_array().expect("a list").iter().find(|out| out["edge"] == "front-web");
    let why = out.and_then(|out| out["why"].as_str()).unwrap_or_default();
    assert!(why.starts_with("nothing tells on which port it is called"), "{matrix}");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

/// What `murphy init --compose` proposes for the example is carried out as it stands, but for the one line that it says to
/// change.
#[test]
fn a_proposed_scenario_runs_on_the_stack_that_it_was_made_of() {
    let test = "a_proposed_scenario_runs_on_the_stack_that_it_was_made_of";
    if !whole_example() || engine_or_skip(test).is_none() {
        return;
    }
    let _turn = turn();
    let Some(base) = base_image() else { return };
    let bench = Bench::new();
    let shop = bench.path().join("proposed-shop");
    let example = repository().join("examples/compose");
    let copied = std::process::Command::new("cp").arg("-r").args([&example, &shop]).status().expect("cp");
    assert!(copied.success());
    bench.run(&["init", "--compose", "proposed-shop/compose.yaml"]).expect(0);
    let written = bench.path().join("murphy/cache-gone.yaml");
    let text = std::fs::read_to_string(&written).expect("a proposed scenario");
    let path = "GET http://127.0.0.1:${PORT:-8080}/\"";
    assert!(text.contains("CHANGE the path") && text.contains(path), "{text}");
    std::fs::write(&written, text.replace(path, "GET http://127.0.0.1:${PORT:-8080}/products/7\""))
        .expect("written");
    let [port] = free_ports();
    let ended = murphy_tests::expecting(0, || {
        let mut run = bench.command(&["run", "murphy/cache-gone.yaml"]);
        run.env("BASE", &base).env("PORT", port.to_string()).output().expect("the binary starts").into()
    });
    ended.says("fault ended cache").says("users success");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}
