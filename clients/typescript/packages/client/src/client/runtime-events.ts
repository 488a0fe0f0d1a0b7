import type { ConnectionSnapshot, Presence, QueueItem } from '../api.js';
import type { Dot } from '../domain/ids.js';
import type { SynclineError } from '../errors.js';
import type { PendingOperation, SettledOwn, ViewChange } from '../replica/replica.js';
import type { RejectedRow } from '../store/store.js';
import type { Accepted, RestartCause } from '../sync/sync.js';
import type { ConflictEffect } from '../tabs/tabs.js';

/** What the runtime tells the client. */
export interface RuntimeEvents {
  viewChanged(change: ViewChange): void;
  settled(settled: SettledOwn): void;
  accepted(accepted: readonly Accepted[]): void;
  rejected(rows: readonly RejectedRow[]): void;
  saved(dots: readonly Dot[], durability: 'durable' | 'memory'): void;
  notSaved(dots: readonly Dot[], error: SynclineError): void;
  conflictEvent(effect: ConflictEffect, own: boolean): void;
  restarted(cause: RestartCause, rebased: readonly PendingOperation[], count: number): void;
  /** The server said something that this version does not know. */
  updateNeeded(): void;
  /** The rejected operations as stored. */
  rejectedLoaded(rows: readonly RejectedRow[]): void;
  connectionChanged(snapshot: ConnectionSnapshot): void;
  queueChanged(items: readonly QueueItem[], paused: boolean): void;
  presenceChanged(presence: readonly Presence[]): void;
}
