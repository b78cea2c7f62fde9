//! Stacks through each compose program that is there, against a real engine.

mod common;

use std::path::PathBuf;

use common::connect;
use murphy_core::{Recorder, Span, Undo};
use murphy_docker::{
    Change, ComposeError, ComposeProgram, ComposeStack, Engine, ReadyError, Reverted, UpTimes, Watched,
};
use murphy_testkit::Sandbox;

/// A stack of a test: a healthy `web`, a `job` that ends well, a volume.
struct Stack {
    sandbox: Sandbox,
    engine: Engine,
    compose: ComposeStack,
    program: ComposeProgram,
    directory: tempfile::TempDir,
}

impl Stack {
    /// The same stack for each compose program that works here; in CI there must be one.
    async fn each(test: &str, services: &str) -> Vec<Stack> {
        let mut stacks = Vec::new();
        for program in ComposeProgram::ALL {
            if program.works().await {
                stacks.extend(Stack::of(test, program, services).await);
            } else {
                murphy_testkit::skipped(format_args!("no `{}`: {test}", program.words()));
            }
        }
        assert!(
            !stacks.is_empty() || std::env::var("CI").as_deref() != Ok("true"),
            "{test}: neither an engine with `docker compose` nor one with `docker-compose`, and CI=true"
        );
        stacks
    }

    /// `None` where there is no engine; in CI that is a failure.
    async fn of(test: &str, program: ComposeProgram, services: &str) -> Option<Stack> {
        let sandbox = Sandbox::open(test)?;
        let engine = connect(&sandbox).await;
        let directory = tempfile::tempdir().expect("a directory");
        let label = sandbox.label();
        let services = services
            .replace("IMAGE", sandbox.image())
            .replace("LABELS", &format!("labels: {{ murphy.test: \"{label}\" }}"));
        let text = format!(
            "version: \"3.8\"\nservices:\n{services}\nvolumes:\n  data:\n    labels: {{ murphy.test: \"{label}\" }}\nnetworks:\n  default:\n    labels: {{ murphy.test: \"{label}\" }}\n"
        );
        std::fs::write(directory.path().join("compose.yaml"), text).expect("to write the file");
        let project = sandbox.name("stack").trim_end_matches('-').to_owned();
        let files: [PathBuf; 1] = [directory.path().join("compose.yaml")];
        let compose = ComposeStack::new(program, &files, Some(&project)).expect("the stack");
        Some(Stack { sandbox, engine, compose, program, directory })
    }
}

const WEB: &str = r#"
  web:
    image: IMAGE
    command: [wait, "700", write, /tmp/healthy]
    healthcheck: { test: [CMD, /victim, exists, /tmp/healthy, exit, "0"], interval: 300ms, timeout: 5s, retries: 50 }
    volumes: [ "data:/data" ]
    stop_grace_period: 1s
    LABELS
"#;

const JOB: &str = r#"
  job:
    image: IMAGE
    command: [print, done, exit, "0"]
    LABELS
"#;

fn times() -> UpTimes {
    UpTimes { start: Span::from_secs(120), ready: Span::from_secs(60) }
}

