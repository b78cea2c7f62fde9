//! What can be typed. Only the words; what they do is in `commands`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use murphy_core::{Chance, LoadName, Seed, Span};
use murphy_scenario::{Address, Single};

use crate::by_hand_args::{
    BandwidthArgs, DisconnectArgs, ExecArgs, FreezeArgs, KillArgs, LatencyArgs, LimitArgs, LossArgs,
    PauseArgs, RemoveArgs, RestartArgs, SignalArgs, StopArgs, StretchArgs,
};
use crate::daemon_args::{ServeArgs, ToxiproxyArgs};
use crate::native_args::{FaultArgs, ProxiesArgs};
use crate::output_args::{AnswerArgs, AnswerOrJsonArgs, NamedReports, OutputArgs, OutputChoice, ReportFiles};
use crate::pressure_args::PressureArgs;
use crate::proxy_args::{AttachArgs, OpenChoice, ProxyArgs};

/// Murphy makes things go wrong on purpose, in front of real services, and says with evidence whether they degraded
/// gracefully.
#[derive(Debug, Parser)]
#[command(name = "murphy", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "New here? `murphy demo` shows the whole thing in under a minute: no Docker, no root, no network."
)]
pub struct Cli {
    /// When to use colours. NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN")]
    pub color: ColourChoice,
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what Murphy does: a careful and a careless shop, the same faults, both verdicts
    Demo(DemoArgs),
    /// Carry scenarios out and say whether the services degraded gracefully
    Run(RunArgs),
    /// Find the level of a fault at which users are not served any more
    // `limit` alone gives containers less: see `limit_words`.
    #[command(visible_alias = "find-limit")]
    BreakingPoint(BreakingPointArgs),
    /// Try every kind of fault on every edge, one at a time: what each does to the users
    Explore(ExploreArgs),
    /// Show what a run would do, and how each step is taken back; touch nothing
    Plan(PlanArgs),
    /// Find every mistake in scenario files; start nothing
    Check(CheckArgs),
    /// Write a first scenario, or scenarios for every dependency in a compose file
    Init(InitArgs),
    /// Judge and render a finished run again, from its directory
    Report(ReportArgs),
    /// Kill containers or processes
    Kill(KillArgs),
    /// Stop containers, and start them again after a while
    Stop(StopArgs),
    /// Restart containers
    Restart(RestartArgs),
    /// Freeze containers, and let them go on after a while
    Pause(PauseArgs),
    /// Take containers off their networks, and put them back after a while
    Disconnect(DisconnectArgs),
    /// Give containers less processor, memory or processes for a while
    Limit(LimitArgs),
    /// Take containers away, and bring them back after a while
    Remove(RemoveArgs),
    /// Run a command in containers, and after a while the one that takes its effect back
    Exec(ExecArgs),
    /// Let no packet pass between containers for a while
    Partition(StretchArgs),
    /// Lose a share of the packets between containers for a while
    Loss(LossArgs),
    /// Reset connections between containers, and refuse new ones, for a while
    Reset(StretchArgs),
    /// Have bytes between containers arrive later for a while
    Latency(LatencyArgs),
    /// Limit what leaves containers to a rate for a while
    Bandwidth(BandwidthArgs),
    /// Freeze processes, and let them go on after a while
    Freeze(FreezeArgs),
    /// Send a signal to processes
    Signal(SignalArgs),
    /// Take processor time, memory or room on disk from this machine for a while
    Pressure(PressureArgs),
    /// Sit between callers and their dependency: one proxy, with faults as flags and keys
    Proxy(Box<ProxyArgs>),
    /// Sit in on the calls of running containers to one destination, without touching their configuration
    Attach(Box<AttachArgs>),
    /// Hold a run against an older one; or keep runs as a baseline
    Compare(CompareArgs),
    /// Take back whatever a dead run left behind
    Undo(UndoArgs),
    /// The local authority whose certificates `tls:` shows callers: made if missing, with what to hand to clients
    Ca(CaArgs),
    /// Say what works on this machine, what does not, and how to mend it; change nothing
    Doctor(DoctorArgs),
    /// Explain a fault, a detector, an exit code, or list what there is
    Explain(ExplainArgs),
    /// Print the JSON Schema of scenario files
    Schema,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write manual pages, one for each command
    Man(ManArgs),
    /// Serve proxies that are made, broken and mended through an HTTP API, as Toxiproxy's clients know it
    Serve(ServeArgs),
    /// List, make, edit, switch and remove the proxies of a running `murphy serve`
    Proxies(ProxiesArgs),
    /// List, put up, edit and take off the faults on the proxies of a running `murphy serve`
    Fault(FaultArgs),
    /// Drive a running `murphy serve` or a Toxiproxy server, with the words of toxiproxy-cli
    Toxiproxy(ToxiproxyArgs),
    /// Watch edges live, and put faults on, tune and take them off by key
    Top(TopArgs),
    /// Print the reference page of the guide
    #[command(hide = true)]
    Reference,
    /// Run one service of the embedded example in the foreground
    #[command(hide = true)]
    DemoService(murphy_demo::Args),
    /// Be the worker process of a pressure, for as long as standard input is open
    #[command(hide = true)]
    PressureWorker { task: String },
    /// Print names that fit behind these words, for a shell that completes a line
    #[command(hide = true)]
    Known {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Take everything back when the process at the other end of standard input dies
    #[command(hide = true)]
    Watchdog { log: PathBuf },
}

/// How a scenario is read.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    /// Fill `${KEY}` in the scenario, before the environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Root of all random choices, instead of the scenario's `seed`
    #[arg(long)]
    pub seed: Option<Seed>,
    /// Lengths of the phases, for a scenario that does not give its own
    #[arg(long, value_enum)]
    pub profile: Option<ProfileChoice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileChoice {
    Quick,
    Ci,
    Release,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scenario files, or directories of them
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
    /// Only scenarios whose name or file holds this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// Start no scenario that could not end within this time, as 10m; what is left out makes the outcome inconclusive
    #[arg(long, value_name = "TIME")]
    pub within: Option<Span>,
    /// What an inconclusive run does to the exit code
    #[arg(long, value_enum, default_value_t = InconclusiveChoice::Fail)]
    pub inconclusive: InconclusiveChoice,
    /// Begin no further scenario after the first that is not graceful
    #[arg(long)]
    pub fail_fast: bool,
    /// Run up to this many scenarios beside each other; those that have a target or an address in common wait for each other
    #[arg(long, value_name = "N", default_value = "1")]
    pub parallel: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InconclusiveChoice {
    /// Exit 4.
    Fail,
    /// Exit 0, with the reason in the report.
    Warn,
}

/// The search for a breaking point.
#[derive(Debug, Args)]
#[command(after_help = "\
The scenario writes the level as a variable, for example `inject: { latency: \"${DELAY}\" }`; every level is a run of it.\n\
`murphy limit FILE --vary NAME` is the same; without `--vary`, `limit` gives containers less.\n\
  murphy breaking-point redis.yaml --vary DELAY --from 20ms --to 5s --goal \"99% < 500ms\"")]
