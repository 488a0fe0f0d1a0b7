//! Equal numbers are one value, however they are written.

use super::desk::RuleFixture;
use super::script::mutation;
use super::{Check, ensure};
use crate::causality::Seq;
use crate::change::EffectKind;
use crate::conflict::ScopePart;
use crate::operation::{Action, Mutation};
use crate::state::{FieldValue, Key, Row};
use crate::value::Value;

fn double(number: f64) -> Value {
    Value::DoubleBits(number.to_bits())
}

fn time(seconds: i64) -> Value {
    Value::Timestamp { seconds, nanos: 0 }
}

fn set(field: &str, value: Value) -> Mutation {
    mutation("r0", Action::Set { field: field.into(), value })
}

fn add(value: Value) -> Mutation {
    mutation("r0", Action::AddElements { field: "tags".into(), elements: vec![value] })
}

fn remove(value: Value) -> Mutation {
    mutation("r0", Action::RemoveElements { field: "tags".into(), elements: vec![value] })
}

fn shown(desk: &RuleFixture, field: &str) -> Option<Value> {
    match desk.field("r0", field) {
        Some(FieldValue::Register(heads)) => heads.first().map(|head| head.value.clone()),
        _ => None,
    }
}

/// The only element of the set, and how many it is said to have.
fn element(desk: &RuleFixture) -> (Option<Value>, u64) {
    let key = Key::Element("r0".into(), "tags".into(), Value::Int(1).element_hash());
    let value = match desk.row(&key) {
        Some(Row::Element(row)) => Some(row.value.clone()),
        _ => None,
    };
    match desk.field("r0", "tags") {
        Some(FieldValue::Set { count }) => (value, *count),
        _ => (value, 0),
    }
}

/// What the last change said about the set: elements that came and went.
fn told(desk: &RuleFixture) -> Option<(Vec<Value>, Vec<Value>)> {
    desk.server.shelf.changes.last()?.effects.iter().find_map(|effect| match &effect.kind {
        EffectKind::Set { added, removed } => Some((added.clone(), removed.clone())),
        _ => None,
    })
}

pub(super) fn check_registers() -> Check {
    let mut desk = RuleFixture::new()?;
    let part = || ScopePart::Field("plain".into());
    desk.settle(1, Seq(1), vec![set("plain", Value::Int(1))])?;
    let (_, settlement) = desk.settle(2, Seq(1), vec![set("plain", double(1.0))])?;
    ensure!(settlement.merged && settlement.conflicts.is_empty(), "1 and 1.0 clash: {settlement:?}");
    ensure!(desk.live("r0", part()).is_none(), "1 and 1.0 are in conflict");
    desk.settle(3, desk.head(), vec![set("plain", double(1.0))])?;
    ensure!(
        shown(&desk, "plain") == Some(double(1.0)),
        "not the kind last written: {:?}",
        shown(&desk, "plain")
    );
    // 2^53 + 1 is not a double.
    let base = desk.head();
    desk.settle(1, base, vec![set("plain", Value::Int((1 << 53) + 1))])?;
    desk.settle(2, base, vec![set("plain", double(9_007_199_254_740_992.0))])?;
    ensure!(desk.live("r0", part()).is_some(), "2^53 + 1 and 2^53 do not clash");
    // Its last writers agree on a number: the conflict is over.
    let known = desk.conflict("r0", "plain")?;
    desk.settle(1, base, vec![set("plain", Value::Int(1 << 53))])?;
    ensure!(desk.live("r0", part()).is_none(), "no end of {known:?}");
    Ok(())
}

pub(super) fn check_order() -> Check {
    let mut desk = RuleFixture::new()?;
    for (field, numbers, expected) in [
        ("least", [Value::Int(2), double(1.5)], double(1.5)),
        ("most", [double(f64::NEG_INFINITY), Value::Int(i64::MIN)], Value::Int(i64::MIN)),
    ] {
        let base = desk.head();
        for (replica, number) in (1..).zip(numbers) {
            desk.settle(replica, base, vec![set(field, number)])?;
        }
        ensure!(shown(&desk, field) == Some(expected.clone()), "{field} shows {:?}", shown(&desk, field));
    }
    let base = desk.head();
    desk.settle(3, base, vec![set("least", time(5)), set("most", time(5))])?;
    desk.settle(4, base, vec![set("least", time(-5)), set("most", time(-5))])?;
    let both = (shown(&desk, "least"), shown(&desk, "most"));
    ensure!(both == (Some(time(-5)), Some(time(5))), "times are shown as {both:?}");
    // A number and a time have no order, so the incumbent is shown.
    desk.settle(5, base, vec![set("least", Value::Int(-9))])?;
    ensure!(shown(&desk, "least") == Some(time(5)), "{:?} is shown", shown(&desk, "least"));
    Ok(())
}

pub(super) fn check_sets() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.settle(1, Seq(1), vec![add(Value::Int(1))])?;
    desk.settle(2, Seq(1), vec![add(double(1.0))])?;
    ensure!(element(&desk) == (Some(Value::Int(1)), 1), "1 and 1.0 are {:?}", element(&desk));
    ensure!(told(&desk) == Some((vec![], vec![])), "the second addition told {:?}", told(&desk));
    // Only a removal makes room for the other way to write it; what is told to be gone is what was there.
    desk.settle(3, desk.head(), vec![remove(double(1.0)), add(double(1.0))])?;
    ensure!(told(&desk) == Some((vec![], vec![Value::Int(1)])), "the removal told {:?}", told(&desk));
    ensure!(element(&desk) == (Some(double(1.0)), 1), "now {:?}", element(&desk));
    desk.settle(3, desk.head(), vec![remove(Value::Int(1))])?;
    ensure!(told(&desk) == Some((vec![], vec![double(1.0)])), "the removal told {:?}", told(&desk));
    ensure!(element(&desk) == (None, 0), "still there: {:?}", element(&desk));
    desk.settle(3, desk.head(), vec![add(double(-0.0)), remove(Value::Int(0))])?;
    ensure!(desk.field("r0", "tags") == Some(&FieldValue::Set { count: 0 }), "-0.0 is not 0");
    Ok(())
}
