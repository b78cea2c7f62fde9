//! Measured times as people read them.

use murphy_core::Span;

/// Rounded to about three digits: `12.3s`, `1.23ms`.
pub(crate) fn three_digits(span: Span) -> Span {
    let micros = span.as_micros();
    let mut step = 1;
    while micros / step >= 1000 {
        step *= 10;
    }
    Span::from_micros((micros + step / 2) / step * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_kept_whatever_the_unit() {
        let text = |micros| three_digits(Span::from_micros(micros)).to_string();
        assert_eq!(
            [text(12_345_678), text(999_499), text(1_234), text(7)],
            ["12.3s", "999ms", "1.23ms", "7us"]
        );
    }
}
