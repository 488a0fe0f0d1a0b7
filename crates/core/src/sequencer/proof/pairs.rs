//! Invariant 38: whether two concurrent operations clash does not depend on which settles first.

use crate::causality::Seq;
use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::desk::{RuleFixture, dot, operation};
use super::fold::Confirmed;
use super::inbox;
use super::script::{create, mutation, set};
use super::{Check, ensure};
use crate::conflict::{ConflictKind, Scope};
use crate::ids::Dot;
use crate::merge::text::Hunk;
use crate::operation::{Action, Mutation};
use crate::value::Value;

const TEXT: &str = "the quick brown fox";

/// Two records that link to each other in some way, with something in every field.
fn begin(links: u32) -> Result<RuleFixture, String> {
    let mut desk = RuleFixture::new()?;
    let mut first = vec![
        create("r1"),
        set("r0", "plain", 0),
        mutation("r0", Action::AssignCounter { field: "count".into(), value: 5 }),
        mutation(
            "r0",
            Action::AddElements { field: "tags".into(), elements: vec![Value::Int(0), Value::Int(1)] },
        ),
        mutation("r0", Action::ReplaceText { field: "text".into(), text: TEXT.into() }),
    ];
    if links % 2 == 1 {
        first.push(mutation("r0", Action::Link { field: "many".into(), target: "r1".into() }));
    }
    if links > 1 {
        first.push(mutation("r0", Action::Link { field: "one".into(), target: "r1".into() }));
    }
    desk.settle(9, Seq(1), first)?;
    Ok(desk)
}

fn one(dice: &mut StdRng) -> Mutation {
    let value = dice.random_range(0..2);
    let target = || ["r0", "r1"][value as usize].into();
    let element = || vec![Value::Int(value)];
    let record = ["r0", "r0", "r1"][dice.random_range(0..3)];
    let action = match dice.random_range(0..15) {
        0 | 1 => return set(record, "plain", value),
        2 => Action::AssignCounter { field: "count".into(), value },
        3 => Action::Increment { field: "count".into(), by: value + 1 },
        4 => Action::AddElements { field: "tags".into(), elements: element() },
        5 => Action::RemoveElements { field: "tags".into(), elements: element() },
        6 => Action::ClearElements { field: "tags".into() },
        7 => Action::Link { field: "many".into(), target: target() },
        8 => Action::Link { field: "one".into(), target: target() },
        9 => Action::Unlink { field: "one".into(), target: None },
        10 => Action::Restore,
        11 | 12 => Action::Delete,
        _ => {
            let pos = dice.random_range(0..TEXT.len() as u32);
            let del = dice.random_range(0..=5.min(TEXT.len() as u32 - pos));
            let ins = if del > 0 && dice.random_bool(0.4) { "" } else { "xy" }.to_owned();
            return mutation(
                "r0",
                Action::EditText { field: "text".into(), hunks: vec![Hunk { pos, del, ins }] },
            );
        }
    };
    mutation(record, action)
}

/// Who clashes about what, in any order.
type Clashes = BTreeSet<(ConflictKind, Scope, BTreeSet<Dot>)>;

fn play(links: u32, operations: [(u128, &[Mutation]); 2]) -> Result<(Clashes, Confirmed), String> {
    let mut desk = begin(links)?;
    for (replica, mutations) in operations {
        desk.settled(&operation(dot(replica, 1), Seq(2), vec![], mutations.to_vec()))?;
    }
    let shelf = &desk.server.shelf;
    let clashes = inbox::all(shelf)
        .map(|c| {
            let seqs = c.pairs.iter().flat_map(|(a, b)| [*a, *b]);
            let dots = seqs.filter_map(|seq| shelf.change(seq)).map(|change| change.dot).collect();
            (c.kind, c.scope.clone(), dots)
        })
        .collect();
    Ok((clashes, Confirmed::of_rows(shelf)))
}

/// Any two operations on one base, in both orders; where nothing clashes, the outcome is the same as well, but for
/// the order of insertions at one place.
pub(super) fn check_pair(seed: u64) -> Check {
    let mut dice = StdRng::seed_from_u64(seed);
    let links = dice.random_range(0..4);
    let a = vec![one(&mut dice)];
    let b = vec![one(&mut dice)];
    let (first, mut state) = play(links, [(1, &a), (2, &b)])?;
    let (second, mut other) = play(links, [(2, &b), (1, &a)])?;
    ensure!(first == second, "{a:?} and {b:?}: {first:?}, the other way round {second:?}");
    if first.is_empty() {
        for state in [&mut state, &mut other] {
            state.conflicts.clear();
            let text = state.fields.remove(&("r0".into(), "text".into()));
            ensure!(text.is_some(), "the text is gone");
        }
        state.same_as(&other, &format!("{a:?} and {b:?}"))?;
    }
    Ok(())
}
