import type { ChangesFrame } from '../domain/change.js';
import { dotKey, sameDot } from '../domain/dot.js';
import type { Dot, DotKey, Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import { QUEUE_STILL_AFTER_MS } from '../limits.js';
import type { FrameVerdict, SettledOwn } from '../replica/replica.js';
import type { FrameWrites, RejectedRow, StoreMeta } from '../store/store.js';
import type { OtherQueues } from './others.js';
import type { Accepted, SyncParts } from './sync.js';
import type { Uploader } from './upload.js';

/** Takes in what the server says about operations, by receipts and by the feed, and keeps it. */
export class Settlement {
  /** As of what is shown; frames on their way to the store included. */
  private meta: StoreMeta | undefined;
  /** What waited when the connection came up and still does. */
  private waitedBefore = new Set<DotKey>();
  /** Answers of own operations that the feed has not passed yet. */
  private readonly answers = new Map<DotKey, Accepted>();
  private movedAtMs = -Infinity;
  private cancelTimer: () => void = () => undefined;

  constructor(
    private readonly parts: SyncParts,
    private readonly others: OtherQueues,
    private readonly own: Uploader,
  ) {
    this.meta = parts.meta;
  }

  /** What waits was made since the connection came up, and something settles all the time. */
  get moving(): boolean {
    const stillMs = this.parts.platform.clock.monotonicMs() - this.movedAtMs;
    return this.waitedBefore.size === 0 && stillMs < QUEUE_STILL_AFTER_MS;
  }

  /** The connection came up. */
  connected(): void {
    const own = this.parts.replica.pending().map((pending) => pending.operation.dot);
    const others = this.others.entries().map((entry) => entry.pending.operation.dot);
    this.waitedBefore = new Set([...own, ...others].map(dotKey));
    this.moved();
  }

  /** There is something new to send. */
  queued(): void {
    if (this.parts.replica.pending().length <= 1) this.moved();
  }

  /** A frame was applied here. Own operations in it have their final outcome. */
  frame(frame: ChangesFrame, verdict: Extract<FrameVerdict, { type: 'applied' }>): void {
    this.meta = verdict.writes.meta;
    for (const { dot } of frame.changes) {
      if (dot.replicaId === this.parts.replica.replicaId) this.own.settled(dot.counter);
      else this.others.remove(dot);
      this.gone(dot);
    }
  }

  /** Own operations that were accepted up to a position: a snapshot of there has them, and takes them out of the queue. */
  acceptedUpTo(position: Seq): readonly SettledOwn[] {
    return this.parts.replica.pending().flatMap(({ operation, acceptedSeq: seq }) => {
      if (seq === undefined || seq > position) return [];
      const { dot } = operation;
      const answer = this.answers.get(dotKey(dot));
      return [{ dot, seq, outcome: answer?.outcome ?? 'applied', conflictIds: answer?.conflictIds ?? [] }];
    });
  }

  /** A snapshot replaced what was here. What was accepted before it is in it. */
  adopted(meta: StoreMeta, own: readonly SettledOwn[]): void {
    this.meta = meta;
    const position = meta.cursor.seqInclusive;
    const passed: { dot: Dot; seq: Seq }[] = own.map(({ dot, seq }) => ({ dot, seq }));
    for (const settled of own) {
      this.gone(settled.dot);
      this.own.settled(settled.dot.counter);
      this.parts.events.emit('settled', settled);
    }
    for (const { pending } of this.others.entries()) {
      const { acceptedSeq } = pending;
      if (acceptedSeq === undefined || acceptedSeq > position) continue;
      passed.push({ dot: pending.operation.dot, seq: acceptedSeq });
      this.others.remove(pending.operation.dot);
    }
    this.keepPassed(passed);
  }

  schema(schema: Schema): void {
    if (this.meta === undefined) return;
    this.meta = { ...this.meta, schema };
    this.keepPassed([]);
  }

  /** Answers with a final outcome. */
  receipts(receipts: readonly ServerReceipt[]): void {
    const accepted: Accepted[] = [];
    const own: RejectedRow[] = [];
    const others: RejectedRow[] = [];
    for (const receipt of receipts) {
      const { outcome } = receipt;
      if (outcome.type === 'rejected') {
        const row = this.reject(receipt);
        if (row !== undefined) (this.isOwn(receipt.dot) ? own : others).push(row);
      } else if ('seq' in outcome) {
        accepted.push({
          dot: receipt.dot,
          seq: outcome.seq,
          outcome: outcome.type,
          conflictIds: outcome.type === 'conflicted' ? outcome.conflictIds : [],
          remaining: receipt.remaining.map((left) => left.conflictId),
        });
      }
    }
    if (accepted.length > 0) this.accept(accepted, receipts);
    const rejected = [...own, ...others];
    if (rejected.length > 0) this.parts.saver.write(() => this.parts.store.saveRejected(rejected));
    if (own.length > 0) this.parts.events.emit('rejected', own, true);
    if (others.length > 0) this.parts.events.emit('rejected', others, false);
    this.moved();
    this.parts.events.emit('queueChanged');
  }

  /** A cancelled operation's counter is settled, by its abandoning or because it had settled. */
  abandoned(dot: Dot, receipt: ServerReceipt): void {
    const { outcome } = receipt;
    if (outcome.type === 'applied' || outcome.type === 'merged' || outcome.type === 'conflicted') {
      this.receipts([receipt]);
      return;
    }
    if (this.isOwn(dot)) {
      const { view } = this.parts.replica.applyReceipt(receipt, this.parts.platform.clock.nowMs());
      this.parts.events.emit('viewChanged', view);
    } else this.others.remove(dot);
    this.gone(dot);
    this.parts.saver.write(() => this.parts.store.dropCancelled([dot]));
    this.parts.events.emit('queueChanged');
  }

  stop(): void {
    this.cancelTimer();
  }

  private accept(accepted: readonly Accepted[], receipts: readonly ServerReceipt[]): void {
    const { replica, events, saver, store, platform } = this.parts;
    const passed: { dot: Dot; seq: Seq }[] = [];
    for (const answer of accepted) {
      const { dot, seq } = answer;
      const receipt = receipts.find((candidate) => sameDot(candidate.dot, dot));
      const late = seq <= replica.position;
      if (this.isOwn(dot)) {
        const waits = replica.pending().some(({ operation }) => sameDot(operation.dot, dot));
        if (!waits || receipt === undefined) continue;
        this.answers.set(dotKey(dot), answer);
        events.emit('viewChanged', replica.applyReceipt(receipt, platform.clock.nowMs()).view);
        if (late) {
          passed.push({ dot, seq });
          this.own.settled(dot.counter);
          events.emit('settled', { dot, seq, outcome: answer.outcome, conflictIds: answer.conflictIds });
        }
      } else if (this.others.row(dot) !== undefined) {
        if (late) {
          passed.push({ dot, seq });
          this.others.remove(dot);
        } else this.others.accepted(dot, seq);
      }
      if (late) this.gone(dot);
      else this.waitedBefore.delete(dotKey(dot));
    }
    saver.write(() => store.saveAccepted(accepted.map(({ dot, seq }) => ({ dot, seq }))));
    if (passed.length > 0) this.keepPassed(passed);
    events.emit('accepted', accepted);
  }

  private reject(receipt: ServerReceipt): RejectedRow | undefined {
    const { replica, events, platform } = this.parts;
    const row = this.isOwn(receipt.dot) ? undefined : this.others.row(receipt.dot);
    const { view, rejected } = replica.applyReceipt(receipt, platform.clock.nowMs(), row);
    events.emit('viewChanged', view);
    if (row !== undefined) this.others.remove(receipt.dot);
    this.gone(receipt.dot);
    return rejected;
  }

  /** Settles operations whose changes a snapshot brought: a write that changes nothing else, at the present position. */
  private keepPassed(ownDots: FrameWrites['ownDots']): void {
    const { meta } = this;
    if (meta === undefined) return;
    this.parts.saver.frame(this.parts.term, {
      fromSeqExclusive: meta.cursor.seqInclusive,
      meta,
      records: [],
      conflicts: [],
      textTail: [],
      textTailPruned: [],
      ownDots,
    });
  }

  private isOwn(dot: Dot): boolean {
    return dot.replicaId === this.parts.replica.replicaId;
  }

  private gone(dot: Dot): void {
    this.answers.delete(dotKey(dot));
    this.waitedBefore.delete(dotKey(dot));
    this.moved();
  }

  private moved(): void {
    const { clock } = this.parts.platform;
    this.movedAtMs = clock.monotonicMs();
    this.cancelTimer();
    this.cancelTimer = clock.after(QUEUE_STILL_AFTER_MS, () => {
      this.parts.events.emit('connectionChanged');
    });
  }
}
