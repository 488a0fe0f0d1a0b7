import type { IncludeSpec, RecordView, Row } from '../api.js';
import type { RecordId } from '../domain/ids.js';
import type { Value } from '../domain/value.js';
import type { Replica } from '../replica/replica.js';
import { type Comparator, type Predicate, comparatorOf, predicateOf } from './compile.js';

/** What a row is made from: the part of the replica that queries read. */
export type ViewReader = Pick<Replica, 'view' | 'idsOf' | 'linkedFrom' | 'whole' | 'loaded'>;

/** A join, ready to be followed. */
interface Join {
  readonly name: string;
  readonly via: string;
  readonly from: string | undefined;
  readonly fits: Predicate;
  readonly compare: Comparator;
  readonly ordered: boolean;
  readonly joins: readonly Join[];
}

function joinsOf(include: IncludeSpec | undefined): readonly Join[] {
  return Object.entries(include ?? {}).map(([name, join]) => ({
    name,
    via: join.via,
    from: join.from,
    fits: predicateOf(join.where),
    compare: comparatorOf(join.orderBy),
    ordered: join.orderBy !== undefined,
    joins: joinsOf(join.include),
  }));
}

const NOTHING_INCLUDED: Row['include'] = {};

/** A row, with the short ways to its record's id and fields. */
class QueryRow implements Row<IncludeSpec> {
  constructor(
    readonly record: RecordView,
    readonly include: Row<IncludeSpec>['include'],
  ) {}

  get id(): RecordId {
    return this.record.id;
  }

  get fields(): RecordView['fields'] {
    return this.record.fields;
  }
}

/** Makes the rows of one query and knows which rows a change of a record can touch. */
export class RowBuilder {
  private readonly joins: readonly Join[];
  /** Incoming joins of any depth: a record of `from` that changed may have come to link to something in a row. */
  private readonly incoming: readonly { readonly from: string; readonly via: string }[];
  private readonly rows = new Map<
    RecordId,
    { readonly row: Row<IncludeSpec>; readonly reads: ReadonlySet<RecordId> }
  >();
  /** Which rows read a record. */
  private readonly readers = new Map<RecordId, Set<RecordId>>();

  constructor(
    private readonly reader: ViewReader,
    include: IncludeSpec | undefined,
  ) {
    this.joins = joinsOf(include);
    this.incoming = allJoins(this.joins).flatMap(({ from, via }) => (from === undefined ? [] : [{ from, via }]));
  }

  /** The row of a record: the same object as before unless something in it changed. */
  row(view: RecordView, isStale: boolean): Row<IncludeSpec> {
    const before = this.rows.get(view.id);
    if (before !== undefined && !isStale && before.row.record === view) return before.row;
    if (this.joins.length === 0) {
      const row = before?.row.record === view ? before.row : new QueryRow(view, NOTHING_INCLUDED);
      this.rows.set(view.id, { row, reads: NO_READS });
      return row;
    }
    const reads = new Set<RecordId>();
    const row = this.build(view, this.joins, before?.row, reads);
    this.forgetReads(view.id, before?.reads);
    for (const id of reads) {
      const readers = this.readers.get(id);
      if (readers === undefined) this.readers.set(id, new Set([view.id]));
      else readers.add(view.id);
    }
    this.rows.set(view.id, { row, reads });
    return row;
  }

  private build(
    view: RecordView,
    joins: readonly Join[],
    before: Row<IncludeSpec> | undefined,
    reads: Set<RecordId>,
  ): Row<IncludeSpec> {
    reads.add(view.id);
    let same = before?.record === view;
    const include: Record<string, readonly Row<IncludeSpec>[]> = {};
    for (const join of joins) {
      const old = before?.include[join.name];
      const rows = this.joined(view, join, old, reads);
      if (rows !== old) same = false;
      include[join.name] = rows;
    }
    return same && before !== undefined ? before : new QueryRow(view, include);
  }

  private joined(
    view: RecordView,
    join: Join,
    before: readonly Row<IncludeSpec>[] | undefined,
    reads: Set<RecordId>,
  ): readonly Row<IncludeSpec>[] {
    const ids =
      join.from === undefined ? idsIn(view.fields[join.via]) : this.reader.linkedFrom(view.id, join.from, join.via);
    const views: RecordView[] = [];
    for (const id of ids) {
      reads.add(id);
      const joined = this.reader.view(id);
      if (joined !== undefined && !joined.deleted && join.fits(joined)) views.push(joined);
    }
    // Links come in the order of ids already; incoming ones in none.
    if (join.ordered || join.from !== undefined) views.sort(join.compare);
    const old = new Map(before?.map((row) => [row.record.id, row]));
    const rows = views.map((joined) => this.build(joined, join.joins, old.get(joined.id), reads));
    const same = before?.length === rows.length && rows.every((row, index) => row === before[index]);
    return same ? before : rows;
  }

  /** The rows a change of these records can touch. */
  touchedBy(ids: Iterable<RecordId>): ReadonlySet<RecordId> {
    const touched = new Set<RecordId>();
    if (this.joins.length === 0) return touched;
    const add = (id: RecordId): void => {
      for (const reader of this.readers.get(id) ?? []) touched.add(reader);
    };
    for (const id of ids) {
      add(id);
      if (this.incoming.length === 0) continue;
      const view = this.reader.view(id);
      if (view === undefined) continue;
      for (const { from, via } of this.incoming) {
        if (view.collection === from) for (const target of idsIn(view.fields[via])) add(target);
      }
    }
    return touched;
  }

  /** A record is no row any more. */
  forget(id: RecordId): void {
    this.forgetReads(id, this.rows.get(id)?.reads);
    this.rows.delete(id);
  }

  private forgetReads(id: RecordId, reads: ReadonlySet<RecordId> | undefined): void {
    for (const read of reads ?? NO_READS) {
      const readers = this.readers.get(read);
      readers?.delete(id);
      if (readers?.size === 0) this.readers.delete(read);
    }
  }
}

const NO_READS: ReadonlySet<RecordId> = new Set();

function allJoins(joins: readonly Join[]): readonly Join[] {
  return joins.flatMap((join) => [join, ...allJoins(join.joins)]);
}

/** The targets a field shows. */
function idsIn(value: Value | undefined): readonly RecordId[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return [];
  return (value as readonly Value[]).filter((item): item is string => typeof item === 'string');
}
