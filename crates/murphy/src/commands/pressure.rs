//! `murphy pressure cpu|memory|disk`: takes something of what this machine has, and gives it back.

use murphy_adhoc::{Deed, Whom};
use murphy_core::Span;
use murphy_docker::Pick;
use murphy_host::Pressure;

use super::by_hand::carry;
use super::fail;
use crate::by_hand_args::ChoiceArgs;
use crate::exit::Exit;
use crate::pressure_args::{CpuArgs, DiskArgs, MemoryArgs, PressureArgs, PressureOn};

/// Presses for a time.
pub fn run(args: &PressureArgs) -> Exit {
    match &args.on {
        PressureOn::Cpu(CpuArgs { load, .. }) if load.as_fraction() == 0.0 => {
            fail(Exit::Usage, &"`--load 0%` is no pressure: write for example --load 80%")
        }
        PressureOn::Memory(MemoryArgs { amount, .. }) | PressureOn::Disk(DiskArgs { amount, .. })
            if amount.is_nothing() =>
        {
            let message =
                format!("{amount} is no pressure: write for example 512MiB, or 80% of what is free");
            fail(Exit::Usage, &message)
        }
        PressureOn::Cpu(CpuArgs { cpus, load, hold, choice }) => {
            press(&Pressure::Cpu { cpus: *cpus, load: *load }, *hold, choice)
        }
        PressureOn::Memory(MemoryArgs { amount, over, reserve, hold, choice }) => {
            press(&Pressure::Memory { amount: *amount, over: *over, reserve: *reserve }, *hold, choice)
        }
        PressureOn::Disk(DiskArgs { amount, folder, reserve, hold, choice }) => {
            // The watchdog and `murphy undo` stand elsewhere.
            let folder = match std::path::absolute(folder) {
                Ok(folder) => folder,
                Err(error) => {
                    return fail(Exit::Usage, &format_args!("--folder {}: {error}", folder.display()));
                }
            };
            press(&Pressure::Disk { folder, amount: *amount, reserve: *reserve }, *hold, choice)
        }
    }
}

fn press(pressure: &Pressure, hold: Option<Span>, choice: &ChoiceArgs) -> Exit {
    if choice.pick != Pick::All || choice.when.max.is_some() || !choice.exclude.is_empty() {
        return fail(Exit::Usage, &"there is one machine: leave --pick, --exclude and --max out");
    }
    carry(Ok(Whom::Host), |_| Ok(Deed::Pressure(pressure.clone())), hold, choice)
}

/// The worker's own life.
pub fn work(task: &str) -> Exit {
    match murphy_host::work(task) {
        Ok(()) => Exit::Graceful,
        Err(error) => fail(Exit::Failed, &error),
    }
}
