//! Which requests a fault acts on, as a scenario writes it: the words of `match:` and `which:`, held against requests over
//! real sockets.

mod support;

use std::net::SocketAddr;

use murphy_core::Directions;
use murphy_faults::{Effect, Fault, Match, Which};
use tokio::net::{TcpSocket, TcpStream};

use support::http::{ask, canned, http_stage, status};
use support::{Stage, armed, fault, within};

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Callers that differ in their address alone.
const CALLERS: [[u8; 4]; 2] = [[127, 0, 0, 1], [127, 0, 0, 2]];

/// A caller, and what it asks.
type Asked = (usize, String);

/// Requests of which no two are alike in all that can be chosen by.
fn series() -> Vec<Asked> {
    let one = |caller, line: &str, headers: &str| (caller, format!("{line} HTTP/1.1\r\n{headers}\r\n"));
    vec![
        one(0, "GET /a?user=1", "Host: shop\r\nX-User: 7\r\n"),
        one(1, "GET /a?user=2", "Host: shop:80\r\nX-User: 7\r\n"),
        one(0, "POST /b?user=1", "Host: shop\r\nX-User: 7\r\n"),
        one(1, "GET /b?user=3", "Host: stock\r\nX-User: 8\r\n"),
        one(0, "GET /a?user=1", "Host: stock:80\r\nX-User: 8\r\n"),
        one(1, "GET /c?user=1", "Host: shop\r\nX-User: 9\r\n"),
        one(0, "GET /c", "Host: shop\r\n"),
        one(1, "POST /c?user=4&dry", "Host: stock\r\n"),
    ]
}

/// Requests that are all alike.
fn alike(count: usize) -> Vec<Asked> {
    vec![(0, "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n".to_owned()); count]
}

async fn dial_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let stream = within("dial", socket.connect(to)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Puts up a fault for these requests, asks one after the other, and says which of them have met it.
async fn met(stage: &Stage, name: &str, matching: &str, which: &str, asked: &[Asked]) -> Vec<usize> {
    let matching: Match = serde_yaml::from_str(matching).unwrap();
    let which: Which = serde_yaml::from_str(which).unwrap();
    let abort: Fault = serde_yaml::from_str("abort: 503").unwrap();
    let Some(Effect::Edge(effect)) = abort.on_requests(&matching, &which) else {
        panic!("abort acts on requests")
    };
    stage.handle.arm(armed(name, effect, Directions::default()));
    let mut callers = Vec::new();
    for source in CALLERS {
        callers.push(dial_from(source, stage.address).await);
    }
    let mut met = Vec::new();
    for (n, (caller, request)) in asked.iter().enumerate() {
        let (head, _) = ask(&mut callers[*caller], request.as_bytes()).await;
        if status(&head) == 503 {
            met.push(n);
        }
    }
    let tally = stage.handle.lift(&fault(name)).unwrap();
    assert_eq!(tally.hits, met.len() as u64, "{name}: what is counted is what was done");
    met
}

#[tokio::test]
async fn counts_mean_the_requests_that_they_say() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    for (which, wanted) in [
        ("{}", &[0_usize, 1, 2, 3, 4, 5, 6, 7, 8][..]),
        ("{ first: 2 }", &[0, 1]),
        ("{ every: 3 }", &[2, 5, 8]),
        ("{ after: 6 }", &[6, 7, 8]),
        ("{ fail: 1, pass: 3 }", &[0, 4, 8]),
        ("{ fail: 3, pass: 1 }", &[0, 1, 2, 4, 5, 6, 8]),
        ("{ after: 1, fail: 2, pass: 1, first: 3 }", &[1, 2, 4]),
        ("{ after: 2, every: 2, first: 2 }", &[3, 5]),
        ("{ chance: 100%, first: 1 }", &[0]),
    ] {
        assert_eq!(met(&stage, "abort-1", "{}", which, &alike(9)).await, wanted, "{which}");
    }
}

#[tokio::test]
async fn counts_are_kept_for_each_value_of_what_is_written() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    for (which, wanted) in [
        ("{ first: 1 }", &[0_usize][..]),
        ("{ first: 1, per: path }", &[0, 2, 5]),
        ("{ first: 1, per: source }", &[0, 1]),
        // Those without it are counted together.
        ("{ first: 1, per: header X-User }", &[0, 3, 5, 6]),
        ("{ first: 1, per: query user }", &[0, 1, 3, 6, 7]),
        ("{ every: 2, per: source }", &[2, 3, 6, 7]),
        ("{ after: 1, per: path }", &[1, 3, 4, 6, 7]),
        ("{ fail: 2, pass: 1, per: header x-user }", &[0, 1, 3, 4, 5, 6, 7]),
    ] {
        assert_eq!(met(&stage, "abort-1", "{}", which, &series()).await, wanted, "{which}");
    }
}

#[tokio::test]
async fn requests_are_meant_by_all_that_is_written_and_others_are_not_even_counted() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    for (matching, which, wanted) in [
        ("{ method: POST }", "{}", &[2_usize, 7][..]),
        ("{ path: /b }", "{}", &[2, 3]),
        ("{ header: { x-user: '7' } }", "{}", &[0, 1, 2]),
        ("{ header: { X-User: '*' } }", "{}", &[0, 1, 2, 3, 4, 5]),
        ("{ query: { user: '1' } }", "{}", &[0, 2, 4, 5]),
        ("{ query: { user: '4', dry: '/^$/' } }", "{}", &[7]),
        // With its port or without.
        ("{ host: shop }", "{}", &[0, 1, 2, 5, 6]),
        ("{ source: 127.0.0.1 }", "{}", &[0, 2, 4, 6]),
        ("{ source: 127.0.0.2 }", "{}", &[1, 3, 5, 7]),
        ("{ source: 127.0.0.2/31 }", "{}", &[1, 3, 5, 7]),
        ("{ source: 127.0.0.0/8 }", "{}", &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("{ source: 10.0.0.0/8 }", "{}", &[]),
        ("{ method: GET, path: /c, host: shop, source: 127.0.0.2 }", "{}", &[5]),
        ("{ source: 127.0.0.2 }", "{ every: 2 }", &[3, 7]),
        ("{ path: /c }", "{ after: 1, first: 1 }", &[6]),
    ] {
        let said = format!("{matching} {which}");
        assert_eq!(met(&stage, "abort-1", matching, which, &series()).await, wanted, "{said}");
    }
}

#[tokio::test]
async fn a_chance_is_a_share_and_one_seed_draws_the_same_again() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let once = met(&stage, "abort-1", "{}", "{ chance: 30% }", &alike(300)).await;
    // Five standard deviations of a binomial of 300 at 0.3 are 40.
    assert!((50..=130).contains(&once.len()), "{once:?}");
    let other = met(&stage, "abort-2", "{}", "{ chance: 30% }", &alike(300)).await;
    assert_ne!(once, other, "each fault has draws of its own");
    let stage = http_stage(upstream.address).await;
    assert_eq!(once, met(&stage, "abort-1", "{}", "{ chance: 30% }", &alike(300)).await);
    let few = met(&stage, "abort-1", "{}", "{ chance: 30%, first: 5 }", &alike(60)).await;
    assert_eq!(few, once[..5], "the same draws, up to the count");
}
