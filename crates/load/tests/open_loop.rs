//! An open-loop load against real servers: what is sent, when, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use murphy_core::{
    Chance, EventKind, Frequency, LoadName, Recorder, Recording, RunClock, Sample, SampleOutcome, Seed,
    Served, Span,
};
use murphy_load::{Arrivals, BodyRule, Flow, HttpLoad, HttpRequest, LoadSummary, StatusSet, drive};
use murphy_testkit::{Answer, HttpServer, free_port};
use tokio_util::sync::CancellationToken;

fn load(url: &str, per_second: f64) -> HttpLoad {
    let request = HttpRequest::new("GET", url).unwrap();
    HttpLoad::new(
        LoadName::new("browse").unwrap(),
        request,
        Frequency::per_second(per_second).unwrap(),
        Seed(7),
    )
}

fn recorder() -> (Recorder, Recording) {
    Recorder::new(RunClock::start(), 100_000)
}

/// What was recorded: the samples by ordinal, and `(planned, in_flight_max)` of the end.
fn recorded(mut recording: Recording) -> (Vec<Sample>, Option<(u64, u64)>) {
    let (mut samples, mut end) = (Vec::new(), None);
    while let Ok(Some(event)) = recording.next(Duration::from_secs(1)) {
        match event.kind {
            EventKind::Sample(sample) => samples.push(sample),
            EventKind::LoadEnded { planned, in_flight_max, .. } => end = Some((planned, in_flight_max)),
            other => panic!("{other:?}"),
        }
    }
    samples.sort_by_key(|sample| sample.n);
    (samples, end)
}

/// Drives the load for so long, and checks what must hold whatever the service does.
async fn driven(load: HttpLoad, length: Duration) -> (Vec<Sample>, LoadSummary) {
    let (recorder, recording) = recorder();
    let stop = CancellationToken::new();
    let (summary, ()) = tokio::join!(drive(load, recorder, stop.clone()), async {
        tokio::time::sleep(length).await;
        stop.cancel();
    });
    let (samples, end) = recorded(recording);
    assert_eq!(end, Some((summary.planned, summary.in_flight_max)));
    let ordinals: Vec<u64> = samples.iter().map(|sample| sample.n).collect();
    assert_eq!(ordinals, (0..summary.planned).collect::<Vec<_>>(), "one sample for each planned request");
    let count =
        |outcome: SampleOutcome| samples.iter().filter(|sample| sample.outcome == outcome).count() as u64;
    assert_eq!(summary.ok, count(SampleOutcome::Ok));
    assert_eq!(summary.dropped, count(SampleOutcome::Dropped));
    assert_eq!(summary.unfinished, count(SampleOutcome::Unfinished));
    assert_eq!(summary.sent, samples.iter().filter(|sample| sample.sent.is_some()).count() as u64);
    (samples, summary)
}

/// The outcome and status that every sample of a load has.
async fn only_outcome(load: HttpLoad) -> (SampleOutcome, Option<u16>) {
    let (samples, _) = driven(load, Duration::from_millis(150)).await;
    let first = samples.first().expect("150 ms at 100/s plan a request");
    let seen = (first.outcome.clone(), first.status);
    assert!(samples.iter().all(|sample| (sample.outcome.clone(), sample.status) == seen), "{samples:?}");
    seen
}

#[tokio::test]
async fn every_planned_request_is_sent_and_told_of_once() {
    let server = HttpServer::start(|_| Answer::new(200, "hello")).await;
    let began = Instant::now();
    let (samples, summary) = driven(load(&server.url("/"), 400.0), Duration::from_millis(500)).await;
    // More than 200 only if this machine was late to stop it.
    let most = 400.0 * began.elapsed().as_secs_f64() * 1.6;
    assert!(summary.planned >= 100 && summary.planned as f64 <= most, "about 200: {summary:?}");
    assert_eq!((summary.ok, summary.sent), (summary.planned, summary.planned));
    assert_eq!(server.counts().requests, summary.planned, "and nothing was sent twice");
    assert!(
        samples
            .iter()
            .all(|sample| sample.sent.unwrap() >= sample.intended && sample.ended >= sample.sent.unwrap())
    );
}

