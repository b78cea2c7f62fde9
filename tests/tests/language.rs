//! What the scenario language makes of one file, through the real binary: combinations, faults that come again, and what
//! an answer's JSON must say.

use std::ops::Range;

use murphy_tests::{Bench, catalogue_scenario};

fn scenario(more: &str) -> String {
    let phases = "phases: { warm-up: 500ms, baseline: 3s, fault: 4s, recovery: 1s }\n";
    catalogue_scenario("said in one file", &format!("{phases}{more}"))
}

/// All events of a kind in the last journal.
fn events(bench: &Bench, kind: &str) -> Vec<serde_json::Value> {
    bench.timed(kind).into_iter().map(|(_, event)| event).collect()
}

/// How long those waited who came and were answered in a part of the last run, in microseconds.
fn waits(bench: &Bench, from: u64, to: u64) -> Vec<u64> {
    let samples = events(bench, "sample");
    let times = samples.iter().map(|sample| (&sample["intended"], &sample["sent"], &sample["ended"]));
    let times = times.map(|(intended, sent, ended)| (intended.as_u64(), sent.as_u64(), ended.as_u64()));
    times
        .filter_map(|(intended, sent, ended)| Some((intended?, sent?, ended?)))
        .filter(|(intended, sent, ended)| *intended.min(sent) >= from && *ended < to)
        .map(|(_, sent, ended)| ended - sent)
        .collect()
}

#[test]
fn every_combination_of_a_matrix_is_run_and_can_be_repeated_alone() {
    let bench = Bench::new();
    let text = scenario(
        "matrix: { delay: [30ms, 600ms] }\nfaults: [{ edge: items, inject: { latency: \"${delay}\" } }]\n\
         expect: { read: { p95: \"<= 300ms\" } }\n",
    );
    bench.file("s.yaml", &text);
    bench.run(&["check", "s.yaml"]).expect(0).says("2 scenarios of 1 fault, 1 expectation)");
    bench.run(&["plan", "s.yaml"]).expect(0).says("(delay=30ms)").says("latency 600ms");
    // For a program they are one document; one plan is not in a list.
    let plans = bench.run(&["plan", "s.yaml", "--output", "json"]).expect(0).json();
    let names: Vec<&str> =
        plans.as_array().expect("a list").iter().filter_map(|plan| plan["name"].as_str()).collect();
    assert_eq!(names, ["said in one file (delay=30ms)", "said in one file (delay=600ms)"]);
    let one = bench.run(&["plan", "s.yaml", "--set", "delay=30ms", "--output", "json"]).expect(0).json();
    assert_eq!((&one["edges"], &one["loads"]), (&plans[0]["edges"], &plans[0]["loads"]));
    assert_eq!(one["faults"].as_array().map(Vec::len), Some(1), "{one}");
    let both = bench.run_expecting(1, &["run", "s.yaml", "--junit", "junit.xml"]);
    both.says("2 scenarios")
        .says("NOT GRACEFUL    said in one file (delay=600ms)")
        .says("GRACEFUL        said in one file (delay=30ms)")
        .says("--set delay=600ms");
    let junit = std::fs::read_to_string(bench.path().join("junit.xml")).unwrap();
    assert_eq!(junit.matches("<testsuite ").count(), 2, "{junit}");
    let alone = bench.run_expecting(0, &["run", "s.yaml", "--set", "delay=30ms"]);
    assert!(!alone.stdout.contains("600ms"), "{}", alone.stdout);
    bench.run(&["breaking-point", "s.yaml", "--vary", "rate"]).expect(2);
}

