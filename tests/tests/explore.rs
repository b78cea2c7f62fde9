//! `murphy explore`: the same faults on the same edges, one at a time and two together, tell two builds of one shop apart.

use murphy_tests::Bench;
use serde_json::Value;

struct Explored {
    text: String,
    matrix: Value,
}

impl Explored {
    fn new(build: &str, code: i32) -> Explored {
        let bench = Bench::new();
        bench.run(&["demo", "--write", "."]).expect(0);
        let file = format!("{build}.yaml");
        let words = ["explore", &file, "--faults", "blackhole", "--pairs", "--seed", "7"];
        let told = bench.run(&[words.as_slice(), &["--json", "matrix.json"]].concat()).expect(code);
        let text = std::fs::read_to_string(bench.path().join("matrix.json")).expect("a matrix");
        let matrix: Value = serde_json::from_str(&text).expect("JSON");
        // Each is an ordinary run, which can be judged again.
        for cell in matrix["cells"].as_array().expect("cells") {
            let run = cell["run"].as_str().expect("a run directory");
            assert!(bench.path().join(run).join("report.txt").is_file(), "{run}");
            let again = bench.run(&["report", run, "--json"]).stdout;
            let again: Value = serde_json::from_str(&again).expect("JSON");
            assert_eq!(again["verdict"], cell["verdict"]);
        }
        Explored { text: told.stdout, matrix }
    }

    /// Verdict, and the class of a load, under a fault on these edges.
    fn cell(&self, edge: &str, load: &str) -> Option<(&str, &str)> {
        let cell = self.matrix["cells"].as_array()?.iter().find(|cell| cell["edge"] == edge)?;
        let users = cell["users"].as_array()?.iter().find(|users| users["load"] == load)?;
        Some((cell["verdict"].as_str()?, users["class"].as_str()?))
    }
}

#[test]
fn a_dependency_that_hangs_takes_all_users_of_the_careless_shop_and_none_who_browse_the_careful_one() {
    // One after the other: a run that has the machine for itself is judged by what the shop does.
    let careless = Explored::new("careless", 1);
    let careful = Explored::new("careful", 0);
    assert_eq!(careful.cell("payments", "browse"), Some(("graceful", "soft")), "{}", careful.text);
    assert_eq!(careless.cell("payments", "browse"), Some(("not-graceful", "hard")), "{}", careless.text);
    assert!(careless.text.contains("browse success"), "what did not hold is said:\n{}", careless.text);
    // Nobody can order in either shop: there is no stand-in for money.
    for shop in [&careful, &careless] {
        assert_eq!(shop.cell("payments", "order").map(|(_, class)| class), Some("hard"), "{}", shop.text);
    }
    // What was no harm alone is tried together; what was is not, and that is said.
    let both = ["catalogue + payments", "payments + catalogue"].map(|edge| careful.cell(edge, "browse"));
    assert!(both.contains(&Some(("graceful", "soft"))), "{}", careful.text);
    assert_eq!(careless.matrix["cells"].as_array().map(Vec::len), Some(2), "{}", careless.text);
    let left_out = "left out: pairs with blackhole on payments: alone it is not graceful; taken for granted";
    assert!(careless.text.contains(left_out), "{}", careless.text);
}

#[test]
fn nothing_is_begun_for_which_there_is_no_time_and_that_is_no_pass() {
    let bench = Bench::new();
    bench.run(&["demo", "--write", "."]).expect(0);
    let told = bench.run(&["explore", "careful.yaml", "--budget", "5s", "--only-edge", "payments"]).expect(4);
    assert!(told.stdout.contains("0 tried, 7 left out"), "{}", told.stdout);
    assert!(told.stdout.contains("left out: latency 1s on payments: no time is left"), "{}", told.stdout);
}

#[test]
fn a_word_that_is_no_edge_or_no_fault_is_answered_with_those_that_are() {
    let bench = Bench::new();
    bench.run(&["demo", "--write", "."]).expect(0);
    let told = bench.run(&["explore", "careful.yaml", "--only-edge", "nonsense"]).expect(2);
    assert!(told.stderr.contains("--only-edge nonsense: there are catalogue, payments"), "{}", told.stderr);
    let told = bench.run(&["explore", "careful.yaml", "--faults", "nonsense"]).expect(2);
    assert!(told.stderr.contains("blackhole, refuse, latency"), "{}", told.stderr);
}
