//! What a run is judged to be: plain data that a report renders and a client reads. No number in here is rounded but in
//! a `text`; nothing in here knows of colours, columns or files.

use std::collections::BTreeMap;
use std::fmt;

use murphy_core::{Answer, FaultId, Offset, Seed, Span, Subject, Tally, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

pub use crate::detector::Detector;

/// The judged run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Version of this form.
    pub format: u32,
    /// The answer of the run.
    pub verdict: Verdict,
    /// How many expectations were asserted, and how they were answered.
    pub count: Count,
    /// What was run.
    pub run: RunFacts,
    /// What was broken.
    pub faults: Vec<FaultFact>,
    /// Whether the run can be trusted.
    pub gates: Vec<Gate>,
    /// One for each expectation, then one for each service that crashed.
    pub rows: Vec<Row>,
    /// What the services do, asserted or not.
    pub findings: Vec<Finding>,
    /// Why expectations failed.
    pub why: Vec<Why>,
    /// What kept the users unharmed.
    pub saved_by: Vec<String>,
    /// What could not be told, and what would tell it.
    pub unknown: Vec<Unknown>,
    /// An `expect:` block of what was measured, rounded outward, ready to paste; empty unless it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub learned: String,
    /// What could not be taken back. Not empty: the machine needs `murphy undo`.
    pub leftovers: Vec<String>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

impl Judgement {
    /// The form that this build writes.
    pub const FORMAT: u32 = 1;

    /// The gate of that kind, if it was checked.
    pub fn gate(&self, id: GateId) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.id == id)
    }

    /// The row of that id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }
}

/// How many rows there are of each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// All rows.
    pub rows: usize,
    /// Those that hold.
    pub passed: usize,
    /// Those that do not hold.
    pub failed: usize,
    /// Those that could not be told.
    pub inconclusive: usize,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// As planned.
    Complete,
    /// A signal ended it early.
    Interrupted {
        /// Which.
        signal: String,
    },
    /// A stop condition ended it early.
    Aborted {
        /// The condition as written.
        rule: String,
    },
    /// It could not be carried out.
    Failed {
        /// Why.
        why: String,
    },
    /// The journal stops in the middle: Murphy itself was killed, or the file was cut.
    Torn,
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFacts {
    /// The scenario's name; empty if the journal has no beginning.
    pub scenario: String,
    /// Its file.
    pub source: String,
    /// The command that repeats it.
    pub again: String,
    /// Murphy's version.
    pub murphy: String,
    /// Root of all choices.
    pub seed: Option<Seed>,
    /// Wall time of the beginning.
    pub started: Option<Timestamp>,
    /// How it ended.
    pub end: RunEnd,
    /// From the first event to the last.
    pub took: Span,
}

/// One fault and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultFact {
    /// Its identity.
    pub id: FaultId,
    /// `latency 800ms`.
    pub text: String,
    /// `web → redis`.
    pub on: String,
    /// What it waited for: `after call 3 on db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Planned length.
    pub lasts: Span,
    /// When it came into the world.
    pub armed: Option<Offset>,
    /// When it was out of the world again.
    pub lifted: Option<Offset>,
    /// What it did, as counted when it was lifted.
    pub tally: Option<Tally>,
}

/// Which condition of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateId {
    /// G0: something is broken, a load is raised, or the run is a control.
    SomethingBroken,
    /// G0: the fault took effect.
    FaultTookEffect,
    /// G1: the baseline is healthy.
    BaselineHealthy,
    /// G2: the load was sent as planned.
    LoadSent,
    /// G2: the load was sent in time.
    LoadOnTime,
    /// G3: no event is missing.
    NothingLost,
    /// G4: the services' processes were there.
    ServicesUp,
    /// G5: nobody intervened by hand. Only asked where somebody did.
    HandsOff,
}

/// One condition of trust.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// Which.
    pub id: GateId,
    /// Whether it holds.
    pub holds: bool,
    /// In a few words, with its numbers: `fault hit 1800/1800 calls`.
    pub text: String,
    /// What to do about it; empty where it holds.
    pub mend: String,
}