#[test]
fn a_fault_comes_again_and_again_and_goes_each_time() {
    let bench = Bench::new();
    let text = scenario(
        "faults: [{ edge: items, inject: { latency: 100ms }, at: 200ms, every: 1s, for: 400ms }]\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 1s\" } }\n",
    );
    bench.file("s.yaml", &text);
    bench.run(&["plan", "s.yaml"]).expect(0).says("latency-1.4");
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL");
    let (on, off) = (bench.timed("fault-armed"), bench.timed("fault-lifted"));
    let names: Vec<&str> = on.iter().filter_map(|(_, event)| event["fault"].as_str()).collect();
    assert_eq!(names, ["latency-1", "latency-1.2", "latency-1.3", "latency-1.4"]);
    let hits = |event: &serde_json::Value| event["tally"]["hits"].as_u64().unwrap();
    assert!(off.len() == 4 && off.iter().all(|(_, event)| hits(event) > 0), "{off:?}");
    assert!(off.iter().map(|(_, event)| hits(event)).sum::<u64>() > 80, "{off:?}");
    // Whoever comes and is answered under the fault waits for all of it, but for those whom its end lets go.
    let under: Vec<u64> =
        on.iter().zip(&off).flat_map(|((on, _), (off, _))| waits(&bench, *on, *off)).collect();
    let slow = under.iter().filter(|wait| **wait >= 99_000).count();
    assert!(under.len() > 40 && slow * 4 > under.len() * 3, "{under:?}");
    // In between it is gone: what a machine that stood still adds is not in all of them.
    let between: Vec<u64> =
        off.iter().zip(&on[1..]).flat_map(|((off, _), (on, _))| waits(&bench, *off, *on)).collect();
    let quick = between.iter().filter(|wait| **wait < 90_000).count();
    assert!(between.len() > 40 && quick * 3 > between.len(), "{between:?}");
}

/// How long those waited who were sent in a part of the last run, in microseconds.
fn waits_of(bench: &Bench, part: &Range<u64>) -> Vec<u64> {
    let samples = events(bench, "sample");
    let times = samples.iter().filter_map(|of| Some((of["sent"].as_u64()?, of["ended"].as_u64()?)));
    times.filter(|(sent, _)| part.contains(sent)).map(|(sent, ended)| ended - sent).collect()
}

#[test]
fn two_faults_on_one_edge_act_together_while_they_overlap_and_each_goes_in_its_time() {
    let bench = Bench::new();
    let text = catalogue_scenario(
        "two at once",
        "phases: { warm-up: 300ms, baseline: 1s, fault: 4s, recovery: 300ms }\n\
         faults:\n\
         \x20 - { edge: items, inject: { latency: 400ms }, for: 2200ms }\n\
         \x20 - { edge: items, inject: { latency: 200ms }, direction: to-upstream, at: 1s, for: 2200ms }\n\
         expect: { read: { success: \">= 90%\" } }\n",
    );
    bench.file("s.yaml", &text);
    // Whether so short a run can be judged is not the question here.
    bench.run_expecting(0, &["run", "s.yaml", "--inconclusive", "warn"]);
    let (on, off) = (bench.timed("fault-armed"), bench.timed("fault-lifted"));
    for faults in [&on, &off] {
        let names: Vec<&str> = faults.iter().filter_map(|(_, event)| event["fault"].as_str()).collect();
        assert_eq!(names, ["latency-1", "latency-2"]);
    }
    assert!(on[1].0 < off[0].0, "they overlap: {on:?} {off:?}");
    for ((on, _), (off, fault)) in on.iter().zip(&off) {
        assert!(off - on >= 2_000_000 && fault["tally"]["hits"].as_u64() > Some(50), "{on} {off} {fault}");
    }
    // Of each part those who are answered within it: what a fault still holds at its end is let go.
    let phases = bench.timed("phase-started");
    let over = phases.iter().find(|(_, event)| event["phase"] == "recovery").expect("a recovery").0;
    for (what, part, least, below) in [
        ("the first alone", on[0].0..on[1].0 - 100_000, 399_000, 600_000),
        ("both", on[1].0..off[0].0 - 700_000, 599_000, u64::MAX),
        ("the second alone", off[0].0..off[1].0 - 300_000, 199_000, 400_000),
        ("neither", off[1].0..over, 0, 199_000),
    ] {
        let waits = waits_of(&bench, &part);
        let held = waits.iter().filter(|wait| **wait >= least).count();
        assert!(waits.len() > 25 && held * 4 > waits.len() * 3, "{what}: {waits:?}");
        // No longer than that: what a machine that stood still adds is not in all of them.
        let in_time = waits.iter().filter(|wait| **wait < below).count();
        assert!(in_time * 3 > waits.len(), "{what}: {waits:?}");
    }
}

#[test]
fn a_probe_holds_an_answer_s_json_against_what_is_expected() {
    let bench = Bench::new();
    let rest = "faults: [{ edge: items, inject: { latency: 20ms } }]\n\
                probes: { item: { http: \"GET http://SERVICE/items/1\", every: 200ms, \
                header: { Content-Type: ^application/json }, json: { $.id: \"1\", \
                $.price_cents: \"LIMIT\" } } }\n\
                expect: { item: { always: true } }\n";
    bench.file("s.yaml", &scenario(&rest.replace("LIMIT", ">= 500")));
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL");
    bench.file("s.yaml", &scenario(&rest.replace("LIMIT", "<= 499")));
    // What was never so in the baseline cannot be blamed on the fault.
    let ended = bench.run(&["run", "s.yaml"]);
    assert!(matches!(ended.code, 1 | 4), "{ended:?}");
    let said = events(&bench, "probe");
    assert!(said.iter().all(|probe| probe.to_string().contains("$.price_cents is")), "{said:?}");
    assert!(said.len() > 20, "{}", said.len());
}

