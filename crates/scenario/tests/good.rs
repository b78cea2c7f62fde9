//! Good scenarios become plans, and plans can be read by people.

use std::path::{Path, PathBuf};

use murphy_core::{Seed, Span, Timestamp};
use murphy_scenario::{Environment, Loaded, Profile, SCHEMA, Settings, load, load_text, plan_text, schema};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn settings() -> Settings {
    Settings {
        environment: Environment::Only([("PORT".to_owned(), "9000".to_owned())].into()),
        ..Settings::default()
    }
}

fn cart() -> Loaded {
    let text = std::fs::read_to_string(folder("good").join("cart.yaml")).unwrap();
    load_text("cart.yaml", &text, &settings()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_good_scenario_is_a_plan() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder("good")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let loaded = load(&path, &settings()).unwrap_or_else(|error| panic!("{error}"));
            assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn a_ledger_asks_for_dead_letters_and_a_queue_beside_what_is_kept() {
    let text = r#"
murphy: 1
name: a
control: true
learn: all
load:
  order:
    http: "POST http://127.0.0.1:8000/${order.id}"
    rate: 30/s
    ledger:
      read: { http: http://127.0.0.1:8000/orders }
      dead-letters: { redis: 127.0.0.1:6380, send: [LRANGE, dead, 0, -1] }
      queued: { command: [list, queued] }
"#;
    let loaded = load_text("a.yaml", text, &settings()).unwrap_or_else(|error| panic!("{error}"));
    let ledger = loaded.plan.loads[0].ledger.as_ref().expect("a ledger");
    let all = "GET http://127.0.0.1:8000/orders, dead letters by LRANGE dead 0 -1 on 127.0.0.1:6380, what is queued by list queued";
    assert_eq!(ledger.text(), all);
    assert_eq!(ledger.questions().count(), 3);
    let printed = plan_text(&loaded.plan);
    assert!(printed.contains(&format!(", read back by {all}")), "{printed}");
}

#[test]
fn every_scenario_that_is_shipped_is_a_plan() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut count = 0;
    let mut problems = String::new();
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            match load(&path, &settings()) {
                Ok(loaded) if loaded.warnings.is_empty() => {
                    assert!(plan_text(&loaded.plan).contains("time line"))
                }
                Ok(loaded) => problems += &loaded.warnings.to_string(),
                Err(error) => problems += &error.to_string(),
            }
            count += 1;
        }
    }
    assert!(problems.is_empty(), "{problems}");
    assert!(count > 0, "no scenario is shipped");
}

#[test]
fn a_plan_reads_like_what_will_happen() {
    insta::assert_snapshot!(plan_text(&cart().plan));
}

#[test]
fn a_judge_gets_all_it_has_to_know_and_no_secret() {
    let loaded = cart();
    let started: Timestamp = serde_json::from_value(serde_json::json!("2026-11-24T10:00:00.000Z")).unwrap();
    let brief = loaded.plan.brief("0.1.0", "murphy run cart.yaml --seed 7", started);
    insta::assert_json_snapshot!(brief);
    let written = serde_json::to_string(&loaded.plan).unwrap() + &serde_json::to_string(&brief).unwrap();
    assert!(!written.contains("very-secret"), "{written}");
    // The run itself needs them.
    assert_eq!(loaded.plan.loads[1].request.headers["authorization"], "Bearer very-secret");
    assert_eq!(loaded.plan.services[1].env["API_TOKEN"], "very-secret");
}

const SMALL: &str = "murphy: 1\nname: small\nlearn: all\n\
    edges: { cache: { listen: 127.0.0.1:1, to: 127.0.0.1:2 } }\n\
    load: { a: { http: http://127.0.0.1/, rate: 30/s } }\n\
    faults: [{ edge: cache, inject: { latency: 1s } }]\n";

