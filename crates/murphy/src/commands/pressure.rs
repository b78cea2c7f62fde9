//! `murphy pressure cpu|memory|disk`: takes something of what this machine has, and gives it back.

use murphy_adhoc::{Deed, Whom};
use murphy_docker::Pick;
use murphy_host::Pressure;

use super::by_hand::{carry, containers};
use super::fail;
use crate::exit::Exit;
use crate::pressure_args::{AtArgs, CpuArgs, DiskArgs, MemoryArgs, PressureArgs, PressureOn};

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
        PressureOn::Cpu(CpuArgs { cpus, load, at }) => press(&Pressure::Cpu { cpus: *cpus, load: *load }, at),
        PressureOn::Memory(MemoryArgs { amount, over, reserve, at }) => {
            press(&Pressure::Memory { amount: *amount, over: *over, reserve: *reserve }, at)
        }
        PressureOn::Disk(DiskArgs { amount, folder, reserve, at }) => {
            // The watchdog and `murphy undo` stand elsewhere, and a container knows nothing of where Murphy stands.
            let folder = match std::path::absolute(folder) {
                Ok(whole) if at.within.is_none() || whole == *folder => whole,
                Ok(_) => {
                    return fail(
                        Exit::Usage,
                        &"in a container, --folder is a whole path: write for example --folder /data",
                    );
                }
                Err(error) => {
                    return fail(Exit::Usage, &format_args!("--folder {}: {error}", folder.display()));
                }
            };
            press(&Pressure::Disk { folder, amount: *amount, reserve: *reserve }, at)
        }
    }
}

fn press(pressure: &Pressure, at: &AtArgs) -> Exit {
    let AtArgs { within, hold, choice } = at;
    let chosen = choice.pick != Pick::All || choice.when.max.is_some() || !choice.exclude.is_empty();
    let whom = match within {
        None if chosen => {
            let message =
                "there is one machine: leave --pick, --exclude and --max out, or name containers with --in";
            return fail(Exit::Usage, &message);
        }
        None => Ok(Whom::Host),
        Some(target) => containers(target, "pressure --in", "name the container that it runs in", choice),
    };
    carry(whom, |_| Ok(Deed::Pressure(pressure.clone())), *hold, choice)
}

/// The worker's own life.
pub fn work(task: &str) -> Exit {
    match murphy_host::work(task) {
        Ok(()) => Exit::Graceful,
        Err(error) => fail(Exit::Failed, &error),
    }
}