#[test]
fn a_scenario_of_several_files_is_run_as_one_and_a_mistake_is_told_in_its_own_file() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path().join("s/parts")).unwrap();
    let part = catalogue_scenario("of a part", "faults: [{ edge: items, inject: { latency: 30ms } }]\n");
    let part: String = part.lines().skip(2).map(|line| format!("{line}\n")).collect();
    bench.file("s/parts/shop.yaml", &part);
    bench.file(
        "s/whole.yaml",
        "murphy: 1\nname: put together\ninclude: parts/shop.yaml\n\
         phases: { warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }\n\
         faults: [{ edge: items, inject: { latency: 30ms } }]\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 1s\" } }\n",
    );
    // A part is no scenario of the directory.
    let ended = bench.run_expecting(0, &["run", "s", "--json", "out.json"]);
    ended.says("passed over: s/parts/shop.yaml").says("put together");
    let names: Vec<String> = events(&bench, "fault-armed")
        .iter()
        .map(|event| event["fault"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["latency-1", "latency-2"]);
    bench.file("s/parts/shop.yaml", &part.replace("30ms", "30"));
    bench.run(&["check", "s/whole.yaml"]).expect(2).says("--> s/parts/shop.yaml:");
}

#[test]
fn a_probe_of_redis_meets_the_faults_of_the_edge_that_it_asks_through() {
    if !murphy_tests::redis_or_skip() {
        return;
    }
    let bench = Bench::new();
    let [redis, edge]: [u16; 2] = murphy_tests::free_ports();
    let text = format!(
        "murphy: 1\nname: asked through an edge\nsecrets: [WORD]\n\
         services:\n  redis: {{ run: [redis-server, --port, \"{redis}\", --save, \"\", --requirepass, \"${{WORD}}\"], \
         ready: {{ redis: \"127.0.0.1:{redis}\", password: \"${{WORD}}\" }}, within: 30s }}\n\
         edges: {{ cache: {{ listen: \"127.0.0.1:{edge}\", to: \"127.0.0.1:{redis}\" }} }}\n\
         probes:\n\
         \x20 through: {{ redis: \"127.0.0.1:{edge}\", password: \"${{WORD}}\", send: [ECHO, \"7\"], reply: \">= 7\", every: 100ms, within: 10s }}\n\
         \x20 beside: {{ redis: \"127.0.0.1:{redis}\", password: \"${{WORD}}\", every: 100ms, within: 10s }}\n\
         phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 8s }}\n\
         faults: [{{ edge: cache, inject: {{ refuse: {{}} }} }}]\n\
         expect: {{ through: {{ follows: \"<= 8s\" }}, beside: {{ always: true }} }}\n"
    );
    bench.file("s.yaml", &text);
    let set = ["--set", "WORD=only-for-this-run"];
    bench.run(&[&["plan", "s.yaml"], &set[..]].concat()).expect(0).says("ECHO 7 on 127.0.0.1");
    bench.run_expecting(0, &[&["run", "s.yaml"], &set[..]].concat()).says("GRACEFUL");
    let answers = events(&bench, "probe");
    let said = |name: &str, ok: bool| {
        answers.iter().filter(|probe| probe["probe"] == name && probe["ok"] == ok).collect::<Vec<_>>()
    };
    assert!(said("through", true).iter().all(|probe| probe["saw"] == "7"), "{answers:?}");
    assert!(said("through", false).len() > 10 && said("beside", false).is_empty(), "{answers:?}");
    let journal = std::fs::read_to_string(bench.journals().pop().unwrap()).unwrap();
    assert!(!journal.contains("only-for-this-run"));
    bench.file("s.yaml", &text.replace("through: { follows: \"<= 8s\" }", "through: { always: true }"));
    bench.run_expecting(1, &[&["run", "s.yaml"], &set[..]].concat()).says("NOT GRACEFUL");
}

