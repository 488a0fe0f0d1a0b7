//! Recording clashes: opening conflicts, adding alternatives, advancing and closing them.
//!
//! A conflict is sticky. It closes only by a resolution whose author knew its opening and every alternative, by
//! convergence of its values, by a delete that knew all of it, or (where the schema says so) by a plain write that
//! knew all of it. Nothing ever drops an alternative otherwise.

use super::super::causality::{Seq, Stamp};
use super::super::change::{Change, ConflictEventKind, Effect, EffectKind};
use super::super::conflict::{
    Alternative, AlternativeHunk, AlternativeState, CloseReason, Closing, Conflict, ConflictEvent, ConflictKind,
    ConflictStatus, Scope, ScopePart,
};
use super::super::ids::{ConflictId, FieldId, RecordId};
use super::super::mutants::{Mutant, active};
use super::super::operation::Mutation;
use super::super::refusal::Refusal;
use super::super::schema::{Field, OnClash, OnDominate};
use super::super::state::{FieldValue, Key, Prefix, Row, ScopeRow, Step};
use super::super::value::Value;
use super::settle::Settling;

/// A writer that takes part in a clash.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub stamp: Stamp,
    pub rank: Seq,
    pub value: Option<Value>,
}

/// A write to a place that can be in conflict.
pub(super) struct Clash {
    pub scope: Scope,
    pub kind: ConflictKind,
    pub spec: Field,
    pub mine: Contender,
    /// Concurrent writers with another value.
    pub against: Vec<Contender>,
    /// Writers the author knew and now overwrites.
    pub dominated: Vec<Stamp>,
    /// Where the field stood: start of the search for the base value.
    pub last_seq: Seq,
}

impl Settling<'_, '_> {
    /// Records what a write of a register, counter base or to-one link means for the conflict of its place.
    pub(super) fn record_clash(&mut self, mutation: &Mutation, clash: Clash) -> Step<()> {
        self.note_pairs(&clash.scope, &clash.against);
        let resolves = self.resolved_conflict(mutation, &clash.scope)?;
        let places = self.tx.scope(&clash.scope)?;
        let Some(live) = places.live.filter(|_| !active(Mutant::SecondLiveConflict)) else {
            return self.open_if_clashing(mutation, clash, places, resolves);
        };
        let mut conflict = self.live_conflict(live)?;
        add_pairs(&mut conflict, &clash.against, self.stamp.seq);
        if resolves == Some(live) && self.knew_opening(&conflict) {
            return self.resolve(mutation, conflict, clash, places);
        }
        if resolves == Some(live) {
            let unseen = conflict.alternatives.iter().map(|a| a.stamp.seq).collect();
            self.settlement.remaining.push((live, unseen));
        }
        self.write_in_conflict(mutation, conflict, clash)
    }

    fn note_pairs(&mut self, scope: &Scope, against: &[Contender]) {
        for other in against {
            self.pairs.push((scope.clone(), other.stamp.seq));
        }
    }

    /// The conflict a mutation resolves, checked to be about this place.
    pub(super) fn resolved_conflict(&self, mutation: &Mutation, scope: &Scope) -> Step<Option<ConflictId>> {
        let Some(id) = mutation.resolves else { return Ok(None) };
        match self.tx.conflict(id)? {
            Some(conflict) if conflict.scope == *scope => Ok(Some(id)),
            _ => Err(Refusal::ConflictNotFound { conflict: id }.into()),
        }
    }

    pub(super) fn live_conflict(&self, id: ConflictId) -> Step<Conflict> {
        match self.tx.conflict(id)? {
            Some(conflict) => Ok(conflict.clone()),
            None => Err(Refusal::Inconsistent { detail: format!("live conflict {id} is missing") }.into()),
        }
    }

    pub(super) fn knew_opening(&self, conflict: &Conflict) -> bool {
        conflict.id.opened_seq <= self.author.base_seq || conflict.id.opened_seq == self.stamp.seq
    }

    /// Positions of the alternatives that the author had not seen.
    pub(super) fn unseen(&self, conflict: &Conflict) -> Vec<Seq> {
        if active(Mutant::CloseUnseen) {
            return Vec::new();
        }
        let mut unseen: Vec<Seq> =
            conflict.alternatives.iter().filter(|a| !self.knows(&a.stamp)).map(|a| a.stamp.seq).collect();
        unseen.dedup();
        unseen
    }

