import type { ConnectionReason } from '../api.js';
import type { FailureKind } from '../transport/transport.js';
import {
  BACKOFF_CEILINGS_MS,
  HEARTBEAT_INTERVAL_MS,
  BREAKER_FAILURES,
  BREAKER_OPEN_MS,
  HEALTHY_AFTER_MS,
  SILENCE_CHECK_MS,
  SILENCE_INTERVALS,
  STREAM_OPEN_TIMEOUT_MS,
} from '../limits.js';
import type { ConnectionCommand, ConnectionModel, DownReason, SilenceCheck, Step } from './connection.js';

type Stepped = ReturnType<Step>;

/** A machine that has not connected yet. */
export function initialModel(network: boolean): ConnectionModel {
  return {
    phase: { type: 'down', reason: 'asked' },
    failures: 0,
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
    network,
    everUp: false,
    credentialsRenewed: false,
  };
}

/** When the machine wants a `timer` event; undefined when only something from outside moves it. */
export function wakeAtMs(model: ConnectionModel, nowMs: number): number | undefined {
  const { phase } = model;
  switch (phase.type) {
    case 'down':
      return undefined;
    case 'connecting':
      return phase.sinceMs + STREAM_OPEN_TIMEOUT_MS;
    case 'waiting':
      return phase.untilMs;
    case 'up': {
      const silentAtMs = phase.heardAtMs + SILENCE_INTERVALS * model.heartbeatIntervalMs;
      const healthyAtMs = phase.sinceMs + HEALTHY_AFTER_MS;
      return Math.min(
        silentAtMs,
        phase.check?.untilMs ?? Infinity,
        model.failures > 0 && healthyAtMs > nowMs ? healthyAtMs : Infinity,
      );
    }
  }
}

/** The table of SPEC.md, §9. */
export const step: Step = (model, event, nowMs, random) => {
  if (model.phase.type === 'down' && model.phase.reason === 'closed') return stay(model);
  switch (event.type) {
    case 'asked_online':
      return model.phase.type === 'down' || model.phase.type === 'waiting' ? connect(model, nowMs) : stay(model);
    case 'asked_offline':
      return down(model, 'asked');
    case 'network_online':
      return networkOnline({ ...model, network: true }, nowMs);
    case 'network_offline':
      return networkOffline({ ...model, network: false }, nowMs);
    case 'page_visible':
      return pageVisible(model, nowMs);
    case 'page_hidden':
      return stay(model);
    case 'opened':
      return opened(model, nowMs);
    case 'reached':
      return stay(model.phase.type === 'connecting' ? { ...model, phase: { ...model.phase, reached: true } } : model);
    case 'frame':
      return heard(model, nowMs);
    case 'heartbeat':
      return heard({ ...model, heartbeatIntervalMs: event.report.heartbeatIntervalMs }, nowMs);
    case 'went_away':
      return inUse(model) ? connect(model, nowMs) : stay(model);
    case 'failed':
      return inUse(model) ? failed(model, event, nowMs, random) : stay(model);
    case 'timer':
      return timer(model, nowMs, random);
    case 'closed':
      return down(model, 'closed');
  }
};

function stay(model: ConnectionModel): Stepped {
  return { model, commands: [] };
}

function inUse(model: ConnectionModel): boolean {
  return model.phase.type === 'connecting' || model.phase.type === 'up';
}

function connect(model: ConnectionModel, nowMs: number, probing = false): Stepped {
  const commands: ConnectionCommand[] = [{ type: 'connect' }];
  if (inUse(model)) commands.unshift({ type: 'disconnect' });
  return { model: { ...model, phase: { type: 'connecting', probing, sinceMs: nowMs } }, commands };
}

function down(model: ConnectionModel, reason: DownReason): Stepped {
  return {
    model: { ...withoutReason(model), phase: { type: 'down', reason } },
    commands: inUse(model) ? [{ type: 'disconnect' }] : [],
  };
}

/** The last failure is none of what comes. */
function withoutReason(model: ConnectionModel): ConnectionModel {
  const { phase, failures, heartbeatIntervalMs, network, everUp, credentialsRenewed } = model;
  return { phase, failures, heartbeatIntervalMs, network, everUp, credentialsRenewed };
}

function networkOnline(model: ConnectionModel, nowMs: number): Stepped {
  switch (model.phase.type) {
    case 'down':
      return model.phase.reason === 'no_network' ? connect(model, nowMs) : stay(model);
    case 'waiting':
      return connect(model, nowMs);
    case 'up':
      return { model, commands: [{ type: 'heartbeat' }] };
    case 'connecting':
      return stay(model);
  }
}

function networkOffline(model: ConnectionModel, nowMs: number): Stepped {
  switch (model.phase.type) {
    case 'down':
      return stay(model);
    case 'connecting':
    case 'waiting':
      return down(model, 'no_network');
    case 'up':
      // A browser's word is a hint: the link may go on working (a local server). The link itself decides.
      return doubt(model, { untilMs: nowMs + SILENCE_CHECK_MS, then: 'down' });
  }
}

