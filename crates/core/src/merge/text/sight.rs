//! What one author knows and sees of a window.

use super::tree::{Deletion, Span, Tree};
use crate::causality::{Author, ReplicaNo, Seq, Stamp};
use crate::fault;

/// One author's knowledge, worked out once per operation, run and deletion rather than per span.
pub(super) struct Sight {
    author: Author,
    /// Per run: how many characters at its beginning its author knew.
    known: Vec<u32>,
    /// Per run: how many characters at its beginning are in effect for the author.
    inserted: Vec<u32>,
    /// Per deletion: it is in effect for the author.
    deleted: Vec<bool>,
    /// Whether the author knew a part of some run.
    ends_within_a_run: bool,
}

impl Sight {
    pub(super) fn new(author: &Author, ops: &[Stamp], tree: &Tree) -> Self {
        let known: Vec<u32> =
            tree.runs.iter().map(|run| run.known_len(|op| knows(author, &ops[op]))).collect();
        let inserted = tree.runs.iter().zip(&known).map(|(run, known)| {
            // All parts of a run are of one author and suppressed by the same operation, or not at all.
            let unseen = run
                .parts
                .first()
                .is_none_or(|part| suppression_is_unseen(author, &ops[part.op], run.suppressed_by));
            if unseen { *known } else { 0 }
        });
        let inserted = inserted.collect();
        let in_effect = |op: usize, suppressed_by: Option<Seq>| {
            knows(author, &ops[op]) && suppression_is_unseen(author, &ops[op], suppressed_by)
        };
        let deleted =
            tree.deletions.iter().map(|deletion| in_effect(deletion.op, deletion.suppressed_by)).collect();
        let ends_within_a_run =
            known.iter().zip(&tree.runs).any(|(known, run)| *known > 0 && *known < run.text.char_len());
        Self { author: author.clone(), known, inserted, deleted, ends_within_a_run }
    }

    /// Whether the author knew an operation.
    pub(super) fn knows(&self, op: &Stamp) -> bool {
        knows(&self.author, op)
    }

    /// Whether the author knew the first character of this span; of a span that [`Sight::cuts`] divides nowhere, all.
    pub(super) fn knows_span(&self, span: &Span) -> bool {
        self.known[span.run] > span.start
    }

    /// How many characters at the beginning of this span the author saw.
    pub(super) fn sees(&self, span: &Span) -> u32 {
        let inserted = self.inserted[span.run].saturating_sub(span.start).min(span.len);
        if span.deletions.iter().any(|index| self.deleted[*index]) { 0 } else { inserted }
    }

    /// The deletions of a span that are suppressed, and in effect for the author.
    pub(super) fn suppressed_deletions<'a>(
        &'a self,
        tree: &'a Tree,
        span: &'a Span,
    ) -> impl Iterator<Item = &'a Deletion> + 'a {
        let in_effect = span.deletions.iter().filter(|index| self.deleted[**index]);
        in_effect.map(|index| &tree.deletions[*index]).filter(|deletion| deletion.suppressed_by.is_some())
    }

    /// Whether the author knew only a part of some run.
    pub(super) fn ends_within_a_run(&self) -> bool {
        self.ends_within_a_run
    }

    /// Where in a span the author's knowledge ends, if it does within it.
    pub(super) fn cuts(&self, span: &Span) -> impl Iterator<Item = u32> {
        let inside = |len: u32| len.checked_sub(span.start).filter(|cut| *cut > 0 && *cut < span.len);
        let (seen, known) = (inside(self.inserted[span.run]), inside(self.known[span.run]));
        seen.into_iter().chain(known.filter(|cut| Some(*cut) != seen))
    }
}

/// An author goes on seeing a suppressed hunk until the operation that suppressed it is in its base: its
/// screen cannot know of the suppression before.
fn suppression_is_unseen(author: &Author, op: &Stamp, suppressed_by: Option<Seq>) -> bool {
    let Some(suppressor) = suppressed_by else {
        return true;
    };
    if fault!(SuppressionAsFlag) {
        return false;
    }
    if fault!(SuppressedVisibleForever) && op.replica_no == author.replica_no {
        return true;
    }
    suppressor > author.base_seq
}

fn knows(author: &Author, op: &Stamp) -> bool {
    let own = op.replica_no == author.replica_no && op.replica_no != ReplicaNo::SERVER;
    if fault!(OwnChainForgotten) && own {
        return op.seq <= author.base_seq;
    }
    if fault!(ExtrasIgnoredInText) && !own {
        return op.seq <= author.base_seq;
    }
    author.knows(op)
}
