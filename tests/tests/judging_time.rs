//! The time of judging grows as the run does, and not with its square. In a binary of its own: its children are what is measured.

use std::path::Path;
use std::time::Duration;

use murphy_tests::{Bench, LongRun, turn};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// A twentieth of the million events that have a bar of time in `make bench`.
const EVENTS: u64 = 50_000;
const TIMES: u64 = 4;
/// What is linear costs 4 times as much, and a sort a little more. A pass over all pairs costs 16 times as much, so that a fifth of the time
/// in one is too much already.
const MOST_TIMES_THE_COST: f64 = 6.0;
/// The least of so many tells what judging costs; what else the machine does only adds to it.
const ROUNDS: usize = 3;

/// What the processors did for the children of this process so far: whoever else is busy counts little.
fn spent() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("a usage");
    let of = |time: TimeVal| Duration::from_micros(time.num_microseconds().cast_unsigned());
    of(usage.user_time()) + of(usage.system_time())
}

/// What it costs to judge this run once.
fn cost(bench: &Bench, run: &Path) -> Duration {
    let before = spent();
    let told = bench.run(&["report", &run.display().to_string()]);
    assert!(told.stdout.contains("a long run"), "{}\n{}", told.stdout, told.stderr);
    spent() - before
}

#[test]
fn four_times_the_events_cost_no_more_than_six_times_the_time_to_judge() {
    let _turn = turn();
    let bench = Bench::new();
    for kind in [LongRun::Bytes, LongRun::Http, LongRun::Users] {
        let runs = [100, EVENTS, TIMES * EVENTS]
            .map(|events| kind.write(&bench.path().join(format!("{kind:?}-{events}")), events));
        let mut least = [Duration::MAX; 3];
        let mut round = || {
            for (least, run) in least.iter_mut().zip(&runs) {
                *least = cost(&bench, run).min(*least);
            }
            // Without the program itself, which costs the same for any run.
            let [program, short, long] = least.map(|time| time.as_secs_f64());
            println!("{kind:?}: {short:.2}s and {long:.2}s, {program:.2}s of them the program");
            // Were nothing measured, nothing would be held.
            assert!(short > program, "{kind:?}: {short:.2}s");
            (long - program) / (short - program)
        };
        // As good as it can be found in so many rounds; one is enough where it holds at once.
        let mut ratios = Vec::new();
        while ratios.len() < ROUNDS && ratios.last().is_none_or(|ratio| *ratio > MOST_TIMES_THE_COST) {
            ratios.push(round());
        }
        assert!(
            ratios.last().is_some_and(|ratio| *ratio <= MOST_TIMES_THE_COST),
            "{kind:?}: {TIMES} times the events cost {ratios:.2?} times as much"
        );
    }
}
