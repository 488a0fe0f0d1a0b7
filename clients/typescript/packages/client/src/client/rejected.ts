import type { PendingMutation, RejectedItem, RejectedOperations } from '../api.js';
import { sameDot } from '../domain/dot.js';
import type { Dot } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { SynclineError } from '../errors.js';
import { REJECTED_KEPT_MAX } from '../limits.js';
import type { RejectedRow } from '../store/store.js';
import { Cell } from './cell.js';
import { rejectedItem } from './words.js';

/** Rejected and cancelled operations, with what their authors wrote. */
export class RejectedList extends Cell<readonly RejectedItem[]> implements RejectedOperations {
  private rows: readonly RejectedRow[] = [];
  private items = new WeakMap<RejectedRow, RejectedItem>();

  constructor(
    private readonly make: (mutations: readonly Mutation[]) => PendingMutation,
    private readonly dismissStored: (dots: readonly Dot[]) => Promise<void>,
  ) {
    super([]);
  }

  load(rows: readonly RejectedRow[]): void {
    this.rows = rows;
    this.show();
  }

  add(rows: readonly RejectedRow[]): readonly RejectedItem[] {
    const fresh = rows.filter((row) => this.find(row.operation.dot) === undefined);
    this.rows = [...this.rows, ...fresh].slice(-REJECTED_KEPT_MAX);
    this.show();
    return fresh.map((row) => this.item(row));
  }

  retry(dot: Dot): PendingMutation {
    const row = this.find(dot);
    if (row === undefined) throw new SynclineError('INVALID_ARGUMENT', 'there is no such rejected operation');
    // Positions in texts belong to a text that is gone: what the author saw is put in its place as a whole.
    const mutations = row.operation.mutations.map((mutation): Mutation => {
      const { action, recordId } = mutation;
      if (action.type !== 'edit_text') return withoutReading(mutation);
      const text = row.texts[`${recordId}/${action.fieldId}`];
      if (text === undefined) return withoutReading(mutation);
      return withoutReading({ ...mutation, action: { type: 'replace_text', fieldId: action.fieldId, text } });
    });
    const pending = this.make(mutations);
    void this.dismiss(dot);
    return pending;
  }

  dismiss(dot: Dot): Promise<void> {
    this.rows = this.rows.filter((row) => !sameDot(row.operation.dot, dot));
    this.show();
    return this.dismissStored([dot]);
  }

  dismissAll(): Promise<void> {
    const dots = this.rows.map((row) => row.operation.dot);
    this.rows = [];
    this.show();
    return dots.length === 0 ? Promise.resolve() : this.dismissStored(dots);
  }

  private find(dot: Dot): RejectedRow | undefined {
    return this.rows.find((row) => sameDot(row.operation.dot, dot));
  }

  private show(): void {
    this.set(this.rows.map((row) => this.item(row)));
  }

  private item(row: RejectedRow): RejectedItem {
    let item = this.items.get(row);
    if (item === undefined) {
      item = rejectedItem(row);
      this.items.set(row, item);
    }
    return item;
  }
}

/** Leaves out what the operation had read when it was first made: it is made again against what is shown now. */
function withoutReading({ collectionId, recordId, action, resolvesConflictId }: Mutation): Mutation {
  return { collectionId, recordId, action, ...(resolvesConflictId !== undefined && { resolvesConflictId }) };
}
