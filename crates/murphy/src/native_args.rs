//! What can be typed to drive a running `murphy serve`: its proxies and their faults.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use murphy_core::{Chance, EdgeName, FaultId, LeaseName, Span};

use crate::fault_flags::FaultFlags;
use crate::output_args::OutputChoice;
use crate::proxy_args::DirectionChoice;
use crate::proxy_args::TlsChoice;
use crate::request_flags::RequestFlags;

/// Where a daemon is looked for if nothing is said.
pub const USUAL_API: &str = "http://localhost:8474";

/// Which daemon, and how its answers are shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Daemon")]
pub struct ApiFlags {
    /// Address of the daemon's API
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = USUAL_API,
        env = "MURPHY_API"
    )]
    pub api: String,
    /// The daemon's token, if it wants one
    #[arg(long, global = true, env = "MURPHY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Wait so long for a daemon that is only just starting
    #[arg(long, global = true, value_name = "TIME")]
    pub wait: Option<Span>,
    /// Text for a person, or JSON as the API answers it
    #[arg(long, global = true, value_enum, default_value_t = OutputChoice::Text)]
    pub output: OutputChoice,
}

const PROXIES_HELP: &str = "\
For example, with `murphy serve` running:
  murphy proxies add redis 127.0.0.1:6379 --listen 127.0.0.1:26379
  murphy proxies toggle redis               callers are refused; again, and they are let in
  murphy proxies list --watch";

#[derive(Debug, Args)]
#[command(after_help = PROXIES_HELP)]
pub struct ProxiesArgs {
    #[command(flatten)]
    pub api: ApiFlags,
    /// The list, if left out
    #[command(subcommand)]
    pub command: Option<ProxiesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum ProxiesCommand {
    /// Show all proxies, or one
    #[command(visible_alias = "ls")]
    List {
        proxy: Option<String>,
        /// Show it again whenever it has changed, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Make a proxy; it listens when this command ends
    Add {
        /// Its name
        proxy: EdgeName,
        /// Address of the dependency, HOST:PORT
        upstream: String,
        /// Address that callers dial: an IP address or `localhost`, and a port; port 0 picks a free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: String,
        /// Read requests (HTTP/1.1, HTTP/2), so that faults can be put on them
        #[arg(long)]
        http: bool,
        /// Speak TLS on both sides, with callers only (`terminate`) or with the dependency only (`originate`)
        #[arg(
            long,
            value_enum,
            value_name = "SIDES",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "both"
        )]
        tls: Option<TlsChoice>,
        /// Make it switched off
        #[arg(long)]
        off: bool,
    },
    /// Let a proxy listen or dial elsewhere; its open connections end
    Edit {
        proxy: String,
        /// Address that callers dial
        #[arg(long, value_name = "ADDRESS", required_unless_present = "upstream")]
        listen: Option<String>,
        /// Address of the dependency
        #[arg(long, value_name = "ADDRESS")]
        upstream: Option<String>,
    },
    /// Switch a proxy off if it is on, and on if it is off. Off: callers are refused, open connections end
    Toggle { proxy: String },
    /// Take proxies away, with their faults
    #[command(visible_alias = "rm")]
    Remove {
        #[arg(required = true)]
        proxy: Vec<String>,
    },
    /// Save what was done to the daemon as a scenario: faults, toxics, proxies switched off, faults on containers, at their times
    Save {
        /// A new file
        file: PathBuf,
        /// Only what stood in the last so long; all since the daemon was started, if not given
        #[arg(long, value_name = "TIME")]
        last: Option<Span>,
    },
}

const FAULT_HELP: &str = "\
For example, with `murphy serve` running and a proxy `redis`:
  murphy fault add redis --latency 300ms --jitter 50ms --chance 50% --for 10m
  murphy fault edit redis latency --jitter 100ms     what is not given stays
  murphy fault list --watch
  murphy fault remove redis latency
`murphy explain latency` tells all about one fault.";

#[derive(Debug, Args)]
#[command(after_help = FAULT_HELP)]
pub struct FaultArgs {
    #[command(flatten)]
    pub api: ApiFlags,
    /// The list, if left out
    #[command(subcommand)]
    pub command: Option<FaultCommand>,
}

#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Show the faults of all proxies, or of one, with what they have done
    #[command(visible_alias = "ls")]
    List {
        proxy: Option<String>,
        /// Show them again whenever something has changed, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Put a fault on a proxy, for open connections too
    Add(Box<AddFaultArgs>),
    /// Change a fault while it stands: what is not given stays, also what it has counted
    #[command(visible_alias = "set")]
    Edit(Box<EditFaultArgs>),
    /// Take faults off a proxy
    #[command(visible_alias = "rm")]
    Remove {
        proxy: String,
        fault: Vec<String>,
        /// All that the proxy has
        #[arg(long, conflicts_with = "fault")]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub struct AddFaultArgs {
    /// On which proxy
    pub proxy: String,
    /// Its name there; that of the fault if left out
    #[arg(long)]
    pub name: Option<FaultId>,
    #[command(flatten)]
    pub wanted: WantedFlags,
}

#[derive(Debug, Args)]
pub struct EditFaultArgs {
    /// On which proxy
    pub proxy: String,
    /// The fault's name there
    pub fault: String,
    #[command(flatten)]
    pub wanted: WantedFlags,
}

/// What a fault is to be.
#[derive(Debug, Clone, Args)]
pub struct WantedFlags {
    /// The ways on which it sits; answers if not given
    #[arg(long, value_enum)]
    pub direction: Option<DirectionChoice>,
    /// Share of connections on which it acts; of requests, for a fault that acts on requests
    #[arg(long, value_name = "PERCENT")]
    pub chance: Option<Chance>,
    /// It ends by itself after this time
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<Span>,
    /// It ends with this lease of the daemon
    #[arg(long, value_name = "NAME")]
    pub lease: Option<LeaseName>,
    #[command(flatten)]
    pub requests: RequestFlags,
    #[command(flatten)]
    pub faults: FaultFlags,
}
