//! At which level of an axis (a delay, a share of lost bytes) does a service break? A search that is told what each trial
//! showed and says which level to try next; it does not run anything itself. (verdicts 4)
//!
//! Up by doubling until a level breaks, then by halving the ratio between the highest that held and the lowest that broke,
//! each level decided by Wald's sequential test (1945), so that a hopeless level costs seconds. In the end both ends are
//! tried afresh, twice each; a contradiction widens the answer. The way up has tried what is milder; what is worse is tried
//! last, for a breaker or a fallback may make of the worse trouble the lesser one. The answer is an interval, never a number.

/// What counts as broken. Between the two shares the answer may go either way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// A share of bad answers that is good enough, above 0.
    pub tolerable: f64,
    /// A share of bad answers that is not, above `tolerable` and below 1.
    pub broken: f64,
}

impl Goal {
    /// For a goal such as 99 % good answers: a fifth of the allowed share is good enough, twice of it is not.
    pub fn of_success(success: f64) -> Goal {
        let allowed = (1.0 - success).clamp(1e-6, 0.4);
        Goal { tolerable: allowed / 5.0, broken: allowed * 2.0 }
    }
}

/// What one level did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The goal held.
    Yes,
    /// It did not.
    No,
}

/// Errors of either kind at which a level is decided: ln((1 - 0.025) / 0.025).
const SURE: f64 = 3.663_561_646_129_646;
/// Failures come in clusters; a request is worth less than an independent one (correlation 0.05 within a second).
const MOST_REQUESTS: u64 = 1_500;

/// Wald's sequential test of one level.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sequential {
    goal: Goal,
    evidence: f64,
    n: u64,
}

impl Sequential {
    fn new(goal: Goal) -> Sequential {
        Sequential { goal, evidence: 0.0, n: 0 }
    }

    /// Takes a trial up; `a_second` is how many requests fall into one second.
    fn take(&mut self, trial: Trial, a_second: f64) {
        let Goal { tolerable, broken } = self.goal;
        let bad = (broken / tolerable).ln() * trial.bad as f64;
        let good = ((1.0 - broken) / (1.0 - tolerable)).ln() * (trial.n - trial.bad.min(trial.n)) as f64;
        let effect = 1.0 + 0.05 * (a_second - 1.0).max(0.0);
        self.evidence += (bad + good) / effect;
        self.n += trial.n;
    }

    fn decided(&self) -> Option<Held> {
        if self.evidence >= SURE {
            Some(Held::No)
        } else if self.evidence <= -SURE {
            Some(Held::Yes)
        } else {
            // Between the two shares a test may go on for ever; the nearer of the two is then the answer.
            (self.n >= MOST_REQUESTS).then_some(if self.evidence > 0.0 { Held::No } else { Held::Yes })
        }
    }
}

/// What was seen at one level for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Requests.
    pub n: u64,
    /// Those that failed or came too late.
    pub bad: u64,
}

/// One decided level, in the order in which it was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// The level.
    pub level: f64,
    /// What it did.
    pub held: Held,
    /// Requests that it took.
    pub n: u64,
}

/// What is known in the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// It holds up to the first and breaks by the second.
    Between {
        /// The highest level known to hold.
        holds: f64,
        /// The lowest level known to break.
        breaks: f64,
    },
    /// It holds at the highest level that may be tried.
    NoneUpTo(f64),
    /// It breaks at the lowest level already.
    BelowAll(f64),
    /// A higher level did better than a lower one: there is no one limit. See the levels.
    NotMonotone,
}

/// How far what is known can be relied on, if the search ends here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// Each level was tried once, and others in between would tell more.
    Wide,
    /// It is as narrow as asked for, and not both ends were tried again.
    Narrow,
    /// Both ends were tried again; whether what is worse breaks it too was not looked at.
    Confirmed,
    /// Both ends were tried again, and it held once at this level, which is worse than one that breaks it: that may be chance.
    Doubtful {
        /// The worse level.
        level: f64,
    },
    /// Nothing is left to be tried.
    Whole,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Try this level, from a recovered state.
    Try(f64),
    /// Nothing more: this is the answer.
    Done(Limit),
}