#[test]
fn a_fault_with_a_ramp_grows_while_it_lasts_and_is_one_fault() {
    let bench = Bench::new();
    let text = scenario(
        "faults: [{ edge: items, inject: { latency: 10ms }, ramp: { delay: { to: 500ms, over: 2s } } }]\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 2s\" } }\n",
    );
    bench.file("s.yaml", &text);
    bench.run(&["plan", "s.yaml"]).expect(0).says("~ latency-1  latency 500ms").says("within 2s");
    bench
        .run_expecting(0, &["run", "s.yaml"])
        .says("GRACEFUL")
        .says("latency 10ms to latency 500ms within 2s");
    let changed = events(&bench, "fault-changed");
    assert!(changed.len() > 10, "{}", changed.len());
    assert_eq!(changed.last().unwrap()["text"], "latency 500ms");
    let lifted = events(&bench, "fault-lifted");
    assert!(
        lifted.len() == 1 && lifted[0]["tally"]["hits"].as_u64() > Some(200),
        "one count for all steps: {lifted:?}"
    );
    // Whoever comes when it has grown waits for all of it; who came at its beginning did not.
    let (begun, ended) = (bench.timed("fault-armed")[0].0, bench.timed("fault-lifted")[0].0);
    let grown = bench.timed("fault-changed").pop().unwrap().0;
    let (early, late) = (waits(&bench, begun, begun + 1_000_000), waits(&bench, grown, ended));
    assert!(early.iter().any(|wait| *wait < 250_000), "{early:?}");
    assert!(late.iter().filter(|wait| **wait >= 499_000).count() > 20, "{late:?}");
}

#[test]
fn a_fault_waits_for_a_number_of_calls_and_another_for_what_a_probe_says() {
    let bench = Bench::new();
    let text = scenario(
        "probes: { item: { http: \"GET http://EDGE/items/1\", every: 100ms, within: 1s } }\n\
         faults:\n\
         \x20 - { edge: items, inject: { latency: 2s }, after: { edge: items, nth: 50 }, for: 2s }\n\
         \x20 - { edge: items, inject: { latency: 50ms }, when: { probe: item, is: failing }, at: 100ms }\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 3s\" } }\n",
    );
    bench.file("s.yaml", &text);
    bench
        .run(&["plan", "s.yaml"])
        .expect(0)
        .says("begins after call 50 on items, in the fault phase")
        .says("begins when probe item is failing, in the fault phase from 100ms on")
        .says("? latency-2  waits, begins when probe item is failing");
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL").says("after call 50 on items");
    let phase = |name: &str| {
        let phases = bench.timed("phase-started");
        phases.iter().find(|(_, event)| event["phase"] == name).unwrap().0
    };
    let (begun, over) = (phase("fault"), phase("recovery"));
    let (armed, lifted) = (bench.timed("fault-armed"), bench.timed("fault-lifted"));
    let names: Vec<&str> = armed.iter().filter_map(|(_, event)| event["fault"].as_str()).collect();
    assert_eq!(names, ["latency-1", "latency-2"]);
    // Fifty calls of the fault phase were over before the first began, and it lasted for as long as is written.
    let calls = events(&bench, "exchange");
    let ends = calls.iter().filter_map(|call| call["ended"].as_u64());
    let before = ends.filter(|end| (begun..=armed[0].0).contains(end)).count();
    assert!(before >= 50, "{before}");
    assert!(lifted[0].0 - armed[0].0 >= 1_999_000, "{armed:?} {lifted:?}");
    // The probe had failed because of the first before the second began, which ends with the phase.
    let failed = bench.timed("probe").into_iter().find(|(at, probe)| *at >= begun && probe["ok"] == false);
    let failed = failed.expect("it fails").0;
    assert!(armed[0].0 < failed && failed <= armed[1].0, "{failed} {armed:?}");
    assert!(lifted[1].0 <= over, "{lifted:?} {over}");
    let by = events(&bench, "fault-triggered");
    assert_eq!(by[0]["by"], "call 50 on items");
    assert!(by[1]["by"].as_str().unwrap().starts_with("probe item is failing ("), "{by:?}");
}

