//! `murphy serve`: the daemon in the foreground, until SIGINT or SIGTERM.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;

use murphy_control::{
    Compat, MetricsChoice, NotTakenBack, ProxySpec, Served, Server, ServerConfig, Token, read_config,
};
use murphy_core::Seed;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::answer::shown;
use super::{base, fail, note, print, runtime};
use crate::daemon_args::{CompatChoice, ServeArgs};
use crate::exit::Exit;

/// What a program is told: with `--output json` an object a line. A person reads it on standard error.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Told<'a> {
    /// The API answers, and the proxies of the configuration carry calls.
    Listening {
        /// Its address, with the port that was picked.
        api: String,
        /// How many proxies there are.
        proxies: usize,
        /// Root of all choices.
        seed: Seed,
        /// The token that was made because none was given.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
    },
    /// A signal came.
    Interrupted {
        /// Which.
        signal: &'a str,
    },
    /// A fault on containers may not be taken back whole.
    NotTakenBack {
        /// Its name.
        fault: String,
    },
    /// That was all.
    Ended {
        /// Faults that may not be taken back whole.
        not_taken_back: usize,
    },
}

/// Serves until told to end; a taken port or a bad configuration ends it at once.
pub fn run(args: &ServeArgs) -> Exit {
    let compat = match args.compat {
        CompatChoice::Better => Compat::Better,
        CompatChoice::Strict => Compat::Strict,
    };
    let specs = match configured(args, compat) {
        Ok(specs) => specs,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(serve(args, compat, specs))
}

/// The proxies of the configuration file; none without one.
fn configured(args: &ServeArgs, compat: Compat) -> Result<Vec<ProxySpec>, Exit> {
    let Some(path) = args.config() else { return Ok(Vec::new()) };
    let shown = path.display();
    let bytes = std::fs::read(&path).map_err(|error| {
        fail(Exit::Usage, &format_args!("cannot read the configuration {shown}: {error}"))
    })?;
    read_config(&bytes, compat).map_err(|error| {
        let example = r#"[{"name": "redis", "listen": "127.0.0.1:26379", "upstream": "127.0.0.1:6379"}]"#;
        fail(
            Exit::Usage,
            &format_args!("the configuration {shown}: {error}; it is to look like this: {example}"),
        )
    })
}

async fn serve(args: &ServeArgs, compat: Compat, specs: Vec<ProxySpec>) -> Exit {
    // Before anything listens, so that no signal is missed.
    let ended = match ended() {
        Ok(ended) => ended,
        Err(error) => return fail(Exit::Failed, &format_args!("cannot watch for signals: {error}")),
    };
    let seed = args.seed.unwrap_or_else(|| Seed(RandomState::new().build_hasher().finish()));
    let token = match args.token.as_deref().map(Token::new) {
        None => None,
        Some(Some(token)) => Some(token),
        Some(None) => {
            let why = "a token is letters, digits and signs without spaces; write another with --token";
            return fail(Exit::Usage, &why);
        }
    };
    let served = |yes: bool| if yes { Served::Yes } else { Served::No };
    let base = match base() {
        Ok(base) => base,
        Err(exit) => return exit,
    };
    let config = ServerConfig {
        host: args.host.clone(),
        port: args.port,
        seed,
        compat,
        metrics: MetricsChoice { proxy: served(args.proxy_metrics), runtime: served(args.runtime_metrics) },
        state: base.state.path().to_owned(),
        token,
        containers: args.containers.then_some(base),
    };
    let server = match Server::bind(config).await {
        Ok(server) => server,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let count = specs.len();
    if let Err(error) = server.populate(specs).await {
        return fail(Exit::Failed, &error);
    }
    let tell = |told: &Told<'_>| print(&shown(args.output, told, String::new));
    let proxies = if count == 1 { "1 proxy".to_owned() } else { format!("{count} proxies") };
    let address = server.local_addr();
    note(&format_args!("murphy serve: control API on http://{address}, {proxies}, seed {seed}"));
    if let Some(token) = server.made_token() {
        let why = if args.containers { "it acts on containers" } else { "not on loopback only" };
        note(&format_args!("murphy serve: {why}, so /v1 wants the token {}", token.reveal()));
    }
    tell(&Told::Listening {
        api: format!("http://{address}"),
        proxies: count,
        seed,
        token: server.made_token().map(Token::reveal),
    });
    let left = server
        .serve(async {
            let name = ended.await;
            note(&format_args!("murphy serve: {name}, ending"));
            tell(&Told::Interrupted { signal: name });
        })
        .await;
    for NotTakenBack(fault) in &left {
        tell(&Told::NotTakenBack { fault: fault.to_string() });
    }
    tell(&Told::Ended { not_taken_back: left.len() });
    match left.first() {
        None => Exit::Graceful,
        Some(NotTakenBack(fault)) => {
            let why = format!("fault {fault} may not be taken back whole; try again with: murphy undo");
            fail(Exit::NotReverted, &why)
        }
    }
}

/// The name of the first signal that asks for an end.
fn ended() -> io::Result<impl Future<Output = &'static str> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}
