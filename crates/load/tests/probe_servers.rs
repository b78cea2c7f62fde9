//! Questions to a real Redis and a real PostgreSQL.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use murphy_core::{JsonTest, Span};
use murphy_load::{Expected, PostgresQuestion, Question, RedisQuestion, Server, ask};
use murphy_testkit::free_port;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use regex_lite::Regex;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

const LONG: Span = Span::from_secs(20);
/// PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

/// A server of a test, ended with it.
struct Running {
    child: Child,
    /// Ends it at once, by a handler of its own: what a test inherits as ignored, its servers inherit too.
    end: Signal,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // With all its processes; one that is gone already is as well.
        let _ = kill(Pid::from_raw(self.child.id() as i32), self.end);
        let _ = self.child.wait();
    }
}

/// The program: of the PATH, or of the newest PostgreSQL that Debian keeps beside it. Without one says so out loud, and
/// fails where `CI=true`.
fn found(program: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut beside: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin").join(program)))
        })
        .collect();
    beside.sort();
    let all = std::iter::once(PathBuf::from(program)).chain(beside.into_iter().rev().map(|(_, path)| path));
    let runs = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok();
    let found = all.into_iter().find(runs);
    if found.is_none() {
        murphy_testkit::skip(format_args!("there is no {program}"));
    }
    found
}

async fn until_ok(question: &Question) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = ask(question, LONG).await;
        if reply.ok {
            return;
        }
        assert!(Instant::now() < deadline, "never up: {}", reply.saw);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn expected(reply: &Value, matches: Option<&str>) -> Expected {
    let reply = (!reply.is_null()).then(|| JsonTest::of(reply).unwrap());
    Expected { reply, matches: matches.map(|pattern| Regex::new(pattern).unwrap()) }
}