/// What a row measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    /// Share of user requests that were answered as expected.
    Success,
    /// A latency quantile.
    Latency,
    /// A probe that must always be good.
    Always,
    /// A probe that must be good in one part of the run.
    Good,
    /// Time to recover.
    Recovery,
    /// The caller's timeout on an edge.
    Timeout,
    /// Tries for one call.
    Attempts,
    /// Calls for each user request, relative to the baseline.
    Amplification,
    /// Whether a breaker opens.
    Breaker,
    /// Failed calls until a breaker opens.
    CallsToOpen,
    /// Time without a call between two tries of an open breaker.
    HalfOpenEvery,
    /// Time until the caller calls as before.
    Closes,
    /// Calls in flight at once.
    Pool,
    /// Loads that must not notice.
    Isolation,
    /// Whether waits between tries grow.
    BackOff,
    /// Whether waits between tries are drawn at random.
    Jitter,
    /// Whether connections come back all at once.
    Reconnect,
    /// Whether connections stay behind.
    Leak,
    /// Whether the caller goes to other instances.
    Failover,
    /// Whether some are refused at once under too much load.
    Shedding,
    /// How many requests a second can be served.
    Capacity,
    /// Whether users can do without what is broken.
    Dependency,
    /// Whether trouble outlasts its cause, fed by the load itself.
    Metastability,
    /// Time to any answer of users who are not served as before.
    FailFast,
    /// The age of degraded answers.
    Staleness,
    /// Whether a probe follows the dependency.
    Follows,
    /// Whether a service starts while a dependency is down.
    StartUp,
    /// Whether acknowledged writes are gone.
    Lost,
    /// Whether writes are kept more often than they were sent.
    Duplicates,
    /// How many acknowledged writes were given up and put aside.
    DeadLetters,
    /// Whether a service's process lived.
    Alive,
}

impl RowKind {
    /// True if a failure stands whatever else is in doubt: a write that is gone is gone.
    pub(crate) fn is_certain(self) -> bool {
        matches!(self, RowKind::Lost | RowKind::Duplicates)
    }
}

/// The unit of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share of a whole, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// A ratio, 1 is unchanged.
    Ratio,
    /// A number of things.
    Count,
    /// Events a second.
    PerSecond,
}

/// A measured value with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// As printed: `1.32s [1.29, 1.39]`.
    pub text: String,
    /// Unit of the numbers.
    pub unit: Unit,
    /// The value, if there is one.
    pub value: Option<f64>,
    /// Lower end of the interval; `None` if the data give none.
    pub low: Option<f64>,
    /// Upper end of the interval; `None` if the data give none.
    pub high: Option<f64>,
    /// Of how many observations.
    pub n: u64,
    /// How many of them count as good, for a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<u64>,
}

/// What users can do without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyClass {
    /// They are served as before.
    Soft,
    /// Fewer are.
    Degraded,
    /// Most are not.
    Hard,
}

impl DependencyClass {
    /// Of a dependency that is not soft, by the upper end of the share that is served without it.
    pub(crate) fn harmed(high: f64) -> DependencyClass {
        if high < 0.5 { DependencyClass::Hard } else { DependencyClass::Degraded }
    }
}

impl fmt::Display for DependencyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DependencyClass::Soft => "soft",
            DependencyClass::Degraded => "degraded",
            DependencyClass::Hard => "hard",
        })
    }
}

/// One expectation and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Stable identity: `browse.p99`.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// What is measured.
    pub kind: RowKind,
    /// As printed: `browse p99`.
    pub label: String,
    /// In the healthy phase.
    pub baseline: Option<Reading>,
    /// While the fault was in the world.
    pub during: Option<Reading>,
    /// After it.
    pub after: Option<Reading>,
    /// The answer.
    pub answer: Answer,
    /// The bound as the author wrote it: `<= 600ms`.
    pub want: String,
    /// The rule by which it was answered, in a sentence.
    pub rule: String,
    /// What decided, in a few words: `drop 0.2pt [0.0, 0.8] < 1pt`.
    pub reason: String,
    /// What would settle an inconclusive answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<String>,
    /// The gates that made it inconclusive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateId>,
}

/// What a detector says. Kept apart from any expectation: a fact is never right or wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there, with these parameters.
    Present {
        /// Name → reading.
        params: BTreeMap<String, Reading>,
    },
    /// It is not there, as far as the stimulus reached.
    Absent {
        /// Name → reading: how far was looked.
        params: BTreeMap<String, Reading>,
    },
    /// Could be either way.
    Inconclusive {
        /// Why.
        why: String,
        /// What would tell.
        settle: String,
        /// What was measured all the same. Name → reading.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<String, Reading>,
    },
    /// The question does not arise.
    NotApplicable {
        /// Why.
        why: String,
    },
}

/// A fact about a load or an edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Who found it.
    pub detector: Detector,
    /// About what.
    pub subject: Subject,
    /// What.
    pub state: State,
    /// In a sentence.
    pub text: String,
}