    fn open_if_clashing(
        &mut self,
        mutation: &Mutation,
        clash: Clash,
        places: ScopeRow,
        resolves: Option<ConflictId>,
    ) -> Step<()> {
        if clash.against.is_empty() {
            return Ok(());
        }
        let mut alternatives = Vec::with_capacity(clash.against.len() + 1);
        for other in &clash.against {
            alternatives.push(self.alternative_of(other, &clash.scope)?);
        }
        alternatives.push(self.my_alternative(mutation, &clash.mine, AlternativeState::Head, None));
        let other_seq = clash.against.first().map_or(0, |c| c.stamp.seq);
        let (base, base_exact) = match clash.scope.field() {
            Some(field) => self.register_base(&clash.scope.record, field, clash.last_seq, other_seq)?,
            None => (None, true),
        };
        let parent = match resolves {
            Some(closed) => Some(closed),
            None => self.parent_of(places)?,
        };
        let mut conflict =
            self.new_conflict(mutation, clash.scope, clash.kind, alternatives, parent, (base, base_exact))?;
        conflict.provisional = clash.spec.provisional;
        add_pairs(&mut conflict, &clash.against, self.stamp.seq);
        if clash.spec.on_clash == OnClash::Settle {
            self.settlement.merged = true;
            return self.close(conflict, CloseReason::Policy);
        }
        self.settlement.conflicts.push(conflict.id);
        self.save(conflict, ConflictEventKind::Opened, "concurrent and different")
    }

    /// A new conflict follows the last one of its place if its author had not seen that one close.
    pub(super) fn parent_of(&self, places: ScopeRow) -> Step<Option<ConflictId>> {
        let Some(last) = places.last else { return Ok(None) };
        let closed_seq = self.tx.conflict(last)?.and_then(|c| c.closing).map(|c| c.seq);
        Ok(closed_seq.filter(|seq| *seq > self.author.base_seq).map(|_| last))
    }

    /// A resolution by someone who knew the opening: closes, or leaves what was not seen.
    fn resolve(&mut self, mutation: &Mutation, mut conflict: Conflict, clash: Clash, places: ScopeRow) -> Step<()> {
        let unseen = self.unseen(&conflict);
        if unseen.is_empty() {
            let id = conflict.id;
            self.close(conflict, CloseReason::Resolved)?;
            // A head with an equal value may have stayed out of the alternatives: against it this is a new clash.
            return self.open_if_clashing(mutation, clash, ScopeRow { live: None, ..places }, Some(id));
        }
        conflict.alternatives.retain(|a| unseen.contains(&a.stamp.seq));
        let mine = self.my_alternative(mutation, &clash.mine, AlternativeState::Head, None);
        conflict.alternatives.push(mine);
        self.settlement.remaining.push((conflict.id, unseen));
        self.settlement.conflicts.push(conflict.id);
        self.save_or_converge(conflict, "a resolution had not seen everything")
    }

    /// A plain write to a place in conflict.
    fn write_in_conflict(&mut self, mutation: &Mutation, mut conflict: Conflict, clash: Clash) -> Step<()> {
        if clash.spec.on_dominate == OnDominate::Supersede
            && clash.against.is_empty()
            && self.unseen(&conflict).is_empty()
        {
            return self.close(conflict, CloseReason::Superseded);
        }
        let advancing: Vec<usize> = (0..conflict.alternatives.len())
            .filter(|i| {
                let a = &conflict.alternatives[*i];
                a.state == AlternativeState::Head && clash.dominated.contains(&a.stamp)
            })
            .collect();
        let mine = self.my_alternative(mutation, &clash.mine, AlternativeState::Head, None);
        let changed = !advancing.is_empty() || !clash.against.is_empty();
        if let Some(star) = advancing.iter().copied().min_by_key(|i| conflict.alternatives[*i].rank) {
            for i in &advancing {
                conflict.alternatives[*i].state = AlternativeState::Shadow;
            }
            conflict.alternatives.remove(star);
            if active(Mutant::ForgetShadows) {
                conflict.alternatives.retain(|a| a.state != AlternativeState::Shadow);
            }
            conflict.alternatives.push(mine);
        } else if !clash.against.is_empty() {
            conflict.alternatives.push(mine);
        }
        for other in &clash.against {
            if !conflict.alternatives.iter().any(|a| a.stamp == other.stamp) {
                conflict.alternatives.push(self.alternative_of(other, &clash.scope)?);
            }
        }
        if !changed {
            return Ok(());
        }
        if !clash.against.is_empty() {
            self.settlement.conflicts.push(conflict.id);
            reawaken(&mut conflict);
        }
        self.save_or_converge(conflict, "written to while in conflict")
    }

