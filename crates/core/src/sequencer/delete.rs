//! Deleting records: only what the author knew goes; what it did not know keeps the record alive.

use super::conflict::Contender;
use super::set::element_row;
use super::settle::Settling;
use std::collections::BTreeMap;

use crate::causality::{ReplicaNo, Stamp};
use crate::change::EffectKind;
use crate::conflict::{Alternative, CloseReason, ConflictKind, Scope, ScopePart};
use crate::fault;
use crate::ids::{ConflictId, FieldId, RecordId};
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::state::{Attempt, Existence, ExistenceHead, FieldValue, Key, Prefix, RecordRow};
use crate::value::Value;

impl Settling<'_, '_> {
    /// Deletes the record, unless somebody edited or linked to it concurrently.
    pub(super) fn delete(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        let row = self.record_of(mutation)?;
        self.check_resolves_by_delete(mutation)?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            row.heads.iter().cloned().partition(|h| self.knows(&h.stamp));
        let was_deleted = row.existence == Existence::Deleted;
        let decides = self.is_live(mutation.resolves)?;
        if was_deleted && known.iter().any(|h| h.delete) && !decides {
            return Err(Refusal::RecordDeleted { record: mutation.record.clone() }.into());
        }
        let mut heads = unknown.clone();
        heads.push(ExistenceHead::new(self.stamp, true));
        let row = RecordRow { heads, ..row };
        if was_deleted {
            // The author of the first delete knew the edits; two deletes agree.
            self.settlement.merged |= !decides;
            self.put_existence(mutation, row, EffectKind::Existence);
            return if decides { self.close_by_delete(mutation) } else { Ok(()) };
        }
        let edits = self.edits_unknown_to_delete(mutation, &unknown)?;
        let links = self.links_unknown_to_delete(mutation)?;
        if edits.is_empty() && links.is_empty() {
            self.put_existence(
                mutation,
                RecordRow { existence: Existence::Deleted, ..row },
                EffectKind::RecordDeleted,
            );
            return self.close_by_delete(mutation);
        }
        self.put_existence(mutation, row, EffectKind::Existence);
        if !edits.is_empty() {
            let scope = Scope { record: mutation.record.clone(), part: ScopePart::Record };
            self.existence_clash(mutation, scope, ConflictKind::EditDelete, edits)?;
        }
        for (scope, links) in links {
            self.existence_clash(mutation, scope, ConflictKind::Relationship, links)?;
        }
        self.note_remaining(mutation)
    }

    /// Changes of the record's fields, and creations and restores of it, that a delete did not know.
    fn edits_unknown_to_delete(
        &self,
        mutation: &RecordMutation,
        unknown_heads: &[ExistenceHead],
    ) -> Attempt<Vec<Contender>> {
        if fault!(DeleteIgnoresEdits) {
            return Ok(Vec::new());
        }
        let mut stamps: Vec<Stamp> = unknown_heads.iter().filter(|h| !h.delete).map(|h| h.stamp).collect();
        for key in self.tx.keys(&Prefix::FieldsOf(mutation.record.clone()))? {
            let Key::Field(record, field) = key else { continue };
            let Some(last_seq) = self.tx.field(&record, &field)?.map(|f| f.last_seq) else { continue };
            let changes = self.unknown_changes(&record, &field, last_seq, mutation)?;
            stamps.extend(changes.iter().map(|c| c.stamp()));
        }
        stamps.sort_unstable();
        stamps.dedup();
        // Whoever went on writing is one side, with the last edit.
        let mut last: BTreeMap<ReplicaNo, Stamp> = BTreeMap::new();
        last.extend(stamps.iter().map(|stamp| (stamp.replica_no, *stamp)));
        stamps.retain(|s| s.replica_no == ReplicaNo::SERVER || last.get(&s.replica_no) == Some(s));
        Ok(stamps.into_iter().map(|stamp| Contender { stamp, rank: stamp.seq, value: None }).collect())
    }

    /// Links to the record that a delete did not know, by link.
    fn links_unknown_to_delete(&self, mutation: &RecordMutation) -> Attempt<Vec<(Scope, Vec<Contender>)>> {
        let target = &mutation.record;
        let mut links = Vec::new();
        if fault!(DeleteIgnoresLinks) {
            return Ok(links);
        }
        let backlinks = self.backlinks(target)?;
        self.tx.need_rows(backlinks.iter().cloned().map(|(source, field)| Key::Field(source, field)))?;
        let mut elements = Vec::new();
        for (source, field) in &backlinks {
            if let Some(FieldValue::ToMany { .. }) = self.tx.field(source, field)?.map(|row| &row.value) {
                elements.push(link_key(source, field, target));
            }
        }
        self.tx.need_rows(elements)?;
        for (source, field) in backlinks {
            let value = Some(Value::from(target.clone()));
            let contenders: Vec<Contender> = self
                .unknown_links(&source, &field, target)?
                .into_iter()
                .map(|stamp| Contender { stamp, rank: stamp.seq, value: value.clone() })
                .collect();
            if !contenders.is_empty() {
                links.push((
                    Scope { record: source, part: ScopePart::Link(field, target.clone()) },
                    contenders,
                ));
            }
        }
        Ok(links)
    }

