//! First scenarios: what `murphy init` writes passes `murphy check`. That the first one runs is held in `guide.rs`.

use murphy_tests::Bench;
use serde_json::json;

#[test]
fn the_first_scenario_is_written_and_checked() {
    let bench = Bench::new();
    bench.run(&["init"]).expect(0).says("murphy.yaml").says("murphy run murphy.yaml");
    bench.run(&["check", "murphy.yaml"]).expect(0);
    bench.run(&["plan", "murphy.yaml"]).expect(0).says("undo");
    // Never written over.
    bench.run(&["init"]).expect(2).says("there already");
    // A program is told what is new; of what was there nothing is.
    let json = ["init", "--output", "json", "--out", "mine/first.yaml"];
    assert_eq!(bench.run(&json).expect(0).json(), json!({ "written": ["mine/first.yaml"] }));
    bench.run(&["check", "mine/first.yaml"]).expect(0);
    assert_eq!(bench.run(&json).expect(2).says("there already").json(), json!({ "written": [] }));
}

#[test]
fn a_compose_file_gives_scenarios_that_pass() {
    let bench = Bench::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/compose/compose.yaml");
    bench.file("compose.yaml", &std::fs::read_to_string(example).unwrap());
    bench
        .run(&["init", "--compose", "compose.yaml"])
        .expect(0)
        .says("web calls cache:6379    (environment CACHE, depends_on)")
        .says("murphy/cache-gone.yaml");
    bench.run(&["check", "murphy"]).expect(0).says("murphy/db-hangs.yaml: ok");
    bench.run(&["plan", "murphy/cache-hangs.yaml"]).expect(0).says("pause");
    let told =
        bench.run(&["init", "--compose", "compose.yaml", "--out", "told", "--output", "json"]).expect(0);
    let told = told.json();
    let call =
        json!({ "from": "web", "to": "cache", "port": 6379, "because": ["environment CACHE", "depends_on"] });
    assert!(told["calls"].as_array().is_some_and(|calls| calls.contains(&call)), "{told}");
    let mut files: Vec<String> = std::fs::read_dir(bench.path().join("told"))
        .unwrap()
        .map(|entry| format!("told/{}", entry.unwrap().file_name().into_string().unwrap()))
        .collect();
    files.sort();
    let mut written: Vec<&str> =
        told["written"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    written.sort_unstable();
    assert_eq!(files, written);
    assert!(written.contains(&"told/cache-gone.yaml"), "{told}");
    bench.run(&["init", "--compose", "nowhere.yaml"]).expect(2).says("nowhere.yaml");
    bench.file("none.yaml", "version: '3'\n");
    bench.run(&["init", "--compose", "none.yaml"]).expect(2).says("no `services:`");
    // Without it, it is pointed at.
    bench.run(&["init"]).expect(0).says("murphy init --compose compose.yaml");
}
