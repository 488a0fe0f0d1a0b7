//! Where an insertion goes.

use super::sight::Sight;
use super::tree::{Place, Tree};
use crate::fault;

/// The place of an insertion: its parent, and the span it stands before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) parent: Option<Place>,
    pub(super) index: usize,
}

/// The anchor of an insertion right of the last character of span `left`, or at the beginning.
///
/// The next character that the author *knew*, visible or not, decides. If it descends from the left
/// neighbour the insertion becomes its left child, otherwise the right child of the left neighbour. Deleted
/// characters count, since otherwise two authors of whom one knew a deletion would pick different parents in
/// the same gap.
pub(super) fn anchor(tree: &Tree, sight: &Sight, left: Option<usize>) -> Anchor {
    let start = left.map_or(0, |index| index + 1);
    let left = left.map(|index| tree.spans[index].last());
    let below = |place: Place| left.is_none_or(|left| tree.descends(place, left));

    let right = (start..tree.spans.len()).find(|&index| {
        let span = &tree.spans[index];
        if fault!(RightOriginSkipsTombstones) {
            return span.seen;
        }
        !fault!(NaiveRightChild) && sight.knows_span(span)
    });
    if let Some(index) = right {
        let place = tree.spans[index].first();
        if below(place) || fault!(NaiveRightNeighbour) {
            // Directly before it: behind all its earlier left children.
            return Anchor { parent: Some(place), index };
        }
    }

    // Behind the whole subtree of the left neighbour, which is contiguous, so that it can be bisected.
    let end = right.unwrap_or(tree.spans.len());
    let unknown = &tree.spans[start..end];
    let inside = unknown.partition_point(|span| below(span.first()));
    let index = if fault!(YoungerSiblingLeft) { start } else { start + inside };
    Anchor { parent: left, index }
}