    /// The links to a record: from where, and in which field.
    fn backlinks(&self, target: &RecordId) -> Attempt<Vec<(RecordId, FieldId)>> {
        let keys = self.tx.keys(&Prefix::BacklinksOf(target.clone()))?.into_iter();
        let link = |key| match key {
            Key::Backlink(_, source, field) => Some((source, field)),
            _ => None,
        };
        Ok(keys.filter_map(link).collect())
    }

    /// The writers that hold a link in place and that the author did not know, oldest first.
    fn unknown_links(&self, source: &RecordId, field: &FieldId, target: &RecordId) -> Attempt<Vec<Stamp>> {
        let value = Value::from(target.clone());
        let mut stamps: Vec<Stamp> = match self.tx.field(source, field)?.map(|row| &row.value) {
            Some(FieldValue::ToOne(heads)) => {
                heads.iter().filter(|h| h.value == value).map(|h| h.stamp).collect()
            }
            Some(FieldValue::ToMany { .. }) => element_row(self.tx.row(&link_key(source, field, target))?)?
                .map(|row| row.additions.iter().map(|a| a.stamp).collect())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        stamps.retain(|s| !self.knows(s));
        stamps.sort_unstable();
        Ok(stamps)
    }

    /// A delete may name the edit-delete conflict of its record, or a relationship conflict about it.
    fn check_resolves_by_delete(&self, mutation: &RecordMutation) -> Attempt<()> {
        let Some(id) = mutation.resolves else { return Ok(()) };
        let fits = self.tx.conflict(id)?.is_some_and(|c| is_about_existence(&c.scope, &mutation.record));
        if fits { Ok(()) } else { Err(Refusal::ConflictNotFound { conflict: id }.into()) }
    }

    /// Whether a conflict is named and still to be decided.
    fn is_live(&self, named: Option<ConflictId>) -> Attempt<bool> {
        let Some(id) = named else { return Ok(false) };
        Ok(self.tx.conflict(id)?.is_some_and(|c| c.status.is_live()))
    }

    fn note_remaining(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        let Some(id) = mutation.resolves else { return Ok(()) };
        let conflict = self.live_conflict(id)?;
        if conflict.status.is_live() {
            let unseen = self.unseen(mutation, &conflict);
            self.settlement.remaining.push((id, unseen));
        }
        Ok(())
    }

    /// Closes the conflicts about the deleted record of which the author knew every side. It need not know another
    /// delete of the same record: the two agree.
    fn close_by_delete(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        for scope in self.scopes_about(mutation)? {
            let Some(live) = self.tx.scope(&scope)?.live else { continue };
            let conflict = self.live_conflict(live)?;
            let about_this = is_about_existence(&conflict.scope, &mutation.record);
            let agrees = |a: &Alternative| about_this && a.deletes();
            if !conflict.alternatives.iter().all(|a| self.knows(&a.stamp) || agrees(a)) {
                continue;
            }
            let seen = self.knew_opening(mutation, &conflict) && self.unseen(mutation, &conflict).is_empty();
            let decides = conflict.kind == ConflictKind::EditDelete || mutation.resolves == Some(live);
            self.close(conflict, if decides && seen { CloseReason::Resolved } else { CloseReason::Deleted })?;
        }
        self.note_remaining(mutation)
    }

    /// The places of conflicts about a record: its own, those of links to it, and that of the conflict named.
    fn scopes_about(&self, mutation: &RecordMutation) -> Attempt<Vec<Scope>> {
        let mut scopes = Vec::new();
        for key in self.tx.keys(&Prefix::ScopesOf(mutation.record.clone()))? {
            let Key::Scope(scope) = key else { continue };
            scopes.push(scope);
        }
        let target = &mutation.record;
        for (source, field) in self.backlinks(target)? {
            scopes.push(Scope { record: source, part: ScopePart::Link(field, target.clone()) });
        }
        if let Some(id) = mutation.resolves {
            // The link may be gone while its conflict is still there.
            scopes.push(self.live_conflict(id)?.scope);
        }
        self.tx.need_rows(scopes.iter().cloned().map(Key::Scope))?;
        Ok(scopes)
    }
}

/// The row of a link of a to-many field.
fn link_key(source: &RecordId, field: &FieldId, target: &RecordId) -> Key {
    Key::Element(source.clone(), field.clone(), Value::from(target.clone()).element_hash())
}

/// Whether a conflict in this place is about whether the record stays: an edit or a link against its deletion.
pub(super) fn is_about_existence(scope: &Scope, record: &RecordId) -> bool {
    match &scope.part {
        ScopePart::Record => scope.record == *record,
        ScopePart::Link(_, target) => target == record,
        ScopePart::Field(_) | ScopePart::Region(..) => false,
    }
}
