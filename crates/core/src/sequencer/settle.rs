//! Settling one operation: all of its mutations at the next position, or a rejection.

use std::sync::Arc;

use super::replica::{author_of, replica_row};
use super::{Environment, rejected};
use crate::causality::{Author, Counter, ReplicaNo, Seq, Stamp};
use crate::change::{Change, Effect, weight_bytes};
use crate::conflict::Scope;
use crate::fault;
use crate::hash::{Hash, Secret, chain, operation_hash};
use crate::ids::{Dot, FieldId, RecordId};
use crate::limits::{EFFECT_BYTES_MAX, SEQ_MAX};
use crate::operation::{
    Action, CausalContext, Identity, Mutation, MutationKind, Operation, Outcome, RecordMutation, Rejection,
    Settlement,
};
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{
    Attempt, Existence, Interrupt, Key, RecordRow, RejectionRow, ReplicaRow, Row, Transaction,
};
use crate::unknown::Unknown;
use crate::value::Value;

/// A settled operation.
pub(super) struct Settled {
    pub outcome: Outcome,
    /// Records it created.
    pub created: Vec<RecordId>,
}

/// Settles an operation whose dependencies have all settled. Its counter is used up whatever happens.
pub(super) fn settle(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    env: Environment,
) -> Attempt<Settled> {
    match accept(tx, operation, dot, hash, env)? {
        Ok(settled) => Ok(settled),
        Err(rejection) => reject(tx, operation, dot, hash, rejection),
    }
}

/// Gives an operation its place in the order, or says why it cannot; then nothing has changed.
pub(super) fn accept(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    env: Environment,
) -> Attempt<Result<Settled, Rejection>> {
    match try_accept(tx, operation, dot, hash, env) {
        Err(Interrupt::Refused(refusal)) => {
            tx.rollback_to_savepoint();
            Ok(Err(Rejection { refusal, mutation_index: None }))
        }
        other => other,
    }
}

fn try_accept(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    env: Environment,
) -> Attempt<Result<Settled, Rejection>> {
    if let Some(malformed) = &operation.malformed {
        let (refusal, mutation_index) = (malformed.refusal.clone(), malformed.mutation_index);
        return Ok(Err(Rejection { refusal, mutation_index }));
    }
    let (author, context) = author_of(tx, operation, dot, env)?;
    let replica = replica_row(tx, dot.replica)?;
    check_context(tx, &author, &replica)?;
    check_dependencies(tx, operation)?;
    let seq = next_seq(tx.head.head_seq)?;
    let mut settling = Settling {
        stamp: Stamp { seq, replica_no: author.replica_no, counter: author.counter },
        author,
        context,
        dot,
        operation,
        now_ms: env.now_ms,
        mutations: Vec::new(),
        effects: Vec::new(),
        settlement: Settlement::default(),
        created: Vec::new(),
        pairs: Vec::new(),
        next_conflict: 0,
        replica,
        secret: tx.secret()?,
        tx,
    };
    for (index, mutation) in operation.mutations.iter().enumerate() {
        match settling.apply(mutation) {
            Ok(()) => {}
            Err(Interrupt::Missing(need)) => return Err(Interrupt::Missing(need)),
            Err(Interrupt::Refused(refusal)) => {
                if !fault!(HalfRejected) {
                    settling.tx.rollback_to_savepoint();
                }
                return Ok(Err(Rejection { refusal, mutation_index: u32::try_from(index).ok() }));
            }
        }
    }
    let bytes = weight_bytes(&settling.effects, &settling.mutations);
    if bytes > EFFECT_BYTES_MAX {
        settling.tx.rollback_to_savepoint();
        let refusal = Refusal::EffectTooLarge { bytes: bytes as u64, limit: EFFECT_BYTES_MAX as u64 };
        return Ok(Err(Rejection { refusal, mutation_index: None }));
    }
    Ok(Ok(settling.finish(hash)))
}

