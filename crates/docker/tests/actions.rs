//! Every action against a real engine: apply, see it through the engine's own eyes, revert, exactly as before. Each
//! revert is done twice: the second one must change nothing.

mod common;

use common::{connect, identity, snapshot};
use murphy_core::{Cpus, Span, Undo};
use murphy_docker::{
    ActError, Action, Command, Engine, EngineError, Limits, Networks, Removal, RevertError, Reverted, Signal,
    restoring_options,
};
use murphy_testkit::{Member, Sandbox, free_port};
use serde_json::{Value, json};

async fn act(engine: &Engine, member: &Member, action: &Action) -> Vec<Undo> {
    let container = identity(member);
    let undos = engine.prepare(&container, action).await.expect("to prepare");
    engine.apply(&container, action, &undos).await.expect("to apply");
    undos
}

/// Takes all back, newest first, from their text as another process would read it; then once more.
async fn take_back(engine: &Engine, undos: &[Undo]) -> Vec<Reverted> {
    let text = serde_json::to_string(undos).expect("undos as text");
    let read: Vec<Undo> = serde_json::from_str(&text).expect("undos from text");
    let mut answers = Vec::new();
    for undo in read.iter().rev() {
        answers.push(engine.revert(undo).await.expect("to revert"));
    }
    for undo in read.iter().rev().filter(|undo| !matches!(undo, Undo::Exec { .. })) {
        assert_eq!(
            engine.revert(undo).await.expect("to revert again"),
            Reverted::AlreadyAsBefore,
            "{undo:?}"
        );
    }
    answers
}

fn restored() -> Reverted {
    Reverted::Restored { notes: Vec::new() }
}

/// A container with all that a revert could lose: two networks with aliases, an asked-for address, IPv6, a published
/// port, a restart policy, limits.
fn a_settled_container(sandbox: &Sandbox, octet: u8) -> Member {
    let front = sandbox.network("front", json!({}));
    let subnets = json!([
        { "Subnet": format!("10.213.{octet}.0/24") },
        { "Subnet": format!("fd00:213:{octet}::/64") },
    ]);
    let back = sandbox.network("back", json!({ "EnableIPv6": true, "IPAM": { "Config": subnets } }));
    let member = sandbox.created("settled", &["echo", "7000"], json!({
        "ExposedPorts": { "7000/tcp": {} },
        "HostConfig": {
            "NetworkMode": front,
            "RestartPolicy": { "Name": "always" },
            "PortBindings": { "7000/tcp": [{ "HostIp": "127.0.0.1", "HostPort": free_port().to_string() }] },
        },
        "NetworkingConfig": { "EndpointsConfig": { &front: { "Aliases": ["web", "shop"] } } },
    }));
    sandbox.post(&format!("/networks/{back}/connect"), &json!({
        "Container": member.id,
        "EndpointConfig": {
            "Aliases": ["inner"],
            "IPAMConfig": { "IPv4Address": format!("10.213.{octet}.77"), "IPv6Address": format!("fd00:213:{octet}::77") },
        },
    }));
    sandbox.post(&format!("/containers/{}/start", member.id), &Value::Null);
    member
}