#[tokio::test]
async fn the_times_come_from_the_seed_and_not_from_the_service() {
    let gaps = async |delay: Duration, name: &str| {
        let server = HttpServer::start(move |_| Answer::new(200, "").after(delay)).await;
        let mut load = load(&server.url("/"), 300.0);
        load.name = LoadName::new(name).unwrap();
        let (samples, _) = driven(load, Duration::from_millis(250)).await;
        let first = samples[0].intended;
        samples.iter().map(|sample| sample.intended.since(first).as_micros()).collect::<Vec<_>>()
    };
    let (quick, slow) = (gaps(Duration::ZERO, "a").await, gaps(Duration::from_millis(120), "a").await);
    let both = quick.len().min(slow.len());
    assert!(both > 20, "{both}");
    // Offsets are whole microseconds, rounded down from two different origins.
    assert!(quick.iter().zip(&slow).all(|(a, b)| a.abs_diff(*b) <= 2), "{quick:?} {slow:?}");
    assert_ne!(
        gaps(Duration::ZERO, "b").await[1..9],
        quick[1..9],
        "another load of the same run has its own times"
    );
}

#[tokio::test]
async fn connections_are_kept_alive_but_for_the_fresh_share() {
    let connections = async |share: Chance| {
        let server = HttpServer::start(|_| Answer::new(200, "x")).await;
        let mut load = load(&server.url("/"), 100.0);
        load.arrivals = Arrivals::Constant;
        load.fresh_share = share;
        let (_, summary) = driven(load, Duration::from_millis(400)).await;
        assert_eq!(summary.ok, summary.planned);
        assert_eq!(server.counts().accepted, summary.connections);
        (summary.connections, summary.planned, summary.in_flight_max)
    };
    // What is due at once, because this machine stood still, needs as many connections.
    let (kept, planned, at_once) = connections(Chance::NEVER).await;
    assert!(kept <= (planned / 4).max(2 * at_once), "{kept} connections for {planned} requests");
    let (fresh, planned, _) = connections(Chance::ALWAYS).await;
    assert_eq!(fresh, planned);
    let (some, planned, at_once) = connections(Chance::from_fraction(0.5).unwrap()).await;
    assert!(
        some > planned / 5 && (some < planned || at_once > planned / 4),
        "{some} connections for {planned} requests, {at_once} at once"
    );
}

#[tokio::test]
async fn a_service_that_closes_after_every_answer_is_not_blamed_for_it() {
    let server = HttpServer::start(|_| Answer::new(200, "x").then_close()).await;
    let mut load = load(&server.url("/"), 200.0);
    load.arrivals = Arrivals::Constant;
    assert_eq!(only_outcome(load).await, (SampleOutcome::Ok, Some(200)));
}

#[tokio::test]
async fn each_way_to_fail_has_an_outcome_of_its_own() {
    let outcome = async |answer: Answer| {
        let server = HttpServer::start(move |_| answer.clone()).await;
        only_outcome(load(&server.url("/"), 100.0)).await
    };
    use SampleOutcome::{Body, Broken, Ok, Status};
    assert_eq!(outcome(Answer::new(201, "")).await, (Ok, Some(201)));
    assert_eq!(outcome(Answer::new(503, "sorry")).await, (Status, Some(503)));
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(outcome(Answer::raw(short).then_close()).await, (Body, Some(200)), "a cut body");
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    assert_eq!(
        outcome(Answer::raw(chunk).then_close()).await,
        (Body, Some(200)),
        "a body without its last chunk"
    );
    assert_eq!(outcome(Answer::raw("").then_close()).await, (Broken, None));
    assert_eq!(outcome(Answer::raw("HTTP/1.1 2").then_close()).await, (Broken, None));
    assert_eq!(outcome(Answer::raw("what?\r\n\r\n").then_close()).await, (Broken, None));
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let url = format!("http://127.0.0.1:{}/", free_port());
    assert_eq!(only_outcome(load(&url, 100.0)).await, (SampleOutcome::Connect, None));
    // A label of more than 63 bytes: the resolver knows without a name server that there is no such host.
    let unknown = format!("http://{}/", "x".repeat(70));
    assert_eq!(only_outcome(load(&unknown, 100.0)).await, (SampleOutcome::Connect, None));
}

