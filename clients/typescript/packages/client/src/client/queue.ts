import type { PendingStatus, QueueItem, QueueSnapshot } from '../api.js';
import { dotKey } from '../domain/dot.js';
import type { DotKey, ReplicaId } from '../domain/ids.js';
import type { Operation } from '../domain/operation.js';
import type { PendingOperation } from '../replica/replica.js';
import type { QueueEntry } from '../sync/sync.js';
import { operationInWords } from './words.js';

/** Where a pending operation stands. `sending` is what the uploader says; `before`: from before this run. */
export function statusOf(
  pending: Pick<PendingOperation, 'acceptedSeq' | 'cancelled' | 'doomed' | 'saved'>,
  sending: QueueEntry['status'],
  before: boolean,
): PendingStatus {
  if (pending.cancelled) return 'cancelled';
  if (pending.doomed) return 'doomed';
  if (pending.acceptedSeq !== undefined) return 'accepted';
  if (!pending.saved) return 'unsaved';
  return sending ?? (before ? 'unknown' : 'queued');
}

const words = new WeakMap<Operation, string>();

/** An operation as the queue shows it. */
export function queueItem(operation: Operation, bytes: number, status: PendingStatus, own: boolean): QueueItem {
  let summary = words.get(operation);
  if (summary === undefined) {
    summary = operationInWords(operation);
    words.set(operation, summary);
  }
  return {
    dot: operation.dot,
    correlationId: operation.correlationId,
    actor: operation.actor,
    madeAtMs: operation.clientTimeMs,
    status,
    own,
    summary,
    bytes,
  };
}

/** Makes snapshots of the queue: the same items while nothing about them changed, and progress since it was empty. */
export class QueueView {
  private items = new Map<DotKey, QueueItem>();
  private settled = 0;
  private total = 0;
  private last: QueueSnapshot = { items: [], pending: 0, bytes: 0, paused: false, progress: { settled: 0, total: 0 } };

  snapshot(items: readonly QueueItem[], paused: boolean): QueueSnapshot {
    const now = new Map<DotKey, QueueItem>();
    let bytes = 0;
    let added = 0;
    for (const item of items) {
      const key = dotKey(item.dot);
      const before = this.items.get(key);
      if (before === undefined) added += 1;
      now.set(key, before?.status === item.status && before.own === item.own ? before : item);
      bytes += item.bytes;
    }
    const gone = this.items.size + added - now.size;
    if (this.items.size === 0) {
      this.settled = 0;
      this.total = 0;
    }
    this.total += added;
    this.settled += gone;
    this.items = now;
    const list = [...now.values()];
    const same =
      list.length === this.last.items.length &&
      list.every((item, index) => item === this.last.items[index]) &&
      paused === this.last.paused;
    if (same && this.settled === this.last.progress.settled && this.total === this.last.progress.total)
      return this.last;
    this.last = {
      items: same ? this.last.items : list,
      pending: list.length,
      bytes,
      paused,
      progress: { settled: this.settled, total: this.total },
    };
    return this.last;
  }
}

/** A leader's queue as another tab shows it: with that tab's own operations as it knows them itself. */
export function mergeQueues(
  told: readonly QueueItem[],
  own: readonly QueueItem[],
  replicaId: ReplicaId,
): readonly QueueItem[] {
  const toldOwn = new Map(told.map((item) => [dotKey(item.dot), item.status]));
  const others = told.filter((item) => item.dot.replicaId !== replicaId).map((item) => ({ ...item, own: false }));
  const mine = own.map((item) => {
    const status = toldOwn.get(dotKey(item.dot));
    const byLeader = status === 'sent' || status === 'held' || status === 'unknown';
    return byLeader && (item.status === 'queued' || item.status === 'unknown') ? { ...item, status } : item;
  });
  return [...mine, ...others];
}
