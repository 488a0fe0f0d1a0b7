import type { ReplicaId, Seq } from '../domain/ids.js';
import type { ServerState } from '../gen/syncline/v1/connection_pb.js';
import { HEARTBEAT_INTERVAL_MS, SILENCE_INTERVALS } from '../limits.js';
import type { Clock } from '../platform.js';
import { epochFromWire, present, safeNumber } from '../wire/numbers.js';
import type { Caller } from './caller.js';
import type { HeartbeatReport } from './transport.js';

/** What a session of heartbeats is made of. */
export interface HeartbeatParts {
  readonly caller: Caller;
  readonly clock: Clock;
  readonly workspaceId: string;
  readonly replicaId: ReplicaId | '';
  readonly clientName: string;
  readonly actor: string;
  readonly position: () => Seq;
}

/** What opens a connection. */
export function startOf(parts: HeartbeatParts): {
  workspaceId: string;
  replicaId: string;
  clientName: string;
  actor: string;
} {
  const { workspaceId, replicaId, clientName, actor } = parts;
  return { workspaceId, replicaId, clientName, actor };
}

/** What the server told with a heartbeat. */
export function reportOf(server: ServerState | undefined, roundTripMs?: number): HeartbeatReport {
  const state = present(server, 'the state of the server');
  const heartbeatIntervalMs = safeNumber(state.heartbeatIntervalMs) || HEARTBEAT_INTERVAL_MS;
  return {
    ...(roundTripMs === undefined ? {} : { roundTripMs }),
    headSeq: safeNumber(state.headSeq),
    epoch: epochFromWire(state.epoch),
    heartbeatIntervalMs,
    leaseMs: safeNumber(state.leaseMs) || heartbeatIntervalMs * SILENCE_INTERVALS,
  };
}
