import type { ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { KindOf } from '../domain/fold.js';
import type { ConflictId, RecordId } from '../domain/ids.js';
import type { Action, Mutation, Operation } from '../domain/operation.js';
import type { ExactValue } from '../domain/value.js';

/** An operation's mutations as they make sense in another history, or the record that is not there. */
export interface RebasedMutations {
  readonly mutations: readonly Mutation[];
  readonly missingRecord?: RecordId;
}

/**
 * The mutations of an operation for another history: what is there already is not created again, what was decided is
 * not decided again. `records` is kept up to date with what they create and delete.
 */
export function rebaseMutations(
  operation: Operation,
  records: Map<RecordId, ConfirmedRecord>,
  conflicts: ReadonlyMap<ConflictId, ConflictSummary>,
  kindOf: KindOf,
): RebasedMutations {
  const mutations: Mutation[] = [];
  const staged = new Map<RecordId, ConfirmedRecord>();
  const record = (id: RecordId): ConfirmedRecord | undefined => staged.get(id) ?? records.get(id);
  for (const original of operation.mutations) {
    const mutation = decided(original, conflicts);
    const { action, recordId } = mutation;
    if (action.type === 'defer_conflict' || action.type === 'assign_conflict' || action.type === 'reopen_conflict') {
      if (action.type === 'reopen_conflict' || conflicts.has(action.conflictId)) mutations.push(mutation);
      continue;
    }
    const known = record(recordId);
    if (action.type === 'create') {
      if (known === undefined) {
        staged.set(recordId, created(mutation));
        mutations.push(...withTexts(mutation, action, kindOf));
      } else {
        mutations.push(...initialValues(mutation, action, kindOf));
      }
      continue;
    }
    if (known === undefined) return { mutations: [], missingRecord: recordId };
    if (action.type === 'link' && record(action.targetRecordId) === undefined) {
      return { mutations: [], missingRecord: action.targetRecordId };
    }
    if (action.type === 'delete' || action.type === 'restore') {
      const deleted = action.type === 'delete';
      if (known.deleted === deleted) continue;
      staged.set(recordId, { ...known, deleted });
    } else if (known.deleted) {
      return { mutations: [], missingRecord: recordId };
    }
    mutations.push(mutation);
  }
  for (const [id, state] of staged) records.set(id, state);
  return { mutations };
}

/** Without what was observed in the old history, and without deciding conflicts the new one does not have. */
function decided(mutation: Mutation, conflicts: ReadonlyMap<ConflictId, ConflictSummary>): Mutation {
  const { collectionId, recordId, action, resolvesConflictId } = mutation;
  const plain: Mutation = { collectionId, recordId, action };
  return resolvesConflictId !== undefined && conflicts.has(resolvesConflictId)
    ? { ...plain, resolvesConflictId }
    : plain;
}

function created(mutation: Mutation): ConfirmedRecord {
  const { recordId, collectionId } = mutation;
  return { recordId, collectionId, deleted: false, createdSeq: 0, lastSeq: 0, asOfSeq: 0, fields: new Map() };
}

type Create = Extract<Action, { readonly type: 'create' }>;

/** Texts as edits of their own, so that positions are mapped in one way. */
function withTexts(mutation: Mutation, action: Create, kindOf: KindOf): readonly Mutation[] {
  const isText = (fieldId: string, value: ExactValue): boolean =>
    kindOf(mutation.collectionId, fieldId) === 'text' && value.kind === 'string' && value.value !== '';
  const fields = new Map([...action.fields].filter(([id, value]) => !isText(id, value)));
  const texts = new Map([...action.fields].filter(([id, value]) => isText(id, value)));
  return [
    { ...mutation, action: { type: 'create', fields } },
    ...initialValues(mutation, { type: 'create', fields: texts }, kindOf),
  ];
}

/** What initial values stand for, on a record that is there. */
function initialValues(mutation: Mutation, action: Create, kindOf: KindOf): readonly Mutation[] {
  return [...action.fields].map(([fieldId, value]) => ({
    ...mutation,
    action: initialAction(kindOf(mutation.collectionId, fieldId), fieldId, value),
  }));
}

/** What the initial value of a field stands for, on a record that is there. */
export function initialAction(kind: ReturnType<KindOf>, fieldId: string, value: ExactValue): Action {
  if (kind === 'text' && value.kind === 'string') return { type: 'replace_text', fieldId, text: value.value };
  if (kind === 'counter' && value.kind === 'int') return { type: 'assign_counter', fieldId, value: value.value };
  if (kind === 'to_one' && value.kind === 'string') return { type: 'link', fieldId, targetRecordId: value.value };
  return { type: 'set', fieldId, value };
}
