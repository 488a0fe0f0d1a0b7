//! Which settled operations a hunk clashes with.

use super::Hunk;
use super::sight::Sight;
use super::tree::{Deletion, Span, Tree};
use super::window::Footprint;
use crate::causality::{Seq, Stamp};
use crate::fault;
use std::collections::BTreeSet;
use std::ops::Range;

/// A hunk that was suppressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Which hunk of the operation.
    pub hunk_index: usize,
    /// The operations it clashes with, ascending. The first one suppresses it.
    pub partners: Vec<Seq>,
    /// Where the hunk and those it overlaps stand in the trunk after this operation: the smallest stretch of characters
    /// that has all of them.
    pub region: Range<u32>,
}

/// The settled operations that clash with a hunk, by rules c1 to c4.
pub(super) fn partners(
    tree: &Tree,
    ops: &[Stamp],
    sight: &Sight,
    hunk: &Hunk,
    footprint: &Footprint,
) -> BTreeSet<Seq> {
    let mut found = BTreeSet::new();
    let judge = Judge { tree, ops, sight };
    let inserts = !hunk.ins.is_empty();
    let left = footprint.left.map(|index| &tree.spans[index]);
    let right = footprint.right.map(|index| &tree.spans[index]);

    if let Some((first, last)) = footprint.deleted {
        for span in &tree.spans[first..=last] {
            if span.seen {
                judge.overlap(span, inserts, &mut found);
                judge.ground(Some(span), &mut found);
            } else {
                judge.swallow(span, &mut found);
            }
        }
    } else if inserts {
        if let (Some(left), Some(right)) = (left, right) {
            judge.insert_into_deleted(left, right, &mut found);
        }
        judge.ground(right, &mut found);
    }
    if inserts {
        judge.ground(left, &mut found);
    }
    let from = footprint.left.map_or(0, |index| index + 1);
    let to = footprint.right.unwrap_or(tree.spans.len());
    for span in tree.spans[from..to].iter().filter(|span| !span.seen) {
        judge.ground_taken(span, &mut found);
    }
    found
}

struct Judge<'a> {
    tree: &'a Tree,
    ops: &'a [Stamp],
    sight: &'a Sight,
}

impl Judge<'_> {
    /// The deletions of a span that are in force and that the author did not know of.
    fn unknown_deletions<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = (usize, &'a Deletion)> + 'a {
        span.deletions.iter().map(|&index| (index, &self.tree.deletions[index])).filter(|(_, deletion)| {
            deletion.suppressed_by.is_none() && !self.sight.knows(&self.ops[deletion.op])
        })
    }

    /// c1: somebody else deleted this too. Two plain deletions agree; otherwise there are two replacements
    /// for one text, or a replacement for a text that should be gone.
    fn overlap(&self, span: &Span, inserts: bool, found: &mut BTreeSet<Seq>) {
        if fault!(OverlapUnnoticed) {
            return;
        }
        let deletions_clash = fault!(DeletionsClash);
        found.extend(
            self.unknown_deletions(span)
                .filter(|(_, deletion)| inserts || deletion.replaces || deletions_clash)
                .map(|(_, deletion)| self.ops[deletion.op].seq),
        );
    }

    /// c2: the range encloses an insertion its author did not see. Whether that was deleted since must not
    /// matter: a client that has not received the deletion decides the same way.
    fn swallow(&self, span: &Span, found: &mut BTreeSet<Seq>) {
        if fault!(SwallowUnnoticed) {
            return;
        }
        let run = self.tree.run_of(span);
        let gone = fault!(SwallowUsesTrunkVisibility) && !span.in_trunk;
        if run.suppressed_by.is_none() && !gone {
            let ops = run.parts_of(span.start, span.len).map(|(part, _)| &self.ops[part.op]);
            found.extend(ops.filter(|op| !self.sight.knows(op)).map(|op| op.seq));
        }
    }

    /// c3: one hunk deleted both neighbours of the insertion, and hence the place it was meant for.
    fn insert_into_deleted(&self, left: &Span, right: &Span, found: &mut BTreeSet<Seq>) {
        if fault!(InsertIntoDeletedUnnoticed) {
            return;
        }
        found.extend(
            self.unknown_deletions(left)
                .filter(|(index, _)| right.deletions.contains(index))
                .map(|(_, deletion)| self.ops[deletion.op].seq),
        );
    }

    /// c4 as well: the hunk stands where a suppressed deletion took text out of its author's view. An author who deletes a
    /// word and then types another one makes one change, even if it takes many operations, so all of it is suppressed.
    fn ground_taken(&self, span: &Span, found: &mut BTreeSet<Seq>) {
        if fault!(SuppressedGroundUnnoticed) {
            return;
        }
        found.extend(self.sight.suppressed_deletions(self.tree, span).filter_map(|d| d.suppressed_by));
    }

    /// c4: the hunk builds on text that is suppressed, and is suppressed with it.
    fn ground(&self, span: Option<&Span>, found: &mut BTreeSet<Seq>) {
        if fault!(SuppressedGroundUnnoticed) {
            return;
        }
        found.extend(span.and_then(|span| self.tree.run_of(span).suppressed_by));
    }
}
