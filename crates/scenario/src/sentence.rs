//! The sentences of `expect:` and `abort-if:`, compiled to rules. Errors point into the sentence.

use std::ops::Range;
use std::str::FromStr;

use murphy_core::{Chance, Frequency, RunPart, Span, SuccessRule};

/// Why a sentence cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentenceError {
    /// The part that is wrong, in bytes of the sentence.
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Words with their places, in order.
struct Words<'a> {
    text: &'a str,
    at: usize,
    help: &'static str,
}

impl<'a> Words<'a> {
    fn of(text: &'a str, help: &'static str) -> Words<'a> {
        Words { text, at: 0, help }
    }

    /// The next run of letters without blanks; comparison signs are words of their own.
    fn next(&mut self) -> (&'a str, Range<usize>) {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let word = &self.text[start..];
        let is_sign = |c: char| matches!(c, '<' | '>' | '=');
        let signs = word.starts_with(is_sign);
        let end = word.find(|c: char| c.is_whitespace() || is_sign(c) != signs).unwrap_or(word.len());
        self.at = start + end;
        (&word[..end], start..start + end)
    }

    fn error(&self, at: Range<usize>, message: String) -> SentenceError {
        SentenceError { at, message, help: self.help.to_owned() }
    }

    fn expect(&mut self, wanted: &str) -> Result<(), SentenceError> {
        let (word, at) = self.next();
        if word == wanted { Ok(()) } else { Err(self.unexpected(word, at, &format!("`{wanted}`"))) }
    }

    fn unexpected(&self, word: &str, at: Range<usize>, wanted: &str) -> SentenceError {
        let found = if word.is_empty() { "the end".to_owned() } else { format!("`{word}`") };
        self.error(at, format!("expected {wanted}, found {found}"))
    }

    /// All that is left, as one quantity.
    fn rest<T: FromStr<Err: std::fmt::Display>>(mut self) -> Result<T, SentenceError> {
        let value = self.quantity(None)?;
        Ok(value)
    }

    /// A quantity up to a word, or to the end.
    fn quantity<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        before: Option<&str>,
    ) -> Result<T, SentenceError> {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let length = match before {
            Some(word) => self.text[start..].find(&format!(" {word} ")).unwrap_or(self.text.len() - start),
            None => self.text.len() - start,
        };
        let text = self.text[start..start + length].trim_end();
        let at = start..start + text.len();
        if text.is_empty() {
            return Err(self.error(at, "a value is missing".to_owned()));
        }
        self.at = start + length;
        text.parse().map_err(|error: T::Err| self.error(at, plain(&error.to_string())))
    }
}

/// An error of core, without its own advice: the sentence has its own.
fn plain(message: &str) -> String {
    message.split("; write").next().unwrap_or(message).to_owned()
}

const SUCCESS: &str = "write \">= 99%\" or \"within 1% of baseline\"";

/// `>= 99%`, `within 1% of baseline`.
pub(crate) fn success(text: &str) -> Result<SuccessRule, SentenceError> {
    let mut words = Words::of(text, SUCCESS);
    match words.next() {
        (">=", _) => words.rest().map(SuccessRule::AtLeast),
        ("within", _) => {
            let margin = words.quantity(Some("of"))?;
            words.expect("of")?;
            words.expect("baseline")?;
            end(&mut words)?;
            Ok(SuccessRule::WithinOfBaseline(margin))
        }
        (word, at) => Err(words.unexpected(word, at, "`>=`")),
    }
}

/// `good`, and of what comes after the faults `good within 5s`: the time that is passed over.
pub(crate) fn good(text: &str, part: RunPart) -> Result<Span, SentenceError> {
    let help = match part {
        RunPart::Before | RunPart::During => "write \"good\"",
        RunPart::After => "write \"good\" or \"good within 5s\"",
    };
    let mut words = Words::of(text, help);
    words.expect("good")?;
    match words.next() {
        ("", _) => Ok(Span::ZERO),
        ("within", _) if part == RunPart::After => words.rest(),
        (word, at) => Err(words.error(at, format!("`{word}` is too much here"))),
    }
}

