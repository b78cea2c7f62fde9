//! `murphy doctor`: what works on this machine, what does not, and the mend.

use murphy_runner::{Examined, Need, examine};

use super::{fail, print, runtime};
use crate::args::DoctorArgs;
use crate::exit::Exit;

/// Prints what was found. Ends with 0 if every run's basics work, else with 3.
pub fn run(args: &DoctorArgs) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let all = runtime.block_on(examine());
    if args.json {
        match serde_json::to_string_pretty(&all) {
            Ok(text) => print(&(text + "\n")),
            Err(error) => return fail(Exit::Failed, &error),
        }
    } else {
        all.iter().for_each(|one| print(&format!("{one}\n")));
    }
    let basics = all.iter().filter(|one| one.need == Need::Basic).all(Examined::works);
    if basics { Exit::Graceful } else { Exit::Failed }
}
