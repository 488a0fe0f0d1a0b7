import type { Clock } from '../platform.js';

/** Timers wait at most so long at a time (2^31 - 1 ms). */
const TIMER_MAX_MS = 2_147_483_647;

/** The clocks and timers of the browser or of Node. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MAX_MS));
    return () => {
      clearTimeout(timer);
    };
  },
};
