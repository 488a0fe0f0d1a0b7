//! Regions of a text: where a clash stands, and what each author sees there.
//!
//! A region lies between two characters of the trunk. What an author sees in it is its *version*: everything of its own
//! view that stands, in the order of all characters, between these two, whether it is in the trunk or not.

use super::sight::Sight;
use super::tree::{Run, Span};
use super::window::{Footprint, Window};
use crate::causality::{Author, ReplicaNo, Seq, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

impl Window {
    /// The suppressed hunks that a hunk stands next to, deletes text of, or stands in the place of.
    pub(super) fn suppressed_ground(&self, sight: &Sight, footprint: &Footprint) -> BTreeSet<usize> {
        let whole = |span: &Span| span.start..span.start + span.len;
        let (first, last) = footprint.deleted.unwrap_or((1, 0));
        let deleted = self.tree.spans.get(first..=last).unwrap_or_default();
        let mut ground: Vec<(&Span, Range<u32>)> = deleted.iter().map(|span| (span, whole(span))).collect();
        // Beside it, only the nearest character counts.
        ground.extend(footprint.left.map(|index| &self.tree.spans[index]).map(|span| {
            let end = span.start + span.len;
            (span, end - 1..end)
        }));
        ground.extend(
            footprint
                .right
                .map(|index| &self.tree.spans[index])
                .map(|span| (span, span.start..span.start + 1)),
        );
        let from = footprint.left.map_or(0, |index| index + 1);
        let to = footprint.right.unwrap_or(self.tree.spans.len());
        let taken = self.tree.spans[from..to].iter().filter(|span| !span.seen);
        let taken =
            taken.flat_map(|span| sight.suppressed_deletions(&self.tree, span)).map(|deletion| deletion.edit);
        let suppressed = ground.into_iter().filter(|(span, _)| span.seen);
        suppressed
            .map(|(span, stretch)| (self.tree.run_of(span), stretch))
            .filter(|(run, _)| run.suppressed_by.is_some())
            .flat_map(|(run, stretch)| run.parts_of(stretch.start, stretch.end - stretch.start))
            .map(|(part, _)| part.edit)
            .chain(taken)
            .collect()
    }

    /// The smallest stretch of the trunk that has a hunk, the suppressed hunks it builds on, and every hunk of its partners
    /// that overlaps these.
    pub(super) fn region(&self, edit: usize, mut own: BTreeSet<usize>, partners: &[Seq]) -> Range<u32> {
        own.insert(edit);
        let partner_ops: BTreeSet<usize> =
            partners.iter().filter_map(|seq| self.ops.binary_search_by_key(seq, |op| op.seq).ok()).collect();
        let mut hull: Option<Extent> = None;
        let mut theirs: BTreeMap<usize, Extent> = BTreeMap::new();
        let mut pos = 0;
        for (index, span) in self.tree.spans.iter().enumerate() {
            for (op, touched, stretch) in self.edits_among(span, &own, &partner_ops) {
                let trunk = |offset: u32| if span.in_trunk { pos + offset - span.start } else { pos };
                let extent = Extent {
                    first: (index, stretch.start),
                    last: (index, stretch.end),
                    trunk: trunk(stretch.start)..trunk(stretch.end),
                };
                if own.contains(&touched) {
                    hull = Some(hull.map_or(extent.clone(), |hull| hull.and(&extent)));
                } else if partner_ops.contains(&op) {
                    let whole = theirs.get(&touched).map_or(extent.clone(), |before| before.and(&extent));
                    theirs.insert(touched, whole);
                }
            }
            pos += if span.in_trunk { span.len } else { 0 };
        }
        let Some(hull) = hull else { return 0..0 };
        let overlapping =
            theirs.values().filter(|extent| extent.first < hull.last && extent.last > hull.first);
        overlapping.fold(hull.clone(), |whole, extent| whole.and(extent)).trunk
    }

    /// Those of some hunks, and of the hunks of some operations, that inserted or deleted characters of a span, each with its
    /// operation and the stretch of the run.
    fn edits_among(
        &self,
        span: &Span,
        edits: &BTreeSet<usize>,
        ops: &BTreeSet<usize>,
    ) -> Vec<(usize, usize, Range<u32>)> {
        let Run { parts, text, .. } = self.tree.run_of(span);
        let of_edits =
            edits.iter().filter_map(|edit| parts.binary_search_by_key(edit, |part| part.edit).ok());
        // Of one operation, a run has one part: it cannot type behind itself.
        let of_ops = ops.iter().filter_map(|op| parts.binary_search_by_key(op, |part| part.op).ok());
        let inserted = of_edits.chain(of_ops).filter_map(|index| {
            let end = parts.get(index + 1).map_or(text.char_len(), |next| next.start);
            let stretch = parts[index].start.max(span.start)..end.min(span.start + span.len);
            (!stretch.is_empty()).then_some((parts[index].op, parts[index].edit, stretch))
        });
        let deleted = span.deletions.iter().map(|index| &self.tree.deletions[*index]);
        let deleted = deleted.filter(|d| edits.contains(&d.edit) || ops.contains(&d.op));
        inserted.chain(deleted.map(|d| (d.op, d.edit, span.start..span.start + span.len))).collect()
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
            .map(|(span, offset, len)| {
                let seen = sight.sees(span).clamp(offset, offset + len) - offset;
                self.tree.run_of(span).text.slice(span.start + offset, seen)
            })
            .collect()
    }

    /// A region with the suppressed text beside it that an author sees, as far as only text that came in after `since` stands
    /// between the two. Such text was inserted at the region's edge, and took from it what was suppressed there.
    pub fn with_suppressed(&self, author: &Author, region: Range<u32>, since: Seq) -> Range<u32> {
        let sight = Sight::new(author, &self.ops, &self.tree);
        let (mut pos, mut end) = (0, region.end);
        // The first suppressed text from which nothing but such text leads to the region, and how far such text leads behind it.
        let (mut first, mut reach) = (None, region.end);
        for span in &self.tree.spans {
            let from = pos;
            pos += if span.in_trunk { span.len } else { 0 };
            let suppressed = self.tree.run_of(span).suppressed_by.is_some() && sight.sees(span) > 0;
            if span.in_trunk && from < region.start {
                let passes = self.came_after(span, 0..span.len.min(region.start - from), since);
                first = first.filter(|_| passes);
            } else if span.in_trunk && pos > reach {
                let passes = self.came_after(span, reach.max(from) - from..span.len, since);
                reach = if passes && from <= reach { pos } else { reach };
            } else if suppressed && from < region.start {
                first = first.or(Some(from));
            } else if suppressed && from == reach {
                end = from;
            }
        }
        first.unwrap_or(region.start)..end
    }

    /// Whether a stretch of a span was inserted after a position.
    fn came_after(&self, span: &Span, stretch: Range<u32>, since: Seq) -> bool {
        let run = self.tree.run_of(span);
        let mut parts = run.parts_of(span.start + stretch.start, stretch.end - stretch.start);
        !run.parts.is_empty() && parts.all(|(part, _)| self.ops[part.op].seq > since)
    }

    /// What the author of an operation in the window knew.
    pub fn author_of(&self, seq: Seq) -> Option<&Author> {
        let op = self.ops.binary_search_by_key(&seq, |op| op.seq).ok()?;
        self.authors.get(op)
    }

    /// Where a region of the trunk stands in the text that an author sees before the operation it is about to make.
    pub fn view_range(&self, author: &Author, region: Range<u32>) -> Range<u32> {
        let sight = Sight::new(author, &self.ops, &self.tree);
        let (mut pos, mut start, mut end) = (0, 0, 0);
        for span in &self.tree.spans {
            let seen = sight.sees(span);
            if span.in_trunk {
                start += seen.min(region.start.saturating_sub(pos));
                end += seen.min(region.end.saturating_sub(pos));
                pos += span.len;
            } else {
                start += if pos < region.start { seen } else { 0 };
                end += if pos <= region.end { seen } else { 0 };
            }
        }
        start..end
    }

    /// The latest operations that wrote in a region without this author's knowledge, and are in the trunk: none of them is
    /// known to another one. With each, who would see what its author saw after it.
    pub fn writers(&self, author: &Author, region: Range<u32>) -> Vec<(Stamp, Author)> {
        // Of each replica the latest one, which knew the others. The server's is shared by independent authors.
        let mut latest = BTreeMap::new();
        let mut add = |op: usize| {
            let Stamp { replica_no, .. } = self.ops[op];
            let independent = (replica_no == ReplicaNo::SERVER).then_some(op);
            let known = latest.entry((replica_no, independent)).or_insert(op);
            *known = op.max(*known);
        };
        for (span, offset, len) in self.between(region) {
            let run = self.tree.run_of(span);
            if run.suppressed_by.is_none() {
                run.last_part(span.start + offset + len).into_iter().for_each(|part| add(part.op));
            }
            let deletions = span.deletions.iter().map(|index| &self.tree.deletions[*index]);
            deletions.filter(|d| d.suppressed_by.is_none()).for_each(|d| add(d.op));
        }
        let ops: BTreeSet<usize> = latest.into_values().filter(|op| !author.knows(&self.ops[*op])).collect();
        let maximal = ops
            .iter()
            .filter(|op| !ops.range(*op + 1..).any(|later| self.authors[*later].knows(&self.ops[**op])));
        maximal.map(|op| (self.ops[*op], self.authors[*op].after())).collect()
    }
}

/// Where a hunk lies in the order of all characters, and in the trunk.
#[derive(Debug, Clone)]
struct Extent {
    /// Its first character: a span, and the place in its run.
    first: (usize, u32),
    /// The same behind its last character.
    last: (usize, u32),
    trunk: Range<u32>,
}

impl Extent {
    /// The smallest extent that has both.
    fn and(&self, other: &Extent) -> Extent {
        Extent {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            trunk: self.trunk.start.min(other.trunk.start)..self.trunk.end.max(other.trunk.end),
        }
    }
}
