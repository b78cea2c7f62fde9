//! The bars of docs/performance.md, held against what this run has measured. It prints what is missed and measures
//! nothing.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    AtLeast,
    AtMost,
}

impl Side {
    fn sign(self) -> &'static str {
        match self {
            Side::AtLeast => ">=",
            Side::AtMost => "<=",
        }
    }

    /// No figure meets no bar.
    fn is_met(self, value: f64, bar: f64) -> bool {
        match self {
            Side::AtLeast => value >= bar,
            Side::AtMost => value <= bar,
        }
    }
}

/// What a yardstick has measured in the same rounds, and how many times that is still good.
#[derive(Debug, Clone, Copy)]
pub struct Multiple<'a> {
    pub yardstick: &'a str,
    pub measured: f64,
    pub times: f64,
}

/// What has been held against a bar so far.
#[derive(Default)]
pub struct Bars {
    held: usize,
    missed: usize,
}

impl Bars {
    pub fn at_least(&mut self, what: &str, value: f64, bar: f64) {
        self.hold(what, value, Side::AtLeast, bar);
    }

    pub fn at_most(&mut self, what: &str, value: f64, bar: f64) {
        self.hold(what, value, Side::AtMost, bar);
    }

    pub fn within(&mut self, what: &str, value: f64, bar: f64, by: f64) {
        self.at_least(what, value, bar - by);
        self.at_most(what, value, bar + by);
    }

    /// At least the bar. A miss tells how it stands to the yardstick of the same run.
    pub fn at_least_here(&mut self, what: &str, value: f64, bar: f64, multiple: Multiple<'_>) {
        self.hold_here(what, value, Side::AtLeast, bar, multiple);
    }

    /// At most the bar. A miss tells how it stands to the yardstick of the same run.
    pub fn at_most_here(&mut self, what: &str, value: f64, bar: f64, multiple: Multiple<'_>) {
        self.hold_here(what, value, Side::AtMost, bar, multiple);
    }

    fn hold_here(&mut self, what: &str, value: f64, side: Side, bar: f64, multiple: Multiple<'_>) {
        let Multiple { yardstick, measured, times } = multiple;
        let here = measured * times;
        let stands = if side.is_met(value, here) { "within" } else { "beyond" };
        let what = format!("{what} ({stands} {times} times {yardstick}, which is {here:.3} here)");
        self.hold(&what, value, side, bar);
    }

    fn hold(&mut self, what: &str, value: f64, side: Side, bar: f64) {
        self.held += 1;
        if !side.is_met(value, bar) {
            self.missed += 1;
            println!("MISS  {what}: {value:.3}, the bar is {} {bar}", side.sign());
        }
    }

    pub fn verdict(self) -> ExitCode {
        let Bars { held, missed } = self;
        println!("\n{} of {held} bars met, {missed} missed", held - missed);
        if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
