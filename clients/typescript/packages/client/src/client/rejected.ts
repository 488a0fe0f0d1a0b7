import type { PendingMutation, RejectedItem, RejectedOperations } from '../api.js';
import { dotKey } from '../domain/dot.js';
import type { Dot, DotKey } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { SynclineError } from '../errors.js';
import type { RejectedRow } from '../store/store.js';
import { Cell } from './cell.js';
import { rejectedItem } from './words.js';

/** Rejected and cancelled operations, with what their authors wrote. */
export class RejectedList extends Cell<readonly RejectedItem[]> implements RejectedOperations {
  private rows = new Map<DotKey, RejectedRow>();
  private items = new WeakMap<RejectedRow, RejectedItem>();

  constructor(
    private readonly make: (mutations: readonly Mutation[]) => PendingMutation,
    private readonly dismissStored: (dots: readonly Dot[]) => Promise<void>,
  ) {
    super([]);
  }

  load(rows: readonly RejectedRow[]): void {
    this.rows = new Map(rows.map((row) => [dotKey(row.operation.dot), row]));
    this.show();
  }

  add(rows: readonly RejectedRow[]): readonly RejectedItem[] {
    const fresh = rows.filter((row) => !this.rows.has(dotKey(row.operation.dot)));
    for (const row of fresh) this.rows.set(dotKey(row.operation.dot), row);
    this.show();
    return fresh.map((row) => this.item(row));
  }

  retry(dot: Dot): PendingMutation {
    const row = this.rows.get(dotKey(dot));
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
    this.rows.delete(dotKey(dot));
    this.show();
    return this.dismissStored([dot]);
  }

  dismissAll(): Promise<void> {
    const dots = [...this.rows.values()].map((row) => row.operation.dot);
    this.rows.clear();
    this.show();
    return dots.length === 0 ? Promise.resolve() : this.dismissStored(dots);
  }

  private show(): void {
    this.set([...this.rows.values()].map((row) => this.item(row)));
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
