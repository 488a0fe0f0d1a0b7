import { StoreError } from './store-error.js';
import {
  type Key,
  TABLES,
  type TableName,
  type TableRows,
  type TableTransaction,
  type Tables,
  type WriteMode,
} from './tables.js';

/** A row and its key. */
export interface Entry {
  readonly key: Key;
  readonly row: unknown;
}

/** What a transaction writes, in order. `row` absent: the key is deleted; `key` absent: the table is cleared. */
export interface Write {
  readonly table: TableName;
  readonly key?: Key;
  readonly row?: unknown;
}

/** Tables in memory. Transactions run one after the other; what one writes is put in at its end. */
export class MemoryTables implements Tables {
  readonly durability: 'durable' | 'memory' = 'memory';
  private readonly tables = new Map<TableName, Map<string, Entry>>(TABLES.map((table) => [table, new Map()]));
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  async run<R>(tables: readonly TableName[], mode: WriteMode, work: (tx: TableTransaction) => Promise<R>): Promise<R> {
    return this.alone(async () => {
      const tx = new MemoryTransaction(this.tables, tables, mode);
      const result = await work(tx);
      if (tx.writes.length > 0) {
        await this.keep?.(tx.writes, mode);
        this.apply(tx.writes);
      }
      return result;
    });
  }

  /** Runs when all that was asked for before is done. */
  protected alone<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.last.then(() => {
      if (this.closed) throw new StoreError('failed', 'the store is closed');
      return work();
    });
    this.last = turn.catch(() => undefined);
    return turn;
  }

  /** Before the writes count: a store on a disk writes them there. */
  protected keep?(writes: readonly Write[], mode: WriteMode): Promise<void>;

  protected apply(writes: readonly Write[]): void {
    for (const { table, key, row } of writes) {
      const entries = tableOf(this.tables, table);
      if (key === undefined) entries.clear();
      else if (row === undefined) entries.delete(keyText(key));
      else entries.set(keyText(key), { key, row });
    }
  }

  /** All rows, to be written anew. */
  protected *contents(): Iterable<Write> {
    for (const [table, entries] of this.tables) for (const { key, row } of entries.values()) yield { table, key, row };
  }

  estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }> {
    return Promise.resolve({});
  }

  async close(): Promise<void> {
    await this.last;
    this.closed = true;
  }
}

function tableOf(tables: ReadonlyMap<TableName, Map<string, Entry>>, table: TableName): Map<string, Entry> {
  const entries = tables.get(table);
  if (entries === undefined) throw new StoreError('failed', `there is no table ${table}`);
  return entries;
}

function keyText(key: Key): string {
  return typeof key === 'string' ? key : JSON.stringify(key);
}

class MemoryTransaction implements TableTransaction {
  readonly writes: Write[] = [];
  /** Written rows by table; undefined rows are deleted ones. */
  private readonly written = new Map<TableName, Map<string, Entry>>();
  private readonly cleared = new Set<TableName>();

  constructor(
    private readonly tables: ReadonlyMap<TableName, Map<string, Entry>>,
    private readonly scope: readonly TableName[],
    private readonly mode: WriteMode,
  ) {}

  get<T extends TableName>(table: T, key: Key): Promise<TableRows[T] | undefined> {
    this.check(table, 'read');
    const text = keyText(key);
    const own = this.written.get(table)?.get(text);
    const entry = own ?? (this.cleared.has(table) ? undefined : tableOf(this.tables, table).get(text));
    return Promise.resolve(entry?.row as TableRows[T] | undefined);
  }

  all<T extends TableName>(table: T, prefix: readonly (string | number)[] = []): Promise<TableRows[T][]> {
    this.check(table, 'read');
    const entries = this.entries(table).filter(({ key }) => startsWith(key, prefix));
    entries.sort((a, b) => compareKeys(a.key, b.key));
    return Promise.resolve(entries.map(({ row }) => row as TableRows[T]));
  }

  private entries(table: TableName): Entry[] {
    const merged = new Map(this.cleared.has(table) ? [] : tableOf(this.tables, table));
    for (const [text, entry] of this.written.get(table) ?? []) merged.set(text, entry);
    return [...merged.values()].filter(({ row }) => row !== undefined);
  }

  put<T extends TableName>(table: T, key: Key, row: TableRows[T]): void {
    this.write(table, key, row);
  }

  delete(table: TableName, key: Key): void {
    this.write(table, key, undefined);
  }

  private write(table: TableName, key: Key, row: unknown): void {
    this.check(table, 'write');
    this.writes.push(row === undefined ? { table, key } : { table, key, row });
    let written = this.written.get(table);
    if (written === undefined) this.written.set(table, (written = new Map()));
    written.set(keyText(key), { key, row });
  }

  clear(table: TableName): void {
    this.check(table, 'write');
    this.writes.push({ table });
    this.cleared.add(table);
    this.written.delete(table);
  }

  deleteUpTo(table: TableName, prefix: readonly (string | number)[], lastInclusive: number): void {
    for (const { key } of this.entries(table)) {
      if (typeof key === 'string' || !startsWith(key, prefix)) continue;
      const next = key[prefix.length];
      if (typeof next === 'number' && next <= lastInclusive) this.delete(table, key);
    }
  }

  private check(table: TableName, use: 'read' | 'write'): void {
    if (!this.scope.includes(table)) throw new StoreError('failed', `table ${table} is not part of the transaction`);
    if (use === 'write' && this.mode === 'read') throw new StoreError('failed', 'a transaction that reads writes');
  }
}

function startsWith(key: Key, prefix: readonly (string | number)[]): boolean {
  return prefix.every((part, index) => key[index] === part);
}

function compareKeys(a: Key, b: Key): number {
  if (typeof a === 'string' || typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) return 1;
    if (left === right) continue;
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}
