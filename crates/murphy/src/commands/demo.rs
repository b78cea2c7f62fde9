//! `murphy demo`: the embedded example. Two builds of one shop, the same faults, both verdicts, then what to try next.

use murphy_report::{Came, Outcome};
use murphy_scenario::Settings;
use serde_json::json;

use super::answer::answer;
use super::experiment::{Bench, Finished};
use super::outcomes::Told;
use super::report_files::write_reports;
use super::run::{keep, show};
use super::{fail, murmur, note, print, runtime};
use crate::args::{ColourChoice, DemoArgs};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::{signals, style};

const SHOPS: [(&str, &str); 2] = [("careful", murphy_demo::CAREFUL), ("careless", murphy_demo::CARELESS)];

/// Runs both shops side by side. Ends with 0 if the demo went as it should: one graceful, one not.
pub fn run(args: &DemoArgs, colour: ColourChoice) -> Exit {
    if let Some(dir) = &args.write {
        return write(dir, args.answer.output);
    }
    let (bench, runtime) = match (Bench::new(&args.output), runtime()) {
        (Ok(bench), Ok(runtime)) => (bench, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    runtime.block_on(signals::heeded(&bench.stop, both(args, &bench, colour)))
}

fn write(dir: &std::path::Path, output: OutputChoice) -> Exit {
    let (mut written, mut exit) = (Vec::new(), Exit::Graceful);
    for (name, text) in SHOPS {
        let path = dir.join(format!("{name}.yaml"));
        if let Err(error) = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, text)) {
            exit = fail(Exit::Failed, &format_args!("cannot write {}: {error}", path.display()));
            break;
        }
        written.push(path.display().to_string());
    }
    let lines = || -> String { written.iter().map(|path| format!("{path}\n")).collect() };
    exit.worst(answer(output, &json!({ "written": written }), lines))
}

async fn both(args: &DemoArgs, bench: &Bench, colour: ColourChoice) -> Exit {
    note(
        &"Two builds of one small shop, each a few real processes. Murphy breaks the same things in front of both.",
    );
    let (careful, careless) = tokio::join!(one(bench, SHOPS[0]), one(bench, SHOPS[1]));
    let style = style::report(colour);
    for finished in [&careful, &careless] {
        match args.answer.output {
            OutputChoice::Text => {
                print("\n");
                show(finished, style);
            }
            OutputChoice::Json => keep(finished),
        }
    }
    let told =
        [&careful, &careless].map(|shop| Told::of(&shop.outcome, shop.dir.as_ref().map(|dir| dir.path())));
    let told = answer(args.answer.output, &told, String::new);
    let difference = difference(&careful, &careless);
    let written = write_reports(&args.output.files(), &[careful.outcome, careless.outcome]);
    let exit = match (careful.exit, careless.exit) {
        (Exit::Graceful, Exit::NotGraceful) => {
            if args.answer.output == OutputChoice::Text {
                print(&difference);
                print(NEXT);
            }
            Exit::Graceful
        }
        (signal @ Exit::Signal(_), _) | (_, signal @ Exit::Signal(_)) => signal,
        (careful, careless) => careful.worst(careless).worst(fail(
            Exit::Failed,
            &"the demo did not go as it should: the careful shop is to be graceful, the careless one not; \
              on a very busy machine, try again",
        )),
    };
    exit.worst(told).worst(written)
}

async fn one(bench: &Bench, (name, text): (&str, &str)) -> Finished {
    match murphy_scenario::load_text(name, text, &Settings::default()) {
        Ok(loaded) => bench.carry_out(&loaded.plan, "murphy demo".to_owned(), name).await,
        Err(diagnostics) => {
            murmur(&diagnostics.render(murphy_scenario::Colour::Never));
            let why = "the embedded scenario has mistakes".to_owned();
            let (scenario, source) = (name.to_owned(), String::new());
            let outcome = Outcome { scenario, source, came: Came::NotCarriedOut { why } };
            Finished { dir: None, outcome, exit: Exit::Failed }
        }
    }
}

/// The two verdicts in a sentence.
fn difference(careful: &Finished, careless: &Finished) -> String {
    let served = |shop: &Finished| {
        let Came::Judged { judgement, .. } = &shop.outcome.came else { return None };
        let row = judgement.rows.iter().find(|row| row.label == "browse success")?;
        row.during.as_ref().map(|during| during.text.clone())
    };
    match (served(careful), served(careless)) {
        (Some(careful), Some(careless)) => format!(
            "\nThe same faults, the same users: while they lasted, the careful shop served {careful} of those who browse, \
             the careless one {careless}.\n"
        ),
        _ => String::new(),
    }
}

const NEXT: &str = "
What to try next:
  murphy demo --write .            the two scenarios as files; change a number, then: murphy run careless.yaml
  murphy explain                   every fault and exit code
  murphy plan careful.yaml         what a run would do, step by step, without doing it
";
