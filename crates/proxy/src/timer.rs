//! The clock of injected delays: one timerfd for all connections of a proxy, with a sorted set of deadlines.
//!
//! The runtime's own timer rounds to a millisecond; this one rounds nothing. An alarm never goes off early. The lock
//! is held for a few map operations only, never while something is waited for.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A sleeping processor takes some tens of microseconds to wake. The timer is aimed this much early, and what is left is
/// spent turning.
const LEAD: Duration = Duration::from_micros(40);

/// Within this time after a deadline the processor is taken to be awake, and nothing is aimed early: so turning takes 4 % of
/// one processor at most, however many deadlines there are.
const AWAKE: Duration = Duration::from_millis(1);

struct Clock(TimerFd);

impl AsRawFd for Clock {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Clock {
    /// Goes off so much before `at` that whoever is woken by it is there in time.
    fn aim(&self, at: Instant, lead: Duration) -> io::Result<()> {
        // A zero would disarm it; and a wait of centuries is more than the kernel takes.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
        let wait = at.saturating_duration_since(Instant::now()).saturating_sub(lead);
        let wait = wait.clamp(Duration::from_nanos(1), LONGEST);
        self.0.set(Expiration::OneShot(TimeSpec::from_duration(wait)), TimerSetTimeFlags::empty())?;
        Ok(())
    }
}

#[derive(Default)]
struct Deadlines {
    waiting: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    aimed: Option<Instant>,
    /// When something was due last.
    last: Option<Instant>,
}

impl Deadlines {
    /// How much earlier than a deadline to wake for it.
    fn lead(&self, at: Instant) -> Duration {
        let asleep = self.last.is_none_or(|last| at.saturating_duration_since(last) > AWAKE);
        if asleep { LEAD } else { Duration::ZERO }
    }
}

/// The shared timer of a proxy.
pub(crate) struct Timer {
    clock: AsyncFd<Clock>,
    deadlines: Mutex<Deadlines>,
}

impl Timer {
    /// A timer on the current runtime.
    pub(crate) fn new() -> io::Result<Arc<Timer>> {
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        // Deprecated in favour of an unsafe function, whose condition is that the descriptor stays the same and open:
        // `Clock` owns its descriptor for life and gives it to nobody. This workspace forbids unsafe code.
        #[allow(deprecated)]
        let clock = AsyncFd::with_interest(Clock(fd), Interest::READABLE)?;
        Ok(Arc::new(Timer { clock, deadlines: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever is due, for ever. One task runs this.
    pub(crate) async fn drive(self: Arc<Self>) {
        let mut due = Vec::new();
        loop {
            let Ok(mut ready) = self.clock.readable().await else { return };
            let _ = ready.try_io(|clock| clock.get_ref().0.wait().map_err(io::Error::from));
            let first = {
                let deadlines = self.lock();
                let first = deadlines.waiting.first_key_value().map(|((at, _), _)| *at);
                first.filter(|at| !deadlines.lead(*at).is_zero())
            };
            let now = first.map_or_else(Instant::now, turn_until);
            {
                let mut deadlines = self.lock();
                while let Some(first) = deadlines.waiting.first_entry()
                    && first.key().0 <= now
                {
                    due.push(first.remove());
                }
                if !due.is_empty() {
                    deadlines.last = Some(now);
                }
                deadlines.aimed = deadlines.waiting.first_key_value().map(|((at, _), _)| *at);
                if let Some(at) = deadlines.aimed {
                    let _ = self.clock.get_ref().aim(at, deadlines.lead(at));
                }
            }
            due.drain(..).for_each(Waker::wake);
        }
    }
}

/// The time, once `at` is reached; now, if that is further away than the timer is aimed early.
fn turn_until(at: Instant) -> Instant {
    loop {
        let now = Instant::now();
        if at.saturating_duration_since(now).is_zero() || at - now > LEAD {
            return now;
        }
        std::hint::spin_loop();
    }
}

/// One deadline of one task, which can be moved.
pub(crate) struct Alarm {
    timer: Arc<Timer>,
    set: Option<(Instant, u64)>,
}

impl Alarm {
    pub(crate) fn new(timer: Arc<Timer>) -> Alarm {
        Alarm { timer, set: None }
    }

    /// Wakes the task at this instant, and no more at the one set before. One in the past goes off at once.
    pub(crate) fn set(&mut self, at: Option<Instant>, cx: &Context<'_>) {
        if self.set.map(|(at, _)| at) == at && at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        if at.is_none() && self.set.is_none() {
            return;
        }
        let mut deadlines = self.timer.lock();
        if let Some(key) = self.set.take() {
            deadlines.waiting.remove(&key);
        }
        let Some(at) = at else { return };
        let key = (at, deadlines.next);
        deadlines.next += 1;
        deadlines.waiting.insert(key, cx.waker().clone());
        self.set = Some(key);
        if deadlines.aimed.is_none_or(|aimed| at < aimed) {
            deadlines.aimed = Some(at);
            // Fails only for a wait that the kernel cannot hold, which `aim` excludes.
            let _ = self.timer.clock.get_ref().aim(at, deadlines.lead(at));
        }
    }

    /// Wakes nobody any more.
    pub(crate) fn clear(&mut self) {
        if let Some(key) = self.set.take() {
            self.timer.lock().waiting.remove(&key);
        }
    }

    /// Waits until this instant.
    #[cfg(test)]
    async fn until(&mut self, at: Instant) {
        std::future::poll_fn(|cx| {
            if at <= Instant::now() {
                self.set(None, cx);
                return std::task::Poll::Ready(());
            }
            self.set(Some(at), cx);
            std::task::Poll::Pending
        })
        .await;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn alarms_go_off_in_order_and_never_early() {
        let timer = Timer::new().unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(Arc::clone(&timer).drive());
        let start = Instant::now();
        let mut waits = JoinSet::new();
        for micros in [30_000u64, 1_500, 10_250, 1_500, 1, 0] {
            let timer = Arc::clone(&timer);
            waits.spawn(async move {
                let at = start + Duration::from_micros(micros);
                Alarm::new(timer).until(at).await;
                (micros, at, Instant::now())
            });
        }
        let mut order = Vec::new();
        while let Some(done) = waits.join_next().await {
            let (micros, at, woken) = done.unwrap();
            assert!(woken >= at, "{micros} us went off early");
            order.push(micros);
        }
        assert_eq!(order.last(), Some(&30_000));
        assert!(timer.lock().waiting.is_empty());
    }

    #[test]
    fn a_timer_is_aimed_early_only_where_nothing_was_due_just_now() {
        let now = Instant::now();
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.lead(now), LEAD);
        deadlines.last = Some(now);
        assert_eq!(deadlines.lead(now + AWAKE / 2), Duration::ZERO);
        assert_eq!(deadlines.lead(now + AWAKE * 2), LEAD);
    }

    #[tokio::test]
    async fn a_dropped_alarm_leaves_nothing_behind() {
        let timer = Timer::new().unwrap();
        let mut alarm = Alarm::new(Arc::clone(&timer));
        let waker = Waker::noop();
        for seconds in 1..10 {
            alarm.set(Some(Instant::now() + Duration::from_secs(seconds)), &Context::from_waker(waker));
        }
        assert_eq!(timer.lock().waiting.len(), 1);
        drop(alarm);
        assert!(timer.lock().waiting.is_empty());
    }
}
