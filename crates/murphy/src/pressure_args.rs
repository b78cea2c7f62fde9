//! What can be typed to put pressure on this machine. Only the words; what they mean is in `murphy-adhoc`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use murphy_core::{Amount, Chance, Cpus, Size, Span};

use crate::by_hand_args::{ChoiceArgs, cpus};

/// What the help of each command ends with.
const PRESSURE: &str = "\
A worker process of murphy's own does it, and ends with murphy, however that ends. What would take the last of the machine's
memory or disk is refused, with what can be had. With --in, it works inside the limits of containers, as root on their machine.";

#[derive(Debug, Args)]
pub struct PressureArgs {
    #[command(subcommand)]
    pub on: PressureOn,
}

#[derive(Debug, Subcommand)]
pub enum PressureOn {
    /// Keep processors busy
    Cpu(CpuArgs),
    /// Hold memory
    Memory(MemoryArgs),
    /// Fill a file system
    Disk(DiskArgs),
}

#[derive(Debug, Args)]
#[command(after_help = PRESSURE)]
pub struct CpuArgs {
    /// How many processors: 0.5 is half of one; all if not given
    #[arg(long, value_name = "N", value_parser = cpus)]
    pub cpus: Option<Cpus>,
    /// The share of the time for which they are busy
    #[arg(long, value_name = "SHARE", default_value = "100%")]
    pub load: Chance,
    #[command(flatten)]
    pub at: AtArgs,
}

#[derive(Debug, Args)]
#[command(after_help = PRESSURE)]
pub struct MemoryArgs {
    /// How much: 2GiB, or a share of what is free: 80%
    pub amount: Amount,
    /// From nothing to all of it within this time, as a leak grows
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub over: Span,
    /// What must stay free; a twentieth of all, at most 1GiB, if not given
    #[arg(long, value_name = "SIZE")]
    pub reserve: Option<Size>,
    #[command(flatten)]
    pub at: AtArgs,
}

#[derive(Debug, Args)]
#[command(after_help = PRESSURE)]
pub struct DiskArgs {
    /// How much: 2GiB, or a share of what is free: 80%
    pub amount: Amount,
    /// A folder of the file system that is filled; of the container's with --in
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// What must stay free; a twentieth of all, at most 1GiB, if not given
    #[arg(long, value_name = "SIZE")]
    pub reserve: Option<Size>,
    #[command(flatten)]
    pub at: AtArgs,
}

/// Where, and for how long.
#[derive(Debug, Args)]
pub struct AtArgs {
    /// In these containers, by name, service:NAME, project:NAME, label:…, image:… or id:…, and not on the machine
    #[arg(long = "in", value_name = "TARGET")]
    pub within: Option<String>,
    /// How long; 30s if not given
    #[arg(long = "for", value_name = "TIME")]
    pub hold: Option<Span>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}
