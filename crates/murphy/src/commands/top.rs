//! `murphy top`: the live view, over proxies of its own or over a run that is under way.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use murphy_core::{EdgeName, Protocol, Seed};
use murphy_runner::{Stop, StopReason};
use murphy_tui::{App, EdgeSpec, Follow, Hands, Own, show};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{fail, runtime};
use crate::args::TopArgs;
use crate::exit::Exit;

/// After a signal, the time for the screen to be given back.
const GRACE: Duration = Duration::from_secs(2);

/// Shows until a key or a signal ends it; every fault that was put on by hand is gone then.
pub fn run(args: &TopArgs) -> Exit {
    let protocol = if args.http { Protocol::Http } else { Protocol::Tcp };
    let edges = match edges(&args.edge, protocol) {
        Ok(edges) => edges,
        Err(why) => return fail(Exit::Usage, &why),
    };
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let hint = "murphy top needs a terminal; in a script, use `murphy run` or `murphy serve`";
        return fail(Exit::Usage, &hint);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let (stop, shown) = (Stop::new(), CancellationToken::new());
    let mut tasks = JoinSet::new();
    let (watched, ended) = (stop.clone(), shown.clone());
    tasks.spawn_on(
        async move {
            tokio::select! {
                _ = crate::signals::watch(watched.clone()) => {}
                _ = watched.stopped() => {}
            }
            ended.cancel();
            // A terminal that was closed can hold the reader of keys for ever. All faults are in this process.
            tokio::time::sleep(GRACE).await;
            let code = match watched.reason() {
                Some(StopReason::Signal { number, .. }) => 128 + number,
                _ => 1,
            };
            std::process::exit(code);
        },
        runtime.handle(),
    );
    let result = match &args.run {
        Some(run) => follow(&runtime, run, &shown),
        None => own(&runtime, &edges, args.seed, &shown),
    };
    match (result, stop.reason()) {
        (Err(exit), _) => exit,
        (Ok(()), Some(StopReason::Signal { number, .. })) => Exit::Signal(*number),
        (Ok(()), _) => Exit::Graceful,
    }
}

/// Name, listen, upstream: three words an edge.
fn edges(words: &[String], protocol: Protocol) -> Result<Vec<EdgeSpec>, String> {
    let mut names = BTreeSet::new();
    words
        .chunks(3)
        .map(|words| {
            let [name, listen, upstream] = words else {
                return Err("--edge takes NAME LISTEN UPSTREAM".to_owned());
            };
            let name = EdgeName::new(name).map_err(|error| error.to_string())?;
            if !names.insert(name.clone()) {
                return Err(format!("two edges are called `{name}`: give each its own name"));
            }
            Ok(EdgeSpec { name, listen: listen.clone(), upstream: upstream.clone(), protocol })
        })
        .collect()
}

fn own(
    runtime: &Runtime,
    edges: &[EdgeSpec],
    seed: Option<Seed>,
    stop: &CancellationToken,
) -> Result<(), Exit> {
    let seed = seed.unwrap_or(Seed(1));
    let mut own = runtime.block_on(Own::start(edges, seed)).map_err(|error| fail(Exit::Failed, &error))?;
    let app = App::new(format!("seed {seed}"), Hands::Free);
    let _inside = runtime.enter();
    let shown = show(app, &own.world(), stop, |order| own.act(order));
    own.end(runtime.handle());
    shown.map_err(|error| fail(Exit::Failed, &format_args!("the terminal: {error}")))
}

fn follow(runtime: &Runtime, run: &Path, stop: &CancellationToken) -> Result<(), Exit> {
    let follow = {
        let _inside = runtime.enter();
        Follow::start(run).map_err(|error| fail(Exit::Failed, &error))?
    };
    let app = App::new(run.display().to_string(), Hands::Tied);
    let shown = show(app, &follow.world(), stop, |_| {});
    runtime.block_on(follow.end());
    shown.map_err(|error| fail(Exit::Failed, &format_args!("the terminal: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Vec<EdgeSpec>, String> {
        edges(&words.split(' ').map(str::to_owned).collect::<Vec<_>>(), Protocol::Tcp)
    }

    #[test]
    fn edges_are_read_in_threes_and_need_names_of_their_own() {
        let two = read("db 127.0.0.1:1 127.0.0.1:2 cache 127.0.0.1:3 127.0.0.1:4").unwrap();
        assert_eq!((two.len(), two[1].listen.as_str()), (2, "127.0.0.1:3"));
        assert!(read("db a:1 b:2 db a:3 b:4").unwrap_err().contains("`db`"));
        assert!(read("d/b a:1 b:2").unwrap_err().contains("d/b"));
    }
}
