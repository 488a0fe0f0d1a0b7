import type { Observable } from '../api.js';
import { Emitter } from '../events.js';

/** A value that can be watched. Setting the same value tells nobody. */
export class Cell<T> implements Observable<T> {
  private readonly events = new Emitter<{ changed(): void }>();

  constructor(private value: T) {}

  readonly getSnapshot = (): T => this.value;

  readonly subscribe = (listener: () => void): (() => void) => this.events.on('changed', listener);

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    this.events.emit('changed');
  }

  get watched(): boolean {
    return this.events.has('changed');
  }
}

/** Runs something once for all calls within a task. */
export class Microtask {
  private scheduled = false;

  constructor(private readonly run: () => void) {}

  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    void Promise.resolve().then(() => {
      this.scheduled = false;
      this.run();
    });
  }
}

/** Equal by content, for plain data; what is equal need not be told again. */
export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  return left.length === Object.keys(b).length && left.every(([key, value]) => sameData(value, right[key]));
}
