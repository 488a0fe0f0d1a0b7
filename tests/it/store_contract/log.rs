//! The log of changes, and sizes of everything.

use super::fixtures::*;
use syncline_core::causality::{Counter, ReplicaNo, Seq};

pub async fn log_of(store: &dyn Store, length: u64) -> WorkspaceNo {
    let ws = workspace(store, "w").await;
    let changes = (1..=length).map(|seq| change(seq, (seq % 3) as u32, seq)).collect();
    write(store, ws, &batch([], changes), &head(length)).await.unwrap();
    ws
}

pub async fn seqs(store: &dyn Store, ws: WorkspaceNo, from: u64, to: u64, limit: usize) -> Vec<u64> {
    reader(store)
        .await
        .changes(ws, Seq(from), Seq(to), limit)
        .await
        .unwrap()
        .iter()
        .map(|c| c.seq.0)
        .collect()
}

/// Changes come back as written and in order, after the lower bound and up to the upper one.
pub async fn the_log_is_in_order(store: &dyn Store) {
    let ws = log_of(store, 20).await;
    assert_eq!(seqs(store, ws, 0, u64::MAX, usize::MAX).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(seqs(store, ws, 3, 6, 99).await, [4, 5, 6]);
    assert_eq!(seqs(store, ws, 19, 30, 99).await, [20]);
    for (from, to) in [(20, u64::MAX), (6, 6), (6, 3), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(seqs(store, ws, from, to, 99).await, Vec::<u64>::new());
    }
    let one = reader(store).await.changes(ws, Seq(6), Seq(7), 9).await.unwrap();
    assert_eq!(one, [change(7, 1, 7)]);
}

/// The log is read on from the last position seen.
pub async fn the_log_is_read_in_pages(store: &dyn Store) {
    let ws = log_of(store, 600).await;
    let mut seen = 0;
    for expected in [250, 250, 100, 0] {
        let page = seqs(store, ws, seen, u64::MAX, 250).await;
        assert_eq!(page, (seen + 1..=seen + expected).collect::<Vec<_>>());
        seen += expected;
    }
    assert_eq!(seqs(store, ws, 0, 600, 0).await, Vec::<u64>::new());
}

/// An operation leads to its change, with counters of all 64 bits.
pub async fn a_change_is_found_by_its_operation(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let dots = [(0, 1), (1, 1), (1, 2), (u32::MAX, i64::MAX as u64), (u32::MAX, u64::MAX)];
    let changes: Vec<Change> = dots.iter().zip(1..).map(|((r, c), seq)| change(seq, *r, *c)).collect();
    write(store, ws, &batch([], changes.clone()), &head(5)).await.unwrap();
    let mut reader = reader(store).await;
    for (expected, (replica_no, counter)) in changes.into_iter().zip(dots) {
        assert_eq!(
            reader.change_of(ws, ReplicaNo(replica_no), Counter(counter)).await.unwrap(),
            Some(expected)
        );
    }
    for (replica_no, counter) in [(0, 2), (2, 1), (1, 0), (u32::MAX, u64::MAX - 1)] {
        assert_eq!(reader.change_of(ws, ReplicaNo(replica_no), Counter(counter)).await.unwrap(), None);
    }
}

/// A position holds one change for ever: a second one is refused, in a later transaction or the same one.
pub async fn a_position_is_taken_once(store: &dyn Store) {
    let ws = log_of(store, 1).await;
    for changes in [vec![change(1, 9, 9)], vec![change(2, 9, 9), change(2, 9, 10)]] {
        let batch = batch([(record("a"), Some(row(1)))], changes);
        let result = write(store, ws, &batch, &head(2)).await;
        assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
    }
    let mut reader = reader(store).await;
    assert_eq!(reader.head(ws).await.unwrap(), Some(head(1)));
    assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), 0);
    assert_eq!(reader.changes(ws, Seq(0), Seq(9), 9).await.unwrap(), [change(1, 1, 1)]);
}

/// An operation settles once: a second change of one replica and counter is refused.
pub async fn an_operation_is_in_the_log_once(store: &dyn Store) {
    let ws = log_of(store, 1).await;
    for changes in [vec![change(2, 1, 1)], vec![change(2, 9, 9), change(3, 9, 9)]] {
        let result = write(store, ws, &batch([], changes), &head(3)).await;
        assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
    }
    assert_eq!(seqs(store, ws, 0, 9, 9).await, [1]);
    write(store, ws, &batch([], vec![change(2, 1, 2), change(3, 2, 1)]), &head(3)).await.unwrap();
}