function pageVisible(model: ConnectionModel, nowMs: number): Stepped {
  if (model.phase.type === 'up') return doubt(model, { untilMs: nowMs + SILENCE_CHECK_MS, then: 'failed' });
  const due = model.phase.type === 'waiting' && model.phase.untilMs <= nowMs + SILENCE_CHECK_MS;
  return due ? connect(model, nowMs, model.phase.type === 'waiting' && model.phase.breakerOpen) : stay(model);
}

function doubt(model: ConnectionModel, check: SilenceCheck): Stepped {
  if (model.phase.type !== 'up') return stay(model);
  return { model: { ...model, phase: { ...model.phase, check } }, commands: [{ type: 'heartbeat' }] };
}

function opened(model: ConnectionModel, nowMs: number): Stepped {
  if (model.phase.type !== 'connecting') return heard(model, nowMs);
  // A probe that succeeds closes the breaker: the next failure waits its back-off, not the breaker's time.
  const failures = model.phase.probing ? Math.min(model.failures, BACKOFF_CEILINGS_MS.length) : model.failures;
  const phase = { type: 'up', sinceMs: nowMs, heardAtMs: nowMs } as const;
  return { model: { ...withoutReason(model), phase, failures, everUp: true, credentialsRenewed: false }, commands: [] };
}

function heard(model: ConnectionModel, nowMs: number): Stepped {
  if (model.phase.type !== 'up') return stay(model);
  const { sinceMs } = model.phase;
  const healthy = nowMs - sinceMs >= HEALTHY_AFTER_MS;
  return stay({ ...model, failures: healthy ? 0 : model.failures, phase: { type: 'up', sinceMs, heardAtMs: nowMs } });
}

function timer(model: ConnectionModel, nowMs: number, random: number): Stepped {
  const { phase } = model;
  switch (phase.type) {
    case 'down':
      return stay(model);
    case 'waiting':
      return nowMs >= phase.untilMs ? connect(model, nowMs, phase.breakerOpen) : stay(model);
    case 'connecting':
      return nowMs >= phase.sinceMs + STREAM_OPEN_TIMEOUT_MS
        ? failed(model, { kind: 'deadline', ...(phase.reached && { reason: 'stream_blocked' }) }, nowMs, random)
        : stay(model);
    case 'up':
      if (phase.check !== undefined && nowMs >= phase.check.untilMs) {
        return phase.check.then === 'down'
          ? down(model, 'no_network')
          : failed(model, { kind: 'unreachable' }, nowMs, random);
      }
      if (nowMs >= phase.heardAtMs + SILENCE_INTERVALS * model.heartbeatIntervalMs) {
        return failed(model, { kind: 'unreachable' }, nowMs, random);
      }
      return stay(nowMs - phase.sinceMs >= HEALTHY_AFTER_MS ? { ...model, failures: 0 } : model);
  }
}

interface Failed {
  readonly kind: FailureKind;
  readonly retryAfterMs?: number;
  readonly reason?: ConnectionReason;
}

function failed(model: ConnectionModel, event: Failed, nowMs: number, random: number): Stepped {
  if (event.kind === 'unauthenticated' && !model.credentialsRenewed) {
    const { model: next } = connect({ ...model, credentialsRenewed: true }, nowMs);
    return { model: next, commands: [{ type: 'disconnect' }, { type: 'refresh_credentials' }, { type: 'connect' }] };
  }
  const failures = model.failures + 1;
  const probing = model.phase.type === 'connecting' && model.phase.probing;
  const final = event.kind === 'forbidden' || event.kind === 'not_found' || event.kind === 'outdated';
  const breakerOpen = final || probing || failures >= BREAKER_FAILURES;
  const waitMs = breakerOpen ? BREAKER_OPEN_MS : backoffMs(failures, random);
  return {
    model: {
      ...model,
      failures,
      // Asked again after the wait: they may have been renewed outside.
      credentialsRenewed: false,
      reason: event.reason ?? REASONS[event.kind],
      phase: { type: 'waiting', untilMs: nowMs + Math.max(waitMs, event.retryAfterMs ?? 0), breakerOpen },
    },
    commands: [{ type: 'disconnect' }],
  };
}

/** The wait before the next attempt after so many failures: full jitter, so that many clients do not come together. */
export function backoffMs(failures: number, random: number): number {
  const index = Math.min(Math.max(failures, 1), BACKOFF_CEILINGS_MS.length) - 1;
  return random * (BACKOFF_CEILINGS_MS[index] ?? 0);
}

const REASONS: Readonly<Record<FailureKind, ConnectionReason>> = {
  unreachable: 'unreachable',
  deadline: 'unreachable',
  unavailable: 'unreachable',
  overloaded: 'overloaded',
  unauthenticated: 'credentials',
  forbidden: 'forbidden',
  not_found: 'unknown_workspace',
  refused: 'protocol',
  outdated: 'update_needed',
  fault: 'protocol',
};