#[tokio::test]
async fn names_are_resolved() {
    let server = HttpServer::start(|asked| Answer::new(200, asked.header("host").unwrap_or_default())).await;
    let mut load = load(&format!("http://localhost:{}/", server.address().port()), 100.0);
    load.expect_body = BodyRule::Matches(regex_lite::Regex::new("^localhost:[0-9]+$").unwrap());
    assert_eq!(only_outcome(load).await, (SampleOutcome::Ok, Some(200)));
}

#[tokio::test]
async fn a_body_that_is_not_as_it_must_be_does_not_count() {
    let server = HttpServer::start(|_| Answer::new(200, "")).await;
    let mut load = load(&server.url("/"), 100.0);
    load.expect_body = BodyRule::NotEmpty;
    assert_eq!(only_outcome(load.clone()).await, (SampleOutcome::Body, Some(200)));
    load.expect_body = BodyRule::Matches(regex_lite::Regex::new("^$").unwrap());
    assert_eq!(only_outcome(load.clone()).await, (SampleOutcome::Ok, Some(200)));
    load.expect_status = StatusSet::of([404]);
    assert_eq!(only_outcome(load).await, (SampleOutcome::Status, Some(200)));
}

#[tokio::test]
async fn a_user_who_loses_patience_hangs_up_and_is_told_of_at_that_age() {
    let server = HttpServer::start(|_| Answer::never()).await;
    let mut load = load(&server.url("/"), 50.0);
    load.timeout = Span::from_millis(100);
    load.drain = Some(Span::from_secs(20));
    let (samples, summary) = driven(load, Duration::from_millis(200)).await;
    assert_eq!(
        server.until(|counts| counts.open == 0).await.requests,
        summary.planned,
        "each saw the hang-up"
    );
    for sample in samples {
        assert_eq!(sample.outcome, SampleOutcome::Timeout);
        assert!(sample.ended.since(sample.sent.unwrap()) >= Span::from_millis(100), "{sample:?}");
    }
}

