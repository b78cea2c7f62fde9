//! The clock of injected delays: one timerfd for all connections of a thread, with a sorted set of deadlines.
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
/// spent turning: twice as much would be a few hundredths of a millisecond nearer to each deadline, and cost as many of a processor.
const LEAD: Duration = Duration::from_micros(20);

/// Turning takes one part in so many of one processor, however many deadlines there are.
const SHARE: u32 = 25;

/// What may be saved up for deadlines that come close together.
const SAVED: Duration = Duration::from_millis(1);

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

/// The time that may be spent turning: it grows with time that passes, up to a bound.
struct Allowance {
    left: Duration,
    counted: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { left: SAVED, counted: None }
    }
}

impl Allowance {
    /// How much earlier than a deadline to wake for it.
    fn lead(&mut self, now: Instant) -> Duration {
        let passed = self.counted.map_or(Duration::ZERO, |counted| now.saturating_duration_since(counted));
        self.counted = Some(now);
        self.left = SAVED.min(self.left + passed / SHARE);
        if self.left >= LEAD { LEAD } else { Duration::ZERO }
    }

    fn spend(&mut self, turned: Duration) {
        self.left = self.left.saturating_sub(turned);
    }
}

#[derive(Default)]
struct Deadlines {
    waiting: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    aimed: Option<Instant>,
    allowance: Allowance,
}

/// The shared timer of the connections of one thread.
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
            // One read takes all of it; else there would be a second one, in vain, for each time that it goes off.
            ready.clear_ready();
            let woken = Instant::now();
            let first = {
                let mut deadlines = self.lock();
                let allowed = !deadlines.allowance.lead(woken).is_zero();
                deadlines.waiting.first_key_value().map(|((at, _), _)| *at).filter(|_| allowed)
            };
            let now = first.map_or(woken, turn_until);
            {
                let mut deadlines = self.lock();
                deadlines.allowance.spend(now - woken);
                while let Some(first) = deadlines.waiting.first_entry()
                    && first.key().0 <= now
                {
                    due.push(first.remove());
                }
                deadlines.aimed = deadlines.waiting.first_key_value().map(|((at, _), _)| *at);
                if let Some(at) = deadlines.aimed {
                    let _ = self.clock.get_ref().aim(at, deadlines.allowance.lead(now));
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

    /// The timer that it is set on.
    pub(crate) fn timer(&self) -> &Arc<Timer> {
        &self.timer
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
            let lead = deadlines.allowance.lead(Instant::now());
            let _ = self.timer.clock.get_ref().aim(at, lead);
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
        for micros in [1_000_000u64, 1_500, 10_250, 1_500, 1, 0] {
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
        assert_eq!(order.last(), Some(&1_000_000));
        assert!(timer.lock().waiting.is_empty());
    }

    #[test]
    fn turning_takes_its_share_of_a_processor_and_no_more() {
        let (mut allowance, begun) = (Allowance::default(), Instant::now());
        let mut turned = Duration::ZERO;
        for tick in 0..100_000u32 {
            // A deadline every 100 us would turn a fifth of the time.
            let lead = allowance.lead(begun + Duration::from_micros(100) * tick);
            allowance.spend(lead);
            turned += lead;
        }
        let share = Duration::from_secs(10) / SHARE;
        assert!(turned <= share + SAVED && turned > share * 9 / 10, "{turned:?}");
    }

    #[test]
    fn pairs_of_deadlines_with_time_between_them_are_all_aimed_early() {
        let (mut allowance, begun) = (Allowance::default(), Instant::now());
        for pair in 0..1000u32 {
            for late in [0, 200] {
                let at = begun + Duration::from_millis(5) * pair + Duration::from_micros(late);
                assert_eq!(allowance.lead(at), LEAD, "pair {pair}");
                allowance.spend(LEAD);
            }
        }
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
