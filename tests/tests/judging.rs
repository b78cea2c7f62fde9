//! A long run is judged event by event: what is kept of each is small, whatever the journal says of it.

use murphy_tests::{Bench, LongRun};
use nix::sys::resource::{UsageWho, getrusage};

/// The bar is 300 MiB for a million events; a tenth of them may cost a tenth, beside the program itself.
const EVENTS: u64 = 100_000;
const MOST_BYTES_EACH: f64 = 300.0 * 1024.0 * 1024.0 / 1e6;

/// The most memory that any child of this process has had, in bytes.
fn peak() -> f64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("a usage").max_rss() as f64 * 1024.0
}

#[test]
fn an_event_costs_less_than_315_bytes_of_memory_to_judge() {
    let bench = Bench::new();
    // In the order of their cost, since the peak of the earlier ones stays.
    let kinds = [LongRun::Bytes, LongRun::Http, LongRun::Users];
    for kind in kinds {
        let small = kind.write(&bench.path().join(format!("small-{kind:?}")), 100);
        bench.run(&["report", &small.display().to_string()]);
    }
    let program = peak();
    for kind in kinds {
        let long = kind.write(&bench.path().join(format!("long-{kind:?}")), EVENTS);
        let told = bench.run(&["report", &long.display().to_string()]);
        assert!(told.stdout.contains("a long run"), "{}\n{}", told.stdout, told.stderr);
        let each = (peak() - program) / EVENTS as f64;
        println!("{kind:?}: {each:.0} bytes an event");
        assert!(each < MOST_BYTES_EACH, "{kind:?}: {each:.0} bytes an event");
    }
}
