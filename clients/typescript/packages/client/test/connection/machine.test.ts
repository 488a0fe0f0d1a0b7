import { describe, expect, it } from 'vitest';
import type { ConnectionEvent, ConnectionModel } from '../../src/connection/connection.js';
import { backoffMs, initialModel, step, wakeAtMs } from '../../src/connection/machine.js';
import { BREAKER_FAILURES, BREAKER_OPEN_MS, HEALTHY_AFTER_MS, STREAM_OPEN_TIMEOUT_MS } from '../../src/limits.js';

const NOW = 1_000_000;
const base = initialModel(true);
const down = (reason: 'asked' | 'no_network'): ConnectionModel => ({ ...base, phase: { type: 'down', reason } });
const connecting: ConnectionModel = { ...base, phase: { type: 'connecting', probing: false, sinceMs: NOW - 100 } };
const probing: ConnectionModel = {
  ...base,
  failures: BREAKER_FAILURES,
  phase: { type: 'connecting', probing: true, sinceMs: NOW - 100 },
};
const up: ConnectionModel = {
  ...base,
  everUp: true,
  failures: 2,
  phase: { type: 'up', sinceMs: NOW - 1_000, heardAtMs: NOW - 500 },
};
const waiting = (leftMs: number, breakerOpen = false): ConnectionModel => ({
  ...base,
  failures: 1,
  phase: { type: 'waiting', untilMs: NOW + leftMs, breakerOpen },
});
const fail = (kind: Extract<ConnectionEvent, { type: 'failed' }>['kind'], retryAfterMs?: number): ConnectionEvent => ({
  type: 'failed',
  kind,
  ...(retryAfterMs !== undefined && { retryAfterMs }),
});
const event = (type: Exclude<ConnectionEvent['type'], 'failed' | 'heartbeat'>): ConnectionEvent => ({ type });

/** The table of SPEC.md, §9: phase, event, the phase after it, and what is done. */
const TABLE: readonly (readonly [string, ConnectionModel, ConnectionEvent, string, readonly string[]])[] = [
  ['asked online, down', down('asked'), event('asked_online'), 'connecting', ['connect']],
  ['asked online, connecting', connecting, event('asked_online'), 'connecting', []],
  ['asked online, up', up, event('asked_online'), 'up', []],
  ['asked online, waiting', waiting(5_000), event('asked_online'), 'connecting', ['connect']],
  ['asked online, breaker open', waiting(50_000, true), event('asked_online'), 'connecting', ['connect']],
  ['asked offline, down', down('no_network'), event('asked_offline'), 'down asked', []],
  ['asked offline, connecting', connecting, event('asked_offline'), 'down asked', ['disconnect']],
  ['asked offline, up', up, event('asked_offline'), 'down asked', ['disconnect']],
  ['asked offline, waiting', waiting(5_000), event('asked_offline'), 'down asked', []],
  ['network online, down for it', down('no_network'), event('network_online'), 'connecting', ['connect']],
  ['network online, down as asked', down('asked'), event('network_online'), 'down asked', []],
  ['network online, connecting', connecting, event('network_online'), 'connecting', []],
  ['network online, up', up, event('network_online'), 'up', ['heartbeat']],
  ['network online, waiting', waiting(5_000), event('network_online'), 'connecting', ['connect']],
  ['network offline, down', down('asked'), event('network_offline'), 'down asked', []],
  ['network offline, connecting', connecting, event('network_offline'), 'down no_network', ['disconnect']],
  ['network offline, up', up, event('network_offline'), 'up', ['heartbeat']],
  ['network offline, waiting', waiting(5_000), event('network_offline'), 'down no_network', []],
  ['visible, up', up, event('page_visible'), 'up', ['heartbeat']],
  ['visible, due soon', waiting(1_500), event('page_visible'), 'connecting', ['connect']],
  ['visible, overdue', waiting(-100), event('page_visible'), 'connecting', ['connect']],
  ['visible, due later', waiting(5_000), event('page_visible'), 'waiting', []],
  ['visible, down', down('asked'), event('page_visible'), 'down asked', []],
  ['hidden, up', up, event('page_hidden'), 'up', []],
  ['opened, down', down('asked'), event('opened'), 'down asked', []],
  ['opened, connecting', connecting, event('opened'), 'up', []],
  ['opened, waiting', waiting(5_000), event('opened'), 'waiting', []],
  ['reached, connecting', connecting, event('reached'), 'connecting', []],
  ['reached, up', up, event('reached'), 'up', []],
  ['frame, down', down('asked'), event('frame'), 'down asked', []],
  ['frame, waiting', waiting(5_000), event('frame'), 'waiting', []],
  ['went away, connecting', connecting, event('went_away'), 'connecting', ['disconnect', 'connect']],
  ['went away, up', up, event('went_away'), 'connecting', ['disconnect', 'connect']],
  ['went away, down', down('asked'), event('went_away'), 'down asked', []],
  ['unreachable, connecting', connecting, fail('unreachable'), 'waiting', ['disconnect']],
  ['unreachable, up', up, fail('unreachable'), 'waiting', ['disconnect']],
  ['unreachable, down', down('asked'), fail('unreachable'), 'down asked', []],
  ['unreachable, waiting', waiting(5_000), fail('unreachable'), 'waiting', []],
  ['forbidden, up', up, fail('forbidden'), 'waiting breaker', ['disconnect']],
  ['not found, connecting', connecting, fail('not_found'), 'waiting breaker', ['disconnect']],
  ['a probe fails', probing, fail('unreachable'), 'waiting breaker', ['disconnect']],
  [
    'unauthenticated the first time',
    connecting,
    fail('unauthenticated'),
    'connecting',
    ['disconnect', 'refresh_credentials', 'connect'],
  ],
  [
    'unauthenticated again',
    { ...connecting, credentialsRenewed: true },
    fail('unauthenticated'),
    'waiting',
    ['disconnect'],
  ],
  ['the timer, waiting and due', waiting(0), event('timer'), 'connecting', ['connect']],
  ['the timer, waiting and early', waiting(10), event('timer'), 'waiting', []],
  ['closed, up', up, event('closed'), 'down closed', ['disconnect']],
];

