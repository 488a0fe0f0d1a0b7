//! What the laws are tried with.

pub use std::pin::pin;
pub use std::sync::Arc;

pub use syncline::store::{Order, Store, StoreError, StoreReader, StoreWriter};
pub use syncline_core::change::{Change, EffectKind};
pub use syncline_core::conflict::{Scope, ScopePart};
pub use syncline_core::ids::{ConflictId, Dot, Epoch, ReplicaId, WorkspaceNo};
pub use syncline_core::state::{ElementRow, HoldUsage, Key, Prefix, Row, WorkspaceHead, WriteBatch};
pub use syncline_core::value::Value;
pub use uuid::Uuid;

use std::future::{Future, poll_fn};
use std::task::Poll;

use syncline_core::causality::{Author, Counter, ReplicaNo, Seq};
use syncline_core::change::Effect;
use syncline_core::operation::{CausalContext, Settlement};

pub fn id<T: for<'t> From<&'t str>>(text: &str) -> T {
    T::from(text)
}

pub fn record(name: &str) -> Key {
    Key::Record(id(name))
}

/// A row that can be told from others.
pub fn row(n: u64) -> Row {
    Row::HoldUsage(HoldUsage { count: n, bytes: u64::MAX, ..HoldUsage::default() })
}

pub fn change(seq: u64, replica_no: u32, counter: u64) -> Change {
    Change {
        seq: Seq(seq),
        dot: Dot { replica: ReplicaId::from_u128(u128::from(replica_no)), counter: Counter(counter) },
        author: Author {
            replica_no: ReplicaNo(replica_no),
            counter: Counter(counter),
            base_seq: Seq(seq - 1),
            extras: Vec::new(),
            own_requests: Vec::new(),
        },
        context: CausalContext::at(Epoch(u64::MAX), Seq(seq - 1)),
        request_id: None,
        correlation_id: id("correlation"),
        actor: id("actor"),
        client_time_ms: Some(-1),
        committed_at_ms: 1_700_000_000_000,
        mutations: Vec::new(),
        effects: vec![Effect {
            collection: id("things"),
            record: id("r"),
            field: Some(id("f")),
            mutation_index: 0,
            previous_seq: Seq(0),
            kind: EffectKind::Register { value: Some(Value::Int(i64::MIN)) },
        }],
        settlement: Settlement::default(),
        operation_hash: [7; 16],
        hash_salt: [9; 16],
        chain: [9; 16],
    }
}

pub fn head(seq: u64) -> WorkspaceHead {
    WorkspaceHead { head_seq: Seq(seq), chain: [seq as u8; 16], ..WorkspaceHead::new(Epoch(5)) }
}

pub fn batch<const N: usize>(rows: [(Key, Option<Row>); N], changes: Vec<Change>) -> WriteBatch {
    WriteBatch {
        rows: rows.into_iter().map(|(key, row)| (key, row.map(Arc::new))).collect(),
        changes: changes.into_iter().map(Arc::new).collect(),
    }
}

pub fn put<const N: usize>(rows: [(Key, u64); N]) -> WriteBatch {
    batch(rows.map(|(key, n)| (key, Some(row(n)))), Vec::new())
}

/// The number after that of the workspace made last: nothing has it.
pub fn after(last: WorkspaceNo) -> WorkspaceNo {
    WorkspaceNo(last.0 + 1)
}

pub async fn workspace(store: &dyn Store, id: &str) -> WorkspaceNo {
    let mut writer = store.writer().await.unwrap();
    let no = writer.create_workspace(id, "A workspace", 42, &head(0)).await.unwrap();
    writer.commit().await.unwrap();
    no
}

pub async fn write(
    store: &dyn Store,
    ws: WorkspaceNo,
    batch: &WriteBatch,
    head: &WorkspaceHead,
) -> Result<(), StoreError> {
    let mut writer = store.writer().await?;
    writer.write(ws, batch, head).await?;
    writer.commit().await
}

pub async fn reader(store: &dyn Store) -> Box<dyn StoreReader> {
    store.reader().await.unwrap()
}

pub async fn row_of<R: StoreReader + ?Sized>(reader: &mut R, ws: WorkspaceNo, key: Key) -> Option<Row> {
    reader.rows(ws, &[key]).await.unwrap().remove(0)
}

pub async fn page(
    store: &dyn Store,
    ws: WorkspaceNo,
    prefix: &Prefix,
    after: Option<&Key>,
    limit: usize,
    order: Order,
) -> (Vec<Key>, bool) {
    let page = reader(store).await.range(ws, prefix, after, limit, order).await.unwrap();
    (page.rows.into_iter().map(|(key, _)| key).collect(), page.more)
}

/// Polls `future` at most `polls` times and then gives it up.
pub async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Whether `future` is still not done after a while in which it could have been.
pub async fn stays_pending<F: Future>(future: F) -> bool {
    tokio::time::timeout(std::time::Duration::from_millis(100), future).await.is_err()
}