/// A transaction takes flushes of many workspaces and stores them together.
pub async fn one_transaction_writes_several_workspaces(store: &dyn Store) {
    let mut workspaces = Vec::new();
    for n in 0..70 {
        workspaces.push(workspace(store, &format!("w{n}")).await);
    }
    for count in [1, 2, 4, 5, 64, 70] {
        let mut writer = store.writer().await.unwrap();
        for ws in &workspaces[..count] {
            let n = count as u64;
            let batch = batch([(record("a"), Some(row(n)))], vec![change(n, 1, n)]);
            writer.write(*ws, &batch, &head(n)).await.unwrap();
        }
        writer.commit().await.unwrap();
        let mut reader = reader(store).await;
        for ws in &workspaces[..count] {
            assert_eq!(reader.head(*ws).await.unwrap(), Some(head(count as u64)));
            assert_eq!(row_of(&mut *reader, *ws, record("a")).await, Some(row(count as u64)));
            assert!(reader.change_of(*ws, ReplicaNo(1), Counter(count as u64)).await.unwrap().is_some());
        }
    }
    let mut writer = store.writer().await.unwrap();
    for ws in &workspaces[1..69] {
        writer
            .write(*ws, &batch([(record("a"), None), (record("b"), None)], Vec::new()), &head(71))
            .await
            .unwrap();
    }
    writer.commit().await.unwrap();
    let mut reader = reader(store).await;
    for (n, ws) in workspaces.iter().enumerate() {
        let left = u64::from(n == 0 || n == 69);
        assert_eq!(reader.count(*ws, &Prefix::Records).await.unwrap(), left);
    }
}

/// Large values are kept whole, in rows and in the log.
pub async fn a_megabyte_comes_back_whole(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut big = change(1, 1, 1);
    let bytes: Vec<u8> = (0..1024 * 1024).map(|n: usize| ((n * 31) >> 3) as u8).collect();
    big.effects[0].kind = EffectKind::Register { value: Some(Value::Bytes(bytes.clone())) };
    let element =
        ElementRow { value: Value::Bytes(bytes), additions: Vec::new(), unknown: Default::default() };
    let rows = [(record("a"), Some(Row::Element(element.clone()))), (record("b"), Some(row(1)))];
    write(store, ws, &batch(rows, vec![big.clone()]), &head(1)).await.unwrap();
    let mut reader = reader(store).await;
    assert_eq!(row_of(&mut *reader, ws, record("a")).await, Some(Row::Element(element)));
    assert_eq!(row_of(&mut *reader, ws, record("b")).await, Some(row(1)));
    assert_eq!(reader.changes(ws, Seq(0), Seq(1), 1).await.unwrap(), [big]);
}

/// No size of a batch is too large, or falls between two sizes of statements: rows, deletions and changes.
pub async fn flushes_of_all_sizes_are_stored(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut seq = 0;
    for count in [1, 2, 3, 4, 5, 33, 64, 65, 128, 129, 256, 257, 1_500] {
        let changes: Vec<_> = (0..count).map(|n| Arc::new(change(seq + n + 1, 1, seq + n + 1))).collect();
        let rows = (0..count).map(|n| (record(&n.to_string()), Some(Arc::new(row(count))))).collect();
        seq += count;
        write(store, ws, &WriteBatch { rows, changes }, &head(seq)).await.unwrap();
        let mut before = reader(store).await;
        assert_eq!(before.count(ws, &Prefix::Records).await.unwrap(), count);
        assert_eq!(before.changes(ws, Seq(0), Seq(seq), usize::MAX).await.unwrap().len() as u64, seq);
        assert_eq!(row_of(&mut *before, ws, record(&(count - 1).to_string())).await, Some(row(count)));
        drop(before);
        let rows = (0..count).map(|n| (record(&n.to_string()), None)).collect();
        write(store, ws, &WriteBatch { rows, changes: Vec::new() }, &head(seq)).await.unwrap();
        assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
    }
}
