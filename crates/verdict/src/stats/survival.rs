//! How long callers wait when some waits were cut short by something else: the product-limit estimate of Kaplan and
//! Meier (1958).

/// The estimated share of waits that outlast each age.
#[derive(Debug, Clone, PartialEq)]
pub struct Survival {
    steps: Vec<(u64, f64)>,
}

impl Survival {
    /// From ages; `true` if the wait ended by itself, `false` if it was cut short (censored) at that age.
    pub fn of(ages: &[(u64, bool)]) -> Survival {
        let mut ages = ages.to_vec();
        ages.sort_unstable_by_key(|&(age, event)| (age, !event));
        let mut at_risk = ages.len();
        let mut share = 1.0;
        let mut steps = Vec::new();
        for run in ages.chunk_by(|a, b| a.0 == b.0) {
            let events = run.iter().filter(|age| age.1).count();
            if events > 0 {
                share *= 1.0 - events as f64 / at_risk as f64;
                steps.push((run[0].0, share));
            }
            at_risk -= run.len();
        }
        Survival { steps }
    }

    /// The share of waits longer than `age`.
    pub fn beyond(&self, age: u64) -> f64 {
        match self.steps.partition_point(|step| step.0 <= age) {
            0 => 1.0,
            after => self.steps[after - 1].1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_classic_remission_times_give_the_published_curve() {
        // Freireich et al. 1963 (6-MP arm), as tabulated in Cox & Oakes 1984; the same by lifelines KaplanMeierFitter.
        let events = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|age| (age, true));
        let cut = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|age| (age, false));
        let survival = Survival::of(&[&events[..], &cut[..]].concat());
        for (age, share) in [
            (5, 1.0),
            (6, 0.857_143),
            (7, 0.806_723),
            (10, 0.752_941),
            (13, 0.690_196),
            (16, 0.627_451),
            (22, 0.537_815),
            (40, 0.448_179),
        ] {
            assert!((survival.beyond(age) - share).abs() < 1e-6, "{age}: {}", survival.beyond(age));
        }
    }

    proptest! {
        #[test]
        fn survival_never_rises(ages in proptest::collection::vec((0u64..100, any::<bool>()), 0..100)) {
            let survival = Survival::of(&ages);
            let mut last = 1.0;
            for age in 0..100 {
                let share = survival.beyond(age);
                prop_assert!((0.0..=last).contains(&share));
                last = share;
            }
        }
    }
}
