//! `murphy demo-service`: one service of the embedded example, in the foreground, until a signal.

use tokio::signal::unix::{SignalKind, signal};

use super::{fail, runtime};
use crate::exit::Exit;

/// Runs it.
pub fn run(args: murphy_demo::Args) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let result = runtime.block_on(async {
        let shutdown = async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                // Without handlers the signals end the process by their default action.
                return std::future::pending().await;
            };
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        };
        murphy_demo::run(args, shutdown).await
    });
    match result {
        Ok(()) => Exit::Graceful,
        Err(error) => fail(Exit::Failed, &error),
    }
}