describe('the connection', () => {
  it.each(TABLE)('%s', (_, model, happens, phase, commands) => {
    const { model: next, commands: done } = step(model, happens, NOW, 0.5);
    const { type } = next.phase;
    const more = next.phase.type === 'down' ? ` ${next.phase.reason}` : '';
    const breaker = next.phase.type === 'waiting' && next.phase.breakerOpen ? ' breaker' : '';
    expect([`${type}${more}${breaker}`, done.map((command) => command.type)]).toEqual([phase, commands]);
  });

  it('is over when it is closed', () => {
    const closed = step(up, event('closed'), NOW, 0).model;
    for (const [, , happens] of TABLE) expect(step(closed, happens, NOW, 0)).toEqual({ model: closed, commands: [] });
  });

  it('waits uniformly below 2, 4, 8, 8 seconds, and anew after 30 seconds of health', () => {
    expect([1, 2, 3, 4, 7].map((failures) => backoffMs(failures, 1))).toEqual([2_000, 4_000, 8_000, 8_000, 8_000]);
    expect(backoffMs(3, 0.25)).toBe(2_000);
    const sick = { ...up, phase: { type: 'up', sinceMs: NOW - HEALTHY_AFTER_MS, heardAtMs: NOW } } as const;
    expect(step(up, event('frame'), NOW, 0).model.failures).toBe(2);
    expect(step(sick, event('frame'), NOW, 0).model.failures).toBe(0);
  });

  it('waits at least as long as an overloaded server asks', () => {
    const { phase } = step(connecting, fail('overloaded', 30_000), NOW, 0.5).model;
    expect(phase).toEqual({ type: 'waiting', untilMs: NOW + 30_000, breakerOpen: false });
  });

  it('opens the breaker after so many failures in a row, probes once, and closes it', () => {
    let model = connecting;
    for (let failure = 1; failure <= BREAKER_FAILURES; failure++) {
      model = step({ ...model, phase: connecting.phase }, fail('unreachable'), NOW, 0.5).model;
      expect(model.phase).toMatchObject({ type: 'waiting', breakerOpen: failure === BREAKER_FAILURES });
    }
    expect(wakeAtMs(model, NOW)).toBe(NOW + BREAKER_OPEN_MS);
    const probe = step(model, event('timer'), NOW + BREAKER_OPEN_MS, 0.5);
    expect(probe.model.phase).toMatchObject({ type: 'connecting', probing: true });
    const again = step(probe.model, event('opened'), NOW + BREAKER_OPEN_MS, 0.5).model;
    const failed = step(again, fail('unreachable'), NOW + BREAKER_OPEN_MS + 10, 0.5).model;
    expect(failed.phase).toMatchObject({ type: 'waiting', breakerOpen: false });
  });

  it('gives up an attempt that opens nothing, and a link that is silent for 2.5 intervals', () => {
    const opening = { ...connecting, phase: { type: 'connecting', probing: false, sinceMs: NOW } } as const;
    expect(wakeAtMs(opening, NOW)).toBe(NOW + STREAM_OPEN_TIMEOUT_MS);
    expect(step(opening, event('timer'), NOW + STREAM_OPEN_TIMEOUT_MS, 0).model.phase.type).toBe('waiting');
    const beating = step(up, { type: 'heartbeat', report: { heartbeatIntervalMs: 1_000 } }, NOW, 0).model;
    expect(step(beating, event('timer'), NOW + 2_499, 0).model.phase.type).toBe('up');
    expect(step(beating, event('timer'), NOW + 2_500, 0).model).toMatchObject({ reason: 'unreachable' });
  });

  it('believes the device about its network only when the link is silent, too', () => {
    const doubted = step(up, event('network_offline'), NOW, 0).model;
    const heard = step(doubted, event('frame'), NOW + 100, 0).model;
    expect(step(heard, event('timer'), NOW + 2_000, 0).model.phase.type).toBe('up');
    expect(step(doubted, event('timer'), NOW + 2_000, 0).model.phase).toEqual({ type: 'down', reason: 'no_network' });
    const thawed = step(up, event('page_visible'), NOW, 0).model;
    expect(step(thawed, event('timer'), NOW + 2_000, 0).model.phase.type).toBe('waiting');
  });
});
