//! Creating, deleting and restoring records. A concurrent edit wins over a delete, and the clash is kept.

use super::super::causality::{Seq, Stamp};
use super::super::change::{Effect, EffectKind};
use super::super::conflict::{AlternativeState, CloseReason, ConflictKind, Scope, ScopePart};
use super::super::change::ConflictEventKind;
use super::super::ids::{FieldId, RecordId};
use super::super::mutants::{Mutant, active};
use super::super::operation::Mutation;
use super::super::refusal::Refusal;
use super::super::state::{Existence, ExistenceHead, FieldValue, Key, Prefix, RecordRow, Row, Step};
use super::super::value::Value;
use super::conflict::{Contender, add_pairs, reawaken};
use super::set::element_row;
use super::settle::Settling;

impl Settling<'_, '_> {
    /// The record a mutation is about; it must exist, be of the collection, and not be a phantom.
    pub(super) fn existing_record(&self, id: &RecordId) -> Step<RecordRow> {
        let row = self.tx.record(id)?.ok_or_else(|| Refusal::RecordNotFound { record: id.clone() })?;
        match row.existence {
            Existence::Phantom(dot) => Err(Refusal::DependencyRejected { dot }.into()),
            _ => Ok(row.clone()),
        }
    }

    fn record_of(&self, mutation: &Mutation) -> Step<RecordRow> {
        let row = self.existing_record(&mutation.record)?;
        if row.collection != mutation.collection {
            let (record, collection) = (mutation.record.clone(), row.collection);
            return Err(Refusal::CollectionMismatch { record, collection }.into());
        }
        Ok(row)
    }

    /// Every edit of a record comes through here: against a delete its author did not know, it wins.
    pub(super) fn touch_record(&mut self, mutation: &Mutation) -> Step<()> {
        let row = self.record_of(mutation)?;
        let deletes: Vec<Stamp> = row.heads.iter().filter(|h| h.delete).map(|h| h.stamp).collect();
        let unknown: Vec<Stamp> =
            deletes.iter().filter(|d| !self.knows(d) && !active(Mutant::EditIgnoresDelete)).copied().collect();
        if row.existence == Existence::Deleted && unknown.len() < deletes.len() {
            return Err(Refusal::RecordDeleted { record: mutation.record.clone() }.into());
        }
        if unknown.is_empty() {
            return Ok(());
        }
        if row.existence == Existence::Deleted {
            self.put_existence(mutation, RecordRow { existence: Existence::Alive, ..row }, EffectKind::RecordRestored);
        }
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
        let against: Vec<Contender> = unknown.into_iter().map(deleter).collect();
        self.existence_clash(mutation, scope, ConflictKind::EditDelete, against)
    }

