//! `murphy explain`: reference, from the same definitions as the code.

use super::{fail, print};
use crate::args::ExplainArgs;
use crate::exit::Exit;

/// Explains one thing or lists what there is.
pub fn run(args: &ExplainArgs) -> Exit {
    let topic = args.topic.as_deref().unwrap_or("");
    let text = match topic {
        "" => faults() + "\n" + &exit_codes() + "\nmurphy explain NAME tells more about a fault or a code.\n",
        "faults" => faults(),
        "exit-codes" => exit_codes(),
        _ => match fault(topic).or_else(|| exit_code(topic)) {
            Some(text) => text,
            None => {
                let known: Vec<&str> = murphy_faults::catalogue().iter().map(|entry| entry.name).collect();
                let message = format!(
                    "there is nothing called `{topic}`; faults: {}; exit codes: 0 to 5, 129, 130, 143",
                    known.join(", ")
                );
                return fail(Exit::Usage, &message);
            }
        },
    };
    print(&text);
    Exit::Graceful
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
