//! How far is a load from what the service can serve? Told by a limit that the same run found, or by the most that was answered in
//! some seconds. That is the least that it can serve; it must never be taken for a limit.

use super::super::{capacity, most_within};
use super::amplified::Amplified;
use crate::edge::EdgeView;
use crate::judgement::State;
use crate::phase::{LoadView, RunView};
use crate::words;

/// Below this share of what it can serve, a service is not easily tipped over (verdicts 2.15).
const VULNERABLE: f64 = 0.7;
/// So much more than the load must have been served for it to tell a capacity, and not chance.
const CLEARLY_MORE: f64 = 1.5;
/// The stretch over which a pace is told, in microseconds.
const LOOK: u64 = 5_000_000;

/// What these calls come to at the rate of the baseline, if that is more than the callee can serve: it answers less of them, and
/// was never seen to answer so much.
pub(super) fn beyond(run: &RunView<'_>, amplified: &Amplified<'_>) -> Option<String> {
    let Amplified { edge, ratio, .. } = amplified;
    let ends = served(edge);
    let most = most_within(&ends, LOOK) as f64 / seconds(LOOK);
    let now = ends.iter().filter(|end| run.after.holds(**end)).count() as f64 / seconds(run.after.length());
    let usual = edge.within(&run.baseline).count() as f64 / seconds(run.baseline.length());
    let asked = ratio * usual;
    (now < asked && most < asked).then(|| {
        format!(
            "{} x {usual:.0}/s = {asked:.0}/s are more than it can serve: it answers {now:.0}/s of them, and {most:.0}/s at most \
             in this run",
            words::ratio(*ratio)
        )
    })
}

/// When the callee answered well, in order. What a fault held and its lift lets go comes in one blow, and tells nothing of a pace;
/// what Murphy refused to pass on, no fault touched, and the callee did not serve it either.
fn served(edge: &EdgeView) -> Vec<u64> {
    let served = edge.calls.iter().filter(|call| !call.touched && edge.is_good(call));
    let mut ends: Vec<u64> = served.filter_map(|call| call.answered).collect();
    ends.sort_unstable();
    ends
}

fn seconds(micros: u64) -> f64 {
    micros.max(1) as f64 / 1e6
}

/// What a higher load would tell, where it is known what the service can serve: a limit that this load was raised to before anything
/// was broken, or what was served for some seconds after the lift, which it can at least.
pub(super) fn advice(run: &RunView<'_>, load: &LoadView, lifted: u64) -> String {
    let Some(rate) = load.rate.filter(|rate| *rate > 0.0) else { return String::new() };
    if let Some(capacity) = measured(run, load) {
        return of_capacity(rate, capacity);
    }
    let late = load.points.iter().filter(|point| point.is_ok() && point.intended >= lifted);
    let mut ends: Vec<u64> = late.map(|point| point.ended).collect();
    ends.sort_unstable();
    let most = most_within(&ends, LOOK) as f64 / seconds(LOOK);
    if most < rate * CLEARLY_MORE || rate >= most * VULNERABLE {
        return String::new();
    }
    format!(
        "; it can serve {most:.0}/s, and only from {:.0}/s on is it easily tipped over",
        most * VULNERABLE
    )
}

/// How many requests of this load a second can be served, if the same run found a limit.
fn measured(run: &RunView<'_>, load: &LoadView) -> Option<f64> {
    match capacity::detect(run, load).state {
        State::Present { params } => params.get("capacity")?.value.filter(|capacity| *capacity > 0.0),
        State::Absent { .. } | State::Inconclusive { .. } | State::NotApplicable { .. } => None,
    }
}

fn of_capacity(rate: f64, capacity: f64) -> String {
    let vulnerable = capacity * VULNERABLE;
    let more = if rate < vulnerable {
        format!(", and only from {} on is it easily tipped over", words::rate(vulnerable))
    } else {
        String::new()
    };
    format!(
        "; that is {} of the {} that it can serve{more}",
        words::share(rate / capacity),
        words::rate(capacity)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{Call, Harm};
    use crate::phase::Windows;
    use crate::worth::AnswerWorth;
    use murphy_core::{EdgeName, ExchangeEnd};

    #[test]
    fn what_murphy_refused_to_pass_on_was_not_served_by_the_callee() {
        let call = |(ended, touched, answer)| Call {
            began: 0,
            answered: Some(ended),
            ended,
            end: ExchangeEnd::Answered,
            touched,
            answer,
            done_unknown: false,
            mark: None,
        };
        let calls = [
            (60, false, Some(AnswerWorth::Good)),
            (50, false, None),
            (40, false, Some(AnswerWorth::MadeUp)),
            (30, false, Some(AnswerWorth::Bad)),
            (20, true, Some(AnswerWorth::Good)),
        ];
        let edge = EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: calls.map(call).to_vec(),
            conns: Vec::new(),
            harm: Harm::None,
            delays: false,
            blind: false,
            hurt: Windows::default(),
        };
        assert_eq!(served(&edge), [50, 60]);
    }

    #[test]
    fn a_load_is_told_as_a_share_of_what_can_be_served() {
        assert_eq!(of_capacity(60.0, 80.0), "; that is 75% of the 80/s that it can serve");
        assert_eq!(
            of_capacity(20.0, 80.0),
            "; that is 25% of the 80/s that it can serve, and only from 56/s on is it easily tipped over"
        );
    }
}
