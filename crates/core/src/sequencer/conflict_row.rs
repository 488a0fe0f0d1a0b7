//! Writing conflicts: the row with its context, its events, and what the feed says of it.

use super::conflict::Contender;
use super::settle::Settling;
use crate::causality::Seq;
use crate::change::{Change, Effect, EffectKind};
use crate::conflict::ConflictEventKind;
use crate::conflict::{
    Alternative, AlternativeState, CloseReason, Closing, Conflict, ConflictEvent, ConflictKind,
    ConflictStatus, Cut, Scope, ScopePart, beginning,
};
use crate::ids::{ConflictId, FieldId, RecordId};
use crate::limits::{CONFLICT_EVENTS_MAX, CONFLICT_SIDES_BYTES_MAX, CONFLICT_SIDES_MAX};
use crate::operation::{Mutation, RecordMutation};
use crate::refusal::Refusal;
use crate::schema::Provisional;
use crate::state::{Attempt, FieldValue, Key, Prefix, Row, ScopeRow};
use crate::unknown::Unknown;
use crate::value::Value;

impl Settling<'_, '_> {
    /// A conflict about to open.
    pub(super) fn new_conflict(
        &mut self,
        mutation: &RecordMutation,
        scope: Scope,
        kind: ConflictKind,
        alternatives: Vec<Alternative>,
        parent: Option<ConflictId>,
        (base, base_exact): (Option<Value>, bool),
    ) -> Attempt<Conflict> {
        let id = ConflictId { opened_seq: self.stamp.seq, index: self.next_conflict };
        self.next_conflict += 1;
        // Not the mutation's collection: a delete clashes with links that other records hold.
        let of_record = self.tx.record(&scope.record)?.map(|r| r.collection.clone());
        Ok(Conflict {
            id,
            kind,
            record_at_opening: self.record_for_people(&scope.record)?,
            collection: of_record.unwrap_or_else(|| mutation.collection.clone()),
            scope,
            status: ConflictStatus::Open,
            revision: 0,
            opened_at_ms: self.now_ms,
            parent,
            provisional: Provisional::Incumbent,
            base,
            base_exact,
            alternatives,
            region: None,
            pairs: Vec::new(),
            assignee: "".into(),
            remind_at_ms: None,
            defer_count: 0,
            closing: None,
            events: Vec::new(),
            unknown: Unknown::NONE,
        })
    }

    /// Ends a conflict.
    pub(super) fn close(&mut self, mut conflict: Conflict, reason: CloseReason) -> Attempt<()> {
        self.forget_region(&mut conflict)?;
        self.close_in_place(conflict, reason)
    }

    /// Ends a conflict; the field's row is written by the caller.
    pub(super) fn close_in_place(&mut self, mut conflict: Conflict, reason: CloseReason) -> Attempt<()> {
        conflict.status = reason.status();
        conflict.closing = Some(Closing { seq: self.stamp.seq, at_ms: self.now_ms, reason });
        if let Some(at) = conflict.remind_at_ms.take() {
            self.tx.delete(Key::Reminder(at, conflict.id));
        }
        self.save(conflict, ConflictEventKind::Closed, reason.name())
    }

