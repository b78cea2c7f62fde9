//! Orders short lists with one copy of the sort. The standard library's is compiled anew for every kind of item, 4 kB each, and
//! so is a `BTreeMap` that is collected (it sorts first); lists of a handful need none of that speed. It must never be used
//! where a list grows with the length of a run.

use std::cmp::Ordering;

/// Sorts a short list; equal items keep their order.
pub fn sort_short<T>(items: &mut Vec<T>, mut order: impl FnMut(&T, &T) -> Ordering) {
    let mut ranks: Vec<usize> = (0..items.len()).collect();
    rank(&mut ranks, &mut |a, b| order(&items[a], &items[b]));
    let mut slots: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(ranks.into_iter().filter_map(|at| slots[at].take()));
}

/// Collects into a map or set that puts each item in its place, without the sort that `collect` begins with.
pub fn gathered<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

fn rank(ranks: &mut [usize], order: &mut dyn FnMut(usize, usize) -> Ordering) {
    ranks.sort_by(|a, b| order(*a, *b));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_short_list_is_sorted_as_the_standard_library_does(
            mut list in prop::collection::vec((0u8..5, any::<u16>()), 0..40)
        ) {
            let mut expected = list.clone();
            expected.sort_by_key(|item| item.0);
            sort_short(&mut list, |a, b| a.0.cmp(&b.0));
            prop_assert_eq!(list, expected);
        }
    }
}
