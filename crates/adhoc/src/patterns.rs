//! How callers behave, as far as it was seen: as data and in words.
//!
//! Seen so far, and no verdict: what users meet meanwhile is not seen here, and who has no users any more falls silent too. A run
//! judges that.

use std::fmt::Write as _;

use murphy_core::{Span, plural};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rounded::three_digits;

/// Calls that were given up, to expect it of a replay: a verdict wants 95% of those that wait, and the few that are under way when the
/// fault goes are answered.
const FEWEST_REPLAYED: u64 = 100;

/// What callers were seen to do so far; what is missing was not seen.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Patterns {
    /// Whether they give up on a call that is not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// Whether they call more often while calls fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Attempts>,
    /// Whether they stop calling after calls have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
}

/// Of calls that are not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
// A fault has the short name.
#[schemars(rename = "TimeoutSeen")]
pub enum Timeout {
    /// They are given up.
    GivesUp {
        /// The median age at which they are.
        after: Span,
        /// Nine of ten at least at this age.
        from: Span,
        /// And at most at this.
        to: Span,
        /// How many were.
        calls: u64,
    },
    /// None was, of those that waited.
    NoneUpTo {
        /// The age that ten calls reached.
        waited: Span,
    },
}

/// Of calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "AttemptsSeen")]
pub enum Attempts {
    /// Calls that say by a key or a trace which one they are.
    Counted {
        /// Of how many the first try failed.
        calls: u64,
        /// The median of their tries.
        usual: u64,
        /// The most.
        most: u64,
    },
    /// How often calls come, where nothing tells which is a further try.
    Rate {
        /// Calls a second while they fail.
        failing: f64,
        /// And while they do not.
        usual: f64,
    },
}

/// Of callers that fall silent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "BreakerSeen")]
pub struct Breaker {
    /// How often they did.
    pub times: u64,
    /// The longest silence, in whole seconds.
    pub silence: Span,
    /// Failed calls before the first.
    pub after: u64,
    /// Calls that were due in the longest.
    pub due: f64,
}

/// A quarter more, to two digits.
fn wider(span: Span) -> Span {
    let more = span.as_micros().saturating_add(span.as_micros() / 4).max(1);
    let step = 10_u64.pow(more.ilog10().saturating_sub(1));
    Span::from_micros(more.div_ceil(step) * step)
}

/// What was seen, as the `expect:` block of a recording; a little wider: the same callers are meant to pass again. Edges go by their names as
/// the file has them. What a replay could not tell is a comment: as a rule it would make each replay inconclusive. Empty where nothing was
/// seen.
pub fn expect_block(seen: &[(String, Patterns)]) -> String {
    let (mut rules, mut comments) = (String::new(), String::new());
    for (edge, patterns) in seen {
        if let Some(Timeout::GivesUp { to, calls, .. }) = patterns.timeout {
            let rule = format!("timeout: \"<= {}\"", wider(to));
            let _ = if calls >= FEWEST_REPLAYED {
                writeln!(rules, "  {edge}: {{ {rule} }}")
            } else {
                let few = plural(calls, "call");
                writeln!(
                    comments,
                    "# Seen on {edge}, but in {few} only, and it takes {FEWEST_REPLAYED} that are given up: {rule}"
                )
            };
        }
        for rule in patterns.beside_a_load() {
            let _ = writeln!(comments, "# Seen on {edge}, but told only beside a load: {rule}");
        }
    }
    let head = if rules.is_empty() { "" } else { "# As the callers were seen, a little wider.\nexpect:\n" };
    format!("{head}{rules}{comments}")
}

impl Patterns {
    /// Whether one of those in [`Patterns::lines`] was seen.
    pub(crate) fn is_seen(&self, name: &str) -> bool {
        match name {
            "timeout" => self.timeout.is_some(),
            "attempts" => self.attempts.is_some(),
            _ => self.breaker.is_some(),
        }
    }

    /// Rules that a run tells only by what its own users ask meanwhile.
    fn beside_a_load(&self) -> Vec<String> {
        let attempts = match self.attempts {
            Some(Attempts::Counted { most, .. }) => Some(format!("attempts: \"<= {most}\"")),
            Some(Attempts::Rate { .. }) | None => None,
        };
        let breaker = self.breaker.map(|_| "breaker: opens".to_owned());
        [attempts, breaker].into_iter().flatten().collect()
    }