/// The position after the head.
fn next_seq(head_seq: Seq) -> Attempt<Seq> {
    let detail = || format!("the workspace has no position after {SEQ_MAX}; go on in a new workspace");
    let next = head_seq.0.checked_add(1).map(Seq).filter(|seq| *seq <= SEQ_MAX);
    next.ok_or_else(|| Refusal::Inconsistent { detail: detail() }.into())
}

/// A decision is a write of the place in conflict; an action that adds to what is there decides nothing.
fn check_decides(mutation: &RecordMutation) -> Attempt<()> {
    let decides = match &mutation.action {
        Action::Delete
        | Action::Restore
        | Action::Set { .. }
        | Action::EditText { .. }
        | Action::ReplaceText { .. }
        | Action::DecideText { .. }
        | Action::AssignCounter { .. }
        | Action::Link { .. }
        | Action::Unlink { .. } => true,
        Action::Create { .. }
        | Action::Increment { .. }
        | Action::AddElements { .. }
        | Action::RemoveElements { .. }
        | Action::ClearElements { .. } => false,
    };
    match mutation.resolves {
        Some(conflict) if !decides => Err(Refusal::ConflictNotFound { conflict }.into()),
        _ => Ok(()),
    }
}

/// For each replica, bases never decrease; and an operation knows at least what the dots it lists knew.
fn check_context(tx: &Transaction<'_>, author: &Author, replica: &ReplicaRow) -> Attempt<()> {
    let refuse = |detail: String| Err(Interrupt::Refused(Refusal::InvalidContext { detail }));
    if replica.no == ReplicaNo::SERVER {
        return Ok(());
    }
    if author.base_seq < replica.last_base && !fault!(BaseMayDecrease) {
        return refuse(format!(
            "base_seq {} is before the replica's last, {}",
            author.base_seq, replica.last_base
        ));
    }
    for extra in &author.extras {
        // A counter of 0 lists nothing. An extra is nearly always a recent change, so whether it was rejected is only
        // looked up if it is not in memory.
        if extra.counter == Counter::NONE {
            continue;
        }
        let known = tx.known_change_of(extra.replica_no, extra.counter);
        let change = match known {
            Some(change) => change,
            None if tx.row(&Key::Rejection(extra.replica_no, extra.counter))?.is_some() => continue,
            None => tx.change_of(extra.replica_no, extra.counter)?,
        };
        let base_seq = change.author.base_seq;
        if base_seq > author.base_seq && !fault!(ExtraBaseUnchecked) {
            return refuse(format!("base_seq {} is before that of an extra, {base_seq}", author.base_seq));
        }
    }
    Ok(())
}

fn check_dependencies(tx: &Transaction<'_>, operation: &Operation) -> Attempt<()> {
    for needed in &operation.depends_on {
        let Some(replica_no) = tx.replica_no(needed.replica)? else { continue };
        if tx.row(&Key::Rejection(replica_no, needed.counter))?.is_some() {
            return Err(Refusal::DependencyRejected { dot: *needed }.into());
        }
    }
    Ok(())
}

/// Settles an operation without effect and without a position. What it would have created is remembered, so that
/// what builds on it is rejected for that reason.
pub(super) fn reject(
    tx: &mut Transaction<'_>,
    operation: &Operation,
    dot: Dot,
    hash: Hash,
    rejection: Rejection,
) -> Attempt<Settled> {
    let replica = replica_row(tx, dot.replica)?;
    let row = RejectionRow {
        operation_hash: hash,
        rejection: rejection.clone(),
        at_seq: tx.head.head_seq,
        correlation_id: operation.correlation_id.clone(),
    };
    tx.put(Key::Rejection(replica.no, dot.counter), Row::Rejection(row));
    if !fault!(RejectionBlocks) {
        tx.put(Key::Replica(dot.replica), Row::Replica(ReplicaRow { last_settled: dot.counter, ..replica }));
    }
    for mutation in operation.mutations.iter().filter_map(Mutation::on_record) {
        if matches!(mutation.action, Action::Create { .. }) && tx.record(&mutation.record)?.is_none() {
            let phantom = RecordRow {
                collection: mutation.collection.clone(),
                existence: Existence::Phantom(dot),
                created: Stamp::NONE,
                last_seq: Seq::START,
                heads: Vec::new(),
                unknown: Unknown::NONE,
            };
            tx.put(Key::Record(mutation.record.clone()), Row::Record(phantom));
        }
    }
    tx.savepoint();
    let outcome = rejected(rejection.refusal, rejection.mutation_index);
    Ok(Settled { outcome, created: Vec::new() })
}

