//! The calls on one edge as its caller made them: exchanges, and connections that broke before a word was said. What the
//! fault did to them is kept apart from what the caller did about it.

mod callee;
mod reader;

use std::net::IpAddr;

use murphy_core::{EdgeName, ExchangeEnd};

pub(crate) use callee::{acts_on_callee, takes_away};
pub(crate) use reader::EdgeViews;

use crate::marked::Mark;
use crate::phase::{Window, Windows};
use crate::worth::AnswerWorth;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub began: u64,
    /// First byte of the answer delivered.
    pub answered: Option<u64>,
    pub ended: u64,
    pub end: ExchangeEnd,
    /// A fault sat on it: on its bytes, or on the process that should have answered.
    pub touched: bool,
    /// Whether the answer was of use, where the protocol tells; `None` if only its bytes are known.
    pub answer: Option<AnswerWorth>,
    /// The callee did what was asked, its answer was lost, and a second try would do it again.
    pub done_unknown: bool,
    /// Which call it says that it is a try of.
    pub mark: Option<Mark>,
}

impl Call {
    /// How long the caller waited: to the last byte of the answer, or to the end without one.
    pub fn wait(&self) -> u64 {
        self.ended.saturating_sub(self.began)
    }

    /// True if the caller ended it.
    pub fn is_given_up(&self) -> bool {
        matches!(self.end, ExchangeEnd::GivenUp | ExchangeEnd::Cut)
    }

    /// True if Murphy answered, and with what no caller need take for a failure.
    pub fn is_made_up(&self) -> bool {
        self.answer == Some(AnswerWorth::MadeUp)
    }
}

/// One connection of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conn {
    pub opened: u64,
    /// When it was gone; `None` if the journal tells of no end.
    pub closed: Option<u64>,
    /// The caller's host.
    pub peer: Option<IpAddr>,
}

/// How the faults on an edge hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing sits on it.
    None,
    /// Calls take longer, and are then answered as ever.
    Slow,
    /// Calls are not answered, or answered with an error.
    Error,
}

/// One edge.
#[derive(Debug, Clone)]
pub(crate) struct EdgeView {
    pub name: EdgeName,
    /// The caller, where known.
    pub from: Option<String>,
    /// Whose calls these are, by their caller, and of which dependency the callee is one of several instances.
    pub instance_of: Option<(Option<String>, String)>,
    /// By beginning.
    pub calls: Vec<Call>,
    /// By opening.
    pub conns: Vec<Conn>,
    pub harm: Harm,
    /// A fault on it adds a delay to what passes, and nothing else.
    pub delays: bool,
    /// Calls cannot be seen in the fault window: the listener itself was down.
    pub blind: bool,
    /// The stretch in which something sat on this edge.
    pub hurt: Windows,
}

impl EdgeView {
    pub fn within<'a>(&'a self, windows: &'a Windows) -> impl Iterator<Item = &'a Call> + 'a {
        windows.iter().flat_map(|window| self.in_window(window))
    }

    pub fn in_window(&self, window: Window) -> &[Call] {
        let from = self.calls.partition_point(|call| call.began < window.from);
        let to = self.calls.partition_point(|call| call.began < window.to);
        &self.calls[from..to.max(from)]
    }

    /// True if far fewer calls were seen in the fault than the baseline lets expect.
    fn is_thinned(&self, baseline: &Windows) -> bool {
        let rate = self.within(baseline).count() as f64 / baseline.length().max(1) as f64;
        (self.within(&self.hurt).count() as f64) < rate * self.hurt.length() as f64 * 0.5
    }

    /// A call that every caller must take for a failed one.
    pub fn is_failing(&self, call: &Call) -> bool {
        match call.end {
            ExchangeEnd::Answered => match call.answer {
                Some(worth) => worth == AnswerWorth::Bad,
                None => call.touched && self.harm == Harm::Error,
            },
            ExchangeEnd::GivenUp | ExchangeEnd::Cut | ExchangeEnd::Failed | ExchangeEnd::Open => true,
        }
    }

    /// A call that the callee itself answered well. One that Murphy answered in its stead never is, and need not be failing either.
    pub fn is_good(&self, call: &Call) -> bool {
        !self.is_failing(call) && !call.is_made_up()
    }
}
