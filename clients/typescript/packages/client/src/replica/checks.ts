import type { FieldId, RecordId, Seq } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { textWishes } from './overlay.js';
import { isVisible } from './queue.js';
import { argument, misfit } from './stage.js';
import type { ReplicaState } from './state.js';

/** At most one edit of a text in an operation, by positions only where they are certain. */
export function checkTexts(mutations: readonly Mutation[], state: ReplicaState): void {
  const seen = new Set<string>();
  for (const { recordId, fieldId, wanted } of textWishes({ mutations }, state.kindOf)) {
    const key = `${recordId}/${fieldId}`;
    if (seen.has(key)) throw misfit(`an operation edits the text ${key} once; put all hunks into one edit`);
    seen.add(key);
    if (hasHiddenEdit(recordId, fieldId, state)) {
      throw misfit(`the text ${key} has an edit that is not shown before the server accepted it`);
    }
    if (typeof wanted !== 'string' && wanted.length > 0 && !state.text(recordId, fieldId).exact) {
      throw misfit(`positions in the text ${key} are not certain; replace it`);
    }
  }
}

function hasHiddenEdit(recordId: RecordId, fieldId: FieldId, state: ReplicaState): boolean {
  return state.queue
    .touching(recordId)
    .some(
      (pending) =>
        pending.pessimistic &&
        !isVisible(pending) &&
        !pending.doomed &&
        !pending.cancelled &&
        textWishes(pending.operation, state.kindOf).some((w) => w.recordId === recordId && w.fieldId === fieldId),
    );
}

/** What was observed is a position that was shown, of a mutation for which that has a meaning. */
export function checkObserved(mutation: Mutation, position: Seq): void {
  const { observedSeq, action } = mutation;
  if (observedSeq === undefined) return;
  if (!['set', 'assign_counter', 'link', 'unlink'].includes(action.type)) {
    throw argument(`what was observed has no meaning for ${action.type}`);
  }
  if (!Number.isSafeInteger(observedSeq) || observedSeq < 0 || observedSeq > position) {
    throw argument(`position ${observedSeq} was not shown`);
  }
}
