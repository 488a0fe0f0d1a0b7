import type { RejectedItem } from '../api.js';
import { fieldKey } from '../domain/dot.js';
import { valueOf } from '../domain/exact.js';
import type { Mutation, Operation } from '../domain/operation.js';
import type { Value } from '../domain/value.js';
import type { RejectedRow } from '../store/store.js';

/** A mutation in words, such as `set title of cards/card-1`. */
export function describeMutation({ collectionId, recordId, action }: Mutation): string {
  const record = `${collectionId}/${recordId}`;
  switch (action.type) {
    case 'create':
    case 'delete':
    case 'restore':
      return `${action.type} ${record}`;
    case 'set':
      return `set ${action.fieldId} of ${record}`;
    case 'edit_text':
      return `edit ${action.fieldId} of ${record}`;
    case 'replace_text':
      return `replace ${action.fieldId} of ${record}`;
    case 'increment':
      return `add ${action.by} to ${action.fieldId} of ${record}`;
    case 'assign_counter':
      return `set ${action.fieldId} of ${record} to ${action.value}`;
    case 'add_elements':
      return `add to ${action.fieldId} of ${record}`;
    case 'remove_elements':
      return `remove from ${action.fieldId} of ${record}`;
    case 'clear_elements':
      return `clear ${action.fieldId} of ${record}`;
    case 'link':
      return `link ${action.fieldId} of ${record} to ${action.targetRecordId}`;
    case 'unlink':
      return `unlink ${action.fieldId} of ${record}`;
    case 'defer_conflict':
      return `defer conflict ${action.conflictId}`;
    case 'assign_conflict':
      return `assign conflict ${action.conflictId}`;
    case 'reopen_conflict':
      return `reopen conflict ${action.conflictId}`;
  }
}

/** An operation in words: its first mutation, and how many more there are. */
export function describeOperation(operation: Operation): string {
  const [first, ...more] = operation.mutations;
  if (first === undefined) return 'nothing';
  return more.length === 0 ? describeMutation(first) : `${describeMutation(first)} and ${more.length} more`;
}

/** A refused or cancelled operation as an application sees it. */
export function rejectedItem(row: RejectedRow): RejectedItem {
  const { operation, refusal, mutationIndex } = row;
  return {
    dot: operation.dot,
    correlationId: operation.correlationId,
    why: refusal.reason === 'CANCELLED' ? 'cancelled' : 'rejected',
    refusal,
    rejectedAtMs: row.rejectedAtMs,
    madeAtMs: operation.clientTimeMs,
    mutations: operation.mutations.map((mutation, index) => {
      const { collectionId, recordId, action } = mutation;
      const content = contentOf(mutation, row.texts);
      return {
        collection: collectionId,
        id: recordId,
        summary: describeMutation(mutation),
        atFault: index === mutationIndex,
        ...('fieldId' in action && { field: action.fieldId }),
        ...(content !== undefined && { content }),
      };
    }),
  };
}

/** What was to be written; of a text what its author saw, or at least what was inserted. */
function contentOf({ recordId, action }: Mutation, texts: RejectedRow['texts']): Value | undefined {
  switch (action.type) {
    case 'create':
      return Object.fromEntries(
        [...action.fields].map(([id, value]) => [id, texts[fieldKey(recordId, id)] ?? valueOf(value)]),
      );
    case 'set':
      return valueOf(action.value);
    case 'edit_text':
      return texts[fieldKey(recordId, action.fieldId)] ?? action.hunks.map((hunk) => hunk.insert).join(' … ');
    case 'replace_text':
      return action.text;
    case 'assign_counter':
      return valueOf({ kind: 'int', value: action.value });
    case 'add_elements':
    case 'remove_elements':
      return action.elements.map(valueOf);
    case 'link':
      return action.targetRecordId;
    default:
      return undefined;
  }
}
