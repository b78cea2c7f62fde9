//! What can be typed to break things by hand. Only the words; what they mean is in `murphy-adhoc`.

use clap::Args;
use murphy_core::{Cpus, Seed, Size, Span};
use murphy_docker::Pick;
use murphy_host::Signal;

use crate::output_args::OutputChoice;

/// What the help of each command ends with.
pub const CONTAINERS: &str = "\
TARGET, for containers:
  web-1  web-*  /web-[12]/   by name          service:web  project:shop   by compose service, project
  label:tier=back            by label         image:redis  id:4f2a        by image, id
  several with commas must all hold: service:web,project:shop

A container with the label murphy.protect=true is never touched. Everything is taken back at the end of --for, on Ctrl-C,
and by a watchdog process if murphy itself is killed; `murphy undo` covers a power cut.";

/// The same for commands on processes.
pub const PROCESSES: &str = "\
PROCESS:  4711 or pid:4711 · redis-server or process:redis-server (whole name) · command:*worker.py* (command line)

Murphy itself, its ancestors and pid 1 are never touched.";

/// The same for `kill`, which acts on both.
pub const EITHER: &str = "\
TARGET, for processes:
  pid:4711   process:redis-server (whole name)   command:*worker.py* (command line)
TARGET, for containers:
  web-1  web-*  /web-[12]/  service:web  project:shop  label:tier=back  image:redis  id:4f2a; with commas: all must hold

A killed container is started again at the end of --for; a killed process stays dead. A container with the label
murphy.protect=true, Murphy itself, its ancestors and pid 1 are never touched.";

/// The same for commands on networks.
pub const NETWORKS: &str = "\
SIDE:  web-1 (a container) · web (a compose service, all its replicas) · pid:4711 · several with commas: web,worker

Needs root on the engine's machine, and `nft` (`tc` for bandwidth); `murphy doctor` says what works. Rules are leases: the
kernel drops them 5 s after Murphy is gone. Everything is taken back at the end of --for, on Ctrl-C, and by a watchdog process if
murphy itself is killed. A container with the label murphy.protect=true is never touched.";

/// How many of those that match, how often, and how it is told.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// How many of those that match: 2, 50% or all
    #[arg(long, value_name = "N", default_value = "all")]
    pub pick: Pick,
    /// Leave out those that match this, too; may be given again
    #[arg(long, value_name = "TARGET")]
    pub exclude: Vec<String>,
    #[command(flatten)]
    pub when: WhenArgs,
}

/// How many at most, how often, and how it is told.
#[derive(Debug, Clone, Args)]
pub struct WhenArgs {
    /// Refuse to touch more than so many at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max: Option<u32>,
    /// Do it again and again, from one beginning to the next
    #[arg(long, value_name = "TIME")]
    pub every: Option<Span>,
    /// Begin each round earlier or later by at most so much
    #[arg(long, value_name = "TIME")]
    pub jitter: Option<Span>,
    /// So many rounds; without it, until Ctrl-C
    #[arg(long, value_name = "N")]
    pub times: Option<u32>,
    /// Root of all random choices; printed, so that a round can be repeated
    #[arg(long)]
    pub seed: Option<Seed>,
    /// Show whom it would touch and how it would be taken back; touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree beforehand to touch more than 5 at once
    #[arg(long)]
    pub yes: bool,
    /// Lines for a person, or one JSON object a line
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
}

