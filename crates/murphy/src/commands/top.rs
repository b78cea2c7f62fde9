//! `murphy top`: the live view, over proxies of its own, over the calls of running containers, over the proxies of a running daemon, or
//! over a run that is under way; and over containers beside any of these.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use murphy_adhoc::{Attach, Consent, FromWhom, Kind, Planned, Wish, savable, watched};
use murphy_core::{EdgeName, LeaseName, Protocol, RunClock, Seed};
use murphy_runner::{Attached, Attachment, Helm, Stop, StopReason};
use murphy_tui::{
    App, Daemon, EdgeSpec, Follow, Hands, Heard, Order, Own, Paint, Recorded, SavedCaller, Shared, Stack,
    StackConfig, StackOf, Via, show,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::asking::ask;
use super::daemon::client;
use super::sitting::exit_of;
use super::{base, fail, note, runtime};
use crate::args::{ColourChoice, TopArgs};
use crate::exit::Exit;
use crate::native_args::USUAL_API;
use crate::runtime::Runtime;
use crate::style;

/// After a signal, the time for the screen to be given back.
const GRACE: Duration = Duration::from_secs(2);
/// How long a view that only looks waits for a run to let it in: without that, it sees what the journal tells.
const GLANCE: Duration = Duration::from_secs(1);

/// Shows until a key or a signal ends it; every fault that was put on by hand is gone then.
pub fn run(args: &TopArgs, colour: ColourChoice) -> Exit {
    let protocol = if args.http { Protocol::Http } else { Protocol::Tcp };
    let edges = match edges(&args.edge, protocol) {
        Ok(edges) => edges,
        Err(why) => return fail(Exit::Usage, &why),
    };
    let attach = match attach(args) {
        Ok(attach) => attach,
        Err(exit) => return exit,
    };
    let stack = match args.containers.as_deref().map(str::parse).transpose() {
        Ok(target) => target.map(StackOf::Named),
        Err(error) => return fail(Exit::Usage, &format_args!("--containers: {error}")),
    };
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let hint = "murphy top needs a terminal; in a script, use `murphy run` or `murphy serve`";
        return fail(Exit::Usage, &hint);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let stop = Stop::new();
    let paint = if style::stdout(colour) { Paint::Coloured } else { Paint::Plain };
    let screen = Screen { paint, ..Screen::default() };
    let mut tasks = JoinSet::new();
    // A second signal ends it at once; what is not in this process is then taken back by the watchdog.
    let watched = stop.clone();
    let signals = async move { drop(crate::signals::watch(watched).await) };
    tasks.spawn_on(murphy_core::boxed(signals), runtime.handle());
    let (watched, shown) = (stop.clone(), screen.clone());
    let end = async move {
        watched.stopped().await;
        shown.end.cancel();
        // Until it is taken, whatever is under way ends by itself.
        shown.taken.cancelled().await;
        // A terminal that was closed can hold the reader of keys for ever.
        if tokio::time::timeout(GRACE, shown.given_back.cancelled()).await.is_ok() {
            return;
        }
        let code = match watched.reason() {
            Some(StopReason::Signal { number, .. }) => 128 + number,
            _ => 1,
        };
        std::process::exit(code);
    };
    tasks.spawn_on(murphy_core::boxed(end), runtime.handle());
    let seed = args.seed.unwrap_or(Seed(1));
    let view = View { runtime: &runtime, screen: &screen, stop: &stop, seed };
    let result = match (&args.run, &args.api) {
        (Some(run), _) => follow(&view, run, stack, if args.hands { Hands::Free } else { Hands::Tied }),
        (None, Some(api)) => daemon(&view, api.as_deref(), args.token.as_deref(), stack),
        (None, None) => own(&view, edges, attach, stack),
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
            let via = Via::Listen(listen.clone());
            Ok(EdgeSpec { name, via, upstream: upstream.clone(), protocol })
        })
        .collect()
}

/// The life of the screen.
#[derive(Clone, Default)]
struct Screen {
    /// It is taken.
    taken: CancellationToken,
    /// It is to be given back.
    end: CancellationToken,
    /// It is given back.
    given_back: CancellationToken,
    paint: Paint,
}

impl Screen {
    fn show(&self, app: App, world: &Shared, act: impl FnMut(Order)) -> Result<(), Exit> {
        self.taken.cancel();
        let shown = show(app, world, &self.end, self.paint, act);
        self.given_back.cancel();
        shown.map_err(|error| fail(Exit::Failed, &error))
    }
}

