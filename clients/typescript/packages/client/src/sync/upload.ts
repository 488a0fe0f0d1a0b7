import type { Dot, Epoch, ReplicaId } from '../domain/ids.js';
import type { Operation, ServerReceipt } from '../domain/operation.js';
import { backoffMs } from '../connection/machine.js';
import { CALL_BYTES_MAX, HELD_RETRY_MAX_MS, HELD_RETRY_MS } from '../limits.js';
import type { Emitter } from '../events.js';
import type { Platform } from '../platform.js';
import type { SlotId } from '../store/store.js';
import { failureOf, type TransportError } from '../transport/transport-error.js';
import type { Transport } from '../transport/transport.js';

/** An operation that is kept and has no final outcome. */
export interface UploadItem {
  readonly operation: Operation;
  readonly bytes: Uint8Array;
  readonly acceptedSeq?: number;
  readonly cancelled: boolean;
}

/** What an uploader asks before it sends. */
export interface UploadRules {
  /** The wire is up and nothing forbids sending. */
  maySend(): boolean;
  plan(): { readonly operationsMax: number; readonly gatherMs: number };
  /** The history that operations must belong to. */
  epoch(): Epoch;
}

/** What an uploader tells. */
export interface UploadEvents {
  /** Answers to operations of a slot, in order. */
  receipts(slotId: SlotId, receipts: readonly ServerReceipt[]): void;
  /** Counters of cancelled operations are settled. */
  abandoned(slotId: SlotId, dot: Dot, receipt: ServerReceipt): void;
  /** The server says its history is behind this operation, or another one. */
  historyDoubted(slotId: SlotId, receipt: ServerReceipt): void;
  /** Another installation used this replica. */
  forked(slotId: SlotId): void;
  /** An answer of a newer version: the operation is kept, and nothing more is sent before a reconnect. */
  outdated(slotId: SlotId): void;
  /** The server refuses calls as a whole; they are tried again after a reconnect. */
  stopped(failure: TransportError): void;
  /** The status of operations changed. */
  changed(): void;
}

export type UploadStatus = 'sent' | 'unknown' | 'held';

/** Reasons why a server takes nothing of a call that may lie in a single operation of it. */
const ABOUT_CONTENT: ReadonlySet<string | undefined> = new Set([
  'INVALID_REQUEST',
  'MALFORMED_MESSAGE',
  'UNKNOWN_FIELD',
  'MESSAGE_TOO_LARGE',
]);

/**
 * Sends the queue of one slot: one call at a time, from the lowest counter that is not accepted, the same bytes until
 * there is an outcome (SPEC.md, §4).
 */
export class Uploader {
  private readonly statuses = new Map<number, UploadStatus>();
  private running = false;
  private again = false;
  private stopped = false;
  private failures = 0;
  private heldRetryMs = 0;
  /** A back-off: what is new waits with what failed. */
  private notBeforeMs = 0;
  private sizeMax = Infinity;
  /** A call was refused as a whole: calls are this small until what is to blame in it is found or has gone through. */
  private search: { readonly operationsMax: number; readonly upTo: number } | undefined;
  /** The counter abandoned last: one is not abandoned twice in a row, whatever the server says. */
  private gaveUp: number | undefined;
  private cancelTimer: () => void = () => undefined;
  private readonly ended = new AbortController();

  constructor(
    readonly slotId: SlotId,
    private readonly items: () => readonly UploadItem[],
    private readonly transport: Transport,
    private readonly platform: Platform,
    private readonly rules: UploadRules,
    private readonly events: Emitter<UploadEvents>,
  ) {}

  /** Where an operation stands, as far as sending goes. */
  status(counter: number): UploadStatus | undefined {
    return this.statuses.get(counter);
  }

  /** There may be something to send. */
  wake(): void {
    if (this.running) {
      this.again = true;
      return;
    }
    if (this.stopped || this.platform.clock.monotonicMs() < this.notBeforeMs) return;
    this.cancelTimer();
    void this.run();
  }

  /** The wire came up: what was sent and not answered is sent again, at once. */
  reconnected(): void {
    this.failures = 0;
    this.heldRetryMs = 0;
    this.notBeforeMs = 0;
    this.wake();
  }

