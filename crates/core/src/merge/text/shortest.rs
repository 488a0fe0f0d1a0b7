//! What stays between two lists of words: Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986).
//!
//! There are often several shortest ways from one text to another, and every client has to find the same one as the server,
//! because it shows the result before the server has answered. So it is spelled out here, with each choice between ways,
//! instead of being left to a library.

use std::rc::Rc;

/// Myers' work grows with the square of the edits; this many are plenty for what people do to a text at once.
const EDITS_MAX: usize = 2_000;

/// A stretch that stays: where it begins in either list, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub old: usize,
    pub new: usize,
    pub len: usize,
}

/// What stayed on a way so far, the last stretch first.
struct Stretches {
    last: Kept,
    before: Option<Rc<Stretches>>,
}

/// How far into the old list a diagonal came.
#[derive(Clone)]
struct Way {
    old: usize,
    kept: Option<Rc<Stretches>>,
}

/// What stays, in its order; nothing if it takes more than [`EDITS_MAX`] edits.
pub(super) fn kept<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Kept> {
    let limit = (old.len() + new.len()).min(EDITS_MAX);
    // By diagonal, the lowest first. Those with one edit less stand between those that are being found.
    let mut ways: Vec<Option<Way>> = vec![None; 2 * limit + 3];
    for edits in 0..=limit {
        for step in 0..=edits {
            // The diagonal is where a place in the old list is so much further than the one in the new list: it goes from
            // -edits to +edits by two.
            let at = limit + 1 + 2 * step - edits;
            let new_of = |old: usize| (old + limit + 1).saturating_sub(at);
            let (left, above) = (ways[at - 1].as_ref(), ways[at + 1].as_ref());
            let inserts = left.is_none_or(|left| above.is_some_and(|above| left.old < above.old));
            let way = if inserts { above } else { left };
            let start = way.map_or(0, |way| way.old) + usize::from(!inserts);
            let mut end = start;
            while end < old.len() && new_of(end) < new.len() && old[end] == new[new_of(end)] {
                end += 1;
            }
            let before = way.and_then(|way| way.kept.clone());
            let stretch = Kept { old: start, new: new_of(start), len: end - start };
            let kept = match stretch.len {
                0 => before,
                _ => Some(Rc::new(Stretches { last: stretch, before })),
            };
            if at + new.len() == limit + 1 + old.len() && end >= old.len() {
                return in_order(kept);
            }
            ways[at] = Some(Way { old: end, kept });
        }
    }
    Vec::new()
}

fn in_order(mut kept: Option<Rc<Stretches>>) -> Vec<Kept> {
    let mut stretches = Vec::new();
    while let Some(stretch) = kept {
        stretches.push(stretch.last);
        kept = stretch.before.clone();
    }
    stretches.reverse();
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What stays is in both lists in the same order, and as much as can stay.
        #[test]
        fn what_stays_is_the_longest_common_part(old in "[abc]{0,12}", new in "[abc]{0,12}") {
            let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
            let (mut from_old, mut from_new, mut stays) = (0, 0, 0);
            for Kept { old: at_old, new: at_new, len } in kept(&old, &new) {
                prop_assert!(at_old >= from_old && at_new >= from_new && len > 0);
                prop_assert_eq!(&old[at_old..at_old + len], &new[at_new..at_new + len]);
                (from_old, from_new, stays) = (at_old + len, at_new + len, stays + len);
            }
            prop_assert_eq!(stays, longest(&old, &new));
        }
    }

    /// The length of the longest common subsequence, by the table.
    fn longest(old: &[char], new: &[char]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (at, b) in new.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if a == b { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row.last().copied().unwrap_or_default()
    }

    #[test]
    fn too_many_edits_keep_nothing() {
        let old: Vec<usize> = (0..1_001).collect();
        let new: Vec<usize> = (0..1_001).rev().collect();
        assert!(kept(&old, &new).len() <= 1);
        let longer: Vec<usize> = (10_000..13_000).collect();
        assert_eq!(kept(&old, &longer), []);
    }
}
