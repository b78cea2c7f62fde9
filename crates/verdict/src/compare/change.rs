//! What became of one measure from one run to another. Nothing is called the same of which one run does not tell the interval.

use serde::Serialize;

use super::{Better, Measure};

/// What became of one measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The intervals do not touch, and the newer is on the wrong side.
    Worse,
    /// The intervals do not touch, and the newer is on the right side.
    Better,
    /// The intervals do not touch, of what is neither better nor worse.
    Changed,
    /// The intervals touch: no difference can be told.
    Same,
    /// The newer run has no interval where the older one has: it may have become worse.
    Lost,
    /// There was nothing to compare with.
    New,
}

/// `slack` is the share by which a number may become worse, or other where neither way is, without being called so.
pub(super) fn change(old: &Measure, new: &Measure, slack: f64) -> Change {
    // As if less were always better.
    let ends = |measure: &Measure| match old.better {
        Better::Lower | Better::Neither => (measure.low, measure.high),
        Better::Higher => (measure.high.map(|high| -high), measure.low.map(|low| -low)),
    };
    let ((old_low, old_high), (new_low, new_high)) = (ends(old), ends(new));
    let allowed = |end: f64| end + end.abs() * slack;
    let less = |end: f64| end - end.abs() * slack;
    match (old_low, old_high, new_low, new_high) {
        (_, Some(old_high), Some(new_low), _)
            if old.better == Better::Neither && new_low > allowed(old_high) =>
        {
            Change::Changed
        }
        (Some(old_low), _, _, Some(new_high))
            if old.better == Better::Neither && new_high < less(old_low) =>
        {
            Change::Changed
        }
        // Less by no more than the slack.
        (Some(old_low), _, _, Some(new_high)) if old.better == Better::Neither && new_high < old_low => {
            Change::Same
        }
        (_, Some(old_high), Some(new_low), _) if new_low > allowed(old_high) => Change::Worse,
        (Some(old_low), _, _, Some(new_high)) if new_high < old_low => Change::Better,
        (_, Some(_), Some(_), _) => Change::Same,
        // Of no known end on the right side, as a capacity without a limit, and not on the wrong side of the older one.
        (_, Some(old_high), None, Some(new_high))
            if old.better == Better::Higher && new_high <= allowed(old_high) =>
        {
            Change::Same
        }
        (_, None, ..) => Change::New,
        (_, Some(_), None, _) => Change::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::Unit;

    fn measure(better: Better, low: f64, high: f64) -> Measure {
        let (low, high) = (Some(low), Some(high));
        Measure { id: "x".into(), unit: Unit::Seconds, better, value: None, low, high, n: 100 }
    }

    #[test]
    fn who_is_served_at_any_rate_that_was_tried_has_not_become_worse() {
        let limit = measure(Better::Higher, 80.0, 160.0);
        let without = |low| Measure { high: None, ..measure(Better::Higher, low, 0.0) };
        assert_eq!(change(&limit, &without(160.0), 0.0), Change::Same);
        assert_eq!(change(&limit, &without(200.0), 0.0), Change::Better);
        assert_eq!(change(&limit, &without(60.0), 0.0), Change::Lost);
        assert_eq!(change(&without(200.0), &limit, 0.0), Change::Worse);
    }

    #[test]
    fn worse_is_only_what_does_not_touch_and_is_on_the_wrong_side() {
        let lower = |low, high| measure(Better::Lower, low, high);
        assert_eq!(change(&lower(0.1, 0.2), &lower(0.21, 0.3), 0.0), Change::Worse);
        assert_eq!(change(&lower(0.1, 0.2), &lower(0.21, 0.3), 0.1), Change::Same);
        assert_eq!(change(&lower(0.1, 0.2), &lower(0.2, 0.3), 0.0), Change::Same);
        assert_eq!(change(&lower(0.1, 0.2), &lower(0.05, 0.09), 0.0), Change::Better);
        let higher = |low, high| measure(Better::Higher, low, high);
        assert_eq!(change(&higher(0.98, 1.0), &higher(0.9, 0.97), 0.0), Change::Worse);
        assert_eq!(change(&higher(0.98, 1.0), &higher(0.9, 0.97), 0.05), Change::Same);
        assert_eq!(change(&higher(0.5, 0.6), &higher(0.9, 0.97), 0.0), Change::Better);
    }

    #[test]
    fn a_number_that_is_no_longer_told_is_lost_and_never_the_same() {
        let old = measure(Better::Lower, 0.1, 0.2);
        assert_eq!(change(&old, &Measure { low: None, ..old.clone() }, 0.0), Change::Lost);
        // Not recovered within the run: the lower end is known, and enough.
        let never = Measure { low: Some(9.0), high: None, ..old.clone() };
        assert_eq!(change(&old, &never, 0.0), Change::Worse);
        assert_eq!(change(&Measure { high: None, ..old.clone() }, &old, 0.0), Change::New);
    }

    #[test]
    fn what_is_neither_better_nor_worse_has_changed_either_way() {
        let pool = |low, high| measure(Better::Neither, low, high);
        assert_eq!(change(&pool(4.0, 6.0), &pool(49.0, 51.0), 0.0), Change::Changed);
        assert_eq!(change(&pool(49.0, 51.0), &pool(4.0, 6.0), 0.0), Change::Changed);
        assert_eq!(change(&pool(4.0, 6.0), &pool(6.0, 8.0), 0.0), Change::Same);
        // The slack is for both ways.
        assert_eq!(change(&pool(10.0, 12.0), &pool(13.0, 15.0), 0.1), Change::Same);
        assert_eq!(change(&pool(13.0, 15.0), &pool(10.0, 12.0), 0.1), Change::Same);
        assert_eq!(change(&pool(10.0, 12.0), &pool(13.0, 15.0), 0.05), Change::Changed);
        // No try in 20 s: how long it takes is open, and that it is longer is not.
        let none_in = |low| Measure { high: None, ..pool(low, 0.0) };
        assert_eq!(change(&pool(2.0, 2.5), &none_in(20.0), 0.0), Change::Changed);
        assert_eq!(change(&none_in(20.0), &pool(2.0, 2.5), 0.0), Change::Changed);
        assert_eq!(change(&none_in(20.0), &pool(30.0, 31.0), 0.0), Change::New);
        assert_eq!(change(&pool(2.0, 2.5), &Measure { low: None, ..pool(2.0, 2.5) }, 0.0), Change::Lost);
    }
}
