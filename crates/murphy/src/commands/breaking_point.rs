//! `murphy breaking-point FILE --vary NAME`: the level of a fault at which users of a load are not served any more. Each level is a
//! whole run of the scenario with `${NAME}` set to it, so that every level begins with a healthy service.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use murphy_core::{Chance, Frequency, LoadName, Rate, Seed, Span};
use murphy_runner::{StopReason, read_events};
use murphy_scenario::Loaded;
use murphy_verdict::limit::{Bounds, Goal, Next, Search};
use murphy_verdict::{Answered, Hearing};

use super::again::again;
use super::answer::answer;
use super::breaking_point_told::{Ended, Found, Level, LimitFound, StandingFound};
use super::experiment::{Bench, settings};
use super::{check, fail, murmur, runtime};
use crate::args::{BreakingPointArgs, ColourChoice};
use crate::exit::Exit;
use crate::output_args::OutputArgs;
use crate::signals;

/// What is varied: a number with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// A delay, in milliseconds.
    Time,
    /// A share, in percent.
    Share,
    /// A bandwidth, in bytes a second. Less is worse, so its search runs over the inverse.
    Rate,
}

impl Axis {
    /// The axis and the value of a bound; the value grows with the trouble.
    fn of(text: &str) -> Option<(Axis, f64)> {
        if let Ok(span) = text.parse::<Span>() {
            return Some((Axis::Time, span.as_secs_f64() * 1e3));
        }
        if let Ok(chance) = text.parse::<Chance>() {
            return Some((Axis::Share, chance.as_fraction() * 100.0));
        }
        let rate: Rate = text.parse().ok()?;
        Some((Axis::Rate, 1e9 / rate.as_bytes_per_sec().max(1) as f64))
    }

    /// As a scenario writes it.
    pub fn text(self, level: f64) -> String {
        match self {
            Axis::Time if level < 10.0 => format!("{}us", (level * 1e3).round().max(1.0)),
            Axis::Time => format!("{}ms", level.round()),
            Axis::Share => format!("{}%", (level * 100.0).round() / 100.0),
            Axis::Rate => format!("{}B/s", (1e9 / level).round().max(1.0)),
        }
    }

    fn finest(self) -> f64 {
        match self {
            Axis::Time => 10.0,
            Axis::Share => 0.5,
            Axis::Rate => 0.0,
        }
    }
}

/// `99%`, or `99% < 500ms`.
fn goal(text: &str) -> Result<(f64, Option<Span>), String> {
    let (share, within) = match text.split_once('<') {
        Some((share, within)) => (share, Some(within.trim())),
        None => (text, None),
    };
    let share: Chance = share.trim().parse().map_err(|error| format!("{error}"))?;
    if !(0.5..1.0).contains(&share.as_fraction()) {
        return Err(format!("`{}` must be at least 50% and below 100%", text.trim()));
    }
    let within = within.map(str::parse::<Span>).transpose().map_err(|error| format!("{error}"))?;
    Ok((share.as_fraction(), within))
}

/// Searches.
pub fn run(args: &BreakingPointArgs, colour: ColourChoice) -> Exit {
    let (Some((axis, from)), Some((other, to))) = (Axis::of(&args.from), Axis::of(&args.to)) else {
        return fail(Exit::Usage, &"`--from` and `--to` need a unit: 20ms, 1%, 100kB/s");
    };
    if axis != other || from <= 0.0 || to <= from {
        return fail(
            Exit::Usage,
            &"`--from` and `--to` must be of one kind, and `--to` the worse: --from 20ms --to 5s, --from 1MB/s --to 10kB/s",
        );
    }
    let (success, within) = match goal(&args.goal) {
        Ok(goal) => goal,
        Err(why) => {
            return fail(Exit::Usage, &format_args!("--goal: {why}; write \"99%\" or \"99% < 500ms\""));
        }
    };
    let bench = match Bench::new(&OutputArgs { report_dir: args.report_dir.clone(), ..OutputArgs::default() })
    {
        Ok(bench) => bench,
        Err(exit) => return exit,
    };
    // A mistake in the file is told before anything is started.
    let first = match at_level(args, axis, from, colour) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let Some(load) =
        first.plan.loads.iter().find(|load| args.load.as_ref().is_none_or(|name| *name == load.name))
    else {
        return fail(Exit::Usage, &"the scenario has no such load: see `--load`");
    };
    if let Some(raised) = first.plan.loads.iter().find(|load| load.ramp.is_some()) {
        let why = format!("`{}` is raised while the fault is there: remove its `ramp`", raised.name);
        return fail(Exit::Usage, &format_args!("a level is searched for at one rate of users; {why}"));
    }
    let asked = Asked {
        axis,
        load: load.name.clone(),
        rate: load.rate,
        within,
        scenario: first.plan.name.clone(),
        seed: first.plan.seed,
    };
    let bounds = Bounds { from, to, finest: axis.finest(), share: 0.05 };
    let search = Search::new(bounds, Goal::of_success(success), load.rate.as_per_second());
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(signals::heeded(&bench.stop, search_on(args, &asked, search, &bench, colour)))
}

struct Asked {
    axis: Axis,
    load: LoadName,
    rate: Frequency,
    within: Option<Span>,
    scenario: String,
    seed: Seed,
}

fn at_level(args: &BreakingPointArgs, axis: Axis, level: f64, colour: ColourChoice) -> Result<Loaded, Exit> {
    let mut settings = settings(&args.scenario);
    settings.set.insert(args.vary.clone(), axis.text(level));
    check::load_one(&args.file, &settings, colour)
}

