import type {
  Change,
  ConfirmedField,
  ConfirmedRecord,
  Effect,
  FeedOrigin,
  Frame,
  ServerInfo,
} from '../../src/domain/change.js';
import { contextAt, dotKey } from '../../src/domain/dot.js';
import type { Cursor, Dot, Epoch, Seq } from '../../src/domain/ids.js';
import type { Mutation, Operation, ServerOutcome, ServerReceipt } from '../../src/domain/operation.js';
import type { Schema } from '../../src/domain/schema.js';
import { Pushed } from '../../src/transport/pushed.js';
import { TransportError } from '../../src/transport/transport-error.js';
import type { HeartbeatReport, HeartbeatSession, FeedSession, Transport } from '../../src/transport/transport.js';
import { nextChain } from '../../src/wire/chain.js';
import { decodeOperation } from '../../src/wire/operation.js';

const WORKSPACE = 'fake';
/** Heartbeats do not get in the way of tests that are not about them. */
const HEARTBEAT_INTERVAL_MS = 15_000;

/** A server in memory that knows creations, registers and counters, with faults on demand. */
export class FakeServer {
  epoch: Epoch = '7';
  log: Change[] = [];
  /** What became of operations, by dot. */
  readonly receipts = new Map<string, ServerReceipt>();
  /** Every submission as it came. */
  readonly submitted: Operation[][] = [];
  readonly abandoned: Dot[] = [];
  /** Decides about an operation before the server does. */
  judge: (operation: Operation) => ServerOutcome | undefined = () => undefined;
  /** What a submission meets: before it is taken in, or instead of its answer. */
  beforeSubmit: (operations: readonly Operation[]) => void = () => undefined;
  afterSubmit: () => void | Promise<void> = () => undefined;
  /** What an attempt to give up a counter meets. */
  beforeAbandon: () => void = () => undefined;
  /** What a question for receipts meets. */
  beforeReceipts: () => void = () => undefined;
  /** What an attempt to open a feed meets. */
  beforeOpen: () => void = () => undefined;
  /** Something in between holds back what feeds say, and answers of calls come through. */
  holdsStreamsBack = false;
  /** Frames as they are delivered. */
  deliver: (frame: Frame) => readonly Frame[] = (frame) => [frame];
  /** What a feed without a cursor loads, and what one brings that was cut meanwhile. */
  loading: (origin: FeedOrigin) => readonly Frame[] = () => this.loadingFrames();
  /** What the server says of itself. */
  info: ServerInfo = { version: '9.9.9', features: ['FEED_SNAPSHOT'], limits: { operation_bytes: 262_144 } };
  /** Where feeds started. */
  readonly origins: FeedOrigin[] = [];
  schemaNow: Schema = { version: 1, strict: false, collections: new Map() };
  opened = 0;
  snapshots = 0;
  private readonly feeds = new Set<Pushed<Frame>>();

  get head(): Seq {
    return this.log.length;
  }

  /** Somebody else wrote. */
  write(dot: Dot, mutations: readonly Mutation[]): void {
    this.settle({
      dot,
      context: contextAt(this.cursorAt(this.head)),
      mutations,
      correlationId: '',
      dependsOn: [],
      actor: 'else',
      clientTimeMs: 0,
    });
  }

  /** Breaks every feed. */
  cut(): void {
    for (const feed of this.feeds) feed.fail(new TransportError('unreachable', 'cut'));
    this.feeds.clear();
  }

  /** Says something on every feed. */
  say(frame: Frame): void {
    for (const feed of this.feeds) feed.push(frame);
  }

  /** A restore of an older state: a new history. */
  rewind(to: Seq, epoch: Epoch): void {
    const lost = this.log.splice(to);
    for (const { dot } of lost) this.receipts.delete(dotKey(dot));
    this.epoch = epoch;
    this.cut();
  }

  cursorAt(seq: Seq): Cursor {
    const chain = seq === 0 ? new Uint8Array(16) : (this.log[seq - 1]?.chain ?? new Uint8Array(16));
    return { workspaceId: WORKSPACE, epoch: this.epoch, seqInclusive: seq, chain };
  }

