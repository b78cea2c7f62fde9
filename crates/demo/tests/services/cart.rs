//! The cart service with a real Redis: healthy, hanging, free_address, killed and back.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use crate::world::{Line, User, World, free_address};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Far above the careful cart's 200 ms × 2 attempts, also on a machine that stands still now and then; a hang has no end.
const SOON: Duration = Duration::from_secs(20);

/// A real Redis, killed when dropped; `None`, said out loud, where there is none.
async fn redis(at: SocketAddr) -> Option<Child> {
    let started = Command::new("redis-server")
        .args(["--port", &at.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            murphy_testkit::skip("there is no redis-server on the PATH");
            return None;
        }
    };
    for _ in 0..500 {
        if TcpStream::connect(at).await.is_ok() {
            return Some(child);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("redis-server does not listen on {at}");
}

#[tokio::test]
async fn a_cart_is_kept_in_redis_by_both_builds() {
    let (mut world, at) = (World::default(), free_address());
    let Some(_redis) = redis(at).await else { return };
    // So patient that a Redis which waits for a processor is not taken for one that hangs.
    for (build, more) in [("--careful", " --timeout 10s"), ("--careless", "")] {
        let cart = User::of(world.service(&format!("cart {build}{more} --redis {at}")).await);
        let path = format!("/cart/{build}");
        assert_eq!(cart.get(&path).await.body["lines"], json!({}));
        for quantity in [1, 3] {
            let added = format!(r#"{{"sku": "a1", "quantity": {quantity}}}"#);
            assert_eq!(cart.post(&format!("{path}/items"), &added).await.status, 201);
        }
        let seen = cart.get(&path).await;
        assert_eq!((seen.status, seen.header("x-served")), (200, ""));
        assert_eq!(seen.body["lines"], json!({ "a1": 3 }), "adding sets the quantity");
        assert_eq!(cart.post(&format!("{path}/items"), "{}").await.status, 400);
        assert_eq!((cart.get("/live").await.status, cart.get("/ready").await.status), (200, 200));
    }
}

#[tokio::test]
async fn careful_starts_and_serves_without_redis_and_finds_it_later() {
    let (mut world, at) = (World::default(), free_address());
    let cart = User::of(world.service(&format!("cart --careful --redis {at} --breaker-open 300ms")).await);
    let seen = cart.get("/cart/7").await;
    assert_eq!((seen.status, seen.header("x-served")), (200, "default"));
    let refused = cart.post("/cart/7/items", r#"{"sku": "a1"}"#).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "a write is never pretended");
    assert_eq!((cart.get("/live").await.status, cart.get("/ready").await.status), (200, 200));

    let Some(_redis) = redis(at).await else { return };
    let mut written = false;
    for _ in 0..1000 {
        written = cart.post("/cart/7/items", r#"{"sku": "a1"}"#).await.status == 201;
        if written {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(written);
}

#[tokio::test]
async fn careful_shows_the_last_good_cart_when_redis_is_killed_and_the_new_one_when_it_is_back() {
    let (mut world, at) = (World::default(), free_address());
    let Some(mut first) = redis(at).await else { return };
    // A killed Redis refuses at once: patience changes nothing but for one that waits for a processor.
    let line = format!("cart --careful --redis {at} --breaker-open 300ms --timeout 10s");
    let cart = User::of(world.service(&line).await);
    cart.post("/cart/7/items", r#"{"sku": "a1", "quantity": 2}"#).await;
    let fresh = cart.get("/cart/7").await;
    first.kill().await.expect("it is ours");
    let seen = cart.get("/cart/7").await;
    assert_eq!((seen.status, seen.header("x-served"), &seen.body), (200, "stale", &fresh.body));
    assert!(seen.header("age").parse::<u64>().is_ok_and(|age| age < 10) && seen.took < SOON);

    let Some(_second) = redis(at).await else { return };
    let mut back = false;
    for _ in 0..1000 {
        back = cart.get("/cart/7").await.header("x-served").is_empty();
        if back {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(back);
    assert_eq!(
        cart.get("/cart/7").await.body["lines"],
        json!({}),
        "the new Redis is empty, and that is the truth"
    );
}

#[tokio::test]
async fn careful_gives_a_hanging_redis_up_in_time_and_then_at_once() {
    let mut world = World::default();
    let hanging = world.hanging().await;
    let cart =
        User::of(world.service(&format!("cart --careful --redis {hanging} --breaker-failures 2")).await);
    let first = cart.get("/cart/7").await;
    assert_eq!((first.status, first.header("x-served")), (200, "default"));
    assert!(first.took >= Duration::from_millis(400) && first.took < SOON, "two timeouts: {:?}", first.took);
    let ready = cart.get("/ready").await;
    assert_eq!((ready.status, &ready.body["breakers"]["redis"]), (200, &json!("open")));
    // The quickest of a few, for this machine may stand still once.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        quickest = quickest.min(cart.get("/cart/7").await.took);
    }
    assert!(quickest < Duration::from_millis(200), "an open breaker costs no timeout: {quickest:?}");
}

#[tokio::test]
async fn careless_does_not_start_without_redis() {
    use clap::Parser as _;
    let at = free_address().to_string();
    let words = ["demo-service", "cart", "--careless", "--redis", &at, "--listen", "127.0.0.1:0"];
    let args = Line::try_parse_from(words).expect("a good command line").args;
    let error = murphy_demo::run(args, std::future::pending()).await.expect_err("there is no Redis");
    assert!(error.to_string().contains(&at) && error.to_string().contains("--careful"), "{error}");
}

#[tokio::test]
async fn careless_passes_a_killed_redis_on_as_500_and_connects_anew() {
    let (mut world, at) = (World::default(), free_address());
    let Some(mut first) = redis(at).await else { return };
    let cart = User::of(world.service(&format!("cart --careless --redis {at}")).await);
    assert_eq!(cart.get("/cart/7").await.status, 200);
    first.kill().await.expect("it is ours");
    assert_eq!(cart.get("/cart/7").await.status, 500);
    assert_eq!(cart.get("/live").await.status, 500, "liveness goes with it");
    let Some(_second) = redis(at).await else { return };
    assert_eq!(cart.get("/cart/7").await.status, 200);
}

#[tokio::test]
async fn careless_waits_without_end_for_a_frozen_redis() {
    let (mut world, at) = (World::default(), free_address());
    let Some(redis) = redis(at).await else { return };
    let cart = User::of(world.service(&format!("cart --careless --redis {at}")).await);
    assert_eq!(cart.get("/cart/7").await.status, 200);
    let signal = async |name: &str| {
        let pid = redis.id().expect("it runs").to_string();
        let status = Command::new("kill").args([name, &pid]).status().await.expect("kill runs");
        assert!(status.success());
    };
    signal("-STOP").await;
    // More than the library's own defaults of 500 ms and 1 s.
    assert!(cart.waits_for("/cart/7", Duration::from_millis(1500)).await);
    signal("-CONT").await;
    assert_eq!(cart.get("/cart/7").await.status, 200);
}