fn request_id(operation: &Operation) -> Option<Arc<str>> {
    match &operation.identity {
        Identity::Request(id) => Some(id.clone()),
        Identity::Dot(_) => None,
    }
}

/// An operation on its way to its place in the order.
pub(super) struct Settling<'t, 'a> {
    pub tx: &'t mut Transaction<'a>,
    pub author: Author,
    pub context: CausalContext,
    pub stamp: Stamp,
    pub dot: Dot,
    pub operation: &'t Operation,
    pub now_ms: i64,
    /// The mutations as applied so far.
    pub mutations: Vec<Mutation>,
    pub effects: Vec<Effect>,
    pub settlement: Settlement,
    pub created: Vec<RecordId>,
    /// Clashing pairs recorded by this operation.
    pub pairs: Vec<(Scope, Seq)>,
    pub next_conflict: u16,
    /// The author's row before this operation.
    pub replica: ReplicaRow,
    pub secret: Secret,
}

impl Settling<'_, '_> {
    fn apply(&mut self, mutation: &Mutation) -> Attempt<()> {
        match mutation {
            Mutation::Record(mutation) => self.change_record(mutation),
            Mutation::Conflict(action) => {
                self.mutations.push(mutation.clone());
                self.act_on_conflict(action)
            }
        }
    }

    pub(super) fn change_record(&mut self, mutation: &RecordMutation) -> Attempt<()> {
        self.mutations.push(mutation.clone().into());
        check_decides(mutation)?;
        match &mutation.action {
            Action::Create { fields, replace_deleted } => {
                if *replace_deleted && self.saw_deleted_record(mutation)? {
                    self.restore_empty(mutation, fields)?;
                } else {
                    self.create(mutation)?;
                }
                for (field, value) in fields {
                    let initial = self.initial(mutation, field, value)?;
                    self.change_record(&initial)?;
                }
                // The initial values are mutations of their own now.
                self.forget_initial_values(mutation);
                Ok(())
            }
            Action::Delete => self.delete(mutation),
            Action::Restore => self.restore(mutation),
            Action::Set { field, value } => self.set_register(mutation, field, value.clone()),
            Action::EditText { field, hunks } => self.edit_text(mutation, field, hunks),
            Action::ReplaceText { field, text } => self.replace_text(mutation, field, text),
            Action::DecideText { field, choice } => self.decide_text(mutation, field, choice),
            Action::Increment { field, by } => self.increment(mutation, field, *by),
            Action::AssignCounter { field, value } => self.assign_counter(mutation, field, *value),
            Action::AddElements { field, elements } => self.add_elements(mutation, field, elements),
            Action::RemoveElements { field, elements } => self.remove_elements(mutation, field, elements),
            Action::ClearElements { field } => self.clear_elements(mutation, field),
            Action::Link { field, target } => self.link(mutation, field, target),
            Action::Unlink { field, target } => self.unlink(mutation, field, target.as_ref()),
        }
    }

