import type { CausalContext, CollectionId, ConflictId, Dot, FieldId, RecordId, Seq } from './ids.js';
import type { ExactValue } from './value.js';

/** One replacement in a text, in the author's view. Counts Unicode scalar values, not UTF-16 units. */
export interface Hunk {
  readonly position: number;
  readonly deleteCount: number;
  readonly insert: string;
}

/** What a mutation does. One member per action of the protocol. */
export type Action =
  | { readonly type: 'create'; readonly fields: ReadonlyMap<FieldId, ExactValue> }
  | { readonly type: 'delete' }
  | { readonly type: 'restore' }
  | { readonly type: 'set'; readonly fieldId: FieldId; readonly value: ExactValue }
  | { readonly type: 'edit_text'; readonly fieldId: FieldId; readonly hunks: readonly Hunk[] }
  | { readonly type: 'replace_text'; readonly fieldId: FieldId; readonly text: string }
  | { readonly type: 'increment'; readonly fieldId: FieldId; readonly by: bigint }
  | { readonly type: 'assign_counter'; readonly fieldId: FieldId; readonly value: bigint }
  | { readonly type: 'add_elements'; readonly fieldId: FieldId; readonly elements: readonly ExactValue[] }
  | { readonly type: 'remove_elements'; readonly fieldId: FieldId; readonly elements: readonly ExactValue[] }
  | { readonly type: 'clear_elements'; readonly fieldId: FieldId }
  | { readonly type: 'link'; readonly fieldId: FieldId; readonly targetRecordId: RecordId }
  | { readonly type: 'unlink'; readonly fieldId: FieldId; readonly targetRecordId: RecordId | null }
  | {
      readonly type: 'defer_conflict';
      readonly conflictId: ConflictId;
      readonly revision: number;
      readonly remindAtMs: number;
    }
  | { readonly type: 'assign_conflict'; readonly conflictId: ConflictId; readonly assignee: string }
  | { readonly type: 'reopen_conflict'; readonly conflictId: ConflictId };

/** One change to one field, one record or one conflict. */
export interface Mutation {
  /** Empty for actions on a conflict. */
  readonly collectionId: CollectionId;
  /** Empty for actions on a conflict. */
  readonly recordId: RecordId;
  readonly action: Action;
  /** Position at which the field's value was read, when that was before the base. */
  readonly observedSeq?: Seq;
  readonly resolvesConflictId?: ConflictId;
}

/** An operation of a replica. Immutable from the moment it was made. */
export interface Operation {
  readonly dot: Dot;
  readonly context: CausalContext;
  /** 1 to 100. At most one text edit per text field, a text given to `create` included. */
  readonly mutations: readonly Mutation[];
  readonly correlationId: string;
  readonly dependsOn: readonly Dot[];
  readonly actor: string;
  /** By the author's clock; display only. */
  readonly clientTimeMs: number;
}

/** What every refusal of the server says. */
export interface Refusal {
  /** A name of the protocol's ErrorReason without its prefix, such as `RECORD_NOT_FOUND`. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the server says became of an operation. `duplicate` is unwrapped: the stored outcome stands here. */
export type ServerOutcome =
  | { readonly type: 'applied' | 'merged'; readonly seq: Seq }
  | { readonly type: 'conflicted'; readonly seq: Seq; readonly conflictIds: readonly ConflictId[] }
  | { readonly type: 'held'; readonly missing: Dot | RecordId; readonly expectedCounter: number }
  | { readonly type: 'rejected'; readonly refusal: Refusal; readonly mutationIndex?: number }
  | {
      readonly type: 'not_settled';
      readonly refusal: Refusal;
      readonly expectedCounter: number;
      readonly mutationIndex?: number;
    }
  /** A newer server said something this client does not know: the operation is kept. */
  | { readonly type: 'unknown' };

/** One receipt of Submit, GetReceipts or AbandonCounter. */
export interface ServerReceipt {
  readonly dot: Dot;
  readonly outcome: ServerOutcome;
  /** Conflicts that a resolution left open, and what it had not seen. */
  readonly remaining: readonly { readonly conflictId: ConflictId; readonly unseenSeqs: readonly Seq[] }[];
}