impl Finding {
    /// The share that is answered after the fault, of a load that keeps failing.
    pub(crate) const KEPT: &'static str = "after";

    /// How many of a load's acknowledged writes stand with the dead letters.
    pub(crate) const DEAD_LETTERED: &'static str = "dead-lettered";

    /// The word for users who need what their load does not declare, or declares soft.
    pub(crate) const HIDDEN: &'static str = "hidden";

    /// How what users need stands to what their load declares, where that is told: `hidden`, `as declared`, or `not needed` though
    /// declared hard.
    pub fn declared(&self) -> Option<&str> {
        let declared = self.param("declared").filter(|_| self.detector == Detector::Dependency);
        declared.map(|declared| declared.text.as_str())
    }

    /// A parameter of a finding that has some.
    pub fn param(&self, name: &str) -> Option<&Reading> {
        match &self.state {
            State::Present { params } | State::Absent { params } | State::Inconclusive { params, .. } => {
                params.get(name)
            }
            State::NotApplicable { .. } => None,
        }
    }

    /// True if a load is down for good, whether it is sent or not: no metastability, and worse.
    pub(crate) fn is_stuck(&self) -> bool {
        let outcome = self.param("outcome").filter(|_| self.detector == Detector::Metastability);
        matches!(self.state, State::Absent { .. }) && outcome.is_some_and(|outcome| outcome.text == "stuck")
    }

    /// True if data is lost: writes that were acknowledged are gone.
    pub fn is_data_loss(&self) -> bool {
        self.detector == Detector::Lost && self.is_present()
    }

    /// True if it is there.
    pub fn is_present(&self) -> bool {
        matches!(self.state, State::Present { .. })
    }

    /// What the users of a load can do without the dependency that was broken, where it is told.
    pub fn class(&self) -> Option<DependencyClass> {
        let high = self.param("success").and_then(|success| success.high);
        match (self.detector, &self.state) {
            (Detector::Dependency, State::Absent { .. }) => Some(DependencyClass::Soft),
            (Detector::Dependency, State::Present { .. }) => Some(DependencyClass::harmed(high?)),
            _ => None,
        }
    }

    /// True if the users of a load go on failing after the fault and it does not get better: metastable, or broken for good.
    pub fn keeps_failing(&self) -> bool {
        self.detector == Detector::Metastability && !self.is_present() && self.param(Finding::KEPT).is_some()
    }
}

/// Why a row failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The row.
    pub row: String,
    /// Its label, as printed.
    pub label: String,
    /// The kind of cause; `unknown` if none fits what was seen.
    pub cause: Cause,
    /// The mechanism, with its numbers.
    pub mechanism: String,
    /// One concrete change.
    pub change: String,
}

/// The kinds of cause that can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A service's process ended by itself.
    Crash,
    /// A sick instance is called on although others are well.
    NoFailover,
    /// Degraded answers were served that the author does not allow.
    DegradedAnswers,
    /// The caller waits for as long as the dependency takes.
    NoTimeout,
    /// The caller gives up, but later than the bound.
    TimeoutTooLong,
    /// Tries and waits add up.
    Retries,
    /// An error of the dependency is handed on to the user.
    ErrorPassedOn,
    /// The caller gives up in time, but has nothing else to answer with.
    NoFallback,
    /// Requests wait for a place in a full pool.
    Queue,
    /// Nothing limits the calls in flight, or what does allows too many.
    NoLimit,
    /// Too many calls for each user request.
    Amplification,
    /// Writes are acknowledged before they are safe.
    LostWrites,
    /// Messages are given up while what they need is away.
    GivenUp,
    /// What was done is done once more, for the caller did not learn of it and the callee cannot tell a second try.
    DoneTwice,
    /// The caller keeps calling.
    NoBreaker,
    /// Tries follow one another without growing waits, or in step with others.
    NoBackOff,
    /// Everybody connects at once.
    Herd,
    /// Connections stay behind.
    Leak,
    /// The load itself keeps the service down.
    Metastable,
    /// Nobody is refused when there are too many.
    NoShedding,
    /// More users come than can be served.
    TooMany,
    /// A health check says something else than the service does.
    HealthCheck,
    /// A service does not start without a dependency.
    NeededToStart,
    /// The service comes back late.
    SlowRecovery,
    /// Not told by what was seen.
    Unknown,
}

/// Something that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What would tell.
    pub settle: String,
}
