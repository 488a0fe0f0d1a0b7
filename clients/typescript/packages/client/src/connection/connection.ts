import type { ConnectionReason, ConnectionSnapshot, LinkQuality } from '../api.js';
import type { BeatReport, FailureKind } from '../transport/transport.js';

/** The phase of the wire; ConnectionSnapshot.transport with what goes with it. */
export type Phase =
  | { readonly type: 'down'; readonly reason: 'asked' | 'no_network' | 'forbidden' | 'unknown_workspace' | 'closed' }
  | { readonly type: 'connecting'; readonly probing: boolean }
  | { readonly type: 'up'; readonly sinceMs: number }
  | { readonly type: 'waiting'; readonly untilMs: number; readonly breakerOpen: boolean };

/** Everything that happens to a connection: the columns of the table in SPEC.md. */
export type ConnectionEvent =
  | { readonly type: 'asked_online' | 'asked_offline' }
  | { readonly type: 'network_online' | 'network_offline' | 'page_visible' | 'page_hidden' }
  | { readonly type: 'opened' }
  | { readonly type: 'frame' }
  | { readonly type: 'beat'; readonly report: BeatReport }
  | { readonly type: 'silent' }
  | { readonly type: 'went_away' }
  | {
      readonly type: 'failed';
      readonly kind: FailureKind;
      readonly retryAfterMs?: number;
      readonly reason?: ConnectionReason;
    }
  | { readonly type: 'timer' }
  | { readonly type: 'closed' };

/** What the machine wants done. */
export type ConnectionCommand =
  | { readonly type: 'connect' }
  | { readonly type: 'disconnect' }
  | { readonly type: 'wake_at'; readonly atMs: number }
  | { readonly type: 'refresh_credentials' }
  | { readonly type: 'beat' };

/** State of the pure machine; `step` is its only way on. Times are monotonic. */
export interface ConnectionModel {
  readonly phase: Phase;
  readonly failures: number;
  readonly healthySinceMs?: number;
  readonly lastHeardMs?: number;
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
  readonly reason?: ConnectionReason;
  readonly everOnline: boolean;
  readonly caughtUp: boolean;
  readonly snapshotting: boolean;
  readonly queuePending: number;
  readonly queueMoving: boolean;
  readonly paused: boolean;
  readonly quality: LinkQuality;
  readonly storage: ConnectionSnapshot['storage'];
  readonly rewound: boolean;
}
export type Summarize = (input: SummaryInput) => {
  readonly state: ConnectionSnapshot['state'];
  readonly reason?: ConnectionReason;
};

/** How many operations go into the next call, and how long it gathers them. Pure. */
export type PlanBatch = (
  quality: LinkQuality,
  queued: number,
) => { readonly operationsMax: number; readonly gatherMs: number };
