//! Faults that only the store in memory can simulate.

use syncline::store::memory::{CommitFault, MemoryStore};

use super::fixtures::*;

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