pub struct BreakingPointArgs {
    /// A scenario file
    pub file: PathBuf,
    /// The variable of the scenario that holds the level
    #[arg(long, value_name = "NAME")]
    pub vary: String,
    /// The mildest level, with its unit: 20ms, 1%, 1MB/s
    #[arg(long, value_name = "LEVEL")]
    pub from: String,
    /// The worst level to try
    #[arg(long, value_name = "LEVEL")]
    pub to: String,
    /// What must hold during the fault
    #[arg(long, value_name = "GOAL", default_value = "99%")]
    pub goal: String,
    /// The load whose users count; the first of the scenario if left out
    #[arg(long, value_name = "NAME")]
    pub load: Option<LoadName>,
    /// No run is begun that would not end within this time
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub budget: Span,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Where run directories are made
    #[arg(long, default_value = "murphy-runs", value_name = "DIR")]
    pub report_dir: PathBuf,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The exploration.
#[derive(Debug, Args)]
#[command(after_help = "\
The scenario gives services, edges, loads and what is asked for the users; its own faults, and what it asks of edges, are left aside.\n\
Where it has no edges, they are found in the compose files of its stack.\n\
  murphy explore shop.yaml --budget 20m\n\
  murphy explore shop.yaml --only-edge payments --faults blackhole,abort")]
pub struct ExploreArgs {
    /// A scenario file
    pub file: PathBuf,
    /// No run is begun that would not end within this time, with one more at the end that has nothing broken
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub budget: Span,
    /// Break only this edge; may be repeated
    #[arg(long, value_name = "EDGE")]
    pub only_edge: Vec<String>,
    /// Try only these, separated by commas
    #[arg(long, value_name = "FAULT", value_delimiter = ',', value_parser = PossibleValuesParser::new(Single::kinds()))]
    pub faults: Vec<String>,
    /// Then two faults at once, on two edges, of those that did no harm alone, but for what rules leave out
    #[arg(long)]
    pub pairs: bool,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Where run directories are made
    #[arg(long, default_value = "murphy-runs", value_name = "DIR")]
    pub report_dir: PathBuf,
    /// Also write the matrix as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub reports: NamedReports,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

impl ExploreArgs {
    /// Every report that is asked for by file name.
    pub fn files(&self) -> ReportFiles {
        ReportFiles { json: self.json.clone(), ..self.reports.files() }
    }
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A scenario file
    pub file: PathBuf,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    #[command(flatten)]
    pub answer: AnswerOrJsonArgs,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Scenario files, or directories of them
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    #[command(flatten)]
    pub answer: AnswerOrJsonArgs,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run directory, as `murphy run` names it at its end
    pub run: PathBuf,
    #[command(flatten)]
    pub answer: AnswerOrJsonArgs,
    #[command(flatten)]
    pub reports: NamedReports,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    /// Lines for a person, or one JSON object a line
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
}

#[derive(Debug, Args)]
pub struct CaArgs {
    /// Print only the path of its certificate, for scripts
    #[arg(long, conflicts_with = "output")]
    pub path: bool,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub answer: AnswerOrJsonArgs,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A compose file: scenarios are proposed for each dependency that it shows
    #[arg(long, value_name = "FILE")]
    pub compose: Option<PathBuf>,
    /// Where to write: a file, or with --compose a directory [default: murphy.yaml, or murphy/]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory; made if there is none
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// OLD and NEW: run directories; OLD may be a baseline file. With --save: the runs to keep
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Keep the numbers of these runs in a small file that can be committed, instead of comparing
    #[arg(long, value_name = "FILE", conflicts_with = "slack")]
    pub save: Option<PathBuf>,
    /// How much worse a number may be, as 10%, before it counts
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub slack: Chance,
    /// What a comparison that cannot tell does to the exit code
    #[arg(long, value_enum, default_value_t = InconclusiveChoice::Fail)]
    pub inconclusive: InconclusiveChoice,
    #[command(flatten)]
    pub answer: AnswerOrJsonArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A fault's or a detector's name, an exit code, `faults`, `detectors` or `exit-codes`; nothing for a list
    #[arg(value_parser = PossibleValuesParser::new(crate::commands::explain::topics()), hide_possible_values = true)]
    pub topic: Option<String>,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
    /// Write the two scenarios to this directory instead of running them
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    /// A proxy of its own; may be given several times
    #[arg(long, num_args = 3, value_names = ["NAME", "LISTEN", "UPSTREAM"], required_unless_present_any = ["run", "from", "api", "containers"])]
    pub edge: Vec<String>,
    /// Sit in on the calls of running containers, as `murphy attach` does
    #[arg(long, requires = "to", conflicts_with = "run")]
    pub from: Option<String>,
    /// Where these calls go, as the caller dials it
    #[arg(long, value_name = "HOST:PORT", requires = "from")]
    pub to: Option<Address>,
    /// What becomes of calls that are open when it begins: reset, so that they come again, or left alone
    #[arg(long, value_enum, default_value_t = OpenChoice::Cut, value_name = "HOW", requires = "from")]
    pub open_connections: OpenChoice,
    /// Read requests on all edges, so that faults can be put on them
    #[arg(long, conflicts_with = "run")]
    pub http: bool,
    /// Follow the run in this directory instead; it is only looked at, unless --hands is given
    #[arg(long, value_name = "DIR", conflicts_with = "edge")]
    pub run: Option<PathBuf>,
    /// The proxies of a running `murphy serve`: http://localhost:8474, or MURPHY_API, if no address is given
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with_all = ["edge", "from", "run", "http"])]
    pub api: Option<Option<String>>,
    /// The daemon's token, if it wants one
    #[arg(long, env = "MURPHY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Containers to show, and to kill, pause and cut off by key: a name, `web-*`, `service:web`, `project:shop`; with --from,
    /// those around the callers if left out
    #[arg(long, value_name = "TARGET")]
    pub containers: Option<String>,
    /// Steer the run that is followed: put faults on its edges, and strike containers, by key. Its report says so, and answers
    /// nothing
    #[arg(long, requires = "run")]
    pub hands: bool,
    /// Root of all random choices
    #[arg(long)]
    pub seed: Option<Seed>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is not KEY=VALUE"))
}
