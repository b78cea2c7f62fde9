//! A watch against a real engine: what happens to containers during a run stands in the journal, in order and once.

mod common;

use std::time::Duration;

use common::{connect, identity};
use murphy_core::{ContainerHealth, EventKind, ExitCause, OutputStream, Recorder, Recording, RunClock};
use murphy_docker::{Action, Change, Command, Limits, Signal, Watch, Watched};
use murphy_testkit::Sandbox;
use serde_json::json;

/// The next change of a kind; others before it are dropped.
async fn change(watch: &mut Watch, wanted: impl Fn(&Change) -> bool) -> Change {
    let found = async {
        loop {
            let change = watch.change().await.expect("the watch goes on");
            if wanted(&change) {
                return change;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("the change within a minute")
}

/// All that was recorded so far.
fn events(recording: &mut Recording) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while let Ok(Some(event)) = recording.next(Duration::ZERO) {
        kinds.push(event.kind);
    }
    kinds
}

fn journal() -> (Recorder, Recording) {
    Recorder::new(RunClock::start(), 4096)
}

#[tokio::test]
async fn a_crash_is_told_with_its_code_and_last_lines_and_the_restart_with_its_gap() {
    let Some(sandbox) =
        Sandbox::open("a_crash_is_told_with_its_code_and_last_lines_and_the_restart_with_its_gap")
    else {
        return;
    };
    let engine = connect(&sandbox).await;
    let words = ["print", "working", "complain", "redis: connection refused", "wait", "300", "exit", "3"];
    let member = sandbox.created(
        "web",
        &words,
        json!({
            "Labels": sandbox.compose_labels(&sandbox.name("shop"), "web", 1),
            "HostConfig": { "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 1 } },
        }),
    );
    let (recorder, mut recording) = journal();
    let mut watch = engine.watch(Watched::Project(sandbox.name("shop")), recorder).await.unwrap();
    sandbox.post(&format!("/containers/{}/start", member.id), &json!(null));
    let exited = |change: &Change| matches!(change, Change::Exited { .. });
    change(&mut watch, exited).await;
    change(&mut watch, exited).await;
    watch.stop().await;
    let kinds = events(&mut recording);
    let exits: Vec<_> =
        kinds.iter().filter(|kind| matches!(kind, EventKind::ContainerExited { .. })).collect();
    let EventKind::ContainerExited { service, code: 3, cause: ExitCause::Itself, last_output, .. } = exits[0]
    else {
        panic!("{exits:?}");
    };
    assert_eq!(service.as_deref(), Some("web"));
    // The engine may swap lines of two streams.
    assert!(last_output.iter().any(|line| line == "redis: connection refused"), "{last_output:?}");
    assert_eq!(exits.len(), 2);
    let output = |kinds: &[EventKind]| {
        kinds
            .iter()
            .filter_map(|kind| match kind {
                EventKind::ContainerOutput { stream, line, .. } => Some((*stream, line.clone())),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let mut lines = output(&kinds);
    lines.sort();
    // Each life wrote both lines, and each is told once.
    let out = (OutputStream::Stdout, "working".to_owned());
    let err = (OutputStream::Stderr, "redis: connection refused".to_owned());
    assert_eq!(lines, [out.clone(), out, err.clone(), err]);
    let at = |wanted: fn(&EventKind) -> bool| kinds.iter().position(wanted).unwrap();
    let exit = at(|kind| matches!(kind, EventKind::ContainerExited { .. }));
    assert_eq!(output(&kinds[..exit]).len(), 2, "the last words stand before the exit");
    let restarts = kinds.iter().filter(|kind| matches!(kind, EventKind::ContainerRestarted { .. })).count();
    assert_eq!(restarts, 2, "its first start and the engine's: it was not running when the watch began");
}

#[tokio::test]
async fn an_exit_by_a_fault_and_one_by_hand_are_no_crash() {
    let Some(sandbox) = Sandbox::open("an_exit_by_a_fault_and_one_by_hand_are_no_crash") else { return };
    let engine = connect(&sandbox).await;
    let project = sandbox.name("shop");
    let member =
        sandbox.container("web", &[], json!({ "Labels": sandbox.compose_labels(&project, "web", 1) }));
    let (recorder, mut recording) = journal();
    let mut watch = engine.watch(Watched::Project(project), recorder).await.unwrap();
    let container = identity(&member);
    watch.causes().expect(&container, ExitCause::Fault);
    let kill = Action::Kill { signal: Signal::KILL };
    let undos = engine.prepare(&container, &kill).await.unwrap();
    engine.apply(&container, &kill, &undos).await.unwrap();
    change(&mut watch, |change| matches!(change, Change::Exited { code: 137, .. })).await;
    engine.revert(&undos[0]).await.unwrap();
    change(&mut watch, |change| matches!(change, Change::Restarted { .. })).await;
    watch.causes().forget(&container);
    sandbox.post(&format!("/containers/{}/stop?t=5", member.id), &json!(null));
    change(&mut watch, |change| matches!(change, Change::Exited { .. })).await;
    watch.stop().await;
    let causes: Vec<_> = events(&mut recording)
        .into_iter()
        .filter_map(|kind| match kind {
            EventKind::ContainerExited { cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [ExitCause::Fault, ExitCause::Stopped]);
}

#[tokio::test]
async fn a_container_made_anew_is_told_as_a_replacement_and_can_be_acted_on() {
    let Some(sandbox) = Sandbox::open("a_container_made_anew_is_told_as_a_replacement_and_can_be_acted_on")
    else {
        return;
    };
    let engine = connect(&sandbox).await;
    let project = sandbox.name("shop");
    let labels = json!({ "Labels": sandbox.compose_labels(&project, "web", 1) });
    let old = sandbox.container("old", &[], labels.clone());
    let mut watch = engine.watch(Watched::Project(project), Recorder::disabled()).await.unwrap();
    let new = sandbox.created("new", &[], labels);
    sandbox.post(&format!("/containers/{}/stop?t=1", old.id), &json!(null));
    sandbox.post(&format!("/containers/{}/start", new.id), &json!(null));
    let replaced = change(&mut watch, |change| matches!(change, Change::Replaced { .. })).await;
    let Change::Replaced { container, by } = replaced else { unreachable!() };
    assert_eq!((container, &by.identity.id), (identity(&old), &new.id));
    let pause = Action::Pause;
    let undos = engine.prepare(&by.identity, &pause).await.unwrap();
    engine.apply(&by.identity, &pause, &undos).await.unwrap();
    assert_eq!(sandbox.inspect(&new.id)["State"]["Paused"], json!(true));
    watch.stop().await;
}

#[tokio::test]
async fn want_of_memory_under_a_limit_is_told() {
    let Some(sandbox) = Sandbox::open("want_of_memory_under_a_limit_is_told") else { return };
    let engine = connect(&sandbox).await;
    let member = sandbox.container("hungry", &[], json!({}));
    let there = engine.containers(murphy_docker::Scope::Running).await.unwrap();
    let these = there.into_iter().filter(|container| container.identity.id == member.id).collect();
    let (recorder, mut recording) = journal();
    let mut watch = engine.watch(Watched::These(these), recorder).await.unwrap();
    let container = identity(&member);
    let limit = Action::Limit(Limits { memory: Some("16MiB".parse().unwrap()), ..Limits::default() });
    let undos = engine.prepare(&container, &limit).await.unwrap();
    engine.apply(&container, &limit, &undos).await.unwrap();
    let eat = Command {
        command: ["/victim", "allocate", "64", "exit", "0"].map(str::to_owned).to_vec(),
        revert: None,
        within: "30s".parse().unwrap(),
    };
    assert!(engine.apply(&container, &Action::Exec(eat), &[]).await.is_err());
    change(&mut watch, |change| matches!(change, Change::OutOfMemory { .. })).await;
    watch.stop().await;
    assert!(events(&mut recording).iter().any(|kind| matches!(kind, EventKind::ContainerOom { .. })));
}

#[tokio::test]
async fn a_health_check_that_changes_its_mind_is_told() {
    let Some(sandbox) = Sandbox::open("a_health_check_that_changes_its_mind_is_told") else { return };
    let engine = connect(&sandbox).await;
    let project = sandbox.name("shop");
    let second = 1_000_000_000i64;
    let member = sandbox.created(
        "web",
        &[],
        json!({
            "Labels": sandbox.compose_labels(&project, "web", 1),
            "Healthcheck": {
                "Test": ["CMD", "/victim", "exists", "/tmp/healthy", "exit", "0"],
                "Interval": second / 4, "Timeout": 5 * second, "Retries": 1,
            },
        }),
    );
    let mut watch = engine.watch(Watched::Project(project), Recorder::disabled()).await.unwrap();
    sandbox.post(&format!("/containers/{}/start", member.id), &json!(null));
    change(&mut watch, |c| matches!(c, Change::Health { health: ContainerHealth::Unhealthy, .. })).await;
    let mend = Command {
        command: ["/victim", "write", "/tmp/healthy", "exit", "0"].map(str::to_owned).to_vec(),
        revert: None,
        within: "10s".parse().unwrap(),
    };
    engine.apply(&identity(&member), &Action::Exec(mend), &[]).await.unwrap();
    change(&mut watch, |c| matches!(c, Change::Health { health: ContainerHealth::Healthy, .. })).await;
    watch.stop().await;
}
