import type { QueueItem } from '../api.js';
import { dotKey } from '../domain/dot.js';
import type { DotKey } from '../domain/ids.js';
import type { PendingOperation, Replica } from '../replica/replica.js';
import type { PendingRow } from '../store/store.js';
import type { QueueEntry } from '../sync/sync.js';
import { queueItem, statusOf } from './queue.js';

/** This tab's queue, with where each operation stands. */
export class OwnQueue {
  /** Loaded at the start: whether these were sent is not known. */
  private readonly before = new Set<DotKey>();

  constructor(
    private readonly replica: Replica,
    /** What the uploader says, when there is one. */
    private readonly sending: (counter: number) => QueueEntry['status'],
  ) {}

  loaded(rows: readonly PendingRow[]): void {
    for (const row of rows) this.before.add(dotKey(row.operation.dot));
  }

  items(): readonly QueueItem[] {
    return this.replica
      .pending()
      .map((pending) => queueItem(pending.operation, pending.bytes.length, this.status(pending), true));
  }

  /** The first counter from which on nothing was ever sent. */
  firstUnsent(): number | undefined {
    let from: number | undefined;
    for (const pending of [...this.replica.pending()].reverse()) {
      const status = this.status(pending);
      if (status !== 'queued' && status !== 'unsaved') break;
      from = pending.operation.dot.counter;
    }
    return from;
  }

  private status(pending: PendingOperation): QueueItem['status'] {
    const { dot } = pending.operation;
    return statusOf(pending, this.sending(dot.counter), this.before.has(dotKey(dot)));
  }
}
