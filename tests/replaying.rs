//! When faults stood: as a recording says it, and as a run of that recording did it.

use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, Finished};

/// How far an interval that is done again may be off, in microseconds.
const OFF: u64 = 50_000;

/// When faults stood, in microseconds from the beginning of the fault phase: sorted by the names of the faults.
pub type Stood = Vec<(String, u64, u64)>;

/// As `recorded.yaml` says.
pub fn recorded(bench: &Bench) -> Stood {
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
    sorted(stood.collect())
}

fn sorted(mut stood: Stood) -> Stood {
    stood.sort();
    stood
}

/// As the journal of a run says.
pub fn replayed(journal: &Path) -> Stood {
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
    let stood =
        armed.map(|fault| (fault.to_owned(), moment("fault-armed", fault), moment("fault-lifted", fault)));
    sorted(stood.collect())
}

/// The most that one moment is off; `None` if these are not the same faults.
pub fn farthest(recorded: &Stood, replayed: &Stood) -> Option<u64> {
    let same = recorded.len() == replayed.len();
    let pairs = recorded.iter().zip(replayed);
    let off =
        pairs.map(|(one, two)| (one.0 == two.0).then(|| one.1.abs_diff(two.1).max(one.2.abs_diff(two.2))));
    off.collect::<Option<Vec<u64>>>().filter(|_| same)?.into_iter().max()
}

/// Asserts that the recording was done again at the same times by one of the runs in this bench, of which there are more then: a machine
/// that stands still for a moment is no fault of it.
#[track_caller]
pub fn assert_replayed(bench: &Bench) {
    let recorded = recorded(bench);
    assert!(recorded.iter().all(|(_, from, until)| from < until), "{recorded:?}");
    let off = |journal: &Path| {
        let replayed = replayed(journal);
        farthest(&recorded, &replayed).unwrap_or_else(|| panic!("{recorded:?}\n{replayed:?}"))
    };
    let least = || bench.journals().iter().map(|journal| off(journal)).min().expect("a run");
    for _ in 0..4 {
        if least() <= OFF {
            return;
        }
        bench.run(&["run", "recorded.yaml"]);
    }
    assert!(least() <= OFF, "{} us off: {recorded:?}", least());
}

/// Runs the recording, with little time before and after it, until its faults stood at the same times; five times at most. Gives the
/// last run.
#[track_caller]
pub fn replay(bench: &Bench) -> Finished {
    let path = bench.path().join("recorded.yaml");
    let text = std::fs::read_to_string(&path).expect("a recording");
    let long = ["baseline: 10s", "baseline: 5s", "recovery: 10s"];
    let short = long.iter().fold(text, |text, long| {
        let (phase, _) = long.split_once(' ').expect("a phase and its time");
        text.replace(long, &format!("{phase} 1s"))
    });
    std::fs::write(&path, short).expect("it can be written");
    let recorded = recorded(bench);
    let mut left = 5;
    let last = loop {
        let ended = bench.run(&["run", "recorded.yaml"]);
        let replayed = replayed(bench.journals().last().expect("a run"));
        left -= 1;
        if left == 0 || farthest(&recorded, &replayed).is_some_and(|off| off <= OFF) {
            break ended;
        }
        println!("again: {recorded:?}\n{replayed:?}");
    };
    assert_replayed(bench);
    last
}
