//! How honest the sender is at a high rate: `cargo bench -p murphy-load [-- REQUESTS_PER_SECOND SECONDS]`.
//!
//! Prints what was planned and sent, and the send lag (the whole of what this machine adds to a measured latency before
//! the service has a say). The server has a runtime of its own; both share the machine's cores, as in a real run.
//! Exits with 1 if less than 99 % went out within 10 ms of their time: the gate that a run's verdict applies.

use std::process::ExitCode;
use std::time::Duration;

use murphy_core::{EventKind, Frequency, LoadName, Recorder, RunClock, Sample, SampleOutcome, Seed, Span};
use murphy_load::{HttpLoad, HttpRequest, drive};
use murphy_testkit::{Answer, HttpServer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ON_TIME: Span = Span::from_millis(10);

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<f64>().ok());
    let rate = numbers.next().unwrap_or(5_000.0);
    let seconds = numbers.next().unwrap_or(10.0);

    let serving = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = serving.block_on(HttpServer::start(|_| Answer::new(200, "hello")));
    let sending = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let request = HttpRequest::new("GET", &server.url("/")).expect("a URL");
    let frequency = Frequency::per_second(rate).expect("a rate of 1 to 1000000 a second");
    let load = HttpLoad::new(LoadName::new("bench").expect("a name"), request, frequency, Seed(7));
    let (recorder, mut recording) = Recorder::new(RunClock::start(), (rate * seconds * 2.0) as usize + 1_000);
    let stop = CancellationToken::new();
    let summary = sending.block_on(async {
        let ending = async {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            stop.cancel();
        };
        // As a task, so that it shares the workers with its requests as it does in a run.
        let mut loads = JoinSet::new();
        loads.spawn(drive(load, recorder, stop.clone()));
        ending.await;
        loads.join_next().await.expect("one load").expect("no panic")
    });

    let mut samples: Vec<Sample> = Vec::new();
    while let Ok(Some(event)) = recording.next(Duration::from_secs(1)) {
        if let EventKind::Sample(sample) = event.kind {
            samples.push(sample);
        }
    }
    let lags = sorted(samples.iter().filter_map(Sample::lag));
    let latencies = sorted(samples.iter().map(Sample::latency));
    let on_time = lags.iter().filter(|lag| **lag <= ON_TIME).count() as f64 / summary.planned as f64;
    let errors = samples.iter().filter(|sample| sample.outcome != SampleOutcome::Ok).count();
    println!("planned   {} in {seconds} s ({rate}/s, Poisson)", summary.planned);
    println!("sent      {} ({:.3} % within {ON_TIME} of their time)", summary.sent, on_time * 100.0);
    println!("send lag  {}", quantiles(&lags));
    println!("latency   {}", quantiles(&latencies));
    println!(
        "not ok    {errors}, dropped {}, in flight at most {}, connections {}, resent {}",
        summary.dropped, summary.in_flight_max, summary.connections, summary.resent
    );
    if on_time >= 0.99 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sorted(spans: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.collect();
    spans.sort();
    spans
}

fn quantiles(sorted: &[Span]) -> String {
    let at =
        |share: f64| sorted.get(((sorted.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default();
    format!("p50 {}  p99 {}  p99.9 {}  max {}", at(0.5), at(0.99), at(0.999), at(1.0))
}