    /// Saves a changed conflict; where all its values have become equal, it is over.
    fn save_or_converge(&mut self, conflict: Conflict, detail: &str) -> Step<()> {
        let mut values = conflict.alternatives.iter().map(|a| &a.value);
        let first = values.next();
        if values.all(|v| Some(v) == first) {
            return self.close(conflict, CloseReason::Converged);
        }
        self.save(conflict, ConflictEventKind::Changed, detail)
    }

    /// A conflict about to open.
    pub(super) fn new_conflict(
        &mut self,
        mutation: &Mutation,
        scope: Scope,
        kind: ConflictKind,
        alternatives: Vec<Alternative>,
        parent: Option<ConflictId>,
        (base, base_exact): (Option<Value>, bool),
    ) -> Step<Conflict> {
        let id = ConflictId { opened_seq: self.stamp.seq, index: self.next_conflict };
        self.next_conflict += 1;
        Ok(Conflict {
            id,
            kind,
            record_at_opening: self.record_for_people(&scope.record)?,
            collection: mutation.collection.clone(),
            scope,
            status: ConflictStatus::Open,
            revision: 0,
            opened_at_ms: self.now_ms,
            parent,
            provisional: super::super::schema::Provisional::Incumbent,
            base,
            base_exact,
            alternatives,
            pairs: Vec::new(),
            assignee: "".into(),
            remind_at_ms: None,
            defer_count: 0,
            closing: None,
            events: Vec::new(),
        })
    }

    /// Ends a conflict.
    pub(super) fn close(&mut self, mut conflict: Conflict, reason: CloseReason) -> Step<()> {
        conflict.status = reason.status();
        conflict.closing = Some(Closing { seq: self.stamp.seq, at_ms: self.now_ms, reason });
        if let Some(at) = conflict.remind_at_ms.take() {
            self.tx.delete(Key::Reminder(at, conflict.id));
        }
        self.save(conflict, ConflictEventKind::Closed, reason.name())
    }

    /// Writes a changed conflict with its event, and says so in the feed.
    pub(super) fn save(&mut self, mut conflict: Conflict, event: ConflictEventKind, detail: &str) -> Step<()> {
        conflict.revision += 1;
        conflict.events.push(ConflictEvent {
            kind: event,
            seq: self.stamp.seq,
            at_ms: self.now_ms,
            actor: self.operation.actor.clone(),
            revision: conflict.revision,
            status: conflict.status,
            detail: detail.to_owned(),
        });
        let places = ScopeRow {
            live: conflict.status.is_live().then_some(conflict.id),
            last: Some(conflict.id),
        };
        self.tx.put(Key::Scope(conflict.scope.clone()), Row::Scope(places));
        self.effects.push(Effect {
            collection: conflict.collection.clone(),
            record: conflict.scope.record.clone(),
            field: None,
            mutation_index: self.mutation_index(),
            previous_seq: 0,
            kind: EffectKind::Conflict { event, summary: conflict.summary() },
        });
        self.tx.put(Key::Conflict(conflict.id), Row::Conflict(Box::new(conflict)));
        Ok(())
    }

