//! Turns of the tests of one binary. Cargo runs binaries one after another, but the tests of one beside each other, as many as there are
//! processors: two that measure at the same time measure each other.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static HAS_IT: Cell<bool> = const { Cell::new(false) };
}

/// The turn of a test: until this is dropped, no other test of its binary has one.
#[derive(Debug)]
#[must_use = "the turn is over when this is dropped"]
pub struct Turn {
    _alone: MutexGuard<'static, ()>,
}

/// Waits for the turn of this test, before anything of it is started. For tests whose outcome hangs on how busy the machine is: what
/// they hold is compared with what is usual, is a matter of a few milliseconds, or needs most of the machine. All such tests of a
/// binary take turns; a test that waits for events, or whose bar is many times off, needs none and runs beside them.
///
/// # Panics
/// If this test has its turn already: it would wait for itself.
#[track_caller]
pub fn turn() -> Turn {
    assert!(!HAS_IT.get(), "this test has its turn already");
    // One that failed in its turn has ended all the same.
    let alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    HAS_IT.set(true);
    Turn { _alone: alone }
}

impl Drop for Turn {
    fn drop(&mut self) {
        HAS_IT.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn nobody_has_a_turn_beside_another() {
        let inside = AtomicU32::new(0);
        let takes_turns = || {
            for _ in 0..200 {
                let _turn = turn();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else has one");
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(takes_turns);
            }
        });
    }

    fn fails_in_its_turn() {
        let _turn = turn();
        panic!("this panic is wanted");
    }

    #[test]
    fn a_test_that_fails_in_its_turn_is_no_end_of_turns() {
        assert!(thread::spawn(fails_in_its_turn).join().is_err());
        drop(turn());
        drop(turn());
    }

    #[test]
    #[should_panic(expected = "has its turn already")]
    fn a_second_turn_of_one_test_is_a_mistake_and_not_a_wait() {
        let _first = turn();
        let _second = turn();
    }
}
