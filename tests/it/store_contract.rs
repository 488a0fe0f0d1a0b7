//! The contract of [`Store`]: one law per test, the same for every store.
//!
//! A law is a function below; `stamp!` makes a test of it for each store. What only one store has (files,
//! locks, simulated faults) is tested at the end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use syncline::domain::causality::Author;
use syncline::domain::change::{Change, Effect, EffectKind};
use syncline::domain::conflict::{Scope, ScopePart};
use syncline::domain::ids::{ConflictId, Dot, RecordId, WorkspaceNo};
use syncline::domain::operation::{CausalContext, Settlement};
use syncline::domain::state::{ElementRow, Flush, HoldUsage, Key, Prefix, Row, WorkspaceHead};
use syncline::domain::value::Value;
use syncline::store::memory::{CommitFault, MemoryStore};
use syncline::store::sqlite::{SqliteOptions, SqliteStore};
use syncline::store::{Order, Store, StoreError, StoreReader, StoreWriter};
use tempfile::TempDir;
use uuid::Uuid;

/// A store to try the laws on, with what has to outlive it.
struct Backend {
    store: Arc<dyn Store>,
    _directory: Option<TempDir>,
}

async fn memory() -> Backend {
    Backend { store: Arc::new(MemoryStore::new()), _directory: None }
}

async fn sqlite() -> Backend {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(fast(&directory)).await.unwrap();
    Backend { store: Arc::new(store), _directory: Some(directory) }
}

/// Laws about order and isolation do not need the disk to keep up.
fn fast(directory: &TempDir) -> SqliteOptions {
    SqliteOptions { synchronous_full: false, ..SqliteOptions::new(directory.path().join("syncline.db")) }
}

macro_rules! stamp {
    ($backend:ident: $($law:ident),* $(,)?) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $law() {
                    let backend = super::$backend().await;
                    super::$law(&*backend.store).await;
                    backend.store.close().await;
                }
            )*
        }
    };
}

macro_rules! every_law {
    ($($backend:ident),*) => {
        $(stamp!($backend:
            a_reader_shows_the_state_it_began_with,
            nothing_shows_before_the_commit,
            a_writer_reads_what_it_wrote,
            a_dropped_writer_undoes_everything,
            one_writer_at_a_time,
            a_failed_transaction_keeps_nothing,
            a_writer_goes_on_after_one_that_failed,
            a_workspace_is_found_by_its_id,
            workspaces_are_listed_by_id_in_pages,
            a_workspace_id_is_given_once,
            writing_to_an_absent_workspace_fails,
            a_head_comes_back_with_all_its_bits,
            rows_come_back_in_the_order_of_the_keys,
            any_number_of_keys_can_be_read,
            a_row_is_replaced_and_deleted,
            the_last_write_of_a_transaction_counts,
            a_range_is_in_order_from_either_end,
            a_range_is_read_in_pages,
            a_page_begins_after_any_key,
            a_range_shows_only_its_own_keys,
            every_kind_of_key_can_be_stored,
            workspaces_never_mix,
            a_range_is_counted,
            the_log_is_in_order,
            the_log_is_read_in_pages,
            a_change_is_found_by_its_operation,
            a_position_is_taken_once,
            an_operation_is_in_the_log_once,
            one_transaction_writes_several_workspaces,
            a_megabyte_comes_back_whole,
            flushes_of_all_sizes_are_stored,
            a_cancelled_reader_leaves_nothing_open,
            a_cancelled_commit_is_whole_or_nothing,
        );)*
    };
}

every_law!(memory, sqlite);

// Fixtures.

fn id(text: &str) -> RecordId {
    Arc::from(text)
}

fn record(name: &str) -> Key {
    Key::Record(id(name))
}

/// A row that can be told from others.
fn row(n: u64) -> Row {
    Row::HoldUsage(HoldUsage { count: n, bytes: u64::MAX })
}

fn change(seq: u64, replica_no: u32, counter: u64) -> Change {
    Change {
        seq,
        dot: Dot { replica: Uuid::from_u128(u128::from(replica_no)), counter },
        author: Author { replica_no, counter, base_seq: seq - 1, extras: Vec::new() },
        context: CausalContext { epoch: u64::MAX, base_seq: seq - 1, extras: Vec::new() },
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
            previous_seq: 0,
            kind: EffectKind::Register { value: Some(Value::Int(i64::MIN)) },
        }],
        settlement: Settlement::default(),
        operation_hash: [7; 16],
        chain: [9; 16],
    }
}

fn head(seq: u64) -> WorkspaceHead {
    WorkspaceHead { head_seq: seq, chain: [seq as u8; 16], ..WorkspaceHead::new(5) }
}

fn flush<const N: usize>(rows: [(Key, Option<Row>); N], changes: Vec<Change>) -> Flush {
    Flush {
        rows: rows.into_iter().map(|(key, row)| (key, row.map(Arc::new))).collect(),
        changes: changes.into_iter().map(Arc::new).collect(),
    }
}

fn put<const N: usize>(rows: [(Key, u64); N]) -> Flush {
    flush(rows.map(|(key, n)| (key, Some(row(n)))), Vec::new())
}

async fn workspace(store: &dyn Store, id: &str) -> WorkspaceNo {
    let mut writer = store.writer().await.unwrap();
    let no = writer.create_workspace(id, "A workspace", 42, &head(0)).await.unwrap();
    writer.commit().await.unwrap();
    no
}

