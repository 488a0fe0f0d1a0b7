//! Records that are created in the place of deleted ones.

use super::desk::RuleFixture;
use super::lifecycle::now;
use super::script::{mutation, set};
use super::{Check, ensure};
use crate::causality::Seq;
use crate::merge::text::Hunk;
use crate::operation::{Action, Mutation};
use crate::refusal::Refusal;
use crate::state::{Existence, FieldValue, Key, Row};
use crate::value::Value;

/// A record created in the place of a deleted one has its initial values and nothing of what was there, its conflicts stay
/// closed, and whoever did not know the deletion still meets it.
pub(super) fn check_replacing_deleted() -> Check {
    let mut desk = RuleFixture::new()?;
    let create = |replace_deleted| {
        let fields = vec![("plain".into(), Value::Int(5))];
        vec![mutation("r0", Action::Create { fields, replace_deleted })]
    };
    desk.settle(1, Seq(1), create_in_all_kinds("r0"))?;
    desk.settle(2, Seq(1), vec![set("r0", "settled", 7), set("r0", "plain", 7)])?;
    let clash = desk.conflict("r0", "plain")?.id;
    let exists = desk.reject(1, desk.head(), create(true))?;
    ensure!(matches!(exists, Refusal::RecordExists { .. }), "while it is there: {exists:?}");
    desk.settle(3, desk.head(), vec![mutation("r0", Action::Delete)])?;
    let deleted = desk.head();
    let refused = desk.reject(1, deleted, create(false))?;
    ensure!(matches!(refused, Refusal::RecordDeleted { .. }), "without leave: {refused:?}");
    desk.settle(3, deleted, create(true))?;
    let alive = matches!(
        desk.row(&Key::Record("r0".into())),
        Some(Row::Record(row)) if row.existence == Existence::Alive
    );
    ensure!(alive && !now(&desk, clash)?.status.is_live(), "there again, without its conflicts");
    ensure!(desk.text("r0", "text").is_empty(), "its text: {:?}", desk.text("r0", "text"));
    for (field, wanted) in [("plain", Value::Int(5)), ("settled", Value::Null), ("one", Value::Null)] {
        let shown = match desk.field("r0", field) {
            Some(FieldValue::Register(heads) | FieldValue::ToOne(heads)) => heads.clone(),
            other => return Err(format!("{field} is {other:?}")),
        };
        ensure!(shown.len() == 1 && shown[0].value == wanted, "{field}: {shown:?}");
    }
    for field in ["tags", "many"] {
        let members = desk.field("r0", field);
        let is_empty =
            matches!(members, Some(FieldValue::Set { count: 0 } | FieldValue::ToMany { count: 0 }));
        ensure!(is_empty, "{field}: {members:?}");
    }
    match desk.field("r0", "count") {
        Some(FieldValue::Counter(heads)) => {
            ensure!(heads.iter().map(|h| h.value + h.increments).eq([0]), "counter: {heads:?}");
        }
        other => return Err(format!("count is {other:?}")),
    }
    // A device that had seen neither still writes into the record as it knew it.
    desk.settle(4, Seq(3), vec![set("r0", "plain", 1)])?;
    ensure!(desk.conflict("r0", "plain").is_ok(), "an old device's write went unnoticed");
    Ok(())
}

/// Writes of every kind of field.
fn create_in_all_kinds(record: &str) -> Vec<Mutation> {
    let on = |action| mutation(record, action);
    let insert = Hunk { pos: 0, del: 0, ins: "words".to_owned() };
    vec![
        set(record, "plain", 1),
        set(record, "settled", 1),
        on(Action::EditText { field: "text".into(), hunks: vec![insert] }),
        on(Action::Increment { field: "count".into(), by: 3 }),
        on(Action::AddElements { field: "tags".into(), elements: vec![Value::Int(1), Value::Int(2)] }),
        on(Action::Link { field: "one".into(), target: record.into() }),
        on(Action::Link { field: "many".into(), target: record.into() }),
    ]
}
