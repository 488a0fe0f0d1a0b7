//! The process whose power is cut: the engine over a database on the disk, its writers, and a feed.
//!
//! It is this test binary again, in a process of its own, because a cut can kill it (a page of a file that cannot be
//! written any more is a bus error) and because everything it holds has to be gone before the disk can be unmounted.
//! It opens the database, checks it, says what the log has, and then writes until it ends. What it says goes through a
//! pipe, a line for each fact.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use syncline_core::causality::{Counter, Seq};

use sqlx::ConnectOptions as _;
use syncline::engine::feed::{FeedItem, Opened, Origin};
use syncline::engine::{Engine, EngineOptions, SystemClock, SystemRandomness};
use syncline::store::Store;
use syncline::store::sqlite::{SqliteOptions, SqliteStore};
use syncline_core::ids::{Dot, Epoch, ReplicaId};
use syncline_core::operation::{
    Action, CausalContext, Identity, Knowledge, Operation, Outcome, Receipt, RecordMutation,
};
use syncline_core::resume::{Asked, Resume};
use syncline_core::schema::SchemaUpdate;
use syncline_core::selection::Collections;
use syncline_core::value::Value;
use syncline_core::view::FieldStateView;
use uuid::Uuid;

/// Writers of a process.
pub const WRITERS: u64 = 4;
const OPERATIONS_PER_CALL: u64 = 8;
const WORKSPACE: &str = "power";
const RECORD: &str = "r";
const CHANGES_PER_READ: usize = 2_000;
/// The upper half of the writers' replica ids.
const REPLICAS: u64 = 0x706f_7765_7200_7000;

/// What the process is to do. It travels in one environment variable.
#[derive(Debug, Clone)]
pub struct Task {
    pub database: PathBuf,
    pub synchronous_full: bool,
    /// Look at every page of the database before going on.
    pub integrity: bool,
    /// Say what the log has after this position.
    pub from_seq: u64,
    /// The next counter of each writer.
    pub counters: Vec<u64>,
}

impl Task {
    pub const VARIABLE: &str = "SYNCLINE_POWER_LOSS_TASK";

    pub fn to_text(&self) -> String {
        let counters: Vec<_> = self.counters.iter().map(u64::to_string).collect();
        let (full, integrity) = (self.synchronous_full, self.integrity);
        format!("{full} {integrity} {} {} {}", self.from_seq, counters.join(","), self.database.display())
    }

    fn parse(text: &str) -> Task {
        let parts: Vec<&str> = text.splitn(5, ' ').collect();
        Task {
            synchronous_full: parts[0] == "true",
            integrity: parts[1] == "true",
            from_seq: parts[2].parse().expect("a position"),
            counters: parts[3].split(',').map(|c| c.parse().expect("a counter")).collect(),
            database: PathBuf::from(parts[4]),
        }
    }
}

/// Ignored: the tests of this module start it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of the power loss tests"]
async fn author() {
    let Ok(task) = std::env::var(Task::VARIABLE) else { return };
    // After what the test harness says.
    say("\n");
    if let Err(error) = work(Task::parse(&task)).await {
        say(&format!("failed {error}\n"));
    }
}

fn say(lines: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more when the test that started this was killed: then this ends, too.
    if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn work(task: Task) -> Result<(), Failed> {
    let options =
        SqliteOptions { synchronous_full: task.synchronous_full, ..SqliteOptions::new(&task.database) };
    let store = Arc::new(SqliteStore::open(options).await?);
    let increments = tell_log(&*store, task.from_seq).await?;
    if task.integrity {
        look_at_every_page(&task.database).await?;
    }
    let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    let engine = Engine::start(store, EngineOptions::default(), clock, randomness).await?;
    say("opened\n");
    engine.create_workspace(WORKSPACE, "", &SchemaUpdate::default()).await?;
    let (receipts, _) = engine.submit(WORKSPACE, vec![create()], false).await?;
    tell_receipts(&receipts)?;
    let counted = count(&engine).await?;
    if counted != increments {
        return Err(format!("the log has {increments} increments and the record {counted}").into());
    }
    say("ready\n");
    tokio::spawn(ends_badly(engine.clone(), follow(engine.clone(), task.from_seq)));
    let epoch = engine.head(WORKSPACE).await?.epoch;
    for (writer, counter) in (1..).zip(task.counters) {
        tokio::spawn(ends_badly(engine.clone(), write(engine.clone(), epoch, writer, counter)));
    }
    // Until somebody closes the other end, or dies.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    engine.stop().await;
    say("closed\n");
    Ok(())
}

/// Says so if a task fails other than by the end of the engine.
async fn ends_badly(engine: Engine, task: impl Future<Output = Result<(), Failed>>) {
    if let Err(error) = task.await
        && !engine.draining().is_cancelled()
    {
        say(&format!("failed {error}\n"));
    }
}

/// Says what the log has after a position; how many increments the whole log has.
async fn tell_log(store: &dyn Store, from_seq: u64) -> Result<u64, Failed> {
    let mut reader = store.reader().await?;
    let Some(workspace) = reader.workspace(WORKSPACE).await? else { return Ok(0) };
    let head = reader.head(workspace.no).await?.ok_or("a workspace has a head")?.head_seq;
    let mut at = from_seq.min(head.0);
    while at < head.0 {
        let changes = reader.changes(workspace.no, Seq(at), head, CHANGES_PER_READ).await?;
        let mut lines = String::new();
        for change in &changes {
            writeln!(lines, "log {} {} {}", change.seq, writer_of(change.dot), change.dot.counter)?;
        }
        say(&lines);
        at = (changes.last().ok_or("the log ends before the head")?.seq).0;
    }
    // All but the record's creation.
    Ok(head.saturating_sub(1).0)
}

async fn look_at_every_page(database: &Path) -> Result<(), Failed> {
    // The store has it open too, so that closing this connection does not copy the write-ahead log back.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
    let mut conn = options.connect().await?;
    let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut conn).await?;
    sqlx::Connection::close(conn).await?;
    if found == ["ok"] { Ok(()) } else { Err(format!("integrity_check: {found:?}").into()) }
}