    /// Writes a changed conflict with its event, and adds the effect for the feed.
    pub(super) fn save(
        &mut self,
        mut conflict: Conflict,
        event: ConflictEventKind,
        detail: &str,
    ) -> Attempt<()> {
        self.check_sides(&conflict)?;
        conflict.revision += 1;
        let event_now = ConflictEvent {
            kind: event,
            seq: self.stamp.seq,
            at_ms: self.now_ms,
            actor: self.operation.actor.clone(),
            revision: conflict.revision,
            status: conflict.status,
            detail: detail.to_owned(),
            unknown: Unknown::NONE,
        };
        let sides_go_on = conflict.goes_on();
        match conflict.events.last_mut() {
            // Somebody goes on typing: one event that moves on, whose place in the order is that of the last letter.
            Some(last) if sides_go_on && last.goes_on_as(&event_now) => {
                *last = event_now;
            }
            _ => conflict.events.push(event_now),
        }
        forget_old_events(&mut conflict.events);
        let places = ScopeRow {
            live: conflict.status.is_live().then_some(conflict.id),
            last: Some(conflict.id),
            ..self.tx.scope(&conflict.scope)?
        };
        self.tx.put(Key::Scope(conflict.scope.clone()), Row::Scope(places));
        self.effects.push(Effect {
            collection: conflict.collection.clone(),
            record: conflict.scope.record.clone(),
            field: None,
            mutation_index: self.mutation_index(),
            previous_seq: Seq::START,
            kind: EffectKind::Conflict { event, summary: conflict.summary() },
        });
        self.tx.put(Key::Conflict(conflict.id), Row::Conflict(Box::new(conflict)));
        Ok(())
    }

    /// Refuses what would make a conflict larger than it may be. What makes it smaller, or leaves it as it is, goes on.
    fn check_sides(&self, conflict: &Conflict) -> Attempt<()> {
        let limits = [
            (sides(conflict), self.tx.conflict(conflict.id)?.map_or(0, sides), CONFLICT_SIDES_MAX),
            (weight(conflict), self.tx.conflict(conflict.id)?.map_or(0, weight), CONFLICT_SIDES_BYTES_MAX),
        ];
        match limits.into_iter().find(|(now, before, limit)| now > limit && now > before) {
            Some((_, _, limit)) => {
                let record = conflict.scope.record.clone();
                Err(Refusal::TooManySides { record, limit: limit as u64 }.into())
            }
            None => Ok(()),
        }
    }

    /// This operation's side of a conflict.
    pub(super) fn my_alternative(
        &self,
        mutation: &RecordMutation,
        mine: &Contender,
        state: AlternativeState,
    ) -> Alternative {
        let (value, cut) = kept(mine.value.clone());
        Alternative {
            stamp: self.stamp,
            rank: mine.rank,
            state,
            value,
            cut,
            suppressed_by: None,
            action: Some(mutation.action.kind()),
            dot: self.dot,
            actor: self.operation.actor.clone(),
            correlation_id: self.operation.correlation_id.clone(),
            client_time_ms: self.operation.client_time_ms,
            committed_at_ms: self.now_ms,
            author: self.author.clone(),
            context: self.context.clone(),
            siblings: siblings(&self.operation.mutations, mutation),
            unknown: Unknown::NONE,
        }
    }

    /// The side of an operation that settled before this one.
    pub(super) fn alternative_of(&self, other: &Contender, scope: &Scope) -> Attempt<Alternative> {
        let change = self.tx.change(other.stamp.seq)?;
        // Of the two sides of a link's conflict, the one that offers no value is the delete.
        let mutation = mutation_on(&change, scope, other.value.is_none());
        let (value, cut) = kept(other.value.clone());
        Ok(Alternative {
            stamp: other.stamp,
            rank: other.rank,
            state: AlternativeState::Head,
            value,
            cut,
            suppressed_by: None,
            action: mutation.map(|m| m.action.kind()),
            dot: change.dot,
            actor: change.actor.clone(),
            correlation_id: change.correlation_id.clone(),
            client_time_ms: change.client_time_ms,
            committed_at_ms: change.committed_at_ms,
            author: change.author.clone(),
            context: change.context.clone(),
            siblings: mutation.map(|m| siblings(&change.mutations, m)).unwrap_or_default(),
            unknown: Unknown::NONE,
        })
    }

