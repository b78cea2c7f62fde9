//! The guide: every `sh` block is run, and of every other command it is said which test types it or does the same; every
//! scenario is checked, every link leads somewhere, and the reference is the binary's own.

mod elsewhere;

use elsewhere::ELSEWHERE;
use murphy_tests::{Bench, Finished, catalogue_scenario, expecting, fenced, free_ports, repository};

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

/// One line of a shell, with the binary under test as `murphy`.
fn shell(bench: &Bench, line: &str) -> Finished {
    let mut command = bench.shell("bash", &["-euo", "pipefail", "-c", line]);
    command.output().expect("bash starts").into()
}

/// What a reader of a page has before its first command.
fn had(page: &str, bench: &Bench) {
    if page == "pipelines.md" {
        let more = "phases: { warm-up: 500ms, baseline: 2s, fault: 2s, recovery: 500ms }\n\
                    faults: [{ edge: items, inject: { latency: 20ms } }]\n\
                    expect: { read: { success: \">= 90%\" } }\n";
        std::fs::create_dir(bench.path().join("murphy")).unwrap();
        bench.file("murphy/items.yaml", &catalogue_scenario("items are served", more));
    }
}

/// The first scenario that `init` writes with ports of this test and shorter phases.
fn shortened(bench: &Bench) {
    let mut text = std::fs::read_to_string(bench.path().join("murphy.yaml")).unwrap();
    let ports: [u16; 4] = free_ports();
    for (port, free) in [16700, 16701, 16702, 16703].into_iter().zip(ports) {
        text = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
    }
    let phases = "warm-up: 2s, baseline: 10s, fault: 10s, recovery: 10s";
    assert!(text.contains(phases), "{text}");
    text = text.replace(phases, "warm-up: 1s, baseline: 3s, fault: 3s, recovery: 6s");
    text = text.replace("recovery: \"<= 10s\"", "recovery: \"<= 2s\"");
    bench.file("murphy.yaml", &text);
}

/// It is carried out and ends with a verdict; which one, so few requests may leave open.
fn first_run(bench: &Bench, line: &str) {
    shortened(bench);
    let ended = shell(bench, line);
    assert!(matches!(ended.code, 0 | 1 | 4), "{ended:?}");
    ended.says("browse success").says("run directory");
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let mut commands = 0;
    for (page, text) in pages() {
        // One directory a page, as for a reader who follows it from top to bottom.
        let bench = Bench::new();
        had(&page, &bench);
        for (info, block) in fenced(&text) {
            match info.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["yaml", file, ..] => drop(bench.file(file, &block)),
                ["sh"] => {
                    for line in block.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
                        let (line, code) = match line.split_once("# exit code ") {
                            Some((line, code)) => (line, code.trim().parse().unwrap()),
                            None => (line, 0),
                        };
                        println!("{page}: {line}");
                        match (page.as_str(), line) {
                            ("get-started.md", "murphy run murphy.yaml") => first_run(&bench, line),
                            _ => drop(expecting(code, || shell(&bench, line))),
                        }
                        commands += 1;
                    }
                }
                _ => {}
            }
        }
    }
    assert!(commands >= 19, "{commands}");
}

/// The commands of Murphy that a page tells its reader to type, each with the kind of its block.
fn typed(text: &str) -> Vec<(String, String)> {
    let mut typed = Vec::new();
    for (info, block) in fenced(text) {
        let kind = info.first().map_or("", String::as_str);
        for line in block.replace("\\\n", " ").lines() {
            let command = match kind {
                "sh" => Some(line),
                "console" => line.strip_prefix("$ "),
                _ => None,
            };
            let of_murphy = |line: &&str| line.trim_start_matches("sudo ").starts_with("murphy ");
            typed.extend(command.filter(of_murphy).map(|line| (kind.to_owned(), line.to_owned())));
        }
    }
    typed
}

#[test]
fn every_command_of_every_page_is_run_or_has_a_test_that_does_the_same() {
    let mut all = vec!["README.md".to_owned(), "examples/compose/README.md".to_owned()];
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        all.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    let elsewhere: Vec<(&str, &str)> = ELSEWHERE.iter().flat_map(|test| test.commands).copied().collect();
    let (mut stands, mut used) = (0, vec![false; elsewhere.len()]);
    for page in all {
        let text = std::fs::read_to_string(repository().join(&page)).unwrap();
        let is_of_the_guide = page.strip_prefix("docs/").is_some_and(|name| GUIDE.contains(&name));
        for (kind, command) in typed(&text) {
            stands += 1;
            if is_of_the_guide && kind == "sh" {
                continue;
            }
            let of = |(place, begins): &(&str, &str)| *place == page && command.starts_with(begins);
            let mut found = false;
            for (entry, used) in elsewhere.iter().zip(&mut used) {
                if of(entry) {
                    (found, *used) = (true, true);
                }
            }
            assert!(found, "{page}: {command}\nnothing runs it: which test types it, or does the same?");
        }
    }
    assert!(stands >= 81, "{stands}");
    for ((page, begins), used) in elsewhere.iter().zip(used) {
        assert!(used, "{page} tells nobody to type `{begins}`");
    }
    for test in ELSEWHERE {
        test.types_its_commands();
    }
}

#[test]
fn every_scenario_of_the_guide_passes() {
    let bench = Bench::new();
    let mut files = Vec::new();
    for (page, text) in pages() {
        // One directory a page, so that a scenario finds the parts that it includes.
        let folder = page.trim_end_matches(".md");
        std::fs::create_dir(bench.path().join(folder)).unwrap();
        for (info, block) in fenced(&text) {
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
    let cookbook = files.iter().filter(|file| file.starts_with("cookbook/")).count();
    assert!(files.len() >= 34 && cookbook >= 33, "{files:?}");
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