/// `opens`, `opens within 2s`: the time, if one is said.
pub(crate) fn opens(text: &str) -> Result<Option<Span>, SentenceError> {
    let mut words = Words::of(text, "write `opens` or `opens within 2s`");
    words.expect("opens")?;
    match words.next() {
        ("", _) => Ok(None),
        ("within", _) => words.rest().map(Some),
        (word, at) => Err(words.error(at, format!("`{word}` is too much here"))),
    }
}

/// `<= 600ms`.
pub(crate) fn at_most_span(text: &str) -> Result<Span, SentenceError> {
    at_most(text, "write for example \"<= 600ms\"")
}

/// `<= 10s`.
pub(crate) fn recovery(text: &str) -> Result<Span, SentenceError> {
    at_most(text, "write for example \"<= 10s\"")
}

/// `<= 3`.
pub(crate) fn at_most_count(text: &str) -> Result<u32, SentenceError> {
    const HELP: &str = "write for example \"<= 3\"";
    let count: Count = at_most(text, HELP)?;
    Ok(count.0)
}

/// `<= 1.2`: a factor of at least 1.
pub(crate) fn at_most_factor(text: &str) -> Result<f64, SentenceError> {
    let factor: Factor = at_most(text, "write for example \"<= 1.2\"; 1 is no amplification")?;
    Ok(factor.0)
}

/// `>= 100/s`.
pub(crate) fn at_least_rate(text: &str) -> Result<Frequency, SentenceError> {
    let mut words = Words::of(text, "write for example \">= 100/s\"");
    words.expect(">=")?;
    words.rest()
}

/// `>= 5s`, of which none at all would ask for nothing.
pub(crate) fn at_least_span(text: &str) -> Result<Span, SentenceError> {
    let mut words = Words::of(text, "write for example \">= 5s\"");
    words.expect(">=")?;
    let at_least: Lasting = words.rest()?;
    Ok(at_least.0)
}

fn at_most<T: FromStr<Err: std::fmt::Display>>(text: &str, help: &'static str) -> Result<T, SentenceError> {
    let mut words = Words::of(text, help);
    words.expect("<=")?;
    words.rest()
}

fn end(words: &mut Words<'_>) -> Result<(), SentenceError> {
    match words.next() {
        ("", _) => Ok(()),
        (word, at) => Err(words.error(at.clone(), format!("`{word}` is too much here"))),
    }
}

struct Count(u32);

impl FromStr for Count {
    type Err = String;
    fn from_str(text: &str) -> Result<Count, String> {
        let count = text.parse().ok().filter(|count| *count > 0 && !text.starts_with('+'));
        count.map(Count).ok_or_else(|| format!("`{text}` is not a whole number of at least 1"))
    }
}

struct Lasting(Span);

impl FromStr for Lasting {
    type Err = String;
    fn from_str(text: &str) -> Result<Lasting, String> {
        let span = text.parse::<Span>().map_err(|error| error.to_string())?;
        if span.is_zero() { Err(format!("`{text}` is no time at all")) } else { Ok(Lasting(span)) }
    }
}

struct Factor(f64);

impl FromStr for Factor {
    type Err = String;
    fn from_str(text: &str) -> Result<Factor, String> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let factor = text.parse().ok().filter(|factor: &f64| digits && (1.0..=1e6).contains(factor));
        factor.map(Factor).ok_or_else(|| format!("`{text}` is not a factor of at least 1"))
    }
}

/// What a stop condition says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Abort {
    /// The name of a load or a probe.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) name_at: Range<usize>,
    pub(crate) state: AbortState,
    pub(crate) lasts: Span,
}

/// What a stop condition says that somebody is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AbortState {
    /// A load: its share of good answers is smaller.
    Below(Chance),
    /// A probe: no answer is good.
    Failing,
}

