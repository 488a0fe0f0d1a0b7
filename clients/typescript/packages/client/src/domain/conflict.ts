import type { CausalContext, CollectionId, ConflictId, Dot, FieldId, RecordId, Seq } from './ids.js';
import type { Value } from './value.js';

/** `unknown`: a newer version of this program can decide it. */
export type ConflictKind = 'register' | 'text_overlap' | 'edit_delete' | 'relationship' | 'unknown';
/** `open` and `deferred` are live. */
export type ConflictStatus = 'open' | 'deferred' | 'resolved' | 'obsolete' | 'superseded';
export type ConflictEventKind = 'opened' | 'changed' | 'deferred' | 'reminded' | 'assigned' | 'closed' | 'reopened';

/**
 * Why a conflict closed, in the order of the words: somebody decided it; its sides became equal; its record was deleted; a
 * write that knew all sides replaced them; a rule of the field settled it; it was merged into an older conflict of its text.
 */
export type CloseReason = 'resolved' | 'converged' | 'deleted' | 'superseded' | 'policy' | 'merged';

/** What a mutation does, for display; `unknown` for something newer. */
export type MutationKind =
  | 'create_record'
  | 'delete_record'
  | 'restore_record'
  | 'set_field'
  | 'edit_text'
  | 'replace_text'
  | 'increment_counter'
  | 'assign_counter'
  | 'add_elements'
  | 'remove_elements'
  | 'clear_elements'
  | 'link_record'
  | 'unlink_record'
  | 'defer_conflict'
  | 'assign_conflict'
  | 'reopen_conflict'
  | 'decide_text'
  | 'unknown';

/** A conflict as the feed gives it: enough for an inbox, also offline. */
export interface ConflictSummary {
  readonly conflictId: ConflictId;
  readonly kind: ConflictKind;
  readonly status: ConflictStatus;
  /** Only grows; the greater one is the newer picture. */
  readonly revision: number;
  readonly collectionId: CollectionId;
  readonly recordId: RecordId;
  /** The fields in conflict; none for a conflict of the whole record. Several when the fields stay together. */
  readonly fieldIds: readonly FieldId[];
  /** For a relationship conflict: the deleted target. */
  readonly targetRecordId?: RecordId;
  readonly openedSeq: Seq;
  readonly closedSeq?: Seq;
  /** Who should decide; absent for nobody. */
  readonly assignee?: string;
  readonly remindAtMs?: number;
  readonly deferCount: number;
  /** The earlier, closed conflict that this one follows. */
  readonly parentConflictId?: ConflictId;
  readonly alternativeCount: number;
  /** Absent while it is live. */
  readonly closeReason?: CloseReason;
}

/** One side of a conflict. */
export interface Alternative {
  readonly seq: Seq;
  readonly dot: Dot;
  readonly actor: string;
  readonly clientTimeMs?: number;
  readonly commitTimeMs?: number;
  readonly context: CausalContext;
  /** What it offers; absent for a delete. For a text: its author's version of the region, whole. */
  readonly value?: Value;
  /** Only the beginning of what it offers is here: the size of the whole in bytes. Such a side cannot be chosen. */
  readonly wholeBytes?: number;
  /** What it offers needs a newer version of this program to be shown. */
  readonly opaque?: true;
  /** What it offers for each of fields that stay together. */
  readonly values?: Readonly<Record<FieldId, Value>>;
  readonly state: 'head' | 'shadow' | 'suppressed';
  readonly action: MutationKind;
  readonly siblings: readonly string[];
  readonly provisional: boolean;
  readonly correlationId: string;
}

/** The place in a text that a conflict is about: it begins and ends between words. */
export interface TextRegion {
  /** Where it begins in the text of the detail's record, in Unicode scalar values, and how many of them it is. */
  readonly position: number;
  readonly length: number;
  /** What stands there in that text. */
  readonly shown: string;
  /** `shown` is only the beginning of it: the size of the whole in bytes. */
  readonly wholeShownBytes?: number;
  /** What stands directly before it and directly after it, a line or so. */
  readonly before: string;
  readonly after: string;
}

/** A record in a conflict's context, as the server read it. */
export interface RecordPicture {
  readonly collectionId: CollectionId;
  readonly recordId: RecordId;
  readonly deleted: boolean;
  readonly fields: Readonly<Record<FieldId, Value>>;
  /** Fields that need a newer version of this program; they show null. */
  readonly opaque: readonly FieldId[];
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
  /** What the sides started from; of a text the region as it was then. */
  readonly baseValue: Value;
  readonly baseExact: boolean;
  readonly alternatives: readonly Alternative[];
  /** Of a live conflict of a text: its place. */
  readonly region?: TextRegion;
  readonly record: RecordPicture;
  readonly recordAtOpening: RecordPicture;
  readonly linkedRecords: readonly {
    readonly record: RecordPicture;
    readonly fieldId: FieldId;
    readonly incoming: boolean;
  }[];
  readonly events: readonly ConflictEvent[];
}
