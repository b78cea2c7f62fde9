//! Questions to real servers and real commands.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use murphy_core::{EventKind, ProbeName, Recorder, RunClock, Span};
use murphy_load::{
    CommandQuestion, HeaderTest, HeaderValue, HttpRequest, NotReady, Question, Reply, StatusSet, ask,
    wait_ready, watch,
};
use murphy_testkit::{Answer, HttpServer, free_port};
use regex_lite::Regex;
use tokio_util::sync::CancellationToken;

const LONG: Span = Span::from_secs(20);

fn http(url: &str) -> Question {
    Question::http(HttpRequest::new("GET", url).unwrap())
}

fn shell(script: &str) -> CommandQuestion {
    CommandQuestion { argv: vec!["sh".into(), "-c".into(), script.into()], ..CommandQuestion::default() }
}

async fn saw(question: &Question) -> (bool, String) {
    let Reply { ok, saw, .. } = ask(question, LONG).await;
    (ok, saw)
}

async fn command_saw(script: &str) -> (bool, String) {
    saw(&Question::Command(shell(script))).await
}

fn refused_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// True while a process that this test's user can see has the pid and is no zombie.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The pid in a file, once it is written whole.
async fn pid_in(file: &Path) -> String {
    let mut pid = String::new();
    until("the pid is written", || {
        pid = std::fs::read_to_string(file).unwrap_or_default();
        pid.ends_with('\n')
    })
    .await;
    pid.trim().to_owned()
}

#[tokio::test]
async fn an_http_question_is_answered_in_a_word() {
    let server = HttpServer::start(|asked| match asked.path.as_str() {
        "/ok" => Answer::new(200, "status: green\nmore"),
        "/sick" => Answer::new(503, ""),
        "/cut" => Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").then_close(),
        "/gone" => Answer::raw("").then_close(),
        "/odd" => Answer::raw("SSH-2.0-x\r\n").then_close(),
        _ => Answer::never(),
    })
    .await;
    let answer = async |path: &str| saw(&http(&server.url(path))).await;
    assert_eq!(answer("/ok").await, (true, "200".into()));
    assert_eq!(answer("/sick").await, (false, "503".into()));
    assert_eq!(answer("/cut").await, (false, "200, body cut".into()));
    assert_eq!(answer("/gone").await, (false, "closed without an answer".into()));
    assert_eq!(answer("/odd").await, (false, "not an HTTP answer".into()));
    assert_eq!(saw(&http(&format!("http://{}/", refused_address()))).await, (false, "refused".into()));
    // A label of more than 63 bytes: the resolver knows without a name server that there is no such host.
    assert_eq!(saw(&http(&format!("http://{}/", "x".repeat(70)))).await, (false, "no such host".into()));

    let request = HttpRequest::new("GET", &server.url("/ok")).unwrap();
    let matching = |pattern: &str| Question::Http {
        request: Box::new(request.clone()),
        status: StatusSet::of([200]),
        header: Vec::new(),
        body: Some(Regex::new(pattern).unwrap()),
        json: Vec::new(),
    };
    assert_eq!(saw(&matching("green")).await, (true, "200".into()));
    assert_eq!(saw(&matching("red")).await, (false, "200, body `status: green` does not match".into()));

    let late = ask(&http(&server.url("/never")), Span::from_millis(80)).await;
    assert_eq!((late.ok, late.saw.as_str()), (false, "timeout after 80ms"));
    assert!(late.took >= Span::from_millis(80));
    server.until(|counts| counts.open == 0).await;
}

#[tokio::test]
async fn a_header_of_the_answer_must_be_there_and_match_and_a_secret_one_is_not_said() {
    let server = HttpServer::start(|_| {
        Answer::raw(
            "HTTP/1.1 200 OK\r\nX-Cache: MISS, hit\r\nVary: Accept\r\nVary: Origin\r\nSet-Cookie: id=41\r\n\
             X-Name: Käse\r\ncontent-length: 5\r\n\r\ngreen",
        )
    })
    .await;
    let answer = async |name: &str, pattern: &str, value: HeaderValue| {
        let question = Question::Http {
            request: Box::new(HttpRequest::new("GET", &server.url("/")).unwrap()),
            status: StatusSet::of([200]),
            header: vec![HeaderTest { name: name.to_owned(), matches: Regex::new(pattern).unwrap(), value }],
            body: Some(Regex::new("green").unwrap()),
            json: Vec::new(),
        };
        saw(&question).await
    };
    use HeaderValue::{Hidden, Said};
    assert_eq!(answer("x-cache", "(?i)hit$", Said).await, (true, "200".into()));
    assert_eq!(
        answer("x-cache", "^HIT", Said).await,
        (false, "200, x-cache `MISS, hit` does not match".into())
    );
    // Of a header that is written several times, any one will do.
    assert_eq!(answer("vary", "^Origin$", Said).await, (true, "200".into()));
    assert_eq!(answer("x-name", "^Käse$", Said).await, (true, "200".into()));
    assert_eq!(answer("etag", "", Said).await, (false, "200, no header `etag`".into()));
    assert_eq!(answer("set-cookie", "id=42", Hidden).await, (false, "200, set-cookie does not match".into()));
}