#[test]
fn what_is_left_out_has_a_default() {
    let plan = load_text("x", SMALL, &settings()).unwrap().plan;
    let again = load_text("y", SMALL, &settings()).unwrap().plan;
    assert_eq!(plan.seed, again.seed, "the seed of a file without one is the same each time");
    assert_eq!(plan.phases, Profile::Ci.phases());
    let load = &plan.loads[0];
    assert_eq!((load.request.method.as_str(), load.timeout), ("GET", Span::from_secs(5)));
    assert!(load.expect_status.contains(204) && !load.expect_status.contains(301));
    assert_eq!((plan.faults[0].id.as_str(), plan.faults[0].lasts), ("latency-1", plan.phases.fault));
}

#[test]
fn the_command_line_wins_over_the_file_but_not_over_written_lengths() {
    let text = format!("{SMALL}seed: 3\nprofile: release\nphases: {{ fault: 7s }}\n");
    let file = load_text("x", &text, &settings()).unwrap().plan;
    assert_eq!((file.seed, file.phases.baseline), (Seed(3), Span::from_secs(60)));
    let given = Settings { profile: Some(Profile::Quick), seed: Some(Seed(9)), ..settings() };
    let plan = load_text("x", &text, &given).unwrap().plan;
    assert_eq!(
        (plan.seed, plan.phases.baseline, plan.phases.fault),
        (Seed(9), Span::from_secs(5), Span::from_secs(7))
    );
}

#[test]
fn a_load_is_stopped_only_where_that_is_asked_for_and_its_lengths_make_sense_together() {
    let read = |more: &str| load_text("x", &format!("{SMALL}{more}"), &settings()).unwrap();
    let plain = read("phases: { recovery: 70s }\n");
    assert!(plain.plan.phases.quiet.is_zero() && plain.plan.phases.again.is_zero());
    assert!(!plan_text(&plain.plan).contains("quiet"));
    let asked = read("phases: { recovery: 70s, quiet: 3m }\nexpect: { a: { metastability: none } }\n");
    assert_eq!(asked.plan.phases.again, Span::from_secs(70), "as long as recovery");
    assert!(asked.warnings.is_empty(), "{}", asked.warnings);
    assert!(
        plan_text(&asked.plan).contains("quiet for 3m at most, again for 70s"),
        "{}",
        plan_text(&asked.plan)
    );
    for (more, said) in [
        ("phases: { again: 10s }\n", "`again` changes nothing"),
        ("phases: { quiet: 3m }\n", "after 30s of recovery no trouble is called lasting"),
        ("expect: { a: { metastability: none } }\n", "this can hold, but never fail"),
    ] {
        let warnings = read(more).warnings.to_string();
        assert!(warnings.contains(said), "{warnings}");
    }
}

#[test]
fn too_few_requests_to_see_a_recovery_are_a_warning_for_that_there_is_none_can_be_seen_with_fewer() {
    let read = |phases: &str| {
        let text = SMALL.replace("30/s", "3/s");
        load_text(
            "x",
            &format!("{text}phases: {{ {phases} }}\nexpect: {{ recovery: \"<= 10s\" }}\n"),
            &settings(),
        )
    };
    let warnings = read("baseline: 40s, recovery: 20s").unwrap().warnings.to_string();
    for said in [
        "`recovery` can fail, but hardly hold: it takes 100 requests in the recovery phase, and `a` sends about 60 in 20s",
        "write `rate: 5/s`, or `phases: { recovery: 34s }`",
    ] {
        assert!(warnings.contains(said), "{warnings}");
    }
    let enough = read("baseline: 40s, recovery: 40s").unwrap().warnings;
    assert!(enough.is_empty(), "{enough}");
    // Without a healthy baseline nothing can be told at all.
    let error = read("baseline: 10s, recovery: 40s").unwrap_err().to_string();
    assert!(error.contains("`recovery` takes 73 requests in the baseline phase"), "{error}");
}

#[test]
fn a_recovery_is_watched_from_the_lift_on_and_not_from_the_end_of_the_phase() {
    let read = |lasts: &str| {
        let text = SMALL.replace("faults: [{", &format!("faults: [{{ for: {lasts}, "));
        assert_ne!(text, SMALL, "{SMALL}");
        let phases = "phases: { fault: 30s, recovery: 3s }\nexpect: { recovery: \"<= 2s\" }\n";
        load_text("x", &format!("{text}{phases}"), &settings())
    };
    let early = read("5s").unwrap().warnings;
    assert!(early.is_empty(), "{early}");
    let late = read("30s").unwrap_err().to_string();
    assert!(late.contains("and 3s are left after the last fault"), "{late}");
}

