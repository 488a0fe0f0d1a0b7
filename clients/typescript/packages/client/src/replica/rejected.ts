import { fieldKey } from '../domain/dot.js';
import type { Operation, Refusal, ServerOutcome } from '../domain/operation.js';
import type { RejectedRow, SlotId } from '../store/store.js';
import { textWishes } from './overlay.js';
import type { ReplicaState } from './state.js';

/** Why an operation that its author took back is among the rejected ones. */
const CANCELLED: Refusal = {
  reason: 'CANCELLED',
  message: 'taken back before it was sent',
  metadata: {},
};

export function rejectedRow(
  slotId: SlotId,
  operation: Operation,
  outcome: Extract<ServerOutcome, { readonly type: 'rejected' }>,
  rejectedAtMs: number,
  texts: RejectedRow['texts'],
): RejectedRow {
  const { refusal, mutationIndex } = outcome;
  const row = { slotId, operation, refusal, rejectedAtMs, texts };
  return mutationIndex === undefined ? row : { ...row, mutationIndex };
}

export function cancelledRow(
  slotId: SlotId,
  operation: Operation,
  rejectedAtMs: number,
  texts: RejectedRow['texts'],
): RejectedRow {
  return { slotId, operation, refusal: CANCELLED, rejectedAtMs, texts };
}

/** What the texts an operation edits show now, with it: so that no text is lost when it goes. */
export function shownTexts(operation: Operation, state: ReplicaState): RejectedRow['texts'] {
  const texts: Record<string, string> = {};
  for (const { recordId, fieldId } of textWishes(operation, state.kindOf)) {
    texts[fieldKey(recordId, fieldId)] = state.text(recordId, fieldId).text;
  }
  return texts;
}