  frame(from: Seq, to: Seq): Extract<Frame, { type: 'changes' }> {
    return {
      type: 'changes',
      cursor: this.cursorAt(to),
      fromSeqExclusive: from,
      toSeqInclusive: to,
      changes: this.log.slice(from, to),
      headSeq: this.head,
      schemaVersion: this.schemaNow.version,
    };
  }

  transport(): Transport {
    return {
      openFeed: (origin, signal) => Promise.resolve().then(() => this.openFeed(origin, signal)),
      submit: async (operations) => {
        const decoded = operations.map(decodeOperation);
        this.beforeSubmit(decoded);
        this.submitted.push(decoded);
        const receipts = decoded.map((operation) => this.take(operation));
        await this.afterSubmit();
        return { receipts, headSeq: this.head };
      },
      receipts: async (dots) => {
        await Promise.resolve();
        this.beforeReceipts();
        return dots.map((dot) => this.receipts.get(dotKey(dot)) ?? unknown(dot));
      },
      abandon: async (dot) => {
        await Promise.resolve();
        this.beforeAbandon();
        this.abandoned.push(dot);
        const settled = this.receipts.get(dotKey(dot));
        const refusal = { reason: 'ABANDONED', message: '', metadata: {} };
        const receipt = settled ?? { dot, outcome: { type: 'rejected', refusal }, remaining: [] };
        this.receipts.set(dotKey(dot), receipt);
        return receipt;
      },
      startHeartbeats: () => Promise.resolve(this.heartbeats()),
      refreshCredentials: () => undefined,
      presence: () => Promise.resolve([]),
      schema: () => Promise.resolve(this.schemaNow),
      head: () => Promise.resolve(this.cursorAt(this.head)),
      conflict: () => Promise.reject(new TransportError('not_found', 'no conflicts here')),
      close: () => undefined,
    };
  }

  private openFeed(origin: FeedOrigin, signal: AbortSignal): FeedSession {
    this.opened += 1;
    this.origins.push(origin);
    this.beforeOpen();
    const frames = new Pushed<Frame>();
    signal.addEventListener('abort', () => {
      frames.fail(signal.reason);
    });
    const cursor = origin === 'snapshot' ? this.cursorAt(this.head) : origin;
    const from = cursor.seqInclusive;
    if (this.holdsStreamsBack)
      return {
        frames,
        acknowledge: () => undefined,
        close: () => {
          frames.end();
        },
      };
    const wrong = cursor.epoch !== this.epoch;
    if (wrong || from > this.head) {
      frames.push({ type: 'reset', cursor, reason: wrong ? 'wrong_epoch' : 'future_cursor' });
      frames.end();
    } else {
      const { version: schemaVersion } = this.schemaNow;
      const { info: server } = this;
      frames.push({ type: 'opened', cursor: this.cursorAt(from), headSeq: this.head, schemaVersion, server });
      if (origin === 'snapshot') this.snapshots += 1;
      if (origin === 'snapshot' || cursor.more !== undefined)
        for (const frame of this.loading(origin)) frames.push(frame);
      if (from < this.head) for (const frame of this.deliver(this.frame(from, this.head))) frames.push(frame);
      this.feeds.add(frames);
    }
    return {
      frames,
      acknowledge: () => undefined,
      close: () => {
        this.feeds.delete(frames);
        frames.end();
      },
    };
  }

  /** Everything there is, in one part. */
  loadingFrames(): readonly Frame[] {
    const cursor = this.cursorAt(this.head);
    const records = this.fold();
    const { length } = records;
    return [
      { type: 'loading_begun', cursor, fromScratch: true, estimatedCount: length },
      { type: 'records_entered', cursor, records, conflicts: [], loadedCount: length },
      { type: 'loading_finished', cursor, completeFromSeq: this.head },
    ];
  }

  private heartbeats(): HeartbeatSession {
    const reports = new Pushed<HeartbeatReport | 'lost'>();
    const say = () => {
      reports.push({
        roundTripMs: 10,
        headSeq: this.head,
        epoch: this.epoch,
        heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
        leaseMs: 40_000,
      });
    };
    say();
    return {
      connectionId: 'c',
      reports,
      heartbeat: say,
      close: () => {
        reports.end();
        return Promise.resolve();
      },
    };
  }

