//! What is printed for what is typed: the parts that need no service.

use murphy_tests::{Bench, Daemon, completed, murphy, shipped_scenarios};
use serde_json::{Value, json};

#[test]
fn version_and_help_are_answers() {
    let bench = Bench::new();
    let version = bench.run(&["--version"]).expect(0);
    assert_eq!(version.stdout, format!("murphy {}\n", env!("CARGO_PKG_VERSION")));
    bench.run(&["--help"]).expect(0).says("murphy demo").says("degraded gracefully");
    bench.run(&["help", "run"]).expect(0).says("--seed").says("--inconclusive");
    bench.run(&["rum"]).expect(2).says("run");
    bench.run(&[]).expect(2);
}

#[test]
fn everything_in_the_catalogue_is_explained() {
    let bench = Bench::new();
    let list = bench.run(&["explain", "faults"]).expect(0);
    let names: Vec<&str> =
        list.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    for name in [
        "latency",
        "bandwidth",
        "blackhole",
        "reset",
        "drop",
        "refuse",
        "limit",
        "slice",
        "slow-close",
        "kill",
    ] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }
    for name in names {
        bench.run(&["explain", name]).expect(0).says("for example");
    }
    for code in ["0", "1", "2", "3", "4", "5", "129", "130", "143"] {
        bench.run(&["explain", code]).expect(0).says(&format!("exit code {code}"));
    }
    bench.run(&["explain", "latncy"]).expect(2).says("latency");
    let list = bench.run(&["explain", "detectors"]).expect(0);
    let detectors: Vec<&str> =
        list.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(detectors.len() >= 18 && detectors.contains(&"breaker"), "{detectors:?}");
    for name in detectors {
        bench.run(&["explain", name]).expect(0).says(&format!("detector {name}: ")).says("needs");
    }
    bench.run(&["explain", "breaker"]).expect(0).says("EDGE: { breaker: opens }");
    // The name of a fault and of a detector.
    bench
        .run(&["explain", "timeout"])
        .expect(0)
        .says("for example")
        .says("detector timeout: does the caller give up");
}

#[test]
fn what_is_explained_is_told_to_a_program_too() {
    let bench = Bench::new();
    let told =
        |topic: &[&str]| bench.run(&[&["explain", "--output", "json"][..], topic].concat()).expect(0).json();
    let names = |told: &Value, list: &str| -> Vec<String> {
        let list = told[list].as_array().expect("a list");
        list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = told(&[]);
    for list in ["faults", "detectors"] {
        let text = bench.run(&["explain", list]).expect(0).stdout;
        let lines: Vec<&str> =
            text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names(&all, list), lines, "the same, in the same order");
        assert_eq!(told(&[list])[list], all[list]);
    }
    assert_eq!(all["exit-codes"].as_array().map(Vec::len), Some(9));
    let two = told(&["2"]);
    assert_eq!((&two["faults"], &two["detectors"]), (&json!([]), &json!([])));
    let [code] = &two["exit-codes"].as_array().expect("a list")[..] else { panic!("{two}") };
    assert_eq!(code["code"], 2);
    let meaning = code["meaning"].as_str().expect("a meaning");
    bench.run(&["explain", "2"]).expect(0).says(&format!("exit code 2: {meaning}"));
    // The name of a fault and of a detector.
    let timeout = told(&["timeout"]);
    assert_eq!(names(&timeout, "faults"), ["timeout"]);
    assert_eq!(names(&timeout, "detectors"), ["timeout"]);
    assert_eq!(timeout["faults"][0]["fields"][0]["form"], "duration");
    assert_eq!(timeout["faults"][0]["places"][0], "edge");
    let breaker = told(&["breaker"]);
    assert_eq!(breaker["detectors"][0]["expect"][0], "EDGE: { breaker: opens }");
    bench.run(&["explain", "latncy", "--output", "json"]).expect(2).says("latency");
}

