//! The threads that tasks run on, and the waiting for one of them.

use std::pin::Pin;

use tokio::runtime::{Builder, EnterGuard, Handle};

/// Runs tasks until it is dropped.
pub struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    pub fn start() -> std::io::Result<Runtime> {
        Builder::new_multi_thread().enable_all().build().map(Runtime)
    }

    pub fn handle(&self) -> &Handle {
        self.0.handle()
    }

    pub fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }

    /// Waits for a future. The runtime's own waiting would be compiled anew for each, for every kind of scheduler.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut outcome = None;
        self.wait(Box::pin(async { outcome = Some(future.await) }));
        outcome.expect("what was waited for has an outcome")
    }

    /// Ends without a wait for what blocks a thread.
    pub fn shutdown_background(self) {
        self.0.shutdown_background();
    }

    fn wait(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
    }
}
