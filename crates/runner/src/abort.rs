//! Stop conditions: `browse success < 20% for 10s` ends a run before more harm is done. Pure: events in, a rule out.

use std::collections::VecDeque;

use murphy_core::{Event, EventKind, Offset, Phase, SampleOutcome};
use murphy_scenario::AbortRule;

/// Fewer answers than this in the window decide nothing.
const ENOUGH: usize = 5;

/// Watches all stop conditions of a run.
#[derive(Debug)]
pub(crate) struct AbortWatch {
    rules: Vec<Watched>,
    counting: bool,
    /// What was due before this counts no more.
    since: Offset,
}

#[derive(Debug)]
struct Watched {
    rule: AbortRule,
    /// End and goodness of the requests in the window.
    window: VecDeque<(Offset, bool)>,
    good: usize,
    began: Option<Offset>,
}

impl AbortWatch {
    pub(crate) fn new(rules: &[AbortRule]) -> AbortWatch {
        let watched =
            |rule: &AbortRule| Watched { rule: rule.clone(), window: VecDeque::new(), good: 0, began: None };
        AbortWatch { rules: rules.iter().map(watched).collect(), counting: false, since: Offset::ZERO }
    }

    /// The first rule that is met by now, as the author wrote it. Warm-up does not count, nor what the run itself brings about by
    /// stopping the load: the good answers end at once, and what was under way and waits in vain comes in after them.
    pub(crate) fn on(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::PhaseStarted { phase } => {
                self.counting = !matches!(phase, Phase::WarmUp | Phase::Quiet);
                if *phase == Phase::Again {
                    self.since = event.at;
                    self.rules.iter_mut().for_each(Watched::forget);
                }
                None
            }
            EventKind::Sample(sample)
                if self.counting
                    && sample.intended >= self.since
                    && sample.outcome != SampleOutcome::Unfinished =>
            {
                self.rules
                    .iter_mut()
                    .filter(|watched| watched.rule.load == sample.load)
                    .find_map(|watched| watched.take(sample.ended, sample.is_ok()))
            }
            _ => None,
        }
    }
}

impl Watched {
    fn forget(&mut self) {
        self.window.clear();
        self.good = 0;
        self.began = None;
    }

    fn take(&mut self, ended: Offset, good: bool) -> Option<String> {
        let began = *self.began.get_or_insert(ended);
        self.window.push_back((ended, good));
        self.good += usize::from(good);
        while let Some((oldest, was_good)) = self.window.front().copied()
            && ended.since(oldest) > self.rule.lasts
        {
            self.window.pop_front();
            self.good -= usize::from(was_good);
        }
        let long_enough = ended.since(began) >= self.rule.lasts && self.window.len() >= ENOUGH;
        let share = self.good as f64 / self.window.len() as f64;
        (long_enough && share < self.rule.success_below.as_fraction()).then(|| self.rule.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{LoadName, Sample, Served, Span};

    fn watch() -> AbortWatch {
        AbortWatch::new(&[AbortRule {
            load: LoadName::new("browse").unwrap(),
            success_below: "20%".parse().unwrap(),
            lasts: Span::from_secs(2),
            text: "browse success < 20% for 2s".into(),
        }])
    }

    fn feed(watch: &mut AbortWatch, kinds: impl IntoIterator<Item = (u64, bool)>) -> Option<(u64, String)> {
        feed_due(watch, kinds.into_iter().map(|(millis, good)| (millis, millis, good)))
    }

    /// When each was due, when it ended, and whether well.
    fn feed_due(
        watch: &mut AbortWatch,
        kinds: impl IntoIterator<Item = (u64, u64, bool)>,
    ) -> Option<(u64, String)> {
        kinds.into_iter().enumerate().find_map(|(n, (due, millis, good))| {
            let at = Offset::from_micros(millis * 1000);
            let due = Offset::from_micros(due * 1000);
            let sample = Sample {
                load: LoadName::new("browse").unwrap(),
                n: n as u64,
                intended: due,
                sent: Some(due),
                ended: at,
                outcome: if good { SampleOutcome::Ok } else { SampleOutcome::Status },
                status: None,
                served: Served::Fresh,
                age: None,
                retry_after: None,
            };
            let event = Event { seq: n as u64, at, kind: EventKind::Sample(sample) };
            watch.on(&event).map(|rule| (millis, rule))
        })
    }

    fn begin(watch: &mut AbortWatch, phase: Phase) {
        begin_at(watch, phase, 0);
    }

    fn begin_at(watch: &mut AbortWatch, phase: Phase, millis: u64) {
        let at = Offset::from_micros(millis * 1000);
        let event = Event { seq: 0, at, kind: EventKind::PhaseStarted { phase } };
        assert_eq!(watch.on(&event), None);
    }

    #[test]
    fn a_rule_is_met_once_it_has_held_for_its_whole_time() {
        let mut watch = watch();
        begin(&mut watch, Phase::Fault);
        // Good for two seconds, then nothing but failures, one each 100 ms.
        let met = feed(&mut watch, (0..100).map(|n| (n * 100, n < 20)));
        let (at, rule) = met.expect("it is met");
        assert_eq!(rule, "browse success < 20% for 2s");
        // Of the 21 answers in a window of 2 s at most 4 may be good: the 17th failure decides.
        assert!((3_500..=4_000).contains(&at), "{at}");
    }

    #[test]
    fn a_short_dip_and_the_warm_up_decide_nothing() {
        let mut watch = watch();
        begin(&mut watch, Phase::WarmUp);
        assert_eq!(feed(&mut watch, (0..100).map(|n| (n * 100, false))), None);
        begin(&mut watch, Phase::Baseline);
        assert_eq!(feed(&mut watch, (0..100).map(|n| (n * 100, n % 20 > 10))), None);
    }

    #[test]
    fn a_load_that_the_run_itself_stops_decides_nothing_until_it_is_begun_again() {
        let mut watch = watch();
        begin(&mut watch, Phase::Recovery);
        // Bad for less than the rule's time.
        assert_eq!(feed(&mut watch, (0..15).map(|n| (n * 100, false))), None);
        begin_at(&mut watch, Phase::Quiet, 1_500);
        // What was under way, and requests sent alone.
        assert_eq!(feed(&mut watch, (15..100).map(|n| (n * 100, false))), None);
        begin_at(&mut watch, Phase::Again, 10_000);
        assert_eq!(feed_due(&mut watch, (0..40).map(|n| (9_900, 10_000 + n * 100, false))), None);
        // The load that is begun again has the rule's whole time.
        let (at, _) = feed(&mut watch, (110..200).map(|n| (n * 100, false))).expect("it is met");
        assert_eq!(at, 13_000);
    }
}
