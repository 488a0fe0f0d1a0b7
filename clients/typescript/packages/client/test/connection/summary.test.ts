import { describe, expect, it } from 'vitest';
import type { LinkQuality } from '../../src/api.js';
import { planBatch } from '../../src/connection/batch.js';
import type { SummaryInput } from '../../src/connection/connection.js';
import { QualityMeter } from '../../src/connection/quality.js';
import { summarize } from '../../src/connection/summary.js';

const good: LinkQuality = { roundTripMs: 20, jitterMs: 1, loss: 0, stability: 1, rating: 'good' };
const fine: SummaryInput = {
  phase: { type: 'up', sinceMs: 0, heardAtMs: 0 },
  everUp: true,
  caughtUp: true,
  snapshotting: false,
  queuePending: 0,
  queueMoving: true,
  paused: false,
  quality: good,
  storage: 'durable',
};
const wait = (breakerOpen = false) => ({ type: 'waiting', untilMs: 9, breakerOpen }) as const;

/** "The one word" of SPEC.md, §9. */
const WORDS: readonly (readonly [string, Partial<SummaryInput>, string])[] = [
  ['up and nothing else', {}, 'online'],
  ['memory only', { storage: 'memory' }, 'online'],
  ['something is on its way', { queuePending: 3 }, 'online'],
  ['asked offline', { phase: { type: 'down', reason: 'asked' } }, 'offline asked'],
  ['no network', { phase: { type: 'down', reason: 'no_network' } }, 'offline no_network'],
  ['never up', { phase: wait(), everUp: false, reason: 'unreachable' }, 'offline unreachable'],
  ['waiting after it was up', { phase: wait(), reason: 'unreachable' }, 'reconnecting unreachable'],
  ['breaker open', { phase: wait(true), reason: 'unreachable' }, 'offline unreachable'],
  ['breaker open for the right', { phase: wait(true), reason: 'forbidden' }, 'reconnecting forbidden'],
  ['connecting', { phase: { type: 'connecting', probing: false, sinceMs: 0 } }, 'reconnecting'],
  ['history rewound', { trouble: 'history_rewound' }, 'degraded history_rewound'],
  ['protocol', { trouble: 'protocol', snapshotting: true }, 'degraded protocol'],
  ['storage full', { storage: 'full' }, 'degraded storage_full'],
  ['slow', { quality: { ...good, roundTripMs: 900, rating: 'poor' } }, 'degraded slow_link'],
  ['lossy', { quality: { ...good, loss: 0.3, rating: 'poor' } }, 'degraded lossy_link'],
  ['unstable', { quality: { ...good, stability: 0.5, rating: 'poor' } }, 'degraded unstable_link'],
  ['paused with something pending', { paused: true, queuePending: 1 }, 'degraded paused'],
  ['paused with nothing pending', { paused: true }, 'online'],
  ['snapshot', { snapshotting: true }, 'syncing'],
  ['behind', { caughtUp: false }, 'syncing'],
  ['something waits', { queuePending: 1, queueMoving: false }, 'syncing'],
];

describe('the one word', () => {
  it.each(WORDS)('%s', (_, differs, word) => {
    const { state, reason } = summarize({ ...fine, ...differs });
    expect([state, reason].filter((each) => each !== undefined).join(' ')).toBe(word);
  });
});

describe('quality', () => {
  it('smooths round trip and jitter, and counts what was lost among the last 20', () => {
    const meter = new QualityMeter();
    expect(meter.snapshot(0).rating).toBe('unknown');
    meter.answered(80);
    meter.answered(160);
    const { roundTripMs, jitterMs } = meter.snapshot(0);
    expect([roundTripMs, jitterMs]).toEqual([90, 5]);
    expect(meter.snapshot(0).rating).toBe('good');
    for (let heartbeat = 0; heartbeat < 3; heartbeat++) meter.lost();
    expect(meter.snapshot(0)).toMatchObject({ loss: 0.6, rating: 'poor' });
    for (let heartbeat = 0; heartbeat < 18; heartbeat++) meter.answered(90);
    expect(meter.snapshot(0)).toMatchObject({ loss: 0.1, rating: 'fair' });
  });

  it('takes the share of ten minutes with the wire up', () => {
    const meter = new QualityMeter();
    meter.answered(20);
    meter.broken(0);
    expect(meter.snapshot(60_000).stability).toBeCloseTo(0.9);
    meter.fine(60_000);
    expect(meter.snapshot(120_000).stability).toBeCloseTo(0.9);
    expect(meter.snapshot(661_000).stability).toBe(1);
  });

  it('gathers more on a worse link', () => {
    const plan = (rating: LinkQuality['rating']) => Object.values(planBatch({ ...good, rating }));
    expect([plan('good'), plan('unknown'), plan('fair'), plan('poor')]).toEqual([
      [64, 0],
      [64, 0],
      [256, 100],
      [1_000, 500],
    ]);
  });
});
