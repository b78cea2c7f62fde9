//! `murphy kill|stop|restart|pause|disconnect|limit|remove|exec` on containers of a real engine, as a person types them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use murphy_core::Timestamp;
use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, Finished, completed, eventually, finish, kill_with_watchdog, murphy, send};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// More than a busy machine is late with a round.
const LATE: Duration = Duration::from_secs(10);

fn events(stdout: &str, name: &str) -> Vec<Value> {
    let parsed = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    parsed.filter(|event| event["event"] == name).collect()
}

/// All that a container's owner would miss: its name, whether it runs, its limits, its networks with addresses and aliases.
fn essence(sandbox: &Sandbox, member: &Member) -> Value {
    let all = sandbox.inspect(&member.id);
    let host = &all["HostConfig"];
    // Absent, 0 and -1 all mean no limit.
    let unlimited = |value: &Value| value.as_i64().unwrap_or(0).max(0);
    let networks: serde_json::Map<String, Value> = all["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, on)| (name.clone(), json!([on["IPAddress"], on["Aliases"], on["Links"]])))
        .collect();
    json!({
        "name": all["Name"],
        "running": all["State"]["Running"],
        "paused": all["State"]["Paused"],
        "restart": host["RestartPolicy"],
        "cpus": [unlimited(&host["NanoCpus"]), unlimited(&host["CpuQuota"])],
        "memory": unlimited(&host["Memory"]),
        "pids": unlimited(&host["PidsLimit"]),
        "networks": networks,
    })
}

#[test]
fn each_command_breaks_its_container_and_gives_it_back_as_it_was() {
    let Some(sandbox) = Sandbox::open("each_command_breaks_its_container_and_gives_it_back_as_it_was") else {
        return;
    };
    let network = sandbox.network("net", json!({}));
    let host =
        json!({ "NetworkMode": network, "PidsLimit": 50, "Memory": 256 << 20, "MemorySwap": 256 << 20 });
    let member = sandbox.container("web", &["echo", "7"], json!({ "HostConfig": host }));
    let bench = Bench::new();
    // A shell that completes the line knows its name; it is never waited for, so a busy machine may be asked again.
    bench.file("murphy.bash", &bench.run(&["completions", "bash"]).expect(0).stdout);
    let (program, half) = (murphy().display().to_string(), member.name.trim_end_matches("web"));
    for words in [&["pause", half][..], &["attach", "--from", half], &["top", "--containers", half]] {
        let is_known = || completed(&bench, "http://127.0.0.1:1", &program, words) == member.name;
        eventually(&words.join(" "), PATIENCE, is_known);
    }
    let before = essence(&sandbox, &member);
    type Broken = fn(&Value) -> bool;
    let table: [(&str, &[&str], Broken); 6] = [
        ("kill", &[], |now| now["running"] == false),
        ("stop", &["--grace", "1s"], |now| now["running"] == false),
        ("pause", &[], |now| now["paused"] == true),
        ("disconnect", &[], |now| now["networks"] == json!({})),
        ("limit", &["--cpus", "0.2", "--memory", "64MiB", "--pids", "20"], |now| {
            now["memory"] == 64 << 20 && now["pids"] == 20
        }),
        ("remove", &[], |now| {
            now["running"] == false && now["name"].as_str().is_some_and(|n| n.contains("aside"))
        }),
    ];
    for (command, more, broken) in table {
        let args = [&[command, &member.name, "--for", "10m"], more].concat();
        let child = bench.spawn(&args);
        eventually(command, PATIENCE, || broken(&essence(&sandbox, &member)));
        send(&child, Signal::SIGINT);
        let finished = finish(child).expect(130).says("taken back").says("nothing left to take back");
        assert_eq!(essence(&sandbox, &member), before, "{command}:\n{}", finished.stdout);
        assert!(bench.undo_logs().is_empty(), "{command}");
    }
    let pid = |sandbox: &Sandbox| sandbox.inspect(&member.id)["State"]["Pid"].clone();
    let first = pid(&sandbox);
    bench.run(&["restart", &member.name, "--grace", "1s"]).expect(0).says("1 target touched");
    assert_ne!(pid(&sandbox), first);
    assert_eq!(essence(&sandbox, &member), before);
}

#[test]
fn a_pause_ends_by_itself_and_says_what_it_did() {
    let Some(sandbox) = Sandbox::open("a_pause_ends_by_itself_and_says_what_it_did") else { return };
    let member = sandbox.container("db", &[], json!({}));
    let finished = Bench::new().run(&["pause", &member.name, "--for", "300ms", "--seed", "7"]).expect(0);
    assert_eq!(sandbox.inspect(&member.id)["State"]["Paused"], false);
    snapbox::assert_data_eq!(
        finished.stdout,
        snapbox::str![[r#"
pause: 1 container, for 300ms   (round 1, seed 7)
  target      mt[..]-db ([..])
  undo        unpause mt[..]-db ([..])
  done        mt[..]-db ([..]) within [..]
  taken back  unpause mt[..]-db ([..])
end: 1 round, 1 target touched, nothing left to take back

"#]]
    );
}

/// True if a file is in the container.
fn holds(sandbox: &Sandbox, member: &Member, path: &str) -> bool {
    let path = format!("/containers/{}/archive?path={path}", member.id);
    sandbox.engine().call("GET", &path, None).expect("the engine").status == 200
}

#[test]
fn a_command_is_run_in_containers_told_with_its_end_and_taken_back() {
    let Some(sandbox) = Sandbox::open("a_command_is_run_in_containers_told_with_its_end_and_taken_back")
    else {
        return;
    };
    let members = ["web-1", "web-2", "web-3"].map(|name| sandbox.container(name, &[], json!({})));
    let bench = Bench::new();
    let all = sandbox.name("web-*");
    let broken = || members.iter().filter(|member| holds(&sandbox, member, "/tmp/broken")).count();
    // Once, with nothing to take back: what it wrote and its exit code are told, and its words stay words.
    let said = ["--", "/victim", "print", "two  words", "complain", "odd", "exit", "0"];
    let finished = bench.run(&[&["exec", &members[0].name][..], &said].concat()).expect(0);
    finished
        .says("exec /victim: 1 container ")
        .says("undo        none: there is no way back")
        .says("exit code 0")
        .says("| two  words")
        .says("| odd");
    let json = [&["exec", &all, "--pick", "2", "--seed", "7", "--output", "json"][..], &said].concat();
    let done = events(&bench.run(&json).expect(0).stdout, "done");
    assert_eq!(done.len(), 2);
    assert_eq!(done[0]["command"]["exit-code"], 0, "{done:?}");
    assert!(done[0]["command"]["output"].as_str().is_some_and(|said| said.contains("two  words")));
    // One that fails is a failure, with what it said.
    let fails =
        ["exec", &members[0].name, "--output", "json", "--", "/victim", "complain", "why", "exit", "3"];
    let failed = events(&bench.run(&fails).expect(3).stdout, "failed");
    assert_eq!(failed[0]["command"], json!({ "exit-code": 3, "output": "why" }));
    bench.run(&["exec", &members[0].name, "--", "/nowhere"]).expect(3).says("/nowhere");
    let slow = ["exec", &members[0].name, "--within", "200ms", "--", "/victim"];
    bench.run(&slow).expect(3).says("did not end within 200ms");
    // With a way back: at the end of its time, on a signal, and when Murphy is killed.
    let revert = ["--revert", "/victim remove '/tmp/broken' exit 0"];
    let write = ["--", "/victim", "write", "/tmp/broken", "exit", "0"];
    let with = |more: &[&'static str]| [&["exec", &all], more, &revert[..], &write[..]].concat();
    bench.run(&with(&["--dry-run"])).expect(0).says("undo        run `/victim remove /tmp/broken exit 0`");
    assert_eq!(broken(), 0);
    bench.run(&with(&["--for", "100ms", "--every", "500ms", "--times", "2"])).expect(0).says("end: 2 rounds");
    assert_eq!(broken(), 0);
    let child = bench.spawn(&with(&["--for", "10m"]));
    eventually("all are broken", PATIENCE, || broken() == 3);
    send(&child, Signal::SIGINT);
    finish(child).expect(130).says("taken back").says("nothing left to take back");
    assert_eq!(broken(), 0);
    let child = bench.spawn(&with(&["--for", "10m"]));
    eventually("all are broken", PATIENCE, || broken() == 3);
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the watchdog has taken it back", PATIENCE, || bench.undo_logs().is_empty());
    assert_eq!(broken(), 0);
    // What cannot be meant.
    bench.run(&with(&["--max", "2"])).expect(3).says("at most 2 may be");
    bench.run(&["exec", &all, "--for", "1s", "--", "/victim"]).expect(2).says("without `--revert`");
    bench.run(&["exec", &all, "--revert", "sh -c 'x", "--", "/victim"]).expect(2).says("close it");
    bench.run(&["exec", &all, "--", " "]).expect(2).says("no command is given");
    bench.run(&["exec", &all]).expect(2).says("COMMAND");
    bench.run(&["exec", "pid:7", "--", "/victim"]).expect(2).says("acts on containers");
}

#[test]
fn when_murphy_is_killed_containers_come_back_all_the_same() {
    let Some(sandbox) = Sandbox::open("when_murphy_is_killed_containers_come_back_all_the_same") else {
        return;
    };
    // A network of its own: on a shared one, another test's container may take the address meanwhile.
    let network = sandbox.network("net", json!({}));
    let member = sandbox.container("web", &[], json!({ "HostConfig": { "NetworkMode": network } }));
    let before = essence(&sandbox, &member);
    for command in ["pause", "kill", "remove"] {
        let bench = Bench::new();
        let child = bench.spawn(&[command, &member.name, "--for", "10m"]);
        eventually(command, PATIENCE, || essence(&sandbox, &member) != before);
        send(&child, Signal::SIGKILL);
        finish(child).expect(137);
        eventually("the watchdog has taken it back", PATIENCE, || bench.undo_logs().is_empty());
        assert_eq!(essence(&sandbox, &member), before, "{command}");
    }
    // With the watchdog dead too, `murphy undo` does it, and nothing new begins before.
    let bench = Bench::new();
    let child = bench.spawn(&["pause", &member.name, "--for", "10m"]);
    eventually("it is paused", PATIENCE, || essence(&sandbox, &member) != before);
    kill_with_watchdog(&bench, child);
    bench.run(&["pause", &member.name, "--for", "1s"]).expect(3).says("murphy undo");
    // The log knows the engine; an environment that names another one does not lead undo astray.
    let undone: Finished =
        bench.command(&["undo"]).env("DOCKER_HOST", "unix:///nowhere.sock").output().unwrap().into();
    undone.expect(0).says("taken back: unpause");
    assert_eq!(essence(&sandbox, &member), before);
}

#[test]
fn targets_are_chosen_as_asked_and_the_protected_are_spared() {
    let Some(sandbox) = Sandbox::open("targets_are_chosen_as_asked_and_the_protected_are_spared") else {
        return;
    };
    let project = sandbox.name("shop");
    for number in 1..=4 {
        let mut labels = sandbox.compose_labels(&project, "web", number);
        if number == 4 {
            labels["murphy.protect"] = json!("true");
        }
        sandbox.container(&format!("web-{number}"), &[], json!({ "Labels": labels }));
    }
    let bench = Bench::new();
    let service = format!("service:web,project:{project}");
    let chosen = |args: &[&str]| -> Vec<String> {
        let all = [&["pause", "--dry-run", "--output", "json"], args].concat();
        let planned = events(&bench.run(&all).expect(0).stdout, "planned").remove(0);
        let names = planned["targets"].as_array().unwrap().iter();
        names.map(|target| target["name"].as_str().unwrap().rsplit('-').next().unwrap().to_owned()).collect()
    };
    assert_eq!(chosen(&[&service]), ["1", "2", "3"]);
    assert_eq!(
        chosen(&[&sandbox.name("web-*"), "--exclude", &format!("/{}/", sandbox.name("web-[12]"))]),
        ["3"]
    );
    let pick = |seed: &str| chosen(&[&service, "--pick", "1", "--seed", seed]);
    assert_eq!(pick("5"), pick("5"));
    assert!((0..30).any(|seed| pick(&seed.to_string()) != pick("5")), "another seed, another choice");
    // A share of those that can be touched, and an image with and without its tag.
    assert_eq!(chosen(&[&service, "--pick", "70%", "--seed", "5"]).len(), 2);
    let (image, tag) = sandbox.image().split_once(':').expect("a tag");
    for image in [image.to_owned(), format!("{image}:{tag}"), format!("{image}:*")] {
        assert_eq!(chosen(&[&format!("image:{image},project:{project}")]), ["1", "2", "3"], "{image}");
    }
    let none = format!("image:{image}:another,project:{project}");
    bench.run(&["pause", &none, "--dry-run"]).expect(3);
    bench.run(&["pause", &service, "--dry-run"]).expect(0).says("protects it").says("3 containers");
    bench.run(&["pause", &service, "--max", "2"]).expect(3).says("at most 2 may be");
    bench.run(&["pause", &service, "--pick", "4"]).expect(3).says("only 3 can be touched");
    bench.run(&["pause", &sandbox.name("web-4")]).expect(3).says("protected");
    // Rounds: each picks anew, and gives back before the next.
    let args = [
        "pause", &service, "--pick", "1", "--every", "1s", "--for", "200ms", "--times", "3", "--output",
        "json",
    ];
    let finished = bench.run(&args).expect(0);
    assert_eq!(events(&finished.stdout, "taken-back").len(), 3, "{}", finished.stdout);
}

#[test]
fn rounds_come_with_jitter_and_a_signal_is_the_one_that_was_named() {
    let Some(sandbox) = Sandbox::open("rounds_come_with_jitter_and_a_signal_is_the_one_that_was_named")
    else {
        return;
    };
    let network = sandbox.network("net", json!({}));
    let member = sandbox.container("web", &[], json!({ "HostConfig": { "NetworkMode": network } }));
    let bench = Bench::new();
    let typed = Instant::now();
    let mut rounds = bench.spawn(&[
        "pause",
        &member.name,
        "--every",
        "1s",
        "--jitter",
        "800ms",
        "--for",
        "100ms",
        "--times",
        "6",
        "--seed",
        "7",
        "--output",
        "json",
    ]);
    let mut begun: Vec<Instant> = Vec::new();
    for line in BufReader::new(rounds.stdout.take().expect("its output")).lines() {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if event["event"] == "planned" {
            begun.push(Instant::now());
        }
    }
    finish(rounds).expect(0);
    assert_eq!(sandbox.inspect(&member.id)["State"]["Paused"], false);
    let gaps: Vec<f64> = begun.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
    let (least, most) = (gaps.iter().copied().fold(9.0, f64::min), gaps.iter().copied().fold(0.0, f64::max));
    assert_eq!(gaps.len(), 5, "{gaps:?}");
    // Each is to come 0.2 to 1.8 s after the one before. A machine that is late with one shortens the next gap, but none comes early.
    let since: Vec<f64> = begun.iter().map(|at| (*at - typed).as_secs_f64()).collect();
    assert!(since.iter().zip(0_u32..).all(|(since, n)| *since >= 0.2 * f64::from(n)), "{since:?}");
    assert!(most < 1.8 + LATE.as_secs_f64(), "{gaps:?}");
    // Twice in a thousand five gaps would be alike within 250 ms.
    assert!(most - least > 0.25, "no two rounds are as far apart as two others: {gaps:?}");

    let before = essence(&sandbox, &member);
    let (state, name) = (|key: &str| sandbox.inspect(&member.id)["State"][key].clone(), &member.name);
    // It ends in order by SIGTERM, and SIGHUP does nothing to it.
    for (signal, code) in [("SIGTERM", json!(0)), ("SIGKILL", json!(137))] {
        let child = bench.spawn(&["kill", name, "--signal", signal, "--for", "10m"]);
        eventually(signal, PATIENCE, || state("Running") == false);
        assert_eq!(state("ExitCode"), code, "{signal}");
        send(&child, Signal::SIGINT);
        finish(child).expect(130).says("nothing left to take back");
        assert_eq!(essence(&sandbox, &member), before, "{signal}");
    }
    let pid = state("Pid");
    bench.run(&["kill", name, "--signal", "SIGHUP", "--for", "300ms"]).expect(0).says("1 target touched");
    assert_eq!(state("Pid"), pid, "it lived on");
    bench.run(&["kill", name, "--signal", "SIGSTOP", "--for", "300ms"]).expect(3).says("pause");
    assert_eq!(essence(&sandbox, &member), before);
}

#[test]
fn replicas_are_killed_in_rounds_one_at_a_time_and_start_again() {
    let Some(sandbox) = Sandbox::open("replicas_are_killed_in_rounds_one_at_a_time_and_start_again") else {
        return;
    };
    let project = sandbox.name("shop");
    let replica = |n: u32| {
        let labels = sandbox.compose_labels(&project, "web", n);
        sandbox.container(&format!("web_{n}"), &[], json!({ "Labels": labels }))
    };
    let replicas: Vec<Member> = (1..=3).map(replica).collect();
    let other = sandbox.container("db", &[], json!({ "Labels": sandbox.compose_labels(&project, "db", 1) }));
    let since = Timestamp::since_epoch();
    let (bench, target) = (Bench::new(), format!("service:web,project:{project}"));
    let args = [
        "kill", &target, "--pick", "1", "--every", "900ms", "--jitter", "300ms", "--for", "300ms", "--times",
        "4", "--seed", "7", "--output", "json",
    ];
    let said = bench.run(&args).expect(0).stdout;
    let told: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let rounds = |name: &str| told.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let planned = rounds("planned");
    assert_eq!((planned.len(), rounds("done").len(), rounds("taken-back").len()), (4, 4, 4), "{said}");
    let mut killed = BTreeSet::new();
    for round in planned {
        assert_eq!(
            (round["targets"].as_array().map(Vec::len), &round["of"]),
            (Some(1), &json!(3)),
            "{round}"
        );
        killed.insert(round["targets"][0]["name"].as_str().expect("a name").to_owned());
    }
    // One is back before the next is struck.
    let order = told.iter().map(|event| event["event"].as_str().expect("a name"));
    let order: Vec<&str> = order.filter(|name| matches!(*name, "done" | "taken-back")).collect();
    assert_eq!(order, ["done", "taken-back"].repeat(4));
    for replica in &replicas {
        assert_eq!(sandbox.inspect(&replica.id)["State"]["Running"], true, "{}", replica.name);
        assert_eq!(
            sandbox.has_told(replica, "die", since),
            killed.contains(&replica.name),
            "{} of {killed:?}",
            replica.name
        );
    }
    assert!(!sandbox.has_told(&other, "die", since), "another service of the project");
    assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
}

#[test]
fn what_has_no_way_back_is_done_only_if_it_is_asked_for_by_name() {
    let Some(sandbox) = Sandbox::open("what_has_no_way_back_is_done_only_if_it_is_asked_for_by_name") else {
        return;
    };
    let bench = Bench::new();
    let member = sandbox.container("gone", &[], json!({}));
    bench
        .run(&["remove", &member.name, "--irreversible", "--dry-run"])
        .expect(0)
        .says("there is no way back");
    assert_eq!(sandbox.inspect(&member.id)["State"]["Running"], true);
    bench.run(&["remove", &member.name, "--irreversible"]).expect(0).says("remove for good");
    assert_eq!(sandbox.inspect(&member.id), Value::Null);
    // A container that its own end deletes is not ended in passing.
    let fleeting = sandbox.container("fleeting", &[], json!({ "HostConfig": { "AutoRemove": true } }));
    bench.run(&["kill", &fleeting.name]).expect(3).says("--rm");
    assert_eq!(sandbox.inspect(&fleeting.id)["State"]["Running"], true);
}

#[test]
fn no_target_and_no_engine_are_errors_that_help_and_never_a_pass() {
    let Some(sandbox) = Sandbox::open("no_target_and_no_engine_are_errors_that_help_and_never_a_pass") else {
        return;
    };
    let bench = Bench::new();
    let project = sandbox.name("shop");
    sandbox.container("w", &[], json!({ "Labels": sandbox.compose_labels(&project, "webshop", 1) }));
    bench.run(&["kill", "service:wbshop"]).expect(3).says("did you mean `service:webshop`?");
    bench.run(&["pause", "sevice:web"]).expect(2).says("did you mean `service:`?");
    bench.run(&["limit", "w"]).expect(2).says("--cpus");
    let lost: Finished =
        bench.command(&["kill", "web"]).env("DOCKER_HOST", "unix:///nowhere.sock").output().unwrap().into();
    lost.expect(3).says("no container engine found");
}

#[test]
fn a_command_and_a_run_do_not_fight_over_one_container() {
    let Some(sandbox) = Sandbox::open("a_command_and_a_run_do_not_fight_over_one_container") else { return };
    // Limits of its own: an engine has no word for a limit of memory that was lifted.
    let host = json!({ "Memory": 256 << 20, "MemorySwap": 256 << 20 });
    let member = sandbox.container("db", &[], json!({ "HostConfig": host }));
    let bench = Bench::new();
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: a long run\nprobes: {{ up: {{ command: [\"true\"], every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 200ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
             faults: [{{ container: {{ name: {} }}, inject: {{ limits: {{ memory: 64MiB }} }} }}]\n",
            member.name
        ),
    );
    let before = essence(&sandbox, &member);
    let paused = || sandbox.inspect(&member.id)["State"]["Paused"] == true;
    let limited = || sandbox.inspect(&member.id)["HostConfig"]["Memory"] == 64 << 20;

    // By hand first.
    let by_hand = bench.spawn(&["pause", &member.name, "--for", "10m"]);
    eventually("it is paused", PATIENCE, paused);
    let held = "in the hands of another run (\"murphy pause";
    bench.run(&["run", "s.yaml"]).expect(3).says(held);
    bench.run(&["limit", &member.name, "--pids", "20"]).expect(3).says(held);
    assert!(paused() && !limited(), "neither has touched it");
    send(&by_hand, Signal::SIGINT);
    finish(by_hand).expect(130);

    // Then by a run.
    let run = bench.spawn(&["run", "s.yaml"]);
    eventually("it is limited", PATIENCE, limited);
    bench.run(&["pause", &member.name]).expect(3).says("in the hands of another run (\"a long run\"");
    assert!(!paused());
    // Also while its run is dead and not taken back.
    kill_with_watchdog(&bench, run);
    bench.run(&["pause", &member.name]).expect(3).says("murphy undo");
    bench.run(&["undo"]).expect(0).says("taken back");
    assert_eq!(essence(&sandbox, &member), before);
    assert!(bench.undo_logs().is_empty(), "the locks of the dead are gone too");
    bench.run(&["pause", &member.name, "--for", "100ms"]).expect(0);
}