    /// The mutation that an initial value of a new record stands for.
    fn initial(
        &mut self,
        create: &RecordMutation,
        field: &FieldId,
        value: &Value,
    ) -> Attempt<RecordMutation> {
        let declared = self.tx.schema()?.and_then(|s| s.field(&create.collection, field)).map(|f| f.kind);
        let field = field.clone();
        let action = match (declared.unwrap_or(FieldKind::Register), value) {
            (FieldKind::Text, Value::String(text)) => Action::ReplaceText { field, text: text.to_string() },
            (FieldKind::Counter, Value::Int(value)) => Action::AssignCounter { field, value: *value },
            (FieldKind::ToOne, Value::String(target)) => {
                Action::Link { field, target: target.clone().into() }
            }
            (FieldKind::Register, _) => Action::Set { field, value: value.clone() },
            (
                kind @ (FieldKind::Text
                | FieldKind::Counter
                | FieldKind::ToOne
                | FieldKind::Set
                | FieldKind::ToMany),
                _,
            ) => {
                return Err(Refusal::KindMismatch { field, kind, action: MutationKind::CreateRecord }.into());
            }
        };
        Ok(RecordMutation {
            collection: create.collection.clone(),
            record: create.record.clone(),
            action,
            observed_seq: None,
            resolves: None,
        })
    }

    fn forget_initial_values(&mut self, create: &RecordMutation) {
        for mutation in self.mutations.iter_mut().rev() {
            match mutation {
                Mutation::Record(mutation) if mutation == create => {
                    if let Action::Create { fields, .. } = &mut mutation.action {
                        fields.clear();
                    }
                    return;
                }
                _ => {}
            }
        }
    }

    /// Index of the mutation being applied, among those as applied.
    pub fn mutation_index(&self) -> u16 {
        u16::try_from(self.mutations.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// Whether the author knew a settled operation; it always knows itself.
    pub fn knows(&self, w: &Stamp) -> bool {
        w.seq == self.stamp.seq || self.author.knows(w)
    }

    /// As [`Settling::knows`], but as of where the mutation's value was read.
    pub fn knows_for(&self, mutation: &RecordMutation, w: &Stamp) -> bool {
        match mutation.observed_seq {
            Some(observed) if !fault!(ObservedIgnored) => {
                w.seq == self.stamp.seq || self.author.knows_since(observed, w)
            }
            _ => self.knows(w),
        }
    }

    /// The base that a mutation's comparisons start from.
    pub fn base_for(&self, mutation: &RecordMutation) -> Seq {
        mutation.observed_seq.map_or(self.author.base_seq, |o| o.min(self.author.base_seq))
    }

    fn finish(mut self, hash: Hash) -> Settled {
        let seq = self.stamp.seq;
        let hash_salt = self.secret.salt(&self.dot);
        let operation_hash = operation_hash(&hash_salt, &hash);
        self.settlement.conflicts.sort_unstable();
        self.settlement.conflicts.dedup();
        let change = Change {
            seq,
            dot: self.dot,
            request_id: request_id(self.operation),
            correlation_id: self.operation.correlation_id.clone(),
            actor: self.operation.actor.clone(),
            client_time_ms: self.operation.client_time_ms,
            committed_at_ms: self.now_ms,
            operation_hash,
            chain: chain(&self.tx.head.chain, &operation_hash),
            hash_salt,
            context: self.context,
            mutations: self.mutations,
            effects: self.effects,
            settlement: self.settlement.clone(),
            author: self.author,
        };
        self.tx.head.head_seq = seq;
        self.tx.head.chain = change.chain;
        let replica = ReplicaRow {
            no: self.stamp.replica_no,
            last_settled: self.stamp.counter,
            last_accepted: self.stamp.counter,
            last_base: change.author.base_seq,
            ..self.replica
        };
        self.tx.put(Key::Replica(self.dot.replica), Row::Replica(replica));
        self.tx.append(change);
        self.tx.savepoint();
        Settled { outcome: Outcome::Accepted { seq, settlement: self.settlement }, created: self.created }
    }
}
