import { dotKey } from '../domain/dot.js';
import type { DotKey, Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import type { PendingRow, RejectedRow, SlotId } from '../store/store.js';
import { FALLEN_TEXTS_MAX } from '../limits.js';
import { isVisible, touchedRecords } from './queue.js';
import { cancelledRow, rejectedRow, shownTexts } from './rejected.js';
import type { PendingOperation, ViewChange } from './replica.js';
import { type Changing, type ReplicaState, noChange } from './state.js';

/** What becomes of pending operations by receipts and by their author, and what that does to what is shown. */
export class Outcomes {
  /** What texts showed with operations that left the overlay before they were rejected. */
  private readonly doomedTexts = new Map<DotKey, Readonly<Record<string, string>>>();

  constructor(private readonly state: ReplicaState) {}

  /** Takes in a receipt; for an operation of another slot it answers from `row`. */
  take(
    receipt: ServerReceipt,
    nowMs: number,
    slotId: SlotId,
    row: PendingRow | undefined,
  ): { readonly view: ViewChange; readonly rejected?: RejectedRow } {
    const change = noChange();
    const { outcome, dot } = receipt;
    const pending = this.state.queue.get(dot);
    if (outcome.type === 'held' || outcome.type === 'not_settled' || outcome.type === 'unknown') {
      return { view: change };
    }
    if (outcome.type !== 'rejected') {
      if (pending !== undefined) this.accept(pending, outcome.seq, change);
      return { view: change };
    }
    if (pending === undefined) {
      if (row === undefined || row.cancelled) return { view: change };
      return { view: change, rejected: rejectedRow(row.slotId, row.operation, outcome, nowMs, {}) };
    }
    const texts = this.doomedTexts.get(dotKey(dot)) ?? shownTexts(pending.operation, this.state);
    this.doomedTexts.delete(dotKey(dot));
    this.doom(pending, change);
    this.leave(pending, change);
    if (pending.cancelled) return { view: change };
    return { view: change, rejected: rejectedRow(slotId, pending.operation, outcome, nowMs, texts) };
  }

  private accept(pending: PendingOperation, seq: Seq, change: Changing): void {
    const { dot } = pending.operation;
    // A snapshot had it already: the feed will not show it again.
    if (seq <= this.state.position) {
      this.leave(pending, change);
      return;
    }
    const wasVisible = isVisible(pending);
    const accepted = this.state.queue.update(dot, { acceptedSeq: seq });
    if (wasVisible || accepted === undefined || !isVisible(accepted)) return;
    this.state.reorderTexts();
    for (const id of touchedRecords(pending)) this.state.recompute(id, change);
  }

  /** An operation leaves the queue without having come by. */
  private leave(pending: PendingOperation, change: Changing): void {
    this.state.queue.remove(pending.operation.dot);
    this.state.hideTexts(pending);
    for (const id of touchedRecords(pending)) this.state.recompute(id, change);
  }

  /** What depends on a rejected operation is not shown any more. */
  private doom(pending: PendingOperation, change: Changing): void {
    const dependents = this.state.queue.dependents(pending.operation.dot);
    const fallen = dependents.filter(({ doomed, cancelled }) => !doomed && !cancelled);
    // All of them first: what the author saw is what all of them made together.
    const texts = this.textsOf(fallen);
    for (const [index, dependent] of fallen.entries()) {
      this.doomedTexts.set(dotKey(dependent.operation.dot), texts[index] ?? {});
      this.withdraw(dependent, { doomed: true }, change);
    }
  }

  /** What texts show with each of these operations, up to a limit of all together. */
  private textsOf(operations: readonly PendingOperation[]): readonly RejectedRow['texts'][] {
    let characters = 0;
    return operations.map(({ operation }) => {
      if (characters > FALLEN_TEXTS_MAX) return {};
      const texts = shownTexts(operation, this.state);
      for (const text of Object.values(texts)) characters += text.length;
      return texts;
    });
  }

  private withdraw(
    pending: PendingOperation,
    why: { readonly doomed: true } | { readonly cancelled: true },
    change: Changing,
  ): void {
    this.state.queue.update(pending.operation.dot, why);
    this.state.hideTexts(pending);
    for (const id of touchedRecords(pending)) this.state.recompute(id, change);
  }

  /** Takes operations back that were never sent. */
  cancel(
    taken: readonly PendingOperation[],
    nowMs: number,
    slotId: SlotId,
  ): { readonly view: ViewChange; readonly rejected: readonly RejectedRow[] } {
    const change = noChange();
    const shown = this.textsOf(taken);
    const rejected = taken.map(({ operation }, index) => {
      const texts = this.doomedTexts.get(dotKey(operation.dot)) ?? shown[index] ?? {};
      return cancelledRow(slotId, operation, nowMs, texts);
    });
    for (const pending of taken) this.withdraw(pending, { cancelled: true }, change);
    return { view: change, rejected };
  }

  /** The queue was replaced. */
  forget(): void {
    this.doomedTexts.clear();
  }
}