#[tokio::test]
async fn a_timeout_in_the_body_still_tells_the_status() {
    let server =
        HttpServer::start(|_| Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha").then_hang())
            .await;
    let mut load = load(&server.url("/"), 100.0);
    load.timeout = Span::from_millis(80);
    load.drain = Some(Span::from_secs(20));
    assert_eq!(only_outcome(load).await, (SampleOutcome::Timeout, Some(200)));
}

#[tokio::test]
async fn one_request_too_many_in_flight_is_dropped_and_never_sent() {
    let server = HttpServer::start(|_| Answer::never()).await;
    let mut load = load(&server.url("/"), 200.0);
    load.in_flight_max = 3;
    load.drain = Some(Span::ZERO);
    let (samples, summary) = driven(load, Duration::from_millis(200)).await;
    assert_eq!((summary.sent, summary.unfinished), (3, 3));
    assert_eq!(summary.dropped, summary.planned - 3);
    assert!(summary.in_flight_max >= 3);
    assert!(
        samples[3..].iter().all(|sample| sample.outcome == SampleOutcome::Dropped && sample.sent.is_none())
    );
    assert!(server.counts().requests <= 3);
}

#[tokio::test]
async fn what_is_in_flight_at_the_stop_may_end_within_the_drain() {
    let server = HttpServer::start(|_| Answer::new(200, "late").after(Duration::from_millis(150))).await;
    let mut patient = load(&server.url("/"), 100.0);
    patient.drain = Some(Span::from_secs(20));
    let (_, summary) = driven(patient, Duration::from_millis(100)).await;
    assert_eq!((summary.ok, summary.unfinished), (summary.planned, 0));

    let server = HttpServer::start(|_| Answer::never()).await;
    let mut hasty = load(&server.url("/"), 100.0);
    hasty.drain = Some(Span::from_millis(50));
    let began = Instant::now();
    let (samples, summary) = driven(hasty, Duration::from_millis(100)).await;
    assert_eq!(summary.unfinished, summary.planned);
    assert!(
        samples.iter().all(|sample| sample.outcome == SampleOutcome::Unfinished && sample.sent.is_some())
    );
    assert!(began.elapsed() < Duration::from_secs(4), "not the timeout of 5 s");
}

#[tokio::test]
async fn a_load_that_is_dropped_tells_of_what_was_in_flight() {
    let server = HttpServer::start(|_| Answer::never()).await;
    let (recorder, recording) = recorder();
    let mut driving = Box::pin(drive(load(&server.url("/"), 100.0), recorder, CancellationToken::new()));
    tokio::select! {
        _ = &mut driving => panic!("it has no end"),
        counts = server.until(|counts| counts.requests >= 5) => assert!(counts.requests >= 5),
    }
    drop(driving);
    server.until(|counts| counts.open == 0).await;
    let (samples, end) = recorded(recording);
    assert_eq!(end, None);
    assert!(samples.len() >= 5 && samples.iter().all(|sample| sample.outcome == SampleOutcome::Unfinished));
    assert!(samples.iter().enumerate().all(|(n, sample)| sample.n == n as u64));
}

#[tokio::test]
async fn a_sender_that_stood_still_sends_late_and_says_so() {
    let server = HttpServer::start(|_| Answer::new(200, "x")).await;
    let (recorder, recording) = recorder();
    let stop = CancellationToken::new();
    let stall = async {
        server.until(|counts| counts.requests >= 3).await;
        // The runtime has one thread, and this keeps it.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(150) {
            std::hint::spin_loop();
        }
        let seen = server.counts().requests;
        server.until(|counts| counts.requests > seen + 20).await;
        stop.cancel();
    };
    let mut load = load(&server.url("/"), 200.0);
    load.arrivals = Arrivals::Constant;
    let (summary, ()) = tokio::join!(drive(load, recorder, stop.clone()), stall);
    let (samples, _) = recorded(recording);
    assert_eq!((summary.sent, summary.ok), (summary.planned, summary.planned), "none was skipped");
    let late = samples.iter().filter(|sample| sample.lag().unwrap() >= Span::from_millis(40)).count();
    // 150 ms at 200/s are 30 requests, of which those due in the first 110 ms are at least 40 ms late.
    assert!(late >= 15, "{late} of {} were late", samples.len());
    assert!(
        samples.iter().all(|sample| sample.latency() >= sample.lag().unwrap()),
        "and latency includes the lag"
    );
}

#[tokio::test]
async fn what_the_service_says_of_its_answer_is_kept() {
    let server = HttpServer::start(|_| {
        let headers = [("cache-status", "shop; hit; ttl=-30"), ("age", "31"), ("retry-after", "2")];
        Answer::with_headers(200, &headers, "old")
    })
    .await;
    let (samples, _) = driven(load(&server.url("/"), 100.0), Duration::from_millis(100)).await;
    assert!(!samples.is_empty());
    for sample in samples {
        assert_eq!((sample.served, sample.age), (Served::Stale, Some(Span::from_secs(31))));
        assert_eq!(sample.retry_after, Some(Span::from_secs(2)));
    }
}

