//! Stopping a service: what is in flight ends, what is idle does not hold it up.

use std::time::Duration;

use clap::Parser as _;
use murphy_demo::Bound;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::{Line, User};

#[tokio::test]
async fn a_request_in_flight_is_answered_and_an_idle_connection_is_closed() {
    let payments = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = payments.local_addr().expect("an address");
    let line = format!("demo-service shop --careful --payments {at} --timeout 200ms --attempts 1");
    let line = format!("{line} --listen 127.0.0.1:0 --log nothing");
    let args = Line::try_parse_from(line.split_whitespace()).expect("a good command line").args;
    let bound = Bound::bind(args).await.expect("a free port");
    let shop = bound.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = bound.serve(async { drop(stopped.await) });

    let user = User::of(shop);
    let asking = async {
        let _idle = TcpStream::connect(shop).await.expect("it listens");
        let stop_in_mid_order = async {
            let held = payments.accept().await.expect("the shop calls payments");
            stop.send(()).expect("it still serves");
            held
        };
        let (seen, _held) = tokio::join!(user.post("/orders", ""), stop_in_mid_order);
        seen
    };
    let both = async { tokio::join!(serving, asking) };
    let (served, seen) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it stops");
    served.expect("it ran");
    assert_eq!(seen.status, 503, "the order was answered, after the shop was told to stop");
    assert!(TcpStream::connect(shop).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_address_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = taken.local_addr().expect("an address").to_string();
    let args = Line::try_parse_from(["demo-service", "catalogue", "--listen", &at]).expect("good").args;
    let error = Bound::bind(args).await.expect_err("it is taken").to_string();
    assert!(error.contains(&at) && error.contains("--listen"), "{error}");
}
