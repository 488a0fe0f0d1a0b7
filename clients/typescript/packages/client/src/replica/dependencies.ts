import { dotKey } from '../domain/dot.js';
import type { Dot, RecordId } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { textWishes } from './overlay.js';
import type { PendingOperation } from './replica.js';
import type { ReplicaState } from './state.js';

/**
 * The pending operations a new one depends on: the latest that created or restored a record it touches or links to, and
 * for a text edit the latest pending edit of that text. Without the second a rejection would leave later positions
 * pointing into a text that never was.
 */
export function dependenciesOf(mutations: readonly Mutation[], state: ReplicaState): readonly Dot[] {
  const found = new Map<string, Dot>();
  const add = (pending: PendingOperation | undefined): void => {
    if (pending !== undefined) found.set(dotKey(pending.operation.dot), pending.operation.dot);
  };
  for (const id of recordsOf(mutations)) {
    add(latest(state, id, (pending) => pending.operation.mutations.some((m) => m.recordId === id && isBirth(m))));
  }
  for (const { recordId, fieldId } of textWishes({ mutations }, state.kindOf)) {
    const edits = (pending: PendingOperation): boolean =>
      textWishes(pending.operation, state.kindOf).some((w) => w.recordId === recordId && w.fieldId === fieldId);
    add(latest(state, recordId, edits));
  }
  return [...found.values()].sort((a, b) => a.counter - b.counter);
}

function isBirth(mutation: Mutation): boolean {
  return mutation.action.type === 'create' || mutation.action.type === 'restore';
}

/** A doomed operation is no ground to build on: what depends on it would be rejected too. */
function latest(
  state: ReplicaState,
  id: RecordId,
  fits: (pending: PendingOperation) => boolean,
): PendingOperation | undefined {
  const touching = state.queue.touching(id);
  for (let index = touching.length - 1; index >= 0; index--) {
    const pending = touching[index];
    if (pending !== undefined && !pending.doomed && !pending.cancelled && fits(pending)) return pending;
  }
  return undefined;
}

/** Records a mutation touches or links to. */
function recordsOf(mutations: readonly Mutation[]): ReadonlySet<RecordId> {
  const ids = new Set<RecordId>();
  for (const { recordId, action } of mutations) {
    if (recordId !== '') ids.add(recordId);
    if (action.type === 'link') ids.add(action.targetRecordId);
  }
  return ids;
}
