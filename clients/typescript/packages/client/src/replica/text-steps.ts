import { dotKey, fieldKey } from '../domain/dot.js';
import type { DotKey, FieldId, RecordId } from '../domain/ids.js';
import type { Hunk, Operation } from '../domain/operation.js';
import { Problem } from '../domain/problem.js';
import { applyClamped, clamp } from '../domain/text/transform.js';
import { diff, diffCharacters } from '../domain/text/diff.js';
import { hunksOfSplices } from '../domain/text/hunk.js';
import { scalarCount } from '../domain/text/scalars.js';
import { undoSplices } from '../domain/text/splice.js';
import { textWishes } from './overlay.js';
import type { ReplicaState } from './state.js';

/** An edit in a line of history: the text before it, and what it did to it. */
export interface TextStep {
  readonly before: string;
  readonly hunks: readonly Hunk[];
}

/**
 * The edits of these operations, settled ones and then pending ones, as if everybody had edited one after the other: by
 * `dot field`. Settled edits are read from the tail; those it does not have any more are left out.
 */
export function textSteps(state: ReplicaState, operations: readonly Operation[]): ReadonlyMap<string, TextStep> {
  const steps = new Map<string, TextStep>();
  const fields = new Map<string, { readonly recordId: RecordId; readonly fieldId: FieldId }>();
  for (const operation of operations) {
    for (const { recordId, fieldId } of textWishes(operation, state.kindOf)) {
      fields.set(fieldKey(recordId, fieldId), { recordId, fieldId });
    }
  }
  for (const [key, { recordId, fieldId }] of fields) {
    const own = new Set<DotKey>(operations.map((operation) => dotKey(operation.dot)));
    settledSteps(state, recordId, fieldId, (dot, step) => {
      if (own.has(dot)) steps.set(`${dot} ${key}`, step);
    });
    pendingSteps(state, recordId, fieldId, operations, (dot, step) => steps.set(`${dot} ${key}`, step));
  }
  return steps;
}

function settledSteps(
  state: ReplicaState,
  recordId: RecordId,
  fieldId: FieldId,
  found: (dot: DotKey, step: TextStep) => void,
): void {
  const tail = state.texts.tail(recordId, fieldId);
  let text = state.confirmedText(recordId, fieldId);
  try {
    for (let index = tail.length - 1; index >= 0; index--) {
      const row = tail[index];
      if (row === undefined) continue;
      text = undoSplices(text, row.splices);
      found(dotKey(row.dot), { before: text, hunks: hunksOfSplices(row.splices) });
    }
  } catch (error) {
    // The tail does not belong to this text: what was found so far is what there is.
    if (!(error instanceof Problem)) throw error;
  }
}

function pendingSteps(
  state: ReplicaState,
  recordId: RecordId,
  fieldId: FieldId,
  operations: readonly Operation[],
  found: (dot: DotKey, step: TextStep) => void,
): void {
  const trunk = state.confirmedText(recordId, fieldId);
  let text = trunk;
  for (const operation of operations) {
    if (state.queue.get(operation.dot) === undefined) continue;
    for (const wish of textWishes(operation, state.kindOf)) {
      if (wish.recordId !== recordId || wish.fieldId !== fieldId) continue;
      const after = state.texts.textUpTo(recordId, fieldId, operation.dot, trunk, state.position);
      const wanted = typeof wish.wanted === 'string' ? diff(text, wish.wanted) : wish.wanted;
      const hunks = after === undefined ? clamp(wanted, scalarCount(text)) : diffCharacters(text, after);
      found(dotKey(operation.dot), { before: text, hunks });
      text = after ?? applyClamped(text, hunks);
    }
  }
}
