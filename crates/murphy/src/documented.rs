//! What the documents tell a reader to type: every command line in a fenced block of every page is one that the binary
//! takes. Nothing is carried out here; `tests/tests/guide.rs` and `tests/tests/daemon_pages.rs` do that.

use std::path::{Path, PathBuf};

use clap::Parser as _;

use crate::args::Cli;
use crate::daemon_args::with_go_flags;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages =
        vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("examples/compose/README.md")];
    for folder in ["docs", "docs/adr"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("the documents");
        pages.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// The words of a line as a shell parts them: quotes, `&`, a comment, variables set in front. `None` where another
/// command stands.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '&' | '|' | '>' | ';') => break,
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    assert!(quote.is_none(), "a quote is not closed: {line}");
    words.extend(word);
    let from = words.iter().position(|word| word != "sudo" && !word.contains('='))?;
    (words[from] == "murphy" && words.get(from + 1).is_none_or(|next| !next.ends_with(':')))
        .then(|| words.split_off(from))
}

/// Those of a page: all lines of a `sh` block, and the lines of a `console` block that begin with `$ `.
fn commands(page: &str) -> Vec<Vec<String>> {
    let page = page.replace("\\\n", " ");
    let mut block: Option<&str> = None;
    let mut found = Vec::new();
    for line in page.lines() {
        let line = line.trim_start();
        if let Some(info) = line.strip_prefix("```") {
            block =
                if block.is_some() { None } else { Some(info.split_whitespace().next().unwrap_or_default()) };
            continue;
        }
        let typed = match block {
            Some("sh") => Some(line),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        // Other programs have words and quotes of their own.
        found.extend(typed.filter(|line| line.contains("murphy ")).and_then(words));
    }
    found
}

#[test]
fn every_command_of_the_documents_is_one_that_murphy_takes() {
    let mut count = 0;
    let mut refused = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for words in commands(&text) {
            count += 1;
            let line = words.join(" ");
            if let Err(error) = Cli::try_parse_from(with_go_flags(words.into_iter().map(Into::into)))
                && error.use_stderr()
            {
                refused.push(format!("{}: {line}\n{error}", page.display()));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(count >= 60, "only {count} commands were found");
}

#[test]
fn a_command_that_murphy_does_not_take_is_seen() {
    let page = "```sh\nsudo A=1 murphy pause 'a b' --nope \\\n  --for 1s & # x\n```\nmurphy out of a block\n";
    let found = commands(page);
    assert_eq!(found, [["murphy", "pause", "a b", "--nope", "--for", "1s"].map(str::to_owned)]);
    assert!(Cli::try_parse_from(found[0].clone()).is_err());
}
