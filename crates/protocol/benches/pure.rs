//! What the pure parts cost, each by itself: causality, register and text merging, and the ways in and out of the
//! service. No disk, no network, no other task: what remains of a slow call when these are fast lies elsewhere.
//!
//! `cargo bench -p syncline-protocol --bench pure`, or `make bench-pure`. With SYNCLINE_TRACE=FILE the text merge replays that recorded
//! session (as `syncline replay` reads it); otherwise a generated one with a fixed seed.
//!
//! Everything used here is public for the server's own sake (the core, `convert`, `codec`): nothing is opened up
//! for measuring.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has nothing to measure"
)]

use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;
use syncline_core::causality::{Author, Counter, Extra, ReplicaNo, Seq, Stamp};
use syncline_core::change::Change;
use syncline_core::hash::chain;
use syncline_core::ids::{Dot, Epoch, ReplicaId};
use syncline_core::limits::EXTRAS_MAX;
use syncline_core::merge::text::Hunk;
use syncline_core::operation::{
    Action, CausalContext, Identity, Knowledge, Mutation, Operation, Outcome, RecordMutation,
};
use syncline_core::sequencer::{self, Environment};
use syncline_core::state::{FieldValue, Key, Row, WorkspaceState};
use syncline_core::value::Value;
use syncline_protocol::codec::decode;
use syncline_protocol::convert::{change_to_pb, operations_from_bytes};
use syncline_protocol::pb;

const EPOCH: Epoch = Epoch(7);
const CLOCK: Environment = Environment { now_ms: 1_700_000_000_000 };
/// Bytes of a value, as in the load tests.
const VALUE_BYTES: usize = 256;
/// Heads that a write is compared with.
const HEADS: u64 = 10;
/// Records in the working set before anything is measured.
const RECORDS: usize = 1_000;
/// Operations settled in one iteration: the working set grows with them, so it is made anew each time.
const OPERATIONS: usize = 1_000;
/// Creations in the operations that fill the working set.
const CREATIONS: usize = 100;
/// Changes in a full frame, operations in a full call.
const BATCH: usize = 100;
const SESSION_SEED: u64 = 3;
/// Keystrokes of the generated session.
const SESSION_KEYSTROKES: usize = 10_000;
/// Keystrokes of an author before it sees what the other has typed meanwhile.
const BURST_KEYSTROKES_MAX: usize = 40;
/// Of a hundred keystrokes, so many take back the one before.
const BACKSPACE_PERCENT: u32 = 12;
/// A recorded session, unpacked.
const TRACE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

fn replica(number: u128) -> ReplicaId {
    ReplicaId::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0000 + number)
}

fn context(base_seq: u64) -> CausalContext {
    CausalContext::at(EPOCH, Seq(base_seq))
}

fn mutation(record: &str, action: Action) -> Mutation {
    let (collection, record) = ("notes".into(), record.into());
    RecordMutation { collection, record, action, observed_seq: None, resolves: None }.into()
}

fn operation(dot: Dot, context: CausalContext, mutations: Vec<Mutation>) -> Operation {
    Operation {
        identity: Identity::Dot(dot),
        knowledge: Knowledge::Context(context),
        mutations,
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: "".into(),
        actor: "".into(),
        client_time_ms: None,
        malformed: None,
    }
}

fn set(record: usize, value: &str) -> Vec<Mutation> {
    vec![mutation(&record_name(record), Action::Set { field: "title".into(), value: Value::string(value) })]
}

fn record_name(number: usize) -> String {
    format!("record-{number}")
}

/// A value of the usual size that differs for every number.
fn text_value(number: usize) -> String {
    format!("{number:0VALUE_BYTES$}")
}

/// Submits an operation that must settle, and says whether it merged and whether it opened a conflict.
fn settle(state: &mut WorkspaceState, operation: &Operation) -> (bool, bool) {
    let receipt = sequencer::submit(state, operation, CLOCK).expect("everything is in memory");
    match receipt.outcome {
        Outcome::Accepted { settlement, .. } => (settlement.merged, !settlement.conflicts.is_empty()),
        other => panic!("an operation did not settle: {other:?}"),
    }
}

