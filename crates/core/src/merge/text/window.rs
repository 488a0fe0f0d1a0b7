//! The window: concurrent operations of one field, replayed and decided in settling order.

use super::anchor::{Anchor, anchor};
use super::clash::{self, Clash};
use super::hunk::{self, Hunk, SettledHunk, TextOp};
use super::run::RunText;
use super::sight::Sight;
use super::tree::{Change, Cut, Deletion, Part, Run, Tree};
use super::{Splice, TextError, splice};
use crate::causality::{Author, ReplicaNo, Seq, Stamp};
use crate::fault;

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrated {
    /// The effect on the trunk.
    pub splices: Vec<Splice>,
    /// The operation's hunks with the decision on each, in the operation's order. This is what
    /// [`Window::replay`] wants to read back.
    pub hunks: Vec<SettledHunk>,
    /// One entry per suppressed hunk, in the operation's order.
    pub clashes: Vec<Clash>,
}

/// The order of one field's characters from a critical base to the head, kept while edits are concurrent and extended
/// operation by operation.
///
/// Integrating costs time in the number of spans, that is of edits in the window, not of characters.
#[derive(Debug, Clone)]
pub struct Window {
    pub(super) base_seq: Seq,
    pub(super) ops: Vec<Stamp>,
    /// What the author of each operation knew.
    pub(super) authors: Vec<Author>,
    pub(super) tree: Tree,
    /// Number of hunks so far.
    edits: usize,
    /// Characters of the tree, those out of the trunk included. Bounded by what a position can express, and
    /// every count in the window with it.
    char_count: u64,
}

/// Where a hunk lies in the tree. Every end is the end of a span.
pub(super) struct Footprint {
    /// The visible span that ends where the hunk begins.
    pub(super) left: Option<usize>,
    /// The first and the last visible span the hunk deletes.
    pub(super) deleted: Option<(usize, usize)>,
    /// The visible span that begins where the hunk ends.
    pub(super) right: Option<usize>,
}

impl Window {
    /// A window over the trunk text as it was at `base_seq`, which every later operation must know. The
    /// text must not have more characters than a `u32` counts.
    pub fn new(text_at_base: &str, base_seq: Seq) -> Self {
        let tree = Tree::new(text_at_base);
        let char_count = tree.spans.iter().map(|span| u64::from(span.len)).sum();
        Self { base_seq, ops: Vec::new(), authors: Vec::new(), tree, edits: 0, char_count }
    }

    /// The critical base the window starts from.
    pub fn base_seq(&self) -> Seq {
        self.base_seq
    }

    /// The latest operation in the window, or its base while it is empty.
    pub fn last_seq(&self) -> Seq {
        self.ops.last().map_or(self.base_seq, |op| op.seq)
    }

    /// Number of operations in the window.
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// Adds an operation that was decided before, as read back from the log.
    ///
    /// # Errors
    ///
    /// As [`Window::integrate`]; the window is unchanged then.
    pub fn replay(&mut self, op: &TextOp) -> Result<(), TextError> {
        let hunks: Vec<&Hunk> = op.hunks.iter().map(|settled| &settled.hunk).collect();
        let (sight, footprints) = self.locate(&op.author, op.seq, &hunks)?;
        let decisions: Vec<Option<Seq>> = op.hunks.iter().map(|h| h.suppressed_by).collect();
        let places = self.enter(&op.author, op.seq, &sight, &hunks, &footprints, &decisions);
        self.join(&places);
        Ok(())
    }

    /// Decides a new operation and adds it. `hunks` are in the author's view.
    ///
    /// # Errors
    ///
    /// Those of [`validate_hunks`](super::validate_hunks) and [`TextError::OutOfBounds`] for hunks that do
    /// not fit the author's view; [`TextError::OutOfOrder`], [`TextError::StaleBase`] and
    /// [`TextError::TooLong`]. The window is unchanged then.
    pub fn integrate(&mut self, author: &Author, seq: Seq, hunks: &[Hunk]) -> Result<Integrated, TextError> {
        self.integrate_against(author, seq, hunks, &[])
    }

