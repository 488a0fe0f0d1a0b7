import { dotKey } from '../domain/dot.js';
import type { Dot, DotKey, RecordId } from '../domain/ids.js';
import type { PendingOperation } from './replica.js';

/** The pending operations of one slot in the order of their counters. Entries are replaced, never changed. */
export class PendingQueue {
  private readonly entries = new Map<DotKey, PendingOperation>();
  private readonly byRecord = new Map<RecordId, Set<DotKey>>();
  private list: readonly PendingOperation[] | undefined;

  get size(): number {
    return this.entries.size;
  }

  get(dot: Dot | DotKey): PendingOperation | undefined {
    return this.entries.get(typeof dot === 'string' ? dot : dotKey(dot));
  }

  /** All of them; the same array until something changes. */
  all(): readonly PendingOperation[] {
    this.list ??= [...this.entries.values()];
    return this.list;
  }

  add(pending: PendingOperation): void {
    const key = dotKey(pending.operation.dot);
    this.entries.set(key, pending);
    this.list = undefined;
    for (const id of touchedRecords(pending)) {
      const keys = this.byRecord.get(id);
      if (keys === undefined) this.byRecord.set(id, new Set([key]));
      else keys.add(key);
    }
  }

  /** Says something else about an operation; its place stays. */
  update(dot: Dot, change: Partial<Omit<PendingOperation, 'operation' | 'bytes'>>): PendingOperation | undefined {
    const key = dotKey(dot);
    const before = this.entries.get(key);
    if (before === undefined) return undefined;
    const after = { ...before, ...change };
    this.entries.set(key, after);
    this.list = undefined;
    return after;
  }

  remove(dot: Dot): PendingOperation | undefined {
    const key = dotKey(dot);
    const pending = this.entries.get(key);
    if (pending === undefined) return undefined;
    this.entries.delete(key);
    this.list = undefined;
    for (const id of touchedRecords(pending)) {
      const keys = this.byRecord.get(id);
      keys?.delete(key);
      if (keys?.size === 0) this.byRecord.delete(id);
    }
    return pending;
  }

  clear(): void {
    this.entries.clear();
    this.byRecord.clear();
    this.list = undefined;
  }

  /** Those that mutate a record, in order. */
  touching(id: RecordId): readonly PendingOperation[] {
    const keys = this.byRecord.get(id);
    if (keys === undefined) return [];
    const found: PendingOperation[] = [];
    for (const key of keys) {
      const pending = this.entries.get(key);
      if (pending !== undefined) found.push(pending);
    }
    return found;
  }

  isTouched(id: RecordId): boolean {
    return this.byRecord.has(id);
  }

  touchedRecords(): Iterable<RecordId> {
    return this.byRecord.keys();
  }

  /** The operation and whatever depends on it, directly or not, in order. */
  dependents(dot: Dot): readonly PendingOperation[] {
    const doomed = new Set<DotKey>([dotKey(dot)]);
    const found: PendingOperation[] = [];
    for (const [key, pending] of this.entries) {
      if (doomed.has(key) || !pending.operation.dependsOn.some((on) => doomed.has(dotKey(on)))) continue;
      doomed.add(key);
      found.push(pending);
    }
    return found;
  }
}

/** Whether an operation is part of what is shown. */
export function isVisible(pending: PendingOperation): boolean {
  return !pending.cancelled && !pending.doomed && (!pending.pessimistic || pending.acceptedSeq !== undefined);
}

/** Records an operation mutates. */
export function touchedRecords(pending: Pick<PendingOperation, 'operation'>): ReadonlySet<RecordId> {
  const ids = new Set<RecordId>();
  for (const mutation of pending.operation.mutations) if (mutation.recordId !== '') ids.add(mutation.recordId);
  return ids;
}
