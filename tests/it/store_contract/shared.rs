//! What servers that share a store tell and ask each other. Every law gets the handles of two servers.

use std::time::Duration;
use syncline_core::causality::Seq;
use syncline_core::ids::ReplicaId;

use super::fixtures::*;
use syncline::store::{Announced, ConnectionContent, SharedConnection, SharedStore};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// A workspace with connections, and those whose numbers come before and after it.
const WS: WorkspaceNo = WorkspaceNo(5);
const BEFORE: WorkspaceNo = WorkspaceNo(4);
const NEXT: WorkspaceNo = WorkspaceNo(6);

fn shared(store: &dyn Store) -> Arc<dyn SharedStore> {
    store.shared().expect("a store that servers share")
}

/// Announces until the listener has heard it. What is announced before somebody listens may be lost.
async fn announce_until_heard(speaker: &dyn SharedStore, listener: &dyn SharedStore, ws: WorkspaceNo) {
    tokio::time::timeout(PATIENCE, async {
        speaker.announce(&[ws]).await.unwrap();
        loop {
            match listener.announced().await {
                Announced::Workspaces(heard) if heard.contains(&ws) => return,
                Announced::Workspaces(_) => {}
                Announced::Unsure => speaker.announce(&[ws]).await.unwrap(),
            }
        }
    })
    .await
    .expect("the announcement is heard");
}

/// What one server announces all hear, itself included, however many workspaces it names.
pub async fn announcements_reach_every_server(first: &dyn Store, second: &dyn Store) {
    let (first, second) = (shared(first), shared(second));
    for n in 1..=3 {
        announce_until_heard(&*first, &*second, WorkspaceNo(n)).await;
        announce_until_heard(&*first, &*first, WorkspaceNo(n)).await;
        announce_until_heard(&*second, &*first, WorkspaceNo(n + 10)).await;
    }
    let all: Vec<WorkspaceNo> = (0..3_000).map(|n| WorkspaceNo(i64::MAX - n)).collect();
    first.announce(&all).await.unwrap();
    let mut missing: std::collections::BTreeSet<_> = all.iter().copied().collect();
    tokio::time::timeout(PATIENCE, async {
        while !missing.is_empty() {
            match second.announced().await {
                Announced::Workspaces(heard) => missing.retain(|ws| !heard.contains(ws)),
                Announced::Unsure => panic!("nothing was lost"),
            }
        }
    })
    .await
    .expect("all are heard");
}

/// Heads are those that are committed, by whichever server; workspaces that are not there are left out.
pub async fn heads_of_many_are_the_committed_ones(first: &dyn Store, second: &dyn Store) {
    let mut workspaces = Vec::new();
    for n in 0..5 {
        let ws = workspace(first, &format!("w{n}")).await;
        write(second, ws, &WriteBatch::default(), &head(n)).await.unwrap();
        workspaces.push(ws);
    }
    let mut open = first.writer().await.unwrap();
    open.write(workspaces[0], &WriteBatch::default(), &head(99)).await.unwrap();
    assert_eq!(open.head(workspaces[0]).await.unwrap(), Some(head(99)));
    let mut asked = workspaces.clone();
    asked.push(WorkspaceNo(i64::MAX));
    for store in [first, second] {
        let mut heads = shared(store).heads(&asked).await.unwrap();
        heads.sort_by_key(|(ws, _)| *ws);
        let expected: Vec<_> = workspaces.iter().zip(0..).map(|(ws, n)| (*ws, head(n))).collect();
        assert_eq!(heads, expected);
        assert_eq!(shared(store).heads(&[]).await.unwrap(), []);
    }
}

/// First keys of a range come for every workspace, in the order of the numbers and in pages.
pub async fn first_keys_are_listed_by_workspace(first: &dyn Store, second: &dyn Store) {
    let mut expected = Vec::new();
    for n in 0..5_u64 {
        let ws = workspace(first, &format!("w{n}")).await;
        let conflict = ConflictId { opened_seq: Seq(1), index: 0 };
        let reminder = |at: i64| Key::Reminder(at, conflict);
        if n % 2 == 0 {
            let at = i64::try_from(n).unwrap();
            let rows = put([(reminder(at + 5), 1), (reminder(at), 1), (record("a"), 1)]);
            write(first, ws, &rows, &head(n)).await.unwrap();
            expected.push((ws, Some(reminder(at))));
        } else {
            write(first, ws, &put([(record("a"), 1)]), &head(n)).await.unwrap();
            expected.push((ws, None));
        }
    }
    let mut seen = Vec::new();
    for count in [2, 2, 1, 0] {
        let after = seen.last().map_or(WorkspaceNo(0), |(ws, _)| *ws);
        let page = shared(second).first_keys(&Prefix::Reminders, after, 2).await.unwrap();
        assert_eq!(page.len(), count);
        seen.extend(page);
    }
    assert_eq!(seen, expected);
}

fn connection(ws: WorkspaceNo, id: u128, lease_ms: u64, name: &str) -> SharedConnection {
    let content = ConnectionContent {
        server: Uuid::from_u128(7),
        workspace: Arc::from("w"),
        replica: Some(ReplicaId::from_u128(3)),
        client_name: Arc::from(name),
        actor: Arc::from("somebody"),
        streams: true,
        connected_at_ms: -1,
        last_heartbeat_at_ms: i64::MAX,
        seq: u64::MAX,
        round_trip_us: 1,
        jitter_us: 2,
        received_count: 3,
        missed_count: 4,
    };
    SharedConnection { ws, id: Uuid::from_u128(id), lease_ms, content }
}

