//! Do connections stay behind after each fault? (verdicts 2.13) One level proves nothing: pools grow when they are used. A
//! leak is a level that climbs from each fault to the next; so several short faults are needed, with quiet between them.

use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::Reading;
use crate::phase::{RunView, Window};
use crate::stats::rise_by_chance;
use crate::words;

/// Faults, one after another, needed to name a leak: four rising levels come by chance once in 24.
const CYCLES: usize = 4;
/// Quiet after a fault of which the last part is looked at; less is no quiet.
const SHORTEST: u64 = 2_000_000;
const LONGEST: u64 = 10_000_000;
/// Growth up to this is none.
const CONNECTIONS: u64 = 3;
const SHARE: f64 = 0.2;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if edge.hurt.is_empty() || edge.conns.is_empty() {
        return Found::not_applicable("no connection met a fault on this edge");
    }
    let quiet = quiet(run, edge);
    let levels: Vec<u64> = quiet.iter().map(|window| level(edge, *window)).collect();
    let (Some(&first), Some(&last)) = (levels.first(), levels.last()) else {
        return Found::inconclusive("no quiet before the fault", "a baseline of 4s or more");
    };
    let cycles = levels.len() - 1;
    if cycles == 0 {
        return Found::inconclusive(
            "no quiet after the fault",
            "a recovery of 10s or more, longer than the pool keeps idle connections",
        );
    }
    let growth = last.saturating_sub(first);
    let each = growth as f64 / cycles as f64;
    let n = levels.len() as u64;
    let found = params([
        ("before", Reading::count(first, n)),
        ("after", Reading::count(last, n)),
        (
            "each",
            Reading { value: Some(each), ..Reading::count(each.round() as u64, n) }
                .says(format!("{each:.1}")),
        ),
        ("faults", Reading::count(cycles as u64, n)),
    ]);
    let listed = levels.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if cycles >= CYCLES && !is_large(growth, first) {
        return Found::absent(found, format!("open connections before and after each fault: {listed}"));
    }
    let values: Vec<f64> = levels.iter().map(|level| *level as f64).collect();
    let by_chance = rise_by_chance(&values).unwrap_or(1.0);
    if cycles < CYCLES {
        return Found::inconclusive(
            format!(
                "{growth} more connections are open after {} than before",
                words::plural(cycles as u64, "fault")
            ),
            format!(
                "{CYCLES} short faults with quiet between them, longer than the pool keeps idle connections"
            ),
        );
    }
    if by_chance <= 0.05 && !is_level(&levels) {
        return Found::present(
            found,
            format!("open connections climb with each fault ({listed}): {each:.1} stay behind each time"),
        );
    }
    if is_level(&levels) {
        return Found::absent(found, format!("open connections grow to a level and stay there ({listed})"));
    }
    Found::inconclusive(
        format!("open connections go up and down ({listed})"),
        "more faults, with longer quiet between them",
    )
}

fn is_large(growth: u64, first: u64) -> bool {
    growth > CONNECTIONS && growth as f64 > first as f64 * SHARE
}

/// True if the last two faults left nothing behind: a pool that has reached its size.
fn is_level(levels: &[u64]) -> bool {
    levels.len() >= 3 && levels[levels.len() - 3..].windows(2).all(|pair| pair[1] <= pair[0])
}

/// The end of the baseline, and the end of each stretch between faults.
fn quiet(run: &RunView<'_>, edge: &EdgeView) -> Vec<Window> {
    let end = run.recovery.iter().map(|window| window.to).max().unwrap_or(run.last);
    let before = run.baseline.iter().last();
    let starts: Vec<Window> = edge.hurt.iter().collect();
    let gaps = starts.iter().enumerate().map(|(index, fault)| Window {
        from: fault.to,
        to: starts.get(index + 1).map_or(end, |next| next.from),
    });
    before.into_iter().chain(gaps).filter_map(tail).collect()
}

/// The last part of a stretch; `None` if it is too short to have one.
fn tail(stretch: Window) -> Option<Window> {
    (stretch.length() >= 2 * SHORTEST)
        .then(|| Window { from: stretch.to - (stretch.length() / 2).min(LONGEST), to: stretch.to })
}

/// Connections open at a look, the median over looks a fifth of a second apart.
fn level(edge: &EdgeView, window: Window) -> u64 {
    const STEP: u64 = 200_000;
    let open = |at: u64| {
        edge.conns
            .iter()
            .filter(|conn| conn.opened <= at && conn.closed.is_none_or(|closed| closed > at))
            .count() as u64
    };
    let mut looks: Vec<u64> =
        (0..window.length() / STEP).map(|step| open(window.from + step * STEP)).collect();
    looks.sort_unstable();
    looks.get(looks.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use murphy_core::{ConnId, Event, EventKind, Offset};
    use murphy_testkit::golden::{Break, Caller, Golden};

    use super::*;
    use crate::judge::judge;
    use crate::judgement::{Detector, State};

    #[test]
    fn one_fault_tells_of_no_leak_even_where_nothing_stays_behind() {
        let mut events = Golden::new("a", Caller::careful(), Break::Hang).journal();
        let at = Offset::from_micros(1_000_000);
        let place = events.iter().position(|event| event.at > at).expect("a later event");
        let (edge, conn, peer) = (Golden::edge(), ConnId(1_000_000), "127.0.0.1:4000".to_owned());
        events.insert(place, Event { seq: 0, at, kind: EventKind::ConnOpened { edge, conn, peer } });
        events.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
        let judgement = judge(&events);
        let mut found = judgement.findings.iter();
        let found = found.find(|finding| finding.detector == Detector::Leak).expect("a finding");
        let State::Inconclusive { why, settle, .. } = &found.state else { panic!("{found:?}") };
        assert!(why.starts_with("0 more connections") && settle.starts_with("4 short faults"), "{found:?}");
    }

    #[test]
    fn a_pool_that_has_reached_its_size_is_level() {
        assert!(is_level(&[2, 8, 10, 10, 10]));
        assert!(!is_level(&[2, 4, 6, 8, 10]));
        assert!(!is_level(&[2, 2]));
    }

    #[test]
    fn a_short_stretch_has_no_quiet_end() {
        assert_eq!(tail(Window { from: 0, to: 3_000_000 }), None);
        assert_eq!(tail(Window { from: 0, to: 8_000_000 }), Some(Window { from: 4_000_000, to: 8_000_000 }));
        let long = tail(Window { from: 0, to: 60_000_000 });
        assert_eq!(long, Some(Window { from: 50_000_000, to: 60_000_000 }));
    }
}