async fn search_on(
    args: &BreakingPointArgs,
    asked: &Asked,
    mut search: Search,
    bench: &Bench,
    colour: ColourChoice,
) -> Exit {
    let began = Instant::now();
    let budget = Duration::from(args.budget);
    let mut longest = Duration::ZERO;
    let mut runs = 0;
    // What was decided so far is told however it ends; the exit says why it did.
    let early = |search: &Search, runs: usize, exit: Exit| {
        let _ = told(args, asked, search, began.elapsed(), runs, Ended::Early);
        exit
    };
    while let Next::Try(level) = search.next() {
        // The budget is kept: a run that would not end within it is not begun.
        if began.elapsed() + longest > budget {
            return told(args, asked, &search, began.elapsed(), runs, Ended::Budget);
        }
        let start = Instant::now();
        let loaded = match at_level(args, asked.axis, level, colour) {
            Ok(loaded) => loaded,
            Err(exit) => return early(&search, runs, exit),
        };
        let text = asked.axis.text(level);
        let again = again("run", &args.file, &args.scenario, &loaded, Some((&args.vary, &text)));
        let finished = bench.carry_out(&loaded.plan, again, &text).await;
        let (Some(dir), None) = (&finished.dir, bench.stop.reason()) else {
            return early(&search, runs, ended_by(finished.exit, bench.stop.reason()));
        };
        if matches!(finished.exit, Exit::Failed | Exit::NotReverted) {
            return early(&search, runs, finished.exit);
        }
        match count(dir.journal().as_path(), asked) {
            Ok(Answered { unfit: Some(why), .. }) => {
                let why = format!("at {text}: {why}; see {}", dir.path().display());
                return early(&search, runs, fail(Exit::Inconclusive, &why));
            }
            Ok(Answered { n: 0, .. }) => {
                let why = "no request was sent during the fault: the load needs a rate, the fault a length";
                return early(&search, runs, fail(Exit::Failed, &why));
            }
            Ok(seen) => {
                runs += 1;
                search.take(seen.trial());
                progress(&format!("{text}: {} of {} bad\n", seen.bad, seen.n));
            }
            Err(exit) => return early(&search, runs, exit),
        }
        longest = longest.max(start.elapsed());
    }
    told(args, asked, &search, began.elapsed(), runs, Ended::Complete)
}

/// The exit of a search that ends with this run. The run may have been past all that a signal can end: then it is the search that
/// was interrupted, however well the run ended.
fn ended_by(run: Exit, stopped: Option<&StopReason>) -> Exit {
    match stopped {
        Some(StopReason::Signal { number, .. }) => run.worst(Exit::Signal(*number)),
        _ => run,
    }
}

fn progress(text: &str) {
    let end = if std::io::stderr().is_terminal() { "\r" } else { "" };
    murmur(&format_args!("{end}  level {text}"));
}

fn count(journal: &Path, asked: &Asked) -> Result<Answered, Exit> {
    let mut hearing = Hearing::default();
    read_events(journal, &mut |event| hearing.take(&event))
        .map_err(|error| fail(Exit::Failed, &format_args!("{}: {error}", journal.display())))?;
    Ok(hearing.answered(&asked.load, asked.within))
}

/// Prints what is known now. Only a whole search with an answer ends well.
fn told(
    args: &BreakingPointArgs,
    asked: &Asked,
    search: &Search,
    took: Duration,
    runs: usize,
    ended: Ended,
) -> Exit {
    let axis = asked.axis;
    let found = Found {
        format: Found::FORMAT,
        scenario: asked.scenario.clone(),
        seed: asked.seed,
        vary: args.vary.clone(),
        load: asked.load.clone(),
        rate: asked.rate,
        goal: args.goal.clone(),
        limit: search.so_far().map(|limit| LimitFound::of(limit, axis)),
        standing: StandingFound::of(search.standing(), axis),
        levels: search.decided().iter().map(|decided| Level::of(decided, axis)).collect(),
        runs,
        took: Span::from_millis(took.as_millis() as u64),
        ended,
    };
    let told = answer(args.answer.output, &found, || found.text());
    let exit = if found.is_settled() { Exit::Graceful } else { Exit::Inconclusive };
    exit.worst(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_written_as_a_scenario_reads_them() {
        for (text, back) in [("20ms", "20ms"), ("1.5s", "1500ms"), ("2%", "2%"), ("100kB/s", "100000B/s")] {
            let (axis, level) = Axis::of(text).unwrap();
            assert_eq!(axis.text(level), back);
        }
        assert_eq!(Axis::of("20"), None);
    }

    #[test]
    fn less_bandwidth_is_a_higher_level() {
        let level = |text| Axis::of(text).unwrap().1;
        assert!(level("10kB/s") > level("1MB/s"));
    }

    #[test]
    fn a_signal_past_the_end_of_a_run_ends_the_search_with_its_code() {
        let signal = StopReason::Signal { name: "SIGTERM", number: 15 };
        assert_eq!(ended_by(Exit::Graceful, Some(&signal)), Exit::Signal(15));
        assert_eq!(ended_by(Exit::NotReverted, Some(&signal)), Exit::NotReverted);
        assert_eq!(ended_by(Exit::Failed, None), Exit::Failed);
    }

    #[test]
    fn a_goal_is_a_share_with_or_without_a_time() {
        assert_eq!(goal("99%"), Ok((0.99, None)));
        assert_eq!(goal("99.5% < 500ms"), Ok((0.995, Some(Span::from_millis(500)))));
        for wrong in ["99", "100%", "20%", "99% < 500", ""] {
            assert!(goal(wrong).is_err(), "{wrong}");
        }
    }
}
