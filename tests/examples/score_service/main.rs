//! A service of the score whose resilience is that of libraries from crates.io: `tower`, `backon` and `recloser`.
//!
//!     score_service --listen HOST:PORT --upstream HOST:PORT --spec JSON [--truth FILE]
//!
//! It serves `/` (asks the callee), `/free` (does not) and `/live`. `--spec` names the library that stands before the callee and
//! how it is set, as `{"timeout": {"after": 0.3}}`; see `Spec`. What really happened is counted in the truth file, on a way that
//! does not pass the proxy.

mod call;
mod service;
mod spec;
mod stack;
mod truth;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::service::Service;
use crate::spec::Spec;
use crate::truth::Truth;

/// Time between two writings of the truth.
const NOTED: Duration = Duration::from_millis(500);

/// A caller whose resilience is a library's.
#[derive(Debug, Parser)]
struct Args {
    /// Where it serves its users
    #[arg(long)]
    listen: SocketAddr,
    /// Where its callee is
    #[arg(long)]
    upstream: SocketAddr,
    /// The library before the callee, and how it is set
    #[arg(long)]
    spec: Spec,
    /// The file for what really happened
    #[arg(long)]
    truth: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let truth = Arc::new(Truth::new(args.truth));
    let service = Service::new(&args.spec, args.upstream, Arc::clone(&truth));
    let listener = TcpListener::bind(args.listen).await?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut noting = tokio::time::interval(NOTED);
    // A set, so that connections end with the service.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                while connections.try_join_next().is_some() {}
                connections.spawn(service::connection(accepted?.0, service.clone()));
            }
            _ = noting.tick() => truth.write()?,
            _ = ended.recv() => return Ok(truth.write()?),
        }
    }
}