/// A working set of many records, all in memory.
fn filled() -> WorkspaceState {
    let mut state = WorkspaceState::resident(EPOCH);
    let numbers: Vec<usize> = (0..RECORDS).collect();
    for (counter, numbers) in (1..).zip(numbers.chunks(CREATIONS)) {
        let creations = numbers.iter().map(|number| {
            let fields = vec![("title".into(), Value::string(text_value(*number)))];
            mutation(&record_name(*number), Action::Create { fields, replace_deleted: false })
        });
        let dot = Dot { replica: replica(0), counter: Counter(counter) };
        settle(&mut state, &operation(dot, context(0), creations.collect()));
    }
    state.take_writes();
    state
}

fn causality(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("causality");
    group.throughput(Throughput::Elements(HEADS));
    let author = |base_seq: u64, extras: usize| Author {
        replica_no: ReplicaNo(1),
        counter: Counter(50),
        base_seq: Seq(base_seq),
        // None of the extras matches a head, so each of them is looked at for every head.
        extras: (0..extras)
            .map(|e| Extra { replica_no: ReplicaNo(1_000 + e as u32), counter: Counter(9) })
            .collect(),
        own_requests: Vec::new(),
    };
    let heads: Vec<Stamp> = (1..=HEADS)
        .map(|n| Stamp { seq: Seq(1_000 + n), replica_no: ReplicaNo(10 + n as u32), counter: Counter(n) })
        .collect();
    let authors = [
        ("10 heads, all in the base", author(2_000, 0)),
        ("10 heads, all concurrent", author(1_000, 0)),
        ("10 heads, all concurrent, 32 extras", author(1_000, EXTRAS_MAX)),
    ];
    for (name, author) in authors {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let author = black_box(&author);
                black_box(&heads).iter().filter(|head| author.knows(head)).count()
            });
        });
    }
    group.finish();
}

/// Two authors write every record: both after all creations, the second without having seen the first.
fn concurrent_writes(same_value: bool) -> Vec<Operation> {
    let head = filled().head().head_seq;
    let mut operations = Vec::with_capacity(OPERATIONS);
    for (record, counter) in (0..OPERATIONS / 2).zip(1..) {
        for author in [1, 2] {
            let value = if same_value { text_value(record) } else { text_value(record + author * RECORDS) };
            let dot = Dot { replica: replica(author as u128), counter: Counter(counter) };
            operations.push(operation(dot, context(head.0), set(record, &value)));
        }
    }
    operations
}

/// One author writes, knowing all that was there.
fn ordered_writes() -> Vec<Operation> {
    let head = filled().head().head_seq;
    let write = |(number, counter): (usize, u64)| {
        let dot = Dot { replica: replica(1), counter: Counter(counter) };
        operation(dot, context((head + counter - 1).0), set(number % RECORDS, &text_value(RECORDS + number)))
    };
    (0..OPERATIONS).zip(1..).map(write).collect()
}

