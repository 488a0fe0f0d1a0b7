import type { Locks } from '../platform.js';

/** A lock that is held until it is released or stolen. */
export interface HeldLock {
  readonly lost: AbortSignal;
  release(): void;
}

/** Takes a lock; undefined when `try` did not get it or the signal aborted first. */
export function acquire(
  locks: Locks,
  name: string,
  mode: 'wait' | 'try' | 'steal',
  signal?: AbortSignal,
): Promise<HeldLock | undefined> {
  return new Promise((resolve) => {
    const holding = (lost: AbortSignal) =>
      new Promise<void>((release) => {
        lost.addEventListener('abort', () => {
          release();
        });
        resolve({ lost, release });
      });
    locks.request(name, mode, holding, signal).then(
      (got) => {
        if (!got) resolve(undefined);
      },
      () => {
        resolve(undefined);
      },
    );
  });
}
