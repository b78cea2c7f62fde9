//! From values to places: the logarithmic axis of latencies, the ticks of the time axis, and numbers as people say them.

use murphy_core::Span;

/// The logarithmic axis of a chart of times, whole decades.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimeScale {
    low: f64,
    high: f64,
}

impl TimeScale {
    /// Wide enough for all of these; at least one decade.
    pub(super) fn of(spans: impl Iterator<Item = Span>) -> TimeScale {
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for micros in spans.map(|span| span.as_micros().max(1) as f64) {
            (least, most) = (least.min(micros), most.max(micros));
        }
        if !least.is_finite() {
            (least, most) = (1_000.0, 10_000.0);
        }
        let (low, high) = (least.log10().floor(), most.log10().ceil());
        TimeScale { low, high: high.max(low + 1.0) }
    }

    /// 0 at the top, 100 at the bottom.
    pub(super) fn place(self, span: Span) -> f64 {
        let micros = (span.as_micros().max(1) as f64).log10();
        (100.0 * (self.high - micros) / (self.high - self.low)).clamp(0.0, 100.0)
    }

    /// The decades, from the top.
    pub(super) fn decades(self) -> Vec<Span> {
        let (low, high) = (self.low as i32, self.high as i32);
        (low..=high).rev().map(|power| Span::from_micros(10u64.pow(power.clamp(0, 18) as u32))).collect()
    }
}

/// A time as people say it: `850us`, `9.1ms`, `1.3s`.
pub(crate) fn spoken(span: Span) -> String {
    let micros = span.as_micros();
    match micros {
        0..1_000 => format!("{micros}µs"),
        1_000..1_000_000 => trimmed(micros as f64 / 1e3, "ms"),
        1_000_000..120_000_000 => trimmed(micros as f64 / 1e6, "s"),
        _ => trimmed(micros as f64 / 6e7, "min"),
    }
}

fn trimmed(number: f64, unit: &str) -> String {
    let text = if number < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") };
    format!("{}{unit}", text.trim_end_matches(".0"))
}

/// Round times along an axis of this length, about six of them, the first at zero.
pub(super) fn ticks(length: Span) -> Vec<Span> {
    let seconds = length.as_secs_f64();
    let step =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0]
            .into_iter()
            .find(|step| seconds / step <= 7.0)
            .unwrap_or(14_400.0);
    let count = (seconds / step).floor() as u64;
    (0..=count).map(|n| Span::from_micros((n as f64 * step * 1e6) as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_what_is_drawn() {
        let scale = TimeScale::of([Span::from_micros(2_300), Span::from_millis(1_100)].into_iter());
        let words: Vec<String> = scale.decades().into_iter().map(spoken).collect();
        assert_eq!(words, ["10s", "1s", "100ms", "10ms", "1ms"]);
        assert_eq!((scale.place(Span::from_secs(10)), scale.place(Span::from_millis(1))), (0.0, 100.0));
        assert_eq!(scale.place(Span::from_millis(100)), 50.0);
        assert_eq!(TimeScale::of(std::iter::empty()).decades().len(), 2);
    }

    #[test]
    fn ticks_are_round_and_few() {
        let words = |seconds| ticks(Span::from_secs(seconds)).into_iter().map(spoken).collect::<Vec<_>>();
        assert_eq!(words(57), ["0µs", "10s", "20s", "30s", "40s", "50s"]);
        assert!(words(3).len() <= 8 && words(86_400).len() <= 8);
    }
}
