//! `murphy reference`: the reference page of the guide, from the same definitions as the code.

use super::reference_keys::keys;
use super::{fail, print};
use crate::exit::Exit;

/// Prints it as Markdown.
pub fn run() -> Exit {
    let mut page = String::from("# Reference\n\nMade by `make reference`; do not edit.\n\n## Exit codes\n\n");
    for (code, meaning) in Exit::TABLE {
        page += &format!("- **{code}** {meaning}\n");
    }
    page += "\nThe worst of several scenarios wins.\n\n## Scenarios\n\n\
             Every key that a scenario may have; those in bold must be there. `NAME` is a name of your own, `[]` an entry of a list. \
             [scenario.schema.json](scenario.schema.json) says the same to an editor (`murphy schema`).\n";
    match serde_json::from_str(&murphy_scenario::SCHEMA) {
        Ok(schema) => page += &keys(&schema),
        Err(error) => return fail(Exit::Failed, &error),
    }
    page += "\n## Faults\n";
    for entry in murphy_faults::catalogue() {
        page += &format!("\n### {}\n\n{}\n", entry.name, entry.about);
        if !entry.fields.is_empty() {
            page.push('\n');
        }
        for field in &entry.fields {
            page += &format!("- `{}`: {}\n", field.name, field.about);
        }
        page += &format!("\n```yaml\n{}\n```\n", entry.example.trim_end());
    }
    page += "\n## Detectors\n\nWhat a service does about a sick dependency; how far each can be believed: \
             [detectors](detectors.md).\n";
    for words in murphy_verdict::DETECTORS {
        page += &format!(
            "\n### {} detector\n\n{} Needs: {}.\n",
            words.detector.name(),
            words.question,
            words.needs
        );
        if !words.expect.is_empty() {
            page += &format!("\n```text\n{}\n```\n", words.expect.join("\n"));
        }
    }
    print(&page);
    Exit::Graceful
}