#[test]
fn plans_and_mistakes_are_told_to_a_program_by_either_flag() {
    let bench = Bench::new();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/redis-slow.yaml");
    let plan = bench.run(&["plan", scenario, "--output", "json"]).expect(0);
    assert!(plan.json()["faults"].as_array().is_some_and(|faults| !faults.is_empty()), "{}", plan.stdout);
    assert_eq!(bench.run(&["plan", scenario, "--json"]).expect(0).stdout, plan.stdout);
    let wrong = "murphy: 1\nname: two mistakes\nedges: { a: { listen: 127.0.0.1:1, to: 127.0.0.1:2 } }\n\
                 faults: [{ edge: a, inject: { latncy: 1s } }]\nexpect: { reed: { success: \">= 9%\" } }\n";
    bench.file("wrong.yaml", wrong);
    bench.file("none.yaml", "");
    let checked = bench.run(&["check", scenario, "wrong.yaml", "none.yaml", "--output", "json"]).expect(2);
    assert_eq!(bench.run(&["check", scenario, "wrong.yaml", "none.yaml", "--json"]).stdout, checked.stdout);
    let told = checked.json();
    let of = |file: &str| -> Vec<&Value> {
        told.as_array().expect("a list").iter().filter(|one| one["file"] == file).collect()
    };
    assert!(of(scenario).iter().all(|one| one["severity"] == "warning"), "{told}");
    let misspelt = of("wrong.yaml").into_iter().find(|one| one["location"]["line"] == 4);
    let misspelt = misspelt.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(misspelt["severity"], "error");
    assert!(misspelt.to_string().contains("latency"), "what is meant: {misspelt}");
    let [none] = &of("none.yaml")[..] else { panic!("{told}") };
    assert!(none["message"].as_str().is_some_and(|message| message.contains("says nothing")), "{none}");
}

#[test]
fn the_published_schema_is_the_binary_s() {
    let bench = Bench::new();
    let printed = bench.run(&["schema"]).expect(0).stdout;
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scenario.schema.json");
    let published = std::fs::read_to_string(published).expect("docs/scenario.schema.json is there");
    assert!(printed == published, "docs/scenario.schema.json is not current: make schema");
}

/// Asserts what a shell is told that completes a line. It is never kept waiting, so a busy machine may be asked again.
#[track_caller]
fn is_told(wanted: &str, ask: impl Fn() -> String) {
    let mut told = ask();
    for _ in 0..4 {
        if told == wanted {
            return;
        }
        told = ask();
    }
    assert_eq!(told, wanted);
}

#[test]
fn completions_of_bash_know_what_runs() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    daemon.run(&bench, "proxies add redis 127.0.0.1:9").expect(0);
    daemon.run(&bench, "fault add redis --latency 1s --name slow").expect(0);
    let script = bench.run(&["completions", "bash"]).expect(0).stdout;
    bench.file("murphy.bash", &script);
    let completed = |words: &[&str]| completed(&bench, &daemon.url, &murphy().display().to_string(), words);
    is_told("redis", || completed(&["proxies", "toggle", "re"]));
    is_told("slow", || completed(&["fault", "edit", "redis", "s"]));
    assert_eq!(completed(&["explain", "blackh"]), "blackhole");
    assert_eq!(completed(&["explain", "metast"]), "metastability");
    assert_eq!(completed(&["explain", "exit-"]), "exit-codes");
    let of_nobody = completed(&["fault", "edit", "nobody", "\"\""]);
    assert!(of_nobody.split(' ').all(|word| word.starts_with('-')), "there is none: {of_nobody}");
    assert!(completed(&["expl"]).starts_with("expl"), "what the parser knows");
}

#[test]
fn completions_of_bash_carry_out_no_name() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    daemon.run(&bench, "proxies add redis 127.0.0.1:9").expect(0);
    for name in ["$(touch pwned)", "*"] {
        let create = ["toxiproxy", "create", "-l", "127.0.0.1:0", "-u", "127.0.0.1:9", name];
        let made =
            bench.command(&create).env("TOXIPROXY_URL", &daemon.url).output().expect("the binary starts");
        assert!(made.status.success(), "{made:?}");
    }
    bench.file("murphy.bash", &bench.run(&["completions", "bash"]).expect(0).stdout);
    let murphy = murphy().display().to_string();
    is_told("redis", || completed(&bench, &daemon.url, &murphy, &["proxies", "toggle", "''"]));
    // The function of the shell expands nothing by itself.
    let told = completed(&bench, &daemon.url, "liar", &["proxies", "toggle", "''"]);
    assert_eq!(told, "$(touch pwned) * real");
    assert!(!bench.path().join("pwned").exists(), "a name was carried out");
}

#[test]
fn completions_of_bash_ask_the_daemon_that_the_line_names() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    daemon.run(&bench, "proxies add redis 127.0.0.1:9").expect(0);
    bench.file("murphy.bash", &bench.run(&["completions", "bash"]).expect(0).stdout);
    let (murphy, port) = (murphy().display().to_string(), daemon.port().to_string());
    // As bash parts `http://127.0.0.1:PORT`.
    let url = ["http", ":", "//127.0.0.1", ":", &port];
    for before in [&["proxies", "--api"][..], &["proxies", "--api", "="]] {
        let words = [before, &url, &["toggle", "re"]].concat();
        is_told("redis", || completed(&bench, "http://127.0.0.1:1", &murphy, &words));
    }
}

