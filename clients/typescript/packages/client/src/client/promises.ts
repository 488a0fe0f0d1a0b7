import type { PendingMutation, Receipt } from '../api.js';
import { dotKey } from '../domain/dot.js';
import type { Dot, DotKey } from '../domain/ids.js';
import { SynclineError } from '../errors.js';
import type { PendingOperation } from '../replica/replica.js';

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: SynclineError): void;
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: SynclineError) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Nobody has to listen.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

interface Waiting {
  readonly correlationId: string;
  readonly saved: Deferred<{ readonly durability: 'durable' | 'memory' }>;
  readonly settled: Deferred<Receipt>;
  /** It decides a conflict: what it left open is told by its answer only. */
  readonly resolves: boolean;
  seen?: Omit<Receipt, 'remaining'>;
  remaining?: readonly string[];
}

/** Promises of operations that were made in this run. */
export class MutationPromises {
  private readonly waiting = new Map<DotKey, Waiting>();

  add({ operation }: PendingOperation): PendingMutation {
    const { dot, correlationId } = operation;
    const resolves = operation.mutations.some((mutation) => mutation.resolvesConflictId !== undefined);
    const entry: Waiting = { correlationId, saved: deferred(), settled: deferred(), resolves };
    this.waiting.set(dotKey(dot), entry);
    return { dot, correlationId, saved: entry.saved.promise, settled: entry.settled.promise };
  }

  saved(dots: readonly Dot[], durability: 'durable' | 'memory'): void {
    for (const dot of dots) this.waiting.get(dotKey(dot))?.saved.resolve({ durability });
  }

  notSaved(dots: readonly Dot[], error: SynclineError): void {
    for (const dot of dots) this.waiting.get(dotKey(dot))?.saved.reject(error);
  }

  /** It took effect, as the feed says. */
  settled(seen: Omit<Receipt, 'remaining' | 'correlationId'>): void {
    const entry = this.waiting.get(dotKey(seen.dot));
    if (entry === undefined) return;
    entry.seen = { ...seen, correlationId: entry.correlationId };
    this.finish(seen.dot, entry);
  }

  /** Its answer came. */
  answered(dot: Dot, remaining: readonly string[]): void {
    const entry = this.waiting.get(dotKey(dot));
    if (entry === undefined) return;
    entry.remaining = remaining;
    this.finish(dot, entry);
  }

  failed(dot: Dot, error: SynclineError): void {
    const entry = this.waiting.get(dotKey(dot));
    if (entry === undefined) return;
    this.waiting.delete(dotKey(dot));
    entry.settled.reject(error);
  }

  /** Operations were rebased and have other dots now: whoever waits, waits for those. */
  rebased(operations: readonly PendingOperation[]): void {
    const byCorrelation = new Map([...this.waiting.values()].map((entry) => [entry.correlationId, entry]));
    for (const { operation } of operations) {
      const entry = byCorrelation.get(operation.correlationId);
      if (entry !== undefined) this.waiting.set(dotKey(operation.dot), entry);
    }
  }

  close(): void {
    const error = new SynclineError('CLOSED', 'the client was closed; the operation is sent another time');
    for (const entry of this.waiting.values()) entry.settled.reject(error);
    this.waiting.clear();
  }

  private finish(dot: Dot, entry: Waiting): void {
    if (entry.seen === undefined || (entry.resolves && entry.remaining === undefined)) return;
    this.waiting.delete(dotKey(dot));
    entry.settled.resolve({ ...entry.seen, remaining: entry.remaining ?? [] });
  }
}
