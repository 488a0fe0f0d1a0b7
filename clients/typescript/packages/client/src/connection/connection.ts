import type { ConnectionReason, ConnectionSnapshot, LinkQuality } from '../api.js';
import type { HeartbeatReport, FailureKind } from '../transport/transport.js';

/** Why a wire is down on purpose. */
export type DownReason = 'asked' | 'no_network' | 'closed';

/** The phase of the wire; ConnectionSnapshot.transport with what goes with it. Times are monotonic. */
export type Phase =
  | { readonly type: 'down'; readonly reason: DownReason }
  /** `reached`: the server answers calls, only the feed has not begun. */
  | { readonly type: 'connecting'; readonly probing: boolean; readonly sinceMs: number; readonly reached?: true }
  | { readonly type: 'up'; readonly sinceMs: number; readonly heardAtMs: number; readonly check?: SilenceCheck }
  | { readonly type: 'waiting'; readonly untilMs: number; readonly breakerOpen: boolean };

/** Something made us doubt the link: unless something is heard until then, it counts as gone. */
export interface SilenceCheck {
  readonly untilMs: number;
  readonly then: 'down' | 'failed';
}

/** Everything that happens to a connection: the rows of the table in SPEC.md. */
export type ConnectionEvent =
  | { readonly type: 'asked_online' | 'asked_offline' }
  | { readonly type: 'network_online' | 'network_offline' | 'page_visible' | 'page_hidden' }
  /** The first frame or chunk. */
  | { readonly type: 'opened' }
  /** A call was answered while the feed did not begin. */
  | { readonly type: 'reached' }
  | { readonly type: 'frame' }
  | { readonly type: 'heartbeat'; readonly report: Pick<HeartbeatReport, 'heartbeatIntervalMs'> }
  | { readonly type: 'went_away' }
  | {
      readonly type: 'failed';
      readonly kind: FailureKind;
      readonly retryAfterMs?: number;
      readonly reason?: ConnectionReason;
    }
  /** Time passed; the machine looks which of its deadlines did. */
  | { readonly type: 'timer' }
  | { readonly type: 'closed' };

/** What the machine wants done, in order. */
export type ConnectionCommand =
  /** End what there is of a connection and of attempts. */
  | { readonly type: 'disconnect' }
  | { readonly type: 'refresh_credentials' }
  | { readonly type: 'connect' }
  | { readonly type: 'heartbeat' };

/** State of the pure machine; `step` is its only way on. */
export interface ConnectionModel {
  readonly phase: Phase;
  /** Failures since the last health. */
  readonly failures: number;
  readonly heartbeatIntervalMs: number;
  /** The device says it has a network. */
  readonly network: boolean;
  /** It was up at least once. */
  readonly everUp: boolean;
  /** The server refused credentials and they were asked for again; the next refusal is believed. */
  readonly credentialsRenewed: boolean;
  /** Of the last failure, until it is up again. */
  readonly reason?: ConnectionReason;
}

/** The machine: pure; `random` is one draw in [0, 1). */
export type Step = (
  model: ConnectionModel,
  event: ConnectionEvent,
  nowMs: number,
  random: number,
) => { readonly model: ConnectionModel; readonly commands: readonly ConnectionCommand[] };

/** What the summary word is made of; `summarize` is pure and is the table "The one word" of SPEC.md. */
export interface SummaryInput {
  readonly phase: Phase;
  /** Of the wire's last failure. */
  readonly reason?: ConnectionReason;
  readonly everUp: boolean;
  /** Caught up, or not for long. */
  readonly caughtUp: boolean;
  readonly snapshotting: boolean;
  readonly queuePending: number;
  /** What is pending was made since the connection came up, and is on its way. */
  readonly queueMoving: boolean;
  readonly paused: boolean;
  readonly quality: LinkQuality;
  readonly storage: ConnectionSnapshot['storage'];
  /** What the server said or sent that keeps work from going on although the wire is up. */
  readonly trouble?: ConnectionReason;
}
export type Summarize = (input: SummaryInput) => {
  readonly state: ConnectionSnapshot['state'];
  readonly reason?: ConnectionReason;
};

/** How many operations go into the next call, and how long it gathers them. Pure. */
export type PlanBatch = (quality: LinkQuality) => { readonly operationsMax: number; readonly gatherMs: number };