    /// Creates the record. A concurrent creation of the same id merges with it.
    pub(super) fn create(&mut self, mutation: &Mutation) -> Step<()> {
        self.check_collection(mutation)?;
        let existing = self.tx.record(&mutation.record)?.cloned();
        match existing {
            Some(row) if !matches!(row.existence, Existence::Phantom(_)) => {
                if self.knows(&row.created) {
                    return Err(Refusal::RecordExists { record: mutation.record.clone() }.into());
                }
                self.settlement.merged = true;
                self.touch_record(mutation)?;
                let row = self.record_of(mutation)?;
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
                    last_seq: 0,
                    heads: vec![ExistenceHead { stamp: self.stamp, delete: false }],
                };
                self.put_existence(mutation, row, EffectKind::RecordCreated);
            }
        }
        Ok(())
    }

    fn check_collection(&self, mutation: &Mutation) -> Step<()> {
        let strict_without = self
            .tx
            .schema()?
            .is_some_and(|s| s.strict && !s.collections.contains_key(&mutation.collection));
        if strict_without {
            return Err(Refusal::UnknownCollection { collection: mutation.collection.clone() }.into());
        }
        Ok(())
    }

    /// Deletes the record, unless somebody edited or linked to it concurrently.
    pub(super) fn delete(&mut self, mutation: &Mutation) -> Step<()> {
        let row = self.record_of(mutation)?;
        let (known, unknown): (Vec<_>, Vec<_>) = row.heads.iter().copied().partition(|h| self.knows(&h.stamp));
        let was_deleted = row.existence == Existence::Deleted;
        if was_deleted && known.iter().any(|h| h.delete) {
            return Err(Refusal::RecordDeleted { record: mutation.record.clone() }.into());
        }
        let mut heads = unknown.clone();
        heads.push(ExistenceHead { stamp: self.stamp, delete: true });
        let row = RecordRow { heads, ..row };
        if was_deleted {
            // Whoever deleted it first knew the edits; two deletes agree.
            self.settlement.merged = true;
            self.put_existence(mutation, row, EffectKind::Existence);
            return Ok(());
        }
        let edits = self.edits_unknown_to_delete(mutation, &row, &unknown)?;
        let links = self.links_unknown_to_delete(mutation)?;
        self.check_resolves_by_delete(mutation)?;
        if edits.is_empty() && links.is_empty() {
            self.put_existence(mutation, RecordRow { existence: Existence::Deleted, ..row }, EffectKind::RecordDeleted);
            return self.close_by_delete(mutation);
        }
        self.put_existence(mutation, row, EffectKind::Existence);
        if !edits.is_empty() {
            let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
            self.existence_clash(mutation, scope, ConflictKind::EditDelete, edits)?;
        }
        for (scope, link) in links {
            self.existence_clash(mutation, scope, ConflictKind::Relationship, vec![link])?;
        }
        self.note_remaining(mutation)
    }

    /// Changes of the record's fields, and restores of it, that a delete did not know.
    fn edits_unknown_to_delete(
        &self,
        mutation: &Mutation,
        row: &RecordRow,
        unknown_heads: &[ExistenceHead],
    ) -> Step<Vec<Contender>> {
        if active(Mutant::DeleteIgnoresEdits) {
            return Ok(Vec::new());
        }
        let mut stamps: Vec<Stamp> = unknown_heads.iter().filter(|h| !h.delete).map(|h| h.stamp).collect();
        if row.last_seq > self.author.base_seq && row.last_seq != self.stamp.seq {
            // A concurrent create of the same id touched the record without a head of its own.
            let change = self.tx.change(row.last_seq)?;
            let created = change
                .effect_on_existence(&mutation.record)
                .is_some_and(|e| matches!(e.kind, EffectKind::RecordCreated));
            if created && !self.knows(&change.stamp()) {
                stamps.push(change.stamp());
            }
        }
        for key in self.tx.keys(&Prefix::FieldsOf(mutation.record.clone()))? {
            let Key::Field(record, field) = key else { continue };
            let Some(last_seq) = self.tx.field(&record, &field)?.map(|f| f.last_seq) else { continue };
            let changes = self.unknown_changes(&record, &field, last_seq, mutation)?;
            stamps.extend(changes.iter().map(|c| c.stamp()));
        }
        stamps.sort_unstable();
        stamps.dedup();
        Ok(stamps.into_iter().map(|stamp| Contender { stamp, rank: stamp.seq, value: None }).collect())
    }

    /// Links to the record that a delete did not know.
    fn links_unknown_to_delete(&self, mutation: &Mutation) -> Step<Vec<(Scope, Contender)>> {
        let target = &mutation.record;
        let mut links = Vec::new();
        for key in self.tx.keys(&Prefix::BacklinksOf(target.clone()))? {
            let Key::Backlink(_, source, field) = key else { continue };
            let Some(stamp) = self.newest_unknown_link(&source, &field, target)? else { continue };
            let scope = Scope { record: source, part: ScopePart::Link(field, target.clone()) };
            let value = Some(Value::String(target.clone()));
            links.push((scope, Contender { stamp, rank: stamp.seq, value }));
        }
        Ok(links)
    }

    fn newest_unknown_link(&self, source: &RecordId, field: &FieldId, target: &RecordId) -> Step<Option<Stamp>> {
        let value = Value::String(target.clone());
        let stamps: Vec<Stamp> = match self.tx.field(source, field)?.map(|row| &row.value) {
            Some(FieldValue::ToOne(heads)) => {
                heads.iter().filter(|h| h.value == value).map(|h| h.stamp).collect()
            }
            Some(FieldValue::ToMany { .. }) => {
                let key = Key::Element(source.clone(), field.clone(), value.element_hash());
                element_row(self.tx.row(&key)?)?.map(|row| row.additions.clone()).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Ok(stamps.into_iter().filter(|s| !self.knows(s)).max())
    }

    /// Brings a deleted record back, or decides an edit-delete conflict for keeping it.
    pub(super) fn restore(&mut self, mutation: &Mutation) -> Step<()> {
        let row = self.record_of(mutation)?;
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
        let resolves = self.resolved_conflict(mutation, &scope)?;
        let (known, unknown): (Vec<_>, Vec<_>) = row.heads.iter().copied().partition(|h| self.knows(&h.stamp));
        let was_deleted = row.existence == Existence::Deleted;
        let mut heads = unknown.clone();
        heads.push(ExistenceHead { stamp: self.stamp, delete: false });
        let effect = if was_deleted { EffectKind::RecordRestored } else { EffectKind::Existence };
        self.settlement.merged |= !was_deleted && known.is_empty();
        self.put_existence(mutation, RecordRow { existence: Existence::Alive, heads, ..row }, effect);
        if let (Some(id), Some(live)) = (resolves, self.tx.scope(&scope)?.live) {
            if id == live {
                return self.resolve_existence(mutation, live);
            }
        }
        let against: Vec<Contender> =
            unknown.iter().filter(|h| h.delete).map(|h| deleter(h.stamp)).collect();
        if against.is_empty() {
            return Ok(());
        }
        self.existence_clash(mutation, scope, ConflictKind::EditDelete, against)
    }

    /// A decision about an edit-delete or relationship conflict.
    pub(super) fn resolve_existence(&mut self, mutation: &Mutation, live: super::super::ids::ConflictId) -> Step<()> {
        let mut conflict = self.live_conflict(live)?;
        let unseen = self.unseen(&conflict);
        if self.knew_opening(&conflict) && unseen.is_empty() {
            return self.close(conflict, CloseReason::Resolved);
        }
        self.settlement.remaining.push((live, unseen.clone()));
        if !self.knew_opening(&conflict) {
            return Ok(());
        }
        conflict.alternatives.retain(|a| unseen.contains(&a.stamp.seq));
        let me = Contender { stamp: self.stamp, rank: self.stamp.seq, value: None };
        conflict.alternatives.push(self.my_alternative(mutation, &me, AlternativeState::Head, None));
        self.settlement.conflicts.push(live);
        self.save(conflict, ConflictEventKind::Changed, "a resolution had not seen everything")
    }

    /// A clash about a record's existence or a link's end.
    pub(super) fn existence_clash(
        &mut self,
        mutation: &Mutation,
        scope: Scope,
        kind: ConflictKind,
        against: Vec<Contender>,
    ) -> Step<()> {
        let new: Vec<Contender> = against
            .into_iter()
            .filter(|c| !self.pairs.iter().any(|(s, seq)| *s == scope && *seq == c.stamp.seq))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.pairs.extend(new.iter().map(|c| (scope.clone(), c.stamp.seq)));
        let me = Contender { stamp: self.stamp, rank: self.stamp.seq, value: self.offered(mutation) };
        let places = self.tx.scope(&scope)?;
        let mut conflict = match places.live {
            Some(live) => self.live_conflict(live)?,
            None => {
                let parent = self.parent_of(places)?;
                self.new_conflict(mutation, scope.clone(), kind, Vec::new(), parent, (None, true))?
            }
        };
        for other in &new {
            if !conflict.alternatives.iter().any(|a| a.stamp == other.stamp) {
                let mut alternative = self.alternative_of(other, &scope)?;
                alternative.value = alternative.value.or_else(|| self.offered_by(other.stamp.seq, &scope.record));
                conflict.alternatives.push(alternative);
            }
        }
        if !conflict.alternatives.iter().any(|a| a.stamp == self.stamp) {
            conflict.alternatives.push(self.my_alternative(mutation, &me, AlternativeState::Head, None));
        }
        add_pairs(&mut conflict, &new, self.stamp.seq);
        self.settlement.conflicts.push(conflict.id);
        reawaken(&mut conflict);
        let event = if conflict.revision == 0 { ConflictEventKind::Opened } else { ConflictEventKind::Changed };
        self.save(conflict, event, "deleted here, edited or linked there")
    }

    /// What an edit offers against a delete.
    fn offered(&self, mutation: &Mutation) -> Option<Value> {
        super::super::change::own_value(mutation)
    }

    fn offered_by(&self, seq: Seq, record: &RecordId) -> Option<Value> {
        let change = self.tx.change(seq).ok()?;
        let effect = change.effects.iter().find(|e| e.record == *record && e.field.is_some())?;
        super::super::change::own_value(change.mutations.get(usize::from(effect.mutation_index))?)
    }

    /// A delete may name the edit-delete conflict of its record, or a relationship conflict about it.
    fn check_resolves_by_delete(&self, mutation: &Mutation) -> Step<()> {
        let Some(id) = mutation.resolves else { return Ok(()) };
        let fits = self.tx.conflict(id)?.is_some_and(|c| match &c.scope.part {
            ScopePart::Record => c.scope.record == mutation.record,
            ScopePart::Link(_, target) => *target == mutation.record,
            ScopePart::Field(_) => false,
        });
        if fits { Ok(()) } else { Err(Refusal::ConflictNotFound { conflict: id }.into()) }
    }

    fn note_remaining(&mut self, mutation: &Mutation) -> Step<()> {
        let Some(id) = mutation.resolves else { return Ok(()) };
        let conflict = self.live_conflict(id)?;
        if conflict.status.is_live() {
            let unseen = self.unseen(&conflict);
            self.settlement.remaining.push((id, unseen));
        }
        Ok(())
    }

    /// A delete that knew every edit ends the record's conflicts, and those about links to it.
    fn close_by_delete(&mut self, mutation: &Mutation) -> Step<()> {
        let mut scopes = Vec::new();
        for key in self.tx.keys(&Prefix::ScopesOf(mutation.record.clone()))? {
            let Key::Scope(scope) = key else { continue };
            scopes.push(scope);
        }
        for key in self.tx.keys(&Prefix::BacklinksOf(mutation.record.clone()))? {
            let Key::Backlink(target, source, field) = key else { continue };
            scopes.push(Scope { record: source, part: ScopePart::Link(field, target) });
        }
        for scope in scopes {
            let Some(live) = self.tx.scope(&scope)?.live else { continue };
            let conflict = self.live_conflict(live)?;
            let decided = conflict.kind == ConflictKind::EditDelete || mutation.resolves == Some(live);
            self.close(conflict, if decided { CloseReason::Resolved } else { CloseReason::Deleted })?;
        }
        Ok(())
    }

    /// Writes a record's existence and says so.
    pub(super) fn put_existence(&mut self, mutation: &Mutation, row: RecordRow, kind: EffectKind) {
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

/// A delete's side of a clash.
pub(super) fn deleter(stamp: Stamp) -> Contender {
    Contender { stamp, rank: stamp.seq, value: None }
}