#[tokio::test]
async fn a_killed_container_stays_down_and_comes_back_as_it_was() {
    let Some(sandbox) = Sandbox::open("a_killed_container_stays_down_and_comes_back_as_it_was") else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 1));
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Kill { signal: Signal::KILL }).await;
    let state = &sandbox.inspect(&member.id)["State"];
    assert_eq!((&state["Running"], &state["ExitCode"]), (&json!(false), &json!(137)));
    assert_eq!(take_back(&engine, &undos).await, [restored()]);
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn a_signal_that_the_container_survives_leaves_it_running() {
    let Some(sandbox) = Sandbox::open("a_signal_that_the_container_survives_leaves_it_running") else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, sandbox.container("one", &["ignore-term"], json!({})));
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Kill { signal: Signal::TERM }).await;
    assert_eq!(engine.revert(&undos[0]).await.unwrap(), Reverted::AlreadyAsBefore);
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn a_stop_gives_the_container_its_grace() {
    let Some(sandbox) = Sandbox::open("a_stop_gives_the_container_its_grace") else { return };
    let engine = connect(&sandbox).await;
    // On the bridge of all, containers of other tests take addresses that are free for a moment.
    let own = json!({ "HostConfig": { "NetworkMode": sandbox.network("own", json!({})) } });
    let polite = sandbox.container("polite", &[], own.clone());
    let deaf = sandbox.container("deaf", &["ignore-term"], own);
    for (member, code) in [(&polite, 0), (&deaf, 137)] {
        let before = snapshot(&sandbox, member);
        let undos = act(&engine, member, &Action::Stop { grace: Span::from_secs(1) }).await;
        assert_eq!(sandbox.inspect(&member.id)["State"]["ExitCode"], json!(code), "{}", member.name);
        assert_eq!(take_back(&engine, &undos).await, [restored()]);
        assert_eq!(snapshot(&sandbox, member), before);
    }
}

#[tokio::test]
async fn a_restart_is_a_new_process_in_the_same_container() {
    let Some(sandbox) = Sandbox::open("a_restart_is_a_new_process_in_the_same_container") else { return };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 2));
    let (before, started) =
        (snapshot(&sandbox, &member), sandbox.inspect(&member.id)["State"]["StartedAt"].clone());
    let undos = act(&engine, &member, &Action::Restart { grace: Span::from_secs(1) }).await;
    assert_ne!(sandbox.inspect(&member.id)["State"]["StartedAt"], started);
    assert_eq!(engine.revert(&undos[0]).await.unwrap(), Reverted::AlreadyAsBefore);
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn a_paused_container_goes_on() {
    let Some(sandbox) = Sandbox::open("a_paused_container_goes_on") else { return };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 3));
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Pause).await;
    assert_eq!(sandbox.inspect(&member.id)["State"]["Paused"], json!(true));
    let again = engine.prepare(&identity(&member), &Action::Pause).await;
    assert!(matches!(again, Err(ActError::NotRunning { .. })), "a second pause would end the first");
    assert_eq!(take_back(&engine, &undos).await, [restored()]);
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn a_removed_container_is_gone_for_others_and_comes_back_with_its_files() {
    let Some(sandbox) = Sandbox::open("a_removed_container_is_gone_for_others_and_comes_back_with_its_files")
    else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 4));
    let write = Command {
        command: vec!["/victim".into(), "write".into(), "/tmp/kept".into(), "exit".into(), "0".into()],
        revert: None,
        within: Span::from_secs(10),
    };
    act(&engine, &member, &Action::Exec(write)).await;
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Remove(Removal::SetAside)).await;
    assert_eq!(sandbox.inspect(&member.name), Value::Null, "its name must be free");
    assert_eq!(sandbox.inspect(&member.id)["State"]["Running"], json!(false));
    assert_eq!(take_back(&engine, &undos).await, [restored(), restored()]);
    assert_eq!(snapshot(&sandbox, &member), before);
    let kept = Command {
        command: vec!["/victim".into(), "exists".into(), "/tmp/kept".into(), "exit".into(), "0".into()],
        revert: None,
        within: Span::from_secs(10),
    };
    act(&engine, &member, &Action::Exec(kept)).await;
}

#[tokio::test]
async fn a_container_whose_name_was_taken_meanwhile_says_so() {
    let Some(sandbox) = Sandbox::open("a_container_whose_name_was_taken_meanwhile_says_so") else { return };
    let (engine, member) = (connect(&sandbox).await, sandbox.container("one", &[], json!({})));
    let undos = act(&engine, &member, &Action::Remove(Removal::SetAside)).await;
    sandbox.container("one", &[], json!({}));
    let error = engine.revert(undos.last().unwrap()).await.unwrap_err();
    assert!(
        matches!(&error, RevertError::NameTaken { now, .. } if now.starts_with("murphy-aside-")),
        "{error}"
    );
}