#[tokio::test]
async fn the_request_goes_out_as_it_was_written() {
    let server = HttpServer::start(|asked| {
        let good = asked.method == "POST"
            && asked.path == "/orders?a=b"
            && asked.body == br#"{"sku":"a1"}"#
            && asked.header("content-type") == Some("application/json")
            && asked.header("x-user") == Some("ann")
            && asked.header("content-length") == Some("12");
        Answer::new(if good { 201 } else { 400 }, "")
    })
    .await;
    let request = HttpRequest::new("POST", &server.url("/orders?a=b")).unwrap();
    let request = request.header("X-User", "ann").unwrap().json(&serde_json::json!({ "sku": "a1" }));
    let mut load = load(&server.url("/"), 100.0);
    load.request = request;
    assert_eq!(only_outcome(load).await, (SampleOutcome::Ok, Some(201)));
}

/// The known answer of coordinated omission: a service that stands still for 30 % of the time fails about 30 % of its
/// users. A closed loop asks once in that time, and sees next to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_is_seen_with_its_whole_length_where_a_closed_loop_misses_it() {
    const LENGTH: Duration = Duration::from_millis(2_000);
    const FREEZE: Duration = Duration::from_millis(600);
    const BAD: Duration = Duration::from_millis(100);
    let server = HttpServer::start(|_| Answer::new(200, "x")).await;
    let (recorder, recording) = recorder();
    let stop = CancellationToken::new();
    let freezing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let frozen_at = Instant::now();
        server.set_frozen(true);
        tokio::time::sleep(FREEZE).await;
        server.set_frozen(false);
        let frozen = frozen_at.elapsed();
        tokio::time::sleep(LENGTH - Duration::from_millis(500) - FREEZE).await;
        stop.cancel();
        frozen
    };
    let closed_loop = async {
        // One user, who asks as soon as the answer is there.
        let mut took = Vec::new();
        let question = murphy_load::Question::http(HttpRequest::new("GET", &server.url("/")).unwrap());
        while !stop.is_cancelled() {
            took.push(murphy_load::ask(&question, Span::from_secs(5)).await.took.as_duration());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took
    };
    let begun = Instant::now();
    let (_, frozen, closed) =
        tokio::join!(drive(load(&server.url("/"), 200.0), recorder, stop.clone()), freezing, closed_loop);
    let length = begun.elapsed();

    let (samples, _) = recorded(recording);
    let share = |wanted: &dyn Fn(&&Sample) -> bool| {
        samples.iter().filter(wanted).count() as f64 / samples.len() as f64
    };
    let bad = share(&|sample| sample.latency().as_duration() > BAD);
    // Of those that this machine did not send late by itself.
    let by_the_service =
        share(&|sample| sample.latency().as_duration() > BAD + sample.lag().unwrap().as_duration());
    // Whoever came in the last 100 ms of the freeze waited less than that.
    let truth = (frozen - BAD).as_secs_f64() / length.as_secs_f64();
    assert!(
        bad / truth > 0.65 && by_the_service / truth < 1.35,
        "open loop: {bad:.3} and {by_the_service:.3} bad, truth {truth:.3}"
    );
    let slowest = samples.iter().map(Sample::latency).max().unwrap();
    assert!(slowest.as_duration() > frozen * 8 / 10, "{slowest}");

    let closed_bad = closed.iter().filter(|took| **took > BAD).count() as f64 / closed.len() as f64;
    assert!(
        closed_bad < truth / 4.0,
        "closed loop: {closed_bad:.3} bad of {}, truth {truth:.3}",
        closed.len()
    );
}

