//! What a real engine does not do on demand: failing, being slow, losing a container in mid-call, speaking an old API,
//! breaking its event stream. The stub is an HTTP server on a unix socket of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use murphy_core::{
    ContainerIdentity, EventKind, LimitsRecord, MemoryRecord, Recorder, RunClock, Seed, Size, Span, Undo,
};
use murphy_docker::{
    Action, ApiVersion, Change, Endpoint, Engine, EngineError, EngineKind, Environment, FindError, Limits,
    Mark, Reverted, SelectError, Signal, Wanted, Watched,
};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What the stub does with one call.
#[derive(Clone)]
enum Answer {
    Json(u16, Value),
    /// Lines of a container's output, each with the engine's stamp.
    Log(&'static [&'static str]),
    Never,
}

type Script = Arc<Mutex<VecDeque<(&'static str, Answer)>>>;

/// An engine that answers by its script: each entry is for the next call whose path contains its text.
struct Stub {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    script: Script,
    _directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Stub {
    fn start(script: Vec<(&'static str, Answer)>) -> Stub {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, script) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(VecDeque::from(script))));
        let mut tasks = JoinSet::new();
        let (seen, plan) = (Arc::clone(&asked), Arc::clone(&script));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, plan) = (Arc::clone(&seen), Arc::clone(&plan));
                connections.spawn(async move {
                    let service =
                        service_fn(move |request| answer(request, Arc::clone(&seen), Arc::clone(&plan)));
                    // A client that leaves in mid-answer is its own business.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Stub { socket, asked, script, _directory: directory, _tasks: tasks }
    }

    fn then(&self, path: &'static str, answer: Answer) {
        self.script.lock().unwrap().push_back((path, answer));
    }

    async fn engine(&self) -> Result<Engine, EngineError> {
        self.engine_within(Span::from_secs(20)).await
    }

    /// With so much time for each answer.
    async fn engine_within(&self, time: Span) -> Result<Engine, EngineError> {
        Engine::connect_to(Endpoint::Unix(self.socket.clone()), time).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<String>>>,
    script: Script,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let asked = format!("{} {}", request.method(), request.uri());
    seen.lock().unwrap().push(asked.clone());
    let next = {
        let mut script = script.lock().unwrap();
        let at = script.iter().position(|(path, _)| asked.contains(path));
        at.and_then(|at| script.remove(at))
    };
    let (status, body) = match next {
        Some((_, Answer::Json(204, _))) => (204, Vec::new()),
        Some((_, Answer::Json(status, body))) => (status, body.to_string().into_bytes()),
        Some((_, Answer::Log(lines))) => (200, framed(lines)),
        Some((_, Answer::Never)) => std::future::pending().await,
        None => {
            let why = json!({ "message": format!("not in the script: {asked}") });
            (501, why.to_string().into_bytes())
        }
    };
    Ok(Response::builder().status(status).body(BoxBody::new(Full::new(Bytes::from(body)))).unwrap())
}

/// As an engine sends what was written to stdout: each piece behind its stream and its length.
fn framed(lines: &[&str]) -> Vec<u8> {
    let frame = |line: &&str| {
        let length = (line.len() as u32 + 1).to_be_bytes();
        [&[1, 0, 0, 0][..], &length, line.as_bytes(), b"\n"].concat()
    };
    lines.iter().flat_map(frame).collect()
}

fn version(api: &str) -> (&'static str, Answer) {
    ("/version", Answer::Json(200, json!({ "ApiVersion": api, "Version": "20.10.24" })))
}

fn container() -> ContainerIdentity {
    ContainerIdentity { id: ID.to_owned(), name: "web".to_owned() }
}

fn summary(state: &str, status: &str) -> Value {
    json!([{ "Id": ID, "Names": ["/web"], "Image": "web", "State": state, "Status": status, "Labels": {} }])
}

fn inspected(state: &Value) -> Answer {
    Answer::Json(200, json!({ "Id": ID, "Name": "/web", "State": state, "HostConfig": {}, "Config": {} }))
}

#[tokio::test]
async fn the_version_is_agreed_on_and_stands_in_every_path() {
    let stub = Stub::start(vec![version("1.41"), ("/containers/json", Answer::Json(200, json!([])))]);
    let engine = stub.engine().await.unwrap();
    assert_eq!(engine.facts().api, ApiVersion { major: 1, minor: 41 });
    engine.containers(murphy_docker::Scope::All).await.unwrap();
    assert!(stub.asked()[1].contains("/v1.41/containers/json"), "{:?}", stub.asked());
    assert_eq!(engine.calls(), 2);
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused_by_name_of_its_version() {
    let stub = Stub::start(vec![version("1.24")]);
    let error = stub.engine().await.unwrap_err();
    assert!(matches!(&error, EngineError::TooOld { found, .. } if found == "1.24"), "{error}");
}

#[tokio::test]
async fn podman_is_recognised() {
    let said = json!({ "ApiVersion": "1.41", "Version": "4.3.1", "Components": [{ "Name": "Podman Engine", "Version": "4.3.1" }] });
    let stub = Stub::start(vec![("/version", Answer::Json(200, said))]);
    assert_eq!(stub.engine().await.unwrap().facts().kind, EngineKind::Podman);
}

#[tokio::test]
async fn limits_are_refused_beforehand_where_podman_has_no_call_for_them() {
    let said = json!({ "ApiVersion": "1.41", "Version": "4.3.1", "Components": [{ "Name": "Podman Engine", "Version": "4.3.1" }] });
    let no_page = Answer::Json(404, json!({ "message": "Not Found" }));
    let nobody = Answer::Json(404, json!({ "message": "no such container" }));
    let limits = Limits { memory: Some(Size::from_mib(64)), ..Limits::default() };
    for (answer, wanted) in [(no_page, None), (nobody, Some(1))] {
        let stub = Stub::start(vec![("/version", Answer::Json(200, said.clone()))]);
        let engine = stub.engine().await.unwrap();
        stub.then(ID, inspected(&json!({ "Running": true })));
        stub.then("/update", answer);
        let prepared = engine.prepare(&container(), &Action::Limit(limits)).await;
        match &prepared {
            Err(error) => assert!(error.to_string().contains("Podman 4.3.1 at unix://"), "{error}"),
            Ok(undos) => assert!(matches!(undos[..], [Undo::RestoreLimits { .. }])),
        }
        assert_eq!(prepared.ok().map(|undos| undos.len()), wanted);
        assert!(!stub.asked().last().unwrap().contains(ID), "{:?}", stub.asked());
    }
}

#[tokio::test]
async fn each_line_is_read_once_also_within_a_second_of_an_engine_in_another_time_zone() {
    let stub = Stub::start(vec![
        version("1.41"),
        ("/logs", Answer::Log(&["2026-11-24T12:00:00-05:00 before", "2026-11-24T12:00:05-05:00 one"])),
        ("/logs", Answer::Json(500, json!({ "message": "busy" }))),
        (
            "/logs",
            Answer::Log(&[
                "2026-11-24T12:00:00-05:00 before",
                "2026-11-24T12:00:05-05:00 one",
                "2026-11-24T12:00:05-05:00 two",
                "2026-11-24T12:00:06-05:00 three",
            ]),
        ),
        ("/logs", Answer::Log(&["2026-11-24T12:00:05-05:00 two", "2026-11-24T12:00:06-05:00 three"])),
    ]);
    let engine = stub.engine().await.unwrap();
    // 17:00:01 UTC.
    let mut mark = Mark::at(Duration::from_secs(1_795_539_601));
    assert_eq!(engine.output_after(&container(), &mut mark).await.unwrap(), ["one"]);
    engine.output_after(&container(), &mut mark).await.unwrap_err();
    assert_eq!(engine.output_after(&container(), &mut mark).await.unwrap(), ["two", "three"]);
    assert!(engine.output_after(&container(), &mut mark).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_socket_that_is_missing_dead_or_forbidden_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("none.sock");
    let connect = |path: PathBuf| Engine::connect_to(Endpoint::Unix(path), Span::from_secs(5));
    assert!(matches!(connect(nowhere).await, Err(EngineError::NoSocket { .. })));
    let dead = directory.path().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    let error = connect(dead).await.unwrap_err();
    assert!(
        matches!(error, EngineError::Unreachable { .. }) && error.to_string().contains("refused"),
        "{error}"
    );
    let environment = Environment { docker_host: Some("fish://x".into()), ..Environment::default() };
    assert!(matches!(Engine::connect_from(&environment).await, Err(EngineError::Endpoint(_))));
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_up_in_time() {
    let stub = Stub::start(vec![version("1.41"), ("/json", Answer::Never)]);
    let engine = stub.engine_within(Span::from_secs(1)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let error = engine.prepare(&container(), &Action::Pause).await.unwrap_err();
    assert!(error.to_string().contains("did not answer `inspect` within 1s"), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_grace_is_added_to_the_time_that_an_engine_has() {
    let stub = Stub::start(vec![version("1.41"), ("/stop?t=2", Answer::Never)]);
    let engine = stub.engine_within(Span::from_secs(1)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let error =
        engine.apply(&container(), &Action::Stop { grace: Span::from_millis(1_200) }, &[]).await.unwrap_err();
    assert!(error.to_string().contains("`stop` within 2.2s"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(2_200));
}

#[tokio::test]
async fn an_engine_that_fails_is_told_in_its_own_words() {
    let broken = Answer::Json(500, json!({ "message": "layer does not exist" }));
    let stub = Stub::start(vec![version("1.41"), ("/kill", broken.clone()), ("/json", broken)]);
    let engine = stub.engine().await.unwrap();
    let error = engine.apply(&container(), &Action::Kill { signal: Signal::KILL }, &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("layer does not exist") && error.to_string().contains("kill"),
        "{error}"
    );
    let undo = Undo::Unpause { container: container() };
    assert!(engine.revert(&undo).await.is_err(), "a failing engine is no proof that all is as before");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_no_panic() {
    let stub = Stub::start(vec![version("1.41"), ("/containers/json", Answer::Json(200, json!("fish")))]);
    let engine = stub.engine().await.unwrap();
    let error = engine.containers(murphy_docker::Scope::All).await.unwrap_err();
    assert!(matches!(error, EngineError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_volume_in_use_by_a_container_that_came_about_meanwhile_does_not_end_a_take_down() {
    let (nothing, done) = (|| Answer::Json(200, json!([])), || Answer::Json(204, Value::Null));
    let volumes = || {
        Answer::Json(
            200,
            json!({ "Volumes": [{ "Name": "data", "Driver": "local", "Mountpoint": "/", "Labels": {}, "Scope": "local", "Options": {} }] }),
        )
    };
    let mut late = summary("created", "Created");
    late[0]["Labels"] = json!({ "com.docker.compose.project": "shop" });
    let stub = Stub::start(vec![
        version("1.41"),
        ("/containers/json", nothing()),
        ("/networks?", nothing()),
        ("/volumes?", volumes()),
        ("DELETE /v1.41/volumes/data", Answer::Json(409, json!({ "message": "volume is in use" }))),
        ("/containers/json", Answer::Json(200, late)),
        (ID, done()),
        ("/networks?", nothing()),
        ("/volumes?", volumes()),
        ("DELETE /v1.41/volumes/data", done()),
        ("/containers/json", nothing()),
        ("/networks?", nothing()),
        ("/volumes?", Answer::Json(200, json!({ "Volumes": [] }))),
    ]);
    let engine = stub.engine().await.unwrap();
    let undo = Undo::TakeDown { project: "shop".to_owned(), keep_volumes: Vec::new() };
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes: Vec::new() });
    assert_eq!(stub.script.lock().unwrap().len(), 0, "{:?}", stub.asked());
    // One that stays in use is a failure, and not without an end.
    for _ in 0..10 {
        stub.then("/containers/json", nothing());
        stub.then("/networks?", nothing());
        stub.then("/volumes?", volumes());
        stub.then("DELETE", Answer::Json(409, json!({ "message": "volume is in use" })));
    }
    let error = engine.revert(&undo).await.unwrap_err();
    assert!(error.to_string().contains("volume is in use"), "{error}");
    assert_eq!(stub.script.lock().unwrap().len(), 0, "{:?}", stub.asked());
}

#[tokio::test]
async fn a_container_that_vanishes_in_mid_revert_is_gone_and_no_failure() {
    let vanished = || Answer::Json(404, json!({ "message": format!("No such container: {ID}") }));
    let stub = Stub::start(vec![
        version("1.41"),
        ("/json", inspected(&json!({ "Running": true, "Paused": true }))),
        ("/unpause", vanished()),
    ]);
    let engine = stub.engine().await.unwrap();
    assert_eq!(engine.revert(&Undo::Unpause { container: container() }).await.unwrap(), Reverted::Gone);
    stub.then("/json", inspected(&json!({ "Running": false })));
    stub.then("/start", Answer::Json(204, Value::Null));
    stub.then("/json", vanished());
    let undo = Undo::Start { container: container(), addresses: vec![], grace: Span::ZERO };
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Gone);
}

#[tokio::test]
async fn an_unpause_that_comes_second_is_no_failure() {
    let stub = Stub::start(vec![
        version("1.41"),
        ("/json", inspected(&json!({ "Running": true, "Paused": true }))),
        ("/unpause", Answer::Json(409, json!({ "message": "Container web is not paused" }))),
    ]);
    let engine = stub.engine().await.unwrap();
    assert_eq!(
        engine.revert(&Undo::Unpause { container: container() }).await.unwrap(),
        Reverted::AlreadyAsBefore
    );
}

#[tokio::test]
async fn a_container_that_the_engine_calls_paused_a_moment_too_long_is_as_before() {
    let paused = |paused: bool| inspected(&json!({ "Running": true, "Paused": paused }));
    let refused = || Answer::Json(500, json!({ "message": format!("Container {ID} is not paused") }));
    let stub = Stub::start(vec![
        version("1.41"),
        ("/json", paused(true)),
        ("/unpause", refused()),
        ("/json", paused(true)),
        ("/json", paused(false)),
    ]);
    let engine = stub.engine().await.unwrap();
    let undo = Undo::Unpause { container: container() };
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::AlreadyAsBefore);
    // Its own word of it comes late as well.
    for answer in [paused(true), Answer::Json(204, Value::Null), paused(true), paused(false)] {
        stub.then(if matches!(answer, Answer::Json(204, _)) { "/unpause" } else { "/json" }, answer);
    }
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes: Vec::new() });
    // A refusal that stays is told as the engine told it.
    stub.then("/json", paused(true));
    stub.then("/unpause", Answer::Json(500, json!({ "message": "the freezer is broken" })));
    for _ in 0..50 {
        stub.then("/json", paused(true));
    }
    let error = engine.revert(&undo).await.unwrap_err();
    assert!(error.to_string().contains("the freezer is broken"), "{error}");
}

#[tokio::test]
async fn a_container_that_ends_again_right_after_its_start_is_a_failure() {
    let stub = Stub::start(vec![
        version("1.41"),
        ("/json", inspected(&json!({ "Running": false }))),
        ("/start", Answer::Json(204, Value::Null)),
        ("/json", inspected(&json!({ "Running": false, "ExitCode": 78 }))),
    ]);
    let engine = stub.engine().await.unwrap();
    let undo = Undo::Start { container: container(), addresses: vec![], grace: Span::ZERO };
    assert!(engine.revert(&undo).await.unwrap_err().to_string().contains("code 78"));
}

#[tokio::test]
async fn with_its_memory_only_that_container_is_started_whose_own_end_was_the_want_of_it() {
    const OLD: i64 = 64 << 20;
    let down = |memory: i64, code: i64| {
        let state = json!({ "Running": false, "OOMKilled": true, "ExitCode": code });
        let host = json!({ "Memory": memory, "MemorySwap": memory });
        Answer::Json(
            200,
            json!({ "Id": ID, "Name": "/web", "State": state, "HostConfig": host, "Config": {} }),
        )
    };
    let memory = Some(MemoryRecord { memory: OLD, with_swap: OLD });
    let limits = LimitsRecord { memory, ..LimitsRecord::default() };
    let undo = Undo::RestoreLimits { container: container(), limits };
    let stub = Stub::start(vec![version("1.41")]);
    let engine = stub.engine().await.unwrap();
    let squeezed = |code: i64| {
        stub.then("/json", down(OLD / 4, code));
        stub.then("/update", Answer::Json(200, json!({ "Warnings": [] })));
        stub.then("/json", down(OLD, code));
        stub.then("/json", down(OLD, code));
    };
    let starts = || stub.asked().iter().filter(|asked| asked.contains("/start")).count();
    // Another process of it was killed, and then its owner stopped it.
    squeezed(143);
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes: Vec::new() });
    assert_eq!(starts(), 0);
    squeezed(137);
    stub.then("/json", down(OLD, 137));
    stub.then("/start", Answer::Json(204, Value::Null));
    stub.then("/json", inspected(&json!({ "Running": true })));
    let notes = vec!["it had run out of memory, and was started again".to_owned()];
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes });
    assert_eq!(starts(), 1);
    // Its limits were back already, given back by one that was cut off before the start.
    stub.then("/json", down(OLD, 137));
    stub.then("/json", down(OLD, 137));
    stub.then("/json", down(OLD, 137));
    stub.then("/start", Answer::Json(204, Value::Null));
    stub.then("/json", inspected(&json!({ "Running": true })));
    let notes = vec!["it had run out of memory, and was started again".to_owned()];
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes });
    assert_eq!(starts(), 2);
    assert_eq!(stub.script.lock().unwrap().len(), 0, "{:?}", stub.asked());
}

#[tokio::test]
async fn memory_is_given_back_to_all_before_any_is_started_and_one_that_fails_keeps_none_from_it() {
    const OLD: i64 = 64 << 20;
    let down = |memory: i64| {
        let state = json!({ "Running": false, "OOMKilled": true, "ExitCode": 137 });
        let host = json!({ "Memory": memory, "MemorySwap": memory });
        Answer::Json(
            200,
            json!({ "Id": ID, "Name": "/web", "State": state, "HostConfig": host, "Config": {} }),
        )
    };
    let undo = |letter: &str| {
        let memory = Some(MemoryRecord { memory: OLD, with_swap: OLD });
        Undo::RestoreLimits {
            container: ContainerIdentity { id: ID.replace('a', letter), name: letter.to_owned() },
            limits: LimitsRecord { memory, ..LimitsRecord::default() },
        }
    };
    let stub = Stub::start(vec![version("1.41")]);
    let engine = stub.engine().await.unwrap();
    for (look, update, start) in [("aa/json", "aa/update", "aa/start"), ("bb/json", "bb/update", "bb/start")]
    {
        stub.then(look, down(OLD / 4));
        stub.then(update, Answer::Json(200, json!({ "Warnings": [] })));
        (0..3).for_each(|_| stub.then(look, down(OLD)));
        stub.then(start, Answer::Json(204, Value::Null));
        stub.then(look, inspected(&json!({ "Running": true })));
    }
    stub.then("cc/json", down(OLD / 4));
    stub.then("cc/update", Answer::Json(500, json!({ "message": "no" })));
    let undos = [undo("a"), undo("c"), undo("b")];
    let answers = engine.revert_all(&undos).await;
    assert!(answers.iter().map(|(undo, _)| undo).eq(undos.iter().rev()), "in the order of undoing");
    let done: Vec<bool> = answers.iter().map(|(_, answer)| answer.is_ok()).collect();
    assert_eq!(done, [true, false, true], "{answers:?}");
    let asked = stub.asked();
    let place = |path: &str| asked.iter().position(|asked| asked.contains(path)).unwrap();
    let all = ["aa/update", "bb/update", "cc/update", "bb/start", "aa/start"].map(place);
    assert!(all[..3].iter().all(|update| *update < all[3]) && all[3] < all[4], "{asked:?}");
}

#[tokio::test]
async fn a_restart_of_the_engines_own_is_awaited_and_not_doubled() {
    let stub = Stub::start(vec![
        version("1.41"),
        ("/json", inspected(&json!({ "Running": true, "Restarting": true }))),
        ("/json", inspected(&json!({ "Running": true, "Restarting": true }))),
        ("/json", inspected(&json!({ "Running": true, "Restarting": false }))),
    ]);
    let engine = stub.engine().await.unwrap();
    let undo = Undo::Start { container: container(), addresses: vec![], grace: Span::ZERO };
    assert_eq!(engine.revert(&undo).await.unwrap(), Reverted::Restored { notes: vec![] });
    assert!(!stub.asked().iter().any(|asked| asked.contains("/start")));
}

#[tokio::test]
async fn no_target_is_an_error_and_lists_what_runs() {
    let stub =
        Stub::start(vec![version("1.41"), ("/containers/json", Answer::Json(200, summary("running", "Up")))]);
    let engine = stub.engine().await.unwrap();
    let error = engine.targets(&"wbe".parse().unwrap(), Seed(1), Wanted::Running).await.unwrap_err();
    assert!(matches!(error, FindError::Select(SelectError::Nothing { .. })), "{error}");
    assert!(error.to_string().contains("running: web"), "{error}");
}

#[tokio::test]
async fn an_event_stream_that_breaks_is_said_and_put_right_from_a_list() {
    let stub = Stub::start(vec![
        version("1.41"),
        ("/containers/json", Answer::Json(200, summary("running", "Up 1 minute"))),
        // The stream ends at once, and while nobody listened the container ended.
        ("/events", Answer::Json(200, json!({}))),
        ("/containers/json", Answer::Json(200, summary("exited", "Exited (137) 1 second ago"))),
        ("/events", Answer::Never),
    ]);
    let engine = stub.engine().await.unwrap();
    let these = engine.containers(murphy_docker::Scope::All).await.unwrap();
    stub.then("/containers/json", Answer::Json(200, summary("running", "Up 1 minute")));
    // The script is taken in order of fitting entries: the list for the watch comes before the one after the break.
    stub.script.lock().unwrap().rotate_right(1);
    let (recorder, mut recording) = Recorder::new(RunClock::start(), 64);
    let mut watch = engine.watch(Watched::These(these), recorder).await.unwrap();
    let change = tokio::time::timeout(Duration::from_secs(20), watch.change()).await.unwrap();
    assert!(matches!(change, Some(Change::Exited { code: 137, .. })), "{change:?}");
    watch.stop().await;
    let Ok(Some(first)) = recording.next(Duration::ZERO) else { panic!("nothing was recorded") };
    assert!(matches!(first.kind, EventKind::ContainerEventsLost { .. }), "{first:?}");
}

#[tokio::test]
async fn an_engine_is_reached_over_tcp_as_docker_host_says() {
    let stub =
        Stub::start(vec![version("1.41"), ("/containers/json", Answer::Json(200, summary("running", "Up")))]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = stub.socket.clone();
    let mut relay = JoinSet::new();
    relay.spawn(async move {
        let mut pairs = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::UnixStream::connect(&socket).await.expect("the stub");
            pairs.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let environment = Environment { docker_host: Some(format!("tcp://{address}")), ..Environment::default() };
    let engine = Engine::connect_from(&environment).await.unwrap();
    assert!(!engine.endpoint().is_local());
    assert_eq!(engine.containers(murphy_docker::Scope::All).await.unwrap()[0].name(), "web");
}