#[tokio::test]
async fn a_tcp_question_only_connects() {
    let server = HttpServer::start(|_| Answer::never()).await;
    let tcp = |address: String| Question::Tcp { address };
    assert_eq!(saw(&tcp(server.address().to_string())).await, (true, "connected".into()));
    assert_eq!(saw(&tcp(refused_address())).await, (false, "refused".into()));
    server.until(|counts| counts.accepted == 1 && counts.open == 0).await;
}

#[tokio::test]
async fn a_command_answers_by_its_exit_and_its_last_line() {
    assert_eq!(command_saw("echo a; echo 12").await, (true, "exit 0: 12".into()));
    assert_eq!(command_saw("true").await, (true, "exit 0".into()));
    assert_eq!(
        command_saw("echo rows: 3; echo no such table >&2; exit 1").await,
        (false, "exit 1: no such table".into())
    );
    assert_eq!(command_saw("echo only this; exit 2").await, (false, "exit 2: only this".into()));
    assert_eq!(command_saw("kill -9 $$").await, (false, "signal 9".into()));
    assert_eq!(command_saw("read x || echo no input").await, (true, "exit 0: no input".into()));

    let mut question = shell("echo '  42 '; pwd >&2; echo $NAME >&2");
    question.matches = Some(Regex::new(r"^\d+$").unwrap());
    assert_eq!(saw(&Question::Command(question.clone())).await, (true, "exit 0: 42".into()));
    question.matches = Some(Regex::new("^41$").unwrap());
    assert_eq!(saw(&Question::Command(question)).await, (false, "exit 0: 42, does not match".into()));

    let question = CommandQuestion {
        dir: Some("/".into()),
        env: BTreeMap::from([("NAME".to_owned(), "murphy".to_owned())]),
        ..shell("echo $NAME in $(pwd)")
    };
    assert_eq!(saw(&Question::Command(question)).await, (true, "exit 0: murphy in /".into()));
    let missing = CommandQuestion { argv: vec!["no-such-program-here".into()], ..CommandQuestion::default() };
    assert_eq!(saw(&Question::Command(missing)).await, (false, "`no-such-program-here`: not found".into()));
    assert!(!saw(&Question::Command(CommandQuestion::default())).await.0, "an empty command is no panic");
}

#[tokio::test]
async fn endless_output_is_read_and_bounded() {
    let (ok, saw) = command_saw("yes 0123456789 | head -c 3000000; echo; printf '%0500d' 7").await;
    assert!(ok);
    assert!(saw.chars().count() < 200, "{saw}");
}

#[tokio::test]
async fn a_hanging_command_is_killed_with_its_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("trap '' TERM; sleep 60 & echo $! > {}; wait", file.display());
    // On a machine that stands still the time may be over before the command has begun, and then nothing was shown.
    for patience in ["500ms", "2s", "8s"] {
        let began = Instant::now();
        let reply = ask(&Question::Command(shell(&script)), patience.parse().unwrap()).await;
        assert_eq!((reply.ok, reply.saw), (false, format!("timeout after {patience}")));
        assert!(began.elapsed() < Duration::from_secs(40), "not for as long as it sleeps");
        if std::fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')) {
            break;
        }
    }
    let grandchild = pid_in(&file).await;
    until("the grandchild is gone", || !runs(&grandchild)).await;
}

#[tokio::test]
async fn a_question_that_is_withdrawn_kills_its_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let question = Question::Command(shell(&format!("sleep 60 & echo $! > {}; wait", file.display())));
    let mut asking = Box::pin(ask(&question, LONG));
    let grandchild = tokio::select! {
        reply = &mut asking => panic!("{reply:?}"),
        pid = pid_in(&file) => pid,
    };
    assert!(runs(&grandchild));
    drop(asking);
    until("the grandchild is gone", || !runs(&grandchild)).await;
}

