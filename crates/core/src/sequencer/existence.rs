//! Creating, editing and restoring records, and what that means against a delete: a concurrent edit wins, and the
//! clash is kept.

use super::conflict::{Contender, add_pairs, reawaken};
use super::delete::is_about_existence;
use super::settle::Settling;
use crate::causality::{ReplicaNo, Seq, Stamp};
use crate::change::{Change, Effect, EffectKind, own_value};
use crate::conflict::ConflictEventKind;
use crate::conflict::{Alternative, AlternativeState, CloseReason, Conflict, ConflictKind, Scope, ScopePart};
use crate::fault;
use crate::ids::{ConflictId, RecordId};
use crate::operation::{MutationKind, RecordMutation};
use crate::refusal::Refusal;
use crate::state::{Attempt, Existence, ExistenceHead, FieldValue, Key, RecordRow, Row};
use crate::unknown::Unknown;
use crate::value::Value;

impl Settling<'_, '_> {
    /// The record a mutation is about; it must exist, be of the collection, and not be a phantom.
    pub(super) fn existing_record(&self, id: &RecordId) -> Attempt<RecordRow> {
        let row = self.tx.record(id)?.ok_or_else(|| Refusal::RecordNotFound { record: id.clone() })?;
        match row.existence {
            Existence::Phantom(dot) => Err(Refusal::DependencyRejected { dot }.into()),
            _ => Ok(row.clone()),
        }
    }

    pub(super) fn record_of(&self, mutation: &RecordMutation) -> Attempt<RecordRow> {
        let row = self.existing_record(&mutation.record)?;
        if row.collection != mutation.collection {
            let (record, collection) = (mutation.record.clone(), row.collection);
            return Err(Refusal::CollectionMismatch { record, collection }.into());
        }
        Ok(row)
    }

    /// Called for every edit of a record: the edit wins against a delete that its author did not know.
    pub(super) fn touch_record(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        let row = self.record_of(mutation)?;
        let deletes: Vec<Stamp> = row.heads.iter().filter(|h| h.delete).map(|h| h.stamp).collect();
        let unknown: Vec<Stamp> =
            deletes.iter().filter(|d| !self.knows(d) && !fault!(EditIgnoresDelete)).copied().collect();
        if row.existence == Existence::Deleted && self.saw_deleted(&mutation.record, &deletes, &unknown)? {
            return Err(Refusal::RecordDeleted { record: mutation.record.clone() }.into());
        }
        if unknown.is_empty() {
            return Ok(());
        }
        if row.existence == Existence::Deleted {
            self.bring_back(&mutation.record, row)?;
        }
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
        let against: Vec<Contender> = unknown.into_iter().map(deleter).collect();
        self.existence_clash(mutation, scope, ConflictKind::EditDelete, against)
    }

