//! A workspace's state as keyed rows, and the working set the sequencer reads and writes.

mod key;
mod row;
mod transaction;
mod workspace;

pub use key::{Key, Prefix};
pub use row::{
    Addition, CounterHead, ElementRow, Existence, ExistenceHead, FieldRow, FieldValue, Head, HeldRow,
    HoldUsage, RecordRow, RejectionRow, ReplicaRow, RequestRow, Row, ScopeRow,
};
pub(crate) use transaction::read;
pub use transaction::{Need, Step, Stop, Suspended, Transaction};
pub use workspace::{Flush, WorkspaceHead, WorkspaceState};
