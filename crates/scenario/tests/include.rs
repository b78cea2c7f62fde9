//! `include:`: several files, one scenario; and what a person reads when one of them is wrong.

use std::path::{Path, PathBuf};

use murphy_core::Span;
use murphy_scenario::{Colour, Environment, Loaded, Settings, load, load_text};

fn settings() -> Settings {
    Settings { environment: Environment::Only(Default::default()), ..Settings::default() }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/include")
}

fn shop() -> Loaded {
    load(&folder().join("shop.yaml"), &settings()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn sections_of_several_files_are_one_scenario_and_the_including_file_wins() {
    let Loaded { plan, warnings, .. } = shop();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!((plan.phases.baseline, plan.phases.fault), (Span::from_secs(20), Span::from_secs(10)));
    // The included ones first.
    let faults: Vec<&str> = plan.faults.iter().map(|fault| fault.id.as_str()).collect();
    assert_eq!(faults, ["latency-1", "refuse-1"]);
    // Of `browse`, what the file itself says; `recovery` from the part.
    assert_eq!(plan.expectations.len(), 2, "{:?}", plan.expectations);
}

#[test]
fn paths_in_an_included_file_are_relative_to_that_file() {
    let plan = shop().plan;
    assert_eq!(plan.services[0].dir.as_deref(), Some(Path::new("parts/data")));
    let compose = plan.stack.unwrap().compose;
    assert_eq!(compose, [Path::new("parts/../deep/er/compose.yaml"), Path::new("/srv/compose.yaml")]);
}

#[test]
fn every_broken_include_says_what_is_wrong_in_which_file() {
    let mut count = 0;
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.is_file() && !path.ends_with("shop.yaml")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let problems = load(path, &settings()).expect_err(name);
        let text = problems.render(Colour::Never).replace(folder().to_str().unwrap(), "FOLDER");
        insta::assert_snapshot!(name, text);
        count += 1;
    }
    assert!(count >= 9, "{count}");
}

#[test]
fn a_text_that_is_no_file_includes_nothing() {
    let text = "murphy: 1\nname: x\ninclude: /etc/passwd\n";
    let problems = load_text("x.yaml", text, &settings()).unwrap_err().to_string();
    assert!(
        problems.contains("only a file can include others") && problems.contains("x.yaml:3:10"),
        "{problems}"
    );
}

#[test]
fn a_place_in_an_included_file_is_data_too() {
    let problems = load(&folder().join("wrong_inside.yaml"), &settings()).unwrap_err();
    let json = serde_json::to_value(&problems).unwrap();
    let files: Vec<_> = json["list"].as_array().unwrap().iter().map(|one| &one["location"]["file"]).collect();
    assert!(files.iter().any(|file| file.is_null()), "of the file itself: {json}");
    assert!(
        files.iter().any(|file| file.as_str().is_some_and(|file| file.ends_with("parts/wrong.yaml"))),
        "{json}"
    );
}

#[test]
fn what_is_included_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let large = format!("#{}\n", "x".repeat(700_000));
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(folder.path().join(name), &large).unwrap();
    }
    let names: Vec<String> = (0..70).map(|n| format!("f{n}.yaml")).collect();
    for name in &names {
        std::fs::write(folder.path().join(name), "probes: {}\n").unwrap();
    }
    let problems = |include: &str| {
        let path = folder.path().join("main.yaml");
        std::fs::write(&path, format!("murphy: 1\nname: x\ninclude: {include}\n")).unwrap();
        load(&path, &settings()).unwrap_err().to_string()
    };
    assert!(problems("[a.yaml, b.yaml]").contains("larger than 1 MiB"));
    assert!(problems(&format!("[{}]", names.join(", "))).contains("more than 64 included files"));
    // What never ends, or waits for a writer, is not even opened.
    for device in ["/dev/zero", "/dev/null"] {
        let problems = problems(device);
        assert!(problems.contains("not a plain file"), "{problems}");
    }
}

#[test]
fn a_variable_in_an_included_file_is_filled_and_a_matrix_reaches_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("part.yaml"),
        "edges: { cache: { listen: 127.0.0.1:1, to: 127.0.0.1:2 } }\n\
         load: { a: { http: http://127.0.0.1/, rate: 30/s } }\n\
         faults: [{ edge: cache, inject: { latency: \"${delay}\" } }]\n",
    )
    .unwrap();
    let path = folder.path().join("main.yaml");
    let text = "murphy: 1\nname: x\nlearn: all\ninclude: part.yaml\nmatrix: { delay: [1s, 2s] }\n";
    std::fs::write(&path, text).unwrap();
    let all = murphy_scenario::load_all(&path, &settings()).unwrap_or_else(|error| panic!("{error}"));
    let faults: Vec<String> = all.iter().map(|one| one.plan.faults[0].fault.text()).collect();
    assert_eq!(faults, ["latency 1s", "latency 2s"]);
}