async fn write(store: &dyn Store, ws: WorkspaceNo, flush: &Flush, head: &WorkspaceHead) -> Result<(), StoreError> {
    let mut writer = store.writer().await?;
    writer.write(ws, flush, head).await?;
    writer.commit().await
}

async fn reader(store: &dyn Store) -> Box<dyn StoreReader> {
    store.reader().await.unwrap()
}

async fn row_of<R: StoreReader + ?Sized>(reader: &mut R, ws: WorkspaceNo, key: Key) -> Option<Row> {
    reader.rows(ws, &[key]).await.unwrap().remove(0)
}

async fn page(
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
async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
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

// Transactions.

/// A reader shows the state that was committed when it was made, however long it lives; a new one shows more.
async fn a_reader_shows_the_state_it_began_with(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &flush([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    let mut before = reader(store).await;
    write(store, ws, &flush([(record("a"), Some(row(2)))], vec![change(2, 1, 2)]), &head(2)).await.unwrap();
    let mut after = reader(store).await;
    for (reader, n) in [(&mut before, 1), (&mut after, 2)] {
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(row_of(&mut **reader, ws, record("a")).await, Some(row(n)));
        assert_eq!(reader.changes(ws, 0, u64::MAX, 10).await.unwrap().len() as u64, n);
    }
}

/// Readers see a transaction as a whole, and only once it is committed.
async fn nothing_shows_before_the_commit(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &flush([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    // A read makes stores that gather writes send them.
    assert_eq!(row_of(&mut *writer, ws, record("a")).await, Some(row(1)));
    let mut during = reader(store).await;
    assert_eq!(row_of(&mut *during, ws, record("a")).await, None);
    assert_eq!(during.head(ws).await.unwrap(), Some(head(0)));
    drop(during);
    writer.commit().await.unwrap();
    let mut after = reader(store).await;
    assert_eq!(row_of(&mut *after, ws, record("a")).await, Some(row(1)));
    assert_eq!(after.change_of(ws, 1, 1).await.unwrap(), Some(change(1, 1, 1)));
}

/// Within a transaction, reads show its own writes.
async fn a_writer_reads_what_it_wrote(store: &dyn Store) {
    let mut writer = store.writer().await.unwrap();
    let ws = writer.create_workspace("w", "W", 1, &head(0)).await.unwrap();
    assert_eq!(writer.workspace("w").await.unwrap().unwrap().no, ws);
    for n in 1..=3 {
        let rows = [(record("a"), Some(row(n))), (record(&format!("b{n}")), Some(row(n)))];
        writer.write(ws, &flush(rows, vec![change(n, 1, n)]), &head(n)).await.unwrap();
        assert_eq!(row_of(&mut *writer, ws, record("a")).await, Some(row(n)));
        assert_eq!(writer.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(writer.count(ws, &Prefix::Records).await.unwrap(), n + 1);
        assert_eq!(writer.changes(ws, 0, n, 10).await.unwrap().len() as u64, n);
    }
    writer.commit().await.unwrap();
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 4);
}

/// Dropping a writer undoes all it did, whether or not the database had seen it.
async fn a_dropped_writer_undoes_everything(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    for sent in [false, true] {
        let mut writer = store.writer().await.unwrap();
        let lost = if sent { Some(writer.create_workspace("lost", "L", 1, &head(0)).await.unwrap()) } else { None };
        writer.write(ws, &flush([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
        if let Some(lost) = lost {
            writer.write(lost, &put([(record("a"), 1)]), &head(0)).await.unwrap();
            assert_eq!(writer.head(ws).await.unwrap(), Some(head(1)));
        }
        drop(writer);
        let mut next = store.writer().await.unwrap();
        assert_eq!(next.head(ws).await.unwrap(), Some(head(0)));
        assert_eq!(next.workspace("lost").await.unwrap(), None);
        drop(next);
        let mut reader = reader(store).await;
        assert_eq!(row_of(&mut *reader, ws, record("a")).await, None);
        assert_eq!(reader.change_of(ws, 1, 1).await.unwrap(), None);
    }
    // Neither the position nor the operation is taken.
    write(store, ws, &flush([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
}

/// A second writer waits until the first is done, in whichever way.
async fn one_writer_at_a_time(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    for commit in [true, false] {
        let first = store.writer().await.unwrap();
        let mut second = pin!(store.writer());
        assert!(give_up_after(1, second.as_mut()).await.is_none());
        if commit {
            first.commit().await.unwrap();
        } else {
            drop(first);
        }
        let mut second = second.await.unwrap();
        assert_eq!(second.head(ws).await.unwrap(), Some(head(0)));
    }
}

/// When a step fails, the commit fails too and nothing is stored: a half transaction is none.
async fn a_failed_transaction_keeps_nothing(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &put([(record("a"), 1)]), &head(0)).await.unwrap();
    assert!(matches!(writer.create_workspace("w", "W", 1, &head(0)).await, Err(StoreError::Inconsistent(_))));
    assert!(writer.head(ws).await.is_err());
    assert!(writer.write(ws, &put([(record("b"), 1)]), &head(0)).await.is_err());
    assert!(writer.commit().await.is_err());
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
}

/// A failure concerns one transaction only.
async fn a_writer_goes_on_after_one_that_failed(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &flush([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    for _ in 0..3 {
        write(store, ws, &flush([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap_err();
        drop(store.writer().await.unwrap());
    }
    write(store, ws, &flush([(record("b"), Some(row(1)))], vec![change(2, 1, 2)]), &head(2)).await.unwrap();
    let (keys, _) = page(store, ws, &Prefix::Records, None, 9, Order::Ascending).await;
    assert_eq!(keys, [record("b")]);
}

// Workspaces.

/// A workspace is found by the id it was made with, and nothing else is.
async fn a_workspace_is_found_by_its_id(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut reader = reader(store).await;
    let info = reader.workspace("w").await.unwrap().unwrap();
    assert_eq!((info.no, &*info.id, &*info.display_name, info.created_at_ms), (ws, "w", "A workspace", 42));
    assert_eq!(reader.workspace("W").await.unwrap(), None);
    assert_eq!(reader.head(ws + 1).await.unwrap(), None);
}

/// The list is sorted by id and goes on after the last one seen.
async fn workspaces_are_listed_by_id_in_pages(store: &dyn Store) {
    for id in ["b", "a-1", "a", "c", "1"] {
        workspace(store, id).await;
    }
    let mut reader = reader(store).await;
    let mut seen: Vec<Arc<str>> = Vec::new();
    for expected in [2, 2, 1, 0] {
        let page = reader.workspaces(seen.last().map(|id| &**id), 2).await.unwrap();
        assert_eq!(page.len(), expected);
        seen.extend(page.into_iter().map(|info| info.id));
    }
    assert_eq!(seen, ["1", "a", "a-1", "b", "c"].map(Arc::from));
}

/// An id names one workspace: a second of that id is refused.
async fn a_workspace_id_is_given_once(store: &dyn Store) {
    let first = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    let second = writer.create_workspace("w", "Other", 1, &head(9)).await;
    assert!(matches!(second, Err(StoreError::Inconsistent(_))));
    drop(writer);
    let mut reader = reader(store).await;
    assert_eq!(reader.head(first).await.unwrap(), Some(head(0)));
    assert_eq!(reader.workspaces(None, 10).await.unwrap().len(), 1);
}

/// A flush for a workspace that is not there is refused and makes no head.
async fn writing_to_an_absent_workspace_fails(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let result = write(store, ws + 1, &put([(record("a"), 1)]), &head(1)).await;
    assert!(matches!(result, Err(StoreError::Inconsistent(_))));
    let mut reader = reader(store).await;
    assert_eq!(reader.head(ws + 1).await.unwrap(), None);
    assert_eq!(row_of(&mut *reader, ws + 1, record("a")).await, None);
}

/// Heads come back as written, with epochs of all 64 bits.
async fn a_head_comes_back_with_all_its_bits(store: &dyn Store) {
    let heads = [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX].map(|epoch| WorkspaceHead {
        epoch,
        head_seq: 1 << 60,
        chain: [255; 16],
        replica_count: u32::MAX,
    });
    for (n, made) in heads.iter().enumerate() {
        let mut writer = store.writer().await.unwrap();
        let ws = writer.create_workspace(&format!("w{n}"), "", 0, made).await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(reader(store).await.head(ws).await.unwrap(), Some(*made));
        for moved in &heads {
            write(store, ws, &Flush::default(), moved).await.unwrap();
            assert_eq!(reader(store).await.head(ws).await.unwrap(), Some(*moved));
        }
    }
}

// Rows.

/// Rows stand where their keys stand; absent ones are `None`, and a key may be asked for twice.
async fn rows_come_back_in_the_order_of_the_keys(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &put([(record("a"), 1), (record("b"), 2), (record("c"), 3)]), &head(0)).await.unwrap();
    let keys = ["c", "x", "a", "c", "b", ""].map(record);
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, [Some(row(3)), None, Some(row(1)), Some(row(3)), Some(row(2)), None]);
    assert_eq!(reader(store).await.rows(ws, &[]).await.unwrap(), []);
}

/// No number of keys is too large, or falls between two sizes of statements.
async fn any_number_of_keys_can_be_read(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let rows = (0..700).map(|n| (record(&n.to_string()), Some(Arc::new(row(n))))).collect();
    write(store, ws, &Flush { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    let mut reader = reader(store).await;
    for count in [1, 2, 3, 5, 64, 65, 255, 256, 257, 513, 1_000] {
        let keys: Vec<Key> = (0..count).map(|n| record(&n.to_string())).collect();
        let rows = reader.rows(ws, &keys).await.unwrap();
        let expected: Vec<_> = (0..count).map(|n| (n < 700).then(|| row(n))).collect();
        assert_eq!(rows, expected);
    }
}

/// A write replaces the row of its key; one without a row deletes it, also when there is none.
async fn a_row_is_replaced_and_deleted(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &put([(record("a"), 1), (record("b"), 1)]), &head(0)).await.unwrap();
    let rows = [(record("a"), Some(row(2))), (record("b"), None), (record("c"), None)];
    write(store, ws, &flush(rows, Vec::new()), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &["a", "b", "c"].map(record)).await.unwrap();
    assert_eq!(rows, [Some(row(2)), None, None]);
}

/// Of several writes of one row in one transaction the last one counts, deletions included.
async fn the_last_write_of_a_transaction_counts(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &put([(record("a"), 1), (record("b"), 1)]), &head(1)).await.unwrap();
    writer.write(ws, &flush([(record("a"), None), (record("c"), None)], Vec::new()), &head(2)).await.unwrap();
    writer.write(ws, &put([(record("b"), 2), (record("c"), 2)]), &head(3)).await.unwrap();
    writer.commit().await.unwrap();
    let mut reader = reader(store).await;
    let rows = reader.rows(ws, &["a", "b", "c"].map(record)).await.unwrap();
    assert_eq!(rows, [None, Some(row(2)), Some(row(2))]);
    assert_eq!(reader.head(ws).await.unwrap(), Some(head(3)));
}

// Ranges.

/// A range is sorted as its keys are: by numbers, also negative ones, and by text with the shorter first.
async fn a_range_is_in_order_from_either_end(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let conflict = ConflictId { opened_seq: 1, index: 0 };
    let times = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
    let reminders: Vec<Key> = times.iter().map(|at| Key::Reminder(*at, conflict)).collect();
    let records = ["", "-", "0", "A", "a", "a-", "aa", "b"].map(record).to_vec();
    let all = reminders.iter().chain(&records).rev().map(|key| (key.clone(), Some(Arc::new(Row::Unit)))).collect();
    write(store, ws, &Flush { rows: all, changes: Vec::new() }, &head(0)).await.unwrap();
    for (prefix, mut expected) in [(Prefix::Reminders, reminders), (Prefix::Records, records)] {
        assert_eq!(page(store, ws, &prefix, None, 99, Order::Ascending).await, (expected.clone(), false));
        expected.reverse();
        assert_eq!(page(store, ws, &prefix, None, 99, Order::Descending).await, (expected, false));
    }
}

/// Pages follow one another without gap or overlap, and say whether there is more.
async fn a_range_is_read_in_pages(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let all: Vec<Key> = (0..10).map(|n| record(&n.to_string())).collect();
    let rows = all.iter().map(|key| (key.clone(), Some(Arc::new(row(1))))).collect();
    write(store, ws, &Flush { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let mut expected = all.clone();
        if order == Order::Descending {
            expected.reverse();
        }
        for limit in [1, 3, 5, 10, 11, usize::MAX] {
            let mut seen: Vec<Key> = Vec::new();
            loop {
                let (keys, more) = page(store, ws, &Prefix::Records, seen.last(), limit, order).await;
                seen.extend(keys);
                assert_eq!(more, seen.len() < all.len());
                if !more {
                    break;
                }
            }
            assert_eq!(seen, expected);
        }
        assert_eq!(page(store, ws, &Prefix::Records, None, 0, order).await, (Vec::new(), true));
        assert_eq!(page(store, ws, &Prefix::Records, expected.last(), 5, order).await, (Vec::new(), false));
    }
}

/// `after` need not exist, nor lie within the range: the page is what follows it, cut to the range.
async fn a_page_begins_after_any_key(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let field = |name: &str| Key::Field(id("r"), id(name));
    write(store, ws, &put([(field("b"), 1), (field("d"), 1), (record("z"), 1)]), &head(0)).await.unwrap();
    let prefix = Prefix::FieldsOf(id("r"));
    let keys = |after: Key, order| {
        let prefix = prefix.clone();
        async move { page(store, ws, &prefix, Some(&after), 9, order).await.0 }
    };
    assert_eq!(keys(field("c"), Order::Ascending).await, [field("d")]);
    assert_eq!(keys(field("c"), Order::Descending).await, [field("b")]);
    assert_eq!(keys(record("z"), Order::Ascending).await, [field("b"), field("d")]);
    assert_eq!(keys(record("z"), Order::Descending).await, []);
    assert_eq!(keys(Key::Request(id("q")), Order::Ascending).await, []);
    assert_eq!(keys(Key::Request(id("q")), Order::Descending).await, [field("d"), field("b")]);
}

/// A range holds the keys of its prefix and no neighbour's.
async fn a_range_shows_only_its_own_keys(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let records = ["a", "a-", "aa", "b"];
    let mut rows = Vec::new();
    for name in records {
        let scope = |part| Key::Scope(Scope { record: id(name), part });
        rows.extend([
            record(name),
            Key::Field(id(name), id("a")),
            Key::Field(id(name), id("aa")),
            Key::Element(id(name), id("a"), [0; 16]),
            Key::Element(id(name), id("a"), [255; 16]),
            Key::Element(id(name), id("aa"), [0; 16]),
            Key::Backlink(id(name), id("b"), id("f")),
            scope(ScopePart::Record),
            scope(ScopePart::Link(id("f"), id("t"))),
        ]);
    }
    let rows = rows.into_iter().map(|key| (key, Some(Arc::new(Row::Unit)))).collect();
    write(store, ws, &Flush { rows, changes: Vec::new() }, &head(0)).await.unwrap();
    for name in records {
        for (prefix, count) in [
            (Prefix::FieldsOf(id(name)), 2),
            (Prefix::ElementsOf(id(name), id("a")), 2),
            (Prefix::BacklinksOf(id(name)), 1),
            (Prefix::ScopesOf(id(name)), 2),
        ] {
            let (keys, _) = page(store, ws, &prefix, None, 99, Order::Ascending).await;
            assert!(keys.iter().all(|key| prefix.contains(key)));
            assert_eq!(keys.len(), count, "{prefix:?}");
        }
    }
    assert_eq!(page(store, ws, &Prefix::Records, None, 99, Order::Ascending).await.0, records.map(record));
}

/// Every kind of key can be written, read and deleted.
async fn every_kind_of_key_can_be_stored(store: &dyn Store) {
    use syncline::domain::operation::WaitOn;
    let ws = workspace(store, "w").await;
    let replica = Uuid::max();
    let dot = Dot { replica, counter: u64::MAX };
    let conflict = ConflictId { opened_seq: u64::MAX, index: u16::MAX };
    let keys = [
        Key::Schema,
        Key::Replica(replica),
        Key::ReplicaNumber(u32::MAX),
        record("r"),
        Key::Member(id("things"), id("r")),
        Key::Field(id("r"), id("f")),
        Key::Element(id("r"), id("f"), [255; 16]),
        Key::Backlink(id("t"), id("r"), id("f")),
        Key::Conflict(conflict),
        Key::Scope(Scope { record: id("r"), part: ScopePart::Field(id("f")) }),
        Key::Reminder(i64::MIN, conflict),
        Key::Rejection(u32::MAX, u64::MAX),
        Key::Held(dot),
        Key::Waiter(WaitOn::Operation(dot), dot),
        Key::HoldUsage(None),
        Key::HoldUsage(Some(replica)),
        Key::Wake(WaitOn::Record(id("r"))),
        Key::Request(id("q:1")),
    ];
    let all = |n: Option<u64>| {
        let rows = keys.iter().map(|key| (key.clone(), n.map(|n| Arc::new(row(n))))).collect();
        Flush { rows, changes: Vec::new() }
    };
    write(store, ws, &all(Some(1)), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, vec![Some(row(1)); keys.len()]);
    write(store, ws, &all(None), &head(0)).await.unwrap();
    let rows = reader(store).await.rows(ws, &keys).await.unwrap();
    assert_eq!(rows, vec![None; keys.len()]);
}

/// The same keys, positions and operations in two workspaces have nothing to do with each other.
async fn workspaces_never_mix(store: &dyn Store) {
    let [one, two] = [workspace(store, "one").await, workspace(store, "two").await];
    let own = |n| flush([(record("a"), Some(row(n))), (record("own"), None)], vec![change(1, 1, n)]);
    write(store, one, &own(1), &head(1)).await.unwrap();
    write(store, two, &own(2), &head(2)).await.unwrap();
    write(store, one, &put([(record("only-one"), 1)]), &head(1)).await.unwrap();
    let mut reader = reader(store).await;
    for (ws, n, records) in [(one, 1, 2), (two, 2, 1)] {
        assert_eq!(row_of(&mut *reader, ws, record("a")).await, Some(row(n)));
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), records);
        for order in [Order::Ascending, Order::Descending] {
            let page = reader.range(ws, &Prefix::Records, None, 9, order).await.unwrap();
            assert_eq!((page.rows.len() as u64, page.more), (records, false));
        }
        assert_eq!(reader.changes(ws, 0, u64::MAX, 9).await.unwrap(), [change(1, 1, n)]);
        assert_eq!(reader.change_of(ws, 1, 3 - n).await.unwrap(), None);
    }
    drop(reader);
    write(store, one, &flush([(record("a"), None)], Vec::new()), &head(1)).await.unwrap();
    assert_eq!(self::reader(store).await.count(two, &Prefix::Records).await.unwrap(), 1);
}

/// A count is the number of rows a range has.
async fn a_range_is_counted(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
    let rows = [(record("a"), 1), (record("b"), 1), (Key::Field(id("a"), id("f")), 1)];
    write(store, ws, &put(rows), &head(0)).await.unwrap();
    let mut reader = reader(store).await;
    assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), 2);
    assert_eq!(reader.count(ws, &Prefix::FieldsOf(id("a"))).await.unwrap(), 1);
    assert_eq!(reader.count(ws, &Prefix::FieldsOf(id("b"))).await.unwrap(), 0);
    assert_eq!(reader.count(ws + 1, &Prefix::Records).await.unwrap(), 0);
}

// The log.

async fn log_of(store: &dyn Store, length: u64) -> WorkspaceNo {
    let ws = workspace(store, "w").await;
    let changes = (1..=length).map(|seq| change(seq, (seq % 3) as u32, seq)).collect();
    write(store, ws, &flush([], changes), &head(length)).await.unwrap();
    ws
}

async fn seqs(store: &dyn Store, ws: WorkspaceNo, from: u64, to: u64, limit: usize) -> Vec<u64> {
    reader(store).await.changes(ws, from, to, limit).await.unwrap().iter().map(|c| c.seq).collect()
}

/// Changes come back as written and in order, after the lower bound and up to the upper one.
async fn the_log_is_in_order(store: &dyn Store) {
    let ws = log_of(store, 20).await;
    assert_eq!(seqs(store, ws, 0, u64::MAX, usize::MAX).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(seqs(store, ws, 3, 6, 99).await, [4, 5, 6]);
    assert_eq!(seqs(store, ws, 19, 30, 99).await, [20]);
    for (from, to) in [(20, u64::MAX), (6, 6), (6, 3), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(seqs(store, ws, from, to, 99).await, []);
    }
    let one = reader(store).await.changes(ws, 6, 7, 9).await.unwrap();
    assert_eq!(one, [change(7, 1, 7)]);
}

/// The log is read on from the last position seen.
async fn the_log_is_read_in_pages(store: &dyn Store) {
    let ws = log_of(store, 600).await;
    let mut seen = 0;
    for expected in [250, 250, 100, 0] {
        let page = seqs(store, ws, seen, u64::MAX, 250).await;
        assert_eq!(page, (seen + 1..=seen + expected).collect::<Vec<_>>());
        seen += expected;
    }
    assert_eq!(seqs(store, ws, 0, 600, 0).await, []);
}

/// An operation leads to its change, with counters of all 64 bits.
async fn a_change_is_found_by_its_operation(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let dots = [(0, 1), (1, 1), (1, 2), (u32::MAX, i64::MAX as u64), (u32::MAX, u64::MAX)];
    let changes: Vec<Change> = dots.iter().zip(1..).map(|((r, c), seq)| change(seq, *r, *c)).collect();
    write(store, ws, &flush([], changes.clone()), &head(5)).await.unwrap();
    let mut reader = reader(store).await;
    for (expected, (replica_no, counter)) in changes.into_iter().zip(dots) {
        assert_eq!(reader.change_of(ws, replica_no, counter).await.unwrap(), Some(expected));
    }
    for (replica_no, counter) in [(0, 2), (2, 1), (1, 0), (u32::MAX, u64::MAX - 1)] {
        assert_eq!(reader.change_of(ws, replica_no, counter).await.unwrap(), None);
    }
}

/// A position holds one change for ever: a second one is refused, in a later transaction or the same one.
async fn a_position_is_taken_once(store: &dyn Store) {
    let ws = log_of(store, 1).await;
    for changes in [vec![change(1, 9, 9)], vec![change(2, 9, 9), change(2, 9, 10)]] {
        let flush = flush([(record("a"), Some(row(1)))], changes);
        let result = write(store, ws, &flush, &head(2)).await;
        assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
    }
    let mut reader = reader(store).await;
    assert_eq!(reader.head(ws).await.unwrap(), Some(head(1)));
    assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), 0);
    assert_eq!(reader.changes(ws, 0, 9, 9).await.unwrap(), [change(1, 1, 1)]);
}

/// An operation settles once: a second change of one replica and counter is refused.
async fn an_operation_is_in_the_log_once(store: &dyn Store) {
    let ws = log_of(store, 1).await;
    for changes in [vec![change(2, 1, 1)], vec![change(2, 9, 9), change(3, 9, 9)]] {
        let result = write(store, ws, &flush([], changes), &head(3)).await;
        assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
    }
    assert_eq!(seqs(store, ws, 0, 9, 9).await, [1]);
    write(store, ws, &flush([], vec![change(2, 1, 2), change(3, 2, 1)]), &head(3)).await.unwrap();
}

// Sizes.

/// A transaction takes flushes of many workspaces and stores them together.
async fn one_transaction_writes_several_workspaces(store: &dyn Store) {
    let mut workspaces = Vec::new();
    for n in 0..70 {
        workspaces.push(workspace(store, &format!("w{n}")).await);
    }
    for count in [1, 2, 4, 5, 64, 70] {
        let mut writer = store.writer().await.unwrap();
        for ws in &workspaces[..count] {
            let n = count as u64;
            let flush = flush([(record("a"), Some(row(n)))], vec![change(n, 1, n)]);
            writer.write(*ws, &flush, &head(n)).await.unwrap();
        }
        writer.commit().await.unwrap();
        let mut reader = reader(store).await;
        for ws in &workspaces[..count] {
            assert_eq!(reader.head(*ws).await.unwrap(), Some(head(count as u64)));
            assert_eq!(row_of(&mut *reader, *ws, record("a")).await, Some(row(count as u64)));
            assert!(reader.change_of(*ws, 1, count as u64).await.unwrap().is_some());
        }
    }
}

/// Large values are kept whole, in rows and in the log.
async fn a_megabyte_comes_back_whole(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut big = change(1, 1, 1);
    let bytes: Vec<u8> = (0..1024 * 1024).map(|n: usize| (n * 31 >> 3) as u8).collect();
    big.effects[0].kind = EffectKind::Register { value: Some(Value::Bytes(bytes.clone())) };
    let element = ElementRow { value: Value::Bytes(bytes), additions: Vec::new() };
    let rows = [(record("a"), Some(Row::Element(element.clone()))), (record("b"), Some(row(1)))];
    write(store, ws, &flush(rows, vec![big.clone()]), &head(1)).await.unwrap();
    let mut reader = reader(store).await;
    assert_eq!(row_of(&mut *reader, ws, record("a")).await, Some(Row::Element(element)));
    assert_eq!(row_of(&mut *reader, ws, record("b")).await, Some(row(1)));
    assert_eq!(reader.changes(ws, 0, 1, 1).await.unwrap(), [big]);
}

/// No size of a flush is too large, or falls between two sizes of statements: rows, deletions and changes.
async fn flushes_of_all_sizes_are_stored(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut seq = 0;
    for count in [1, 2, 3, 4, 5, 33, 64, 65, 128, 129, 256, 257, 1_500] {
        let changes: Vec<_> = (0..count).map(|n| Arc::new(change(seq + n + 1, 1, seq + n + 1))).collect();
        let rows = (0..count).map(|n| (record(&n.to_string()), Some(Arc::new(row(count))))).collect();
        seq += count;
        write(store, ws, &Flush { rows, changes }, &head(seq)).await.unwrap();
        let mut before = reader(store).await;
        assert_eq!(before.count(ws, &Prefix::Records).await.unwrap(), count);
        assert_eq!(before.changes(ws, 0, seq, usize::MAX).await.unwrap().len() as u64, seq);
        assert_eq!(row_of(&mut *before, ws, record(&(count - 1).to_string())).await, Some(row(count)));
        drop(before);
        let rows = (0..count).map(|n| (record(&n.to_string()), None)).collect();
        write(store, ws, &Flush { rows, changes: Vec::new() }, &head(seq)).await.unwrap();
        assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
    }
}

// Cancellation.

/// A reader that is given up at any moment holds nothing: others get their turn and see what is committed.
async fn a_cancelled_reader_leaves_nothing_open(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    for n in 1..=40 {
        let polls = n as usize % 5;
        drop(give_up_after(polls, store.reader()).await);
        let mut given_up = reader(store).await;
        drop(give_up_after(polls, given_up.range(ws, &Prefix::Records, None, 99, Order::Ascending)).await);
        drop(given_up);
        write(store, ws, &put([(record(&n.to_string()), n)]), &head(n)).await.unwrap();
        let mut next = reader(store).await;
        assert_eq!(next.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(next.count(ws, &Prefix::Records).await.unwrap(), n);
    }
}

/// A transaction that is given up at any moment, even within its commit, is stored whole or not at all, and
/// the next one can begin.
async fn a_cancelled_commit_is_whole_or_nothing(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut seq = 0;
    for attempt in 0..60 {
        let size = if attempt % 3 == 0 { 300 } else { 2 };
        let attempt_of = |writer: Box<dyn StoreWriter>| async move {
            let mut writer = writer;
            let rows = (0..size).map(|n| (record(&n.to_string()), Some(Arc::new(row(seq + 1))))).collect();
            let flush = Flush { rows, changes: vec![Arc::new(change(seq + 1, 1, seq + 1))] };
            writer.write(ws, &flush, &head(seq + 1)).await?;
            if attempt % 2 == 0 {
                writer.head(ws).await?;
            }
            writer.commit().await
        };
        let writer = store.writer().await.unwrap();
        let told = give_up_after(attempt % 8, attempt_of(writer)).await;
        drop(give_up_after(attempt % 3, store.writer()).await);

        let mut next = store.writer().await.unwrap();
        let stored = next.head(ws).await.unwrap().unwrap().head_seq;
        assert!(stored == seq || stored == seq + 1);
        assert!(told.is_none() || stored == seq + 1);
        assert_eq!(next.changes(ws, seq, u64::MAX, 9).await.unwrap().len() as u64, stored - seq);
        if stored > seq {
            let keys: Vec<Key> = (0..size).map(|n| record(&n.to_string())).collect();
            assert_eq!(next.rows(ws, &keys).await.unwrap(), vec![Some(row(stored)); keys.len()]);
        } else {
            assert_ne!(row_of(&mut *next, ws, record("0")).await, Some(row(seq + 1)));
        }
        seq = stored;
    }
    assert_eq!(reader(store).await.head(ws).await.unwrap().unwrap().head_seq, seq);
}

// What only one store has.

mod sqlite_files {
    use super::*;

    /// Everything committed is there after closing and opening again.
    #[tokio::test]
    async fn a_database_keeps_everything_when_it_is_opened_again() {
        let directory = TempDir::new().unwrap();
        let options = SqliteOptions::new(directory.path().join("deep/down/syncline.db"));
        let mut ws = 0;
        for n in 0..3 {
            let store = SqliteStore::open(options.clone()).await.unwrap();
            if n == 0 {
                ws = workspace(&store, "w").await;
            }
            let mut reader = store.reader().await.unwrap();
            assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
            assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), n);
            drop(reader);
            let flush = flush([(record(&n.to_string()), Some(row(n)))], vec![change(n + 1, 1, n + 1)]);
            write(&store, ws, &flush, &head(n + 1)).await.unwrap();
            store.close().await;
        }
    }

    /// One process at a time: a second one is told which file is in use and what to do, and gets its turn
    /// when the first is closed.
    #[tokio::test]
    async fn a_second_process_is_refused_by_the_lock() {
        let directory = TempDir::new().unwrap();
        let first = SqliteStore::open(fast(&directory)).await.unwrap();
        // A lock of another open file counts like one of another process.
        let Err(StoreError::Unusable(text)) = SqliteStore::open(fast(&directory)).await else {
            panic!("a second server opened the database");
        };
        assert!(text.contains("syncline.db") && text.contains("stop it"), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        first.close().await;
        SqliteStore::open(fast(&directory)).await.unwrap().close().await;
    }

    /// The database is readable by its owner alone, and so is the log beside it.
    #[cfg(unix)]
    #[tokio::test]
    async fn the_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(fast(&directory)).await.unwrap();
        workspace(&store, "w").await;
        for file in ["syncline.db", "syncline.db-wal", "syncline.db.lock"] {
            let mode = std::fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        store.close().await;
    }

    /// A database that a newer server wrote is left alone.
    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let directory = TempDir::new().unwrap();
        SqliteStore::migrate_only(fast(&directory)).await.unwrap();
        let mut conn = plain_connection(&directory).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9000, 'newer', TRUE, x'00', 0)";
        sqlx::query(newer).execute(&mut conn).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        let Err(StoreError::Unusable(text)) = SqliteStore::open(fast(&directory)).await else {
            panic!("a newer database was opened");
        };
        assert!(text.contains("9000") && text.contains("newer version"), "{text}");
    }

    /// A file that is no database is named, not overwritten.
    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("syncline.db");
        std::fs::write(&path, "not a database, but long enough to be looked at as one: ".repeat(40)).unwrap();
        let before = std::fs::read(&path).unwrap();
        let result = SqliteStore::open(fast(&directory)).await.err();
        assert!(matches!(&result, Some(StoreError::Unusable(text)) if text.contains("syncline.db")), "{result:?}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    /// After readers and writers were given up, no transaction is left that would keep the log from shrinking.
    #[tokio::test]
    async fn cancelled_transactions_do_not_pin_the_log() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(fast(&directory)).await.unwrap();
        a_cancelled_reader_leaves_nothing_open(&store).await;
        for polls in 0..6 {
            drop(give_up_after(polls, store.reader()).await);
        }
        let mut conn = plain_connection(&directory).await;
        let busy: (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await.unwrap();
        assert_eq!(busy.0, 0);
        sqlx::Connection::close(conn).await.unwrap();
        store.close().await;
    }

    /// What is stored and cannot be read is reported as such, and only it.
    #[tokio::test]
    async fn damaged_rows_are_reported() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(fast(&directory)).await.unwrap();
        let ws = workspace(&store, "w").await;
        let rows = flush([(record("a"), Some(row(1))), (record("b"), Some(row(2)))], vec![change(1, 1, 1)]);
        write(&store, ws, &rows, &head(1)).await.unwrap();
        store.close().await;
        let mut conn = plain_connection(&directory).await;
        for sql in ["UPDATE state SET value = x'01ff' WHERE key = x'046100'", "UPDATE change_log SET content = x'02'"] {
            assert_eq!(sqlx::query(sql).execute(&mut conn).await.unwrap().rows_affected(), 1);
        }
        sqlx::Connection::close(conn).await.unwrap();
        let store = SqliteStore::open(fast(&directory)).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        assert!(matches!(reader.rows(ws, &[record("a")]).await, Err(StoreError::Inconsistent(_))));
        assert!(matches!(reader.changes(ws, 0, 9, 9).await, Err(StoreError::Inconsistent(_))));
        assert_eq!(row_of(&mut *reader, ws, record("b")).await, Some(row(2)));
        drop(reader);
        store.close().await;
    }

    /// A closed store says so.
    #[tokio::test]
    async fn a_closed_store_refuses_work() {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(fast(&directory)).await.unwrap();
        store.close().await;
        assert!(matches!(store.reader().await.err(), Some(StoreError::Unusable(_))));
        assert!(matches!(store.writer().await.err(), Some(StoreError::Unusable(_))));
        store.close().await;
    }

    /// A disk that is full is told apart: the transaction is undone, and reads go on.
    #[tokio::test]
    async fn a_full_disk_is_told_apart() {
        let directory = TempDir::new().unwrap();
        let options = SqliteOptions { size_bytes_max: Some(1024 * 1024), ..fast(&directory) };
        let store = SqliteStore::open(options).await.unwrap();
        let ws = workspace(&store, "w").await;
        let mut stored = 0;
        let error = loop {
            let rows = (0..400).map(|n| (record(&format!("{stored}-{n}")), Some(Arc::new(row(n))))).collect();
            match write(&store, ws, &Flush { rows, changes: vec![Arc::new(change(stored + 1, 1, stored + 1))] }, &head(stored + 1)).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::DiskFull), "{error:?}");
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(stored)));
        assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), stored * 400);
        drop(reader);
        write(&store, ws, &Flush::default(), &head(stored)).await.unwrap();
        store.close().await;
    }

    async fn plain_connection(directory: &TempDir) -> sqlx::SqliteConnection {
        use sqlx::ConnectOptions;
        let path = directory.path().join("syncline.db");
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
    }
}

mod memory_faults {
    use super::*;

    /// A fault concerns the next commit that has something to store, and is what it says.
    #[tokio::test]
    async fn a_fault_is_what_it_says() {
        let store = MemoryStore::new();
        let ws = workspace(&store, "w").await;
        for (n, fault, stored) in [
            (1, CommitFault::DiskFull, false),
            (2, CommitFault::UnknownLost, false),
            (3, CommitFault::UnknownStored, true),
        ] {
            store.fail_next_commit(fault);
            store.writer().await.unwrap().commit().await.unwrap();
            let error = write(&store, ws, &put([(record("a"), n)]), &head(n)).await.unwrap_err();
            assert_eq!(matches!(error, StoreError::DiskFull), fault == CommitFault::DiskFull);
            assert_eq!(row_of(&mut *reader(&store).await, ws, record("a")).await == Some(row(n)), stored);
        }
        write(&store, ws, &put([(record("a"), 4)]), &head(4)).await.unwrap();
    }
}
