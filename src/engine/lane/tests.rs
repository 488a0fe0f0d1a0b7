//! What fails in one job fails that job alone: a store that does as it is told for one workspace, and innocent calls in
//! the same batch.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::{Clock, Engine, EngineError, EngineOptions, StoreFailure, SystemRandomness};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, StoreReader, StoreWriter};
use syncline_core::ids::WorkspaceNo;
use syncline_core::operation::{Action, Identity, Knowledge, Operation, RecordMutation};
use syncline_core::schema::SchemaUpdate;
use syncline_core::state::{WorkspaceHead, WriteBatch};

/// What the engine may take for a stop, beyond the drain time: with that by default, a server ends within 30 seconds.
const STOP_MAX: Duration = Duration::from_secs(8);

/// What happens to the workspace that was created first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// A row of it cannot be read.
    Damaged,
    /// Reading a row of it panics.
    Panics,
    /// Its writes are refused as they are handed over.
    Refused,
    /// Its writes are refused by the commit, which does not say whose they are.
    RefusedAtCommit,
}

const BAD: WorkspaceNo = WorkspaceNo(1);

/// A store in memory with trouble.
struct Troubled {
    inner: MemoryStore,
    trouble: Arc<Mutex<Trouble>>,
    /// Held while a writer is asked for, so that a test can let jobs pile up.
    gate: Arc<tokio::sync::Mutex<()>>,
}

struct TroubledWriter {
    inner: Box<dyn StoreWriter>,
    trouble: Trouble,
    wrote_bad: bool,
}

impl TroubledWriter {
    fn look(&self, ws: WorkspaceNo) -> Result<(), StoreError> {
        match self.trouble {
            Trouble::Damaged if ws == BAD => Err(StoreError::Inconsistent("a damaged row".to_owned())),
            Trouble::Panics if ws == BAD => panic!("the code does not expect this row"),
            _ => Ok(()),
        }
    }
}

macro_rules! read {
    ($self:ident, rows($ws:expr, $keys:expr)) => {{
        $self.look($ws)?;
        $self.inner.rows($ws, $keys).await
    }};
    ($self:ident, $method:ident($($argument:expr),*)) => {
        $self.inner.$method($($argument),*).await
    };
}

crate::store_reader!(TroubledWriter, read);

#[async_trait]
impl StoreWriter for TroubledWriter {
    async fn create_workspace(
        &mut self,
        id: &str,
        display_name: &str,
        created_at_ms: i64,
        head: &WorkspaceHead,
    ) -> Result<WorkspaceNo, StoreError> {
        self.inner.create_workspace(id, display_name, created_at_ms, head).await
    }

    async fn write(
        &mut self,
        ws: WorkspaceNo,
        batch: &WriteBatch,
        head: &WorkspaceHead,
    ) -> Result<(), StoreError> {
        if self.trouble == Trouble::Refused && ws == BAD {
            return Err(StoreError::Refused("too large".to_owned()));
        }
        self.wrote_bad |= ws == BAD;
        self.inner.write(ws, batch, head).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.trouble == Trouble::RefusedAtCommit && self.wrote_bad {
            return Err(StoreError::Refused("too large".to_owned()));
        }
        self.inner.commit().await
    }
}

#[async_trait]
impl Store for Troubled {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        self.inner.reader().await
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        drop(self.gate.lock().await);
        let inner = self.inner.writer().await?;
        let trouble = *self.trouble.lock().expect("no panic under it");
        Ok(Box::new(TroubledWriter { inner, trouble, wrote_bad: false }))
    }

    fn name(&self) -> &'static str {
        "troubled"
    }

    async fn close(&self) {
        drop(self.gate.lock().await);
        self.inner.close().await;
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000
    }
}

/// An engine over such a store, with the workspaces `bad`, `one`, `two` and `three`.
struct Bench {
    engine: Engine,
    trouble: Arc<Mutex<Trouble>>,
    gate: Arc<tokio::sync::Mutex<()>>,
}

async fn bench() -> Bench {
    let (trouble, gate) = (Arc::new(Mutex::new(Trouble::None)), Arc::default());
    let store =
        Troubled { inner: MemoryStore::new(), trouble: Arc::clone(&trouble), gate: Arc::clone(&gate) };
    let engine = Engine::start(
        Arc::new(store),
        EngineOptions::default(),
        Arc::new(FixedClock),
        Arc::new(SystemRandomness),
    );
    let engine = engine.await.expect("an engine");
    for id in ["bad", "one", "two", "three"] {
        engine.create_workspace(id, "", &SchemaUpdate::default()).await.expect("a workspace");
    }
    Bench { engine, trouble, gate }
}