#[tokio::test]
async fn something_left_in_the_background_does_not_hold_up_the_answer() {
    let began = Instant::now();
    let (ok, saw) = command_saw("sleep 30 & echo done").await;
    assert_eq!((ok, saw.as_str()), (true, "exit 0: done"));
    assert!(began.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn ready_is_when_the_first_good_answer_comes() {
    let server = HttpServer::start(|asked| Answer::new(if asked.n < 3 { 503 } else { 200 }, "")).await;
    let took = wait_ready(&http(&server.url("/")), LONG, pending::<()>()).await.unwrap();
    assert_eq!(server.counts().requests, 4);
    assert!(took >= Span::from_millis(75) && took < LONG, "three pauses of at least 25 ms: {took}");
}

#[tokio::test]
async fn never_ready_tells_the_last_answer() {
    let server = HttpServer::start(|_| Answer::new(503, "")).await;
    let error =
        wait_ready(&http(&server.url("/")), Span::from_millis(1500), pending::<()>()).await.unwrap_err();
    assert_eq!(error.to_string(), "not ready within 1.5s; the last answer was: 503");
    assert!(server.counts().requests >= 2);

    let hang = HttpServer::start(|_| Answer::never()).await;
    let error = wait_ready(&http(&hang.url("/")), Span::from_millis(100), pending::<()>()).await.unwrap_err();
    assert!(matches!(error, NotReady::Late { last: Reply { ok: false, .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn a_service_that_dies_is_not_waited_for() {
    let server = HttpServer::start(|_| Answer::new(503, "")).await;
    let mut command = tokio::process::Command::new("sh");
    let mut child = command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped()).spawn().unwrap();
    let ended = async {
        // Who is asked twice has been heard once.
        server.until(|counts| counts.requests >= 2).await;
        // It also closes its input.
        child.wait().await
    };
    let error = wait_ready(&http(&server.url("/")), LONG, ended).await.unwrap_err();
    let NotReady::Ended { why, last } = error else { panic!("{error:?}") };
    assert_eq!(why.unwrap().code(), Some(7));
    assert_eq!(last.unwrap().saw, "503");
}

#[tokio::test]
async fn a_slow_answer_does_not_delay_the_next_question() {
    let server = HttpServer::start(|_| Answer::new(200, "")).await;
    server.set_frozen(true);
    let (recorder, mut recording) = Recorder::new(RunClock::start(), 1_000);
    let stop = CancellationToken::new();
    let name = ProbeName::new("ready").unwrap();
    let question = http(&server.url("/"));
    let watching = watch(name.clone(), question, Span::from_millis(50), LONG, recorder, stop.clone());
    let mut asked_at = Vec::new();
    tokio::join!(watching, async {
        // A prober that waits for its answers asks once.
        server.until(|counts| counts.requests >= 16).await;
        server.set_frozen(false);
        let deadline = Instant::now() + Duration::from_secs(20);
        while asked_at.len() < 16 {
            assert!(Instant::now() < deadline, "answers of {asked_at:?} only");
            while let Ok(Some(event)) = recording.next(Duration::ZERO) {
                let EventKind::Probe { probe, asked, ok, saw, .. } = event.kind else { panic!("{event:?}") };
                assert_eq!((probe, ok, saw.as_str()), (name.clone(), true, "200"));
                asked_at.push(asked.as_micros());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.cancel();
    });
    // Asked at one beat of 50 ms, or a little after it: a machine that stood still makes some late, but not most. Any of
    // them may be the one that was in time.
    let on_beat =
        |first: u64| asked_at.iter().filter(|asked| (50_000_000 + **asked - first) % 50_000 < 12_000).count();
    assert!(asked_at.iter().any(|first| on_beat(*first) * 2 >= asked_at.len()), "{asked_at:?}");
    server.until(|counts| counts.open == 0).await;
}

#[tokio::test]
async fn a_question_is_asked_when_it_is_sent_however_late_a_busy_machine_comes_to_it() {
    const BUSY: Duration = Duration::from_millis(30);
    let (recorder, mut recording) = Recorder::new(RunClock::start(), 1_000);
    let stop = CancellationToken::new();
    let question = Question::Tcp { address: refused_address() };
    let every = Span::from_millis(50);
    let watching = watch(ProbeName::new("ready").unwrap(), question, every, LONG, recorder, stop.clone());
    let mut unaccounted = Vec::new();
    tokio::join!(biased; watching, async {
        while unaccounted.len() < 9 {
            // Whatever was begun in this turn of the only thread waits.
            let begun = Instant::now();
            while begun.elapsed() < BUSY {}
            tokio::task::yield_now().await;
            while let Ok(Some(event)) = recording.next(Duration::ZERO) {
                let EventKind::Probe { asked, took, .. } = event.kind else { panic!("{event:?}") };
                unaccounted.push(event.at.as_micros() - asked.as_micros() - took.as_micros());
            }
        }
        stop.cancel();
    });
    unaccounted.sort_unstable();
    assert!(
        u128::from(unaccounted[4]) < BUSY.as_micros() / 2,
        "{unaccounted:?} us until the answer was told"
    );
}