#[test]
fn a_bound_of_recovery_is_held_against_what_is_watched_from_the_lift_on() {
    let read = |bound: &str| {
        let text = SMALL.replace("faults: [{", "faults: [{ for: 5s, ");
        assert_ne!(text, SMALL, "{SMALL}");
        let phases = "phases: { fault: 30s, recovery: 10s }\n";
        load_text("x", &format!("{text}{phases}expect: {{ recovery: \"<= {bound}\" }}\n"), &settings())
    };
    let seen = read("35s").unwrap().warnings;
    assert!(seen.is_empty(), "{seen}");
    let unseen = read("36s").unwrap_err().to_string();
    for said in [
        "recovery within 36s cannot be seen: 35s are left after the last fault",
        "write a shorter bound, or `phases: { recovery: 11s }` or longer",
    ] {
        assert!(unseen.contains(said), "{unseen}");
    }
}

#[test]
fn a_fault_that_waits_for_something_may_strike_at_once_and_leave_time_to_recover() {
    let text = SMALL.replace("faults: [{", "faults: [{ after: { edge: cache, nth: 50 }, for: 2s, ");
    assert_ne!(text, SMALL, "{SMALL}");
    let phases = "phases: { fault: 30s, recovery: 3s }\nexpect: { recovery: \"<= 2s\" }\n";
    let plan = load_text("x", &format!("{text}{phases}"), &settings()).unwrap().plan;
    assert!(plan.faults[0].trigger.is_some());
}

#[test]
fn a_bound_on_any_answer_takes_a_fault_that_is_longer_and_users_with_more_patience() {
    let read = |bound: &str, fault: &str| {
        let more =
            format!("phases: {{ fault: {fault} }}\nexpect: {{ a: {{ fail-fast: \"<= {bound}\" }} }}\n");
        load_text("x", &format!("{SMALL}{more}"), &settings())
    };
    let seen = read("2s", "20s").unwrap();
    assert!(seen.warnings.is_empty(), "{}", seen.warnings);
    assert_eq!((seen.plan.expectations[0].id.as_str(), seen.plan.expectations.len()), ("a.fail-fast", 1));
    // Who has left after 5s was there for so long.
    assert!(read("5s", "20s").unwrap().warnings.is_empty());
    let patient = read("6s", "20s").unwrap().warnings.to_string();
    assert!(
        patient.contains("this can hold, but never fail: `a` gives every request up after 5s"),
        "{patient}"
    );
    let short = read("2s", "3s").unwrap_err().to_string();
    for said in [
        "`a.fail-fast` takes 72 requests that come 2s or more before the end of the fault, and `a` sends about 30",
        "write `phases: { fault: 5s }` or longer",
    ] {
        assert!(short.contains(said), "{short}");
    }
    assert!(read("20s", "10s").is_err(), "no request is followed for so long");
    // 2/s alone would be too few.
    let raised = SMALL.replace("rate: 30/s", "rate: 2/s, ramp: { to: 32/s, by: 4, every: 5s }");
    let more = "phases: { fault: 20s }\nexpect: { a: { fail-fast: \"<= 2s\" } }\n";
    load_text("x", &format!("{raised}{more}"), &settings()).unwrap_or_else(|error| panic!("{error}"));
    let unbroken = SMALL.split("faults:").next().unwrap();
    let text = format!("{unbroken}expect: {{ a: {{ fail-fast: \"<= 2s\" }} }}\n");
    let error = load_text("x", &text, &settings()).unwrap_err().to_string();
    assert!(error.contains("`a.fail-fast` can never be seen: nothing breaks in this scenario"), "{error}");
}

