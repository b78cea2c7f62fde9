//! A future that is looked at only when it has called, beside one that is looked at all the time.
//!
//! A connection is polled for every chunk, and its edits come once in a while: to look for one takes a lock that all
//! connections of a proxy share. So the lock is taken only after the wake-up of an edit. That wake-up must never be
//! taken for another one: a notification that nobody looks at is spent, and the next one would find nobody waiting.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Wakes the task, and remembers that it did.
struct Nudge {
    called: AtomicBool,
    task: Waker,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

/// Looks at one future, when that has called.
#[derive(Default)]
pub(crate) struct Heeded(Option<Arc<Nudge>>);

impl Heeded {
    /// Polls the future if it has called since the last time, or was never polled for this task.
    pub(crate) fn poll<F: Future>(&mut self, future: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
        match &self.0 {
            Some(nudge) if nudge.task.will_wake(cx.waker()) => {
                // Loaded first: nearly always there is nothing, and a load leaves the cache line where it is.
                if !nudge.called.load(Ordering::Acquire) || !nudge.called.swap(false, Ordering::AcqRel) {
                    return Poll::Pending;
                }
            }
            _ => {
                let called = AtomicBool::new(false);
                self.0 = Some(Arc::new(Nudge { called, task: cx.waker().clone() }));
            }
        }
        let Some(nudge) = &self.0 else { return Poll::Pending };
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(nudge))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::pin::pin;
    use tokio::sync::Notify;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    /// The waker of one task: the same for every poll, which `Waker::noop()` does not promise.
    fn task() -> Waker {
        Waker::from(Arc::new(Nobody))
    }

    #[test]
    fn it_is_polled_first_and_then_once_for_each_call() {
        let (polls, waker) = (Cell::new(0), RefCell::new(None::<Waker>));
        let mut future = pin!(std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            waker.replace(Some(cx.waker().clone()));
            if polls.get() == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        let task = task();
        let (mut heeded, cx) = (Heeded::default(), Context::from_waker(&task));
        for calls in 1..3 {
            for _ in 0..5 {
                assert!(heeded.poll(future.as_mut(), &cx).is_pending());
            }
            assert_eq!(polls.get(), calls);
            waker.take().unwrap().wake();
        }
        assert!(heeded.poll(future.as_mut(), &cx).is_ready());
    }

    #[test]
    fn a_wake_up_with_nothing_to_see_does_not_hide_the_next_one() {
        let (notify, version) = (Notify::new(), Cell::new(0));
        // As a watched value does it: asks for a notification, looks, waits, looks again.
        let mut moved = pin!(async {
            loop {
                let notified = notify.notified();
                if version.get() > 0 {
                    return;
                }
                notified.await;
            }
        });
        let task = task();
        let (mut heeded, cx) = (Heeded::default(), Context::from_waker(&task));
        assert!(heeded.poll(moved.as_mut(), &cx).is_pending());
        notify.notify_waiters();
        assert!(heeded.poll(moved.as_mut(), &cx).is_pending());
        version.set(1);
        notify.notify_waiters();
        assert!(heeded.poll(moved.as_mut(), &cx).is_ready());
    }
}