#[tokio::test]
async fn a_removal_for_good_has_no_way_back_and_says_so_beforehand() {
    let Some(sandbox) = Sandbox::open("a_removal_for_good_has_no_way_back_and_says_so_beforehand") else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, sandbox.container("one", &[], json!({})));
    assert_eq!(act(&engine, &member, &Action::Remove(Removal::ForGood)).await, []);
    assert_eq!(sandbox.inspect(&member.id), Value::Null);
}

#[tokio::test]
async fn a_container_comes_back_to_all_its_networks_with_its_aliases_and_addresses() {
    let Some(sandbox) =
        Sandbox::open("a_container_comes_back_to_all_its_networks_with_its_aliases_and_addresses")
    else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 5));
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Disconnect(Networks::All)).await;
    assert_eq!(undos.len(), 2);
    assert_eq!(sandbox.inspect(&member.id)["NetworkSettings"]["Networks"], json!({}));
    assert_eq!(take_back(&engine, &undos).await, [restored(), restored()]);
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn only_the_named_network_is_taken_away() {
    let Some(sandbox) = Sandbox::open("only_the_named_network_is_taken_away") else { return };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 6));
    let before = snapshot(&sandbox, &member);
    let undos = act(&engine, &member, &Action::Disconnect(Networks::One(sandbox.name("back")))).await;
    let networks = sandbox.inspect(&member.id)["NetworkSettings"]["Networks"].clone();
    assert_eq!(networks.as_object().unwrap().keys().collect::<Vec<_>>(), [&sandbox.name("front")]);
    take_back(&engine, &undos).await;
    assert_eq!(snapshot(&sandbox, &member), before);
}

