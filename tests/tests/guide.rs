//! The guide: every `sh` block is run, every scenario is checked, every link leads somewhere, and the reference is the
//! binary's own.

use murphy_tests::{Bench, Finished, repository};

/// The pages of the guide. The other pages of `docs/` speak of containers, daemons and measurements that a shell line
/// alone cannot bring about; tests of their own stand behind them.
const GUIDE: [&str; 7] = [
    "README.md",
    "concepts.md",
    "cookbook.md",
    "get-started.md",
    "pipelines.md",
    "reference.md",
    "troubleshooting.md",
];

fn pages() -> Vec<(String, String)> {
    GUIDE
        .iter()
        .map(|name| {
            let text = std::fs::read_to_string(repository().join("docs").join(name)).unwrap();
            ((*name).to_owned(), text)
        })
        .collect()
}

/// Fenced blocks: the words behind the fence, and the text.
fn blocks(page: &str) -> Vec<(Vec<String>, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(Vec<String>, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some((info.split_whitespace().map(str::to_owned).collect(), String::new()));
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// One line of a shell, with the binary under test as `murphy`.
fn shell(bench: &Bench, line: &str) -> Finished {
    let mut command = bench.shell("bash", &["-euo", "pipefail", "-c", line]);
    command.output().expect("bash starts").into()
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let mut commands = 0;
    for (page, text) in pages() {
        // One directory a page, as for a reader who follows it from top to bottom.
        let bench = Bench::new();
        for (info, block) in blocks(&text) {
            match info.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["yaml", file, ..] => drop(bench.file(file, &block)),
                ["sh"] => {
                    for line in block.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
                        let (line, code) = match line.split_once("# exit code ") {
                            Some((line, code)) => (line, code.trim().parse().unwrap()),
                            None => (line, 0),
                        };
                        let ended = shell(&bench, line);
                        assert_eq!(ended.code, code, "{page}: {line}\n{ended:?}");
                        commands += 1;
                    }
                }
                _ => {}
            }
        }
    }
    assert!(commands >= 10, "{commands}");
}

#[test]
fn every_scenario_of_the_guide_passes() {
    let bench = Bench::new();
    let mut files = Vec::new();
    for (page, text) in pages() {
        // One directory a page, so that a scenario finds the parts that it includes.
        let folder = page.trim_end_matches(".md");
        std::fs::create_dir(bench.path().join(folder)).unwrap();
        for (info, block) in blocks(&text) {
            let broken = info.iter().any(|word| word == "broken");
            let ["yaml", name, ..] = info.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
                assert!(broken || !block.contains("murphy: 1"), "{page}: a scenario without a file name");
                continue;
            };
            let file = format!("{folder}/{name}");
            bench.file(&file, &block);
            if block.contains("murphy: 1") && !broken {
                files.push(file);
            }
        }
    }
    assert!(files.len() >= 18, "{files:?}");
    let args: Vec<&str> = std::iter::once("check").chain(files.iter().map(String::as_str)).collect();
    let checked = bench.run(&args).expect(0);
    assert!(checked.stderr.is_empty(), "warnings: {}", checked.stderr);
}

#[test]
fn every_link_of_the_guide_leads_to_a_file() {
    for (page, text) in pages() {
        for (_, rest) in text.match_indices("](").map(|(at, _)| (at, &text[at + 2..])) {
            let target = rest.split(')').next().unwrap().split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(repository().join("docs").join(target).exists(), "{page}: {target}");
            }
        }
    }
}

#[test]
fn the_reference_is_the_binary_s() {
    let bench = Bench::new();
    let printed = bench.run(&["reference"]).expect(0).stdout;
    let published = std::fs::read_to_string(repository().join("docs/reference.md")).unwrap_or_default();
    assert!(printed == published, "docs/reference.md is not current: make reference");
}
