//! The states of fields, and how effects change them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::{FoldError, FoldedRecord};
use syncline_protocol::pb::field_state::State;
use syncline_protocol::pb::record_effect::Effect as Kind;
use syncline_protocol::pb::text_splice::Step;
use syncline_protocol::pb::{self};

/// A field's state. Links are kept also while their targets are deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum FoldedField {
    /// A register's value.
    Register(pb::Value),
    /// A text.
    Text(String),
    /// A counter's value.
    Counter(i64),
    /// A set's elements, by their encoding.
    Set(BTreeMap<Vec<u8>, pb::Value>),
    /// The record that a link to one record names, if any.
    Link(Option<String>),
    /// The records that a link to many records names.
    Links(BTreeSet<String>),
}

impl FoldedField {
    /// A field as a read or a snapshot shows it.
    pub(super) fn of(state: &State) -> FoldedField {
        match state {
            State::RegisterValue(value) => FoldedField::Register(value.clone()),
            State::Text(text) => FoldedField::Text(text.clone()),
            State::Counter(value) => FoldedField::Counter(*value),
            State::Elements(list) => {
                FoldedField::Set(list.values.iter().map(|v| (v.encode_to_vec(), v.clone())).collect())
            }
            State::Link(link) => FoldedField::Link(link.target_record_id.clone()),
            State::Links(links) => FoldedField::Links(links.record_ids.iter().cloned().collect()),
        }
    }

    /// The records that it links to.
    pub(super) fn targets(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            FoldedField::Link(target) => Box::new(target.as_deref().into_iter()),
            FoldedField::Links(targets) => Box::new(targets.iter().map(String::as_str)),
            FoldedField::Register(_)
            | FoldedField::Text(_)
            | FoldedField::Counter(_)
            | FoldedField::Set(_) => Box::new(std::iter::empty()),
        }
    }
}

impl FoldedRecord {
    /// Takes in an effect on a field.
    pub(super) fn change_field(&mut self, effect: &pb::RecordEffect, kind: &Kind) -> Result<(), FoldError> {
        let field_id = effect.field_id.as_ref().ok_or(FoldError::Incomplete { what: "an effect's field" })?;
        let fault = |why: Fault| {
            let (record_id, field_id) = (effect.record_id.clone(), field_id.clone());
            match why {
                Fault::Kind => FoldError::Kind { record_id, field_id },
                Fault::Same(now) => FoldError::SameElement { record_id, field_id, now },
                Fault::Text => FoldError::Text { record_id, field_id },
                Fault::Incomplete(what) => FoldError::Incomplete { what },
            }
        };
        let mut put = |state| self.fields.insert(field_id.clone(), state);
        match kind {
            Kind::RegisterChanged(changed) => {
                let value = changed.value.clone();
                put(FoldedField::Register(
                    value.ok_or(FoldError::Incomplete { what: "a register's value" })?,
                ));
            }
            Kind::LinkChanged(changed) => {
                put(FoldedField::Link(changed.target_record_id.clone()));
            }
            Kind::CounterChanged(changed) => {
                put(FoldedField::Counter(changed.value));
            }
            Kind::TextChanged(changed) => {
                let state = self.fields.entry(field_id.clone());
                let state = state.or_insert_with(|| FoldedField::Text(String::new()));
                let FoldedField::Text(text) = state else { return Err(fault(Fault::Kind)) };
                *text = spliced(text, &changed.splices).map_err(fault)?;
            }
            Kind::SetChanged(changed) => {
                let state = self.fields.entry(field_id.clone());
                let state = state.or_insert_with(|| FoldedField::Set(BTreeMap::new()));
                let FoldedField::Set(elements) = state else { return Err(fault(Fault::Kind)) };
                change_set(elements, changed).map_err(fault)?;
            }
            Kind::LinksChanged(changed) => {
                let state = self.fields.entry(field_id.clone());
                let state = state.or_insert_with(|| FoldedField::Links(BTreeSet::new()));
                let FoldedField::Links(targets) = state else { return Err(fault(Fault::Kind)) };
                change_links(targets, changed).map_err(fault)?;
            }
            Kind::RecordCreated(_) | Kind::RecordDeleted(_) | Kind::RecordRestored(_) => {}
        }
        Ok(())
    }
}

/// What is wrong with an effect on a field.
enum Fault {
    Kind,
    Same(&'static str),
    Text,
    Incomplete(&'static str),
}

fn change_links(targets: &mut BTreeSet<String>, changed: &pb::LinksChanged) -> Result<(), Fault> {
    for target in &changed.added_record_ids {
        if !targets.insert(target.clone()) {
            return Err(Fault::Same("added"));
        }
    }
    for target in &changed.removed_record_ids {
        if !targets.remove(target) {
            return Err(Fault::Same("removed"));
        }
    }
    Ok(())
}

fn change_set(elements: &mut BTreeMap<Vec<u8>, pb::Value>, changed: &pb::SetChanged) -> Result<(), Fault> {
    for value in &changed.added {
        if elements.insert(value.encode_to_vec(), value.clone()).is_some() {
            return Err(Fault::Same("added"));
        }
    }
    for value in &changed.removed {
        if elements.remove(&value.encode_to_vec()).is_none() {
            return Err(Fault::Same("removed"));
        }
    }
    Ok(())
}

/// A text after splices; what they keep and delete must be there.
fn spliced(text: &str, splices: &[pb::TextSplice]) -> Result<String, Fault> {
    let mut rest = text.chars();
    let mut result = String::with_capacity(text.len());
    for splice in splices {
        match splice.step.as_ref().ok_or(Fault::Incomplete("a splice's step"))? {
            Step::RetainCount(count) => {
                for _ in 0..*count {
                    result.push(rest.next().ok_or(Fault::Text)?);
                }
            }
            Step::InsertedText(insert) => result.push_str(insert),
            Step::DeletedText(delete) => {
                for expected in delete.chars() {
                    if rest.next() != Some(expected) {
                        return Err(Fault::Text);
                    }
                }
            }
        }
    }
    result.push_str(rest.as_str());
    Ok(result)
}