#[tokio::test]
async fn an_address_that_another_container_took_is_asked_for_or_its_loss_is_said() {
    let Some(sandbox) =
        Sandbox::open("an_address_that_another_container_took_is_asked_for_or_its_loss_is_said")
    else {
        return;
    };
    let engine = connect(&sandbox).await;
    let chosen = json!({ "IPAM": { "Config": [{ "Subnet": "10.213.7.0/24" }] } });
    for (network, addresses_are_granted) in [("auto", false), ("chosen", true)] {
        let settings = if addresses_are_granted { chosen.clone() } else { json!({}) };
        let net = sandbox.network(network, settings);
        let host = json!({ "HostConfig": { "NetworkMode": net } });
        let low = sandbox.container(&format!("{network}-low"), &[], host.clone());
        let high = sandbox.container(&format!("{network}-high"), &[], host);
        let address = |member: &Member| {
            sandbox.inspect(&member.id)["NetworkSettings"]["Networks"][&net]["IPAddress"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let was = address(&high);
        let undos = act(&engine, &high, &Action::Disconnect(Networks::All)).await;
        // The address below becomes free: the engine would now hand out that one.
        sandbox.post(&format!("/networks/{net}/disconnect"), &json!({ "Container": low.id }));
        let Reverted::Restored { notes } = engine.revert(&undos[0]).await.unwrap() else {
            panic!("not restored")
        };
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(address(&high) == was, addresses_are_granted, "{notes:?}");
        assert_eq!(notes[0].contains(&was), !addresses_are_granted, "{notes:?}");
    }
}

#[tokio::test]
async fn a_container_without_a_network_of_its_own_is_refused() {
    let Some(sandbox) = Sandbox::open("a_container_without_a_network_of_its_own_is_refused") else { return };
    let engine = connect(&sandbox).await;
    let host = sandbox.container("host", &[], json!({ "HostConfig": { "NetworkMode": "host" } }));
    let error = engine.prepare(&identity(&host), &Action::Disconnect(Networks::All)).await.unwrap_err();
    assert!(matches!(error, ActError::NoNetwork { .. }) && error.to_string().contains("`host`"), "{error}");
}

/// What the kernel itself holds for a container, where its files can be read (cgroup v1 with the engine's own driver).
fn kernel_limits(member: &Member) -> Option<Vec<String>> {
    let file = |controller: &str, name: &str| {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{controller}/docker/{}/{name}", member.id)).ok()
    };
    [
        ("memory", "memory.limit_in_bytes"),
        ("memory", "memory.memsw.limit_in_bytes"),
        ("cpu", "cpu.cfs_quota_us"),
        ("cpu", "cpu.cfs_period_us"),
        ("pids", "pids.max"),
    ]
    .into_iter()
    .map(|(controller, name)| file(controller, name))
    .collect()
}

fn squeeze() -> Action {
    Action::Limit(Limits {
        cpus: Some(Cpus::new(0.25).unwrap()),
        memory: Some("48MiB".parse().unwrap()),
        swap: None,
        pids: Some(30),
    })
}

#[tokio::test]
async fn limits_of_the_owner_come_back_to_the_very_number() {
    let Some(sandbox) = Sandbox::open("limits_of_the_owner_come_back_to_the_very_number") else { return };
    let engine = connect(&sandbox).await;
    let mib = 1 << 20;
    for (short, limits) in [
        (
            "nano",
            json!({ "Memory": 64 * mib, "MemorySwap": 128 * mib, "NanoCpus": 1_500_000_000i64, "PidsLimit": 100 }),
        ),
        (
            "quota",
            json!({ "Memory": 64 * mib, "MemorySwap": -1, "CpuQuota": 80_000, "CpuPeriod": 50_000, "PidsLimit": 9 }),
        ),
    ] {
        let host =
            merge(limits, &json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 } }));
        let member = sandbox.container(short, &[], json!({ "HostConfig": host }));
        let (before, kernel) = (snapshot(&sandbox, &member), kernel_limits(&member));
        let undos = act(&engine, &member, &squeeze()).await;
        let host = &sandbox.inspect(&member.id)["HostConfig"];
        assert_eq!((&host["Memory"], &host["PidsLimit"]), (&json!(48 * mib), &json!(30)));
        assert_ne!(kernel_limits(&member).unwrap_or_default(), kernel.clone().unwrap_or(vec![String::new()]));
        let answer = take_back(&engine, &undos).await;
        assert_eq!(kernel_limits(&member), kernel);
        if short == "nano" {
            assert_eq!((answer, snapshot(&sandbox, &member)), (vec![restored()], before));
        } else {
            // "No limit on swap" is the one thing that an engine on cgroup v1 does not take back as it was said.
            let mut after = snapshot(&sandbox, &member);
            after["host"]["MemorySwap"] = json!(-1);
            assert_eq!(after, before);
        }
    }
}

fn merge(mut into: Value, from: &Value) -> Value {
    into.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
    into
}