impl Bench {
    /// Submits to all workspaces in one batch, twice to the bad one, and returns what came of each.
    async fn together(
        &self,
        trouble: Trouble,
        round: usize,
    ) -> Vec<(&'static str, Result<u64, EngineError>)> {
        *self.trouble.lock().expect("no panic under it") = trouble;
        let gate = self.gate.lock().await;
        let mut calls = Vec::new();
        // The first job opens the batch, and the others pile up behind it at the gate.
        for id in ["three", "one", "bad", "two", "bad", "one"] {
            let engine = self.engine.clone();
            let operation = write(&format!("{round}-{}", calls.len()));
            let call = tokio::spawn(async move { engine.submit(id, vec![operation], false).await });
            calls.push((id, call));
            tokio::task::yield_now().await;
        }
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        drop(gate);
        let mut came = Vec::new();
        for (id, call) in calls {
            came.push((id, call.await.expect("no panic in a caller").map(|(_, head_seq)| head_seq)));
        }
        came
    }
}

/// Creates a record of this name.
pub(in crate::engine) fn write(name: &str) -> Operation {
    let create = RecordMutation {
        collection: "cards".into(),
        record: name.into(),
        action: Action::Create { fields: vec![], replace_deleted: false },
        observed_seq: None,
        resolves: None,
    };
    Operation {
        identity: Identity::Request(name.into()),
        knowledge: Knowledge::Latest,
        mutations: vec![create.into()],
        depends_on: vec![],
        after_requests: vec![],
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

/// In two rounds, since a workspace whose job failed settles apart afterwards.
async fn only_the_bad_one_fails(trouble: Trouble, expected: EngineError) -> Bench {
    let bench = bench().await;
    for round in 0..2 {
        let came = bench.together(trouble, round).await;
        for (id, answer) in came {
            match id {
                "bad" => assert_eq!(answer, Err(expected.clone()), "{trouble:?}"),
                _ => assert!(answer.is_ok(), "{trouble:?}: {id}: {answer:?}"),
            }
        }
    }
    for (id, head_seq) in [("bad", 0), ("one", 4), ("two", 2), ("three", 2)] {
        let status = bench.engine.workspace(id).await.expect("reads go on");
        assert_eq!(
            status.head.head_seq.0, head_seq,
            "{trouble:?}: {id} has what was acknowledged and no more"
        );
    }
    bench
}

#[tokio::test]
async fn a_panic_over_one_job_fails_that_job_and_the_lane_goes_on() {
    let bench = only_the_bad_one_fails(Trouble::Panics, EngineError::Panicked).await;
    let came = bench.together(Trouble::None, 9).await;
    assert!(came.iter().all(|(_, answer)| answer.is_ok()), "{came:?}");
}

#[tokio::test]
async fn a_value_that_the_database_refuses_fails_its_job() {
    let refused = EngineError::Store(StoreFailure::Refused);
    for trouble in [Trouble::Refused, Trouble::RefusedAtCommit] {
        let bench = only_the_bad_one_fails(trouble, refused.clone()).await;
        let came = bench.together(Trouble::None, 9).await;
        assert!(came.iter().all(|(_, answer)| answer.is_ok()), "{came:?}");
    }
}

#[tokio::test]
async fn a_workspace_with_damaged_data_is_read_only_and_the_others_do_not_notice() {
    let read_only = EngineError::WorkspaceReadOnly { id: "bad".to_owned() };
    let bench = only_the_bad_one_fails(Trouble::Damaged, read_only.clone()).await;
    // Whatever is written to: the server builds on nothing that is wrong, and tries it anew when it is started again.
    let answer = bench.engine.submit("bad", vec![write("elsewhere")], false).await;
    assert_eq!(answer, Err(read_only));
}

/// Time passes as fast as the tasks allow.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_although_the_database_does_not_answer() {
    let bench = bench().await;
    let _gate = bench.gate.lock().await;
    let engine = bench.engine.clone();
    let call = tokio::spawn(async move { engine.submit("one", vec![write("a")], false).await });
    tokio::task::yield_now().await;
    let stopped = tokio::time::timeout(STOP_MAX, bench.engine.stop()).await;
    assert!(stopped.is_ok(), "the engine is still stopping after {STOP_MAX:?}");
    assert!(!call.is_finished(), "nobody knows what became of what the database was given");
}
