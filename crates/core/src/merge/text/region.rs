//! Regions of a text: where a clash stands, and what each author sees there.
//!
//! A region lies between two characters of the trunk. What an author sees in it is its *version*: everything of its own
//! view that stands, in the order of all characters, between these two, whether it is in the trunk or not.

use super::sight::Sight;
use super::tree::Span;
use super::window::{Footprint, Window};
use crate::causality::{Author, Seq, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

impl Window {
    /// The suppressed hunks that a hunk stands next to, or deletes text of.
    pub(super) fn suppressed_ground(&self, footprint: &Footprint) -> BTreeSet<usize> {
        let (first, last) = footprint.deleted.unwrap_or((1, 0));
        let around = footprint.left.into_iter().chain(first..=last).chain(footprint.right);
        around
            .map(|index| &self.tree.spans[index])
            .filter(|span| span.seen)
            .map(|span| self.tree.run_of(span))
            .filter(|run| run.suppressed_by.is_some())
            .filter_map(|run| run.edit)
            .collect()
    }

    /// The smallest stretch of the trunk that has a hunk, the suppressed hunks it builds on, and every hunk of its partners
    /// that overlaps these.
    pub(super) fn region(&self, edit: usize, mut own: BTreeSet<usize>, partners: &[Seq]) -> Range<u32> {
        own.insert(edit);
        let partner_ops: BTreeSet<usize> =
            partners.iter().filter_map(|seq| self.ops.binary_search_by_key(seq, |op| op.seq).ok()).collect();
        let mut hull: Option<(usize, usize)> = None;
        let mut theirs: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (index, span) in self.tree.spans.iter().enumerate() {
            for (op, touched) in self.edits_of(span) {
                if own.contains(&touched) {
                    hull = Some((hull.map_or(index, |(first, _)| first), index));
                } else if partner_ops.contains(&op) {
                    theirs.entry(touched).or_insert((index, index)).1 = index;
                }
            }
        }
        let Some((first, last)) = hull else { return 0..0 };
        let overlapping = theirs.values().filter(|(from, to)| *from <= last && *to >= first);
        let (first, last) =
            overlapping.fold((first, last), |(first, last), (from, to)| (first.min(*from), last.max(*to)));
        self.trunk_range(first..=last)
    }

    /// The operations and hunks that inserted or deleted the characters of a span.
    fn edits_of<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = (usize, usize)> + 'a {
        let run = self.tree.run_of(span);
        let inserted = run.op.zip(run.edit);
        let deleted = span.deletions.iter().map(|index| {
            let deletion = &self.tree.deletions[*index];
            (deletion.op, deletion.edit)
        });
        inserted.into_iter().chain(deleted)
    }

    fn trunk_range(&self, spans: RangeInclusive<usize>) -> Range<u32> {
        let len =
            |spans: &[Span]| spans.iter().filter(|span| span.in_trunk).map(|span| span.len).sum::<u32>();
        let start = len(&self.tree.spans[..*spans.start()]);
        start..start + len(&self.tree.spans[spans])
    }

    /// The spans between the character before a stretch of the trunk and the one behind it, each with the part of it that
    /// lies there, as offset and length.
    fn between(&self, region: Range<u32>) -> impl Iterator<Item = (&Span, u32, u32)> {
        let mut pos = 0;
        self.tree.spans.iter().filter_map(move |span| {
            let from = pos;
            if !span.in_trunk {
                return (from >= region.start && from <= region.end).then_some((span, 0, span.len));
            }
            pos += span.len;
            let (start, end) = (from.max(region.start), pos.min(region.end));
            (start < end).then(|| (span, start - from, end - start))
        })
    }

    /// What an author sees in a region of the trunk before the operation it is about to make.
    pub fn version(&self, author: &Author, region: Range<u32>) -> String {
        let sight = Sight::new(author, &self.ops, &self.tree);
        self.between(region)
            .filter(|(span, _, _)| sight.sees(span))
            .map(|(span, offset, len)| self.tree.run_of(span).text.slice(span.start + offset, len))
            .collect()
    }

    /// Where a region of the trunk stands in the text that an author sees before the operation it is about to make.
    pub fn view_range(&self, author: &Author, region: Range<u32>) -> Range<u32> {
        let sight = Sight::new(author, &self.ops, &self.tree);
        let (mut pos, mut start, mut end) = (0, 0, 0);
        for span in &self.tree.spans {
            let seen = sight.sees(span);
            if span.in_trunk {
                // Characters of one span are all seen or all unseen.
                let (before, within) = match region {
                    Range { start, .. } if pos + span.len <= start => (span.len, 0),
                    Range { end, .. } if pos >= end => (0, 0),
                    Range { start, end } => {
                        (start.saturating_sub(pos), end.min(pos + span.len) - start.max(pos))
                    }
                };
                pos += span.len;
                start += if seen { before } else { 0 };
                end += if seen { before + within } else { 0 };
            } else if seen {
                start += if pos < region.start { span.len } else { 0 };
                end += if pos <= region.end { span.len } else { 0 };
            }
        }
        start..end
    }

    /// The latest operations that wrote in a region without this author's knowledge, and are in the trunk: none of them is
    /// known to another one. With each, who would see what its author saw after it.
    pub fn writers(&self, author: &Author, region: Range<u32>) -> Vec<(Stamp, Author)> {
        let mut ops = BTreeSet::new();
        for (span, _, _) in self.between(region) {
            let run = self.tree.run_of(span);
            ops.extend(run.op.filter(|_| run.suppressed_by.is_none()));
            let deletions = span.deletions.iter().map(|index| &self.tree.deletions[*index]);
            ops.extend(deletions.filter(|d| d.suppressed_by.is_none()).map(|d| d.op));
        }
        ops.retain(|op| !author.knows(&self.ops[*op]));
        let maximal = ops
            .iter()
            .filter(|op| !ops.range(*op + 1..).any(|later| self.authors[*later].knows(&self.ops[**op])));
        maximal.map(|op| (self.ops[*op], self.authors[*op].after())).collect()
    }
}
