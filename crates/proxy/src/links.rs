//! The tasks of a proxy's connections: owned, and cleared away when they have ended.
//!
//! A task that ends must not wake the listener for that alone: of many short connections each would cost a turn of it, and
//! often another processor's sleep. So those that have ended are taken together, and then left alone for a moment.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};

/// For so long tasks may lie that have ended.
const REST: Duration = Duration::from_millis(100);

/// All tasks of a proxy's connections; dropping it ends them.
#[derive(Default)]
pub(crate) struct Links {
    tasks: JoinSet<()>,
    /// Set while the listener is not to be woken. Kept when it is over, for the next time.
    rest: Option<Pin<Box<Sleep>>>,
}

impl Links {
    pub(crate) fn spawn(&mut self, link: impl Future<Output = ()> + Send + 'static) {
        // Whoever is awake anyway may as well clear away.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(link);
    }

    /// Clears away what has ended, or waits until something has; for ever, if there is nothing. Whether a task panicked is told by
    /// its own books. It may be dropped at any time.
    pub(crate) async fn clear(&mut self) {
        // One that is over is ready again at once.
        if let Some(rest) = &mut self.rest {
            rest.as_mut().await;
        }
        if self.tasks.join_next().await.is_none() {
            return std::future::pending().await;
        }
        while self.tasks.try_join_next().is_some() {}
        match &mut self.rest {
            Some(rest) => rest.as_mut().reset(Instant::now() + REST),
            None => self.rest = Some(Box::pin(sleep(REST))),
        }
    }

    /// Waits until all have ended.
    pub(crate) async fn end(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn short_tasks_are_cleared_away_together_and_none_is_left() {
        let (mut links, begun, mut wakes) = (Links::default(), Instant::now(), 0);
        for _ in 0..500 {
            let (said, heard) = oneshot::channel();
            links.spawn(async move { said.send(()).unwrap_or_default() });
            let mut heard = pin!(heard);
            loop {
                tokio::select! {
                    biased;
                    () = links.clear() => wakes += 1,
                    _ = &mut heard => break,
                }
            }
        }
        // As many as fit into the time, however slow the machine; each by itself would be 500.
        let most = begun.elapsed().as_millis() / REST.as_millis() + 2;
        assert!(wakes <= most, "{wakes} wakes");
        while links.held() > 0 {
            links.clear().await;
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_after_a_quiet_time_is_cleared_away() {
        let mut links = Links::default();
        for _ in 0..3 {
            let (end, ended) = oneshot::channel::<()>();
            links.spawn(async move { ended.await.unwrap_or_default() });
            assert!(end.send(()).is_ok());
            links.clear().await;
            assert_eq!(links.held(), 0);
        }
    }
}
