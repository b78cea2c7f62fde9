//! `murphy explain`: reference, from the same definitions as the code.

use murphy_verdict::DETECTORS;

use super::print;
use crate::args::ExplainArgs;
use crate::exit::Exit;

/// Explains one thing or lists what there is.
pub fn run(args: &ExplainArgs) -> Exit {
    let topic = args.topic.as_deref().unwrap_or("");
    let text = match topic {
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
    };
    print(&text);
    Exit::Graceful
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
