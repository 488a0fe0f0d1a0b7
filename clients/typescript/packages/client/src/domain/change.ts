import type { ConflictEventKind, ConflictSummary } from './conflict.js';
import type { CausalContext, CollectionId, Cursor, Dot, FieldId, RecordId, Seq } from './ids.js';
import type { Hunk } from './operation.js';
import type { ExactValue, FieldState } from './value.js';

/** One step over a text; counts Unicode scalar values. */
export type Splice =
  | { readonly type: 'retain'; readonly count: number }
  | { readonly type: 'insert'; readonly text: string }
  | { readonly type: 'delete'; readonly text: string };

/** An author's hunk and whether it took effect. */
export interface SettledHunk {
  readonly hunk: Hunk;
  /** The earliest operation it clashed with: it is kept in a conflict, not in the trunk. */
  readonly suppressedBySeq?: Seq;
}

/** One thing a change did. `collectionId`, `recordId`, `fieldId` are empty where they do not apply. */
export type Effect = {
  readonly collectionId: CollectionId;
  readonly recordId: RecordId;
  readonly fieldId: FieldId;
} & (
  | { readonly type: 'record_created' | 'record_deleted' | 'record_restored' }
  /** A register, or a to-one field, whose value is then its target's id or null. */
  | { readonly type: 'register_changed'; readonly value: ExactValue }
  | { readonly type: 'text_changed'; readonly splices: readonly Splice[]; readonly hunks: readonly SettledHunk[] }
  | { readonly type: 'counter_changed'; readonly value: bigint }
  /** A set, or a to-many field, whose elements are then target ids. */
  | { readonly type: 'set_changed'; readonly added: readonly ExactValue[]; readonly removed: readonly ExactValue[] }
  | { readonly type: 'conflict_changed'; readonly event: ConflictEventKind; readonly conflict: ConflictSummary }
);

/** One operation in the order, with what it did. */
export interface Change {
  readonly seq: Seq;
  readonly dot: Dot;
  readonly context: CausalContext;
  readonly correlationId: string;
  readonly actor: string;
  readonly commitTimeMs: number;
  readonly effects: readonly Effect[];
  readonly outcome: 'applied' | 'merged' | 'conflicted';
  readonly operationHash: Uint8Array;
  readonly chain: Uint8Array;
}

/** One message of a feed. `wire/` leaves frames of unknown content out. */
export type Frame = { readonly cursor: Cursor } & (
  | { readonly type: 'opened'; readonly headSeq: Seq; readonly schemaVersion: number }
  | {
      readonly type: 'changes';
      readonly fromSeqExclusive: Seq;
      readonly toSeqInclusive: Seq;
      readonly changes: readonly Change[];
      readonly headSeq: Seq;
      readonly schemaVersion: number;
    }
  | { readonly type: 'checkpoint'; readonly headSeq: Seq }
  | { readonly type: 'reset'; readonly reason: ResetReason }
  | { readonly type: 'go_away'; readonly reason: 'draining' | 'max_age' | 'slow_consumer' }
);

export type ChangesFrame = Extract<Frame, { type: 'changes' }>;

export type ResetReason = 'compacted' | 'wrong_epoch' | 'future_cursor' | 'forbidden';

/** A confirmed record: the fold of effects, and nothing else. One row of the store. */
export interface ConfirmedRecord {
  readonly recordId: RecordId;
  readonly collectionId: CollectionId;
  readonly deleted: boolean;
  readonly createdSeq: Seq;
  readonly lastSeq: Seq;
  /** Changes up to here are in it already: a snapshot had them. */
  readonly asOfSeq: Seq;
  readonly fields: ReadonlyMap<FieldId, ConfirmedField>;
}

export interface ConfirmedField {
  readonly state: FieldState;
  readonly lastSeq: Seq;
}

/** A part of a snapshot. */
export interface SnapshotChunk {
  readonly cursor: Cursor;
  readonly records: readonly ConfirmedRecord[];
  readonly conflicts: readonly ConflictSummary[];
  readonly complete: boolean;
  readonly sentCount: number;
  readonly estimatedCount: number;
}