/// A connection that one server writes all servers see as it was last written, until it is removed.
pub async fn a_connection_is_seen_by_every_server(first: &dyn Store, second: &dyn Store) {
    let (first, second) = (shared(first), shared(second));
    let id = Uuid::from_u128(1);
    for name in ["first", "renewed"] {
        let put = connection(WS, 1, 60_000, name);
        first.put_connections(&[connection(WS, 1, 60_000, "older"), put.clone()]).await.unwrap();
        let seen = second.connection(WS, id).await.unwrap().unwrap();
        assert!(seen.lease_ms > 0 && seen.lease_ms <= 60_000, "{}", seen.lease_ms);
        assert_eq!(SharedConnection { lease_ms: 60_000, ..seen }, put);
    }
    assert_eq!(second.connection(NEXT, id).await.unwrap(), None);
    assert_eq!(second.connection(WS, Uuid::from_u128(2)).await.unwrap(), None);
    second.remove_connections(&[(WS, id), (WS, Uuid::from_u128(2)), (NEXT, id)]).await.unwrap();
    assert_eq!(first.connection(WS, id).await.unwrap(), None);
    first.put_connections(&[]).await.unwrap();
    first.remove_connections(&[]).await.unwrap();
}

/// A workspace's connections are listed by id in pages, and no other workspace's.
pub async fn connections_are_listed_in_pages(first: &dyn Store, second: &dyn Store) {
    let ids = [0, 1, 255, 256, u128::MAX];
    let mut all: Vec<_> = ids.iter().rev().map(|id| connection(WS, *id, 60_000, "here")).collect();
    all.extend([connection(BEFORE, 9, 60_000, "there"), connection(NEXT, 9, 60_000, "there")]);
    shared(first).put_connections(&all).await.unwrap();
    let mut seen: Vec<Uuid> = Vec::new();
    for count in [2, 2, 1, 0] {
        let page = shared(second).connections(WS, seen.last().copied(), 2).await.unwrap();
        assert_eq!(page.len(), count);
        assert!(page.iter().all(|c| c.ws == WS && &*c.content.client_name == "here"));
        seen.extend(page.into_iter().map(|c| c.id));
    }
    assert_eq!(seen, ids.map(Uuid::from_u128));
}

/// When its lease ends without being renewed, a connection is gone for everybody.
pub async fn a_connection_ends_with_its_lease(first: &dyn Store, second: &dyn Store) {
    let (first, second) = (shared(first), shared(second));
    first
        .put_connections(&[connection(WS, 1, 200, "short"), connection(WS, 2, 60_000, "long")])
        .await
        .unwrap();
    let gone = async {
        while second.connection(WS, Uuid::from_u128(1)).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the lease ends");
    let left = second.connections(WS, None, 9).await.unwrap();
    assert_eq!(left.iter().map(|c| c.id).collect::<Vec<_>>(), [Uuid::from_u128(2)]);
    // Whoever writes next clears it away, and it can come back.
    first.put_connections(&[connection(WS, 1, 60_000, "back")]).await.unwrap();
    assert_eq!(second.connections(WS, None, 9).await.unwrap().len(), 2);
}

/// A server that asks for a head waits until the other's transaction has ended, and then reads what that one wrote, in
/// everything it asks.
pub async fn a_head_waits_for_the_other_server(first: &dyn Store, second: &dyn Store) {
    let ws = workspace(first, "w").await;
    for n in 1..=3 {
        let mut writer = first.writer().await.unwrap();
        writer.head(ws).await.unwrap();
        writer
            .write(ws, &batch([(record("a"), Some(row(n)))], vec![change(n, 1, n)]), &head(n))
            .await
            .unwrap();
        let mut waiting = pin!(async {
            let mut writer = second.writer().await.unwrap();
            let locked = writer.head(ws).await.unwrap();
            let changes = writer.changes(ws, Seq(0), Seq(u64::MAX), 9).await.unwrap().len() as u64;
            (locked, row_of(&mut *writer, ws, record("a")).await, changes)
        });
        assert!(stays_pending(waiting.as_mut()).await);
        writer.commit().await.unwrap();
        assert_eq!(waiting.await, (Some(head(n)), Some(row(n)), n));
    }
}

/// Servers that write at the same time, each under the lock of the head, leave one log without gaps, and rows that hold
/// what the last of them read and added.
pub async fn servers_that_write_at_once_leave_one_log(first: &dyn Store, second: &dyn Store) {
    const COMMITS: u64 = 30;
    let ws = workspace(first, "w").await;
    let writing = async |store: &dyn Store, replica: u32| {
        for counter in 1..=COMMITS {
            let mut writer = store.writer().await.unwrap();
            let seq = writer.head(ws).await.unwrap().unwrap().head_seq + 1;
            let read = row_of(&mut *writer, ws, record("sum")).await;
            assert_eq!(read, (seq > 1).then(|| row((seq - 1).0)), "a row as of the locked head");
            let batch = batch([(record("sum"), Some(row(seq.0)))], vec![change(seq.0, replica, counter)]);
            writer.write(ws, &batch, &head(seq.0)).await.unwrap();
            writer.commit().await.unwrap();
        }
    };
    tokio::join!(writing(first, 1), writing(second, 2), writing(first, 3), writing(second, 4));
    let seqs = super::log::seqs(second, ws, 0, u64::MAX, usize::MAX).await;
    assert_eq!(seqs, (1..=4 * COMMITS).collect::<Vec<_>>());
}
