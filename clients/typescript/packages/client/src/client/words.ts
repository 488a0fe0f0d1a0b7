import { valueOf } from '../domain/exact.js';
import type { Mutation, Operation, Refusal } from '../domain/operation.js';
import type { Value } from '../domain/value.js';
import type { RejectedItem } from '../api.js';
import type { RejectedRow } from '../store/store.js';

const VERBS: Readonly<Record<Mutation['action']['type'], string>> = {
  create: 'create',
  delete: 'delete',
  restore: 'restore',
  set: 'set',
  edit_text: 'edit',
  replace_text: 'edit',
  increment: 'count',
  assign_counter: 'set',
  add_elements: 'add to',
  remove_elements: 'remove from',
  clear_elements: 'clear',
  link: 'link',
  unlink: 'unlink',
  defer_conflict: 'put aside',
  assign_conflict: 'assign',
  reopen_conflict: 'open again',
};

/** A mutation in words, such as `set title of cards/card-1`. */
export function mutationInWords(mutation: Mutation): string {
  const { action, collectionId, recordId } = mutation;
  const verb = VERBS[action.type];
  if ('conflictId' in action) return `${verb} conflict ${action.conflictId}`;
  const record = `${collectionId}/${recordId}`;
  return 'fieldId' in action ? `${verb} ${action.fieldId} of ${record}` : `${verb} ${record}`;
}

/** An operation in words: its first mutation, and how many more. */
export function operationInWords({ mutations }: Operation): string {
  const [first] = mutations;
  if (first === undefined) return 'nothing';
  const more = mutations.length - 1;
  return more === 0 ? mutationInWords(first) : `${mutationInWords(first)} and ${more} more`;
}

/** A rejected operation as applications see it. */
export function rejectedItem(row: RejectedRow): RejectedItem {
  const { operation, mutationIndex } = row;
  const refusal = understood(row.refusal);
  return {
    dot: operation.dot,
    correlationId: operation.correlationId,
    why: refusal.reason === 'CANCELLED' ? 'cancelled' : 'rejected',
    refusal,
    rejectedAtMs: row.rejectedAtMs,
    madeAtMs: operation.clientTimeMs,
    mutations: operation.mutations.map((mutation, index) => {
      const { action } = mutation;
      const content = contentOf(mutation, row.texts);
      return {
        collection: mutation.collectionId,
        id: mutation.recordId,
        ...('fieldId' in action && { field: action.fieldId }),
        summary: mutationInWords(mutation),
        ...(content !== undefined && { content }),
        atFault: index === mutationIndex,
      };
    }),
  };
}

/** A server that does not know what it was told is older than this program: that is what its author has to hear. */
function understood(refusal: Refusal): Refusal {
  const older = refusal.reason === 'UNKNOWN_FIELD' || refusal.reason === 'UNKNOWN_ACTION';
  if (!older) return refusal;
  return { ...refusal, message: `the server is older than this program and cannot do this yet: ${refusal.message}` };
}

/** What was to be written. */
function contentOf({ action, recordId }: Mutation, texts: RejectedRow['texts']): Value | undefined {
  switch (action.type) {
    case 'create':
      return Object.fromEntries([...action.fields].map(([field, value]) => [field, valueOf(value)]));
    case 'set':
      return valueOf(action.value);
    case 'edit_text':
      return texts[`${recordId}/${action.fieldId}`] ?? action.hunks.map((hunk) => hunk.insert).join('');
    case 'replace_text':
      return texts[`${recordId}/${action.fieldId}`] ?? action.text;
    case 'increment':
      return valueOf({ kind: 'int', value: action.by });
    case 'assign_counter':
      return valueOf({ kind: 'int', value: action.value });
    case 'add_elements':
    case 'remove_elements':
      return action.elements.map(valueOf);
    case 'link':
    case 'unlink':
      return action.targetRecordId;
    case 'assign_conflict':
      return action.assignee;
    case 'delete':
    case 'restore':
    case 'clear_elements':
    case 'defer_conflict':
    case 'reopen_conflict':
      return undefined;
  }
}
