//! gRPC with tonic on both sides of an HTTP edge: the same without a fault as without the edge, and with one the status that
//! was asked for, on the calls that were chosen.

mod shop;

use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use murphy_tests::{Bench, Sitting};
use shop::{Aside, Caller, Shop};
use tonic::Code;

/// Far longer than anything here takes: reached only by a hang.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, future).await.unwrap_or_else(|_| panic!("not within {patience:?}: {what}"))
}

/// All that a caller is told in a conversation of every kind, in a text.
async fn conversation(caller: &mut Caller, aside: &Aside) -> String {
    let mut told = String::new();
    for text in ["", "seven", &"x".repeat(3_000_000)] {
        let answer = caller.unary("/Shop/Price", text).await.expect("an answer");
        let mut metadata: Vec<String> = answer
            .metadata()
            .keys()
            .map(|key| format!("{key:?}"))
            .filter(|key| !key.contains("date"))
            .collect();
        metadata.sort();
        let _ = writeln!(told, "{} {metadata:?}", answer.get_ref());
    }
    let status = caller.unary("/Shop/Price", "fail").await.expect_err("it fails");
    let why = status.metadata().get("x-why");
    let _ = writeln!(told, "{:?} {} {:?} {why:?}", status.code(), status.message(), status.details());
    let mut items = caller.stream("/Shop/Items", "20").await.expect("a stream");
    let last = loop {
        match within("an item", items.message()).await {
            Ok(item) => {
                let _ = writeln!(told, "{item:?}");
                // The service sends the next one only now.
                aside.received.add_permits(1);
            }
            Err(status) => break status,
        }
    };
    let _ = writeln!(told, "{:?} {}", last.code(), last.message());
    // The last one was acknowledged, and nobody waited for that.
    aside.received.forget_permits(1);
    told
}