/// Bounds of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The lowest level, above 0.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// The interval need not be narrower than this,
    pub finest: f64,
    /// nor than this share of its upper end.
    pub share: f64,
}

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Climbing,
    Halving,
    /// Tries of the lower end that are left.
    Below(u8),
    /// Tries of the upper end that are left.
    Above(u8),
    /// Tries of a level worse than that which are left before it is believed to hold.
    Beyond(u8),
    Over,
}

/// A search under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    bounds: Bounds,
    goal: Goal,
    a_second: f64,
    stage: Stage,
    level: f64,
    test: Sequential,
    held: Option<f64>,
    broke: Option<f64>,
    contradictions: u8,
    decided: Vec<Decided>,
    answer: Option<Limit>,
}

const CONFIRMATIONS: u8 = 2;
/// After so many contradictions between a level and its confirmation, the levels are not in order.
const MOST_CONTRADICTIONS: u8 = 4;

impl Search {
    /// A search that has tried nothing yet; `a_second` is the rate of requests.
    pub fn new(bounds: Bounds, goal: Goal, a_second: f64) -> Search {
        Search {
            bounds,
            goal,
            a_second,
            stage: Stage::Climbing,
            level: bounds.from,
            test: Sequential::new(goal),
            held: None,
            broke: None,
            contradictions: 0,
            decided: Vec::new(),
            answer: None,
        }
    }

    /// What to do next. The same until a trial is taken.
    pub fn next(&self) -> Next {
        match self.answer {
            Some(answer) => Next::Done(answer),
            None => Next::Try(self.level),
        }
    }

    /// Levels decided so far.
    pub fn decided(&self) -> &[Decided] {
        &self.decided
    }

    /// What is known if the search ends here: wider than at its end, never wrong for that.
    pub fn so_far(&self) -> Option<Limit> {
        let (held, broke) = match self.stage {
            // An end that did not stand a second look has given way to a level that nothing is known of yet.
            Stage::Below(_) | Stage::Above(_) => self.undisputed(),
            Stage::Climbing | Stage::Halving | Stage::Beyond(_) | Stage::Over => (self.held, self.broke),
        };
        self.answer.or(match (held, broke) {
            (Some(holds), Some(breaks)) => Some(Limit::Between { holds, breaks }),
            (Some(holds), None) => Some(Limit::NoneUpTo(holds)),
            (None, Some(breaks)) => Some(Limit::BelowAll(breaks)),
            (None, None) => None,
        })
    }

    /// How far that can be relied on.
    pub fn standing(&self) -> Standing {
        match self.stage {
            Stage::Climbing | Stage::Halving => Standing::Wide,
            Stage::Below(_) | Stage::Above(_) => Standing::Narrow,
            Stage::Beyond(left) if left < CONFIRMATIONS => Standing::Doubtful { level: self.level },
            Stage::Beyond(_) => Standing::Confirmed,
            Stage::Over => Standing::Whole,
        }
    }

    /// The highest level that held below all that broke, and the lowest that broke above all that held.
    fn undisputed(&self) -> (Option<f64>, Option<f64>) {
        let levels = |held: Held| {
            self.decided.iter().filter(move |decided| decided.held == held).map(|decided| decided.level)
        };
        let lowest = levels(Held::No).fold(f64::INFINITY, f64::min);
        let highest = levels(Held::Yes).fold(0.0, f64::max);
        let holds = levels(Held::Yes).filter(|level| *level < lowest).reduce(f64::max);
        let breaks = levels(Held::No).filter(|level| *level > highest).reduce(f64::min);
        (holds, breaks)
    }

