//! What the pages of the guide show of a shell: commands, and what was answered.

use crate::action::repository;

/// One command of a console block, and the lines that stand below it.
#[derive(Debug)]
pub struct Typed {
    /// What is typed behind the `$ `.
    pub command: String,
    /// What is shown below it.
    pub shown: Vec<String>,
}

/// The `console` blocks of a page of `docs/`, in order. Each begins with a command.
pub fn consoles(page: &str) -> Vec<Vec<Typed>> {
    let text = std::fs::read_to_string(repository().join("docs").join(page)).expect("a page");
    let mut blocks: Vec<Vec<Typed>> = Vec::new();
    let mut block: Option<&str> = None;
    for line in text.lines() {
        match (block, line.strip_prefix("```")) {
            (None, Some(info)) => {
                if info == "console" {
                    blocks.push(Vec::new());
                }
                block = Some(info);
            }
            (Some(_), Some(_)) => block = None,
            (Some("console"), None) => {
                let commands = blocks.last_mut().expect("a block");
                match line.strip_prefix("$ ") {
                    Some(command) => {
                        commands.push(Typed { command: command.to_owned(), shown: Vec::new() });
                    }
                    None => commands.last_mut().expect("a command above").shown.push(line.to_owned()),
                }
            }
            (_, None) => {}
        }
    }
    blocks
}
