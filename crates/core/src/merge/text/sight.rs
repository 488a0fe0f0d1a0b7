//! What one author knows and sees of a window.

use super::tree::{Span, Tree};
use crate::causality::{Author, ReplicaNo, Seq, Stamp};
use crate::fault;

/// One author's knowledge, worked out once per operation, insertion and deletion rather than per span.
pub(super) struct Sight {
    /// Per operation of the window: its author knew it.
    known_ops: Vec<bool>,
    /// Per run: its insertion is in effect for the author.
    inserted: Vec<bool>,
    /// Per deletion: it is in effect for the author.
    deleted: Vec<bool>,
}

impl Sight {
    pub(super) fn new(author: &Author, ops: &[Stamp], tree: &Tree) -> Self {
        let known_ops: Vec<bool> = ops.iter().map(|op| knows(author, op)).collect();
        let in_effect = |op: usize, suppressed_by: Option<Seq>| {
            known_ops[op] && suppression_is_unseen(author, &ops[op], suppressed_by)
        };
        let inserted =
            tree.runs.iter().map(|run| run.op.is_none_or(|op| in_effect(op, run.suppressed_by))).collect();
        let deleted =
            tree.deletions.iter().map(|deletion| in_effect(deletion.op, deletion.suppressed_by)).collect();
        Self { known_ops, inserted, deleted }
    }

    /// Whether the author knew this operation of the window; everybody knows the base text.
    pub(super) fn knows(&self, op: Option<usize>) -> bool {
        op.is_none_or(|op| self.known_ops[op])
    }

    /// Whether the author saw the characters of this span.
    pub(super) fn sees(&self, span: &Span) -> bool {
        self.inserted[span.run] && !span.deletions.iter().any(|index| self.deleted[*index])
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