    /// Takes up what a while at the level of [`Search::next`] showed.
    pub fn take(&mut self, trial: Trial) {
        if self.answer.is_some() {
            return;
        }
        self.test.take(trial, self.a_second);
        if let Some(held) = self.test.decided() {
            self.decided.push(Decided { level: self.level, held, n: self.test.n });
            self.test = Sequential::new(self.goal);
            self.advance(held);
        }
    }

    fn advance(&mut self, held: Held) {
        let level = self.level;
        match (self.stage, held) {
            (Stage::Climbing, Held::Yes) => {
                self.held = Some(level);
                if level >= self.bounds.to {
                    return self.end(Limit::NoneUpTo(level));
                }
                self.level = (level * 2.0).min(self.bounds.to);
            }
            (Stage::Climbing, Held::No) => {
                self.broke = Some(level);
                if self.held.is_none() {
                    return self.end(Limit::BelowAll(level));
                }
                self.halve();
            }
            (Stage::Halving, Held::Yes) => {
                self.held = Some(level);
                self.halve();
            }
            (Stage::Halving, Held::No) => {
                self.broke = Some(level);
                self.halve();
            }
            (Stage::Below(left), Held::Yes) if left > 1 => self.stage = Stage::Below(left - 1),
            (Stage::Below(_), Held::Yes) => {
                self.stage = Stage::Above(CONFIRMATIONS);
                self.level = self.broke.unwrap_or(self.bounds.to);
            }
            (Stage::Above(left), Held::No) if left > 1 => self.stage = Stage::Above(left - 1),
            (Stage::Above(_), Held::No) => self.look_beyond(),
            (Stage::Beyond(_), Held::No) => self.end_between(),
            // Once may be chance.
            (Stage::Beyond(left), Held::Yes) if left > 1 => self.stage = Stage::Beyond(left - 1),
            (Stage::Beyond(_), Held::Yes) => self.end(Limit::NotMonotone),
            // An end that does not stand a second look is not the end: the interval opens on that side.
            (Stage::Below(_), Held::No) => {
                self.contradicted();
                let lower = (level / 1.25).max(self.bounds.from);
                if lower >= level {
                    return self.end(Limit::BelowAll(level));
                }
                self.held = Some(lower);
                self.level = lower;
                self.stage = Stage::Below(CONFIRMATIONS);
            }
            (Stage::Above(_), Held::Yes) => {
                self.contradicted();
                let upper = (level * 1.25).min(self.bounds.to);
                if upper <= level {
                    return self.end(Limit::NoneUpTo(level));
                }
                self.broke = Some(upper);
                self.level = upper;
                self.stage = Stage::Above(CONFIRMATIONS);
            }
            (Stage::Over, _) => {}
        }
    }

    fn contradicted(&mut self) {
        self.contradictions += 1;
        if self.contradictions > MOST_CONTRADICTIONS {
            self.end(Limit::NotMonotone);
        }
    }

    /// Tries a level twice as bad as the one that breaks, where there is one.
    fn look_beyond(&mut self) {
        let Some(breaks) = self.broke else { return };
        let worse = (breaks * 2.0).min(self.bounds.to);
        if worse <= breaks {
            return self.end_between();
        }
        self.stage = Stage::Beyond(CONFIRMATIONS);
        self.level = worse;
    }

    fn end_between(&mut self) {
        if let (Some(holds), Some(breaks)) = (self.held, self.broke) {
            self.end(Limit::Between { holds, breaks });
        }
    }

    fn end(&mut self, limit: Limit) {
        self.stage = Stage::Over;
        self.answer.get_or_insert(limit);
    }

    fn halve(&mut self) {
        let (Some(held), Some(broke)) = (self.held, self.broke) else { return };
        if broke - held <= self.bounds.finest.max(self.bounds.share * broke) {
            self.stage = Stage::Below(CONFIRMATIONS);
            self.level = held;
        } else {
            self.stage = Stage::Halving;
            self.level = (held * broke).sqrt();
        }
    }
}

#[cfg(test)]
mod tests;