  /** An operation is settled. What was held may go on. */
  settled(counter: number): void {
    if (this.statuses.get(counter) === 'held') {
      this.heldRetryMs = 0;
      this.notBeforeMs = 0;
    }
    this.statuses.delete(counter);
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer();
    this.ended.abort(new Error('stopped'));
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      do {
        this.again = false;
        while (await this.next());
      } while (this.again && !this.stopped && this.rules.maySend());
    } finally {
      this.running = false;
    }
  }

  /** One call; whether to go on at once. */
  private async next(): Promise<boolean> {
    if (!this.sendable().length) return false;
    const { operationsMax, gatherMs } = this.rules.plan();
    if (gatherMs > 0) await this.wait(gatherMs);
    // Looked at again: the queue may have grown, and all may have been called off.
    const waiting = this.sendable();
    const first = waiting[0];
    if (first === undefined) return false;
    if (first.cancelled) return this.abandon(first.operation.dot);
    return this.submit(this.batch(waiting, operationsMax));
  }

  private sendable(): readonly UploadItem[] {
    if (this.stopped || !this.rules.maySend()) return [];
    const epoch = this.rules.epoch();
    return this.items().filter((item) => item.acceptedSeq === undefined && item.operation.context.epoch === epoch);
  }

  private batch(waiting: readonly UploadItem[], operationsMax: number): readonly UploadItem[] {
    const batch: UploadItem[] = [];
    let bytes = 0;
    for (const item of waiting) {
      bytes += item.bytes.length;
      const most = Math.min(operationsMax, this.sizeMax, this.search?.operationsMax ?? Infinity);
      const full = batch.length >= most || bytes > CALL_BYTES_MAX;
      if (item.cancelled || (full && batch.length > 0)) break;
      batch.push(item);
    }
    return batch;
  }

  private async submit(batch: readonly UploadItem[]): Promise<boolean> {
    this.mark(batch, 'sent');
    try {
      const call = this.transport.submit(
        batch.map((item) => item.bytes),
        this.ended.signal,
      );
      const { receipts } = await call;
      if (this.stopped) return false;
      this.failures = 0;
      const last = batch.at(-1)?.operation.dot.counter ?? 0;
      if (this.search !== undefined && last >= this.search.upTo) this.search = undefined;
      return await this.answered(batch, receipts);
    } catch (error) {
      if (this.stopped) return false;
      this.mark(batch, 'unknown');
      return this.failed(failureOf(error), batch);
    }
  }

  private async answered(batch: readonly UploadItem[], receipts: readonly ServerReceipt[]): Promise<boolean> {
    // All of them are handed on before anything is decided: a receipt may take its successors out of the queue.
    const answers = receipts.filter(({ dot, outcome }) => {
      const settles = outcome.type !== 'held' && outcome.type !== 'not_settled' && outcome.type !== 'unknown';
      if (settles) this.statuses.delete(dot.counter);
      return settles;
    });
    this.events.emit('receipts', this.slotId, answers);
    const open = receipts.find((receipt) => !answers.includes(receipt));
    if (open === undefined) {
      this.heldRetryMs = 0;
      return true;
    }
    for (const { dot, outcome } of receipts) {
      if (outcome.type === 'held') this.statuses.set(dot.counter, 'held');
      if (outcome.type === 'not_settled') this.statuses.delete(dot.counter);
      if (outcome.type === 'unknown') this.statuses.set(dot.counter, 'unknown');
    }
    this.events.emit('changed');
    const { outcome } = open;
    if (outcome.type === 'held') return this.held(open.dot.replicaId, outcome.missing, outcome.expectedCounter, batch);
    if (outcome.type === 'unknown') {
      this.events.emit('outdated', this.slotId);
      return false;
    }
    if (outcome.type !== 'not_settled') return true;
    switch (outcome.refusal.reason) {
      case 'CONTEXT_AHEAD':
      case 'WRONG_EPOCH':
      case 'HISTORY_REWOUND':
        this.events.emit('historyDoubted', this.slotId, open);
        return false;
      case 'REPLICA_FORKED':
      case 'REPLICA_NOT_YOURS':
        this.events.emit('forked', this.slotId);
        return false;
      default:
        return this.backOff(0);
    }
  }

  private async held(
    replicaId: ReplicaId,
    missing: Dot | string,
    expectedCounter: number,
    batch: readonly UploadItem[],
  ): Promise<boolean> {
    const own = typeof missing !== 'string' && missing.replicaId === replicaId;
    if (own && expectedCounter < (batch[0]?.operation.dot.counter ?? 0)) {
      // The server waits for an operation that is not kept here any more. It never will be sent.
      const kept = this.items().some((item) => item.operation.dot.counter === expectedCounter);
      if (!kept && this.gaveUp !== expectedCounter) {
        this.gaveUp = expectedCounter;
        return this.abandon({ replicaId, counter: expectedCounter });
      }
    }
    this.heldRetryMs = Math.min(Math.max(HELD_RETRY_MS, this.heldRetryMs * 2), HELD_RETRY_MAX_MS);
    this.later(this.heldRetryMs);
    return false;
  }

  private async abandon(dot: Dot): Promise<boolean> {
    try {
      const receipt = await this.transport.abandon(dot, this.ended.signal);
      if (this.stopped) return false;
      this.events.emit('abandoned', this.slotId, dot, receipt);
      return true;
    } catch (error) {
      return this.stopped ? false : this.failed(failureOf(error), []);
    }
  }

  /** A call failed. One for a counter alone has no batch. */
  private failed(failure: TransportError, batch: readonly UploadItem[]): boolean | Promise<boolean> {
    switch (failure.kind) {
      case 'unreachable':
      case 'deadline':
      case 'unavailable':
      case 'overloaded':
      case 'fault':
        return this.backOff(failure.retryAfterMs ?? 0);
      case 'refused': {
        const reason = failure.refusal?.reason;
        const { length } = batch;
        if ((reason === 'MESSAGE_TOO_LARGE' || reason === 'TOO_MANY_OPERATIONS') && length > 1) {
          this.sizeMax = Math.ceil(length / 2);
          return true;
        }
        if (ABOUT_CONTENT.has(reason) && length > 0) return this.blame(failure, batch);
        this.events.emit('stopped', failure);
        return false;
      }
      case 'unauthenticated':
      case 'forbidden':
      case 'not_found':
      case 'outdated':
        this.events.emit('stopped', failure);
        return false;
    }
  }

  /**
   * The server takes nothing of this call, and does not say because of which operation. It is looked for by halves, so
   * that one operation never stops those after it.
   */
  private async blame(failure: TransportError, batch: readonly UploadItem[]): Promise<boolean> {
    const [first] = batch;
    if (first === undefined || failure.refusal === undefined) return false;
    if (batch.length > 1) {
      const upTo = Math.max(this.search?.upTo ?? 0, batch.at(-1)?.operation.dot.counter ?? 0);
      this.search = { operationsMax: Math.ceil(batch.length / 2), upTo };
      return true;
    }
    const { dot } = first.operation;
    try {
      // That its counter can be given up shows that the call was refused for what the operation says.
      const receipt = await this.transport.abandon(dot, this.ended.signal);
      if (this.stopped) return false;
      const { outcome } = receipt;
      const gone = outcome.type === 'rejected' && outcome.refusal.reason === 'ABANDONED';
      const rejected: ServerReceipt = { ...receipt, outcome: { type: 'rejected', refusal: failure.refusal } };
      this.statuses.delete(dot.counter);
      this.events.emit('receipts', this.slotId, [gone ? rejected : receipt]);
      if (this.search !== undefined && dot.counter >= this.search.upTo) this.search = undefined;
      return true;
    } catch (error) {
      if (this.stopped) return false;
      const again = failureOf(error);
      if (again.kind !== 'refused') return this.failed(again, []);
      this.events.emit('stopped', failure);
      return false;
    }
  }

  private backOff(atLeastMs: number): boolean {
    this.failures += 1;
    this.later(Math.max(backoffMs(this.failures, this.platform.random.unit()), atLeastMs));
    return false;
  }

  private later(delayMs: number): void {
    this.again = false;
    this.cancelTimer();
    this.notBeforeMs = this.platform.clock.monotonicMs() + delayMs;
    this.cancelTimer = this.platform.clock.after(delayMs, () => {
      this.notBeforeMs = 0;
      this.wake();
    });
  }

  private mark(batch: readonly UploadItem[], status: UploadStatus): void {
    for (const { operation } of batch) this.statuses.set(operation.dot.counter, status);
    this.events.emit('changed');
  }

  private wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.platform.clock.after(delayMs, resolve);
    });
  }
}