#[tokio::test]
async fn a_container_without_limits_has_none_again_as_the_kernel_sees_it() {
    let Some(sandbox) = Sandbox::open("a_container_without_limits_has_none_again_as_the_kernel_sees_it")
    else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, sandbox.container("one", &[], json!({})));
    let (before, kernel) = (snapshot(&sandbox, &member), kernel_limits(&member));
    let undos = act(&engine, &member, &squeeze()).await;
    let squeezed = &sandbox.inspect(&member.id)["HostConfig"];
    assert_eq!((&squeezed["CpuQuota"], &squeezed["MemorySwap"]), (&json!(25_000), &json!(48 << 20)));
    let answers = take_back(&engine, &undos).await;
    assert!(matches!(&answers[..], [Reverted::Restored { notes }] if notes.len() == 1), "{answers:?}");
    assert_eq!(kernel_limits(&member), kernel);
    // The engine's record has no way to say it: only these four fields may differ, and only as another word for "none".
    let mut after = snapshot(&sandbox, &member);
    for field in ["Memory", "MemorySwap", "CpuQuota", "PidsLimit"] {
        after["host"][field] = before["host"][field].clone();
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn limits_are_given_back_by_the_options_that_a_person_is_told_to_type() {
    let Some(sandbox) = Sandbox::open("limits_are_given_back_by_the_options_that_a_person_is_told_to_type")
    else {
        return;
    };
    let engine = connect(&sandbox).await;
    let mib = 1 << 20;
    for (short, limits) in [
        ("free", json!({})),
        (
            "nanos",
            json!({ "Memory": 64 * mib, "MemorySwap": 128 * mib, "NanoCpus": 1_500_000_000i64, "PidsLimit": 100 }),
        ),
        ("quota", json!({ "Memory": 64 * mib, "MemorySwap": -1, "CpuQuota": 80_000, "CpuPeriod": 100_000 })),
    ] {
        let member = sandbox.container(short, &[], json!({ "HostConfig": limits }));
        let kernel = kernel_limits(&member);
        let undos = act(&engine, &member, &squeeze()).await;
        let [Undo::RestoreLimits { limits, .. }] = &undos[..] else { panic!("{undos:?}") };
        let spellings = restoring_options(limits);
        // As a shell does it with `||` between them.
        let done = spellings.iter().any(|options| {
            let mut typed = std::process::Command::new("docker");
            typed.arg("update").args(options).arg(&member.name);
            typed.output().expect("the docker command is there where its engine is").status.success()
        });
        assert!(done, "{short}: {spellings:?}");
        assert_eq!(kernel_limits(&member), kernel, "{short}: {spellings:?}");
        assert_eq!(take_back(&engine, &undos).await, [Reverted::AlreadyAsBefore], "{short}: {spellings:?}");
    }
}

#[tokio::test]
async fn memory_below_what_is_in_use_is_refused_and_nothing_changes() {
    let Some(sandbox) = Sandbox::open("memory_below_what_is_in_use_is_refused_and_nothing_changes") else {
        return;
    };
    let engine = connect(&sandbox).await;
    let member = sandbox.container("one", &["allocate", "64", "write", "/tmp/full"], json!({}));
    let full = Command {
        command: ["/victim", "exists", "/tmp/full", "exit", "0"].map(str::to_owned).to_vec(),
        revert: None,
        within: Span::from_secs(10),
    };
    let container = identity(&member);
    while engine.apply(&container, &Action::Exec(full.clone()), &[]).await.is_err() {
        tokio::task::yield_now().await;
    }
    let before = snapshot(&sandbox, &member);
    let action = Action::Limit(Limits { memory: Some("16MiB".parse().unwrap()), ..Limits::default() });
    let undos = engine.prepare(&container, &action).await.unwrap();
    match engine.apply(&container, &action, &undos).await {
        Err(error) => {
            assert!(matches!(error, ActError::MemoryInUse { .. }), "{error}");
            assert_eq!(engine.revert(&undos[0]).await.unwrap(), Reverted::AlreadyAsBefore);
            assert_eq!(snapshot(&sandbox, &member), before);
        }
        // cgroup v2 takes any limit and kills what does not fit.
        Ok(_) => assert!(std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()),
    }
}

#[tokio::test]
async fn a_command_and_its_way_back_are_run_and_a_failed_one_tells_its_output() {
    let Some(sandbox) = Sandbox::open("a_command_and_its_way_back_are_run_and_a_failed_one_tells_its_output")
    else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, sandbox.container("one", &[], json!({})));
    let words =
        |words: &[&str]| std::iter::once("/victim").chain(words.iter().copied()).map(str::to_owned).collect();
    let command = |c: &[&str], r: Option<&[&str]>| {
        Action::Exec(Command { command: words(c), revert: r.map(words), within: Span::from_secs(10) })
    };
    let container = identity(&member);
    let there = command(&["exists", "/tmp/broken", "exit", "0"], None);
    let undos = act(
        &engine,
        &member,
        &command(&["write", "/tmp/broken", "exit", "0"], Some(&["remove", "/tmp/broken", "exit", "0"])),
    )
    .await;
    engine.apply(&container, &there, &[]).await.expect("the file is there");
    take_back(&engine, &undos).await;
    assert!(matches!(
        engine.apply(&container, &there, &[]).await,
        Err(ActError::CommandFailed { code: 1, .. })
    ));
    let said = engine.apply(&container, &command(&["print", "hello", "exit", "0"], None), &[]).await.unwrap();
    assert_eq!(said.output.as_deref(), Some("hello"));
    let error = engine
        .apply(&container, &command(&["complain", "no disk", "exit", "9"], None), &[])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("code 9: no disk"), "{error}");
    let endless = Action::Exec(Command { command: words(&[]), revert: None, within: Span::from_millis(300) });
    assert!(matches!(engine.apply(&container, &endless, &[]).await, Err(ActError::CommandTooLong { .. })));
}