async fn count(engine: &Engine) -> Result<u64, Failed> {
    let (record, _) = engine.record(WORKSPACE, &RECORD.into(), None).await?;
    match record.fields.get("count").map(|f| &f.state) {
        None => Ok(0),
        Some(FieldStateView::Counter(count)) => Ok(u64::try_from(*count)?),
        other => Err(format!("no counter: {other:?}").into()),
    }
}

async fn write(engine: Engine, epoch: Epoch, writer: u64, mut counter: u64) -> Result<(), Failed> {
    loop {
        let counters = counter..counter + OPERATIONS_PER_CALL;
        counter = counters.end;
        let operations = counters.map(|c| operation(writer, c, epoch)).collect();
        match engine.submit(WORKSPACE, operations, false).await {
            Ok((receipts, _)) => tell_receipts(&receipts)?,
            Err(error) => return Err(error.into()),
        }
    }
}

fn tell_receipts(receipts: &[Receipt]) -> Result<(), Failed> {
    let mut lines = String::new();
    for receipt in receipts {
        let dot = receipt.dot.ok_or("a dot")?;
        let Outcome::Accepted { seq, .. } = receipt.outcome else {
            return Err(format!("{dot} came to {:?}", receipt.outcome).into());
        };
        writeln!(lines, "ack {} {} {seq}", writer_of(dot), dot.counter)?;
    }
    say(&lines);
    Ok(())
}

async fn follow(engine: Engine, from_seq: u64) -> Result<(), Failed> {
    let epoch = engine.head(WORKSPACE).await?.epoch;
    let position = syncline_core::view::FeedCursor { epoch, seq: Seq(from_seq), chain: None };
    let everything = Collections::everything();
    let resume = Resume { position, asked: Asked::Collections(everything.clone()), loading: None };
    let origin = Origin::Cursor(Box::new(resume));
    let Opened::Feed(mut feed) = engine.open_feed(WORKSPACE, origin, everything).await? else {
        return Err("the feed was reset".into());
    };
    loop {
        feed.ready().await;
        let Some(item) = feed.take(tokio::time::Instant::now()).await? else { continue };
        match item {
            FeedItem::Changes { changes, .. } => {
                let mut lines = String::new();
                for change in changes {
                    writeln!(
                        lines,
                        "fed {} {} {}",
                        change.change.seq,
                        writer_of(change.change.dot),
                        change.change.dot.counter
                    )?;
                }
                say(&lines);
            }
            FeedItem::Checkpoint { .. } => {}
            FeedItem::Reset(reason) => return Err(format!("the feed was reset: {reason:?}").into()),
            FeedItem::GoAway(_) => return Ok(()),
            other => return Err(format!("a feed of everything from a position loads: {other:?}").into()),
        }
    }
}

fn writer_of(dot: Dot) -> u64 {
    dot.replica.0.as_u64_pair().1
}

fn create() -> Operation {
    let identity = Identity::Request("create".into());
    with_mutations(
        identity,
        Knowledge::Latest,
        vec![Action::Create { fields: Vec::new(), replace_deleted: false }],
    )
}

/// The same content for the same counter, whenever it is sent: its author never learns of others.
fn operation(writer: u64, counter: u64, epoch: Epoch) -> Operation {
    let dot = Dot { replica: ReplicaId(Uuid::from_u64_pair(REPLICAS, writer)), counter: Counter(counter) };
    let knowledge = Knowledge::Context(CausalContext::at(epoch, Seq(1)));
    let set = Action::Set { field: format!("of-{writer}").into(), value: Value::Int(counter as i64) };
    let increment = Action::Increment { field: "count".into(), by: 1 };
    with_mutations(Identity::Dot(dot), knowledge, vec![increment, set])
}

fn with_mutations(identity: Identity, knowledge: Knowledge, actions: Vec<Action>) -> Operation {
    let on = |action| {
        let (collection, record) = ("c".into(), RECORD.into());
        RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
    };
    Operation {
        identity,
        knowledge,
        mutations: actions.into_iter().map(on).collect(),
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}
