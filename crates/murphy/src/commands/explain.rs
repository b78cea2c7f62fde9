//! `murphy explain`: reference, from the same definitions as the code.

use murphy_faults::{Entry, Field, Grain, Place};
use murphy_verdict::{DETECTORS, DetectorWords};
use serde::Serialize;

use super::answer::answer;
use crate::args::ExplainArgs;
use crate::exit::Exit;

/// Explains one thing or lists what there is.
pub fn run(args: &ExplainArgs) -> Exit {
    let topic = args.topic.as_deref().unwrap_or("");
    answer(args.answer.output, &Explained::of(topic), || text(topic))
}

/// What is meant by a topic, for a program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Explained {
    faults: Vec<FaultTold>,
    detectors: Vec<DetectorTold>,
    exit_codes: Vec<CodeTold>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct FaultTold {
    name: &'static str,
    about: &'static str,
    /// What it can sit on, by the keys of a scenario.
    places: Vec<&'static str>,
    /// On an edge: `connections` or `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    acts_on: Option<&'static str>,
    /// The field that a bare value stands for.
    shorthand: Option<&'static str>,
    fields: &'static [Field],
    /// A whole fault as YAML.
    example: &'static str,
}

#[derive(Debug, Serialize)]
struct DetectorTold {
    name: &'static str,
    question: &'static str,
    needs: &'static str,
    /// Lines of `expect:` that ask for it.
    expect: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct CodeTold {
    code: u8,
    meaning: &'static str,
}

impl Explained {
    fn of(topic: &str) -> Explained {
        // One name may be that of a fault and of a detector: `timeout`.
        let is_meant = |list: &str, name: &str| topic.is_empty() || topic == list || topic == name;
        let faults = murphy_faults::catalogue().iter().filter(|entry| is_meant("faults", entry.name));
        let detectors = DETECTORS.iter().filter(|words| is_meant("detectors", words.detector.name()));
        let codes = Exit::TABLE.into_iter().filter(|(code, _)| is_meant("exit-codes", code));
        Explained {
            faults: faults.map(FaultTold::of).collect(),
            detectors: detectors.map(DetectorTold::of).collect(),
            exit_codes: codes
                .filter_map(|(code, meaning)| Some(CodeTold { code: code.parse().ok()?, meaning }))
                .collect(),
        }
    }
}

impl FaultTold {
    fn of(entry: &'static Entry) -> FaultTold {
        let places: Vec<Place> = std::iter::once(entry.place).chain(entry.also.iter().copied()).collect();
        FaultTold {
            name: entry.name,
            about: entry.about,
            places: places.iter().map(|place| place.key()).collect(),
            acts_on: places.contains(&Place::Edge).then_some(match entry.grain {
                Grain::Connections => "connections",
                Grain::Requests => "requests",
            }),
            shorthand: entry.shorthand,
            fields: &entry.fields,
            example: entry.example,
        }
    }
}

impl DetectorTold {
    fn of(words: &'static DetectorWords) -> DetectorTold {
        let DetectorWords { detector, question, needs, expect } = *words;
        DetectorTold { name: detector.name(), question, needs, expect }
    }
}

/// What is meant by a topic, for a person.
fn text(topic: &str) -> String {
    match topic {
        "" => {
            let all = [faults(), detectors(), exit_codes()].join("\n");
            all + "\nmurphy explain NAME tells more about a fault, a detector or a code.\n"
        }
        "faults" => faults(),
        "detectors" => detectors(),
        "exit-codes" => exit_codes(),
        // One name may be that of a fault and of a detector: `timeout`.
        _ => [fault(topic), detector(topic), exit_code(topic)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// All that can be explained, for completions and for whoever mistypes one.
pub fn topics() -> Vec<&'static str> {
    let mut topics = vec!["faults", "detectors", "exit-codes"];
    topics.extend(murphy_faults::NAMES);
    topics.extend(
        DETECTORS
            .iter()
            .map(|words| words.detector.name())
            .filter(|name| !murphy_faults::NAMES.contains(name)),
    );
    topics.extend(Exit::TABLE.iter().map(|(code, _)| *code));
    topics
}

fn faults() -> String {
    let mut text = "faults\n".to_owned();
    for entry in murphy_faults::catalogue() {
        text += &format!("  {:<18} {}\n", entry.name, entry.about);
    }
    text
}

fn fault(name: &str) -> Option<String> {
    let entry = murphy_faults::catalogue().iter().find(|entry| entry.name == name)?;
    let mut text = format!("{}: {}\n\n", entry.name, entry.about);
    if !entry.fields.is_empty() {
        text += "fields\n";
        for field in &entry.fields {
            text += &format!("  {:<14} {}\n", field.name, field.about);
        }
        text.push('\n');
    }
    text += "for example\n";
    for line in entry.example.lines() {
        text += &format!("  {line}\n");
    }
    Some(text)
}

fn detectors() -> String {
    let mut text = "detectors\n".to_owned();
    for words in DETECTORS {
        text += &format!("  {:<18} {}\n", words.detector.name(), words.question);
    }
    text
}

fn detector(name: &str) -> Option<String> {
    let words = DETECTORS.iter().find(|words| words.detector.name() == name)?;
    let mut text = format!("detector {name}: {}\n\nneeds\n  {}\n", words.question, words.needs);
    for (index, line) in words.expect.iter().enumerate() {
        text += &format!("{}  {line}\n", if index == 0 { "\nexpect\n" } else { "" });
    }
    Some(text)
}

fn exit_codes() -> String {
    let mut text = "exit codes\n".to_owned();
    for (code, meaning) in Exit::TABLE {
        text += &format!("  {code:<5} {meaning}\n");
    }
    text
}

fn exit_code(code: &str) -> Option<String> {
    Exit::meaning(code).map(|meaning| format!("exit code {code}: {meaning}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many faults, detectors and exit codes a program is told.
    fn counts(topic: &str) -> [usize; 3] {
        let Explained { faults, detectors, exit_codes } = Explained::of(topic);
        [faults.len(), detectors.len(), exit_codes.len()]
    }

    #[test]
    fn a_program_is_told_of_what_is_meant_and_of_nothing_else() {
        let all = [murphy_faults::NAMES.len(), DETECTORS.len(), Exit::TABLE.len()];
        assert_eq!(counts(""), all);
        assert_eq!(counts("faults"), [all[0], 0, 0]);
        assert_eq!(counts("detectors"), [0, all[1], 0]);
        assert_eq!(counts("exit-codes"), [0, 0, all[2]]);
        assert_eq!(counts("timeout"), [1, 1, 0]);
        for topic in topics() {
            let told = counts(topic).iter().sum::<usize>();
            assert!(told > 0 && !text(topic).is_empty(), "{topic}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_places_its_fields_and_an_example() {
        let told = serde_json::to_value(Explained::of("latency")).unwrap();
        let latency = &told["faults"][0];
        assert_eq!((&latency["name"], &latency["acts-on"]), (&"latency".into(), &"connections".into()));
        let places = latency["places"].as_array().unwrap();
        assert!(places.contains(&"edge".into()) && places.contains(&"network".into()), "{latency}");
        let delay = latency["fields"].as_array().unwrap().iter().find(|field| field["name"] == "delay");
        assert_eq!(delay.map(|field| &field["required"]), Some(&true.into()), "{latency}");
        assert!(latency["example"].as_str().unwrap().contains("latency"), "{latency}");
        let kill = serde_json::to_value(Explained::of("kill")).unwrap();
        assert_eq!(kill["faults"][0].get("acts-on"), None, "{kill}");
    }
}
