//! What a client has confirmed: the fold of the feed's effects; and the same as the server's rows tell it.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::server::Shelf;
use crate::causality::Seq;
use crate::change::{Change, Effect, EffectKind, own_value};
use crate::conflict::ConflictSummary;
use crate::ids::{CollectionId, ConflictId, FieldId, RecordId};
use crate::merge::text::apply_splices;
use crate::sequencer::counter::counter_value;
use crate::state::{Existence, FieldValue, Key, Row};
use crate::value::Value;

pub(super) type Place = (RecordId, FieldId);

/// A field as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Value(Value),
    Text(String),
    Counter(i64),
    Set(BTreeSet<Value>),
}

/// A state without its causal bookkeeping.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Confirmed {
    /// Each record with whether it is alive.
    pub records: BTreeMap<RecordId, (CollectionId, bool)>,
    pub fields: BTreeMap<Place, Shown>,
    pub conflicts: BTreeMap<ConflictId, ConflictSummary>,
}

impl Confirmed {
    /// Applies a change. What does not fit is an error: a client could not go on either.
    pub(super) fn apply(&mut self, change: &Change) -> Check {
        change.effects.iter().try_for_each(|effect| self.apply_effect(change, effect))
    }

    /// Applies one effect of a change.
    pub(super) fn apply_effect(&mut self, change: &Change, effect: &Effect) -> Check {
        let record = || (effect.collection.clone(), true);
        match &effect.kind {
            EffectKind::RecordCreated | EffectKind::RecordRestored => {
                self.records.insert(effect.record.clone(), record());
            }
            EffectKind::RecordDeleted => {
                self.records.insert(effect.record.clone(), (effect.collection.clone(), false));
            }
            EffectKind::Existence => {}
            EffectKind::Conflict { summary, .. } => {
                self.conflicts.insert(summary.id, summary.clone());
            }
            _ => return self.apply_to_field(change, effect),
        }
        Ok(())
    }

    fn apply_to_field(&mut self, change: &Change, effect: &Effect) -> Check {
        let field = effect.field.clone().ok_or("a field's effect without a field")?;
        let place = (effect.record.clone(), field);
        let shown = match &effect.kind {
            EffectKind::Register { value } => {
                let mutation = change.mutation_of(effect).ok_or("no mutation")?;
                let value = value.clone().or_else(|| own_value(mutation));
                Shown::Value(value.ok_or("a register's effect without a value")?)
            }
            EffectKind::Link { target } => Shown::Value(target.clone().map_or(Value::Null, Value::from)),
            EffectKind::Counter { value, .. } => Shown::Counter(*value),
            EffectKind::Text { splices, .. } => {
                let before = self.text(&place);
                Shown::Text(
                    apply_splices(before, splices).map_err(|e| format!("effect of {}: {e}", change.seq))?,
                )
            }
            EffectKind::Set { added, removed } => Shown::Set(self.changed_set(
                change.seq,
                &place,
                added.iter().cloned(),
                removed.iter().cloned(),
            )?),
            EffectKind::Links { added, removed } => {
                let values =
                    |targets: &[RecordId]| targets.iter().cloned().map(Value::from).collect::<Vec<_>>();
                Shown::Set(self.changed_set(change.seq, &place, values(added), values(removed))?)
            }
            _ => return Err("not an effect on a field".to_owned()),
        };
        self.fields.insert(place, shown);
        Ok(())
    }

    /// A set, or the targets of a to-many field, after a change.
    fn changed_set(
        &mut self,
        seq: Seq,
        place: &Place,
        added: impl IntoIterator<Item = Value>,
        removed: impl IntoIterator<Item = Value>,
    ) -> Result<BTreeSet<Value>, String> {
        let mut set = match self.fields.remove(place) {
            Some(Shown::Set(set)) => set,
            _ => BTreeSet::new(),
        };
        for value in removed {
            if !set.remove(&value) {
                return Err(format!("change {seq} removes {value:?}, which is not there"));
            }
        }
        for value in added {
            if !set.insert(value.clone()) {
                return Err(format!("change {seq} adds {value:?} again"));
            }
        }
        Ok(set)
    }

    pub(super) fn text(&self, place: &Place) -> &str {
        match self.fields.get(place) {
            Some(Shown::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn is_alive(&self, record: &RecordId) -> bool {
        self.records.get(record).is_some_and(|(_, alive)| *alive)
    }

    /// The state that a store's rows tell.
    pub(super) fn of_rows(shelf: &Shelf) -> Confirmed {
        let mut state = Confirmed::default();
        for (key, row) in &shelf.rows {
            match (key, &**row) {
                (Key::Record(id), Row::Record(row)) if !matches!(row.existence, Existence::Phantom(_)) => {
                    let alive = row.existence == Existence::Alive;
                    state.records.insert(id.clone(), (row.collection.clone(), alive));
                }
                (Key::Field(record, field), Row::Field(row)) => {
                    let place = (record.clone(), field.clone());
                    let shown = match &row.value {
                        FieldValue::Register(heads) | FieldValue::ToOne(heads) => {
                            Shown::Value(heads.first().map_or(Value::Null, |h| h.value.clone()))
                        }
                        FieldValue::Text(text) => Shown::Text(text.clone()),
                        FieldValue::Counter(heads) => {
                            Shown::Counter(counter_value(heads).unwrap_or(i64::MIN))
                        }
                        FieldValue::Set { .. } | FieldValue::ToMany { .. } => Shown::Set(BTreeSet::new()),
                    };
                    state.fields.insert(place, shown);
                }
                (Key::Element(record, field, _), Row::Element(element)) => {
                    // Elements sort after fields, so the set is there already.
                    if let Some(Shown::Set(set)) = state.fields.get_mut(&(record.clone(), field.clone())) {
                        set.insert(element.value.clone());
                    }
                }
                (Key::Conflict(id), Row::Conflict(conflict)) => {
                    state.conflicts.insert(*id, conflict.summary());
                }
                _ => {}
            }
        }
        state
    }

    /// The first difference, in words.
    pub(super) fn same_as(&self, other: &Confirmed, what: &str) -> Check {
        let differs = |a: String, b: String| Err(format!("{what}: {a}\nagainst: {b}"));
        if self.records != other.records {
            return differs(format!("{:?}", self.records), format!("{:?}", other.records));
        }
        for place in self.fields.keys().chain(other.fields.keys()) {
            if self.fields.get(place) != other.fields.get(place) {
                return differs(
                    format!("{place:?} = {:?}", self.fields.get(place)),
                    format!("{:?}", other.fields.get(place)),
                );
            }
        }
        for id in self.conflicts.keys().chain(other.conflicts.keys()) {
            if self.conflicts.get(id) != other.conflicts.get(id) {
                return differs(
                    format!("{:?}", self.conflicts.get(id)),
                    format!("{:?}", other.conflicts.get(id)),
                );
            }
        }
        Ok(())
    }
}