    /// Whether the author of an edit saw the record deleted: it knew a delete, and not as one that had lost.
    fn saw_deleted(&self, record: &RecordId, deletes: &[Stamp], unknown: &[Stamp]) -> Attempt<bool> {
        if unknown.is_empty() {
            return Ok(true);
        }
        for delete in deletes.iter().filter(|delete| !unknown.contains(delete)) {
            let is_read = delete.seq <= self.author.base_seq;
            if !is_read || !has_lost(&*self.tx.change(delete.seq)?, record) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Creates the record. A concurrent creation of the same id merges with it.
    pub(super) fn create(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        self.check_collection(mutation)?;
        let existing = self.tx.record(&mutation.record)?.cloned();
        match existing {
            Some(row) if !matches!(row.existence, Existence::Phantom(_)) => {
                if self.saw_deleted_record(mutation)? {
                    return Err(Refusal::RecordDeleted { record: mutation.record.clone() }.into());
                }
                if self.knows(&row.created) || row.heads.iter().any(|h| self.knows(&h.stamp)) {
                    return Err(Refusal::RecordExists { record: mutation.record.clone() }.into());
                }
                self.settlement.merged = true;
                self.touch_record(mutation)?;
                let mut row = self.record_of(mutation)?;
                // This creation gets its own head, so that a delete that knew only the other creation clashes with it.
                if !fault!(SecondCreateForgotten) {
                    row.heads.push(ExistenceHead::new(self.stamp, false));
                }
                self.put_existence(mutation, row, EffectKind::Existence);
            }
            _ => {
                self.tx.mark_fresh(&mutation.record);
                self.created.push(mutation.record.clone());
                let member = Key::Member(mutation.collection.clone(), mutation.record.clone());
                self.tx.put(member, Row::Unit);
                let row = RecordRow {
                    collection: mutation.collection.clone(),
                    existence: Existence::Alive,
                    created: self.stamp,
                    last_seq: Seq::START,
                    heads: vec![ExistenceHead::new(self.stamp, false)],
                    unknown: Unknown::NONE,
                };
                self.put_existence(mutation, row, EffectKind::RecordCreated);
            }
        }
        Ok(())
    }

    fn check_collection(&self, mutation: &RecordMutation) -> Attempt<()> {
        let strict_without =
            self.tx.schema()?.is_some_and(|s| s.strict && !s.collections.contains_key(&mutation.collection));
        if strict_without {
            return Err(Refusal::UndeclaredCollection { collection: mutation.collection.clone() }.into());
        }
        Ok(())
    }

    /// Brings a deleted record back, or decides a conflict about its existence for keeping it.
    pub(super) fn restore(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        let row = self.record_of(mutation)?;
        let decides = self.decided_by_restore(mutation)?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            row.heads.iter().cloned().partition(|h| self.knows(&h.stamp));
        let was_deleted = row.existence == Existence::Deleted;
        let against: Vec<Contender> = unknown.iter().filter(|h| h.delete).map(|h| deleter(h.stamp)).collect();
        let mut heads = unknown;
        heads.push(ExistenceHead::new(self.stamp, false));
        self.settlement.merged |= !was_deleted && known.is_empty();
        let row = RecordRow { heads, ..row };
        if was_deleted {
            self.bring_back(&mutation.record, row)?;
        } else {
            self.put_existence(mutation, row, EffectKind::Existence);
        }
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
        if let Some((id, place)) = decides {
            let same_place: &[Contender] = if place == scope { &against } else { &[] };
            self.resolve_existence(mutation, id, same_place)?;
        }
        self.existence_clash(mutation, scope, ConflictKind::EditDelete, against)
    }

    /// The live conflict about the record's existence that a restore names, with its place.
    fn decided_by_restore(&self, mutation: &RecordMutation) -> Attempt<Option<(ConflictId, Scope)>> {
        let Some(id) = mutation.resolves else { return Ok(None) };
        match self.tx.conflict(id)? {
            Some(conflict) if is_about_existence(&conflict.scope, &mutation.record) => {
                Ok(conflict.status.is_live().then(|| (id, conflict.scope.clone())))
            }
            _ => Err(Refusal::ConflictNotFound { conflict: id }.into()),
        }
    }

    /// Restores a deleted record, and opens the conflicts again that ended only because it was deleted.
    pub(super) fn bring_back(&mut self, record: &RecordId, row: RecordRow) -> Attempt<()> {
        let row = RecordRow { existence: Existence::Alive, ..row };
        self.put_existence_of(record, row, EffectKind::RecordRestored);
        self.reopen_with_record(record)
    }

    /// Applies a decision about an edit-delete or relationship conflict. If its author had not seen everything, the
    /// unseen sides stay in the conflict together with the decision, which clashes with `against`.
    pub(super) fn resolve_existence(
        &mut self,
        mutation: &RecordMutation,
        live: ConflictId,
        against: &[Contender],
    ) -> Attempt<()> {
        let mut conflict = self.live_conflict(live)?;
        let unseen = self.unseen(mutation, &conflict);
        let knew_opening = self.knew_opening(mutation, &conflict);
        if knew_opening && unseen.is_empty() {
            return self.close(conflict, CloseReason::Resolved);
        }
        self.settlement.remaining.push((live, unseen.clone()));
        if !knew_opening {
            return Ok(());
        }
        conflict.alternatives.retain(|a| unseen.contains(&a.stamp.seq));
        let new = self.new_pairs(&conflict.scope, against);
        self.add_contenders(&mut conflict, &new)?;
        let me = Contender { stamp: self.stamp, rank: self.stamp.seq, value: None };
        conflict.alternatives.push(self.my_alternative(mutation, &me, AlternativeState::Head));
        self.settlement.conflicts.push(live);
        reawaken(&mut conflict);
        self.save(conflict, ConflictEventKind::Changed, "a resolution had not seen everything")
    }

    /// A clash about a record's existence or a link's end.
    pub(super) fn existence_clash(
        &mut self,
        mutation: &RecordMutation,
        scope: Scope,
        kind: ConflictKind,
        against: Vec<Contender>,
    ) -> Attempt<()> {
        let new = self.new_pairs(&scope, &against);
        if new.is_empty() {
            return Ok(());
        }
        let me = Contender { stamp: self.stamp, rank: self.stamp.seq, value: self.offered(mutation) };
        let places = self.tx.scope(&scope)?;
        let mut conflict = match places.live {
            Some(live) => self.live_conflict(live)?,
            None => {
                let parent = self.parent_of(places)?;
                self.new_conflict(mutation, scope.clone(), kind, Vec::new(), parent, (None, true))?
            }
        };
        if mutation.resolves == Some(conflict.id) && self.knew_opening(mutation, &conflict) {
            // The author of this decision had not seen everything: only what it had seen is decided.
            let unseen = self.unseen(mutation, &conflict);
            let mine = self.stamp;
            conflict.alternatives.retain(|a| a.stamp == mine || unseen.contains(&a.stamp.seq));
        }
        let new = self.not_told_yet(mutation, &conflict, new)?;
        self.add_contenders(&mut conflict, &new)?;
        self.put_side(mutation, &mut conflict, me);
        self.settlement.conflicts.push(conflict.id);
        reawaken(&mut conflict);
        let event =
            if conflict.revision == 0 { ConflictEventKind::Opened } else { ConflictEventKind::Changed };
        self.save(conflict, event, "deleted here, edited or linked there")
    }

    /// Makes this operation a side of a conflict about a record's existence. It stands in for an earlier edit of the same
    /// author: whoever goes on writing into a deleted record is one side, however long it takes.
    fn put_side(&self, mutation: &RecordMutation, conflict: &mut Conflict, me: Contender) {
        if conflict.alternatives.iter().any(|a| a.stamp == self.stamp) {
            return;
        }
        let mine = self.my_alternative(mutation, &me, AlternativeState::Head);
        let goes_on = |a: &&mut Alternative| {
            let edits = !a.deletes() && !mine.deletes() && a.state == AlternativeState::Head;
            edits && a.author.replica_no == mine.author.replica_no && a.author.replica_no != ReplicaNo::SERVER
        };
        let about_record = conflict.kind == ConflictKind::EditDelete;
        match conflict.alternatives.iter_mut().find(goes_on).filter(|_| about_record) {
            Some(before) => *before = Alternative { rank: before.rank, ..mine },
            None => conflict.alternatives.push(mine),
        }
    }

    /// Those of the deletes of which the conflict does not say yet that this author edits against them.
    fn not_told_yet(
        &self,
        mutation: &RecordMutation,
        conflict: &Conflict,
        new: Vec<Contender>,
    ) -> Attempt<Vec<Contender>> {
        let deletes = mutation.action.kind() == MutationKind::DeleteRecord;
        if conflict.kind != ConflictKind::EditDelete || self.author.replica_no == ReplicaNo::SERVER || deletes
        {
            return Ok(new);
        }
        let mut untold = Vec::with_capacity(new.len());
        'deletes: for delete in new {
            let later = conflict.pairs.iter().filter(|(earlier, _)| *earlier == delete.stamp.seq);
            for (_, later) in later {
                if *later != self.stamp.seq
                    && self.tx.change(*later)?.author.replica_no == self.author.replica_no
                {
                    continue 'deletes;
                }
            }
            untold.push(delete);
        }
        Ok(untold)
    }

    /// Shows what the author of an edit sees of a text in the conflict that the edit made with a delete.
    pub(super) fn show_text_against_delete(
        &mut self,
        record: &RecordId,
        seen: impl FnOnce() -> String,
    ) -> Attempt<()> {
        let scope = Scope { record: record.clone(), part: ScopePart::Record };
        if !self.pairs.iter().any(|(clashed, _)| *clashed == scope) {
            return Ok(());
        }
        let Some(live) = self.tx.scope(&scope)?.live else { return Ok(()) };
        let mut conflict = self.live_conflict(live)?;
        if let Some(mine) = conflict.alternatives.iter_mut().find(|side| side.stamp == self.stamp) {
            mine.value = Some(Value::string(seen()));
            self.tx.put(Key::Conflict(live), Row::Conflict(Box::new(conflict)));
        }
        Ok(())
    }

    /// Adds the other sides of a clash about existence, with what they offer, and the pairs.
    fn add_contenders(&mut self, conflict: &mut Conflict, new: &[Contender]) -> Attempt<()> {
        for other in new {
            if !conflict.alternatives.iter().any(|a| a.stamp == other.stamp) {
                let mut alternative = self.alternative_of(other, &conflict.scope)?;
                if alternative.value.is_none() && !alternative.deletes() {
                    alternative.value = self.offered_by(other.stamp.seq, &conflict.scope.record)?;
                }
                conflict.alternatives.push(alternative);
            }
        }
        add_pairs(conflict, new, self.stamp.seq);
        Ok(())
    }

    /// What an edit offers against a delete.
    fn offered(&self, mutation: &RecordMutation) -> Option<Value> {
        own_value(mutation)
    }

    fn offered_by(&self, seq: Seq, record: &RecordId) -> Attempt<Option<Value>> {
        let change = self.tx.change(seq)?;
        let effect = change.effects.iter().find(|e| e.record == *record && e.field.is_some());
        if let Some(Effect { kind: EffectKind::Text { .. }, field: Some(field), .. }) = effect
            && let Some(FieldValue::Text(text)) = self.tx.field(record, field)?.map(|row| &row.value)
        {
            return Ok(Some(Value::string(text.as_str())));
        }
        Ok(effect.and_then(|e| change.mutation_of(e)).and_then(own_value))
    }

    /// Writes a record's existence and adds the effect.
    pub(super) fn put_existence(&mut self, mutation: &RecordMutation, row: RecordRow, kind: EffectKind) {
        self.put_existence_of(&mutation.record, row, kind);
    }

    pub(super) fn put_existence_of(&mut self, record: &RecordId, row: RecordRow, kind: EffectKind) {
        self.effects.push(Effect {
            collection: row.collection.clone(),
            record: record.clone(),
            field: None,
            mutation_index: self.mutation_index(),
            previous_seq: row.last_seq,
            kind,
        });
        let row = RecordRow { last_seq: self.stamp.seq, ..row };
        self.tx.put(Key::Record(record.clone()), Row::Record(row));
    }
}

/// Whether a delete left its record alive, because it clashed.
fn has_lost(delete: &Change, record: &RecordId) -> bool {
    let took_effect = |effect: &Effect| effect.record == *record && effect.kind == EffectKind::RecordDeleted;
    let clashed = |effect: &Effect| match &effect.kind {
        EffectKind::Conflict { event, summary } => {
            matches!(event, ConflictEventKind::Opened | ConflictEventKind::Changed)
                && is_about_existence(&summary.scope, record)
        }
        _ => false,
    };
    !delete.effects.iter().any(took_effect) && delete.effects.iter().any(clashed)
}

/// A delete's side of a clash.
pub(super) fn deleter(stamp: Stamp) -> Contender {
    Contender { stamp, rank: stamp.seq, value: None }
}
