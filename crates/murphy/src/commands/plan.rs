//! `murphy plan FILE`: a dry run. Nothing is touched.

use super::experiment::settings;
use super::{check, fail, print};
use crate::args::{ColourChoice, PlanArgs};
use crate::exit::Exit;
use crate::output_args::OutputChoice;

/// Prints the plan.
pub fn run(args: &PlanArgs, colour: ColourChoice) -> Exit {
    let all = match check::load(&args.file, &settings(&args.scenario), colour) {
        Ok(all) => all,
        Err(exit) => return exit,
    };
    for (number, loaded) in all.iter().enumerate() {
        if args.answer.output() == OutputChoice::Json {
            match loaded.plan.to_json() {
                Ok(text) => print(&(text + "\n")),
                Err(error) => return fail(Exit::Failed, &error),
            }
        } else {
            if number > 0 {
                print("\n");
            }
            print(&murphy_scenario::plan_text(&loaded.plan));
        }
    }
    Exit::Graceful
}
