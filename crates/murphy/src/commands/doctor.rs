//! `murphy doctor`: what works on this machine, what does not, and the mend.

use murphy_runner::{Examined, Need, examine};

use super::answer::answer;
use super::runtime;
use crate::args::DoctorArgs;
use crate::exit::Exit;

/// Prints what was found. Ends with 0 if every run's basics work, else with 3.
pub fn run(args: &DoctorArgs) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let all = runtime.block_on(examine());
    let told = answer(args.answer.output(), &all, || all.iter().map(|one| format!("{one}\n")).collect());
    let basics = all.iter().filter(|one| one.need == Need::Basic).all(Examined::works);
    if basics { told } else { Exit::Failed }
}
