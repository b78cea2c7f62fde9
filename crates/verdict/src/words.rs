//! Numbers as they are printed. Rounding must never turn a failure into a round `100%`, nor a value into its limit.

use murphy_core::Span;
pub(crate) use murphy_core::plural;

use crate::judgement::{Reading, Unit};

/// Microseconds in three significant digits: `0.6ms`, `41ms`, `1.32s`.
pub(crate) fn micros(micros: f64) -> String {
    let (scale, unit) = scale_of(micros);
    format!("{}{unit}", number(micros / scale))
}

/// Microseconds that are above a limit, in as many digits as it takes to see that they are.
pub(crate) fn micros_above(micros: f64, limit: f64) -> String {
    let (text, bound) = (self::micros(micros), self::micros(limit));
    if text != bound || micros <= limit {
        return text;
    }
    let (scale, unit) = scale_of(micros);
    (2..7)
        .map(|decimals| format!("{:.decimals$}", micros / scale))
        .find(|text| text.parse::<f64>().is_ok_and(|shown| shown > limit / scale))
        .map_or(text, |text| text + unit)
}

/// The same for a span.
pub(crate) fn span(span: Span) -> String {
    micros(span.as_micros() as f64)
}

fn scale_of(micros: f64) -> (f64, &'static str) {
    if micros.abs() < 999_500.0 { (1e3, "ms") } else { (1e6, "s") }
}

/// Three significant digits at most, without trailing zeros; whole above a hundred.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Events a second in three significant digits: `97.7/s`.
pub(crate) fn rate(value: f64) -> String {
    format!("{}/s", number(value))
}

/// A ratio in two decimals: `2.00`.
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

/// Percentage points, signed as they come: `0.2`.
pub(crate) fn points(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

/// A share as a percentage that is 100 or 0 only if it is exactly that: `99.8%`.
pub(crate) fn percent(good: u64, n: u64) -> String {
    if n == 0 {
        return "-".to_owned();
    }
    if good >= n {
        return "100%".to_owned();
    }
    if good == 0 {
        return "0%".to_owned();
    }
    let value = good as f64 / n as f64 * 100.0;
    for decimals in 1..6 {
        let text = format!("{value:.decimals$}");
        if text.parse::<f64>().is_ok_and(|shown| shown < 100.0 && shown > 0.0) {
            return format!("{text}%");
        }
    }
    if value > 50.0 { "<100%".to_owned() } else { ">0%".to_owned() }
}

/// A share of any kind: `99.8%`.
pub(crate) fn share(value: f64) -> String {
    let text = number((value * 1e4).round() / 100.0);
    format!("{text}%")
}

/// Cuts a text to at most so many characters, with an ellipsis in ASCII.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{kept}...")
}

impl Reading {
    /// A share `898/900  99.8%` with its interval.
    pub(crate) fn share(good: u64, n: u64, interval: Option<(f64, f64)>) -> Reading {
        let text = match (good, n) {
            (_, 0) => "-".to_owned(),
            (good, n) if good == n => format!("{good}/{n}"),
            (good, n) => format!("{good}/{n}  {}", percent(good, n)),
        };
        Reading {
            text,
            unit: Unit::Share,
            value: (n > 0).then(|| good as f64 / n as f64),
            low: interval.map(|i| i.0),
            high: interval.map(|i| i.1),
            n,
            good: Some(good),
        }
    }