#[test]
fn completions_are_silent_where_there_is_neither_an_engine_nor_a_daemon() {
    let bench = Bench::new();
    for words in ["pause", "attach --from", "top --containers", "partition web", "proxies toggle"] {
        let mut known = bench.command(&["known", "--"]);
        known.args(words.split(' '));
        known.env("DOCKER_HOST", "unix:///nowhere/docker.sock").env("MURPHY_API", "http://127.0.0.1:1");
        let out = known.output().expect("the binary starts");
        assert!(out.status.success() && out.stdout.is_empty() && out.stderr.is_empty(), "{words}: {out:?}");
    }
}

#[test]
fn completions_of_fish_know_what_runs() {
    if std::process::Command::new("fish").arg("--version").output().is_err() {
        return murphy_testkit::skip("there is no fish on the PATH");
    }
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    daemon.run(&bench, "proxies add redis 127.0.0.1:9").expect(0);
    bench.file("murphy.fish", &bench.run(&["completions", "fish"]).expect(0).stdout);
    let asked = "source murphy.fish; complete -C 'murphy proxies toggle re'";
    is_told("redis", || {
        let out = bench.shell("fish", &["--no-config", "-c", asked]).env("MURPHY_API", &daemon.url).output();
        let told = String::from_utf8(out.expect("fish").stdout).expect("text");
        let names = told.lines().filter_map(|line| line.split('\t').next());
        names.filter(|name| *name == "redis").take(1).collect()
    });
}

#[test]
fn completions_of_zsh_know_what_runs_and_carry_out_no_name() {
    if std::process::Command::new("zsh").arg("--version").output().is_err() {
        return murphy_testkit::skip("there is no zsh on the PATH");
    }
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    daemon.run(&bench, "proxies add redis 127.0.0.1:9").expect(0);
    daemon.run(&bench, "fault add redis --latency 1s --name slow").expect(0);
    bench.file("murphy.zsh", &bench.run(&["completions", "zsh"]).expect(0).stdout);
    // What is offered is shown instead, as nobody presses a key; `liar` stands in for a `murphy known` that leaves no name out.
    let asked = r#"
        autoload -U compinit; compinit -u -D; . ./murphy.zsh
        print -r -- ${_comps[murphy]} $+functions[_murphy]
        compadd() { print -r -- "$@"; }
        _murphy() { print -r -- "the parser"; }
        liar() { print -rl -- '$(touch pwned)' '*' real; }
        asked() { words=("$@"); CURRENT=$#; $_comps[murphy]; }
        asked murphy proxies toggle re
        asked murphy fault edit redis ''
        asked murphy proxies toggle --
        asked murphy expl
        asked liar proxies toggle ''
    "#;
    let wanted = "_murphy_known 1\n-- redis\n-- slow\nthe parser\nthe parser\n-- $(touch pwned) * real\n";
    is_told(wanted, || {
        let out = bench.shell("zsh", &["-f", "-c", asked]).env("MURPHY_API", &daemon.url).output();
        let out = out.expect("zsh");
        eprintln!("{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    });
    assert!(!bench.path().join("pwned").exists(), "a name was carried out");
}

#[test]
fn completions_know_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        bench.run(&["completions", shell]).expect(0).says("explain");
    }
}

#[test]
fn a_run_directory_that_is_none_is_said_so() {
    let bench = Bench::new();
    bench.run(&["report", "nowhere"]).expect(3).says("nowhere/journal.ndjson");
    bench.file("journal.ndjson", "{\"not\": \"an event\"}\n");
    bench.run(&["report", "."]).expect(3).says("line 1");
}

#[test]
fn undo_with_nothing_to_undo_says_so() {
    Bench::new().run(&["undo"]).expect(0).says("nothing to take back");
}

#[test]
fn every_scenario_in_the_repository_passes_check_and_plans() {
    let bench = Bench::new();
    let files = shipped_scenarios(&bench);
    assert!(files.len() >= 60, "{files:?}");
    let args: Vec<&str> = std::iter::once("check").chain(files.iter().map(String::as_str)).collect();
    bench.run(&args).expect(0);
    for file in &files {
        let plan = bench.run(&["plan", file]).expect(0).says("undo");
        assert!(plan.stdout.is_ascii(), "{}", plan.stdout);
    }
    assert!(bench.journals().is_empty(), "nothing was started");
    assert!(murphy().is_file());
}
