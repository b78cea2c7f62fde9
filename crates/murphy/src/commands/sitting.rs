//! What `murphy proxy` and `murphy attach` share: from flags to an edge by hand, its keys, and how it is shown.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use murphy_adhoc::{Company, Planned, Route, Seat, SeatError, Sight, Switch, Told, sit};
use murphy_core::{Protocol, Seed, Span};
use murphy_faults::Fault;
use murphy_host::Keyboard;
use murphy_runner::{StateDir, Stop, StopReason};
use murphy_tls::TlsSettings;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::shown;
use super::asking::ask;
use super::{fail, note, print};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::proxy_args::{DirectionChoice, SittingArgs};
use crate::signals;

/// Between two looks: on a terminal, and in a log.
const LIVE: Span = Span::from_millis(250);
const LOGGED: Span = Span::from_secs(10);

/// What was typed, checked.
pub fn seat_of(args: &SittingArgs, route: Route, state: StateDir) -> Result<Seat, Exit> {
    let faults = args.faults.faults().map_err(|error| fail(Exit::Usage, &error))?;
    let switch = if args.off { Switch::Off } else { Switch::On };
    let (matching, which) = args.requests.requests().map_err(|why| fail(Exit::Usage, &why))?;
    let on_requests = faults.iter().any(Fault::acts_on_requests);
    let chosen = !matching.is_empty() || !which.is_empty();
    if chosen && !on_requests {
        let why =
            "these flags choose requests, and no fault here acts on requests: add for example `--abort 503`";
        return Err(fail(Exit::Usage, &why));
    }
    let protocol = if args.http || on_requests { Protocol::Http } else { Protocol::Tcp };
    let tls = args.tls();
    if let Some(problem) = tls.iter().flat_map(TlsSettings::problems).next() {
        return Err(fail(Exit::Usage, &format_args!("--tls: {}; {}", problem.message, problem.help)));
    }
    Ok(Seat {
        route,
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
    })
}

/// Carries calls until the time is over or a signal comes.
pub async fn sit_down(args: &SittingArgs, seat: &Seat) -> Exit {
    let stop = Stop::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(murphy_core::boxed(signals::watch(stop.clone())));
    let (presses, mut keys) = mpsc::channel(16);
    let no_more_keys = CancellationToken::new();
    let show = Show::new(args.output);
    // Not before it carries calls: until then a question may be asked on the terminal.
    let begun = CancellationToken::new();
    if matches!(show, Show::Live(_)) {
        let (begun, ended) = (begun.clone(), no_more_keys.clone());
        tasks.spawn(murphy_core::boxed(async move {
            begun.cancelled().await;
            // Without keys it carries calls all the same.
            let _ = tokio::task::spawn_blocking(move || listen_to_keys(&presses, &ended)).await;
            Ok(())
        }));
    } else {
        drop(presses);
    }
    let tick = if matches!(show, Show::Lines) { LOGGED } else { LIVE };
    let mut agree = |planned: &Planned| ask(planned, &stop);
    let mut tell = |told: Told| {
        if matches!(told, Told::Begun(_)) {
            begun.cancel();
        }
        show.tell(&told);
    };
    let company = Company { stop: &stop, tick, keys: &mut keys, agree: &mut agree, tell: &mut tell };
    let sat = sit(seat, company).await;
    no_more_keys.cancel();
    let sight = match sat {
        Ok(sight) => sight,
        Err(error) => return exit_of(&error, stop.reason()),
    };
    show.end(&sight);
    let mut exit = match (stop.reason(), args.hold) {
        // Ctrl-C is the only way to end one that has no time; then it is the end that was meant.
        (Some(StopReason::Signal { number, .. }), Some(_)) => Exit::Signal(*number),
        _ => Exit::Graceful,
    };
    if sight.attached.as_ref().is_some_and(|attached| !attached.not_taken_back.is_empty()) {
        let why = "something may not be as before; try again with: murphy undo";
        exit = exit.worst(fail(Exit::NotReverted, &why));
    }
    if let Some(file) = &args.save {
        let made_by = std::env::args().collect::<Vec<_>>().join(" ");
        match std::fs::write(file, sight.scenario(&made_by)) {
            Ok(()) => {
                let file = file.display();
                note(&format_args!("saved: {file}; try it with: murphy check {file}"));
            }
            Err(error) => {
                exit =
                    exit.worst(fail(Exit::Failed, &format_args!("cannot write {}: {error}", file.display())));
            }
        }
    }
    exit
}

/// The exit of an edge that never carried a call.
pub fn exit_of(error: &SeatError, stopped: Option<&StopReason>) -> Exit {
    let exit = match error {
        SeatError::Bind(_) | SeatError::Tls(_) | SeatError::Attach(_) => Exit::Failed,
        SeatError::Interrupted => match stopped {
            Some(StopReason::Signal { number, .. }) => Exit::Signal(*number),
            _ => Exit::Failed,
        },
        SeatError::NotTakenBack { .. } => Exit::NotReverted,
        SeatError::NoHandshakes { .. }
        | SeatError::NotOfConnections { .. }
        | SeatError::Name(_)
        | SeatError::NotAgreed { .. } => Exit::Usage,
    };
    fail(exit, error)
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
pub enum Show {
    /// One line on a terminal.
    Live(ProgressBar),
    /// Plain lines.
    Lines,
    /// JSON objects, one a line.
    Json,
}

impl Show {
    fn new(output: OutputChoice) -> Show {
        if output == OutputChoice::Json
            || !(std::io::stderr().is_terminal() && std::io::stdin().is_terminal())
        {
            return Show::plain(output);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        Show::Live(bar)
    }

    /// Without a live line, whatever this is written to.
    pub fn plain(output: OutputChoice) -> Show {
        match output {
            OutputChoice::Json => Show::Json,
            OutputChoice::Text => Show::Lines,
        }
    }

    /// Shows one thing that is told.
    pub fn tell(&self, told: &Told) {
        match (self, told) {
            (Show::Json, Told::Happened(happening)) => {
                print(&shown(OutputChoice::Json, happening, String::new));
            }
            (Show::Lines, Told::Happened(happening)) => print(&happening.text()),
            (Show::Live(bar), Told::Happened(happening)) => bar.println(happening.text().trim_end()),
            (Show::Json, Told::Begun(sight)) => {
                json(if sight.attached.is_some() { "attached" } else { "listening" }, sight);
            }
            (Show::Json, Told::Now(sight)) => json("now", sight),
            (Show::Json, Told::Switched(sight, _)) => json("switched", sight),
            (Show::Lines, Told::Begun(sight)) => print(&first_line(sight)),
            (Show::Lines, Told::Now(sight) | Told::Switched(sight, _)) => note(&sight.line()),
            (Show::Live(bar), Told::Begun(sight)) => {
                let keys = if sight.faults.is_empty() { "" } else { "keys 1-9 switch faults, " };
                bar.println(format!("{}{keys}Ctrl-C ends it", first_line(sight)));
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

/// One line; of callers that are sat in on, each has had its own.
fn first_line(sight: &Sight) -> String {
    match &sight.listen {
        Some(listen) => format!("listening on {listen}, dialling {}, seed {}\n", sight.upstream, sight.seed),
        None => String::new(),
    }
}

fn json(event: &str, sight: &Sight) {
    let mut value = serde_json::to_value(sight).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("event".to_owned(), event.into());
    }
    print(&format!("{value}\n"));
}
