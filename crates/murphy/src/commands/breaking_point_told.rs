//! What a search for a breaking point has found, for a person or a program. It must never make one number of an interval,
//! nor let a search that ended early look like a whole one.

use murphy_core::{Frequency, LoadName, Seed, Span};
use murphy_verdict::limit::{Decided, Held, Limit, Standing};
use serde::Serialize;

use super::breaking_point::Axis;

/// How a search came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// With nothing left to be tried.
    Complete,
    /// By its budget.
    Budget,
    /// In the midst of it.
    Early,
}

/// All that is known at its end. Levels are written as a scenario reads them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Version of this form.
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Root of all choices.
    pub seed: Seed,
    /// The variable that holds the level.
    pub vary: String,
    /// The load whose users count.
    pub load: LoadName,
    /// How often they come: another rate has another limit.
    pub rate: Frequency,
    /// What must hold for them.
    pub goal: String,
    /// The answer, as far as it is known.
    pub limit: Option<LimitFound>,
    /// How far that can be relied on.
    pub standing: StandingFound,
    /// What was tried, in that order.
    pub levels: Vec<Level>,
    /// How many runs that took.
    pub runs: usize,
    /// How long that took.
    pub took: Span,
    /// Whether it is the whole answer.
    pub ended: Ended,
}

/// Between which levels users are not served any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum LimitFound {
    /// The goal holds up to the first and not by the second.
    Between { holds: String, breaks: String },
    /// It holds at the worst level that was tried.
    NoneUpTo { holds: String },
    /// It does not hold at the mildest one.
    BelowAll { breaks: String },
    /// A worse level did better than a milder one.
    NotMonotone,
}

/// How far an answer can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum StandingFound {
    /// Each level was tried once, and others would tell more.
    Wide,
    /// It is as narrow as asked for, and not both ends were tried again.
    Narrow,
    /// Both ends were tried again, and nothing that is worse.
    Confirmed,
    /// Both ends were tried again, and the goal held once at this level, which is worse.
    Doubtful { level: String },
    /// Nothing is left to be tried.
    Whole,
}

/// One level that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Which.
    pub level: String,
    /// Whether the goal held.
    pub held: bool,
    /// How many requests decided it.
    pub requests: u64,
}

impl LimitFound {
    /// As levels of an axis.
    pub fn of(limit: Limit, axis: Axis) -> LimitFound {
        match limit {
            Limit::Between { holds, breaks } => {
                LimitFound::Between { holds: axis.text(holds), breaks: axis.text(breaks) }
            }
            Limit::NoneUpTo(level) => LimitFound::NoneUpTo { holds: axis.text(level) },
            Limit::BelowAll(level) => LimitFound::BelowAll { breaks: axis.text(level) },
            Limit::NotMonotone => LimitFound::NotMonotone,
        }
    }
}

impl StandingFound {
    /// As levels of an axis.
    pub fn of(standing: Standing, axis: Axis) -> StandingFound {
        match standing {
            Standing::Wide => StandingFound::Wide,
            Standing::Narrow => StandingFound::Narrow,
            Standing::Confirmed => StandingFound::Confirmed,
            Standing::Doubtful { level } => StandingFound::Doubtful { level: axis.text(level) },
            Standing::Whole => StandingFound::Whole,
        }
    }
}

impl Level {
    /// As a level of an axis.
    pub fn of(decided: &Decided, axis: Axis) -> Level {
        Level { level: axis.text(decided.level), held: decided.held == Held::Yes, requests: decided.n }
    }
}

impl Found {
    /// The form that this build writes.
    pub const FORMAT: u32 = 1;

    /// True for a whole search that has an answer.
    pub fn is_settled(&self) -> bool {
        let answered = match &self.limit {
            Some(LimitFound::Between { .. } | LimitFound::NoneUpTo { .. } | LimitFound::BelowAll { .. }) => {
                true
            }
            Some(LimitFound::NotMonotone) | None => false,
        };
        answered && self.ended == Ended::Complete
    }

    /// How far it can be relied on, in words; of a search that ended before its end also why.
    fn how(&self) -> String {
        let why = match self.ended {
            Ended::Complete => return self.nothing_left().to_owned(),
            Ended::Budget => "the budget is used up",
            Ended::Early => "ended early",
        };
        let is_interval = matches!(self.limit, Some(LimitFound::Between { .. }));
        let lacks = match &self.standing {
            StandingFound::Wide if is_interval => "not confirmed, and wider than need be".to_owned(),
            StandingFound::Wide => "not confirmed".to_owned(),
            StandingFound::Narrow => "not confirmed: not both ends were tried again".to_owned(),
            StandingFound::Confirmed => {
                "both ends tried again; that it breaks at what is worse, too, was not tried".to_owned()
            }
            StandingFound::Doubtful { level } => format!(
                "both ends tried again, but it held at {level} once, which is worse: there may be no one limit"
            ),
            StandingFound::Whole => self.nothing_left().to_owned(),
        };
        format!("{why}: {lacks}")
    }

