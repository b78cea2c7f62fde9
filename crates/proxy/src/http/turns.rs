//! Whose turn it is in a conversation: of its two halves only those are polled that have called, as if each had a task of
//! its own, and what one half says to the other costs no way through the scheduler.
//!
//! A wake-up that comes from neither half is for both: a line under them may have changed. A call must never be lost; one
//! too many costs a poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};

const SERVER: u8 = 1;
const CLIENT: u8 = 2;
const BOTH: u8 = SERVER | CLIENT;
/// The task runs, and looks for calls before it rests: they need not wake it.
const IN_TURN: u8 = 4;

/// The halves answer each other so often in one turn; then others on this thread have theirs.
const ROUNDS: u8 = 16;

/// Which halves have called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Called(u8);

impl Called {
    /// Everybody is to look.
    pub(super) const BOTH: Called = Called(BOTH);

    /// The caller's end has.
    pub(super) fn server(self) -> bool {
        self.0 & SERVER != 0
    }

    /// The dependency's end has.
    pub(super) fn client(self) -> bool {
        self.0 & CLIENT != 0
    }
}

struct Board {
    called: AtomicU8,
    task: Waker,
}

/// What one half calls with.
struct Bell {
    board: Arc<Board>,
    half: u8,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // With anything on the board the task runs, or has been woken and has not run yet.
        if self.board.called.fetch_or(self.half, Ordering::AcqRel) == 0 {
            self.board.task.wake_by_ref();
        }
    }
}

/// The turns of one connection's task.
pub(super) struct Turns {
    board: Arc<Board>,
    server: Waker,
    client: Waker,
    rounds: u8,
}

impl Turns {
    fn new(task: &Waker) -> Turns {
        let board = Arc::new(Board { called: AtomicU8::new(0), task: task.clone() });
        let bell = |half| Waker::from(Arc::new(Bell { board: Arc::clone(&board), half }));
        Turns { server: bell(SERVER), client: bell(CLIENT), board, rounds: 0 }
    }

    /// The task runs: for these. With another task's waker than before, all begins anew.
    pub(super) fn begin<'t>(turns: &'t mut Option<Turns>, cx: &Context<'_>) -> (&'t mut Turns, Called) {
        if turns.as_ref().is_none_or(|turns| !turns.board.task.will_wake(cx.waker())) {
            *turns = None;
        }
        let turns = turns.get_or_insert_with(|| Turns::new(cx.waker()));
        turns.rounds = 0;
        let called = turns.more();
        (turns, if called.0 == 0 { Called::BOTH } else { called })
    }

    /// Who has called since the last look.
    fn more(&self) -> Called {
        Called(self.board.called.swap(IN_TURN, Ordering::AcqRel) & BOTH)
    }

    /// Whether the caller's end has called since the last look. What the other one has stays on the board.
    pub(super) fn server_called(&self) -> bool {
        self.board.called.fetch_and(!SERVER, Ordering::AcqRel) & SERVER != 0
    }

    /// If anybody has called since the last look and it is not somebody else's turn: for whom to go on.
    pub(super) fn again(&mut self) -> Option<Called> {
        if self.rounds + 1 >= ROUNDS {
            return None;
        }
        self.rounds += 1;
        Some(self.more()).filter(|called| called.0 != 0)
    }

    /// The task would rest; if it cannot yet, for whom it goes on.
    pub(super) fn rest(&mut self) -> Option<Called> {
        self.rounds += 1;
        if self.rounds >= ROUNDS {
            if self.board.called.fetch_and(BOTH, Ordering::AcqRel) & BOTH != 0 {
                self.board.task.wake_by_ref();
            }
            return None;
        }
        match self.board.called.compare_exchange(IN_TURN, 0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => None,
            Err(_) => Some(self.more()),
        }
    }

    /// What the caller's end is polled with.
    pub(super) fn server(&self) -> Context<'_> {
        Context::from_waker(&self.server)
    }

    /// What the dependency's end is polled with.
    pub(super) fn client(&self) -> Context<'_> {
        Context::from_waker(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ring(bell: &Context<'_>) {
        bell.waker().wake_by_ref();
    }

    #[test]
    fn a_call_wakes_the_task_once_and_names_its_half() {
        let task = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&task));
        let (cx, mut turns) = (Context::from_waker(&waker), None);
        let (now, called) = Turns::begin(&mut turns, &cx);
        assert_eq!(
            (called, now.rest()),
            (Called::BOTH, None),
            "whoever woke it for the first time was no half"
        );
        for bell in [now.client(), now.client(), now.server()] {
            ring(&bell);
        }
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        let (now, called) = Turns::begin(&mut turns, &cx);
        assert!(called.server() && called.client());
        assert_eq!(now.rest(), None);
        ring(&now.client());
        let (_, called) = Turns::begin(&mut turns, &cx);
        assert!(called.client() && !called.server());
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_call_within_a_turn_wakes_nobody_and_keeps_the_task_from_its_rest() {
        let task = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&task));
        let (cx, mut turns) = (Context::from_waker(&waker), None);
        let (now, _) = Turns::begin(&mut turns, &cx);
        ring(&now.server());
        let called = now.rest().unwrap();
        assert!(called.server() && !called.client());
        assert_eq!(now.rest(), None);
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_asked_for_is_heard_and_the_other_is_not_forgotten() {
        let task = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&task));
        let (cx, mut turns) = (Context::from_waker(&waker), None);
        let (now, _) = Turns::begin(&mut turns, &cx);
        ring(&now.client());
        ring(&now.server());
        assert!(now.server_called() && !now.server_called());
        let called = now.rest().unwrap();
        assert!(called.client() && !called.server());
    }

    #[test]
    fn halves_that_never_stop_calling_leave_the_thread_to_others_and_come_back() {
        let task = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&task));
        let (cx, mut turns) = (Context::from_waker(&waker), None);
        let (now, _) = Turns::begin(&mut turns, &cx);
        let mut rounds = 1;
        ring(&now.client());
        while now.rest().is_some() {
            ring(&now.client());
            rounds += 1;
        }
        assert_eq!((rounds, task.0.load(Ordering::Relaxed)), (ROUNDS, 1));
        ring(&now.server());
        let (_, called) = Turns::begin(&mut turns, &cx);
        assert_eq!((called, task.0.load(Ordering::Relaxed)), (Called::BOTH, 1), "it had been woken already");
    }

    #[test]
    fn another_task_begins_anew() {
        let [one, other] = [Arc::new(Counted::default()), Arc::new(Counted::default())];
        let wakers = [Waker::from(one), Waker::from(Arc::clone(&other))];
        let mut turns = None;
        assert_eq!(Turns::begin(&mut turns, &Context::from_waker(&wakers[0])).0.rest(), None);
        let (now, called) = Turns::begin(&mut turns, &Context::from_waker(&wakers[1]));
        assert_eq!((called, now.rest()), (Called::BOTH, None));
        ring(&now.server());
        assert_eq!(other.0.load(Ordering::Relaxed), 1);
    }
}
