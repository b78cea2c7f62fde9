//! Faults of a whole machine, or of what a container has of it: data only; the host layer holds them against what the machine has, and carries them out.

mod cpu;
mod disk;
mod memory;

pub use cpu::CpuPressure;
pub use disk::DiskPressure;
pub use memory::MemoryPressure;

use murphy_core::Amount;

use crate::check::Problems;

/// Reports an amount that is none.
fn not_nothing(amount: Amount, problems: &mut Problems) {
    if amount.is_nothing() {
        problems.field(
            "amount",
            format!("{amount} is no pressure"),
            "write for example `512MiB`, or `80%` of what is free",
        );
    }
}
