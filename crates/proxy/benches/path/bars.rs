//! The bars of docs/performance.md, held against what this run has measured. It prints what is missed and measures
//! nothing.

use std::process::ExitCode;

/// What has been held against a bar so far.
#[derive(Default)]
pub struct Bars {
    held: usize,
    missed: usize,
}

impl Bars {
    pub fn at_least(&mut self, what: &str, value: f64, bar: f64) {
        self.hold(what, value, ">=", bar, value >= bar);
    }

    pub fn at_most(&mut self, what: &str, value: f64, bar: f64) {
        self.hold(what, value, "<=", bar, value <= bar);
    }

    pub fn within(&mut self, what: &str, value: f64, bar: f64, by: f64) {
        self.at_least(what, value, bar - by);
        self.at_most(what, value, bar + by);
    }

    fn hold(&mut self, what: &str, value: f64, sign: &str, bar: f64, met: bool) {
        self.held += 1;
        // No figure meets no bar.
        if !met {
            self.missed += 1;
            println!("MISS  {what}: {value:.3}, the bar is {sign} {bar}");
        }
    }

    pub fn verdict(self) -> ExitCode {
        println!("\n{} of {} bars met", self.held - self.missed, self.held);
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
