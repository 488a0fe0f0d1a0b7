import type { ConnectionSnapshot } from '../api.js';
import type { Effect } from '../domain/change.js';
import type { Emitter } from '../events.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { PendingOperation, Replica, SettledOwn, ViewChange } from '../replica/replica.js';
import type { Platform } from '../platform.js';
import type { RejectedRow, SlotId, Store, StoreMeta } from '../store/store.js';
import type { Transport } from '../transport/transport.js';
import type { Saver } from './saver.js';

/** Why everything was replaced. */
export type RestartCause = 'snapshot' | 'history_rewound' | 'replica_changed';

/** What the sync loop tells the client it works for, always within the task of what caused it. */
export interface SyncEvents {
  /** The view changed by a frame, receipt, snapshot or rebase. */
  viewChanged(change: ViewChange): void;
  /** An own operation of this tab took effect. */
  settled(settled: SettledOwn): void;
  /** Answers to operations, of whichever tab, that say where they settled and what their resolutions left. */
  accepted(accepted: readonly Accepted[]): void;
  /** Operations, of whichever tab, were refused; they are kept. `own` ones are this tab's. */
  rejected(rows: readonly RejectedRow[], own: boolean): void;
  /** Conflicts opened, reminded and so on; of frames only. */
  conflictEvent(effect: Extract<Effect, { type: 'conflict_changed' }>, dot: Dot): void;
  /**
   * Confirmed state or slots were replaced in the store; what was rebased of this tab, and how many operations were
   * of all.
   */
  restarted(cause: RestartCause, rebased: readonly PendingOperation[], count: number): void;
  /** Something of the connection may have changed: ask for its snapshot. */
  connectionChanged(): void;
  /** Something of the queues may have changed. */
  queueChanged(): void;
  /** The server said something that this version does not know. */
  updateNeeded(): void;
  /** Another leader writes. */
  fenced(): void;
}

/** An answer that an operation settled at a position. */
export interface Accepted {
  readonly dot: Dot;
  readonly seq: Seq;
  readonly outcome: 'applied' | 'merged' | 'conflicted';
  readonly conflictIds: readonly string[];
  readonly remaining: readonly string[];
}

/** What a leader works with. */
export interface SyncParts {
  readonly platform: Platform;
  readonly store: Store;
  readonly transport: Transport;
  readonly replica: Replica;
  /** Another replica, for queues of other slots that have to be rebased. */
  readonly createReplica: () => Replica;
  readonly saver: Saver;
  readonly term: number;
  /** The slot of this tab. */
  readonly ownSlot: () => SlotId;
  readonly storage: () => ConnectionSnapshot['storage'];
  /** What stands beside the rows, as of the replica's position; undefined in a fresh store. */
  readonly meta: StoreMeta | undefined;
  readonly events: Emitter<SyncEvents>;
  /** Starts paused or offline: it holds for all tabs and outlives a leader. */
  readonly paused: boolean;
  readonly offline: boolean;
}

/** One operation of a queue as it is shown. */
export interface QueueEntry {
  readonly slotId: SlotId;
  readonly pending: Pick<PendingOperation, 'operation' | 'bytes' | 'acceptedSeq' | 'cancelled' | 'doomed' | 'saved'>;
  readonly status: 'sent' | 'unknown' | 'held' | undefined;
}

/**
 * Runs on the leader: follows the feed into replica and store, uploads the queues of all slots, settles receipts, heals.
 */
export interface Sync {
  start(): void;
  /** Ends calls and streams; what is unsaved stays with the saver. */
  stop(): void;
  /** This tab's queue got operations, all of them saved. */
  queuedHere(): void;
  /** Another slot's queue changed in the store. */
  queuedElsewhere(slotId: SlotId): void;
  pause(): void;
  resume(): void;
  goOnline(): void;
  goOffline(): void;
  readonly paused: boolean;
  readonly offline: boolean;
  connection(): ConnectionSnapshot;
  /** Queues of other slots. */
  others(): readonly QueueEntry[];
  /** The status of an own operation, as far as sending goes. */
  status(counter: number): QueueEntry['status'];
}