    /// In a few words each, for a line that is drawn again and again.
    pub(crate) fn words(&self) -> Vec<String> {
        let timeout = self.timeout.map(|timeout| match timeout {
            Timeout::GivesUp { after, .. } => format!("gives up {}", three_digits(after)),
            Timeout::NoneUpTo { waited } => format!("waits {}", three_digits(waited)),
        });
        let attempts = self.attempts.and_then(|attempts| match attempts {
            Attempts::Counted { usual, .. } if usual > 1 => Some(format!("{usual} tries")),
            Attempts::Rate { failing, usual } if failing > usual * 1.2 => {
                Some(format!("{:.1}x calls", failing / usual))
            }
            Attempts::Counted { .. } | Attempts::Rate { .. } => None,
        });
        let breaker = self.breaker.map(|breaker| format!("silent {}", breaker.silence));
        [timeout, attempts, breaker].into_iter().flatten().collect()
    }

    /// One line for each, with its name; also for what was not seen, with what would show it.
    pub(crate) fn lines(&self) -> [(&'static str, String); 3] {
        let timeout = match self.timeout {
            Some(Timeout::GivesUp { after, calls, .. }) => {
                format!("gives up after {} ({})", three_digits(after), plural(calls, "call"))
            }
            Some(Timeout::NoneUpTo { waited }) => format!("none up to {}", three_digits(waited)),
            None => "not seen: a silent dependency shows it".to_owned(),
        };
        let attempts = match self.attempts {
            Some(Attempts::Counted { calls, usual, most }) => {
                format!(
                    "{usual} for one call, {most} at most (of {} whose first failed)",
                    plural(calls, "call")
                )
            }
            Some(Attempts::Rate { failing, usual }) => format!(
                "{:.1} times as many calls while they fail ({failing:.1}/s, else {usual:.1}/s)",
                failing / usual
            ),
            None => "not seen: five seconds of failing calls, and five of good ones, show them".to_owned(),
        };
        let breaker = match self.breaker {
            Some(Breaker { times, silence, after, due }) => format!(
                "no call for {silence} after {after} failed ones, {} ({due:.0} were due)",
                plural(times, "time")
            ),
            None => match self.attempts {
                // One that lets a call through every second or two is never silent for long; nor are callers that wait.
                Some(Attempts::Rate { failing, usual }) if failing * 2.0 < usual => format!(
                    "perhaps: calls fall to {:.0}% of the usual while they fail, without a long silence",
                    failing / usual * 100.0
                ),
                _ => "not seen: no silence after failing calls".to_owned(),
            },
        };
        [("timeout", timeout), ("attempts", attempts), ("breaker", breaker)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_expected_a_little_wider_and_what_no_replay_could_tell_is_a_comment() {
        let block = |patterns: Patterns| expect_block(&[("db".to_owned(), patterns)]);
        assert_eq!(block(Patterns::default()), "");
        let millis = Span::from_millis;
        let gives_up =
            |calls| Timeout::GivesUp { after: millis(400), from: millis(398), to: millis(403), calls };
        let breaker = Breaker { times: 2, silence: Span::from_secs(5), after: 5, due: 40.0 };
        let attempts = Attempts::Counted { calls: 9, usual: 2, most: 3 };
        let (timeout, attempts, breaker) = (Some(gives_up(100)), Some(attempts), Some(breaker));
        assert_eq!(
            block(Patterns { timeout, attempts, breaker }),
            "# As the callers were seen, a little wider.\n\
             expect:\n  db: { timeout: \"<= 510ms\" }\n\
             # Seen on db, but told only beside a load: attempts: \"<= 3\"\n\
             # Seen on db, but told only beside a load: breaker: opens\n"
        );
        let few = Patterns { timeout: Some(gives_up(99)), ..Patterns::default() };
        assert_eq!(
            block(few),
            "# Seen on db, but in 99 calls only, and it takes 100 that are given up: timeout: \"<= 510ms\"\n",
            "no block where no rule stands in it"
        );
        let (timeout, attempts) = (
            Some(Timeout::NoneUpTo { waited: millis(9) }),
            Some(Attempts::Rate { failing: 9.0, usual: 3.0 }),
        );
        assert_eq!(block(Patterns { timeout, attempts, breaker: None }), "", "no bound to hold them to");
    }
}
