//! The example stack, brought up from its own files and broken through this crate: what its README promises is so, and
//! after each fault every container is as before.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{connect, snapshot};
use murphy_core::{Seed, Span, Undo};
use murphy_docker::{
    Action, Command, ComposeProgram, ComposeStack, Engine, Networks, Removal, Signal, UpTimes, Wanted,
};
use murphy_testkit::{Member, Sandbox, free_port};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// For what a busy machine may take its time over.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the shop answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    took: Duration,
}

struct Shop {
    port: u16,
    sandbox: Sandbox,
    engine: Engine,
    project: String,
}

impl Shop {
    async fn ask(&self, request: &str) -> Answer {
        let begun = Instant::now();
        let talk = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok::<String, std::io::Error>(text)
        };
        let text = tokio::time::timeout(Duration::from_secs(30), talk)
            .await
            .expect("an answer in time")
            .expect("an answer");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: text, took: begun.elapsed() }
    }

    async fn product(&self, number: u32) -> Answer {
        self.ask(&format!("GET /products/{number} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")).await
    }

    async fn order(&self) -> Answer {
        let body = r#"{"product": 7}"#;
        let length = body.len();
        self.ask(&format!(
            "POST /orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// Asks until the answer is 200: a replica whose breaker is open does without the cache for up to a second.
    async fn product_succeeds_again(&self, number: u32) {
        let begun = Instant::now();
        while self.product(number).await.status != 200 {
            assert!(begun.elapsed() < PATIENCE, "product {number} is not answered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks until the cache has it, by the cache's own word.
    async fn product_is_cached(&self, number: u32) {
        let command = ["redis-cli", "exists", &format!("product:{number}")].map(str::to_owned).to_vec();
        let exists = Action::Exec(Command { command, revert: None, within: Span::from_secs(10) });
        let target = format!("service:cache,project:{}", self.project).parse().unwrap();
        let cache =
            self.engine.targets(&target, Seed(7), Wanted::Running).await.unwrap().targets.remove(0).identity;
        let begun = Instant::now();
        // A cache that was just started refuses its own command line for a moment.
        while !self
            .engine
            .apply(&cache, &exists, &[])
            .await
            .is_ok_and(|applied| applied.output.as_deref() == Some("1"))
        {
            assert!(begun.elapsed() < PATIENCE, "product {number} does not get into the cache");
            assert_eq!(self.product(number).await.status, 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks until an order succeeds: after a fault the shop may take a moment (its breakers are open for a second).
    async fn orders_succeed_again(&self) {
        let begun = Instant::now();
        while self.order().await.status != 201 {
            assert!(begun.elapsed() < PATIENCE, "orders do not succeed again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The state of all containers by name.
    async fn state(&self) -> BTreeMap<String, Value> {
        let containers = self.engine.project(&self.project).await.unwrap();
        containers
            .into_iter()
            .map(|container| {
                let member = Member { id: container.identity.id, name: container.identity.name };
                (member.name.clone(), snapshot(&self.sandbox, &member))
            })
            .collect()
    }

    async fn break_it(&self, target: &str, pick: Option<&str>, action: &Action) -> Vec<Undo> {
        let mut target: murphy_docker::Target = format!("{target},project:{}", self.project).parse().unwrap();
        if let Some(pick) = pick {
            target.pick = pick.parse().unwrap();
        }
        let choice = self.engine.targets(&target, Seed(7), Wanted::Running).await.unwrap();
        let prepared = self.engine.prepare_all(&choice.targets, action).await.unwrap();
        for answer in self.engine.apply_all(&prepared, action).await {
            answer.unwrap();
        }
        prepared.into_iter().flat_map(|one| one.undos).collect()
    }

    async fn mend(&self, undos: &[Undo]) {
        for (undo, answer) in self.engine.revert_all(undos).await {
            answer.unwrap_or_else(|error| panic!("{undo:?}: {error}"));
        }
        self.orders_succeed_again().await;
    }
}

/// Takes the stack down also when the test panics.
struct TakenDown<'a> {
    sandbox: &'a Sandbox,
    project: String,
}

impl Drop for TakenDown<'_> {
    fn drop(&mut self) {
        let filter =
            format!("filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{}%22%5D%7D", self.project);
        let engine = self.sandbox.engine();
        let listed = |path: &str| {
            engine.call("GET", &format!("{path}{filter}"), None).map(|a| a.json()).unwrap_or_default()
        };
        for (path, list, key) in [
            ("/containers/", listed("/containers/json?all=true&"), "Id"),
            ("/networks/", listed("/networks?"), "Id"),
            ("/volumes/", listed("/volumes?")["Volumes"].clone(), "Name"),
        ] {
            for entry in list.as_array().into_iter().flatten() {
                let _ = engine.call(
                    "DELETE",
                    &format!("{path}{}?force=true&v=true", entry[key].as_str().unwrap_or_default()),
                    None,
                );
            }
        }
    }
}

/// The base image: made here if it is not there; `None` where that cannot be done.
fn base_image() -> Option<String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/compose/local-base.sh");
    let output = std::process::Command::new("bash").arg(script).output().ok()?;
    if output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no base image in CI: {why}");
    murphy_testkit::skipped(format_args!("no base image: {why}"));
    None
}

#[tokio::test]
async fn the_example_shop_degrades_as_its_readme_says_and_is_as_before_after_each_fault() {
    const TEST: &str = "the_example_shop_degrades_as_its_readme_says_and_is_as_before_after_each_fault";
    let Some(sandbox) = Sandbox::open(TEST) else { return };
    let Some(base) = base_image() else { return };
    let program = match ComposeProgram::detect().await {
        Ok(program) => program,
        Err(error) => {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
            murphy_testkit::skipped(error);
            return;
        }
    };
    let engine = connect(&sandbox).await;
    let port = free_port();
    let project = sandbox.name("shop");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/compose/compose.yaml");
    let stack = ComposeStack::new(program, &[file], Some(&project))
        .unwrap()
        .with_variable("BASE", &base)
        .with_variable("PORT", &port.to_string());
    let down = stack.prepare(&engine).await.unwrap();
    let guard_sandbox = Sandbox::open(TEST).expect("the engine is there");
    let _guard = TakenDown { sandbox: &guard_sandbox, project: project.clone() };
    let times = UpTimes { start: Span::from_secs(600), ready: Span::from_secs(60) };
    let containers = stack.up(&engine, times).await.unwrap();
    assert_eq!(containers.iter().filter(|container| container.service() == Some("web")).count(), 2);
    let shop = Shop { port, sandbox, engine, project };
    assert_eq!(shop.product(7).await.status, 200);
    assert_eq!(shop.order().await.status, 201);
    let before = shop.state().await;

    let kill = Action::Kill { signal: Signal::KILL };
    let undos = shop.break_it("service:cache", None, &kill).await;
    for number in 1..=10 {
        assert_eq!(shop.product(number).await.status, 200, "without the cache, from the database");
    }
    assert_eq!(shop.order().await.status, 201);
    shop.mend(&undos).await;
    assert_eq!(shop.state().await, before);

    shop.product_is_cached(7).await;
    let undos = shop.break_it("service:db", None, &Action::Pause).await;
    for _ in 0..4 {
        shop.product_succeeds_again(7).await; // without the database, from the cache, by either replica
    }
    let refused = shop.order().await;
    assert!(refused.status == 503 && refused.head.contains("Retry-After: 1"), "{refused:?}");
    assert!(refused.took < Duration::from_secs(20), "{refused:?}");
    shop.mend(&undos).await;
    assert_eq!(shop.state().await, before);

    let undos = shop.break_it("service:payments", None, &Action::Pause).await;
    assert_eq!(shop.order().await.status, 202, "without payments, pending");
    shop.mend(&undos).await;
    assert_eq!(shop.state().await, before);

    for action in [kill, Action::Remove(Removal::SetAside), Action::Disconnect(Networks::All)] {
        let undos = shop.break_it("service:web", Some("1"), &action).await;
        for _ in 0..10 {
            assert_eq!(shop.product(7).await.status, 200, "{}: the other replica answers", action.name());
        }
        shop.mend(&undos).await;
        assert_eq!(shop.state().await, before, "{}", action.name());
    }
    shop.engine.revert(&down).await.unwrap();
    assert!(shop.state().await.is_empty());
}