fn names(stack: &Stack, what: &str, key: &str) -> Vec<String> {
    let project = stack.compose.project();
    let answer = stack.sandbox.engine().call("GET", what, None).unwrap().json();
    let list = if key.is_empty() { answer } else { answer[key].clone() };
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["Labels"]["com.docker.compose.project"] == project)
        .map(|entry| entry["Name"].as_str().or(entry["Names"][0].as_str()).unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_stack_comes_up_healthy_and_goes_down_without_a_trace() {
    for stack in
        Stack::each("a_stack_comes_up_healthy_and_goes_down_without_a_trace", &[WEB, JOB].concat()).await
    {
        let undo = stack.compose.prepare(&stack.engine).await.unwrap();
        let containers = stack.compose.up(&stack.engine, times()).await.unwrap();
        let services: Vec<_> = containers.iter().filter_map(|container| container.service()).collect();
        assert_eq!(services, ["job", "web"]);
        assert!(containers[1].status.contains("(healthy)"), "{}", containers[1].status);
        let error = stack.compose.prepare(&stack.engine).await.unwrap_err();
        assert!(matches!(error, ComposeError::AlreadyThere { .. }), "{error}");
        let running = stack.engine.running_project(stack.compose.project()).await.unwrap();
        assert_eq!(running.len(), 1, "the job has ended");
        assert_eq!(stack.engine.revert(&undo).await.unwrap(), Reverted::Restored { notes: vec![] });
        assert_eq!(stack.engine.revert(&undo).await.unwrap(), Reverted::AlreadyAsBefore);
        for (path, key) in [("/containers/json?all=true", ""), ("/networks", ""), ("/volumes", "Volumes")] {
            assert_eq!(names(&stack, path, key), Vec::<String>::new(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_volume_that_was_there_before_stays() {
    for stack in Stack::each("a_volume_that_was_there_before_stays", WEB).await {
        let first = stack.compose.prepare(&stack.engine).await.unwrap();
        stack.compose.up(&stack.engine, times()).await.unwrap();
        let Undo::TakeDown { project, .. } = first else { panic!("{first:?}") };
        let volume = names(&stack, "/volumes", "Volumes");
        // As its owner would: down, but keep the data.
        stack.engine.revert(&Undo::TakeDown { project, keep_volumes: volume.clone() }).await.unwrap();
        let second = stack.compose.prepare(&stack.engine).await.unwrap();
        stack.compose.up(&stack.engine, times()).await.unwrap();
        stack.engine.revert(&second).await.unwrap();
        assert_eq!((volume.len(), names(&stack, "/volumes", "Volumes")), (1, volume));
    }
}

#[tokio::test]
async fn a_service_that_crashes_at_start_is_named_with_its_last_lines() {
    let crash = r#"
  web:
    image: IMAGE
    command: [complain, "no such database: shop", exit, "4"]
    LABELS
"#;
    for stack in Stack::each("a_service_that_crashes_at_start_is_named_with_its_last_lines", crash).await {
        let undo = stack.compose.prepare(&stack.engine).await.unwrap();
        let error = stack.compose.up(&stack.engine, times()).await.unwrap_err();
        assert!(matches!(error, ComposeError::Ready(ReadyError::Ended { .. })), "{error}");
        assert!(
            error.to_string().contains("Exited (4)") && error.to_string().contains("no such database"),
            "{error}"
        );
        stack.engine.revert(&undo).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_is_never_healthy_is_named_when_time_is_up() {
    let sick = WEB.replace("/tmp/healthy]", "/tmp/other]");
    for stack in Stack::each("a_service_that_is_never_healthy_is_named_when_time_is_up", &sick).await {
        let undo = stack.compose.prepare(&stack.engine).await.unwrap();
        let times = UpTimes { ready: Span::from_secs(2), ..times() };
        let error = stack.compose.up(&stack.engine, times).await.unwrap_err();
        assert!(matches!(error, ComposeError::Ready(ReadyError::TooLate { .. })), "{error}");
        assert!(error.to_string().contains("web"), "{error}");
        stack.engine.revert(&undo).await.unwrap();
    }
}

#[tokio::test]
async fn a_mistake_in_the_file_is_told_in_composes_own_words() {
    for stack in
        Stack::each("a_mistake_in_the_file_is_told_in_composes_own_words", "  web: { imge: x }").await
    {
        let error = stack.compose.services(&stack.engine).await.unwrap_err();
        assert!(
            matches!(error, ComposeError::Failed { .. }) && error.to_string().contains("imge"),
            "{error}"
        );
        let error = stack.engine.running_project(stack.compose.project()).await.unwrap_err();
        assert!(matches!(error, ComposeError::NotRunning { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_project_has_the_name_that_the_plugin_gives_it() {
    if !ComposeProgram::Plugin.works().await || std::env::var_os("COMPOSE_PROJECT_NAME").is_some() {
        murphy_testkit::skipped("no `docker compose`, or a name for all projects");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let stack = directory.path().join("_My Shop.2");
    std::fs::create_dir(&stack).expect("a directory");
    let file = stack.join("compose.yaml");
    let names = async |text: &str| {
        std::fs::write(&file, text).expect("to write the file");
        let ours =
            ComposeStack::new(ComposeProgram::Plugin, std::slice::from_ref(&file), None).expect("a name");
        let output =
            tokio::process::Command::new("docker").args(["compose", "-f"]).arg(&file).arg("config").output();
        let output = output.await.expect("the plugin");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = said.lines().find_map(|line| line.strip_prefix("name: ")).map(str::to_owned);
        (ours.project().to_owned(), theirs.unwrap_or_else(|| panic!("{output:?}")))
    };
    let plain = "services: { a: { image: x } }\n";
    let (ours, theirs) = names(plain).await;
    assert_eq!((ours.as_str(), &ours), ("myshop2", &theirs));
    let (ours, theirs) = names(&format!("name: \"shop-a\" # the shop\n{plain}")).await;
    assert_eq!((ours.as_str(), &ours), ("shop-a", &theirs));
    std::fs::write(stack.join(".env"), "X=1\nCOMPOSE_PROJECT_NAME=shop-b\n").expect("to write");
    let (ours, theirs) = names(&format!("name: shop-a\n{plain}")).await;
    assert_eq!((ours.as_str(), &ours), ("shop-b", &theirs));
}

#[tokio::test]
async fn a_container_that_compose_makes_anew_is_followed() {
    for stack in Stack::each("a_container_that_compose_makes_anew_is_followed", WEB).await {
        let undo = stack.compose.prepare(&stack.engine).await.unwrap();
        let before = stack.compose.up(&stack.engine, times()).await.unwrap();
        let project = stack.compose.project().to_owned();
        let mut watch =
            stack.engine.watch(Watched::Project(project.clone()), Recorder::disabled()).await.unwrap();
        let mut words = stack.program.words().split(' ');
        let file = stack.directory.path().join("compose.yaml");
        let status = tokio::process::Command::new(words.next().unwrap())
            .args(words)
            .args(["-p", &project, "-f"])
            .arg(file)
            .args(["up", "-d", "--force-recreate"])
            .output()
            .await
            .unwrap()
            .status;
        assert!(status.success());
        let by = loop {
            let next = tokio::time::timeout(std::time::Duration::from_secs(60), watch.change()).await;
            if let Change::Replaced { container, by } = next.expect("a change").expect("the watch goes on") {
                assert_eq!(container.id, before[0].identity.id);
                break by;
            }
        };
        assert_ne!(by.identity.id, before[0].identity.id);
        watch.stop().await;
        stack.engine.revert(&undo).await.unwrap();
    }
}
