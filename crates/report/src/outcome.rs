//! What came of one scenario of an invocation: reports that hold several scenarios tell all of them, also those that were
//! not carried out.

use murphy_verdict::Judgement;

use crate::timeline::Timeline;

/// One scenario, as far as it came.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its `name`.
    pub scenario: String,
    /// Its file, as given on the command line; empty for an embedded one.
    pub source: String,
    /// How far it came.
    pub came: Came,
}

/// How far a scenario came.
#[derive(Debug, Clone)]
pub enum Came {
    /// To a judgement, if only to one that says that the run failed.
    Judged {
        /// The judgement.
        judgement: Box<Judgement>,
        /// What can be drawn of it.
        timeline: Box<Timeline>,
    },
    /// Nothing was begun, or nothing is left of it.
    NotCarriedOut {
        /// Why, as printed.
        why: String,
    },
    /// It was not its turn: an earlier scenario ended the invocation, or the time budget was used up.
    NotRun {
        /// Why.
        why: String,
    },
}