async fn redis() -> Option<Running> {
    let program = found("redis-server")?;
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let child = Command::new(program)
        .args(["--port", &port.to_string(), "--save", "", "--requirepass", "secret-word", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running { child, end: Signal::SIGTERM, port, dir };
    until_ok(&of_redis(running.port, &["PING"], &json!("PONG"))).await;
    Some(running)
}

fn of_redis(port: u16, command: &[&str], reply: &Value) -> Question {
    let password = Some("secret-word".to_owned());
    Question::Redis(RedisQuestion {
        server: Server { host: "127.0.0.1".to_owned(), port, password, ..Server::default() },
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        expected: expected(reply, None),
    })
}

#[tokio::test]
async fn redis_is_sent_a_command_and_its_reply_is_judged() {
    let Some(running) = redis().await else { return };
    assert!(running.dir.path().exists());
    let said = async |command: &[&str], reply: Value| {
        let reply = ask(&of_redis(running.port, command, &reply), LONG).await;
        (reply.ok, reply.saw)
    };
    assert_eq!(said(&["SET", "n", "12"], Value::Null).await, (true, "OK".into()));
    assert_eq!(said(&["GET", "n"], json!(">= 12")).await, (true, "12".into()));
    assert_eq!(said(&["GET", "n"], json!(11)).await, (false, "12, not 11".into()));
    assert_eq!(said(&["GET", "none"], json!("nil")).await, (true, "nil".into()));
    assert_eq!(said(&["MGET", "n", "none"], json!("12\nnil")).await, (true, "12 nil".into()));
    let (ok, saw) = said(&["LPUSH", "n", "x"], Value::Null).await;
    assert!(!ok && saw.contains("WRONGTYPE"), "an error is no good reply, whatever is expected: {saw}");
    assert!(!said(&[], Value::Null).await.0, "an empty command is no panic");

    let Question::Redis(mut stranger) = of_redis(running.port, &["GET", "n"], &Value::Null) else { panic!() };
    stranger.expected = expected(&Value::Null, Some("^1.$"));
    assert!(ask(&Question::Redis(stranger.clone()), LONG).await.ok);
    stranger.server.password = Some("another".to_owned());
    let refused = ask(&Question::Redis(stranger.clone()), LONG).await;
    assert!(!refused.ok, "{refused:?}");
    assert!(!format!("{refused:?} {stranger:?}").contains("another"), "{refused:?} {stranger:?}");
}

/// A PostgreSQL with the user `postgres`, whose password is `secret-word`.
async fn postgres() -> Option<Running> {
    let (initdb, postgres) = (found("initdb")?, found("postgres")?);
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let as_nobody = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(dir.path()).env("LC_ALL", "C").stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let (data, words) = (dir.path().join("data"), dir.path().join("password"));
    std::fs::write(&words, "secret-word\n").unwrap();
    if geteuid().is_root() {
        for path in [dir.path(), &words] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let made = as_nobody(&initdb)
        .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--pwfile"])
        .arg(&words)
        .arg("-D")
        .arg(&data)
        .status()
        .unwrap();
    assert!(made.success(), "initdb: {made}");
    let child = as_nobody(&postgres)
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
        .arg(dir.path())
        .spawn()
        .unwrap();
    let running = Running { child, end: Signal::SIGQUIT, port, dir };
    until_ok(&of_postgres(running.port, "select 1", &json!(1))).await;
    Some(running)
}

fn of_postgres(port: u16, query: &str, reply: &Value) -> Question {
    let password = Some("secret-word".to_owned());
    Question::Postgres(PostgresQuestion {
        server: Server { host: "127.0.0.1".to_owned(), port, password, ..Server::default() },
        query: query.to_owned(),
        expected: expected(reply, None),
    })
}

#[tokio::test]
async fn postgres_is_asked_a_query_and_its_result_is_judged() {
    let Some(running) = postgres().await else { return };
    let said = async |query: &str, reply: Value| {
        let reply = ask(&of_postgres(running.port, query, &reply), LONG).await;
        (reply.ok, reply.saw)
    };
    assert_eq!(said("create table orders (id int, sku text)", Value::Null).await, (true, "nil".into()));
    let insert = "insert into orders values (1, 'a1'), (2, null)";
    assert_eq!(said(insert, Value::Null).await, (true, "nil".into()));
    assert_eq!(said("select count(*) from orders;", json!(">= 2")).await, (true, "2".into()));
    assert_eq!(said("select count(*) from orders", json!(3)).await, (false, "2, not 3".into()));
    let rows = "select * from orders order by id";
    assert_eq!(said(rows, json!("1|a1\n2|nil")).await, (true, "1|a1 2|nil".into()));
    assert_eq!(said("select 1 where false", json!("nil")).await, (true, "nil".into()));
    let (ok, saw) = said("select count(*) from order_lines", Value::Null).await;
    assert!(!ok && saw.contains("42P01"), "{saw}");

    let Question::Postgres(mut stranger) = of_postgres(running.port, "select 1", &Value::Null) else {
        panic!()
    };
    stranger.server.password = Some("another".to_owned());
    let refused = ask(&Question::Postgres(stranger.clone()), LONG).await;
    assert!(!refused.ok && refused.saw.contains("28P01"), "{refused:?}");
    assert!(!format!("{refused:?} {stranger:?}").contains("another"), "{refused:?} {stranger:?}");
}

#[tokio::test]
async fn servers_that_are_gone_silent_or_close_are_told_apart() {
    let gone = free_port();
    for question in [of_redis(gone, &["PING"], &Value::Null), of_postgres(gone, "select 1", &Value::Null)] {
        assert_eq!(ask(&question, LONG).await.saw, "refused");
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for question in [of_redis(port, &["PING"], &Value::Null), of_postgres(port, "select 1", &Value::Null)] {
        let asked = ask(&question, Span::from_secs(1));
        let accepted = async {
            let (mut connection, _) = silent.accept().await.unwrap();
            let mut all = Vec::new();
            // Its end: the question leaves no connection behind.
            connection.read_to_end(&mut all).await.unwrap();
            all
        };
        let (reply, sent) = tokio::join!(asked, accepted);
        assert_eq!(reply.saw, "timeout after 1s");
        assert!(!sent.is_empty());
        let asked = ask(&question, LONG);
        let closed = async { drop(silent.accept().await.unwrap()) };
        let (reply, ()) = tokio::join!(asked, closed);
        assert!(
            !reply.ok && ["closed without an answer", "reset"].contains(&reply.saw.as_str()),
            "{reply:?}"
        );
    }
}