    /// The record's fields as people read them.
    fn record_for_people(&self, record: &RecordId) -> Attempt<Vec<(FieldId, Value)>> {
        let mut fields = Vec::new();
        for key in self.tx.keys(&Prefix::FieldsOf(record.clone()))? {
            let Key::Field(_, field) = key else { continue };
            let Some(row) = self.tx.field(record, &field)? else { continue };
            let value = match &row.value {
                FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                    heads.first().map_or(Value::Null, |h| h.value.clone())
                }
                FieldValue::Text(text) => Value::string(text.as_str()),
                FieldValue::Counter(heads) => {
                    super::counter::counter_value(heads).map_or(Value::Null, Value::Int)
                }
                FieldValue::Set { .. } | FieldValue::ToMany { .. } => {
                    Value::List(self.elements(record, &field)?)
                }
            };
            fields.push((field, beginning(value).0));
        }
        Ok(fields)
    }
}

/// The mutation of a change that touched a place.
fn mutation_on<'c>(change: &'c Change, scope: &Scope, deletes: bool) -> Option<&'c RecordMutation> {
    let effect = match &scope.part {
        ScopePart::Record => change
            .effect_on_existence(&scope.record)
            .or_else(|| change.effects.iter().find(|e| e.record == scope.record)),
        ScopePart::Field(field) | ScopePart::Region(field, _) => change.effect_on(&scope.record, field),
        ScopePart::Link(_, target) if deletes => change.effect_on_existence(target),
        ScopePart::Link(field, target) => {
            change.effect_on(&scope.record, field).or_else(|| change.effect_on_existence(target))
        }
    }?;
    change.mutation_of(effect)
}

/// The other mutations of an operation, in words.
fn siblings(mutations: &[Mutation], of: &RecordMutation) -> Vec<String> {
    mutations
        .iter()
        .filter_map(Mutation::on_record)
        .filter(|m| *m != of)
        .take(20)
        .map(|m| match m.action.field() {
            Some(field) => format!("{} {}.{field}", m.action.name(), m.record),
            None => format!("{} {}", m.action.name(), m.record),
        })
        .collect()
}

/// What a conflict keeps of the value that a side offers.
fn sides(conflict: &Conflict) -> usize {
    conflict.alternatives.len()
}

fn weight(conflict: &Conflict) -> usize {
    let values = conflict.alternatives.iter().filter_map(|side| side.value.as_ref());
    values.map(Value::weight_bytes).sum()
}

/// Drops the oldest events beyond those that a conflict keeps; what opened it, and opened it again, stays.
fn forget_old_events(events: &mut Vec<ConflictEvent>) {
    if events.len() <= CONFLICT_EVENTS_MAX {
        return;
    }
    let opens =
        |event: &ConflictEvent| matches!(event.kind, ConflictEventKind::Opened | ConflictEventKind::Reopened);
    if let Some(oldest) = events.iter().position(|event| !opens(event)) {
        events.remove(oldest);
    }
}

fn kept(value: Option<Value>) -> (Option<Value>, Option<Cut>) {
    match value.map(beginning) {
        Some((value, cut)) => (Some(value), cut),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::CONFLICT_VALUE_BYTES_MAX;

    /// A text around the limit, of characters of one to four bytes.
    fn texts() -> impl Strategy<Value = String> {
        let character = prop_oneof![Just('x'), Just('é'), Just('漢'), Just('🦊')];
        (character, 0..8_usize, "[ab]{0,2}").prop_map(|(character, beyond, end)| {
            let count = (CONFLICT_VALUE_BYTES_MAX - 4) / character.len_utf8() + beyond;
            format!("{}{end}", character.to_string().repeat(count))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_kept_of_two_values_is_equal_only_if_they_are(one in texts(), two in texts()) {
            let [first, second] = [&one, &two].map(|text| kept(Some(Value::string(text.as_str()))));
            prop_assert_eq!(first == second, one == two);
            let (Some(Value::String(first)), cut) = first else { panic!("it is a text") };
            prop_assert!(one.starts_with(&*first) && first.len() <= CONFLICT_VALUE_BYTES_MAX);
            prop_assert_eq!(cut.map(|cut| cut.whole_bytes), (one.len() > first.len()).then_some(one.len() as u64));
        }
    }
}
