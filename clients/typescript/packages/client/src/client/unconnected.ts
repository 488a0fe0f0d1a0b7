import type { ConnectionSnapshot } from '../api.js';

/** What is told before there is a leader to tell it. */
export function unconnected(
  offline: boolean,
  position: number,
  pending: number,
  storage: ConnectionSnapshot['storage'],
): ConnectionSnapshot {
  return {
    ...(offline ? { state: 'offline', reason: 'asked' } : { state: 'online' }),
    transport: offline ? 'down' : 'connecting',
    feed: { position, head: position, caughtUp: false },
    queue: { pending, paused: false },
    quality: { loss: 0, stability: 1, rating: 'unknown' },
    failures: 0,
    breaker: 'closed',
    role: 'follower',
    storage,
  };
}
