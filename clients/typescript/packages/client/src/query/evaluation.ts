import type { IncludeSpec, Query, QueryResult, RecordView, Row } from '../api.js';
import type { RecordId } from '../domain/ids.js';
import type { ViewChange } from '../replica/replica.js';
import { type Comparator, type Predicate, comparatorOf, predicateOf } from './compile.js';
import { RowBuilder, type ViewReader } from './rows.js';

/** Beyond this many changed records sorting anew is cheaper than moving each. */
const MOVES_MAX = 256;

/** One query, evaluated and kept up to date. */
export class Evaluation {
  private readonly fits: Predicate;
  private readonly compare: Comparator;
  private readonly builder: RowBuilder;
  private readonly limit: number;
  /** All that match, beyond the limit too, in order. */
  private sorted: RecordView[] = [];
  private matched = new Map<RecordId, RecordView>();
  /** Rows within the limit at the moment. */
  private present = new Set<RecordId>();
  private current: QueryResult<IncludeSpec> = { rows: [], status: 'loading' };

  constructor(
    private readonly query: Query<IncludeSpec>,
    private readonly reader: ViewReader,
  ) {
    this.fits = predicateOf(query.where);
    this.compare = comparatorOf(query.orderBy);
    this.builder = new RowBuilder(reader, query.include);
    this.limit = query.limit ?? Number.POSITIVE_INFINITY;
  }

  get result(): QueryResult<IncludeSpec> {
    return this.current;
  }

  /** Everything anew; what did not change stays the same object. */
  evaluate(): void {
    const matched = new Map<RecordId, RecordView>();
    for (const id of this.reader.idsOf(this.query.collection)) {
      const view = this.reader.view(id);
      if (view !== undefined && this.isMatch(view)) matched.set(id, view);
    }
    this.matched = matched;
    this.sorted = [...matched.values()].sort(this.compare);
    this.publish(undefined);
  }

  /** Only what a change can touch. */
  update(change: ViewChange): void {
    if (change.all || change.recordIds.size > MOVES_MAX) {
      this.evaluate();
      return;
    }
    for (const id of change.recordIds) this.move(id);
    this.publish(this.builder.touchedBy(change.recordIds));
  }

  private isMatch(view: RecordView): boolean {
    return view.collection === this.query.collection && !view.deleted && this.fits(view);
  }

  private move(id: RecordId): void {
    const before = this.matched.get(id);
    const view = this.reader.view(id);
    const now = view !== undefined && this.isMatch(view) ? view : undefined;
    if (before === now) return;
    if (before !== undefined) {
      const at = this.placeOf(before);
      // In its place still: the usual case of an edit.
      if (now !== undefined && this.staysAt(at, now)) {
        this.sorted[at] = now;
        this.matched.set(id, now);
        return;
      }
      this.sorted.splice(at, 1);
      this.matched.delete(id);
    }
    if (now !== undefined) {
      this.sorted.splice(this.placeOf(now), 0, now);
      this.matched.set(id, now);
    }
  }

  private staysAt(at: number, view: RecordView): boolean {
    const previous = this.sorted[at - 1];
    const next = this.sorted[at + 1];
    return (
      (previous === undefined || this.compare(previous, view) < 0) &&
      (next === undefined || this.compare(view, next) < 0)
    );
  }

  /** Where a view stands or would stand. */
  private placeOf(view: RecordView): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.sorted[middle];
      if (other !== undefined && this.compare(other, view) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** `stale`: rows whose joins must be looked at again; undefined: all. */
  private publish(stale: ReadonlySet<RecordId> | undefined): void {
    const before = this.current.rows;
    const count = Math.min(this.sorted.length, this.limit);
    const rows: Row<IncludeSpec>[] = new Array(count);
    let same = before.length === count;
    for (let index = 0; index < count; index++) {
      const view = this.sorted[index] as RecordView;
      const row = this.builder.row(view, stale?.has(view.id) ?? true);
      rows[index] = row;
      if (same && before[index] !== row) same = false;
    }
    const status = !this.reader.loaded ? 'loading' : this.reader.whole ? 'ready' : 'partial';
    if (same && this.current.status === status) return;
    if (!same) this.forgetAbsent(rows);
    this.current = { rows: same ? before : rows, status };
  }

  private forgetAbsent(rows: readonly Row<IncludeSpec>[]): void {
    const present = new Set<RecordId>();
    for (const row of rows) present.add(row.record.id);
    for (const id of this.present) if (!present.has(id)) this.builder.forget(id);
    this.present = present;
  }
}
