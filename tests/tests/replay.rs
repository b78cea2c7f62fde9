//! What was done by hand is done again by its recording: the same faults, at the same offsets, for as long.

use std::path::Path;

use murphy_tests::{Bench, Terminal, echo, free_ports, murphy};
use serde_json::Value;

/// How far an interval that is done again may be off, in microseconds.
const OFF: u64 = 50_000;

/// When faults stood, in microseconds from the beginning of the fault phase: by the name of the fault, in order.
type Stood = Vec<(String, u64, u64)>;

/// As the recording says.
fn recorded(bench: &Bench) -> Stood {
    let plan = bench.run(&["plan", "recorded.yaml", "--json"]).expect(0).stdout;
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let micros = |fault: &Value, key: &str| {
        let text = fault[key].as_str().unwrap_or_else(|| panic!("{key} of {fault}"));
        text.parse::<murphy_core::Span>().expect("a time").as_micros()
    };
    let faults = plan["faults"].as_array().expect("faults").iter();
    let stood = faults.map(|fault| {
        let (at, lasts) = (micros(fault, "at"), micros(fault, "for"));
        (fault["id"].as_str().expect("an id").to_owned(), at, at + lasts)
    });
    stood.collect()
}

/// As the journal of its run says.
fn replayed(journal: &Path) -> Stood {
    let text = std::fs::read_to_string(journal).expect("a journal");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let at = |event: &Value| event["at"].as_u64().expect("a time");
    let begun = events.iter().find(|event| event["kind"]["phase-started"]["phase"] == "fault");
    let begun = at(begun.expect("the fault phase"));
    let moment = |what: &str, fault: &str| {
        let found = events.iter().find(|event| event["kind"][what]["fault"] == fault);
        at(found.unwrap_or_else(|| panic!("{what} of {fault}"))).saturating_sub(begun)
    };
    let armed = events.iter().filter_map(|event| event["kind"]["fault-armed"]["fault"].as_str());
    armed
        .map(|fault| (fault.to_owned(), moment("fault-armed", fault), moment("fault-lifted", fault)))
        .collect()
}

/// The most that one moment is off; `None` if these are not the same faults in the same order.
fn farthest(recorded: &Stood, replayed: &Stood) -> Option<u64> {
    let same = recorded.len() == replayed.len();
    let pairs = recorded.iter().zip(replayed);
    let off =
        pairs.map(|(one, two)| (one.0 == two.0).then(|| one.1.abs_diff(two.1).max(one.2.abs_diff(two.2))));
    off.collect::<Option<Vec<u64>>>().filter(|_| same)?.into_iter().max()
}

#[test]
fn a_recording_puts_the_same_faults_up_for_the_same_times() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let line = format!("{} top --edge cache 127.0.0.1:{port} {upstream}", murphy().display());
    let Some(terminal) = Terminal::open("replay", &bench, &line) else { return };
    terminal.shows("no fault stands");
    terminal.typed("alatency 150ms");
    terminal.key("Enter");
    terminal.shows("ON  latency 150ms");
    terminal.key("Right");
    terminal.shows("ON  latency 170ms");
    terminal.typed("1");
    terminal.shows("off latency 170ms");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("ablackhole");
    terminal.key("Enter");
    terminal.shows("2 FAULTS STAND");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("q");
    terminal.shows("ended with 0");

    let recorded = recorded(&bench);
    assert_eq!(recorded.len(), 4, "put on, tuned, put on again, and another: {recorded:?}");
    assert!(recorded.iter().all(|(_, from, until)| from < until), "{recorded:?}");
    let mut last = None;
    // A machine that stands still for a moment is no fault of the recording.
    for _ in 0..3 {
        bench.run(&["run", "recorded.yaml"]);
        let replayed = replayed(bench.journals().last().expect("a run"));
        let off = farthest(&recorded, &replayed).unwrap_or_else(|| panic!("{recorded:?}\n{replayed:?}"));
        println!("{recorded:?}\n{replayed:?}\nat most {off} us off");
        if off <= OFF {
            return;
        }
        last = Some(off);
    }
    panic!("{last:?} us off");
}
