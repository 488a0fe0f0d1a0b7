import type { Channel, Locks } from '../platform.js';

interface Waiting {
  readonly run: () => void;
  readonly cancelled: () => boolean;
}

interface Held {
  readonly lost: AbortController;
}

/** Locks within this process: what Web Locks do among the tabs of a browser. */
export class LocalLocks implements Locks {
  private readonly held = new Map<string, Held>();
  private readonly queues = new Map<string, Waiting[]>();

  request(
    name: string,
    mode: 'wait' | 'try' | 'steal',
    holding: (lost: AbortSignal) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const holder = this.held.get(name);
    if (holder === undefined) return this.hold(name, holding);
    if (mode === 'try') return Promise.resolve(false);
    if (mode === 'steal') {
      this.held.delete(name);
      holder.lost.abort(new Error('stolen'));
      return this.hold(name, holding);
    }
    return new Promise((resolve, reject) => {
      const queue = this.queues.get(name) ?? [];
      this.queues.set(name, queue);
      queue.push({
        run: () => {
          this.hold(name, holding).then(resolve, reject);
        },
        cancelled: () => signal?.aborted === true,
      });
      signal?.addEventListener('abort', () => {
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      });
    });
  }

  private async hold(name: string, holding: (lost: AbortSignal) => Promise<void>): Promise<boolean> {
    const mine: Held = { lost: new AbortController() };
    this.held.set(name, mine);
    try {
      await holding(mine.lost.signal);
    } finally {
      if (this.held.get(name) === mine) {
        this.held.delete(name);
        this.next(name);
      }
    }
    return true;
  }

  private next(name: string): void {
    const queue = this.queues.get(name) ?? [];
    for (let waiting = queue.shift(); waiting !== undefined; waiting = queue.shift()) {
      if (waiting.cancelled()) continue;
      waiting.run();
      return;
    }
  }
}

/** Channels within this process. A message arrives in a task of its own, as in a browser. */
export class LocalChannels {
  private readonly members = new Map<string, Set<(message: unknown) => void>>();

  open<M>(name: string): Channel<M> {
    const members = this.members.get(name) ?? new Set();
    this.members.set(name, members);
    const listeners = new Set<(message: M) => void>();
    const hear = (message: unknown) => {
      for (const listener of [...listeners]) listener(message as M);
    };
    members.add(hear);
    return {
      post: (message) => {
        for (const member of members) {
          if (member === hear) continue;
          queueMicrotask(() => {
            if (members.has(member)) member(message);
          });
        }
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => {
        members.delete(hear);
        listeners.clear();
      },
    };
  }
}
