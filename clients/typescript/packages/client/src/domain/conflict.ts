import type { CausalContext, CollectionId, ConflictId, Dot, FieldId, RecordId, Seq } from './ids.js';
import type { Hunk } from './operation.js';
import type { Value } from './value.js';

export type ConflictKind = 'register' | 'text_overlap' | 'edit_delete' | 'relationship';
/** `open` and `deferred` are live. */
export type ConflictStatus = 'open' | 'deferred' | 'resolved' | 'obsolete' | 'superseded';
export type ConflictEventKind = 'opened' | 'changed' | 'deferred' | 'reminded' | 'assigned' | 'closed' | 'reopened';

/** A conflict as the feed and snapshots give it: enough for an inbox, also offline. */
export interface ConflictSummary {
  readonly conflictId: ConflictId;
  readonly kind: ConflictKind;
  readonly status: ConflictStatus;
  /** Only grows; the greater one is the newer picture. */
  readonly revision: number;
  readonly collectionId: CollectionId;
  readonly recordId: RecordId;
  /** Empty for a conflict of the whole record. */
  readonly fieldId: FieldId;
  /** For a relationship conflict: the deleted target. */
  readonly targetRecordId: RecordId;
  readonly openedSeq: Seq;
  readonly closedSeq?: Seq;
  readonly assignee: string;
  readonly remindAtMs?: number;
  readonly deferCount: number;
  readonly parentConflictId: ConflictId;
  readonly alternativeCount: number;
  /** resolved, converged, deleted, superseded, policy; empty while live. */
  readonly closeReason: string;
}

/** One side of a conflict. */
export interface Alternative {
  readonly seq: Seq;
  readonly dot: Dot;
  readonly actor: string;
  readonly clientTimeMs?: number;
  readonly commitTimeMs?: number;
  readonly context: CausalContext;
  /** What it offers; absent for a delete. */
  readonly value?: Value;
  readonly state: 'head' | 'shadow' | 'suppressed';
  readonly hunk?: Hunk;
  readonly replacedText: string;
  readonly action: string;
  readonly siblings: readonly string[];
  readonly provisional: boolean;
  readonly correlationId: string;
}

/** A record in a conflict's context, as the server read it. */
export interface RecordPicture {
  readonly collectionId: CollectionId;
  readonly recordId: RecordId;
  readonly deleted: boolean;
  readonly fields: Readonly<Record<FieldId, Value>>;
}

export interface ConflictEvent {
  readonly kind: ConflictEventKind;
  readonly seq: Seq;
  readonly commitTimeMs?: number;
  readonly actor: string;
  readonly revision: number;
  readonly status: ConflictStatus;
  readonly detail: string;
}

/** A conflict with everything needed to decide. Needs the server; kept in memory once read. */
export interface ConflictDetail {
  readonly summary: ConflictSummary;
  readonly rule: string;
  readonly reason: string;
  readonly baseValue: Value;
  readonly baseExact: boolean;
  readonly alternatives: readonly Alternative[];
  readonly record: RecordPicture;
  readonly recordAtOpening: RecordPicture;
  readonly linkedRecords: readonly {
    readonly record: RecordPicture;
    readonly fieldId: FieldId;
    readonly incoming: boolean;
  }[];
  readonly events: readonly ConflictEvent[];
}