#[test]
fn variables_fill_any_value_and_their_type_is_found_afterwards() {
    let text = SMALL
        .replace("http://127.0.0.1/", "\"http://127.0.0.1:${PORT}/\"")
        .replace("name: small", "name: ${WHO:-nobody}")
        + "seed: ${PORT}\n";
    let set = Settings { set: [("WHO".to_owned(), "7".to_owned())].into(), ..settings() };
    let plan = load_text("x", &text, &set).unwrap().plan;
    assert_eq!((plan.name.as_str(), plan.seed), ("7", Seed(9000)));
    assert_eq!(plan.loads[0].request.url, "http://127.0.0.1:9000/");
}

#[test]
fn a_value_from_outside_cannot_add_keys() {
    let text = SMALL.replace("name: small", "name: ${EVIL}");
    let evil = "x\nseed: 1".to_owned();
    let set = Settings { set: [("EVIL".to_owned(), evil)].into(), ..settings() };
    assert!(load_text("x", &text, &set).unwrap_err().to_string().contains("nobody sees"));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let text = std::fs::read_to_string(folder("doubtful.yaml")).unwrap();
    let set = Settings {
        set: [("RAET".to_owned(), "5".to_owned())].into(),
        profile: Some(Profile::Quick),
        ..settings()
    };
    let loaded = load_text("doubtful.yaml", &text, &set).unwrap_or_else(|error| panic!("{error}"));
    insta::assert_snapshot!(loaded.warnings);
    let bare = "murphy: 1\nname: bare\nload: { a: { http: http://127.0.0.1/, rate: 30/s } }\n";
    insta::assert_snapshot!("bare", load_text("bare.yaml", bare, &settings()).unwrap().warnings);
}

