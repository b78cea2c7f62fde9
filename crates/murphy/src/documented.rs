//! What the documents tell a reader to type: every command line in a fenced block of every page is one that the binary
//! takes. Nothing is carried out here; `tests/tests/guide.rs` says which test does that.

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

/// A line of a fenced block.
enum Line {
    /// One that the reader types: each of a `sh` block, and those of a `console` block that begin with `$ `.
    Typed(String),
    /// What a program answers, or a file.
    Shown(String),
}

fn lines(page: &str) -> Vec<Line> {
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
        found.push(match (block, line.strip_prefix("$ ")) {
            (None, _) => continue,
            (Some("sh"), _) => Line::Typed(line.to_owned()),
            (Some("console"), Some(typed)) => Line::Typed(typed.to_owned()),
            (Some(_), _) => Line::Shown(line.to_owned()),
        });
    }
    found
}

fn commands(page: &str) -> Vec<Vec<String>> {
    let typed = lines(page).into_iter().filter_map(|line| match line {
        Line::Typed(line) => Some(line),
        Line::Shown(_) => None,
    });
    // Other programs have words and quotes of their own.
    typed.filter(|line| line.contains("murphy ")).filter_map(|line| words(&line)).collect()
}

/// Lines that begin as a command does and are none: their beginning, and what they are.
const SHOWN: [(&str, &str); 1] = [("murphy top · ", "the head of the live view")];

/// Lines of any block that look like a command of Murphy, and that nobody would try as one.
fn unseen(page: &str) -> Vec<String> {
    let looks_like_one = |line: &String| {
        let line = line.trim_start_matches("$ ").trim_start_matches("sudo ");
        line.starts_with("murphy ") && !SHOWN.iter().any(|(begins, _)| line.starts_with(begins))
    };
    let shown = lines(page).into_iter().filter_map(|line| match line {
        Line::Shown(line) => Some(line),
        Line::Typed(_) => None,
    });
    // `murphy serve: control API on …` is what a command says.
    let says = |line: &String| line.split(' ').nth(1).is_some_and(|word| word.ends_with(':'));
    shown.filter(looks_like_one).filter(|line| !says(line)).collect()
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
    assert!(count >= 81, "only {count} commands were found");
}

#[test]
fn no_block_of_the_documents_hides_a_command_that_is_not_tried() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let unseen = unseen(&text);
        assert!(
            unseen.is_empty(),
            "{}: write `$ ` before it, or `sh` at the block: {unseen:?}",
            page.display()
        );
    }
    let page = "```console\nmurphy run x\nmurphy serve: ready\n murphy top · seed 1\n```\n\
                ```text\nsudo murphy pause a\n$ murphy stop a\n```\n";
    assert_eq!(unseen(page), ["murphy run x", "sudo murphy pause a", "$ murphy stop a"]);
}

#[test]
fn a_command_that_murphy_does_not_take_is_seen() {
    let page = "```sh\nsudo A=1 murphy pause 'a b' --nope \\\n  --for 1s & # x\n```\nmurphy out of a block\n";
    let found = commands(page);
    assert_eq!(found, [["murphy", "pause", "a b", "--nope", "--for", "1s"].map(str::to_owned)]);
    assert!(Cli::try_parse_from(found[0].clone()).is_err());
}