/// `browse success < 20% for 10s`, `ready failing for 10s`.
pub(crate) fn abort(text: &str) -> Result<Abort, SentenceError> {
    let help = "write \"LOAD success < 20% for 10s\" or \"PROBE failing for 10s\"";
    let mut words = Words::of(text, help);
    let (name, name_at) = words.next();
    if matches!(name, "" | "success" | "failing") {
        return Err(words.error(name_at, "the name of a load or a probe is missing".to_owned()));
    }
    let state = match words.next() {
        ("success", _) => {
            words.expect("<")?;
            AbortState::Below(words.quantity(Some("for"))?)
        }
        ("failing", _) => AbortState::Failing,
        (word, at) => return Err(words.unexpected(word, at, "`success` or `failing`")),
    };
    words.expect("for")?;
    let lasts = words.quantity(None)?;
    Ok(Abort { name: name.to_owned(), name_at, state, lasts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_sentences_become_rules() {
        let percent = |text: &str| text.parse::<Chance>().unwrap();
        assert_eq!(success(">= 99.5%"), Ok(SuccessRule::AtLeast(percent("99.5%"))));
        assert_eq!(success(" >=99% "), Ok(SuccessRule::AtLeast(percent("99%"))));
        assert_eq!(success("within 1 % of baseline"), Ok(SuccessRule::WithinOfBaseline(percent("1%"))));
        assert_eq!(at_most_span("<= 1m 30s"), Ok(Span::from_secs(90)));
        assert_eq!((opens("opens"), opens("opens within 2s")), (Ok(None), Ok(Some(Span::from_secs(2)))));
        assert_eq!(at_most_count("<=3"), Ok(3));
        assert_eq!(at_most_factor("<= 1.2"), Ok(1.2));
        assert_eq!(at_least_span(">= 5s"), Ok(Span::from_secs(5)));
        assert_eq!(at_least_rate(">= 100/s"), Ok("100/s".parse().unwrap()));
        let rule = abort("browse success < 20% for 10s").unwrap();
        assert_eq!((rule.name.as_str(), rule.lasts), ("browse", Span::from_secs(10)));
        assert_eq!(rule.state, AbortState::Below(percent("20%")));
        let rule = abort("ready failing for 5s").unwrap();
        assert_eq!((rule.name.as_str(), rule.lasts), ("ready", Span::from_secs(5)));
        assert_eq!(rule.state, AbortState::Failing);
    }

    #[test]
    fn errors_point_at_the_word_that_is_wrong() {
        let part = |text: &str, error: SentenceError| text[error.at].to_owned();
        for (text, wrong) in [
            ("> 99%", ">"),
            (">= 99", "99"),
            ("within 1% of basline", "basline"),
            ("within 1% of baseline x", "x"),
        ] {
            assert_eq!(part(text, success(text).unwrap_err()), wrong, "{text}");
        }
        for (text, wrong) in [("< 600ms", "<"), ("<= 600", "600"), ("600ms", "600ms"), ("<=", "")] {
            assert_eq!(part(text, at_most_span(text).unwrap_err()), wrong, "{text}");
        }
        for (text, wrong) in [("<= 100/s", "<="), (">= 100", "100"), (">=", "")] {
            assert_eq!(part(text, at_least_rate(text).unwrap_err()), wrong, "{text}");
        }
        for (text, wrong) in [("<= 1s", "<="), (">= 5", "5"), (">= 0s", "0s"), (">=", "")] {
            assert_eq!(part(text, at_least_span(text).unwrap_err()), wrong, "{text}");
        }
        for (text, wrong) in
            [("closes", "closes"), ("opens soon", "soon"), ("opens within 2", "2"), ("opens within", "")]
        {
            assert_eq!(part(text, opens(text).unwrap_err()), wrong, "{text}");
        }
        for text in ["<= 0", "<= 1.5", "<= -1", "<= x"] {
            assert!(at_most_count(text).is_err(), "{text}");
        }
        for text in ["<= 0.5", "<= nan", "<= inf", "<= 1e3"] {
            assert!(at_most_factor(text).is_err(), "{text}");
        }
        for text in [
            "",
            "success < 2% for 1s",
            "a success > 2% for 1s",
            "a success < 2%",
            "a success < 2% for 1s x",
            "failing for 1s",
            "a failing",
            "a failing < 2% for 1s",
            "a fails for 1s",
        ] {
            assert!(abort(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_sentence_is_answered_and_its_error_lies_within(text in "[<>= a-z0-9%.ü]{0,30}") {
            let errors = [success(&text).err(), at_most_span(&text).err(), abort(&text).err()];
            for error in errors.into_iter().flatten() {
                prop_assert!(text.get(error.at).is_some());
            }
        }
    }
}
