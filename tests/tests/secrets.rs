//! Secrets from the environment and from `--set`: in no file of the run directory, in no report, in nothing printed.

use std::path::Path;

use murphy_tests::{Bench, Finished, free_ports};

/// A service that prints a secret, a command probe that prints another, one in a header, one in a URL, one in the name.
fn scenario() -> String {
    let [service, edge]: [u16; 2] = free_ports();
    format!(
        r#"murphy: 1
name: said to ${{DB_PASSWORD}}
secrets: [DSN]
services:
  chatty:
    run: [sh, -c, "echo starting with ${{DB_PASSWORD}} and $TOKEN; exec \"$0\" demo-service catalogue --listen 127.0.0.1:{service}", "${{MURPHY}}"]
    env: {{ TOKEN: "${{API_TOKEN}}" }}
    ready: {{ tcp: "127.0.0.1:{service}" }}
    within: 30s
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service}" }}
load:
  read:
    http: "GET http://127.0.0.1:{edge}/items/${{DB_PASSWORD}}"
    headers: {{ authorization: "Bearer ${{API_TOKEN}}", x-dsn: "${{DSN}}" }}
    rate: 60/s
probes:
  echo: {{ command: [sh, -c, "echo no: ${{DSN}} and ${{DB_PASSWORD}}; exit 1"], every: 500ms }}
phases: {{ warm-up: 500ms, baseline: 1s, fault: 1s, recovery: 1s }}
faults:
  - {{ edge: items, inject: {{ latency: 30ms }} }}
expect:
  read: {{ success: ">= 10%" }}
  echo: {{ always: true }}
learn: all
"#
    )
}

const VALUES: [(&str, &str); 3] =
    [("DB_PASSWORD", "hunter2-hunter2"), ("API_TOKEN", "tk_4711/0815"), ("DSN", "host=db user=me")];

/// Percent-encoded as well, as in the line of a request.
const FORMS: [&str; 5] =
    ["hunter2-hunter2", "tk_4711/0815", "tk_4711%2F0815", "host=db user=me", "host%3Ddb%20user%3Dme"];

fn run(bench: &Bench, args: &[&str]) -> Finished {
    let mut command = bench.command(args);
    command.env("MURPHY", murphy_tests::murphy()).envs(VALUES);
    command.output().unwrap().into()
}

fn clean(what: &str, text: &str) {
    for form in FORMS {
        assert!(!text.contains(form), "{form} in {what}:\n{text}");
    }
}

/// How many files were looked at.
fn clean_below(dir: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        clean("a name", &entry.path().display().to_string());
        if entry.path().is_dir() {
            files += clean_below(&entry.path());
        } else if entry.file_name() != "s.yaml" {
            let bytes = std::fs::read(entry.path()).unwrap();
            clean(&entry.path().display().to_string(), &String::from_utf8_lossy(&bytes));
            files += 1;
        }
    }
    files
}

#[test]
fn secrets_are_in_nothing_that_is_written_or_printed() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario());
    let args = [
        "run",
        "s.yaml",
        "--junit",
        "junit.xml",
        "--html",
        "r.html",
        "--markdown",
        "r.md",
        "--json",
        "r.json",
    ];
    let ran = run(&bench, &args);
    assert!(matches!(ran.code, 1 | 4), "{ran:?}");
    clean("stdout", &ran.stdout);
    clean("stderr", &ran.stderr);
    let files = clean_below(bench.path());
    assert!(files >= 8, "{files} files");
    // They were there to be found: the run used them.
    let journal = std::fs::read_to_string(bench.journals().pop().unwrap()).unwrap();
    assert!(journal.contains("no: *** and ***"), "{journal}");
    let run_dir = bench.journals().pop().unwrap().parent().unwrap().to_owned();
    let log = std::fs::read_to_string(run_dir.join("services/chatty.log")).unwrap();
    assert!(log.contains("starting with *** and ***"), "{log}");
    for args in [
        &["plan", "s.yaml"][..],
        &["plan", "s.yaml", "--output", "json"],
        &["check", "s.yaml"],
        &["check", "s.yaml", "--output", "json"],
    ] {
        let printed = run(&bench, args).expect(0);
        clean("stdout", &printed.stdout);
        clean("stderr", &printed.stderr);
    }
    assert_eq!(bench.undo_logs(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_mistake_in_a_secret_is_told_without_it() {
    let bench = Bench::new();
    bench.file("s.yaml", &scenario().replace("rate: 60/s", "rate: \"${DSN}\""));
    let checked = run(&bench, &["check", "s.yaml"]).expect(2);
    clean("stderr", &checked.stderr);
    let checked = checked.says("`***`");
    assert!(checked.stderr.contains("s.yaml:"), "{}", checked.stderr);
    bench.file("s.yaml", &scenario().replace("secrets: [DSN]", "secrets: [DSN, NOBODY]"));
    run(&bench, &["check", "s.yaml"]).expect(2).says("`NOBODY` is called secret");
    // What everybody can read in the file cannot be kept, and that is said.
    bench.file("s.yaml", &(scenario() + "# host=db user=me\n"));
    run(&bench, &["check", "s.yaml"]).expect(0).says("also stands in the file");
}
