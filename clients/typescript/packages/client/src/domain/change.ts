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
  | { readonly type: 'register_changed'; readonly value: ExactValue }
  | { readonly type: 'text_changed'; readonly splices: readonly Splice[]; readonly hunks: readonly SettledHunk[] }
  | { readonly type: 'counter_changed'; readonly value: bigint }
  | { readonly type: 'set_changed'; readonly added: readonly ExactValue[]; readonly removed: readonly ExactValue[] }
  /** Links are given as they are stored, also to deleted records. */
  | { readonly type: 'link_changed'; readonly target: RecordId | null }
  | { readonly type: 'links_changed'; readonly added: readonly RecordId[]; readonly removed: readonly RecordId[] }
  /** Something of a newer version happened to the field: the bytes of the effect, which are kept. */
  | { readonly type: 'opaque'; readonly bytes: Uint8Array }
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

/** What a server is and can do. */
export interface ServerInfo {
  /** The version of the program, for people. */
  readonly version: string;
  /** Names of the protocol's Feature without their prefix, such as `FEED_SNAPSHOT`; numbers of newer ones. */
  readonly features: readonly string[];
  /** Limits by name, such as `operation_bytes`. */
  readonly limits: Readonly<Record<string, number>>;
}

/** Where a feed starts: after a cursor, or with all records as they are now. */
export type FeedOrigin = Cursor | 'snapshot';

/** One message of a feed. `wire/` leaves frames of unknown content out that say they may be. */
export type Frame = { readonly cursor: Cursor } & (
  | { readonly type: 'opened'; readonly headSeq: Seq; readonly schemaVersion: number; readonly server?: ServerInfo }
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
  | {
      readonly type: 'go_away';
      readonly reason: 'draining' | 'max_age' | 'slow_consumer' | 'credentials_expired' | 'moved';
    }
  /** Records are going to be loaded; `fromScratch`: they are all there is. The position does not move until it is over. */
  | { readonly type: 'loading_begun'; readonly fromScratch: boolean; readonly estimatedCount: number }
  | ({ readonly type: 'records_entered'; readonly loadedCount: number } & Loaded)
  | { readonly type: 'records_left'; readonly recordIds: readonly RecordId[] }
  | { readonly type: 'loading_finished'; readonly completeFromSeq: Seq }
  /** Content that this client does not know and must not go on without. */
  | { readonly type: 'unknown' }
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

/** Whole records and live conflicts, as far as they were read. */
export interface Loaded {
  readonly records: readonly ConfirmedRecord[];
  readonly conflicts: readonly ConflictSummary[];
}

export interface ConfirmedField {
  readonly state: FieldState;
  readonly lastSeq: Seq;
}
