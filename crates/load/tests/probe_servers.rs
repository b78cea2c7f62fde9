//! Questions to a real Redis and a real PostgreSQL.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use murphy_core::{JsonTest, Span};
use murphy_load::{Expected, PostgresQuestion, Question, RedisQuestion, Server, ask};
use murphy_testkit::{Postgres, free_port, postgres_or_skip, program_or_skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex_lite::Regex;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

const LONG: Span = Span::from_secs(20);

/// A server of a test, ended with it.
struct Running {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // With all its processes; one that is gone already is as well.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
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
    let program = program_or_skip("redis-server")?;
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let child = Command::new(program)
        .args(["--port", &port.to_string(), "--save", "", "--requirepass", "secret-word", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running { child, port, dir };
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

fn of_postgres(port: u16, query: &str, reply: &Value) -> Question {
    let password = Some(Postgres::PASSWORD.to_owned());
    Question::Postgres(PostgresQuestion {
        server: Server { host: "127.0.0.1".to_owned(), port, password, ..Server::default() },
        query: query.to_owned(),
        expected: expected(reply, None),
    })
}

#[tokio::test]
async fn postgres_is_asked_a_query_and_its_result_is_judged() {
    let Some(server) = postgres_or_skip() else { return };
    let said = async |query: &str, reply: Value| {
        let reply = ask(&of_postgres(server.port(), query, &reply), LONG).await;
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

    let Question::Postgres(mut stranger) = of_postgres(server.port(), "select 1", &Value::Null) else {
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