  private take(operation: Operation): ServerReceipt {
    const known = this.receipts.get(dotKey(operation.dot));
    if (known !== undefined) return known;
    const { dot, context } = operation;
    const judged = this.judge(operation) ?? this.judgeContext(context.epoch, context.baseSeq);
    if (judged === undefined) return this.settle(operation);
    const receipt = { dot, outcome: judged, remaining: [] };
    if (judged.type === 'rejected') this.receipts.set(dotKey(dot), receipt);
    return receipt;
  }

  private judgeContext(epoch: Epoch, baseSeq: Seq): ServerOutcome | undefined {
    if (epoch === this.epoch && baseSeq <= this.head) return undefined;
    const reason = epoch === this.epoch ? 'CONTEXT_AHEAD' : 'WRONG_EPOCH';
    return { type: 'not_settled', refusal: { reason, message: '', metadata: {} }, expectedCounter: 1 };
  }

  private settle(operation: Operation): ServerReceipt {
    const seq = this.head + 1;
    // Another operation at the same place has another hash.
    const operationHash = new Uint8Array(16).fill((seq + operation.dot.counter * 31) % 251);
    const previous = this.cursorAt(this.head).chain;
    const effects = operation.mutations.flatMap((mutation) => this.effectsOf(mutation));
    this.log.push({
      seq,
      dot: operation.dot,
      context: operation.context,
      correlationId: operation.correlationId,
      actor: operation.actor,
      commitTimeMs: 0,
      effects,
      outcome: 'applied',
      operationHash,
      chain: nextChain(previous, operationHash),
    });
    const receipt: ServerReceipt = { dot: operation.dot, outcome: { type: 'applied', seq }, remaining: [] };
    this.receipts.set(dotKey(operation.dot), receipt);
    for (const feed of this.feeds) for (const frame of this.deliver(this.frame(seq - 1, seq))) feed.push(frame);
    return receipt;
  }

  private effectsOf({ collectionId, recordId, action }: Mutation): readonly Effect[] {
    const at = { collectionId, recordId };
    switch (action.type) {
      case 'create': {
        const created: Effect = { ...at, fieldId: '', type: 'record_created' };
        const fields = [...action.fields].map(([fieldId, value]): Effect => ({
          ...at,
          fieldId,
          type: 'register_changed',
          value,
        }));
        return [created, ...fields];
      }
      case 'set':
        return [{ ...at, fieldId: action.fieldId, type: 'register_changed', value: action.value }];
      case 'increment': {
        const state = this.fold()
          .find((record) => record.recordId === recordId)
          ?.fields.get(action.fieldId)?.state;
        const before = state?.kind === 'counter' ? state.value : 0n;
        return [{ ...at, fieldId: action.fieldId, type: 'counter_changed', value: before + action.by }];
      }
      default:
        throw new Error(`the fake server does not know ${action.type}`);
    }
  }

  fold(): readonly ConfirmedRecord[] {
    const records = new Map<string, ConfirmedRecord & { fields: Map<string, ConfirmedField> }>();
    for (const { seq, effects } of this.log) {
      for (const effect of effects) {
        const { recordId, collectionId } = effect;
        const before = records.get(recordId);
        const fields = before?.fields ?? new Map<string, ConfirmedField>();
        if (effect.type === 'register_changed') {
          fields.set(effect.fieldId, { state: { kind: 'register', value: effect.value }, lastSeq: seq });
        }
        if (effect.type === 'counter_changed') {
          fields.set(effect.fieldId, { state: { kind: 'counter', value: effect.value }, lastSeq: seq });
        }
        const createdSeq = before?.createdSeq ?? seq;
        const row = { recordId, collectionId, deleted: false, createdSeq, lastSeq: seq, asOfSeq: this.head, fields };
        records.set(recordId, row);
      }
    }
    return [...records.values()];
  }
}

function unknown(dot: Dot): ServerReceipt {
  const refusal = { reason: 'UNSPECIFIED', message: '', metadata: {} };
  return { dot, outcome: { type: 'not_settled', refusal, expectedCounter: 1 }, remaining: [] };
}
