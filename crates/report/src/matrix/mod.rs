//! What an exploration found: for each edge and each fault on it, how the users fared.

mod closing;
mod coverage;
mod fallback_edge;
mod grid;
mod markdown;
mod pruning;
mod spot_check;
mod text;

use murphy_core::{Answer, Seed, Subject, Verdict};
use murphy_verdict::{DependencyClass, Detector, Judgement, Reading, RowKind};
use serde::Serialize;

pub use closing::Closing;
pub use coverage::{Cost, Coverage, Extent, Intent};
pub use fallback_edge::FallbackEdge;
pub(crate) use grid::{Grid, Spot};
pub use pruning::Pruning;
pub use spot_check::SpotCheck;

/// Edge and fault against outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Matrix {
    /// Version of this form.
    pub format: u32,
    /// The scenario.
    pub scenario: String,
    /// Root of all choices.
    pub seed: Seed,
    /// What was to be done; `None` before that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Intent>,
    /// What it took; `None` before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// How much was tried of all that could be; `None` before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What was run.
    pub cells: Vec<Cell>,
    /// What was not.
    pub left_out: Vec<LeftOut>,
    /// Edges that are called under a fault only; their faults were tried beside that one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback_edges: Vec<FallbackEdge>,
    /// What became of pairs that were tried though a rule leaves them out; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_check: Option<SpotCheck>,
    /// Whether all was at the end as at the beginning; `None` where nothing was tried, or what was found must be left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// Why it ended before its end, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// One fault on one edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// Where.
    pub edge: String,
    /// What, as printed: `latency 1s`.
    pub fault: String,
    /// Whether what the scenario asks for its users held.
    pub verdict: Verdict,
    /// How each load fared.
    pub users: Vec<Users>,
    /// What did not hold, or why it could not be told: one sentence each.
    pub because: Vec<String>,
    /// The run's directory.
    pub run: String,
}

/// How the users of one load fared during the fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Users {
    /// Which load.
    pub load: String,
    /// What they can do without the edge; `None` where it was not told.
    pub class: Option<DependencyClass>,
    /// The share that was answered; `None` where it was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<Reading>,
}

/// One fault on one edge that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Where.
    pub edge: String,
    /// What.
    pub fault: String,
    /// Why, with what is taken for granted by it.
    pub why: String,
    /// By which rule; `None` if it was to be tried and could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Pruning>,
}

impl LeftOut {
    /// As a sentence: `refuse on db: no time is left`, with the rule behind it.
    pub(crate) fn text(&self) -> String {
        let rule = self.rule.map_or_else(String::new, |rule| format!(" [{rule}]"));
        format!("{} on {}: {}{rule}", self.fault, self.edge, self.why)
    }

    /// True if one fault on one edge was meant, and no pair of them.
    pub(crate) fn is_single(&self) -> bool {
        !self.edge.contains(Cell::BETWEEN) && !self.fault.starts_with(LeftOut::PAIRS)
    }

    /// Begins the text of a fault of which only what breaks something else too was left out.
    pub const PAIRS: &str = "pairs with ";
}

impl Users {
    /// What they can do, and how many were answered: `soft 900/900`.
    pub(crate) fn text(&self) -> String {
        let share = self.success.as_ref().map_or("", |reading| reading.text.as_str());
        let class = self.class.map_or_else(|| "?".to_owned(), |class| class.to_string());
        format!("{class} {share}").trim_end().to_owned()
    }
}

impl Cell {
    /// Stands between two edges, and between two faults, that were broken at once.
    pub const BETWEEN: &str = " + ";

    /// True if nothing else was broken: the name of an edge has no blanks.
    pub(crate) fn is_single(&self) -> bool {
        !self.edge.contains(Cell::BETWEEN)
    }

    /// Of a judged run.
    pub fn of(edge: &str, fault: String, judgement: &Judgement, run: String) -> Cell {
        let mut users = Vec::new();
        for finding in &judgement.findings {
            let (Detector::Dependency, Subject::Load(load)) = (finding.detector, &finding.subject) else {
                continue;
            };
            let success = finding.param("success").cloned();
            users.push(Users { load: load.to_string(), class: finding.class(), success });
        }
        let rows = |wanted: Answer| judgement.rows.iter().filter(move |row| row.answer == wanted);
        let because = match judgement.verdict {
            Verdict::Graceful => Vec::new(),
            Verdict::NotGraceful => rows(Answer::Fail)
                .map(|row| match (row.kind, &row.during) {
                    (RowKind::Alive, _) | (_, None) => format!("{}: {}", row.label, row.reason),
                    (_, Some(during)) => format!("{} {}, want {}", row.label, during.text, row.want),
                })
                .collect(),
            Verdict::Inconclusive => {
                let gates = judgement.gates.iter().filter(|gate| !gate.holds).map(|gate| gate.text.clone());
                let rows = rows(Answer::Inconclusive).map(|row| format!("{}: {}", row.label, row.reason));
                rows.chain(gates).take(2).collect()
            }
        };
        Cell { edge: edge.to_owned(), fault, verdict: judgement.verdict, users, because, run }
    }
}

impl Matrix {
    /// The form that this build writes.
    pub const FORMAT: u32 = 1;

    /// Of an exploration that has not begun.
    pub fn new(scenario: &str, seed: Seed) -> Matrix {
        Matrix {
            format: Matrix::FORMAT,
            scenario: scenario.to_owned(),
            seed,
            plan: None,
            cost: None,
            coverage: None,
            cells: Vec::new(),
            left_out: Vec::new(),
            fallback_edges: Vec::new(),
            spot_check: None,
            closing: None,
            stopped: None,
        }
    }

    /// What is to be said of the whole, a line each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let fallbacks = self.fallback_edges.iter().map(FallbackEdge::text);
        let checked = self.spot_check.iter().flat_map(SpotCheck::lines);
        let closing = self.closing.iter().map(Closing::text);
        let covered = self.coverage.iter().flat_map(Coverage::lines);
        let cost = self.cost.iter().map(|cost| cost.text(self.plan.as_ref()));
        fallbacks.chain(checked).chain(closing).chain(covered).chain(cost).collect()
    }

    /// How much was tried, in a line.
    pub(crate) fn extent(&self) -> String {
        format!("{} tried, {} left out, seed {}", self.cells.len(), self.left_out.len(), self.seed)
    }
}