fn register(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("register");
    group.throughput(Throughput::Elements(OPERATIONS as u64)).sampling_mode(SamplingMode::Flat);
    let scenarios = [
        ("settle, nothing concurrent", ordered_writes(), 0, 0),
        ("settle, every second one merges", concurrent_writes(true), OPERATIONS / 2, 0),
        ("settle, every second one opens a conflict", concurrent_writes(false), 0, OPERATIONS / 2),
    ];
    for (name, operations, merged, conflicted) in scenarios {
        let mut state = filled();
        let seen: Vec<(bool, bool)> = operations.iter().map(|o| settle(&mut state, o)).collect();
        assert_eq!(seen.iter().filter(|(_, conflict)| *conflict).count(), conflicted, "{name}");
        assert_eq!(seen.iter().filter(|(merge, conflict)| *merge && !conflict).count(), merged, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                filled,
                |mut state| {
                    for operation in &operations {
                        black_box(settle(&mut state, operation));
                    }
                    state
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Text edits in the order in which they settle, each with what its author knew.
struct Session {
    name: String,
    operations: Vec<Operation>,
    final_text: String,
}

const DOCUMENT: &str = "document";
const BODY: &str = "body";

/// A workspace with the document that sessions write, at position 1.
fn empty_document() -> WorkspaceState {
    let mut state = WorkspaceState::resident(EPOCH);
    let dot = Dot { replica: replica(0), counter: Counter::FIRST };
    let create = mutation(DOCUMENT, Action::Create { fields: Vec::new(), replace_deleted: false });
    settle(&mut state, &operation(dot, context(0), vec![create]));
    state
}

fn edit(author: usize, counter: u64, context: CausalContext, hunk: Hunk) -> Operation {
    let action = Action::EditText { field: BODY.into(), hunks: vec![hunk] };
    let dot = Dot { replica: replica(1 + author as u128), counter: Counter(counter) };
    operation(dot, context, vec![mutation(DOCUMENT, action)])
}

fn text_of(state: &WorkspaceState) -> String {
    match state.row(&Key::Field(DOCUMENT.into(), BODY.into())) {
        Some(Row::Field(field)) => match &field.value {
            FieldValue::Text(text) => text.clone(),
            other => panic!("not a text: {other:?}"),
        },
        _ => String::new(),
    }
}

/// What an author has typed since it last saw the other's edits.
struct Burst {
    position: u32,
    typed: u32,
    left: usize,
}

impl Burst {
    fn new(random: &mut StdRng, text_chars: u32) -> Burst {
        Burst {
            position: random.random_range(0..=text_chars),
            typed: 0,
            left: random.random_range(1..=BURST_KEYSTROKES_MAX),
        }
    }

    fn keystroke(&mut self, random: &mut StdRng) -> Hunk {
        self.left -= 1;
        if self.typed > 0 && random.random_range(0..100) < BACKSPACE_PERCENT {
            self.typed -= 1;
            self.position -= 1;
            return Hunk { pos: self.position, del: 1, ins: String::new() };
        }
        let letter = char::from(random.random_range(b'a'..=b'z')).to_string();
        self.typed += 1;
        self.position += 1;
        Hunk { pos: self.position - 1, del: 0, ins: letter }
    }
}

/// Two authors type at the same time, each at a place of its own; after every burst both see all.
fn generated_session() -> Session {
    let mut random = StdRng::seed_from_u64(SESSION_SEED);
    let mut state = empty_document();
    let mut counters = [0u64; 2];
    let mut operations = Vec::with_capacity(SESSION_KEYSTROKES + 2 * BURST_KEYSTROKES_MAX);
    while operations.len() < SESSION_KEYSTROKES {
        let base_seq = state.head().head_seq;
        let chars = u32::try_from(text_of(&state).chars().count()).expect("a short text");
        let mut bursts = [Burst::new(&mut random, chars), Burst::new(&mut random, chars)];
        while bursts.iter().any(|burst| burst.left > 0) {
            for (author, burst) in bursts.iter_mut().enumerate().filter(|(_, burst)| burst.left > 0) {
                counters[author] += 1;
                let hunk = burst.keystroke(&mut random);
                let operation = edit(author, counters[author], context(base_seq.0), hunk);
                let (_, conflict) = settle(&mut state, &operation);
                assert!(!conflict, "nobody deletes what the other wrote");
                operations.push(operation);
            }
        }
    }
    Session { name: "generated session".to_owned(), operations, final_text: text_of(&state) }
}

/// One author types at the end of a text, with nobody else there.
fn lonely_session() -> Session {
    let operations: Vec<Operation> = (0..SESSION_KEYSTROKES as u64)
        .map(|n| {
            let pos = u32::try_from(n).expect("a short text");
            edit(0, n + 1, context(n + 1), Hunk { pos, del: 0, ins: "x".to_owned() })
        })
        .collect();
    Session { name: "one author".to_owned(), final_text: "x".repeat(operations.len()), operations }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TraceFile {
    end_content: String,
    num_agents: usize,
    txns: Vec<TraceTransaction>,
}

#[derive(Deserialize)]
struct TraceTransaction {
    parents: Vec<usize>,
    agent: usize,
    patches: Vec<(u32, u32, String)>,
}

/// A recorded session, settled in its own order: every author's base is the longest prefix of that order it knew, the
/// rest are extras.
fn recorded_session(path: &Path) -> Session {
    let file = std::fs::File::open(path).expect("SYNCLINE_TRACE names a file");
    let mut json = String::new();
    flate2::read::GzDecoder::new(file)
        .take(TRACE_BYTES_MAX)
        .read_to_string(&mut json)
        .expect("SYNCLINE_TRACE is gzipped text");
    let file: TraceFile = serde_json::from_str(&json).expect("SYNCLINE_TRACE is a recorded session");
    let dots = dots_of(&file.txns, file.num_agents);
    let mut known_after: Vec<Vec<u64>> = Vec::with_capacity(file.txns.len());
    let mut readers: Vec<Prefix> = (0..file.num_agents).map(|_| Prefix::new(file.num_agents)).collect();
    let mut operations = Vec::with_capacity(file.txns.len());
    for (transaction, (author, counter)) in file.txns.into_iter().zip(&dots) {
        let mut known = vec![0; file.num_agents];
        for parent in transaction.parents {
            known.iter_mut().zip(&known_after[parent]).for_each(|(k, p)| *k = (*k).max(*p));
        }
        let context = readers[*author].context(*author, &known, &dots);
        let [(pos, del, ins)]: [_; 1] = transaction
            .patches
            .try_into()
            .expect("one patch a transaction: use `syncline replay` for others");
        operations.push(edit(*author, *counter, context, Hunk { pos, del, ins }));
        known[*author] = *counter;
        known_after.push(known);
    }
    Session { name: "recorded session".to_owned(), operations, final_text: file.end_content }
}

/// Author and counter of every transaction.
fn dots_of(transactions: &[TraceTransaction], authors: usize) -> Vec<(usize, u64)> {
    let mut counters = vec![0; authors];
    let dot = |transaction: &TraceTransaction| {
        counters[transaction.agent] += 1;
        (transaction.agent, counters[transaction.agent])
    };
    transactions.iter().map(dot).collect()
}

/// How much of the order an author has in its base.
struct Prefix {
    length: usize,
    counts: Vec<u64>,
}

impl Prefix {
    fn new(authors: usize) -> Prefix {
        Prefix { length: 0, counts: vec![0; authors] }
    }

    /// The context of an author that knew so many transactions of each.
    fn context(&mut self, me: usize, known: &[u64], dots: &[(usize, u64)]) -> CausalContext {
        while let Some((author, counter)) = dots.get(self.length).filter(|(a, c)| known[*a] >= *c) {
            self.counts[*author] = *counter;
            self.length += 1;
        }
        let beyond = known.iter().zip(&self.counts).enumerate();
        let extras = beyond
            .filter(|(author, (known, in_base))| *author != me && known > in_base)
            .map(|(author, (known, _))| Dot {
                replica: replica(1 + author as u128),
                counter: Counter(*known),
            })
            .collect();
        // The document was created at position 1.
        CausalContext { extras, ..CausalContext::at(EPOCH, Seq(self.length as u64 + 1)) }
    }
}

fn text(criterion: &mut Criterion) {
    let session = match std::env::var_os("SYNCLINE_TRACE") {
        Some(path) => recorded_session(Path::new(&path)),
        None => generated_session(),
    };
    let mut group = criterion.benchmark_group("text");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for session in [lonely_session(), session] {
        let mut state = empty_document();
        let merged = session.operations.iter().filter(|operation| settle(&mut state, operation).0).count();
        assert_eq!(text_of(&state), session.final_text, "{}: the final text", session.name);
        println!("{}: {} keystrokes, {merged} of them merged", session.name, session.operations.len());
        group.throughput(Throughput::Elements(session.operations.len() as u64));
        group.bench_function(format!("settle, {}", session.name), |bencher| {
            bencher.iter_batched(
                empty_document,
                |mut state| {
                    for operation in &session.operations {
                        black_box(settle(&mut state, operation));
                    }
                    state
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Changes as a feed finds them: writes of registers, one after the other.
fn changes(count: usize) -> Vec<std::sync::Arc<Change>> {
    let mut state = filled();
    for operation in &ordered_writes()[..count] {
        settle(&mut state, operation);
    }
    state.take_writes().changes
}

/// What is done for a feed with the changes of one frame, from the recent changes to the bytes of the message.
fn encode_frame(changes: &[std::sync::Arc<Change>]) -> Vec<u8> {
    let content = pb::Changes {
        from_seq_exclusive: changes.first().map_or(0, |change| (change.seq - 1).0),
        to_seq_inclusive: changes.last().map_or(0, |change| change.seq.0),
        changes: changes.iter().map(|change| change_to_pb(change)).collect(),
        head_seq: changes.last().map_or(0, |change| change.seq.0),
        schema_version: 1,
    };
    let frame = pb::Frame { content: Some(pb::frame::Content::Changes(content)), ..Default::default() };
    pb::SubscribeResponse { frame: Some(frame) }.encode_to_vec()
}

fn feed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed");
    for count in [1, BATCH] {
        let changes = changes(count);
        println!("a frame of {count}: {} bytes", encode_frame(&changes).len());
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("encode a frame, {count} changes"), |bencher| {
            bencher.iter(|| encode_frame(black_box(&changes)));
        });
    }
    group.finish();
}

/// A call as a client with a replica sends it.
fn submit_request(count: usize) -> Bytes {
    let operations = (0..count).zip(1..).map(|(number, counter)| pb::Operation {
        identity: Some(pb::operation::Identity::Dot(pb::Dot { replica_id: replica(1).to_string(), counter })),
        knowledge: Some(pb::operation::Knowledge::Context(pb::CausalContext {
            epoch: EPOCH.0,
            base_seq: 1_000,
            ..Default::default()
        })),
        mutations: vec![
            pb::RecordMutation {
                collection_id: "notes".to_owned(),
                record_id: record_name(number),
                action: Some(pb::record_mutation::Action::SetField(pb::SetField {
                    field_id: "title".to_owned(),
                    value: Some(pb::Value { kind: Some(pb::value::Kind::StringValue(text_value(number))) }),
                })),
                ..Default::default()
            }
            .into(),
        ],
        ..Default::default()
    });
    pb::SubmitRequest {
        workspace_id: "workspace".to_owned(),
        operations: operations.collect(),
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

/// A call as the server takes it: the operations are decoded one by one.
#[derive(prost::Message)]
struct ServedRequest {
    #[prost(string, tag = "1")]
    workspace_id: String,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    operations: Vec<Bytes>,
}

fn take(bytes: Bytes) -> Vec<Operation> {
    let request: ServedRequest = decode(bytes).expect("a message");
    operations_from_bytes(request.operations)
        .expect("a call")
        .into_iter()
        .map(|one| one.expect("an operation"))
        .collect()
}

fn submit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit");
    for count in [1, BATCH] {
        let bytes = submit_request(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("decode and convert, {count} operations"), |bencher| {
            bencher.iter(|| take(black_box(bytes.clone())));
        });
    }
    let operation = take(submit_request(1)).remove(0);
    group.throughput(Throughput::Elements(1));
    group.bench_function("hash an operation", |bencher| {
        bencher.iter(|| black_box(&operation).content_hash());
    });
    let hash = operation.content_hash();
    group.bench_function("extend the chain", |bencher| {
        bencher.iter(|| chain(black_box(&hash), black_box(&hash)));
    });
    group.finish();
}

criterion_group!(benches, causality, register, text, feed, submit);
criterion_main!(benches);
