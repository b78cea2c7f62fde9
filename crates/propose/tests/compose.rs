//! Proposals from compose files: what is written passes the checks of the scenario language, whatever the file holds.

use murphy_propose::{Compose, Technology, dependencies, first, scenarios};
use murphy_scenario::{Environment, Settings, load_text};

fn settings() -> Settings {
    Settings { environment: Environment::Only(Default::default()), ..Settings::default() }
}

#[track_caller]
fn passes(name: &str, text: &str) {
    match load_text(name, text, &settings()) {
        Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}\n{text}", loaded.warnings),
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

fn example() -> Compose {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/compose/compose.yaml");
    Compose::read(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_first_scenario_passes() {
    passes("murphy.yaml", first());
}

#[test]
fn the_example_stack_is_understood() {
    let found: Vec<_> = dependencies(&example())
        .into_iter()
        .map(|found| (found.from, found.to, found.port, found.technology, found.because.join(", ")))
        .collect();
    let expected = [
        ("front", "web", None, Technology::Unknown, "depends_on"),
        ("web", "cache", Some(6379), Technology::Redis, "environment CACHE, depends_on"),
        ("web", "db", Some(5432), Technology::Postgres, "environment DATABASE, depends_on"),
        ("web", "payments", Some(8000), Technology::Http, "environment PAYMENTS, depends_on"),
    ];
    let expected = expected
        .map(|(from, to, port, kind, why)| (from.to_owned(), to.to_owned(), port, kind, why.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn every_dependency_of_the_example_gets_two_scenarios_that_pass() {
    let proposals = scenarios(&example(), "../compose.yaml");
    let files: Vec<&str> = proposals.iter().map(|proposal| proposal.file.as_str()).collect();
    let expected = [
        "cache-gone.yaml",
        "cache-hangs.yaml",
        "db-gone.yaml",
        "db-hangs.yaml",
        "payments-gone.yaml",
        "payments-hangs.yaml",
        "web-gone.yaml",
        "web-hangs.yaml",
    ];
    assert_eq!(files, expected);
    for proposal in &proposals {
        passes(&proposal.file, &proposal.text);
        assert!(proposal.text.contains("GET http://127.0.0.1:${PORT:-8080}/"), "{}", proposal.text);
    }
    insta::assert_snapshot!(proposals[0].text);
}

#[test]
fn odd_compose_files_give_scenarios_that_pass_too() {
    let odd = [
        "services: { only: {} }",
        "services: { web: { ports: ['80'] } }",
        "services:\n  'a b\"c': { image: redis, depends_on: ['d${E}'] }\n  'd${E}': { ports: [8080:80] }\n",
        "services: { a: { depends_on: [b] }, b: { depends_on: [a] } }",
        "services: { web: null, db: { image: [1, 2], ports: 7, environment: 3 } }",
        "services:\n  web: { image: web, ports: ['${PORT}:80'], environment: { DB: 'postgres://u:p@db:5433/x' } }\n  db: { image: postgres }\n",
        "services: { \"x\\ny\": { image: redis }, web: { depends_on: [\"x\\ny\"] } }",
    ];
    for text in odd {
        let compose = Compose::read(text).unwrap();
        for proposal in scenarios(&compose, "../a \"b\"/compose.yaml") {
            assert!(!proposal.file.contains(['/', '\n', '"']), "{}", proposal.file);
            passes(&proposal.file, &proposal.text);
        }
    }
}