    /// As [`Window::integrate`], where every hunk clashes with these operations in addition: a decision about a place in
    /// which they wrote, by somebody who does not know it. A hunk that clashes for no other reason is suppressed by its own
    /// operation.
    ///
    /// # Errors
    ///
    /// As [`Window::integrate`].
    pub fn integrate_against(
        &mut self,
        author: &Author,
        seq: Seq,
        hunks: &[Hunk],
        also: &[Seq],
    ) -> Result<Integrated, TextError> {
        let hunk_refs: Vec<&Hunk> = hunks.iter().collect();
        let (sight, footprints) = self.locate(author, seq, &hunk_refs)?;

        let mut decisions = Vec::with_capacity(hunks.len());
        let mut clashes = Vec::new();
        for (hunk_index, (hunk, footprint)) in hunks.iter().zip(&footprints).enumerate() {
            let mut partners = clash::partners(&self.tree, &self.ops, &sight, hunk, footprint);
            let suppressed_by = if fault!(SuppressedByLatestPartner) {
                partners.last().copied()
            } else {
                partners.first().copied()
            };
            // Its author cannot tell before it comes back, and sees it until then: so it suppresses itself.
            let suppressed_by = suppressed_by.or((!also.is_empty()).then_some(seq));
            partners.extend(also);
            decisions.push(suppressed_by);
            if suppressed_by.is_some() {
                let partners: Vec<Seq> = partners.into_iter().collect();
                clashes.push((hunk_index, partners, self.suppressed_ground(&sight, footprint)));
            }
        }

        let first_edit = self.edits;
        let places = self.enter(author, seq, &sight, &hunk_refs, &footprints, &decisions);
        let clashes = clashes
            .into_iter()
            .map(|(hunk_index, partners, ground)| {
                let region = self.region(first_edit + hunk_index, ground, &partners);
                Clash { hunk_index, partners, region }
            })
            .collect();
        let hunks = hunks
            .iter()
            .zip(decisions)
            .map(|(hunk, suppressed_by)| SettledHunk { hunk: hunk.clone(), suppressed_by })
            .collect();
        let splices = self.effect();
        self.join(&places);
        Ok(Integrated { splices, hunks, clashes })
    }

    /// The text as this author sees it before its operation.
    pub fn view(&self, author: &Author) -> String {
        let sight = Sight::new(author, &self.ops, &self.tree);
        let spans = self.tree.spans.iter();
        spans.map(|span| self.tree.run_of(span).text.slice(span.start, sight.sees(span))).collect()
    }

    /// Number of characters this author sees before its operation.
    pub fn view_len(&self, author: &Author) -> u32 {
        let sight = Sight::new(author, &self.ops, &self.tree);
        self.tree.spans.iter().map(|span| sight.sees(span)).sum()
    }

    /// The trunk: the text everybody agrees on once they received everything.
    pub fn text(&self) -> String {
        let spans = self.tree.spans.iter().filter(|span| span.in_trunk);
        spans.map(|span| self.tree.text_of(span)).collect()
    }

    /// Checks an operation, marks what its author sees, and finds its hunks. Cuts spans where hunks begin
    /// and end, which changes nothing that can be observed.
    fn locate(
        &mut self,
        author: &Author,
        seq: Seq,
        hunks: &[&Hunk],
    ) -> Result<(Sight, Vec<Footprint>), TextError> {
        let last_seq = self.last_seq();
        if seq <= last_seq {
            return Err(TextError::OutOfOrder { seq, last_seq });
        }
        if author.base_seq < self.base_seq {
            return Err(TextError::StaleBase { base_seq: author.base_seq, window_base_seq: self.base_seq });
        }
        hunk::validate(hunks.iter().copied())?;
        let mut char_count = self.char_count;
        for hunk in hunks {
            char_count += u64::from(splice::char_count(&hunk.ins)?);
        }
        if char_count > u64::from(u32::MAX) {
            return Err(TextError::TooLong);
        }

        let sight = Sight::new(author, &self.ops, &self.tree);
        self.cut_at_knowledge(&sight);
        let mut view_len = 0;
        let mut cuts = Vec::new();
        let mut bounds = hunks.iter().flat_map(|hunk| [hunk.pos, hunk.end().unwrap_or(u32::MAX)]).peekable();
        for (index, span) in self.tree.spans.iter_mut().enumerate() {
            span.change = Change::None;
            span.seen = sight.sees(span) > 0;
            if !span.seen {
                continue;
            }
            while let Some(bound) = bounds.next_if(|bound| *bound < view_len + span.len) {
                let offset = bound.saturating_sub(view_len);
                let is_new = cuts.last().is_none_or(|cut: &Cut| cut.span != index || cut.offset != offset);
                if offset > 0 && is_new {
                    cuts.push(Cut { span: index, offset });
                }
            }
            view_len += span.len;
        }
        hunk::check_bounds(hunks.iter().copied(), view_len)?;
        self.char_count = char_count;
        self.tree.split(&cuts);
        Ok((sight, self.footprints(hunks)))
    }

    /// Cuts the spans of which the author knew only a part.
    fn cut_at_knowledge(&mut self, sight: &Sight) {
        if !sight.ends_within_a_run() {
            return;
        }
        let mut cuts = Vec::new();
        for (index, span) in self.tree.spans.iter().enumerate() {
            let mut offsets: Vec<u32> = sight.cuts(span).collect();
            offsets.sort_unstable();
            cuts.extend(offsets.into_iter().map(|offset| Cut { span: index, offset }));
        }
        self.tree.split(&cuts);
    }

    /// The hunks' footprints, once every bound of a hunk is the end of a span.
    fn footprints(&self, hunks: &[&Hunk]) -> Vec<Footprint> {
        let mut seen = (self.tree.spans.iter().enumerate()).filter(|(_, span)| span.seen).peekable();
        let mut pos = 0;
        let mut left = None;
        let mut footprints = Vec::with_capacity(hunks.len());
        for hunk in hunks {
            while let Some((index, span)) = seen.next_if(|_| pos < hunk.pos) {
                pos += span.len;
                left = Some(index);
            }
            let mut deleted = None;
            let end = hunk.end().unwrap_or(u32::MAX);
            while let Some((index, span)) = seen.next_if(|_| pos < end) {
                pos += span.len;
                deleted = Some((deleted.map_or(index, |(first, _)| first), index));
            }
            footprints.push(Footprint { left, deleted, right: seen.peek().map(|(index, _)| *index) });
        }
        footprints
    }

