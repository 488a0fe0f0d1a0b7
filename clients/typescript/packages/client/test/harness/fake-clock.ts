import type { Clock } from '../../src/platform.js';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** A clock that stands still until it is moved. Wall time can be moved on its own. */
export class FakeClock implements Clock {
  private elapsedMs = 0;
  private wallOffsetMs = 1_700_000_000_000;
  private timers: Timer[] = [];

  nowMs(): number {
    return this.wallOffsetMs + this.elapsedMs;
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.elapsedMs + Math.max(0, delayMs), run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((each) => each !== timer);
    };
  }

  /** Only what people see as time: somebody set the clock. */
  setWallBy(ms: number): void {
    this.wallOffsetMs += ms;
  }

  /** Lets time pass; timers run in their order, and what they wake runs between them. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await settle();
    for (;;) {
      const due = this.timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.elapsedMs = Math.max(this.elapsedMs, due.atMs);
      due.run();
      await settle();
    }
    this.elapsedMs = endMs;
    await settle();
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}
