//! What a person reads when a scenario is wrong: one committed text for each file in `broken/`.

use std::fmt::Write;
use std::path::Path;

use murphy_scenario::{Colour, Diagnostics, Environment, Settings, load, load_text};

fn settings() -> Settings {
    let table = [("BARE", "200"), ("TEXT", "very fast")];
    let table = table.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings { environment: Environment::Only(table.into()), ..Settings::default() }
}

fn problems(name: &str, text: &str) -> Diagnostics {
    match load_text(name, text, &settings()) {
        Ok(_) => panic!("{name} was accepted"),
        Err(problems) => problems,
    }
}

/// What is printed for bytes, which need not be text.
fn of_bytes(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let problems = load(file.path(), &settings()).expect_err("was accepted");
    problems.render(Colour::Never).replace(&file.path().display().to_string(), "FILE")
}

#[test]
fn every_broken_scenario_says_what_is_wrong_where_and_what_to_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut count = 0;
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let problems = problems(&name, &text);
        assert!(problems.has_errors(), "{name}");
        // The list of faults grows; the texts here are about scenarios.
        let text = problems.render(Colour::Never).replace(&murphy_faults::NAMES.join(", "), "<all faults>");
        insta::assert_snapshot!(name.trim_end_matches(".yaml"), text);
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

#[test]
fn files_that_are_no_scenario_are_refused_in_a_sentence() {
    let mut out = String::new();
    let large = vec![b'#'; 2 << 20];
    let utf16: Vec<u8> = "murphy: 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, &[u8]); 8] = [
        ("empty", b""),
        ("only a mark of byte order", b"\xef\xbb\xbf"),
        ("blank", b" \n\n  \n"),
        ("binary", b"\x7fELF\0\0\0"),
        ("two megabytes", &large),
        ("UTF-16", &[&[0xff, 0xfe], utf16.as_slice()].concat()),
        ("Latin-1", b"murphy: 1\nname: gr\xfc\xdfe\n"),
        ("Latin-1 at the end", b"murphy: 1\nname: gr\xfc"),
    ];
    for (what, bytes) in cases {
        writeln!(out, "# {what}\n{}", of_bytes(bytes)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_mark_of_byte_order_is_no_problem() {
    let text = "\u{feff}murphy: 1\nname: x\nload: { a: { http: http://127.0.0.1/, rate: 1/s } }\n";
    assert!(load_text("x", text, &settings()).is_ok());
}

#[test]
fn paths_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(&folder.path().join("none.yaml"), &settings()).unwrap_err();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
    let directory = load(folder.path(), &settings()).unwrap_err();
    assert!(directory.to_string().contains("directory"), "{directory}");
}

#[test]
fn problems_are_data_too() {
    let problems =
        problems("x.yaml", "murphy: 1\nname: x\nload: { a: { http: http://127.0.0.1/, rate: 1 } }\n");
    insta::assert_json_snapshot!(problems);
}

#[test]
fn a_file_of_many_mistakes_lists_the_first_and_counts_the_rest() {
    let mut text = String::from("murphy: 1\nname: x\n");
    for n in 0..200 {
        writeln!(text, "wrong{n}: 1").unwrap();
    }
    let problems = problems("x", &text);
    assert_eq!(problems.list.len(), 50);
}