#[test]
fn a_load_that_is_raised_needs_no_fault_and_reads_like_what_will_come() {
    let text = "murphy: 1\nname: x\nphases: { warm-up: 5s, baseline: 20s, fault: 60s, recovery: 30s }\n\
                load: { a: { http: http://127.0.0.1/, rate: 5/s, ramp: { to: 25/s, by: 2 } } }\n\
                expect: { a: { p99: \"<= 500ms\" } }\n";
    let loaded = load_text("x.yaml", text, &settings()).unwrap();
    // 5/s for 60s would be too few for a p99.
    assert!(loaded.warnings.list.is_empty(), "{}", loaded.warnings);
    let text = plan_text(&loaded.plan);
    for line in [
        "5/s, raised by 2 every 20s to 25/s as of independent users",
        "25s   + a  10/s",
        "65s   ~ a  25/s",
        "85s   - a  5/s",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[test]
fn a_wait_for_a_failure_that_nothing_brings_is_a_warning_at_the_wait() {
    let text = |other: &str| {
        format!(
            "murphy: 1\nname: x\nlearn: all\nedges: {{ db: {{ listen: 127.0.0.1:1, to: 127.0.0.1:2 }} }}\n\
             load: {{ a: {{ http: http://127.0.0.1/, rate: 30/s }} }}\n\
             probes: {{ ready: {{ tcp: 127.0.0.1:3, every: 1s }} }}\n\
             faults:\n\
             - {{ edge: db, inject: {{ latency: 1s }}, when: {{ probe: ready, is: failing }} }}\n{other}"
        )
    };
    let warnings = |text: &str| {
        let loaded = load_text("x.yaml", text, &settings()).unwrap_or_else(|error| panic!("{error}"));
        loaded.warnings.to_string()
    };
    let told = warnings(&text(""));
    assert!(told.contains("nothing is broken before this") && told.contains("x.yaml:8:"), "{told}");
    let told = warnings(&text("- { edge: db, inject: { latency: 1s } }\n"));
    assert!(!told.contains("nothing is broken before this"), "{told}");
}

#[test]
fn what_is_captured_can_stand_anywhere_behind_the_host() {
    let text = |url: &str| {
        format!(
            "murphy: 1\nname: x\nlearn: all\nload: {{ a: {{ http: \"{url}\", rate: 30/s }} }}\n\
             probes: {{ login: {{ http: http://127.0.0.1/, capture: {{ id: {{ json: $.id }} }} }} }}\n"
        )
    };
    for url in ["http://127.0.0.1:8000/${login.id}", "http://127.0.0.1:8000?id=${login.id}"] {
        let plan =
            load_text("x.yaml", &text(url), &settings()).unwrap_or_else(|error| panic!("{error}")).plan;
        assert_eq!(plan.loads[0].request.url, url);
    }
    let error = load_text("x.yaml", &text("http://${login.id}:8000?id=7"), &settings()).unwrap_err();
    assert!(error.to_string().contains("whom to ask cannot be captured"), "{error}");
}

#[test]
fn what_nothing_takes_back_is_a_warning() {
    let text = "murphy: 1\nname: x\nlearn: all\nload: { a: { http: http://127.0.0.1/, rate: 30/s } }\nfaults:\n\
                - { process: { name: redis-server }, inject: kill }\n\
                - { container: { service: db }, inject: { remove: for-good } }\n";
    let loaded = load_text("x.yaml", text, &settings()).unwrap_or_else(|error| panic!("{error}"));
    insta::assert_snapshot!("no_way_back", loaded.warnings);
}

#[test]
fn every_fault_of_the_catalogue_can_be_written_as_its_example_says() {
    use murphy_faults::Place;
    for entry in murphy_faults::catalogue() {
        for place in std::iter::once(&entry.place).chain(entry.also) {
            let targets: &[&str] = match place {
                Place::Edge => &["edge: cache"],
                Place::Process => &["service: shop", "process: { name: redis-server }"],
                Place::Container => &["container: { service: web, pick: 1 }", "container: web-1"],
                Place::Host => &["host: this"],
                Place::Network => continue,
            };
            for target in targets {
                let text = format!(
                    "murphy: 1\nname: x\nservices: {{ shop: {{ run: [murphy] }} }}\n\
                     edges: {{ cache: {{ listen: 127.0.0.1:1, to: 127.0.0.1:2, protocol: http, tls: both }} }}\n\
                     load: {{ a: {{ http: http://127.0.0.1/, rate: 30/s }} }}\n\
                     faults: [{{ {target}, inject: {} }}]\n",
                    entry.example
                );
                let plan =
                    load_text(entry.name, &text, &settings()).unwrap_or_else(|error| panic!("{error}")).plan;
                assert_eq!(
                    (plan.faults[0].fault.name(), plan.faults[0].target.place()),
                    (entry.name, *place)
                );
                assert!(plan_text(&plan).contains("undo   "), "{text}");
            }
        }
    }
}

#[test]
fn a_stack_and_its_faults_read_like_what_will_happen() {
    let text = std::fs::read_to_string(folder("good").join("stack.yaml")).unwrap();
    let plan = load_text("stack.yaml", &text, &settings()).unwrap_or_else(|error| panic!("{error}")).plan;
    insta::assert_snapshot!(plan_text(&plan));
    let started: Timestamp = serde_json::from_value(serde_json::json!("2026-11-24T10:00:00.000Z")).unwrap();
    let brief = serde_json::to_string(&plan.brief("0.1.0", "murphy run stack.yaml", started)).unwrap();
    let written = serde_json::to_string(&plan).unwrap() + &brief;
    assert!(!written.contains("very-secret"), "{written}");
    assert!(written.contains("TOKEN=***"), "{written}");
}

#[test]
fn the_committed_schema_is_current() {
    let printed: serde_json::Value = serde_json::from_str(&SCHEMA).unwrap();
    assert!(printed == schema(), "`make schema` writes docs/scenario.schema.json anew");
}

#[test]
fn the_schema_names_every_key_and_no_planned_one() {
    let schema = schema();
    let keys = |node: &serde_json::Value| -> Vec<String> {
        node["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let mut root = keys(&schema);
    root.sort();
    let expected = "abort-if control edges expect faults include learn load matrix murphy name phases probes profile secrets seed services stack";
    assert_eq!(root.join(" "), expected);
    assert_eq!(schema["required"], serde_json::json!(["murphy", "name"]));
    assert_eq!(schema["$defs"]["Load"]["required"], serde_json::json!(["http", "rate"]));
    let fault = keys(&schema["$defs"]["FaultStep"]);
    assert!(
        ["every", "match", "which"].iter().all(|key| fault.iter().any(|known| known == key)),
        "{fault:?}"
    );
}
