import type { ConnectionSnapshot, QueueSnapshot } from '../api.js';
import type { ChangesFrame } from '../domain/change.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { Refusal } from '../domain/operation.js';
import type { SettledOwn, ViewChange } from '../replica/replica.js';
import type { SlotId } from '../store/store.js';

/** What the sync loop tells the client it works for. All calls are made within one task of what caused them. */
export interface SyncListener {
  /** The view changed by a frame, receipt, snapshot or reissue. */
  viewChanged(change: ViewChange): void;
  /** An own operation of this tab took effect. */
  settled(settled: SettledOwn, remaining: readonly string[]): void;
  /** An own operation of this tab was refused. */
  rejected(dot: Dot, refusal: Refusal): void;
  /** For the other tabs. */
  frameKept(frame: ChangesFrame): void;
  restarted(cause: 'snapshot' | 'history_rewound' | 'replica_changed', reissued: number): void;
  connectionChanged(snapshot: ConnectionSnapshot): void;
  queueChanged(snapshot: QueueSnapshot): void;
}

/**
 * Runs on the leader: follows the feed into replica and store, uploads the queues of all slots, settles receipts, heals.
 * Owner: engineer B.
 */
export interface Sync {
  start(): void;
  /** Ends calls and streams; what is unsaved is saved first. */
  stop(): Promise<void>;
  /** A queue got operations, all of them saved. */
  queued(slotId: SlotId): void;
  pause(): void;
  resume(): void;
  /** A frame was applied and is not kept yet: what saveOperations must take along. */
  readonly unsavedFrom: Seq | undefined;
}
