//! Scenarios with a few mistakes in them, made in thousands out of all that are in this repository: each is answered, soon, without a
//! panic, and in bounded memory.
//!
//! `MURPHY_FUZZ_SECONDS` says how long; without it, a minute on every processor where `CI=true`, else two seconds, and at
//! least 200 cases however long they take. `MURPHY_FUZZ_SEED` takes other cases than the usual ones, and `MURPHY_FUZZ_CASE` one of them alone.

mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{Dice, Seed};
use murphy_scenario::{Colour, Environment, Settings, load_all_text, plan_text};
use murphy_testkit::{most_memory_kib, number};

use mutate::Words;

/// Longer than any answer takes, also of an unoptimised build on a busy machine: reached only by a hang.
const SOON: Duration = Duration::from_secs(60);
/// Cases that are tried however long they take.
const LEAST: u64 = 200;
/// Of so many cases some are accepted: measured is one of 86.
const ONE_IS_ACCEPTED: u64 = 1000;
/// What the process may ever have had in memory: measured are a few tens of MiB.
const MEMORY_KIB: u64 = 256 * 1024;

/// What is under way, for whoever finds it hanging.
type UnderWay = Arc<Mutex<Option<(u64, Instant, String)>>>;

/// Every scenario of the repository, the broken ones of the tests too.
fn corpus() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/good", "tests/broken", "tests/include", "../../scenarios"];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(here.join(folder)).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).expect("a file")).into_owned()).collect()
}

/// True if the scenario was accepted.
fn answer(text: &str) -> bool {
    let settings = Settings {
        environment: Environment::Only([("A".to_owned(), "b: [c".to_owned())].into()),
        ..Settings::default()
    };
    match load_all_text("fuzz.yaml", text, &settings) {
        Ok(all) => {
            assert!(!all.is_empty());
            assert!(all.iter().all(|loaded| !plan_text(&loaded.plan).is_empty()));
            true
        }
        Err(problems) => {
            assert!(problems.has_errors());
            assert!(problems.render(Colour::Never).len() < 100_000);
            false
        }
    }
}

/// What tells a worker how far it may go.
struct Bounds {
    seed: Seed,
    alone: Option<u64>,
    over: Instant,
    /// The next case.
    next: AtomicU64,
}

impl Bounds {
    /// The next case to try; `None` if it is over.
    fn next(&self) -> Option<u64> {
        let case = self.next.fetch_add(1, Ordering::Relaxed);
        match self.alone {
            Some(alone) => (case == 0).then_some(alone),
            None => (case < LEAST || Instant::now() < self.over).then_some(case),
        }
    }
}

/// Tries cases until it is over: how many were accepted, and how many refused.
fn work(bounds: &Bounds, corpus: &[String], words: &Words, under_way: &UnderWay) -> (u64, u64) {
    let (mut accepted, mut refused) = (0, 0);
    while let Some(case) = bounds.next() {
        let text = words.mistaken(corpus, &mut Dice::new(bounds.seed.derive("scenario", case)));
        *look(under_way) = Some((case, Instant::now(), text.clone()));
        match answer(&text) {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    *look(under_way) = None;
    (accepted, refused)
}

/// A panic while it was held leaves it as it was.
fn look(under_way: &UnderWay) -> MutexGuard<'_, Option<(u64, Instant, String)>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_scenario_with_any_mistakes_is_answered_soon_and_in_bounded_memory() {
    let (seed, alone) = (Seed(number("MURPHY_FUZZ_SEED").unwrap_or(1)), number("MURPHY_FUZZ_CASE"));
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    let time = Duration::from_secs(number("MURPHY_FUZZ_SECONDS").unwrap_or(if is_ci { 60 } else { 2 }));
    let corpus = Arc::new(corpus());
    assert!(corpus.len() > 150, "only {} scenarios to start from", corpus.len());
    let words = Arc::new(Words::of(&corpus));
    let bounds = Arc::new(Bounds { seed, alone, over: Instant::now() + time, next: AtomicU64::new(0) });
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // Not scoped: one that hangs must not be waited for.
    let mut workers: Vec<_> = (0..processors)
        .map(|_| {
            let under_way = UnderWay::default();
            let (bounds, corpus, words) = (Arc::clone(&bounds), Arc::clone(&corpus), Arc::clone(&words));
            let seen = Arc::clone(&under_way);
            (std::thread::spawn(move || work(&bounds, &corpus, &words, &under_way)), seen)
        })
        .collect();
    let (mut accepted, mut refused) = (0, 0);
    while let Some((worker, under_way)) = workers.pop() {
        if !worker.is_finished() {
            if let Some((case, since, text)) = &*look(&under_way)
                && since.elapsed() > SOON
            {
                panic!("case {case} has no answer within {SOON:?}:\n{text}");
            }
            workers.insert(0, (worker, under_way));
            // A look now and then at what takes as long as it was asked to.
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        match worker.join() {
            Ok(done) => (accepted, refused) = (accepted + done.0, refused + done.1),
            Err(panic) => {
                if let Some((case, _, text)) = &*look(&under_way) {
                    eprintln!("case {case}:\n{text}");
                }
                std::panic::resume_unwind(panic);
            }
        }
    }
    let memory = most_memory_kib();
    let told = format!("{accepted} scenarios accepted, {refused} refused");
    eprintln!("{told}, {} MiB at most", memory / 1024);
    // Nearly right: what always ends alike never comes to what could break.
    let is_told = refused > 0 && (accepted > 0 || refused < ONE_IS_ACCEPTED);
    assert!(alone.is_some() || is_told, "{told}: nothing was tried");
    assert!(memory < MEMORY_KIB, "{memory} KiB at most");
}
