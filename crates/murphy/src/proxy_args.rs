//! What can be typed for one edge by hand: a proxy that callers dial, or one that sits in on them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use murphy_core::{Chance, Directions, Seed, Span};
use murphy_docker::Pick;
use murphy_scenario::{Address, OpenConnections};
use murphy_tls::{TlsMode, TlsSettings, Verify};

use crate::fault_flags::FaultFlags;
use crate::output_args::OutputChoice;
use crate::request_flags::RequestFlags;

const HELP: &str = "\
For example:
  murphy proxy 127.0.0.1:16379 127.0.0.1:6379 --latency 200ms --jitter 50ms
  murphy proxy 127.0.0.1:18080 shop:80 --reset=2s --off      key 1 switches it on
  murphy proxy 127.0.0.1:18080 shop:80 --abort 503 --method POST --path /orders --first 3
  murphy proxy 127.0.0.1:18443 shop:443 --tls --http --tls-handshake expired
Callers must dial LISTEN. `murphy explain latency` tells all about one fault.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ProxyArgs {
    /// Address that callers dial, HOST:PORT; port 0 picks a free one
    pub listen: String,
    /// Address of the dependency, HOST:PORT
    pub upstream: String,
    #[command(flatten)]
    pub sitting: SittingArgs,
}

/// What can be typed for every edge by hand, however calls come to it.
#[derive(Debug, Args)]
pub struct SittingArgs {
    /// Read requests (HTTP/1.1, HTTP/2), also without a fault on requests, which implies it
    #[arg(long)]
    pub http: bool,
    /// Speak TLS on both sides, with callers only (`terminate`) or with the dependency only (`originate`); callers must
    /// trust `murphy ca`. Without it TLS passes through untouched
    #[arg(long, value_enum, value_name = "SIDES", num_args = 0..=1, require_equals = true, default_missing_value = "both")]
    pub tls: Option<TlsChoice>,
    /// Name that the dependency's certificate must have; the host that is dialled if not given
    #[arg(long, value_name = "HOST", requires = "tls")]
    pub tls_name: Option<String>,
    /// Authorities that are trusted instead of the system's: a PEM file, or `murphy` for its own
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate that is shown to the dependency, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_key: Option<PathBuf>,
    /// How far the dependency's certificate is checked
    #[arg(long, value_enum, value_name = "HOW", requires = "tls")]
    pub tls_verify: Option<VerifyChoice>,
    /// End after this time; without it, on Ctrl-C
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    /// The ways on which faults sit; answers if not given
    #[arg(long, value_enum)]
    pub direction: Option<DirectionChoice>,
    /// Share of connections on which they act; of requests, for faults that act on requests
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    pub chance: Chance,
    /// Begin with all faults switched off
    #[arg(long)]
    pub off: bool,
    /// Write what was done as a scenario, at the end
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Root of all random choices: the same seed and order of connections, the same choices
    #[arg(long)]
    pub seed: Option<Seed>,
    /// Lines for a person, or one JSON object a line
    #[arg(long, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
    #[command(flatten)]
    pub requests: RequestFlags,
    #[command(flatten)]
    pub faults: FaultFlags,
}

const ATTACH_HELP: &str = "\
For example:
  sudo murphy attach --from web --to redis:6379                       only look
  sudo murphy attach --from web --to redis:6379 --latency 200ms --for 30s
  sudo murphy attach --from service:web,project:shop --pick 1 --to db:5432 --blackhole --off      key 1 switches it on
FROM is a container or a compose service by one word, service:web,project:shop, label:tier=back, image:redis, id:4f2a, a
glob web-* or a /regex/, or pid:4711. Only its calls to that address are touched. They come back by themselves when murphy
ends, however it ends.";

#[derive(Debug, Args)]
#[command(after_help = ATTACH_HELP)]
pub struct AttachArgs {
    /// Whose calls; see below. All replicas, also those that come later
    #[arg(long)]
    pub from: String,
    /// Where these calls go, as the caller dials it
    #[arg(long, value_name = "HOST:PORT")]
    pub to: Address,
    /// What becomes of calls that are open when it begins: reset, so that they come again, or left alone
    #[arg(long, value_enum, default_value_t = OpenChoice::Cut, value_name = "HOW")]
    pub open_connections: OpenChoice,
    /// How many of those that match: 2, 50% or all
    #[arg(long, value_name = "N", default_value = "all")]
    pub pick: Pick,
    /// Leave out those that match this, too; may be given again
    #[arg(long, value_name = "TARGET")]
    pub exclude: Vec<String>,
    /// Show whom it would sit in on and how it would be taken back; touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree beforehand to sit in on more than 5 at once
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub sitting: SittingArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OpenChoice {
    Cut,
    Leave,
}

impl OpenChoice {
    pub fn connections(self) -> OpenConnections {
        match self {
            OpenChoice::Cut => OpenConnections::Cut,
            OpenChoice::Leave => OpenConnections::Leave,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsChoice {
    Both,
    Terminate,
    Originate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyChoice {
    Full,
    Nothing,
}

impl TlsChoice {
    pub fn mode(self) -> TlsMode {
        match self {
            TlsChoice::Both => TlsMode::Both,
            TlsChoice::Terminate => TlsMode::Terminate,
            TlsChoice::Originate => TlsMode::Originate,
        }
    }
}

impl SittingArgs {
    /// What is said of TLS.
    pub fn tls(&self) -> Option<TlsSettings> {
        Some(TlsSettings {
            mode: self.tls?.mode(),
            name: self.tls_name.clone(),
            ca: self.tls_ca.clone(),
            cert: self.tls_cert.clone(),
            key: self.tls_key.clone(),
            verify: match self.tls_verify {
                Some(VerifyChoice::Nothing) => Verify::Nothing,
                Some(VerifyChoice::Full) | None => Verify::Full,
            },
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DirectionChoice {
    ToUpstream,
    ToClient,
    Both,
}

impl DirectionChoice {
    pub fn directions(self) -> Directions {
        match self {
            DirectionChoice::ToUpstream => Directions::ToUpstream,
            DirectionChoice::ToClient => Directions::ToClient,
            DirectionChoice::Both => Directions::Both,
        }
    }
}
