//! Stop conditions: `browse success < 20% for 10s` and `ready failing for 10s` end a run before more harm is done. Pure: events in, a
//! rule out.

use std::collections::{BTreeSet, VecDeque};

use murphy_core::{Chance, Event, EventKind, Offset, Phase, SampleOutcome};
use murphy_scenario::{AbortRule, AbortWhen};

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
    /// Of a load: end and goodness of the requests in the window.
    window: VecDeque<(Offset, bool)>,
    good: usize,
    /// The first request.
    began: Option<Offset>,
    /// Of a probe: when what was answered badly was asked, since the last question that was answered well.
    bad: BTreeSet<Offset>,
    /// That question.
    well: Option<Offset>,
}

impl AbortWatch {
    pub(crate) fn new(rules: &[AbortRule]) -> AbortWatch {
        let watched = |rule: &AbortRule| Watched {
            rule: rule.clone(),
            window: VecDeque::new(),
            good: 0,
            began: None,
            bad: BTreeSet::new(),
            well: None,
        };
        AbortWatch { rules: rules.iter().map(watched).collect(), counting: false, since: Offset::ZERO }
    }

    /// The first rule that is met by now, as the author wrote it. What was asked in the warm-up does not count, nor what the run itself
    /// brings about by stopping the load: the good answers end at once, and what was under way and waits in vain comes in after them.
    pub(crate) fn on(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::PhaseStarted { phase } => {
                let counted =
                    std::mem::replace(&mut self.counting, !matches!(phase, Phase::WarmUp | Phase::Quiet));
                if self.counting && !counted {
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
                self.rules.iter_mut().find_map(|watched| match watched.rule.when {
                    AbortWhen::Success { ref load, below } if *load == sample.load => {
                        watched.take(sample.ended, sample.is_ok(), below)
                    }
                    _ => None,
                })
            }
            EventKind::Probe { probe, asked, ok, .. } if self.counting && *asked >= self.since => {
                self.rules.iter_mut().find_map(|watched| match watched.rule.when {
                    AbortWhen::Failing { probe: ref meant } if meant == probe => {
                        watched.answered(*asked, *ok)
                    }
                    _ => None,
                })
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
        self.bad.clear();
        self.well = None;
    }

    /// A probe's answer. Questions do not wait for each other, so that one may be answered after a later one. One bad answer alone says
    /// nothing of how long it has been so.
    fn answered(&mut self, asked: Offset, ok: bool) -> Option<String> {
        if ok {
            self.well = self.well.max(Some(asked));
            self.bad.retain(|bad| *bad > asked);
            return None;
        }
        if Some(asked) > self.well {
            self.bad.insert(asked);
        }
        let (first, last) = (*self.bad.first()?, *self.bad.last()?);
        (last > first && last.since(first) >= self.rule.lasts).then(|| self.rule.text.clone())
    }

    fn take(&mut self, ended: Offset, good: bool, below: Chance) -> Option<String> {
        let began = *self.began.get_or_insert(ended);
        self.window.push_back((ended, good));
        self.good += usize::from(good);
        while let Some((oldest, was_good)) = self.window.front().copied()
            && ended.since(oldest) > self.rule.lasts
        {
            self.window.pop_front();
            self.good -= usize::from(was_good);
        }
        let long_enough = ended.since(began) >= self.rule.lasts && self.window.len() >= AbortRule::ENOUGH;
        let share = self.good as f64 / self.window.len() as f64;
        (long_enough && share < below.as_fraction()).then(|| self.rule.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{LoadName, ProbeName, Sample, Served, Span};

    fn watch() -> AbortWatch {
        AbortWatch::new(&[AbortRule {
            when: AbortWhen::Success {
                load: LoadName::new("browse").unwrap(),
                below: "20%".parse().unwrap(),
            },
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

    /// When each question is asked, and whether its answer is good.
    fn ask(
        watch: &mut AbortWatch,
        name: &str,
        answers: impl IntoIterator<Item = (u64, bool)>,
    ) -> Option<u64> {
        answers.into_iter().find_map(|(millis, ok)| {
            let asked = Offset::from_micros(millis * 1000);
            let took = Span::from_millis(3);
            let probe = ProbeName::new(name).unwrap();
            let kind = EventKind::Probe { probe, asked, took, ok, saw: String::new() };
            watch.on(&Event { seq: 0, at: asked + took, kind }).map(|_| millis)
        })
    }

    /// Of the probe `ready`, for two seconds.
    fn failing() -> AbortWatch {
        let when = AbortWhen::Failing { probe: ProbeName::new("ready").unwrap() };
        let text = "ready failing for 2s".to_owned();
        AbortWatch::new(&[AbortRule { when, lasts: Span::from_secs(2), text }])
    }

    #[test]
    fn a_probe_that_is_good_once_has_its_whole_time_again() {
        let mut watch = failing();
        begin(&mut watch, Phase::WarmUp);
        assert_eq!(ask(&mut watch, "ready", (0..10).map(|n| (n * 500, false))), None);
        begin(&mut watch, Phase::Fault);
        assert_eq!(ask(&mut watch, "other", (10..30).map(|n| (n * 500, false))), None);
        // Bad from 15 s on, good at 16.5 s, bad again from 17 s on.
        let met = ask(&mut watch, "ready", (30..60).map(|n| (n * 500, n == 33)));
        assert_eq!(met, Some(19_000));
    }

    #[test]
    fn a_question_counts_from_when_it_was_asked_whichever_is_answered_first() {
        let mut watch = failing();
        begin(&mut watch, Phase::Fault);
        // The first one hangs until later ones are answered, well.
        let late = [(2_000, true), (3_000, true), (1_000, false), (3_500, false), (4_000, false)];
        assert_eq!(ask(&mut watch, "ready", late), None);
        // A good answer that comes late says nothing of what was asked after it.
        assert_eq!(ask(&mut watch, "ready", [(3_200, true), (5_500, false)]), Some(5_500));
    }

    #[test]
    fn what_was_asked_in_the_warm_up_and_is_answered_after_it_decides_nothing() {
        let mut probe = failing();
        begin(&mut probe, Phase::WarmUp);
        begin_at(&mut probe, Phase::Baseline, 5_000);
        assert_eq!(ask(&mut probe, "ready", [(4_000, false), (5_500, false), (7_000, false)]), None);
        assert_eq!(ask(&mut probe, "ready", [(7_500, false)]), Some(7_500));
        let mut load = watch();
        begin(&mut load, Phase::WarmUp);
        begin_at(&mut load, Phase::Baseline, 5_000);
        assert_eq!(feed_due(&mut load, (0..40).map(|n| (4_900, 5_000 + n * 100, false))), None);
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