    /// Marks deletions and inserts runs. Returns the indices of the spans that came in, in ascending order.
    fn enter(
        &mut self,
        author: &Author,
        seq: Seq,
        sight: &Sight,
        hunks: &[&Hunk],
        footprints: &[Footprint],
        decisions: &[Option<Seq>],
    ) -> Vec<usize> {
        let op = self.ops.len();
        self.ops.push(Stamp { seq, replica_no: author.replica_no, counter: author.counter });
        self.authors.push(author.clone());
        let mut arrivals = Vec::new();
        for ((hunk, footprint), &suppressed_by) in hunks.iter().zip(footprints).zip(decisions) {
            let edit = self.edits;
            self.edits += 1;
            if let Some(range) = footprint.deleted {
                self.mark_deleted(
                    range,
                    Deletion { op, edit, replaces: !hunk.ins.is_empty(), suppressed_by },
                );
            }
            if !hunk.ins.is_empty() {
                // Runs of this very operation are not in the list yet. They could not matter: between two
                // hunks of an operation stands a character that its author saw.
                let place = anchor(&self.tree, sight, footprint.left);
                let index = place.index;
                let span = match self.run_typed_on(author, footprint.left, place, suppressed_by) {
                    Some(run) => self.tree.extend_run(run, &hunk.ins, op, edit),
                    None => self.tree.add_run(Run {
                        text: RunText::new(hunk.ins.clone()),
                        parts: vec![Part { start: 0, op, edit }],
                        parent: place.parent,
                        suppressed_by,
                    }),
                };
                arrivals.push((index, span));
            }
        }
        let places = arrivals.iter().enumerate().map(|(earlier, (index, _))| index + earlier).collect();
        self.tree.insert(arrivals);
        places
    }

    /// The run that an insertion goes on with: the author's own one that ends directly before it, if the tree has nothing
    /// between the two.
    fn run_typed_on(
        &self,
        author: &Author,
        left: Option<usize>,
        place: Anchor,
        suppressed_by: Option<Seq>,
    ) -> Option<usize> {
        let left = &self.tree.spans[left.filter(|left| left + 1 == place.index)?];
        let run = self.tree.run_of(left);
        let last = self.ops[run.parts.last()?.op];
        let goes_on = author.replica_no != ReplicaNo::SERVER
            && last.replica_no == author.replica_no
            && left.start + left.len == run.text.char_len()
            && place.parent == Some(left.last())
            && run.suppressed_by == suppressed_by;
        goes_on.then_some(left.run)
    }

    /// Joins spans that just came in to what stands before them, if it is typed on there.
    fn join(&mut self, places: &[usize]) {
        for place in places.iter().rev() {
            self.tree.join(*place);
        }
    }

    fn mark_deleted(&mut self, (first, last): (usize, usize), deletion: Deletion) {
        let index = self.tree.deletions.len();
        let takes_effect = deletion.suppressed_by.is_none() || fault!(SuppressedDeletionApplied);
        self.tree.deletions.push(deletion);
        for span in &mut self.tree.spans[first..=last] {
            if !span.seen {
                continue;
            }
            span.deletions.push(index);
            if takes_effect && span.in_trunk {
                span.in_trunk = false;
                span.change = Change::Left;
            }
        }
    }

    /// The effect of the operation that was entered last.
    fn effect(&self) -> Vec<Splice> {
        let mut effect = splice::Builder::default();
        for span in &self.tree.spans {
            match span.change {
                Change::Entered => effect.insert(self.tree.text_of(span)),
                Change::Left if fault!(EffectForgetsDeletions) => {}
                Change::Left => effect.delete(self.tree.text_of(span)),
                Change::None if span.in_trunk => effect.retain(span.len),
                Change::None => {}
            }
        }
        effect.finish()
    }
}

#[cfg(test)]
impl Window {
    /// Every character with its history, for comparison with the reference model.
    pub(super) fn characters(&self) -> Vec<super::tests::Character> {
        let mut characters = Vec::new();
        for span in &self.tree.spans {
            let run = self.tree.run_of(span);
            let deletions = span.deletions.iter().map(|&index| {
                let deletion = &self.tree.deletions[index];
                (self.ops[deletion.op].seq, deletion.suppressed_by)
            });
            let deletions: Vec<_> = deletions.collect();
            let inserted_by = |offset: u32| {
                let part = run.parts_of(span.start + offset, 1).next();
                part.map(|(part, _)| self.ops[part.op].seq)
            };
            for (offset, ch) in (0..).zip(self.tree.text_of(span).chars()) {
                characters.push(super::tests::Character {
                    ch,
                    inserted_by: inserted_by(offset),
                    suppressed_by: run.suppressed_by,
                    deletions: deletions.clone(),
                    in_trunk: span.in_trunk,
                });
            }
        }
        characters
    }
}
