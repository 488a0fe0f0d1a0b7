//! A workspace's state as keyed rows, and the working set the sequencer reads and writes.

mod key;
mod row;
mod text_memory;
mod transaction;
mod weight;
mod workspace;

pub use key::{Key, Prefix};
pub use row::{
    Addition, CounterHead, ElementRow, Existence, ExistenceHead, FieldRow, FieldValue, HeldRow, HoldUsage,
    RecordRow, RegionPlace, RegisterHead, RejectionRow, ReplicaRow, RequestRow, Row, ScopeRow,
};
pub use text_memory::{Reach, TextMemory};
pub(crate) use transaction::read;
pub use transaction::{Attempt, Interrupt, Missing, Suspended, Transaction};
pub use workspace::{WorkspaceHead, WorkspaceState, WriteBatch};
