//! `murphy proxy LISTEN UPSTREAM`: one proxy by hand, with faults as flags and keys.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use murphy_adhoc::{Seat, SeatError, Sight, Switch, Told, sit};
use murphy_core::{Protocol, Seed, Span};
use murphy_faults::Fault;
use murphy_host::Keyboard;
use murphy_runner::{StateDir, Stop, StopReason};
use murphy_tls::TlsSettings;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{fail, note, print, runtime};
use crate::by_hand_args::OutputChoice;
use crate::exit::Exit;
use crate::proxy_args::{DirectionChoice, ProxyArgs};
use crate::signals;

/// Between two looks: on a terminal, and in a log.
const LIVE: Span = Span::from_millis(250);
const LOGGED: Span = Span::from_secs(10);

/// Sits between callers and their dependency until the time is over or a signal comes.
pub fn run(args: &ProxyArgs) -> Exit {
    let faults = match args.faults.faults() {
        Ok(faults) => faults,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let switch = if args.off { Switch::Off } else { Switch::On };
    let (matching, which) = match args.requests.requests() {
        Ok(requests) => requests,
        Err(why) => return fail(Exit::Usage, &why),
    };
    let on_requests = faults.iter().any(Fault::acts_on_requests);
    let chosen = !matching.is_empty() || !which.is_empty();
    if chosen && !on_requests {
        let why =
            "these flags choose requests, and no fault here acts on requests: add for example `--abort 503`";
        return fail(Exit::Usage, &why);
    }
    let protocol = if args.http || on_requests { Protocol::Http } else { Protocol::Tcp };
    let tls = args.tls();
    if let Some(problem) = tls.iter().flat_map(TlsSettings::problems).next() {
        return fail(Exit::Usage, &format_args!("--tls: {}; {}", problem.message, problem.help));
    }
    let state = match StateDir::from_environment() {
        Ok(state) => state,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let seat = Seat {
        listen: args.listen.clone(),
        upstream: args.upstream.clone(),
        protocol,
        tls,
        state,
        faults: faults.into_iter().map(|fault| (fault, switch)).collect(),
        directions: args.direction.map(DirectionChoice::directions).unwrap_or_default(),
        chance: args.chance,
        matching,
        which,
        seed: args.seed.unwrap_or_else(|| Seed(RandomState::new().build_hasher().finish() >> 32)),
        hold: args.hold,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(sit_down(args, &seat))
}

async fn sit_down(args: &ProxyArgs, seat: &Seat) -> Exit {
    let stop = Stop::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(signals::watch(stop.clone()));
    let (presses, mut keys) = mpsc::channel(16);
    let no_more_keys = CancellationToken::new();
    let show = Show::new(args.output);
    if matches!(show, Show::Live(_)) {
        let ended = no_more_keys.clone();
        tasks.spawn_blocking(move || listen_to_keys(&presses, &ended));
    } else {
        drop(presses);
    }
    let tick = if matches!(show, Show::Lines) { LOGGED } else { LIVE };
    let mut tell = |told: Told| show.tell(&told);
    let sat = sit(seat, &stop, tick, &mut keys, &mut tell).await;
    no_more_keys.cancel();
    let sight = match sat {
        Ok(sight) => sight,
        Err(error @ (SeatError::Bind(_) | SeatError::Tls(_))) => return fail(Exit::Failed, &error),
        Err(error) => return fail(Exit::Usage, &error),
    };
    show.end(&sight);
    let mut exit = match (stop.reason(), args.hold) {
        // Ctrl-C is the only way to end one that has no time; then it is the end that was meant.
        (Some(StopReason::Signal { number, .. }), Some(_)) => Exit::Signal(*number),
        _ => Exit::Graceful,
    };
    if let Some(file) = &args.save {
        let made_by = std::env::args().collect::<Vec<_>>().join(" ");
        match std::fs::write(file, sight.scenario(&made_by)) {
            Ok(()) => eprintln!("saved: {}; try it with: murphy check {}", file.display(), file.display()),
            Err(error) => {
                exit =
                    exit.worst(fail(Exit::Failed, &format_args!("cannot write {}: {error}", file.display())));
            }
        }
    }
    exit
}

/// Passes on the keys 1 to 9, until told to end. Blocks.
fn listen_to_keys(presses: &mpsc::Sender<usize>, ended: &CancellationToken) -> std::io::Result<()> {
    let Some(mut keyboard) = Keyboard::open()? else { return Ok(()) };
    while !ended.is_cancelled() {
        if let Some(key @ b'1'..=b'9') = keyboard.next_key()? {
            // Full or closed: too many keys at once, or the end; neither needs an answer.
            let _ = presses.try_send(usize::from(key - b'0'));
        }
    }
    Ok(())
}

/// How it is shown.
enum Show {
    /// One line on a terminal.
    Live(ProgressBar),
    /// Plain lines.
    Lines,
    /// JSON objects, one a line.
    Json,
}

impl Show {
    fn new(output: OutputChoice) -> Show {
        if output == OutputChoice::Json {
            return Show::Json;
        }
        if !(std::io::stderr().is_terminal() && std::io::stdin().is_terminal()) {
            return Show::Lines;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        Show::Live(bar)
    }

    fn tell(&self, told: &Told) {
        match (self, told) {
            (Show::Json, told) => {
                let (event, sight) = match told {
                    Told::Listening(sight) => ("listening", sight),
                    Told::Now(sight) => ("now", sight),
                    Told::Switched(sight, _) => ("switched", sight),
                };
                json(event, sight);
            }
            (Show::Lines, Told::Listening(sight)) => print(&listening(sight)),
            (Show::Lines, Told::Now(sight) | Told::Switched(sight, _)) => note(&sight.line()),
            (Show::Live(bar), Told::Listening(sight)) => {
                let keys = if sight.faults.is_empty() { "" } else { "keys 1-9 switch faults, " };
                bar.println(format!("{}{keys}Ctrl-C ends it", listening(sight)));
            }
            (Show::Live(bar), Told::Now(sight) | Told::Switched(sight, _)) => bar.set_message(sight.line()),
        }
    }

    fn end(&self, sight: &Sight) {
        match self {
            Show::Json => json("summary", sight),
            Show::Lines => print(&sight.summary()),
            Show::Live(bar) => {
                bar.finish_and_clear();
                print(&sight.summary());
            }
        }
    }
}

fn listening(sight: &Sight) -> String {
    format!("listening on {}, dialling {}, seed {}\n", sight.listen, sight.upstream, sight.seed)
}

fn json(event: &str, sight: &Sight) {
    let mut value = serde_json::to_value(sight).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("event".to_owned(), event.into());
    }
    print(&format!("{value}\n"));
}
