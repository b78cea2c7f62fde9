//! A day in miniature: random edits, connects, resets and bulk traffic against one daemon, every byte checked.
//!
//! `cargo test` runs it for 20 s; `make soak` for 10 minutes (`MURPHY_SOAK_SECONDS`). Nothing may be corrupted, no call
//! may be stuck, and descriptors, tasks and memory must be flat: without a trend while all goes on (`flat`), and as before to the last one
//! when all is over. The first shows one leak in a thousand connections in ten minutes, the second any leak in twenty seconds.

mod edits;
mod flat;
mod http;
mod traffic;
mod vitals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use murphy_tests::{Bench, Daemon, eventually};
use nix::sys::signal::Signal;

/// What all threads share.
pub(crate) struct Soak {
    /// The control API.
    pub(crate) api: SocketAddr,
    /// A proxy whose faults lose nothing: what comes back must be what was sent.
    pub(crate) gentle: SocketAddr,
    /// A proxy whose faults break connections: what comes back must be the beginning of what was sent.
    pub(crate) harsh: SocketAddr,
    pub(crate) over: AtomicBool,
    pub(crate) bytes: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) edits: AtomicU64,
    pub(crate) late_edits: AtomicU64,
    pub(crate) slowest_call_ms: AtomicU64,
}

impl Soak {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Random numbers from a seed (xorshift, Marsaglia 2003).
pub(crate) struct Lots(u64);

impl Lots {
    pub(crate) fn new(seed: u64) -> Lots {
        Lots(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    pub(crate) fn pick(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A run of so many seconds, that of `make soak`, must have been able to show what this test promises.
const WHOLE: u64 = 600;

#[test]
fn nothing_is_corrupted_stuck_or_leaked() {
    let seconds = std::env::var("MURPHY_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &["--seed", "7", "--runtime-metrics"]);
    let api: SocketAddr = daemon.url.trim_start_matches("http://").parse().unwrap();
    let echo = traffic::echo();
    let proxy = |name: &str| {
        let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{echo}"}}"#);
        let made = http::call(api, "POST", "/proxies", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        let listen = made.body.split("\"listen\":\"").nth(1).unwrap().split('"').next().unwrap();
        listen.parse().unwrap()
    };
    let soak = Arc::new(Soak {
        api,
        gentle: proxy("gentle"),
        harsh: proxy("harsh"),
        over: AtomicBool::new(false),
        bytes: AtomicU64::new(0),
        connections: AtomicU64::new(0),
        broken: AtomicU64::new(0),
        edits: AtomicU64::new(0),
        late_edits: AtomicU64::new(0),
        slowest_call_ms: AtomicU64::new(0),
    });
    let rest = vitals::at_rest(daemon.pid(), api);
    let seen = std::thread::scope(|scope| {
        for number in 0..4 {
            let soak = &soak;
            scope.spawn(move || traffic::gently(soak, number));
            scope.spawn(move || traffic::harshly(soak, number));
        }
        scope.spawn(|| edits::gently(&soak));
        scope.spawn(|| edits::harshly(&soak));
        let seen = vitals::follow(daemon.pid(), api, Duration::from_secs(seconds));
        soak.over.store(true, Ordering::Relaxed);
        vitals::assert_flat(&seen);
        seen
    });
    // With all faults off and all callers gone, nothing is left of them: not one of anything.
    for body in ["/proxies/gentle", "/proxies/harsh"] {
        assert_eq!(http::call(api, "POST", body, r#"{"enabled":true}"#).status, 200);
    }
    assert_eq!(http::call(api, "POST", "/reset", "").status, 204);
    let begun = Instant::now();
    eventually("descriptors, tasks and connections as before", Duration::from_secs(30), || {
        let now = vitals::look(daemon.pid(), api);
        let open = ["gentle", "harsh"].map(|proxy| vitals::open_connections(api, proxy));
        now.descriptors <= rest.descriptors && now.tasks <= rest.tasks && open == [0, 0]
    });
    let end = vitals::look(daemon.pid(), api);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let connections = count(&soak.connections);
    let shown = flat::smallest_leak(connections, vitals::DESCRIPTORS);
    eprintln!(
        "{seconds} s: {} MB in {connections} connections ({} broken by faults), {} edits, {} of them above 100 ms, slowest call {} ms; \
         descriptors {} to {}, tasks {} to {}, memory {} to {} KiB, settled in {:?}; one descriptor leaked in {shown} \
         connections would have been a trend",
        count(&soak.bytes) / 1_000_000,
        count(&soak.broken),
        count(&soak.edits),
        count(&soak.late_edits),
        count(&soak.slowest_call_ms),
        rest.descriptors,
        end.descriptors,
        rest.tasks,
        end.tasks,
        rest.memory_kib,
        end.memory_kib,
        begun.elapsed(),
    );
    vitals::assert_let_go(&seen, end);
    for (what, counter, least) in [
        ("connections", &soak.connections, 20),
        ("broken connections", &soak.broken, 3),
        ("edits", &soak.edits, 50),
        ("bytes", &soak.bytes, 1_000_000),
    ] {
        assert!(count(counter) >= least, "only {} {what}: nothing was tried", count(counter));
    }
    assert!(
        count(&soak.late_edits) * 2 < count(&soak.edits),
        "{} of {} edits late",
        count(&soak.late_edits),
        count(&soak.edits)
    );
    if seconds >= WHOLE {
        assert!(shown >= 1000, "{connections} connections are too few to show one leak in a thousand");
    }
    let (code, words) = daemon.end(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert!(!words.contains("panicked"), "{words}");
}
