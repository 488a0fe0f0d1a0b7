import { LEADER_BEAT_MS, LEADER_TELLS_EVERY_MS } from '../limits.js';
import type { Clock } from '../platform.js';

/** Tells the other tabs how things are: regularly, and when something changed, but not more often than they need it. */
export class LeaderBroadcaster {
  private saidAtMs = -Infinity;
  private cancelTimer: () => void = () => undefined;
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly say: () => void,
  ) {
    this.now();
  }

  /** Something changed. */
  tell(): void {
    const waitMs = this.saidAtMs + LEADER_TELLS_EVERY_MS - this.clock.monotonicMs();
    if (waitMs > 0) this.later(waitMs);
    else this.now();
  }

  /** Somebody asked. */
  now(): void {
    if (this.stopped) return;
    this.saidAtMs = this.clock.monotonicMs();
    this.say();
    this.later(LEADER_BEAT_MS);
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer();
  }

  private later(delayMs: number): void {
    if (this.stopped) return;
    this.cancelTimer();
    this.cancelTimer = this.clock.after(delayMs, () => {
      this.now();
    });
  }
}