#[test]
fn a_fault_that_waits_in_vain_is_never_armed_and_never_green() {
    let bench = Bench::new();
    let text = scenario(
        "probes: { item: { http: \"GET http://SERVICE/items/1\", every: 200ms } }\n\
         faults:\n\
         \x20 - { edge: items, inject: { latency: 20ms } }\n\
         \x20 - { edge: items, inject: { latency: 20ms }, WAIT }\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 1s\" } }\n",
    );
    for (wait, why) in [
        ("after: { edge: items, nth: 100000 }", "of 100000 calls"),
        ("after: { edge: items, nth: 9000, of: connections }", "of 9000 connections"),
        ("when: { probe: item, is: failing }", "probe item was not failing in"),
    ] {
        bench.file("s.yaml", &text.replace("WAIT", wait));
        let ended = bench.run_expecting(4, &["run", "s.yaml", "--junit", "j.xml", "--markdown", "m.md"]);
        ended.says("INCONCLUSIVE").says("latency-2 was never armed: ").says(why);
        let never = events(&bench, "fault-never-armed");
        assert!(never.len() == 1 && never[0]["fault"] == "latency-2", "{never:?}");
        assert_eq!(events(&bench, "fault-armed").len(), 1);
        for file in ["j.xml", "m.md"] {
            let report = std::fs::read_to_string(bench.path().join(file)).unwrap();
            assert!(report.contains("was never armed"), "{file}: {report}");
        }
    }
    bench.run(&["undo"]).expect(0);
}

#[test]
fn a_probe_must_be_right_again_afterwards_and_nothing_is_demanded_of_it_meanwhile() {
    let bench = Bench::new();
    let text = catalogue_scenario(
        "right again afterwards",
        "phases: { warm-up: 500ms, baseline: 3s, fault: 2s, recovery: 4s }\n\
         probes: { item: { http: \"GET http://EDGE/items/1\", every: 100ms, within: 1s } }\n\
         faults: [{ edge: items, inject: { reset: {} } }]\n\
         expect: { item: { RULES } }\n",
    );
    bench.file("s.yaml", &text.replace("RULES", "before: good, after: good within 2s"));
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL").says("item after").says("good within 2s");
    let answers = events(&bench, "probe");
    assert!(answers.iter().any(|answer| answer["ok"] == false), "it was bad meanwhile: {answers:?}");
    bench.file("s.yaml", &text.replace("RULES", "during: good, after: good within 2s"));
    let ended = bench.run_expecting(1, &["run", "s.yaml"]);
    ended.says("NOT GRACEFUL (1 of 2)").says("item during").says("bad at once: reset");
}

#[test]
fn what_a_probe_captures_is_asked_and_sent_by_others() {
    let bench = Bench::new();
    let text = scenario(
        "probes:\n\
         \x20 item:\n\
         \x20   http: GET http://SERVICE/items/items\n\
         \x20   every: 200ms\n\
         \x20   capture:\n\
         \x20     word: { json: $.id }\n\
         \x20     token: { match: '\"price_cents\":([0-9]+)' }\n\
         \x20     kind: { header: Content-Type }\n\
         \x20 again: { http: \"GET http://SERVICE/${item.word}/7?${item.kind}\", every: 200ms, json: { $.id: \"7\" } }\n\
         \x20 said: { command: [echo, \"${item.kind} ${item.token}\"], every: 200ms, match: '^application/json [0-9]+$' }\n\
         faults: [{ edge: items, inject: { latency: 20ms } }]\n\
         expect: { read: { success: \">= 98%\", p50: \"<= 1s\" }, again: { always: true }, said: { always: true } }\n",
    );
    // Nobody is answered who does not say what was captured.
    let text = text.replace("/items/1\"", "/${item.word}/1\"");
    bench.file("s.yaml", &text);
    bench.run(&["plan", "s.yaml"]).expect(0).says("capture  item.kind from the header content-type");
    bench.run_expecting(0, &["run", "s.yaml"]).says("GRACEFUL");
    let said: Vec<String> = events(&bench, "probe")
        .iter()
        .filter(|probe| probe["probe"] == "said")
        .map(|probe| probe["saw"].as_str().unwrap().to_owned())
        .collect();
    assert!(said.len() > 10 && said.iter().all(|saw| saw == "exit 0: application/json ***"), "{said:?}");
    // What is in no answer is a bad answer, and whoever needs it has nothing to say.
    bench.file("s.yaml", &text.replace("$.id }", "$.none }"));
    bench.run_expecting(4, &["run", "s.yaml"]).says("INCONCLUSIVE").says("nothing was sent");
    let answers = events(&bench, "probe");
    let saw = |name: &str| {
        let mut of = answers.iter().filter(|probe| probe["probe"] == name);
        of.next().unwrap()["saw"].as_str().unwrap().to_owned()
    };
    assert_eq!(saw("item"), "200, nothing to capture as item.word");
    assert_eq!(saw("again"), "`item.word` is not captured yet");
}
