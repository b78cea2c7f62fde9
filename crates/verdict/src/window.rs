//! Stretches of a run, and sets of them. Times only; what happens in them is the matter of others.

/// A half-open stretch of the run, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub from: u64,
    pub to: u64,
}

impl Window {
    pub fn holds(self, at: u64) -> bool {
        self.from <= at && at < self.to
    }

    pub fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// Several stretches, in order, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Windows(Vec<Window>);

impl Windows {
    pub fn union(mut windows: Vec<Window>) -> Windows {
        windows.retain(|window| window.length() > 0);
        windows.sort_unstable_by_key(|window| (window.from, window.to));
        let mut joined: Vec<Window> = Vec::new();
        for window in windows {
            match joined.last_mut() {
                Some(last) if window.from <= last.to => last.to = last.to.max(window.to),
                _ => joined.push(window),
            }
        }
        Windows(joined)
    }

    pub fn holds(&self, at: u64) -> bool {
        self.0.iter().any(|window| window.holds(at))
    }

    pub fn length(&self) -> u64 {
        self.0.iter().map(|window| window.length()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Window> + '_ {
        self.0.iter().copied()
    }

    /// What of these stretches lies in none of the others.
    pub fn without(&self, others: &Windows) -> Windows {
        let mut left = Vec::new();
        for mut window in self.iter() {
            let overlaps = move |other: &Window| other.from < window.to && window.from < other.to;
            for other in others.iter().filter(overlaps) {
                left.push(Window { to: other.from, ..window });
                window.from = other.to;
            }
            left.push(window);
        }
        Windows::union(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_one() {
        let windows = Windows::union(vec![
            Window { from: 50, to: 60 },
            Window { from: 0, to: 10 },
            Window { from: 10, to: 20 },
            Window { from: 5, to: 5 },
        ]);
        assert_eq!(windows.iter().count(), 2);
        assert_eq!(windows.length(), 30);
        assert!(windows.holds(0) && windows.holds(19) && !windows.holds(20) && windows.holds(50));
    }

    #[test]
    fn a_stretch_without_others_is_what_is_left_of_it() {
        let of = |pairs: &[(u64, u64)]| {
            Windows::union(pairs.iter().map(|&(from, to)| Window { from, to }).collect())
        };
        let all = of(&[(10, 30), (50, 60)]);
        assert_eq!(all.without(&of(&[])), all);
        assert_eq!(all.without(&of(&[(0, 12), (15, 20), (55, 70)])), of(&[(12, 15), (20, 30), (50, 55)]));
        assert_eq!(all.without(&of(&[(25, 55)])), of(&[(10, 25), (55, 60)]));
        assert!(all.without(&of(&[(0, 100)])).is_empty());
    }
}
