//! Workspaces and their heads.

use super::fixtures::*;
use syncline_core::causality::Seq;
use syncline_core::ids::Epoch;

/// A workspace is found by the id it was made with, and nothing else is.
pub async fn a_workspace_is_found_by_its_id(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    let mut reader = reader(store).await;
    let info = reader.workspace("w").await.unwrap().unwrap();
    assert_eq!((info.no, &*info.id, &*info.display_name, info.created_at_ms), (ws, "w", "A workspace", 42));
    assert_eq!(reader.workspace("W").await.unwrap(), None);
    assert_eq!(reader.head(after(ws)).await.unwrap(), None);
}

/// The list is sorted by id and goes on after the last one seen.
pub async fn workspaces_are_listed_by_id_in_pages(store: &dyn Store) {
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
pub async fn a_workspace_id_is_given_once(store: &dyn Store) {
    let first = workspace(store, "w").await;
    let mut writer = store.writer().await.unwrap();
    let second = writer.create_workspace("w", "Other", 1, &head(9)).await;
    assert!(matches!(second, Err(StoreError::WorkspaceExists(id)) if &*id == "w"));
    drop(writer);
    let mut reader = reader(store).await;
    assert_eq!(reader.head(first).await.unwrap(), Some(head(0)));
    assert_eq!(reader.workspaces(None, 10).await.unwrap().len(), 1);
}

/// A transaction with a batch for a workspace that is not there stores nothing and makes no head.
pub async fn writing_to_an_absent_workspace_fails(store: &dyn Store) {
    let ws = workspace(store, "w").await;
    for others in [0, 1, 300] {
        let mut writer = store.writer().await.unwrap();
        let rows = (0..others).map(|n| (record(&n.to_string()), Some(Arc::new(row(n))))).collect();
        writer
            .write(ws, &WriteBatch { rows, changes: vec![Arc::new(change(1, 1, 1))] }, &head(1))
            .await
            .unwrap();
        let absent = put([(record("a"), 1)]);
        let result = match writer.write(after(ws), &absent, &head(1)).await {
            Ok(()) => writer.commit().await,
            Err(error) => Err(error),
        };
        assert!(matches!(result, Err(StoreError::Inconsistent(_))), "{result:?}");
        let mut reader = reader(store).await;
        assert_eq!(reader.head(ws).await.unwrap(), Some(head(0)));
        assert_eq!(reader.count(ws, &Prefix::Records).await.unwrap(), 0);
        assert_eq!(reader.head(after(ws)).await.unwrap(), None);
        assert_eq!(reader.count(after(ws), &Prefix::Records).await.unwrap(), 0);
    }
}

/// Heads come back as written, with epochs of all 64 bits.
pub async fn a_head_comes_back_with_all_its_bits(store: &dyn Store) {
    let heads = [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX].map(|epoch| WorkspaceHead {
        epoch: Epoch(epoch),
        head_seq: Seq(1 << 60),
        chain: [255; 16],
        replica_count: u32::MAX,
        commit_count: u64::MAX,
    });
    for (n, made) in heads.iter().enumerate() {
        let mut writer = store.writer().await.unwrap();
        let ws = writer.create_workspace(&format!("w{n}"), "", 0, made).await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(reader(store).await.head(ws).await.unwrap(), Some(*made));
        for moved in &heads {
            write(store, ws, &WriteBatch::default(), moved).await.unwrap();
            assert_eq!(reader(store).await.head(ws).await.unwrap(), Some(*moved));
        }
    }
}