    /// Why nothing is left to be tried.
    fn nothing_left(&self) -> &'static str {
        match self.limit {
            Some(LimitFound::Between { .. }) => "both ends tried again",
            Some(LimitFound::NoneUpTo { .. }) => "nothing worse may be tried",
            Some(LimitFound::BelowAll { .. }) => "nothing milder may be tried",
            Some(LimitFound::NotMonotone) | None => "see the levels",
        }
    }

    /// The levels, and a sentence.
    pub fn text(&self) -> String {
        let mut text = String::from("level        held  requests\n");
        for Level { level, held, requests } in &self.levels {
            let held = if *held { "yes" } else { "NO" };
            text += &format!("{level:<12} {held:<5} {requests}\n");
        }
        let sentence = match &self.limit {
            Some(LimitFound::Between { holds, breaks }) => {
                format!("tolerates <= {holds}, breaks by {breaks}")
            }
            Some(LimitFound::NoneUpTo { holds }) => format!("no break up to {holds}"),
            Some(LimitFound::BelowAll { breaks }) => format!("breaks at {breaks} already"),
            Some(LimitFound::NotMonotone) => {
                "no one limit: a worse level did better than a milder one".to_owned()
            }
            None => "nothing was decided".to_owned(),
        };
        let how = self.how();
        text += &format!(
            "{}: {sentence} (goal {} of {}; {} runs at {}, {} levels, {:.0}s; {how})\n",
            self.vary,
            self.goal,
            self.load,
            self.runs,
            self.rate,
            self.levels.len(),
            self.took.as_secs_f64()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(limit: Option<Limit>, ended: Ended) -> Found {
        let decided = [(80.0, Held::Yes, 1_000), (160.0, Held::No, 200)];
        let levels = decided.map(|(level, held, n)| Level::of(&Decided { level, held, n }, Axis::Time));
        Found {
            format: Found::FORMAT,
            scenario: "shop".to_owned(),
            seed: Seed(7),
            vary: "DELAY".to_owned(),
            load: LoadName::new("browse").unwrap(),
            rate: "30/s".parse().unwrap(),
            goal: "99% < 500ms".to_owned(),
            limit: limit.map(|limit| LimitFound::of(limit, Axis::Time)),
            standing: match ended {
                Ended::Complete => StandingFound::Whole,
                Ended::Budget | Ended::Early => StandingFound::Wide,
            },
            levels: levels.to_vec(),
            runs: 3,
            took: Span::from_millis(61_200),
            ended,
        }
    }

    #[test]
    fn a_person_and_a_program_are_told_the_same() {
        let found = found(Some(Limit::Between { holds: 80.0, breaks: 160.0 }), Ended::Complete);
        assert_eq!(
            found.text(),
            "level        held  requests\n\
             80ms         yes   1000\n\
             160ms        NO    200\n\
             DELAY: tolerates <= 80ms, breaks by 160ms \
             (goal 99% < 500ms of browse; 3 runs at 30/s, 2 levels, 61s; both ends tried again)\n"
        );
        let wanted = json!({
            "format": 1,
            "scenario": "shop",
            "seed": 7,
            "vary": "DELAY",
            "load": "browse",
            "rate": "30/s",
            "goal": "99% < 500ms",
            "limit": { "is": "between", "holds": "80ms", "breaks": "160ms" },
            "standing": { "is": "whole" },
            "levels": [
                { "level": "80ms", "held": true, "requests": 1000 },
                { "level": "160ms", "held": false, "requests": 200 },
            ],
            "runs": 3,
            "took": "61.2s",
            "ended": "complete",
        });
        assert_eq!(serde_json::to_value(&found).unwrap(), wanted);
    }

    #[test]
    fn a_search_that_ended_early_says_what_was_left_to_be_tried() {
        let between = Limit::Between { holds: 80.0, breaks: 160.0 };
        for (standing, name, says) in [
            (Standing::Wide, "wide", "not confirmed, and wider than need be)"),
            (Standing::Narrow, "narrow", "not confirmed: not both ends were tried again)"),
            (
                Standing::Confirmed,
                "confirmed",
                "both ends tried again; that it breaks at what is worse, too,",
            ),
            (
                Standing::Doubtful { level: 320.0 },
                "doubtful",
                "both ends tried again, but it held at 320ms once,",
            ),
        ] {
            for (ended, why) in [(Ended::Budget, "the budget is used up: "), (Ended::Early, "ended early: ")]
            {
                let standing = StandingFound::of(standing, Axis::Time);
                let found = Found { standing, ..found(Some(between), ended) };
                let text = found.text();
                assert!(text.contains("tolerates <= 80ms, breaks by 160ms ("), "{text}");
                assert!(text.contains(&format!("{why}{says}")), "{text}");
                assert_eq!(serde_json::to_value(&found).unwrap()["standing"]["is"], name);
                assert!(!found.is_settled(), "{text}");
            }
        }
    }

    #[test]
    fn an_answer_of_one_end_does_not_speak_of_both() {
        for (limit, says) in [
            (Limit::NoneUpTo(5_000.0), "; nothing worse may be tried)"),
            (Limit::BelowAll(20.0), "; nothing milder may be tried)"),
            (Limit::NotMonotone, "; see the levels)"),
        ] {
            let text = found(Some(limit), Ended::Complete).text();
            assert!(text.contains(says) && !text.contains("both ends"), "{text}");
        }
        let text = found(Some(Limit::NoneUpTo(80.0)), Ended::Budget).text();
        assert!(text.contains("the budget is used up: not confirmed)"), "{text}");
    }

    #[test]
    fn each_kind_of_answer_has_its_name_and_only_a_whole_one_is_settled() {
        for (limit, wanted, answers) in [
            (Some(Limit::NoneUpTo(5_000.0)), json!({ "is": "none-up-to", "holds": "5000ms" }), true),
            (Some(Limit::BelowAll(20.0)), json!({ "is": "below-all", "breaks": "20ms" }), true),
            (Some(Limit::NotMonotone), json!({ "is": "not-monotone" }), false),
            (None, json!(null), false),
        ] {
            for (ended, name, whole) in [
                (Ended::Complete, "complete", true),
                (Ended::Budget, "budget", false),
                (Ended::Early, "early", false),
            ] {
                let found = found(limit, ended);
                let told = serde_json::to_value(&found).unwrap();
                assert_eq!((&told["limit"], &told["ended"]), (&wanted, &name.into()));
                assert_eq!(found.is_settled(), answers && whole, "{told}");
            }
        }
    }
}