/// What every view needs.
struct View<'a> {
    runtime: &'a Runtime,
    screen: &'a Screen,
    stop: &'a Stop,
    seed: Seed,
}

impl View<'_> {
    /// Begins to look at containers.
    fn stack(
        &self,
        which: Option<StackOf>,
        world: &Shared,
        (clock, record): (RunClock, Recorded),
    ) -> Result<Option<Stack>, Exit> {
        let Some(which) = which else { return Ok(None) };
        let (base, seed, world) = (base()?, self.seed, Shared::clone(world));
        let _inside = self.runtime.enter();
        Ok(Some(Stack::start(StackConfig { world, clock, record, base, which, seed })))
    }

    /// Shows a world until its end; orders on containers are the stack's, `act` carries the others out. What was done to containers
    /// is taken back then.
    fn show(
        &self,
        app: App,
        world: &Shared,
        stack: Option<Stack>,
        act: &mut dyn FnMut(Order) -> Heard,
    ) -> Result<(), Exit> {
        let inside = self.runtime.enter();
        let shown = self.screen.show(app, world, |order| match (order, &stack) {
            (Order::Stack(order), Some(stack)) => {
                // Whoever is watched may have to know of it.
                let heard = act(Order::Stack(order.clone()));
                stack.act(order, heard);
            }
            (order, _) => {
                act(order);
            }
        });
        drop(inside);
        self.relieve(stack).and(shown)
    }

    /// Takes back what was done to containers, and says whether all is as before.
    fn relieve(&self, stack: Option<Stack>) -> Result<(), Exit> {
        let rest = stack.map(|stack| self.runtime.block_on(stack.end())).unwrap_or_default();
        taken_back(&rest)
    }
}

fn taken_back(rest: &[String]) -> Result<(), Exit> {
    for what in rest {
        note(&format_args!("NOT TAKEN BACK  {what}"));
    }
    match rest {
        [] => Ok(()),
        _ => Err(fail(Exit::NotReverted, &"something may not be as before; try again with: murphy undo")),
    }
}

/// What `--from` and `--to` say, checked.
fn attach(args: &TopArgs) -> Result<Option<(Attach, Protocol)>, Exit> {
    let (Some(from), Some(to)) = (&args.from, &args.to) else { return Ok(None) };
    let from = FromWhom::read(&Wish::all(from))
        .map_err(|error| fail(Exit::Usage, &format_args!("--from: {error}")))?;
    let (base, open) = (base()?, args.open_connections.connections());
    let protocol = if args.http { Protocol::Http } else { Protocol::Tcp };
    Ok(Some((Attach { from, to: to.clone(), open, consent: Consent::NotGiven, base }, protocol)))
}

/// Who would be sat in on, agreed to; nothing is touched yet.
async fn looked(attach: &Attach, attachment: &Attachment, stop: &Stop) -> Result<Planned, Exit> {
    let planned = tokio::select! {
        planned = attach.plan(attachment, String::new(), &[]) => planned,
        () = stop.stopped() => Err(murphy_adhoc::SeatError::Interrupted),
    };
    let planned = planned.map_err(|error| exit_of(&error, stop.reason()))?;
    let mut agree = |planned: &Planned| ask(planned, stop);
    attach.agreed(&planned, &mut agree, stop).map_err(|error| exit_of(&error, stop.reason()))?;
    Ok(planned)
}