#[tokio::test]
async fn a_container_that_would_vanish_is_not_killed() {
    let Some(sandbox) = Sandbox::open("a_container_that_would_vanish_is_not_killed") else { return };
    let engine = connect(&sandbox).await;
    let member = sandbox.container("one", &[], json!({ "HostConfig": { "AutoRemove": true } }));
    let error = engine.prepare(&identity(&member), &Action::Kill { signal: Signal::KILL }).await.unwrap_err();
    assert!(error.to_string().contains("--rm"), "{error}");
    let undos = act(&engine, &member, &Action::Restart { grace: Span::from_secs(1) }).await;
    assert_eq!(engine.revert(&undos[0]).await.unwrap(), Reverted::AlreadyAsBefore);
}

#[tokio::test]
async fn every_undo_of_a_container_that_is_gone_reports_it() {
    let Some(sandbox) = Sandbox::open("every_undo_of_a_container_that_is_gone_reports_it") else { return };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 8));
    let container = identity(&member);
    let mut undos = Vec::new();
    for action in [
        Action::Kill { signal: Signal::KILL },
        Action::Pause,
        Action::Remove(Removal::SetAside),
        Action::Disconnect(Networks::All),
        squeeze(),
    ] {
        undos.extend(engine.prepare(&container, &action).await.unwrap());
    }
    act(&engine, &member, &Action::Remove(Removal::ForGood)).await;
    for undo in &undos {
        assert_eq!(engine.revert(undo).await.unwrap(), Reverted::Gone, "{undo:?}");
    }
    let gone = engine.prepare(&container, &Action::Pause).await.unwrap_err();
    assert!(matches!(gone, ActError::Engine(EngineError::NotFound { .. })), "{gone}");
}

#[tokio::test]
async fn actions_that_overlap_on_one_container_are_taken_back_together() {
    let Some(sandbox) = Sandbox::open("actions_that_overlap_on_one_container_are_taken_back_together") else {
        return;
    };
    let (engine, member) = (connect(&sandbox).await, a_settled_container(&sandbox, 9));
    let before = snapshot(&sandbox, &member);
    let mut undos =
        act(&engine, &member, &Action::Limit(Limits { pids: Some(50), ..Limits::default() })).await;
    undos.extend(act(&engine, &member, &Action::Disconnect(Networks::One(sandbox.name("front")))).await);
    undos.extend(act(&engine, &member, &Action::Pause).await);
    let answers = engine.revert_all(&undos).await;
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|(_, answer)| matches!(answer, Ok(Reverted::Restored { .. }))), "{answers:?}");
    let mut after = snapshot(&sandbox, &member);
    after["host"]["PidsLimit"] = before["host"]["PidsLimit"].clone();
    assert_eq!(after, before);
}