#[tokio::test]
async fn a_load_that_is_not_told_what_to_send_sends_nothing_until_it_is() {
    let others = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&others);
    let server = HttpServer::start(move |asked| {
        if asked.path != "/first" {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Answer::new(if asked.path == "/never" { 404 } else { 200 }, "")
    })
    .await;
    let (request, renewed) = tokio::sync::watch::channel(None);
    let of = || HttpLoad { renewed: Some(renewed.clone()), ..load(&server.url("/never"), 200.0) };
    let (samples, summary) = driven(of(), Duration::from_millis(200)).await;
    assert_eq!((samples.len(), summary.planned, server.counts().requests), (0, 0, 0));
    // As many as it would have sent itself in the time that another load of its frequency took to send them.
    let stop = CancellationToken::new();
    let (recorder, _recording) = recorder();
    let first = drive(load(&server.url("/first"), 200.0), recorder.clone(), stop.clone());
    let told = async {
        server.until(|counts| counts.requests >= 50).await;
        assert_eq!(others.load(Ordering::SeqCst), 0, "nothing was told, and something sent");
        let known = HttpRequest::new("GET", &server.url("/known")).unwrap();
        request.send_replace(Some(Arc::new(known)));
        server.until(|_| others.load(Ordering::SeqCst) > 20).await;
        stop.cancel();
    };
    let (_, summary, ()) = tokio::join!(first, drive(of(), recorder, stop.clone()), told);
    assert!(summary.planned > 20 && summary.ok == summary.planned, "{summary:?}");
}

#[tokio::test]
async fn a_rate_becomes_another_at_its_time() {
    let server = HttpServer::start(|_| Answer::new(200, "x")).await;
    let mut load = load(&server.url("/"), 50.0);
    load.arrivals = Arrivals::Constant;
    load.changes = vec![
        (Span::from_millis(200), Frequency::per_second(200.0).unwrap()),
        (Span::from_millis(300), Frequency::per_second(20.0).unwrap()),
    ];
    let (samples, summary) = driven(load, Duration::from_millis(600)).await;
    let first = samples[0].intended;
    let due: Vec<u64> = samples.iter().map(|sample| sample.intended.since(first).as_micros()).collect();
    // 10 requests in the first step and 20 in the second; what comes after them is 50 ms apart.
    for (n, millis) in [(9, 180), (10, 200), (11, 205), (29, 295), (30, 300), (31, 350), (32, 400)] {
        assert!(due[n].abs_diff(millis * 1_000) <= 1, "{n}: {due:?}");
    }
    assert_eq!((summary.ok, summary.sent), (summary.planned, summary.planned));
}

#[tokio::test]
async fn a_held_load_leaves_no_request_out_and_sends_one_alone_where_that_is_asked_for() {
    let server = HttpServer::start(|_| Answer::new(200, "x")).await;
    let mut load = load(&server.url("/"), 100.0);
    load.arrivals = Arrivals::Constant;
    let (flow, held) = tokio::sync::watch::channel(Flow::On);
    load.flow = Some(held);
    let (recorder, recording) = recorder();
    let stop = CancellationToken::new();
    let (summary, alone) = tokio::join!(drive(load, recorder, stop.clone()), async {
        let asked = || server.counts().requests;
        tokio::time::sleep(Duration::from_millis(300)).await;
        flow.send_replace(Flow::Held);
        // What was due before is still sent, and that may take a machine that stood still a while: all of it has been when nobody
        // comes for so long.
        let mut before = asked();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if asked() == before {
                break;
            }
            before = asked();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(asked(), before, "nobody comes");
        flow.send_replace(Flow::Alone(1));
        server.until(|counts| counts.requests > before).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let alone = asked() - before;
        flow.send_replace(Flow::On);
        server.until(|counts| counts.requests > before + alone).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
        alone
    });
    assert_eq!(alone, 1);
    let (samples, _) = recorded(recording);
    let ordinals: Vec<u64> = samples.iter().map(|sample| sample.n).collect();
    assert_eq!(ordinals, (0..summary.planned).collect::<Vec<_>>(), "each has its sample");
    let gaps: Vec<u64> =
        samples.windows(2).map(|pair| pair[1].intended.since(pair[0].intended).as_micros()).collect();
    let long = gaps.iter().filter(|gap| **gap > 200_000).count();
    assert_eq!(long, 2, "before and after the one alone, and nothing is made up for: {gaps:?}");
    assert!(gaps.iter().filter(|gap| **gap < 9_000).count() <= 1, "{gaps:?}");
    assert_eq!(summary.ok, summary.planned);
}
