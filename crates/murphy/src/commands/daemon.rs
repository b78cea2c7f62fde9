//! What `murphy proxies` and `murphy fault` have in common: finding the daemon, watching.

use std::io::IsTerminal as _;
use std::time::Duration;

use murphy_control::{Client, ClientError, ProxyDoc, Token};
use murphy_runner::Stop;
use tokio::task::JoinSet;

use super::{fail, print, runtime};
use crate::exit::Exit;
use crate::native_args::ApiFlags;
use crate::output_args::OutputChoice;
use crate::signals;

/// Between two looks of `--watch`.
const LOOK: Duration = Duration::from_millis(500);
/// Cursor home and everything below gone.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What has gone wrong.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The flags cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The daemon says no, or is not there.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A client for the daemon at an address.
pub fn client(url: &str, token: Option<&str>) -> Result<Client, Exit> {
    let token = match token.map(Token::new) {
        Some(None) => {
            let why = "a token is letters, digits and signs without spaces";
            return Err(fail(Exit::Usage, &why));
        }
        given => given.flatten(),
    };
    Client::new(url, token).map_err(|error| fail(Exit::Usage, &error))
}

/// Does something with the daemon and gives the exit code.
pub fn with_daemon(api: &ApiFlags, act: impl AsyncFnOnce(&Client) -> Result<Exit, CallError>) -> Exit {
    let client = match client(&api.api, api.token.as_deref()) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let acted = runtime.block_on(async {
        if let Some(wait) = api.wait {
            client.reachable_within(wait).await?;
        }
        act(&client).await
    });
    match acted {
        Ok(exit) => exit,
        Err(CallError::Usage(why)) => fail(Exit::Usage, &why),
        Err(CallError::Client(error @ ClientError::Unreachable { .. })) => {
            let waiting = if api.wait.is_none() { ", or wait for one with --wait 10s" } else { "" };
            fail(Exit::Failed, &format_args!("{error}, give another address with --api{waiting}"))
        }
        Err(error) => fail(Exit::Failed, &error),
    }
}

/// All proxies with their faults, or the one that is named.
pub async fn proxies(client: &Client, proxy: Option<&str>) -> Result<Vec<ProxyDoc>, ClientError> {
    match proxy {
        Some(name) => Ok(vec![client.proxy(name).await?]),
        None => client.proxies().await,
    }
}

/// Prints what `text` makes of the proxies whenever something has changed, until a signal. That a fault's end comes nearer
/// is no change, but a screen shows it; a program has none. A daemon that goes away is an error.
pub async fn watch(
    client: &Client,
    proxy: Option<&str>,
    output: OutputChoice,
    text: impl Fn(&[ProxyDoc]) -> String,
) -> Result<Exit, CallError> {
    let stop = Stop::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(murphy_core::boxed(signals::watch(stop.clone())));
    let screen = output == OutputChoice::Text && std::io::stdout().is_terminal();
    let mut before = None;
    loop {
        let mut now = proxies(client, proxy).await?;
        let shown = text(&now);
        if screen {
            print(&format!("{CLEAR}{shown}"));
        } else {
            now.iter_mut().flat_map(|proxy| &mut proxy.faults).for_each(|fault| fault.ends_in = None);
            let now = serde_json::to_string(&now).unwrap_or_default();
            if before.as_ref() != Some(&now) {
                print(&shown);
                before = Some(now);
            }
        }
        tokio::select! {
            // Ctrl-C is the end that was meant.
            _ = stop.stopped() => return Ok(Exit::Graceful),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
