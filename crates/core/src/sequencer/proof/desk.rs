//! A bench for single rules: operations written by hand, on both servers.

use std::collections::BTreeMap;

use super::Check;
use super::inbox;
use super::script;
use super::server::{EPOCH, Server};
use crate::causality::{Counter, Seq};
use crate::conflict::{Conflict, Scope, ScopePart};
use crate::ids::{Dot, ReplicaId};
use crate::operation::{
    CausalContext, Identity, Knowledge, Mutation, Operation, Outcome, Receipt, Settlement,
};
use crate::refusal::Refusal;
use crate::schema::Schema;
use crate::state::{FieldValue, Key, Row, WriteBatch};

pub(super) fn dot(replica: u128, counter: u64) -> Dot {
    Dot { replica: ReplicaId::from_u128(replica), counter: Counter(counter) }
}

/// An operation by hand.
pub(super) fn operation(dot: Dot, base_seq: Seq, extras: Vec<Dot>, mutations: Vec<Mutation>) -> Operation {
    Operation {
        identity: Identity::Dot(dot),
        knowledge: Knowledge::Context(CausalContext { extras, ..CausalContext::at(EPOCH, base_seq) }),
        mutations,
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

/// An operation of a caller without a replica.
pub(super) fn request(id: &str, knowledge: Knowledge, mutations: Vec<Mutation>) -> Operation {
    let identity = Identity::Request(id.into());
    Operation { identity, knowledge, ..operation(dot(1, 1), Seq(0), Vec::new(), mutations) }
}

pub(super) struct RuleFixture {
    pub server: Server,
    counters: BTreeMap<u128, u64>,
}

impl RuleFixture {
    /// A fixture with record "r0", created at position 1.
    pub(super) fn new() -> Result<RuleFixture, String> {
        let mut desk = RuleFixture::empty(script::schema())?;
        desk.settle(99, Seq(0), vec![script::create("r0")])?;
        Ok(desk)
    }

    pub(super) fn empty(schema: Schema) -> Result<RuleFixture, String> {
        Ok(RuleFixture { server: Server::new(schema, 0)?, counters: BTreeMap::new() })
    }

    /// A replica's next operation.
    pub(super) fn next(&mut self, replica: u128, base_seq: Seq, mutations: Vec<Mutation>) -> Operation {
        let counter = self.counters.entry(replica).or_insert(0);
        *counter += 1;
        operation(dot(replica, *counter), base_seq, Vec::new(), mutations)
    }

    pub(super) fn submit(&mut self, operation: &Operation) -> Result<(Receipt, WriteBatch), String> {
        let (receipt, wrote) = self.server.submit(operation)?;
        inbox::check_cover(&self.server.shelf)?;
        inbox::check_regions(&self.server.shelf)?;
        Ok((receipt, wrote))
    }

    /// Settles a replica's next operation.
    pub(super) fn settle(
        &mut self,
        replica: u128,
        base_seq: Seq,
        mutations: Vec<Mutation>,
    ) -> Result<(Seq, Settlement), String> {
        let operation = self.next(replica, base_seq, mutations);
        self.settled(&operation)
    }

    /// Settles an operation.
    pub(super) fn settled(&mut self, operation: &Operation) -> Result<(Seq, Settlement), String> {
        match self.submit(operation)?.0.outcome {
            Outcome::Accepted { seq, settlement } => Ok((seq, settlement)),
            other => Err(format!("{:?} came to {other:?}", operation.mutations)),
        }
    }

    /// Rejects a replica's next operation.
    pub(super) fn reject(
        &mut self,
        replica: u128,
        base_seq: Seq,
        mutations: Vec<Mutation>,
    ) -> Result<Refusal, String> {
        let operation = self.next(replica, base_seq, mutations);
        self.rejected(&operation)
    }

    pub(super) fn rejected(&mut self, operation: &Operation) -> Result<Refusal, String> {
        match self.submit(operation)?.0.outcome {
            Outcome::Rejected(rejection) => Ok(rejection.refusal),
            other => Err(format!("{:?} came to {other:?}", operation.mutations)),
        }
    }

    /// Refuses an operation without settling it, and without a trace.
    pub(super) fn refused(&mut self, operation: &Operation) -> Result<Refusal, String> {
        let (receipt, wrote) = self.submit(operation)?;
        match receipt.outcome {
            Outcome::NotSettled { refusal: Some(refusal), .. } if wrote.is_empty() => Ok(refusal),
            other => Err(format!("{:?} came to {other:?}, {wrote:?}", operation.mutations)),
        }
    }

    pub(super) fn held(&mut self, operation: &Operation) -> Check {
        match self.submit(operation)?.0.outcome {
            Outcome::Held { .. } => Ok(()),
            other => Err(format!("{:?} came to {other:?}", operation.mutations)),
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.server.shelf.head_seq()
    }

    /// The live conflict in a place.
    pub(super) fn live(&self, record: &str, part: ScopePart) -> Option<&Conflict> {
        let scope = Scope { record: record.into(), part };
        inbox::all(&self.server.shelf).find(|c| c.scope == scope && c.status.is_live())
    }

    /// The live conflict of a field, which must be there; of a text, the one that was opened last.
    pub(super) fn conflict(&self, record: &str, field: &str) -> Result<Conflict, String> {
        let of_field = |c: &&Conflict| {
            let in_field =
                matches!(&c.scope.part, ScopePart::Field(f) | ScopePart::Region(f, _) if &**f == field);
            &*c.scope.record == record && in_field && c.status.is_live()
        };
        let live = inbox::all(&self.server.shelf).filter(of_field).last();
        live.cloned().ok_or_else(|| format!("{record}.{field} has no live conflict"))
    }

    /// The last conflict that was opened.
    pub(super) fn last(&self) -> Result<Conflict, String> {
        inbox::all(&self.server.shelf).last().cloned().ok_or_else(|| "there is no conflict".to_owned())
    }

    pub(super) fn row(&self, key: &Key) -> Option<&Row> {
        self.server.shelf.rows.get(key).map(|row| &**row)
    }

    pub(super) fn field(&self, record: &str, field: &str) -> Option<&FieldValue> {
        match self.row(&Key::Field(record.into(), field.into())) {
            Some(Row::Field(row)) => Some(&row.value),
            _ => None,
        }
    }

    /// A text field.
    pub(super) fn text(&self, record: &str, field: &str) -> String {
        match self.field(record, field) {
            Some(FieldValue::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }
}
