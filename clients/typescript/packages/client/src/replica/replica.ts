import type { SchemaDefinition } from '../schema.js';
import type { RecordView, SyncMark } from '../api.js';
import type { ChangesFrame, ConfirmedRecord, Loaded } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { CollectionId, ConflictId, Cursor, Dot, Epoch, FieldId, RecordId, ReplicaId, Seq } from '../domain/ids.js';
import type { Mutation, Operation, ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import type { FieldState, KnownKind } from '../domain/value.js';
import type {
  FrameWrites,
  PendingRow,
  RejectedRow,
  SettledRow,
  SlotContents,
  StoreContents,
  StoreMeta,
  TextTailRow,
} from '../store/store.js';

/** Encodes operations; `wire/` has the real one. Deterministic. */
export type EncodeOperation = (operation: Operation) => Uint8Array;

/** Hash chain; `wire/` has the real one (BLAKE3-128). */
export type NextChain = (previous: Uint8Array, operationHash: Uint8Array) => Uint8Array;

/** A pending operation as the replica sees it. `bytes` never change. */
export interface PendingOperation {
  readonly operation: Operation;
  readonly bytes: Uint8Array;
  readonly saved: boolean;
  readonly acceptedSeq?: Seq;
  /** Not shown until accepted. */
  readonly pessimistic: boolean;
  readonly cancelled: boolean;
  /** An operation it depends on was rejected: not shown, still sent, and sure to be rejected. */
  readonly doomed: boolean;
}

/** What a call changed on the screen. */
export interface ViewChange {
  readonly recordIds: ReadonlySet<RecordId>;
  readonly conflictIds: ReadonlySet<ConflictId>;
  /** Everything may have changed (snapshot, reload). */
  readonly all: boolean;
}

/** How a frame fits. */
export type FrameVerdict =
  /** It was applied; `writes` are to be kept. */
  | {
      readonly type: 'applied';
      readonly view: ViewChange;
      readonly writes: FrameWrites;
      readonly settled: readonly SettledOwn[];
    }
  /** All of it was there already: ignored. */
  | { readonly type: 'repeat' }
  /** Changes are missing before it: reconnect from the own cursor. */
  | { readonly type: 'gap'; readonly expectedSeq: Seq; readonly gotSeq: Seq }
  /** The chain or epoch does not continue what is here, or an effect does not fit: take a snapshot. */
  | { readonly type: 'broken'; readonly detail: string };

/** An own operation seen in the feed. */
export interface SettledOwn {
  readonly dot: Dot;
  readonly seq: Seq;
  readonly outcome: 'applied' | 'merged' | 'conflicted';
  readonly conflictIds: readonly ConflictId[];
}

/** A draft of an operation, from a transaction. */
export interface Draft {
  readonly mutations: readonly Mutation[];
  readonly correlationId: string;
  readonly pessimistic: boolean;
  readonly actor: string;
  readonly clientTimeMs: number;
}

/**
 * One replica's state: confirmed state at a position, the pending operations of its slot in order, and the overlay of
 * the ones on the other. Synchronous and deterministic: no clock, randomness, storage or network. It never lets a
 * pending operation be changed.
 *
 * Owner of the implementation: replica/ (engineer A). Caller: client.ts and sync/.
 */
export interface Replica {
  readonly replicaId: ReplicaId;
  readonly epoch: Epoch;
  readonly position: Seq;
  readonly cursor: Cursor;
  readonly nextCounter: number;
  /** What is stored was read. */
  readonly loaded: boolean;
  /** False until a first snapshot or feed from the beginning is whole. */
  readonly whole: boolean;

  /** Starts from what is stored. The slot may be exchanged later without touching confirmed state. */
  load(contents: StoreContents, slot: SlotContents): ViewChange;
  useSlot(slot: SlotContents): ViewChange;
  setSchema(schema: Schema): ViewChange;
  readonly schema: Schema | undefined;

  // Reading
  /** As shown. The same object until it changes. */
  view(id: RecordId): RecordView | undefined;
  /** Ids of records of a collection that are shown (not deleted), in no order. */
  idsOf(collection: CollectionId): Iterable<RecordId>;
  /** Ids of records, of any collection, that link to this one through that field, as stored, overlay included. */
  linkedFrom(target: RecordId, collection: CollectionId, field: FieldId): Iterable<RecordId>;
  confirmed(id: RecordId): ConfirmedRecord | undefined;
  conflicts(): ReadonlyMap<ConflictId, ConflictSummary>;
  pending(): readonly PendingOperation[];
  mark(id: RecordId, field?: FieldId): SyncMark;

  // Own operations
  /**
   * Makes the next operation of the replica and puts it on top. Its context is the position and nothing else; it
   * depends on the pending operations that created a record it touches and, for a text, on the latest pending edit of
   * that text. Throws SynclineError when it does not fit; nothing has changed then.
   */
  make(draft: Draft): { readonly pending: PendingOperation; readonly view: ViewChange };
  /** Whether positions in a text as shown may be sent; otherwise an edit is a `replace_text` (SPEC.md, T2). */
  isTextExact(id: RecordId, field: FieldId): boolean;
  /** What is shown with mutations on top, for a transaction: it checks each, and nothing else changes. */
  stage(): Staging;
  markSaved(dots: readonly Dot[]): ViewChange;
  /**
   * The mutations that take back what these operations (a step of undo) did to what is shown now; empty when nothing is
   * left of it. Known for operations made in this run.
   */
  inverse(dots: Dot | readonly Dot[]): { readonly mutations: readonly Mutation[]; readonly skipped: readonly string[] };

  // The server's word
  /** Takes in a frame, if it fits. Own operations in it leave the overlay here and nowhere else. */
  applyFrame(frame: ChangesFrame): FrameVerdict;
  /**
   * Takes in a receipt. Accepted: remembered, stays on top until the feed passes it. Rejected: leaves the overlay, with
   * the dependents marked doomed; `rejected` is what is kept of it. Held, not settled: nothing. For dots of other
   * slots it answers from `row`.
   */
  applyReceipt(
    receipt: ServerReceipt,
    nowMs: number,
    row?: PendingRow,
  ): { readonly view: ViewChange; readonly rejected?: RejectedRow };
  /** Takes back own operations from this counter on; what was sent cannot be. */
  cancelFrom(counter: number, nowMs: number): { readonly view: ViewChange; readonly rejected: readonly RejectedRow[] };

  // Recovery
  /**
   * Collects another copy of the confirmed state aside; what is shown stays. `from` says what it starts with: nothing, or
   * what is here, when only records that come and go are loaded.
   */
  beginSnapshot(cursor: Cursor, from: 'scratch' | 'here'): SnapshotBuilder;
  /**
   * Replaces confirmed state by a snapshot that is whole and puts the pending operations on top. Same epoch only.
   */
  adopt(snapshot: WholeSnapshot): ViewChange;
  /**
   * The history was rewound, or the replica forked: what has to be rebased, as operations of `replicaId`, in order,
   * against `snapshot` (rewound) or the present state (forked). `missing` are settled own operations the new history
   * does not have. Afterwards this replica is the new one.
   */
  rebase(
    replicaId: ReplicaId,
    cause:
      | { readonly type: 'rewound'; readonly snapshot: WholeSnapshot; readonly missing: readonly SettledRow[] }
      | { readonly type: 'forked' },
  ): {
    readonly operations: readonly PendingOperation[];
    /** Settled operations of the old history that are among them. */
    readonly rebasedDots: readonly Dot[];
    readonly rejected: readonly RejectedRow[];
    readonly view: ViewChange;
  };
}

/** Mutations of one operation on top of what is shown, before it is made. */
export interface Staging {
  get(id: RecordId): RecordView | undefined;
  /** A field as staged; undefined when nobody set it. */
  field(id: RecordId, field: FieldId): FieldState | undefined;
  /** The fields of a record of a collection that is shown as deleted. */
  deleted(id: RecordId, collection: CollectionId): ReadonlyMap<FieldId, FieldState> | undefined;
  /** The collection of a record that exists; throws INVALID_MUTATION otherwise. */
  collectionOf(id: RecordId): CollectionId;
  kindOf(collection: CollectionId, field: FieldId): KnownKind | undefined;
  /** Checks a mutation and puts it on top; throws and changes nothing when it does not fit. */
  apply(mutation: Mutation): void;
}

/** Makes a replica. A leader makes further ones, over the same contents, for slots of closed or other tabs. */
export type CreateReplica = (
  workspaceId: string,
  encode: EncodeOperation,
  nextChain: NextChain,
  /** The schema of the program: it says what fields are as long as the server's does not. */
  program?: SchemaDefinition,
) => Replica;

/** Collects what a feed loads, and the frames after it until no record is ahead of the position. */
export interface SnapshotBuilder {
  /** Resumes the feed: of the latest frame. */
  readonly cursor: Cursor;
  /**
   * Whether the store has the copy, too: rows are kept as they come. Otherwise all of it is to be kept when it is whole.
   */
  readonly stored: boolean;
  /** Whole records, which take the place of what there is of them. Rows as they are to be kept. */
  enter(cursor: Cursor, loaded: Loaded): Loaded;
  /** Records that are not part of the feed any more; their conflicts go with them. */
  leave(cursor: Cursor, recordIds: readonly RecordId[]): void;
  /** Everything was loaded. It is the state of one moment from this position on. */
  finish(cursor: Cursor, completeFromSeq: Seq): void;
  /** Frames after loading; a record skips changes up to its `asOfSeq`. */
  applyFrame(frame: ChangesFrame): FrameVerdict;
  /** Loaded, and the position is where it is the state of one moment. Undefined before. */
  whole(): WholeSnapshot | undefined;
}

export interface WholeSnapshot {
  readonly meta: StoreMeta;
  readonly records: ReadonlyMap<RecordId, ConfirmedRecord>;
  readonly conflicts: ReadonlyMap<ConflictId, ConflictSummary>;
  readonly textTail: readonly TextTailRow[];
}
