//! Isolation, atomicity, and what happens to transactions that are given up.

use super::fixtures::*;
use syncline_core::causality::{Counter, ReplicaNo, Seq};

/// All reads of a reader show one committed state, that of its first read or of its making, however long it lives; a
/// new one shows more.
pub async fn a_reader_shows_the_state_it_began_with(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &batch([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    let mut before = reader(store).await;
    assert_eq!(before.head(ws).await.unwrap(), Some(head(1)));
    write(store, ws, &batch([(record("a"), Some(row(2)))], vec![change(2, 1, 2)]), &head(2)).await.unwrap();
    let mut after = reader(store).await;
    for (reader, n) in [(&mut before, 1), (&mut after, 2)] {
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(row_of(&mut **reader, ws, record("a")).await, Some(row(n)));
        assert_eq!(reader.changes(ws, Seq(0), Seq(u64::MAX), 10).await.unwrap().len() as u64, n);
    }
}

/// Readers see a transaction as a whole, and only once it is committed.
pub async fn nothing_shows_before_the_commit(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &batch([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    // A read makes stores that gather writes send them.
    assert_eq!(row_of(&mut *writer, ws, record("a")).await, Some(row(1)));
    let mut during = reader(store).await;
    assert_eq!(row_of(&mut *during, ws, record("a")).await, None);
    assert_eq!(during.head(ws).await.unwrap(), Some(head(0)));
    drop(during);
    writer.commit().await.unwrap();
    let mut after = reader(store).await;
    assert_eq!(row_of(&mut *after, ws, record("a")).await, Some(row(1)));
    assert_eq!(after.change_of(ws, ReplicaNo(1), Counter::FIRST).await.unwrap(), Some(change(1, 1, 1)));
}

/// Within a transaction, reads show its own writes.
pub async fn a_writer_reads_what_it_wrote(store: &dyn Store) {
    let mut writer = store.writer().await.unwrap();
    let ws = writer.create_workspace("w", "W", 1, &head(0)).await.unwrap();
    assert_eq!(writer.workspace("w").await.unwrap().unwrap().no, ws);
    for n in 1..=3 {
        let rows = [(record("a"), Some(row(n))), (record(&format!("b{n}")), Some(row(n)))];
        writer.write(ws, &batch(rows, vec![change(n, 1, n)]), &head(n)).await.unwrap();
        assert_eq!(row_of(&mut *writer, ws, record("a")).await, Some(row(n)));
        assert_eq!(writer.head(ws).await.unwrap(), Some(head(n)));
        assert_eq!(writer.count(ws, &Prefix::Records).await.unwrap(), n + 1);
        assert_eq!(writer.changes(ws, Seq(0), Seq(n), 10).await.unwrap().len() as u64, n);
    }
    writer.commit().await.unwrap();
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 4);
}

/// Dropping a writer undoes all it did, whether or not the database had seen it.
pub async fn a_dropped_writer_undoes_everything(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    for sent in [false, true] {
        let mut writer = store.writer().await.unwrap();
        let lost =
            if sent { Some(writer.create_workspace("lost", "L", 1, &head(0)).await.unwrap()) } else { None };
        writer
            .write(ws, &batch([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1))
            .await
            .unwrap();
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
        assert_eq!(reader.change_of(ws, ReplicaNo(1), Counter::FIRST).await.unwrap(), None);
    }
    // Neither the position nor the operation is taken.
    write(store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
}

/// A second writer waits until the first is done, in whichever way, and then reads the newest state in everything it
/// asks. Where several servers share the database it waits at the workspace's head, and only for writers that asked
/// for that head; otherwise it waits to begin.
pub async fn one_writer_at_a_time(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let other = workspace(store, "other").await;
    for (n, commit) in [(1, true), (2, false)] {
        let mut first = store.writer().await.unwrap();
        let before = first.head(ws).await.unwrap().unwrap();
        first.write(ws, &put([(record("a"), n)]), &head(n)).await.unwrap();
        if store.shared().is_some() {
            let mut elsewhere = store.writer().await.unwrap();
            assert_eq!(elsewhere.head(other).await.unwrap(), Some(head(0)));
        }
        let mut second = pin!(async {
            let mut second = store.writer().await.unwrap();
            let locked = second.head(ws).await.unwrap();
            (locked, row_of(&mut *second, ws, record("a")).await)
        });
        assert!(stays_pending(second.as_mut()).await);
        if commit {
            first.commit().await.unwrap();
        } else {
            drop(first);
        }
        let after = if commit { head(n) } else { before };
        assert_eq!(second.await, (Some(after), Some(row(after.head_seq.0))));
    }
}

/// When a step fails, the commit fails too and nothing is stored: a half transaction is none.
pub async fn a_failed_transaction_keeps_nothing(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    writer.write(ws, &put([(record("a"), 1)]), &head(0)).await.unwrap();
    assert!(matches!(
        writer.create_workspace("w", "W", 1, &head(0)).await,
        Err(StoreError::WorkspaceExists(_))
    ));
    assert!(writer.head(ws).await.is_err());
    assert!(writer.write(ws, &put([(record("b"), 1)]), &head(0)).await.is_err());
    assert!(writer.commit().await.is_err());
    assert_eq!(reader(store).await.count(ws, &Prefix::Records).await.unwrap(), 0);
}

/// A failure concerns one transaction only.
pub async fn a_writer_goes_on_after_one_that_failed(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    write(store, ws, &batch([], vec![change(1, 1, 1)]), &head(1)).await.unwrap();
    for _ in 0..3 {
        write(store, ws, &batch([(record("a"), Some(row(1)))], vec![change(1, 1, 1)]), &head(1))
            .await
            .unwrap_err();
        drop(store.writer().await.unwrap());
    }
    write(store, ws, &batch([(record("b"), Some(row(1)))], vec![change(2, 1, 2)]), &head(2)).await.unwrap();
    let (keys, _) = page(store, ws, &Prefix::Records, None, 9, Order::Ascending).await;
    assert_eq!(keys, [record("b")]);
}

/// A reader that is given up at any moment holds nothing: others get their turn and see what is committed.
pub async fn a_cancelled_reader_leaves_nothing_open(store: &dyn Store) {
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
pub async fn a_cancelled_commit_is_whole_or_nothing(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut seq = 0;
    for attempt in 0..60 {
        let size = if attempt % 3 == 0 { 300 } else { 2 };
        let attempt_of = |writer: Box<dyn StoreWriter>| async move {
            let mut writer = writer;
            let rows = (0..size).map(|n| (record(&n.to_string()), Some(Arc::new(row(seq + 1))))).collect();
            let batch = WriteBatch { rows, changes: vec![Arc::new(change(seq + 1, 1, seq + 1))] };
            writer.write(ws, &batch, &head(seq + 1)).await?;
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
        assert_eq!(next.changes(ws, Seq(seq), Seq(u64::MAX), 9).await.unwrap().len() as u64, stored - seq);
        if stored > seq {
            let keys: Vec<Key> = (0..size).map(|n| record(&n.to_string())).collect();
            assert_eq!(next.rows(ws, &keys).await.unwrap(), vec![Some(row(stored.0)); keys.len()]);
        } else {
            assert_ne!(row_of(&mut *next, ws, record("0")).await, Some(row(seq + 1)));
        }
        seq = stored.0;
    }
    assert_eq!(reader(store).await.head(ws).await.unwrap().unwrap().head_seq, seq);
}
