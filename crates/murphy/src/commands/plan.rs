//! `murphy plan FILE`: a dry run. Nothing is touched.

use std::io::IsTerminal as _;

use murphy_scenario::{Plan, plan_text};

use super::experiment::settings;
use super::{check, fail, print};
use crate::args::{ColourChoice, PlanArgs};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::style::ascii;

/// Prints the plan.
pub fn run(args: &PlanArgs, colour: ColourChoice) -> Exit {
    let all = match check::load(&args.file, &settings(&args.scenario), colour) {
        Ok(all) => all,
        Err(exit) => return exit,
    };
    if args.answer.output() == OutputChoice::Json {
        let json = match &all[..] {
            [one] => one.plan.to_json(),
            several => Plan::list_to_json(several.iter().map(|loaded| &loaded.plan)),
        };
        return match json {
            Ok(text) => {
                print(&(text + "\n"));
                Exit::Graceful
            }
            Err(error) => fail(Exit::Failed, &error),
        };
    }
    for (number, loaded) in all.iter().enumerate() {
        if number > 0 {
            print("\n");
        }
        let text = plan_text(&loaded.plan);
        print(&if std::io::stdout().is_terminal() { text } else { ascii(&text) });
    }
    Exit::Graceful
}
