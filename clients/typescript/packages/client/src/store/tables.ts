import type { ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { PendingRow, RejectedRow, SettledRow, SlotRow, StoreMeta, TextTailRow } from './store.js';

/** One record, or many of a snapshot: a database reads one long row much faster than many short ones. */
export type RecordRow = ConfirmedRecord | readonly ConfirmedRecord[];

/** The rows of every table. DESIGN.md lists their keys. */
export interface TableRows {
  readonly meta: StoreMeta | number;
  readonly records0: RecordRow;
  readonly records1: RecordRow;
  readonly conflicts0: ConflictSummary;
  readonly conflicts1: ConflictSummary;
  readonly tail: TextTailRow;
  readonly slots: SlotRow;
  readonly pending: PendingRow;
  readonly settled: SettledRow;
  readonly rejected: RejectedRow;
}

export type TableName = keyof TableRows;

export const TABLES: readonly TableName[] = [
  'meta',
  'records0',
  'records1',
  'conflicts0',
  'conflicts1',
  'tail',
  'slots',
  'pending',
  'settled',
  'rejected',
];

/** A key, or its parts: numbers are ordered before strings, as in IndexedDB. */
export type Key = string | readonly (string | number)[];

/** One transaction. Reads see the writes before them; nothing but reads may be waited for in it. */
export interface TableTransaction {
  get<T extends TableName>(table: T, key: Key): Promise<TableRows[T] | undefined>;
  /** In the order of keys. With a prefix: only keys that begin with these parts. */
  all<T extends TableName>(table: T, prefix?: readonly (string | number)[]): Promise<TableRows[T][]>;
  put<T extends TableName>(table: T, key: Key, row: TableRows[T]): void;
  delete(table: TableName, key: Key): void;
  clear(table: TableName): void;
  /** Keys that begin with these parts, followed by a number up to this one. */
  deleteUpTo(table: TableName, prefix: readonly (string | number)[], lastInclusive: number): void;
}

/** How hard a transaction is written. */
export type WriteMode =
  | 'read'
  /** Survives a crash once it resolved. */
  | 'strict'
  /** Survives a crash at the latest with the next strict one; never later than another. */
  | 'relaxed';

/** Tables with transactions: all a store is made of. */
export interface Tables {
  /** Runs alone among those that write the same tables. All of it is kept, or, when `work` fails, nothing. */
  run<R>(tables: readonly TableName[], mode: WriteMode, work: (tx: TableTransaction) => Promise<R>): Promise<R>;
  readonly durability: 'durable' | 'memory';
  estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }>;
  close(): Promise<void>;
}
