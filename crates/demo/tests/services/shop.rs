//! The shop over real sockets: what users get while a dependency hangs or refuses, careful and careless.

use std::time::Duration;

use crate::world::{User, World, free_address};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Far above the careful shop's 250 ms × 2 attempts, also on a machine that stands still now and then; a hang has no end.
const SOON: Duration = Duration::from_secs(20);

/// Long enough to call it a hang.
const HANG: Duration = Duration::from_secs(1);

#[tokio::test]
async fn with_healthy_dependencies_both_builds_answer_alike() {
    let mut world = World::default();
    let (catalogue, payments, cache) =
        (world.service("catalogue").await, world.service("payments").await, world.service("cache").await);
    for build in ["--careful", "--careless"] {
        let line = format!("shop {build} --catalogue {catalogue} --payments {payments} --cache {cache}");
        let user = User::of(world.service(&line).await);
        for path in ["/items/7", "/items/7", "/cart/7", "/live", "/ready"] {
            let seen = user.get(path).await;
            assert_eq!((seen.status, seen.header("x-served")), (200, ""), "{build} {path}");
        }
        assert_eq!(
            user.get("/cart/7").await.body["total_cents"],
            user.get("/items/7").await.body["price_cents"]
        );
        assert_eq!(user.post("/orders", r#"{"sku": "a1"}"#).await.status, 201, "{build}");
        assert_eq!(user.post("/orders", "{").await.status, 400, "{build}");
        assert_eq!(user.get("/nothing").await.status, 404, "{build}");
    }
    let ledger = User::of(payments).get("/ledger").await.body;
    assert_eq!(ledger["charges"], 2);
}

#[tokio::test]
async fn an_item_is_served_from_the_cache_while_it_is_fresh() {
    let mut world = World::default();
    let cache = world.service("cache").await;
    let catalogue = world.service("catalogue").await;
    let nowhere = world.refusing();
    let careless = format!("shop --careless --catalogue {catalogue} --payments {nowhere} --cache {cache}");
    assert_eq!(User::of(world.service(&careless).await).get("/items/7").await.status, 200);
    // Another shop, without a catalogue, finds it in the cache.
    let careful = format!("shop --careful --catalogue {nowhere} --payments {nowhere} --cache {cache}");
    let reader = world.service(&careful).await;
    let seen = User::of(reader).get("/items/7").await;
    assert_eq!((seen.status, seen.header("x-served"), &seen.body["id"]), (200, "", &json!("7")));
}

#[tokio::test]
async fn careful_serves_the_last_good_item_with_its_age_when_the_catalogue_hangs() {
    let mut world = World::default();
    let (nowhere, hanging) = (world.refusing(), world.hanging().await);
    let flags = format!("--payments {nowhere} --cache {nowhere} --seed 1");
    let shop = User::of(world.service(&format!("shop --careful --catalogue {hanging} {flags}")).await);
    let seen = shop.get("/cart/7").await;
    assert_eq!((seen.status, seen.header("x-served")), (200, "default"), "never read: a stand-in");
    assert!(seen.took >= Duration::from_millis(500) && seen.took < SOON, "two timeouts: {:?}", seen.took);

    // Another shop, whose catalogue goes away in mid-life.
    let mut dependency = World::default();
    let catalogue = dependency.service("catalogue").await;
    let shop = User::of(world.service(&format!("shop --careful --catalogue {catalogue} {flags}")).await);
    let fresh = shop.get("/cart/7").await;
    assert_eq!(fresh.header("x-served"), "");
    drop(dependency);
    let seen = shop.get("/cart/7").await;
    assert_eq!((seen.status, seen.header("x-served")), (200, "stale"));
    assert!(seen.header("age").parse::<u64>().expect("whole seconds") < 10);
    assert_eq!(seen.body, fresh.body);
}

#[tokio::test]
async fn careful_breaker_opens_after_five_failures_and_closes_when_the_dependency_is_back() {
    let mut world = World::default();
    let nowhere = free_address();
    let line = format!(
        "shop --careful --catalogue {nowhere} --payments {nowhere} --cache {nowhere} \
         --breaker-open 2s --attempts 1 --hard payments"
    );
    let shop = User::of(world.service(&line).await);
    for n in 1..=5 {
        assert_eq!(shop.get("/ready").await.status, 200, "before failure {n}");
        assert_eq!(shop.post("/orders", "").await.status, 503);
    }
    let ready = shop.get("/ready").await;
    assert_eq!((ready.status, &ready.body["breakers"]["payments"]), (503, &json!("open")));
    assert_eq!(ready.body["breakers"]["catalogue"], "closed", "one breaker for each dependency");
    assert_eq!(shop.get("/live").await.status, 200, "liveness does not depend");
    let refused = shop.post("/orders", "").await;
    assert_eq!(refused.status, 503);
    assert!(["1", "2"].contains(&refused.header("retry-after")), "{refused:?}");

    // Payments come up on the same address: the next probe closes the breaker.
    let mut late = World::default();
    late.service_at("payments", nowhere).await;
    let mut closed = false;
    for _ in 0..1000 {
        closed = shop.post("/orders", "").await.status == 201;
        if closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(closed);
    assert_eq!(shop.get("/ready").await.status, 200);
}

#[tokio::test]
async fn careful_keeps_other_dependencies_fast_while_payments_hang() {
    let mut world = World::default();
    let (catalogue, cache, hanging) =
        (world.service("catalogue").await, world.service("cache").await, world.hanging().await);
    let line =
        // So patient that the first four are still waiting when the last order comes, however busy the machine.
        format!(
            "shop --careful --catalogue {catalogue} --payments {hanging} --cache {cache} --parallel 4 \
             --attempts 1 --timeout 3s"
        );
    let shop = User::of(world.service(&line).await);
    let orders = futures_util::future::join_all((0..12).map(|_| shop.post("/orders", "")));
    let browsing = async {
        for _ in 0..5 {
            let seen = shop.get("/cart/7").await;
            assert_eq!((seen.status, seen.header("x-served")), (200, ""));
        }
    };
    let (orders, ()) = futures_util::future::join(orders, browsing).await;
    assert!(orders.iter().all(|seen| seen.status == 503 && seen.took < SOON));
    let at_once =
        orders.iter().filter(|seen| seen.body["error"].to_string().contains("are out already")).count();
    assert_eq!(at_once, 8, "above 4 in parallel, refused without a wait");
}

#[tokio::test]
async fn careful_sheds_above_its_limit_and_never_sheds_health() {
    let mut world = World::default();
    let (hanging, nowhere) = (world.hanging().await, world.refusing());
    let line = format!(
        "shop --careful --catalogue {nowhere} --payments {hanging} --cache {nowhere} --max-in-flight 2 --attempts 1 \
         --timeout 3s"
    );
    let shop = User::of(world.service(&line).await);
    let (orders, live) = futures_util::future::join(
        futures_util::future::join_all((0..6).map(|_| shop.post("/orders", ""))),
        shop.get("/live"),
    )
    .await;
    let shed: Vec<_> =
        orders.iter().filter(|seen| seen.body["error"] == "too many requests in flight").collect();
    assert_eq!(shed.len(), 4);
    assert!(shed.iter().all(|seen| seen.status == 503 && seen.header("retry-after") == "1"));
    assert_eq!(live.status, 200);
}

#[tokio::test]
async fn careless_hangs_with_its_dependency_and_takes_everything_else_along() {
    let mut world = World::default();
    let (catalogue, cache, hanging) =
        (world.service("catalogue").await, world.service("cache").await, world.hanging().await);
    let line =
        format!("shop --careless --catalogue {catalogue} --payments {hanging} --cache {cache} --pool 3");
    let shop = User::of(world.service(&line).await);
    assert_eq!(shop.get("/cart/7").await.status, 200);
    let orders = futures_util::future::join_all((0..3).map(|_| shop.post("/orders", "")));
    let meanwhile = async {
        // Until the three orders hold the pool, a cart may still get through.
        while !shop.waits_for("/cart/7", HANG).await {}
        assert!(shop.waits_for("/live", HANG).await, "even liveness waits for the pool");
    };
    tokio::select! {
        _ = orders => panic!("an order was answered by a service that never answers"),
        () = meanwhile => {}
    }
}

#[tokio::test]
async fn careless_passes_a_refusing_cache_on_as_500() {
    let mut world = World::default();
    let (catalogue, nowhere) = (world.service("catalogue").await, world.refusing());
    let flags = format!("--catalogue {catalogue} --payments {nowhere} --cache {nowhere}");
    let careless = User::of(world.service(&format!("shop --careless {flags}")).await);
    let careful = User::of(world.service(&format!("shop --careful {flags}")).await);
    assert_eq!(careless.get("/items/7").await.status, 500);
    let seen = careful.get("/items/7").await;
    assert_eq!((seen.status, seen.header("x-served")), (200, ""), "the catalogue has it");
}

#[tokio::test]
async fn careless_goes_on_working_for_a_user_who_has_left_and_careful_does_not() {
    for (build, held) in [("--careless", true), ("--careful --timeout 30s", false)] {
        let mut world = World::default();
        let nowhere = world.refusing();
        let payments = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = payments.local_addr().expect("an address");
        let line = format!("shop {build} --catalogue {nowhere} --payments {at} --cache {nowhere}");
        let shop = User::of(world.service(&line).await);
        let called = async {
            let (call, _) = payments.accept().await.expect("the shop calls payments");
            call.readable().await.expect("it asks");
            call
        };
        // The user leaves when the shop has asked.
        let mut call = tokio::select! {
            seen = shop.post("/orders", "") => panic!("{build}: {seen:?}, and nobody has answered"),
            call = called => call,
        };
        // The request is read first; what comes after it is silence, or the end.
        let mut rest = Vec::new();
        let patience = if held { HANG } else { SOON };
        let ended = tokio::time::timeout(patience, call.read_to_end(&mut rest)).await;
        assert_eq!(ended.is_err(), held, "{build}");
        assert!(rest.starts_with(b"POST /charge"), "{build}");
    }
}