/// Gives up a call that hangs and a stream in the middle; ends when the service knows of both.
async fn cancelled_twice(caller: &mut Caller, aside: &Aside) {
    tokio::select! {
        answer = caller.unary("/Shop/Price", "hang") => panic!("an answer: {answer:?}"),
        () = within("the call at the service", aside.hanging.notified()) => {}
    }
    within("the cancel at the service", aside.cancelled.notified()).await;
    let mut items = caller.stream("/Shop/Watch", "forever").await.expect("a stream");
    assert_eq!(within("the first", items.message()).await.expect("an item").as_deref(), Some("item 0"));
    drop(items);
    within("the cancel at the service", aside.cancelled.notified()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_every_kind_of_call_is_as_without_the_edge() {
    let bench = Bench::new();
    let (address, aside, _tasks) = Shop::open().await;
    let mut direct = Caller::dial(&address.to_string()).await;
    let wanted = conversation(&mut direct, &aside).await;
    cancelled_twice(&mut direct, &aside).await;

    let proxy = Sitting::before(&bench, address, &["--http", "--output", "json"]);
    let mut caller = Caller::dial(&proxy.listen).await;
    assert_eq!(conversation(&mut caller, &aside).await, wanted);
    // Many calls at a time on the one connection, while one hangs.
    let mut hanging = caller.clone();
    tokio::select! {
        answer = hanging.unary("/Shop/Price", "hang") => panic!("an answer: {answer:?}"),
        () = async {
            within("the call at the service", aside.hanging.notified()).await;
            let mut calls = tokio::task::JoinSet::new();
            for n in 0..50 {
                let mut caller = caller.clone();
                calls.spawn(async move { (n, caller.unary("/Shop/Price", &format!("n{n}")).await) });
            }
            while let Some(done) = within("calls", calls.join_next()).await {
                let (n, answer) = done.expect("no panic");
                assert_eq!(answer.expect("an answer").get_ref(), &format!("N{n}"));
            }
        } => {}
    }
    within("the cancel at the service", aside.cancelled.notified()).await;
    cancelled_twice(&mut caller, &aside).await;
    drop((caller, hanging));
    let summary = proxy.summary();
    let calls = &summary["calls"];
    // Three, one that failed in its trailers, one stream, and fifty; two hung, and one stream was left in the middle.
    assert_eq!((&calls["answered"], &calls["failed"]), (&55.into(), &0.into()), "{summary}");
    assert_eq!((&calls["given-up"], &calls["cut"]), (&2.into(), &1.into()), "{summary}");
    assert_eq!(summary["connections"], 1, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_status_comes_as_one_on_the_chosen_calls_alone() {
    let bench = Bench::new();
    let (address, aside, _tasks) = Shop::open().await;
    let words = ["--abort-grpc-status", "UNAVAILABLE", "--abort-body", "no stock today", "--first", "2"];
    let on = ["--abort", "--path", "/Shop/Price", "--http", "--output", "json"];
    let proxy = Sitting::before(&bench, address, &[&on[..], &words].concat());
    let mut caller = Caller::dial(&proxy.listen).await;
    for _ in 0..2 {
        let status = caller.unary("/Shop/Price", "seven").await.expect_err("a status");
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "no stock today"));
    }
    assert_eq!(aside.calls.load(Ordering::SeqCst), 0, "the service never learnt of them");
    // A caller that asks again has its answer, on the same connection; other calls have never been touched.
    assert_eq!(caller.unary("/Shop/Price", "seven").await.expect("an answer").get_ref(), "SEVEN");
    let mut items = caller.stream("/Shop/Items", "1").await.expect("a stream");
    assert_eq!(items.message().await.expect("an item").as_deref(), Some("item 0"));
    assert_eq!(items.message().await.expect_err("its end").code(), Code::DataLoss);
    drop((items, caller));
    let summary = proxy.summary();
    assert_eq!(summary["faults"][0]["tally"]["hits"], 2, "{summary}");
    assert_eq!(summary["connections"], 1, "{summary}");
    // An injected status comes with an HTTP status of 200, and is no answer of the service for that.
    let calls = &summary["calls"];
    assert_eq!((&calls["answered"], &calls["failed"]), (&2.into(), &2.into()), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_refused_with_the_injected_status_and_a_lost_answer_was_given() {
    let bench = Bench::new();
    let (address, aside, _tasks) = Shop::open().await;
    let on =
        ["--abort", "--abort-grpc-status", "ABORTED", "--path", "/Shop/Items", "--http", "--output", "json"];
    let proxy = Sitting::before(&bench, address, &on);
    let mut caller = Caller::dial(&proxy.listen).await;
    let status = caller.stream("/Shop/Items", "3").await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::Aborted, "injected by murphy"));
    assert_eq!(caller.unary("/Shop/Price", "a").await.expect("an answer").get_ref(), "A");
    assert_eq!(aside.calls.load(Ordering::SeqCst), 1);
    drop(caller);
    let summary = proxy.summary();
    assert_eq!(summary["faults"][0]["tally"]["hits"], 1, "{summary}");
    let calls = &summary["calls"];
    assert_eq!((&calls["answered"], &calls["failed"]), (&1.into(), &1.into()), "{summary}");

    let after = ["--abort", "--abort-grpc-status", "UNKNOWN", "--abort-when", "after-upstream", "--http"];
    let proxy = Sitting::before(&bench, address, &[&after[..], &["--output", "json"]].concat());
    let mut caller = Caller::dial(&proxy.listen).await;
    let status = caller.unary("/Shop/Price", "b").await.expect_err("a status");
    assert_eq!(status.code(), Code::Unknown);
    assert_eq!(aside.calls.load(Ordering::SeqCst), 2, "the service did its work");
    drop(caller);
    let summary = proxy.summary();
    assert_eq!(summary["faults"][0]["tally"]["hits"], 1, "{summary}");
    let calls = &summary["calls"];
    assert_eq!((&calls["answered"], &calls["failed"]), (&0.into(), &1.into()), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_held_for_an_edit_keeps_the_status_behind_it() {
    let bench = Bench::new();
    let (address, _, _tasks) = Shop::open().await;
    // The message is no JSON: there is nothing to edit, and the whole answer passes, with the status of the call at its end.
    let on = ["--body", "--body-at", "/price", "--body-value", "-1", "--http", "--output", "json"];
    let proxy = Sitting::before(&bench, address, &on);
    let mut caller = Caller::dial(&proxy.listen).await;
    assert_eq!(caller.unary("/Shop/Price", "seven").await.expect("an answer").get_ref(), "SEVEN");
    let mut items = caller.stream("/Shop/Items", "1").await.expect("a stream");
    assert_eq!(items.message().await.expect("an item").as_deref(), Some("item 0"));
    assert_eq!(items.message().await.expect_err("its end").code(), Code::DataLoss);
    drop((items, caller));
    let summary = proxy.summary();
    assert_eq!(summary["faults"][0]["tally"]["hits"], 0, "{summary}");
}