#[derive(Debug, Args)]
#[command(after_help = EITHER)]
pub struct KillArgs {
    /// Whom; see below
    pub target: String,
    /// The signal
    #[arg(long, default_value = "SIGKILL")]
    pub signal: Signal,
    /// How long a container stays dead; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct StopArgs {
    /// Whom; see below
    pub target: String,
    /// Time between the container's stop signal and SIGKILL
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub grace: Span,
    /// How long it stays stopped; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct RestartArgs {
    /// Whom; see below
    pub target: String,
    /// Time between the container's stop signal and SIGKILL
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub grace: Span,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct PauseArgs {
    /// Whom; see below
    pub target: String,
    /// How long it stays frozen; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct DisconnectArgs {
    /// Whom; see below
    pub target: String,
    /// Only from this network, by its name or by compose's short name; from all if not given
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// How long it stays off; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct LimitArgs {
    /// Whom; see below
    pub target: String,
    /// Processors: 0.5 is half of one
    #[arg(long, value_name = "N", value_parser = cpus)]
    pub cpus: Option<Cpus>,
    /// Memory, such as 64MiB
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Swap beyond the memory; none if not given
    #[arg(long, value_name = "SIZE", requires = "memory")]
    pub swap: Option<Size>,
    /// Processes and threads
    #[arg(long, value_name = "N")]
    pub pids: Option<u32>,
    /// How long it stays limited; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct RemoveArgs {
    /// Whom; see below
    pub target: String,
    /// Delete it with all files that are not on a volume; without this it is set aside, and comes back
    #[arg(long)]
    pub irreversible: bool,
    /// How long it stays away; 30s if not given
    #[arg(long = "for", value_name = "TIME", conflicts_with = "irreversible")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CONTAINERS)]
pub struct ExecArgs {
    /// Whom; see below
    pub target: String,
    /// The program and its arguments, behind `--`; no shell is added
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// The command that takes it back at the end of --for, in one text: "redis-cli config set maxmemory 0"
    #[arg(long, value_name = "COMMAND")]
    pub revert: Option<String>,
    /// How long each of the two may take
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub within: Span,
    /// How long it stays done before --revert takes it back; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// A stretch of network, and how long it stays broken.
#[derive(Debug, Args)]
#[command(after_help = NETWORKS)]
pub struct StretchArgs {
    /// Between whom: two sides or more, those of one side still reach each other; see below
    #[arg(required = true, value_name = "SIDE")]
    pub sides: Vec<String>,
    /// Only what the first side sends to the second
    #[arg(long)]
    pub one_way: bool,
    /// The compose project in which services are meant, where several have one of that name
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// How long it stays so; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub when: WhenArgs,
}

#[derive(Debug, Args)]
#[command(after_help = NETWORKS)]
pub struct LossArgs {
    /// The share of packets that is lost, such as 20%
    #[arg(long, value_name = "SHARE")]
    pub rate: String,
    #[command(flatten)]
    pub stretch: StretchArgs,
}

#[derive(Debug, Args)]
#[command(after_help = NETWORKS)]
pub struct BandwidthArgs {
    /// Bytes a second for all that leaves an interface, such as 1MB/s; name one SIDE
    #[arg(long, value_name = "RATE")]
    pub rate: String,
    #[command(flatten)]
    pub stretch: StretchArgs,
}

#[derive(Debug, Args)]
#[command(after_help = NETWORKS)]
pub struct LatencyArgs {
    /// By how much later bytes arrive, such as 200ms; TCP only, by a proxy in the network of each
    #[arg(long, value_name = "TIME")]
    pub delay: String,
    /// How far the delay varies
    #[arg(long, value_name = "TIME")]
    pub delay_jitter: Option<String>,
    /// How that is spread: uniform, normal or pareto
    #[arg(long, value_name = "FORM")]
    pub delay_distribution: Option<String>,
    #[command(flatten)]
    pub stretch: StretchArgs,
}

#[derive(Debug, Args)]
#[command(after_help = PROCESSES)]
pub struct FreezeArgs {
    /// Whom; see below
    #[arg(value_name = "PROCESS")]
    pub target: String,
    /// How long it stands still; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = PROCESSES)]
pub struct SignalArgs {
    /// Whom; see below
    #[arg(value_name = "PROCESS")]
    pub target: String,
    /// The signal, such as SIGHUP
    #[arg(long)]
    pub signal: Signal,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// A number of processors.
pub fn cpus(text: &str) -> Result<Cpus, String> {
    let number: f64 =
        text.parse().map_err(|_| format!("`{text}` is not a number of processors: write 0.5"))?;
    Cpus::new(number).map_err(|error| error.to_string())
}
