//! `murphy explore FILE`: every fault of a short list on every edge of a scenario, one at a time, and what it does to the users.
//! Each is an ordinary run. What is left out is told, with what is taken for granted by it.

use std::path::Path;
use std::time::{Duration, Instant};

use murphy_core::{PhaseLengths, Span, Verdict};
use murphy_report::{Came, Cell, Cost, Coverage, Extent, Intent, LeftOut, Matrix, Outcome, Pruning};
use murphy_runner::{RunDir, StopReason, read_events};
use murphy_scenario::{Loaded, Plan, Single, StackKeep};
use murphy_verdict::{DependencyClass, Finding, Hearing, Traffic};

use super::again::again;
use super::answer::answer;
use super::experiment::{Bench, settings};
use super::explore_alone::{Alone, keeps_connections};
use super::explore_drawn::Fared;
use super::explore_edges;
use super::explore_files::OpenFiles;
use super::explore_pairs;
use super::explore_steps::Left;
use super::explore_why;
use super::run::keep;
use super::{check, fail, note, runtime};
use crate::args::{ColourChoice, ExploreArgs};
use crate::exit::Exit;
use crate::output_args::OutputArgs;
use crate::{signals, style};

/// Explores.
pub fn run(args: &ExploreArgs, colour: ColourChoice) -> Exit {
    let mut scenario = match check::load_one(&args.file, &settings(&args.scenario), colour) {
        Ok(scenario) => scenario,
        Err(exit) => return exit,
    };
    let mut left_out = Vec::new();
    if scenario.plan.edges.is_empty() {
        let found = match explore_edges::found(&scenario.plan) {
            Ok(found) => found,
            Err(why) => return fail(Exit::Usage, &why),
        };
        for remark in &found.remarks {
            note(remark);
        }
        (scenario.plan.edges, left_out) = (found.edges, found.left_out);
        let names: Vec<&str> = scenario.plan.edges.iter().map(|edge| edge.name.as_str()).collect();
        // Murphy sits in on no calls that are not asked for; a name that is no edge is told below.
        if !args.only_edge.is_empty() && args.only_edge.iter().all(|name| names.contains(&name.as_str())) {
            scenario.plan.edges.retain(|edge| args.only_edge.iter().any(|name| name == edge.name.as_str()));
        }
    }
    let plan = &scenario.plan;
    let wanted = match wanted(args, plan) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let files = match OpenFiles::new(&args.files()) {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    let output = OutputArgs { report_dir: args.report_dir.clone(), ..OutputArgs::default() };
    let (bench, runtime) = match (Bench::new(&output), runtime()) {
        (Ok(bench), Ok(runtime)) => (bench, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let intent = Intent {
        budget: args.budget,
        run_takes: least(plan).into(),
        singles: wanted.len(),
        pairs: if args.pairs { explore_pairs::count(&wanted) } else { 0 },
    };
    note(&intent.text());
    let mut exploration = Exploration {
        args,
        bench: &bench,
        scenario: &scenario,
        plan,
        began: Instant::now(),
        longest: least(plan),
        // The first fault, and nothing broken at the end: without either a beginning is of no use.
        reserve: least(plan) * 2,
        over: None,
        exit: Exit::Graceful,
        begun: 0,
        runs: Vec::new(),
        left: Left::default(),
        control: Traffic::default(),
        seen: Vec::new(),
        matrix: Matrix { left_out, plan: Some(intent), ..Matrix::new(&plan.name, plan.seed) },
    };
    runtime.block_on(signals::heeded(&bench.stop, async {
        exploration.all(wanted).await;
        exploration.told(files, colour)
    }))
}

/// What a run takes at least: its phases but those that only a run takes whose users stay badly served, and two readings of what was
/// written.
fn least(plan: &Plan) -> Duration {
    let settles = plan.loads.iter().filter_map(|load| load.ledger.as_ref()).map(|ledger| ledger.settle);
    let phases = PhaseLengths { quiet: Span::ZERO, again: Span::ZERO, ..plan.phases };
    phases.total().as_duration() + settles.max().unwrap_or_default().as_duration()
}

/// What is to be tried, by the command line.
fn wanted(args: &ExploreArgs, plan: &Plan) -> Result<Vec<Single>, Exit> {
    let usage = |message: String| Err(fail(Exit::Usage, &message));
    if plan.edges.is_empty() || plan.loads.is_empty() {
        return usage(
            "the scenario needs an edge to break, or a stack whose compose files tell of calls, and a load whose users may notice"
                .to_owned(),
        );
    }
    if plan.phases.fault.is_zero() {
        return usage(
            "the scenario has no fault phase: write for example `phases: { fault: 10s }`".to_owned(),
        );
    }
    let edges: Vec<&str> = plan.edges.iter().map(|edge| edge.name.as_str()).collect();
    if let Some(wrong) = args.only_edge.iter().find(|name| !edges.contains(&name.as_str())) {
        return usage(format!("--only-edge {wrong}: there are {}", edges.join(", ")));
    }
    let asked = |given: &[String], name: &str| given.is_empty() || given.iter().any(|one| one == name);
    let mut all = Single::all(plan);
    all.retain(|one| asked(&args.only_edge, one.edge.as_str()) && asked(&args.faults, one.kind()));
    if all.is_empty() {
        return usage(
            "nothing is left to try: abort, truncate and lose-response need `protocol: http`".to_owned(),
        );
    }
    Ok(all)
}

pub(super) struct Exploration<'a> {
    pub(super) args: &'a ExploreArgs,
    pub(super) bench: &'a Bench,
    scenario: &'a Loaded,
    pub(super) plan: &'a Plan,
    pub(super) began: Instant,
    /// The longest run so far; before the first one, what it takes at least.
    longest: Duration,
    /// What must be left of the budget once the next run has ended, for the one with nothing broken at the end.
    pub(super) reserve: Duration,
    pub(super) over: Option<Over>,
    pub(super) exit: Exit,
    /// Runs that were begun, those with nothing broken included.
    begun: usize,
    /// One for each cell of the matrix.
    runs: Vec<Outcome>,
    pub(super) left: Left,
    /// Who called whom with nothing broken.
    pub(super) control: Traffic,
    /// And in each run with something broken, with how it was judged.
    pub(super) seen: Vec<(Verdict, Traffic)>,
    pub(super) matrix: Matrix,
}

/// Why nothing else is run.
pub(super) enum Over {
    /// The budget would be exceeded.
    Time(String),
    /// What was found is to be left as it is, or something does not work.
    Ended(String),
}

impl Over {
    fn why(&self) -> &str {
        let (Over::Time(why) | Over::Ended(why)) = self;
        why
    }
}

/// A run that has ended.
pub(super) struct Ran {
    pub(super) outcome: Outcome,
    pub(super) exit: Exit,
    /// Its directory.
    run: String,
    pub(super) traffic: Traffic,
}

/// What a run with something broken told.
pub(super) struct Told {
    verdict: Verdict,
    /// What the users of each load could do.
    classes: Vec<Option<DependencyClass>>,
    traffic: Traffic,
}

impl Told {
    pub(super) fn fared(self) -> Fared {
        Fared { verdict: self.verdict, classes: self.classes }
    }
}

/// Who called whom in a run, by its journal; nothing if that cannot be read, which was told when the run was judged.
fn traffic(journal: &Path) -> Traffic {
    let mut hearing = Hearing::default();
    let read = read_events(journal, &mut |event| hearing.take(&event));
    read.map(|()| hearing.traffic()).unwrap_or_default()
}

/// Faults and where they are, as printed: `payments`, `refuse`.
pub(super) fn places(these: &[&Single]) -> (String, String) {
    let joined = |what: &dyn Fn(&Single) -> String| {
        these.iter().map(|one| what(one)).collect::<Vec<_>>().join(Cell::BETWEEN)
    };
    (joined(&|one| one.edge.to_string()), joined(&|one| one.text()))
}

impl Exploration<'_> {
    async fn all(&mut self, wanted: Vec<Single>) {
        let quiet = match self.control().await {
            Ok(quiet) => quiet,
            Err(why) => {
                self.over.get_or_insert(Over::Ended(why));
                Vec::new()
            }
        };
        let all = explore_pairs::count(&wanted);
        let (without_calls, with_calls): (Vec<Single>, Vec<Single>) =
            wanted.into_iter().partition(|single| quiet.contains(&single.edge));
        let of_no_use = all - explore_pairs::count(&with_calls);
        let (kept, telling): (Vec<Single>, Vec<Single>) =
            with_calls.iter().cloned().partition(|single| keeps_connections(single, &self.control));
        let of_kept = explore_pairs::count(&with_calls) - explore_pairs::count(&telling);
        for single in &kept {
            self.left_out_as_kept(single);
        }
        let mut alone = Vec::new();
        for single in telling {
            let told = self.tried(&[&single]).await;
            if let Some(Told { verdict, classes, traffic }) = told {
                alone.push(Alone { single, verdict, classes, traffic });
            }
        }
        // The way out is broken with what it stands in for before any other two.
        self.fallbacks(&without_calls, &alone).await;
        self.left.pairs.insert(Pruning::NoCalls, of_no_use.saturating_sub(self.left.ways));
        self.left.pairs.insert(Pruning::KeptConnections, of_kept);
        if self.args.pairs {
            self.pairs(&alone).await;
        }
        self.close().await;
    }

    pub(super) fn left_out(&mut self, these: &[&Single], why: String, rule: Option<Pruning>) {
        let (edge, fault) = places(these);
        self.matrix.left_out.push(LeftOut { edge, fault, why, rule });
    }

    /// Leaves out a share of connections that are too few.
    pub(super) fn left_out_as_kept(&mut self, single: &Single) {
        *self.left.singles.entry(Pruning::KeptConnections).or_default() += 1;
        self.left_out(&[single], explore_why::KEPT_CONNECTIONS.to_owned(), Some(Pruning::KeptConnections));
    }

    pub(super) fn late(&self) -> String {
        format!("no time is left: --budget {}", self.args.budget)
    }

    /// True if one more run would end within the budget, and the one that ends all with it.
    fn fits(&self) -> bool {
        self.began.elapsed() + self.longest + self.reserve <= self.args.budget.as_duration()
    }

    /// True if nothing speaks against one more run.
    pub(super) fn has_time(&self) -> bool {
        self.over.is_none() && self.bench.stop.reason().is_none() && self.fits()
    }

    /// Takes a signal for the end of all, also one that came between two runs.
    pub(super) fn heed_signal(&mut self) {
        if let Some(StopReason::Signal { name, number }) = self.bench.stop.reason() {
            // The run before may have been past all that a signal can end.
            self.exit = self.exit.worst(Exit::Signal(*number));
            self.over.get_or_insert_with(|| Over::Ended(format!("interrupted by {name}")));
        }
    }

    /// Why no other run is begun.
    pub(super) fn no_more(&mut self) -> Option<String> {
        self.heed_signal();
        if self.over.is_none() && !self.fits() {
            self.exit = self.exit.worst(Exit::Inconclusive);
            self.over = Some(Over::Time(self.late()));
        }
        self.over.as_ref().map(|over| over.why().to_owned())
    }

    /// One run with these faults; `None` if there is none that can be judged.
    pub(super) async fn tried(&mut self, these: &[&Single]) -> Option<Told> {
        let (edge, fault) = places(these);
        if let Some(why) = self.no_more() {
            self.left_out(these, why, None);
            return None;
        }
        let mut only: String = these.iter().map(|one| format!(" --only-edge {}", one.edge)).collect();
        let faults: Vec<&str> = these.iter().map(|one| one.kind()).collect();
        only += &format!(" --faults {}", faults.join(","));
        if these.len() > 1 {
            only += " --pairs";
        }
        let Ran { outcome, exit, run, traffic } =
            self.run(&Single::plan(these, self.plan), only, &format!("{edge}: {fault}")).await;
        self.exit = self.exit.worst(exit);
        let judgement = match &outcome.came {
            Came::Judged { judgement, .. } => judgement,
            Came::NotCarriedOut { why } | Came::NotRun { why } => {
                let why = format!("not carried out: {why}");
                self.over = Some(Over::Ended("a run was not carried out".to_owned()));
                self.left_out(these, why, None);
                return None;
            }
        };
        note(&format_args!("{edge}: {fault}: {}", judgement.verdict));
        let cell = Cell::of(&edge, fault, judgement, run);
        let classes = cell.users.iter().map(|users| users.class).collect();
        let told = Some(Told { verdict: cell.verdict, classes, traffic: traffic.clone() });
        self.matrix.cells.push(cell);
        self.seen.push((judgement.verdict, traffic));
        let lost = judgement.findings.iter().find(|finding| finding.is_data_loss());
        let lost = lost.map(|finding| format!("data is lost: {}", finding.text));
        let stuck = judgement.findings.iter().any(Finding::keeps_failing);
        self.runs.push(outcome);
        let why = match exit {
            Exit::NotReverted => "something was not taken back: murphy undo",
            Exit::Signal(_) => "interrupted",
            Exit::Failed => "a run was not carried out",
            // What comes next would write over what may still be found.
            _ if lost.is_some() => {
                self.exit = self.exit.worst(Exit::Inconclusive);
                lost.as_deref().unwrap_or_default()
            }
            _ if stuck && !self.begins_anew() => {
                self.exit = self.exit.worst(Exit::Inconclusive);
                "the services did not come back by themselves: they are broken, or the recovery phase is too short"
            }
            _ => return told,
        };
        self.over = Some(Over::Ended(why.to_owned()));
        told
    }

    /// True if Murphy starts the services, which are well again with each run.
    fn begins_anew(&self) -> bool {
        let stack = self.plan.stack.as_ref();
        !self.plan.services.is_empty() || stack.is_some_and(|stack| stack.keep == StackKeep::TakenDown)
    }

    pub(super) async fn run(&mut self, plan: &Plan, only: String, label: &str) -> Ran {
        let start = Instant::now();
        self.begun += 1;
        let again = again("explore", &self.args.file, &self.args.scenario, self.scenario, None) + &only;
        let finished = self.bench.carry_out(plan, again, label).await;
        self.longest = self.longest.max(start.elapsed());
        keep(&finished);
        let run = finished.dir.as_ref().map(|dir| dir.path().display().to_string());
        let traffic = match finished.dir.as_ref().map(RunDir::journal) {
            Some(journal) => tokio::task::spawn_blocking(move || traffic(&journal)).await.unwrap_or_default(),
            None => Traffic::default(),
        };
        Ran { outcome: finished.outcome, exit: finished.exit, run: run.unwrap_or_default(), traffic }
    }

    /// How much was tried of all that could be.
    fn coverage(&self, intent: &Intent) -> Coverage {
        let cells = &self.matrix.cells;
        let pairs = cells.iter().filter(|cell| cell.edge.contains(Cell::BETWEEN)).count();
        let singles = cells.len() - pairs + self.left.reached;
        let of_pairs = || Extent::new(intent.pairs, pairs, self.left.pairs.clone());
        Coverage {
            singles: Extent::new(intent.singles, singles, self.left.singles.clone()),
            pairs: self.args.pairs.then(of_pairs),
        }
    }

    fn told(&mut self, files: OpenFiles, colour: ColourChoice) -> Exit {
        self.matrix.coverage = self.matrix.plan.as_ref().map(|intent| self.coverage(intent));
        let took = Span::from(Duration::from_secs(self.began.elapsed().as_secs()));
        self.matrix.cost = Some(Cost { runs: self.begun, took });
        self.matrix.stopped = self.over.take().map(|over| over.why().to_owned());
        let cells = std::mem::take(&mut self.matrix.cells);
        let mut both: Vec<(Cell, Outcome)> = cells.into_iter().zip(std::mem::take(&mut self.runs)).collect();
        both.sort_by(|(one, _), (other, _)| one.edge.cmp(&other.edge));
        (self.matrix.cells, self.runs) = both.into_iter().unzip();
        let told = answer(self.args.answer.output, &self.matrix, || self.matrix.text(style::report(colour)));
        let exit = self.exit.worst(told).worst(files.write(&self.matrix, &self.runs));
        // Nothing tried is nothing known.
        if self.matrix.cells.is_empty() { exit.worst(Exit::Inconclusive) } else { exit }
    }
}