    /// A time in microseconds, `1.32s [1.29, 1.39]`. A missing end is printed as `?`.
    pub(crate) fn time(value: f64, low: Option<f64>, high: Option<f64>, n: u64) -> Reading {
        let (scale, _) = scale_of(value);
        let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), |end| number(end / scale));
        let text = match (low, high) {
            (None, None) => micros(value),
            _ => format!("{} [{}, {}]", micros(value), end(low), end(high)),
        };
        Reading {
            text,
            unit: Unit::Seconds,
            value: Some(value / 1e6),
            low: low.map(|v| v / 1e6),
            high: high.map(|v| v / 1e6),
            n,
            good: None,
        }
    }

    /// A ratio, `2.00 [1.99, 2.01]`.
    pub(crate) fn ratio(value: f64, interval: Option<(f64, f64)>, n: u64) -> Reading {
        let text = match interval {
            None => ratio(value),
            Some((low, high)) => format!("{} [{}, {}]", ratio(value), ratio(low), ratio(high)),
        };
        let (low, high) = (interval.map(|i| i.0), interval.map(|i| i.1));
        Reading { text, unit: Unit::Ratio, value: Some(value), low, high, n, good: None }
    }

    /// Events a second, `97.7/s [80, 100]`.
    pub(crate) fn rate(value: f64, interval: (f64, f64), n: u64) -> Reading {
        let (low, high) = interval;
        Reading {
            text: format!("{} [{}, {}]", rate(value), number(low), number(high)),
            unit: Unit::PerSecond,
            value: Some(value),
            low: Some(low),
            high: Some(high),
            n,
            good: None,
        }
    }

    /// So many events a second, or more: `>= 200/s`.
    pub(crate) fn rate_at_least(low: f64, n: u64) -> Reading {
        Reading {
            text: format!(">= {}", rate(low)),
            unit: Unit::PerSecond,
            value: None,
            low: Some(low),
            high: None,
            n,
            good: None,
        }
    }

    /// A number of things, of `n` observations.
    pub(crate) fn count(value: u64, n: u64) -> Reading {
        Reading {
            text: value.to_string(),
            unit: Unit::Count,
            value: Some(value as f64),
            low: None,
            high: None,
            n,
            good: None,
        }
    }

    /// The same reading with another text.
    pub(crate) fn says(mut self, text: impl Into<String>) -> Reading {
        self.text = text.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_of_their_size() {
        for (value, text) in [
            (600.0, "0.6ms"),
            (4_212.0, "4.21ms"),
            (41_000.0, "41ms"),
            (802_400.0, "802ms"),
            (999_700.0, "1s"),
            (1_318_000.0, "1.32s"),
            (12_340_000.0, "12.3s"),
            (120_000_000.0, "120s"),
            (0.0, "0ms"),
        ] {
            assert_eq!(micros(value), text);
        }
    }

    #[test]
    fn what_is_above_a_limit_is_seen_to_be() {
        assert_eq!(micros_above(10_004.0, 10_000.0), "10.004ms");
        assert_eq!(micros_above(14_000.0, 10_000.0), "14ms");
        assert_eq!(micros_above(1_000_400.0, 1_000_000.0), "1.0004s");
    }

    #[test]
    fn an_interval_speaks_in_the_unit_of_its_value() {
        assert_eq!(
            Reading::time(1_320_000.0, Some(1_290_000.0), Some(1_390_000.0), 9).text,
            "1.32s [1.29, 1.39]"
        );
        assert_eq!(Reading::time(41_000.0, Some(38_000.0), None, 9).text, "41ms [38, ?]");
        assert_eq!(Reading::time(2_000_000.0, Some(1_000_000.0), Some(2_000_000.0), 9).text, "2s [1, 2]");
    }

    #[test]
    fn rates_have_their_unit_once() {
        assert_eq!(Reading::rate(97.66, (78.125, 100.0), 9).text, "97.7/s [78.1, 100]");
        assert_eq!(Reading::rate_at_least(200.0, 9).text, ">= 200/s");
    }

    #[test]
    fn one_failure_in_a_million_is_not_a_hundred_percent() {
        assert_eq!(percent(999_999, 1_000_000), "99.9999%");
        assert_eq!(percent(898, 900), "99.8%");
        assert_eq!(percent(1, 1_000_000), "0.0001%");
        assert_eq!(percent(7, 7), "100%");
        assert_eq!(percent(99_999_999, 100_000_000), "<100%");
        assert_eq!(Reading::share(898, 900, None).text, "898/900  99.8%");
        assert_eq!(Reading::share(900, 900, None).text, "900/900");
    }
}