    /// This operation's side of a conflict.
    pub(super) fn my_alternative(
        &self,
        mutation: &Mutation,
        mine: &Contender,
        state: AlternativeState,
        hunk: Option<AlternativeHunk>,
    ) -> Alternative {
        Alternative {
            stamp: self.stamp,
            rank: mine.rank,
            state,
            value: mine.value.clone().map(cut),
            hunk,
            action: mutation.action.name().into(),
            dot: self.dot,
            actor: self.operation.actor.clone(),
            correlation_id: self.operation.correlation_id.clone(),
            client_time_ms: self.operation.client_time_ms,
            committed_at_ms: self.now_ms,
            author: self.author.clone(),
            context: self.context.clone(),
            siblings: siblings(&self.operation.mutations, mutation),
        }
    }

    /// The side of an operation that had its place before.
    pub(super) fn alternative_of(&self, other: &Contender, scope: &Scope) -> Step<Alternative> {
        let change = self.tx.change(other.stamp.seq)?;
        let mutation = mutation_on(&change, scope);
        Ok(Alternative {
            stamp: other.stamp,
            rank: other.rank,
            state: AlternativeState::Head,
            value: other.value.clone().map(cut),
            hunk: None,
            action: mutation.map_or("", |m| m.action.name()).into(),
            dot: change.dot,
            actor: change.actor.clone(),
            correlation_id: change.correlation_id.clone(),
            client_time_ms: change.client_time_ms,
            committed_at_ms: change.committed_at_ms,
            author: change.author.clone(),
            context: change.context.clone(),
            siblings: mutation.map(|m| siblings(&change.mutations, m)).unwrap_or_default(),
        })
    }

    /// The record's fields as people read them.
    fn record_for_people(&self, record: &RecordId) -> Step<Vec<(FieldId, Value)>> {
        let mut fields = Vec::new();
        for key in self.tx.keys(&Prefix::FieldsOf(record.clone()))? {
            let Key::Field(_, field) = key else { continue };
            let Some(row) = self.tx.field(record, &field)? else { continue };
            let value = match &row.value {
                FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                    heads.first().map_or(Value::Null, |h| h.value.clone())
                }
                FieldValue::Text(text) => Value::string(text.as_str()),
                FieldValue::Counter(heads) => super::counter::counter_value(heads).map_or(Value::Null, Value::Int),
                FieldValue::Set { .. } | FieldValue::ToMany { .. } => Value::List(self.elements(record, &field)?),
            };
            fields.push((field, cut(value)));
        }
        Ok(fields)
    }
}

/// A clash wakes a conflict that was put aside: whoever did so had not seen it.
pub(super) fn reawaken(conflict: &mut Conflict) {
    if conflict.status == ConflictStatus::Deferred {
        conflict.status = ConflictStatus::Open;
    }
}

/// Records clashing pairs, each once.
pub(super) fn add_pairs(conflict: &mut Conflict, against: &[Contender], seq: Seq) {
    for other in against {
        let pair = (other.stamp.seq, seq);
        if !conflict.pairs.contains(&pair) {
            conflict.pairs.push(pair);
        }
    }
}

/// The mutation of a change that touched a place.
fn mutation_on<'c>(change: &'c Change, scope: &Scope) -> Option<&'c Mutation> {
    let effect = match &scope.part {
        ScopePart::Record => change
            .effect_on_existence(&scope.record)
            .or_else(|| change.effects.iter().find(|e| e.record == scope.record)),
        ScopePart::Field(field) => change.effect_on(&scope.record, field),
        ScopePart::Link(field, target) => {
            change.effect_on(&scope.record, field).or_else(|| change.effect_on_existence(target))
        }
    }?;
    change.mutations.get(usize::from(effect.mutation_index))
}

/// The other mutations of an operation, in words.
fn siblings(mutations: &[Mutation], of: &Mutation) -> Vec<String> {
    mutations
        .iter()
        .filter(|m| *m != of && !m.record.is_empty())
        .take(20)
        .map(|m| match m.action.field() {
            Some(field) => format!("{} {}.{field}", m.action.name(), m.record),
            None => format!("{} {}", m.action.name(), m.record),
        })
        .collect()
}

/// A value short enough to keep in a conflict.
fn cut(value: Value) -> Value {
    use super::super::limits::CONFLICT_VALUE_BYTES_MAX;
    match value {
        Value::String(text) if text.len() > CONFLICT_VALUE_BYTES_MAX => {
            let end = (0..=CONFLICT_VALUE_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            Value::string(&text[..end])
        }
        other => other,
    }
}
