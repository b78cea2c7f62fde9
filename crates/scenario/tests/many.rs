//! What makes several things of one: `matrix` of a file, `every` and `ramp` of a fault.

use murphy_core::Span;
use murphy_scenario::{Environment, Settings, load_all_text, load_text};

fn settings() -> Settings {
    Settings { environment: Environment::Only(Default::default()), ..Settings::default() }
}

const MATRIX: &str = "murphy: 1\nname: slow\nlearn: all\nmatrix: { delay: [100ms, 2s], rate: [30/s, 60/s, 90/s] }\n\
    edges: { cache: { listen: 127.0.0.1:1, to: 127.0.0.1:2 } }\n\
    load: { a: { http: http://127.0.0.1/, rate: \"${rate}\" } }\n\
    faults: [{ edge: cache, inject: { latency: \"${delay}\" } }]\n";

#[test]
fn every_combination_of_a_matrix_is_a_scenario_with_a_name_of_its_own() {
    let all = load_all_text("x", MATRIX, &settings()).unwrap();
    let names: Vec<&str> = all.iter().map(|loaded| loaded.plan.name.as_str()).collect();
    assert_eq!(names.len(), 6);
    assert_eq!(names[0], "slow (delay=100ms, rate=30/s)");
    assert_eq!(names[5], "slow (delay=2s, rate=90/s)");
    assert_eq!(all[4].plan.faults[0].fault.text(), "latency 2s");
    assert!(all.iter().all(|loaded| loaded.warnings.is_empty()), "{}", all[0].warnings);
    // One of them again, as a report says it.
    let set = [("delay", "2s"), ("rate", "60/s")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let one = load_all_text("x", MATRIX, &Settings { set: set.into(), ..settings() }).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].plan.name, all[4].plan.name);
}

#[test]
fn a_value_of_a_matrix_that_is_wrong_is_told_where_it_is_used() {
    let text = MATRIX.replace("2s]", "fast]");
    let problems = load_all_text("x", &text, &settings()).unwrap_err().to_string();
    assert!(problems.contains("x:7:"), "{problems}");
}

#[test]
fn a_fault_comes_again_and_again_and_always_whole() {
    let text = MATRIX
        .replace("matrix: { delay: [100ms, 2s], rate: [30/s, 60/s, 90/s] }\n", "phases: { fault: 30s }\n");
    let text = text.replace("${rate}", "30/s").replace("\"${delay}\" }", "1s }, at: 1s, every: 10s, for: 9s");
    let plan = load_text("x", &text, &settings()).unwrap().plan;
    let seen: Vec<_> = plan.faults.iter().map(|fault| (fault.id.as_str(), fault.at, fault.lasts)).collect();
    let nine = Span::from_secs(9);
    assert_eq!(
        seen,
        [
            ("latency-1", Span::from_secs(1), nine),
            ("latency-1.2", Span::from_secs(11), nine),
            ("latency-1.3", Span::from_secs(21), nine),
        ]
    );
}

#[test]
fn a_fault_with_a_ramp_is_planned_step_by_step() {
    let text = MATRIX
        .replace("matrix: { delay: [100ms, 2s], rate: [30/s, 60/s, 90/s] }\n", "phases: { fault: 30s }\n")
        .replace("${rate}", "30/s")
        .replace(
            "\"${delay}\" }",
            "{ delay: 100ms, jitter: 10ms } }, ramp: { delay: { to: 1.1s, over: 10s }, jitter: { from: 0ms, to: 50ms } }",
        );
    let plan = load_text("x", &text, &settings()).unwrap_or_else(|error| panic!("{error}")).plan;
    let step = &plan.faults[0];
    assert_eq!(step.fault.settings()["delay"], "100ms");
    assert_eq!(step.fault.settings()["jitter"], "0s", "`from` wins over `inject`");
    let at = |seconds| {
        let stage = step.ramp.stages.iter().find(|stage| stage.after == Span::from_secs(seconds)).unwrap();
        stage.fault.settings()
    };
    assert_eq!((at(5)["delay"].as_str(), at(15)["delay"].as_str()), ("600ms", "1.1s"));
    assert_eq!(at(15)["jitter"], "25ms");
    assert!(step.ramp.stages.len() <= 200, "{}", step.ramp.stages.len());
    assert!(step.ramp.stages.is_sorted_by_key(|stage| stage.after));
    let started = serde_json::from_value(serde_json::json!("2026-11-24T10:00:00.000Z")).unwrap();
    let brief = plan.brief("0.1.0", "murphy run x", started);
    assert_eq!(brief.faults[0].settings["delay"], "100ms to 1.1s");
}
