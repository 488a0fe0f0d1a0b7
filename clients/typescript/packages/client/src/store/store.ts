import type { ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { Cursor, Dot, FieldId, RecordId, ReplicaId, Seq } from '../domain/ids.js';
import type { Operation, Refusal } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import type { SettledHunk, Splice } from '../domain/change.js';

/** A replica identity kept by this browser or folder. A tab leases one while it lives. */
export type SlotId = string;

export interface SlotRow {
  readonly slotId: SlotId;
  /** Changes when the replica forked or the history was rewound; the old one is then never used again. */
  readonly replicaId: ReplicaId;
  /** The counter of the next operation. */
  readonly nextCounter: number;
  /** Greatest base of its operations: a tab leases the slot only when its own position is at least this. */
  readonly lastBaseSeq: Seq;
  /** Greatest own counter known to have settled. */
  readonly lastSettledCounter: number;
}

/** An operation without a final outcome. `bytes` is what is sent, always the same. */
export interface PendingRow {
  readonly slotId: SlotId;
  readonly operation: Operation;
  /** The encoded Operation message. */
  readonly bytes: Uint8Array;
  /** Not shown before it is accepted. */
  readonly pessimistic: boolean;
  /** Set by a receipt that says it settled; the row stays until the feed has passed this position. */
  readonly acceptedSeq?: Seq;
  /** Taken back by the user: not shown, and its counter is abandoned instead of sent. */
  readonly cancelled?: true;
}

/** A new operation, to be kept. */
export type NewOperation = Pick<PendingRow, 'operation' | 'bytes' | 'pessimistic'>;

/** An own operation that settled, kept for a while in case the history is rewound. */
export interface SettledRow {
  readonly slotId: SlotId;
  readonly operation: Operation;
  readonly bytes: Uint8Array;
  readonly seq: Seq;
  readonly settledAtMs: number;
}

/** An operation that was refused, with what its author typed. */
export interface RejectedRow {
  readonly slotId: SlotId;
  readonly operation: Operation;
  readonly refusal: Refusal;
  readonly mutationIndex?: number;
  readonly rejectedAtMs: number;
  /** What the touched text fields showed with this operation, so that no text is lost; by `recordId/fieldId`. */
  readonly texts: Readonly<Record<string, string>>;
}

/** One settled edit of a text: what an order tree is rebuilt from. */
export interface TextTailRow {
  readonly recordId: RecordId;
  readonly fieldId: FieldId;
  readonly seq: Seq;
  readonly dot: Dot;
  readonly baseSeq: Seq;
  readonly extras: readonly Dot[];
  readonly hunks: readonly SettledHunk[];
  readonly splices: readonly Splice[];
}

/** What stands beside the rows. One row; absent in a fresh store. */
export interface StoreMeta {
  /** Layout of the store; a newer one than this code knows is refused. */
  readonly layout: number;
  readonly cursor: Cursor;
  /** The confirmed state is somebody's real state only from here on (a snapshot is being completed). */
  readonly wholeFromSeq: Seq;
  /** The tail of texts reaches back to here; before it a text's history is not known. */
  readonly textTailFromSeq: Seq;
  readonly schema?: Schema;
}

/** The rows a frame changes, computed by the replica. */
export interface FrameWrites {
  readonly fromSeqExclusive: Seq;
  readonly meta: StoreMeta;
  readonly records: readonly ConfirmedRecord[];
  readonly conflicts: readonly ConflictSummary[];
  readonly textTail: readonly TextTailRow[];
  /** Tail rows no longer needed: all of a field up to a position. */
  readonly textTailPruned: readonly {
    readonly recordId: RecordId;
    readonly fieldId: FieldId;
    readonly toSeqInclusive: Seq;
  }[];
  /** Dots in the frame: whichever of them are pending, in any slot, become settled rows. */
  readonly ownDots: readonly { readonly dot: Dot; readonly seq: Seq }[];
}

/** All of the confirmed state and everything of all slots. */
export interface StoreContents {
  readonly meta?: StoreMeta;
  readonly records: readonly ConfirmedRecord[];
  readonly conflicts: readonly ConflictSummary[];
  readonly textTail: readonly TextTailRow[];
}

export interface SlotContents {
  readonly slot: SlotRow;
  /** In counter order. */
  readonly pending: readonly PendingRow[];
  readonly rejected: readonly RejectedRow[];
}

/** How well a store keeps what it was given. */
export type Durability =
  /** Survives a crash and loss of power once a call resolved. */
  | 'durable'
  /** Gone with the tab or process (private mode, storage denied, tests). */
  | 'memory';

/** Why a store call failed. */
export type StoreErrorCode =
  /** No room. */
  | 'full'
  /** Not allowed (private mode, policy, permissions). */
  | 'denied'
  /** The stored position is not the expected one, or another leader wrote: the caller is no longer the leader. */
  | 'fenced'
  /** Written by a newer version. */
  | 'newer_layout'
  /** What is stored contradicts itself. */
  | 'corrupt'
  | 'failed';

/** The error every store call rejects with; the class is in store/store-error.ts. */
export interface StoreFailure extends Error {
  readonly code: StoreErrorCode;
}

/**
 * The durable state of one workspace on one device. Every method is one transaction: all of it or nothing, durable when
 * it resolves (unless it says otherwise). Calls are executed in the order they are made. One contract suite
 * (test/store/contract.ts) holds every implementation to this.
 */
export interface Store {
  readonly durability: Durability;

  /** The shared, confirmed part. */
  load(): Promise<StoreContents>;
  slots(): Promise<readonly SlotRow[]>;
  /** A slot with its queue and its rejected operations. */
  loadSlot(slotId: SlotId): Promise<SlotContents>;
  /** Adds a slot with a new replica. */
  createSlot(slot: SlotRow): Promise<void>;

  /**
   * Keeps new operations of a slot, in counter order, and only then may anybody say "saved". `unsavedFrames` are frames
   * this tab shows and has not yet kept (leader only): they go first, in the same transaction, so that no operation is
   * kept whose base is not. Fails with `corrupt` unless the first counter is the slot's `nextCounter`.
   */
  saveOperations(
    slotId: SlotId,
    operations: readonly NewOperation[],
    unsavedFrames: readonly FrameWrites[],
  ): Promise<void>;

  /**
   * Leader only. Keeps what frames did. `fenced` unless the stored position is the first frame's `fromSeqExclusive` and
   * `term` is not older than the last one seen. Durable at the latest with the next `saveOperations`.
   */
  saveFrames(term: number, frames: readonly FrameWrites[]): Promise<void>;

  /**
   * Leader only. Begins, fills and finishes another copy of the confirmed state, which replaces the present one in the
   * transaction of `finish`, together with its text tail. Queues, rejected operations and slots are untouched. A half-filled copy is
   * dropped by the next `beginSnapshot` or at opening.
   */
  beginSnapshot(term: number): Promise<void>;
  addToSnapshot(
    term: number,
    records: readonly ConfirmedRecord[],
    conflicts: readonly ConflictSummary[],
  ): Promise<void>;
  finishSnapshot(term: number, meta: StoreMeta): Promise<void>;

  /** Keeps receipts that say "settled at": `acceptedSeq`. Unknown dots are ignored. */
  saveAccepted(accepted: readonly { readonly dot: Dot; readonly seq: Seq }[]): Promise<void>;
  /** Moves refused operations from their queues to the rejected ones. Unknown dots are ignored. */
  saveRejected(rejected: readonly RejectedRow[]): Promise<void>;
  /** Marks a queue's operations from this counter on as cancelled and puts them to the rejected ones. */
  cancelFrom(slotId: SlotId, counter: number, rejected: readonly RejectedRow[]): Promise<void>;
  /** Takes cancelled operations whose counters are settled out of the queue. */
  dropCancelled(dots: readonly Dot[]): Promise<void>;
  dismissRejected(dots: readonly Dot[]): Promise<void>;

  /** Settled own operations that are still kept, all slots, by position. */
  settled(): Promise<readonly SettledRow[]>;
  pruneSettled(beforeMs: number): Promise<void>;

  /**
   * Gives a slot another replica and its queue other operations, at once (fork, rewound history). The old replica's
   * pending rows are gone after it, and so are the settled rows that were rebased (`rebasedDots`): a crash must not make
   * them twice. Operations that could not be rebased go to the rejected ones.
   */
  rebase(
    slotId: SlotId,
    replicaId: ReplicaId,
    operations: readonly NewOperation[],
    rebasedDots: readonly Dot[],
    rejected: readonly RejectedRow[],
  ): Promise<void>;

  /** Takes a slot away that has no queue and no rejected operations. */
  removeSlot(slotId: SlotId): Promise<void>;

  /** The next term for a new leader: one more than any before. */
  nextTerm(): Promise<number>;

  /** Greatest number of queued operations and bytes left, as far as the device says. */
  estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }>;
  close(): Promise<void>;
}
