//! Numbers as they stand on the screen: short, so that a column holds them.

use murphy_core::{Span, Tally};

/// `hit 12 conns, 340×, 1.20 MB`.
pub(crate) fn tally_text(tally: Tally) -> String {
    if tally == Tally::default() {
        return "hit nothing".to_owned();
    }
    format!("hit {} conns, {}×, {}", tally.connections, tally.hits, bytes_text(tally.bytes))
}

/// Bytes with three digits: `1.24 MB`. Decimal, as network rates are.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} B"),
        (_, value) if value < 9.995 => format!("{value:.2} {}", UNITS[unit]),
        (_, value) if value < 99.95 => format!("{value:.1} {}", UNITS[unit]),
        (_, value) => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A latency with three digits at most, for a column: `1.3ms`, `240us`, `12s`.
pub(crate) fn span_text(span: Span) -> String {
    let micros = span.as_micros() as f64;
    let (value, unit) = match micros {
        m if m < 999.5 => (m, "us"),
        m if m < 999_500.0 => (m / 1e3, "ms"),
        m => (m / 1e6, "s"),
    };
    if value < 9.95 && unit != "us" { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_short() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.00 kB"), (12_345, "12.3 kB"), (999_600, "1.00 MB")]
        {
            assert_eq!(bytes_text(bytes), text);
        }
        for (micros, text) in
            [(0, "0us"), (999, "999us"), (1_300, "1.3ms"), (48_000, "48ms"), (1_200_000, "1.2s")]
        {
            assert_eq!(span_text(Span::from_micros(micros)), text);
        }
    }
}
