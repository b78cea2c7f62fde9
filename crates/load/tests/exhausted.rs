//! This machine's own limits are not the service's fault. Alone in its file, since it lowers a limit of its process.

use std::time::Duration;

use murphy_core::{EventKind, Frequency, LoadName, Recorder, RunClock, SampleOutcome, Seed, Span};
use murphy_load::{HttpLoad, HttpRequest, drive};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn running_out_of_descriptors_drops_requests_and_blames_nobody() {
    // The kernel takes the connections into the listener's queue; a server in this process would run out, too.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let request = HttpRequest::new("GET", &format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let name = LoadName::new("browse").unwrap();
    let mut load = HttpLoad::new(name, request, Frequency::per_second(2_000.0).unwrap(), Seed(1));
    load.drain = Some(Span::ZERO);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();

    let (recorder, mut recording) = Recorder::new(RunClock::start(), 10_000);
    let stop = CancellationToken::new();
    let (summary, ()) = tokio::join!(drive(load, recorder, stop.clone()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    assert!(summary.dropped > 100, "{summary:?}");
    assert_eq!(summary.sent + summary.dropped, summary.planned);
    while let Ok(Some(event)) = recording.next(Duration::from_secs(1)) {
        if let EventKind::Sample(sample) = event.kind {
            let sent = sample.sent.is_some();
            assert_eq!(sample.outcome == SampleOutcome::Dropped, !sent, "{sample:?}");
            assert!(
                matches!(sample.outcome, SampleOutcome::Dropped | SampleOutcome::Unfinished),
                "{sample:?}"
            );
        }
    }
}
