/** What the client takes from outside, as arguments: real ones in browser.ts and node.ts, scripted ones in tests. */

/** Time and timers. */
export interface Clock {
  /** Wall clock: display only, it may jump. */
  nowMs(): number;
  /** Never goes back; measures spans. */
  monotonicMs(): number;
  /** Calls once after the delay; the result cancels. */
  after(delayMs: number, run: () => void): () => void;
}

/** Randomness. */
export interface Random {
  /** Uniform in [0, 1). */
  unit(): number;
  /** A random UUID (version 4). */
  uuid(): string;
}

/** The life of the page: whether it has a network and is visible. In Node it always has and is. */
export interface PageLifecycle {
  online(): boolean;
  visible(): boolean;
  /** Any of them changed, or the page was thawed. */
  subscribe(listener: () => void): () => void;
}

/** Named exclusive locks among the tabs of one browser. In Node: of this process. */
export interface Locks {
  /**
   * Runs `holding` when the lock is free (`wait`), or now or never (`try`), or takes it from its holder (`steal`).
   * The lock is held until the promise of `holding` ends. `lost` aborts when it is stolen.
   * Resolves to false when `try` did not get it.
   */
  request(
    name: string,
    mode: 'wait' | 'try' | 'steal',
    holding: (lost: AbortSignal) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<boolean>;
}

/** Messages among the tabs of one browser. A sender does not hear itself. */
export interface Channel<M> {
  post(message: M): void;
  subscribe(listener: (message: M) => void): () => void;
  close(): void;
}

/** What one tab remembers across a reload, and no other tab sees. In Node: nothing. */
export interface TabMemory {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
}

export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly page: PageLifecycle;
  readonly locks: Locks;
  readonly memory: TabMemory;
  channel<M>(name: string): Channel<M>;
}