fn own(
    view: &View<'_>,
    mut edges: Vec<EdgeSpec>,
    attach: Option<(Attach, Protocol)>,
    mut stack: Option<StackOf>,
) -> Result<(), Exit> {
    let View { runtime, stop, seed, .. } = *view;
    let mut sat_in = None;
    if let Some((attach, protocol)) = attach {
        let name = Attach::edge().map_err(|error| fail(Exit::Usage, &error))?;
        if edges.iter().any(|edge| edge.name == name) {
            let why =
                format_args!("`{name}` is the name of the calls of --from: give the other edge another");
            return Err(fail(Exit::Usage, &why));
        }
        let attachment = attach.attachment(name.clone(), protocol, Default::default(), seed);
        let planned = runtime.block_on(looked(&attach, &attachment, stop))?;
        let from = attach.from.text().to_owned();
        let saved = savable(&from).ok().map(|named| SavedCaller {
            container: watched(planned.targets.iter().map(|target| target.name.as_str()), &named.caller),
            caller: named.caller,
            project: named.project,
        });
        let callers = planned.targets.iter().filter(|target| target.kind == Kind::Container);
        let callers: Vec<String> = callers.map(|target| target.id.clone()).collect();
        if stack.is_none() && !callers.is_empty() {
            stack = Some(StackOf::Around(callers));
        }
        let upstream = attach.to.to_string();
        edges.push(EdgeSpec { name: name.clone(), via: Via::From { from, saved }, upstream, protocol });
        sat_in = Some((attach, attachment, name));
    }
    let mut own = runtime.block_on(Own::start(&edges, seed)).map_err(|error| fail(Exit::Failed, &error))?;
    let mut attached = None;
    if let Some((attach, attachment, name)) = &sat_in {
        let hands = own.hands(name).unwrap_or_default();
        let begun = runtime.block_on(attach.begin(attachment, &hands, &own.recorder(), stop));
        match begun {
            Ok((begun, _)) => attached = Some(begun),
            Err(error) => {
                own.end(runtime.handle());
                return Err(exit_of(&error, stop.reason()));
            }
        }
    }
    let stack = view.stack(stack, &own.world(), own.recorded());
    let shown = stack.and_then(|stack| {
        let app = App::new(format!("seed {seed}"), Hands::Free);
        view.show(app, &own.world(), stack, &mut |order| {
            own.act(order);
            Heard::Yes
        })
    });
    own.end(runtime.handle());
    let left = attached.map_or(Ok(()), |attached| leave(runtime, attached));
    shown?;
    left
}

/// Leaves the callers, and says whether all is as before.
fn leave(runtime: &Runtime, attached: Attached) -> Result<(), Exit> {
    taken_back(&runtime.block_on(attached.leave()))?;
    note(&"taken back: the callers make their calls without murphy again");
    Ok(())
}

fn daemon(
    view: &View<'_>,
    api: Option<&str>,
    token: Option<&str>,
    stack: Option<StackOf>,
) -> Result<(), Exit> {
    let given = std::env::var("MURPHY_API").ok();
    let api = api.or(given.as_deref()).unwrap_or(USUAL_API);
    let client = client(api, token)?;
    // In containers, each view may be process 7.
    let drawn = RandomState::new().build_hasher().finish();
    let lease = LeaseName::new(&format!("top-{}-{drawn:016x}", std::process::id()));
    let lease = lease.map_err(|error| fail(Exit::Failed, &error))?;
    let started = view.runtime.block_on(Daemon::start(client, api, lease));
    let mut daemon = started.map_err(|error| fail(Exit::Failed, &error))?;
    let stack = view.stack(stack, &daemon.world(), daemon.recorded());
    let shown = stack.and_then(|stack| {
        let app = App::new(api.trim_start_matches("http://"), Hands::Free);
        view.show(app, &daemon.world(), stack, &mut |order| {
            daemon.act(order);
            Heard::Yes
        })
    });
    view.runtime.block_on(daemon.end());
    shown
}

fn follow(view: &View<'_>, run: &Path, stack: Option<StackOf>, hands: Hands) -> Result<(), Exit> {
    let mut follow = {
        let _inside = view.runtime.enter();
        Follow::start(run).map_err(|error| fail(Exit::Failed, &error))?
    };
    let patience = match hands {
        Hands::Free => Helm::PATIENCE,
        Hands::Tied => GLANCE,
    };
    // A run that is stopped says nothing, and whoever waits for it may want to leave.
    let taken = view.runtime.block_on(async {
        tokio::select! {
            taken = Helm::take_within(run, patience) => Some(taken),
            () = view.stop.stopped() => None,
        }
    });
    let Some(taken) = taken else {
        view.runtime.block_on(follow.end());
        return Ok(());
    };
    match (taken, hands) {
        (Ok(helm), _) => {
            let _inside = view.runtime.enter();
            follow.steer(helm);
        }
        (Err(error), Hands::Free) => {
            view.runtime.block_on(follow.end());
            return Err(fail(Exit::Failed, &format_args!("{error}; without --hands it is only looked at")));
        }
        // Its journal is there all the same.
        (Err(_), Hands::Tied) => {}
    }
    let shown = view.stack(stack, &follow.world(), follow.recorded()).and_then(|stack| {
        let app = App::new(run.display().to_string(), hands);
        view.show(app, &follow.world(), stack, &mut |order| follow.act(order))
    });
    view.runtime.block_on(follow.end());
    shown
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
        assert_eq!((two.len(), &two[1].via), (2, &Via::Listen("127.0.0.1:3".into())));
        assert!(read("db a:1 b:2 db a:3 b:4").unwrap_err().contains("`db`"));
        assert!(read("d/b a:1 b:2").unwrap_err().contains("d/b"));
    }
}
