import { endOf, openDatabase, resultOf } from './idb-promises.js';
import type { Store } from './store.js';
import { StoreError } from './store-error.js';
import { TableStore } from './table-store.js';
import {
  type Key,
  TABLES,
  type TableName,
  type TableRows,
  type TableTransaction,
  type Tables,
  type WriteMode,
} from './tables.js';

/**
 * Version of the database; DESIGN.md lists its object stores. The first one had rows of a protocol that no server speaks any
 * more, from before anything was released: they are dropped.
 */
const DATABASE_VERSION = 2;

/** Opens the store of one workspace in this browser, and makes it when there is none. */
export async function openIndexedDbStore(name: string, nowMs: () => number = Date.now): Promise<Store> {
  if (typeof indexedDB === 'undefined') throw new StoreError('denied', 'there is no IndexedDB here');
  try {
    const database = await openDatabase(name, DATABASE_VERSION, (db) => {
      for (const name of [...db.objectStoreNames]) db.deleteObjectStore(name);
      for (const table of TABLES) db.createObjectStore(table);
    });
    // A newer version of the application wants to open it: it may, and this one finds its store closed.
    database.onversionchange = () => {
      database.close();
    };
    return new TableStore(new IndexedDbTables(database), nowMs);
  } catch (error) {
    throw storeError(error, 'denied');
  }
}

class IndexedDbTables implements Tables {
  readonly durability = 'durable';

  constructor(private readonly database: IDBDatabase) {}

  async run<R>(tables: readonly TableName[], mode: WriteMode, work: (tx: TableTransaction) => Promise<R>): Promise<R> {
    let transaction: IDBTransaction;
    try {
      transaction = this.database.transaction([...tables], mode === 'read' ? 'readonly' : 'readwrite', {
        durability: mode === 'strict' ? 'strict' : 'relaxed',
      });
    } catch (error) {
      throw storeError(error, 'failed');
    }
    // Failures of single requests end the transaction; they are told there.
    const done = endOf(transaction).catch((error: unknown) => {
      throw storeError(error, 'failed');
    });
    done.catch(() => undefined);
    try {
      const result = await work(new IndexedDbTransaction(transaction));
      await done;
      return result;
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It is over already.
      }
      throw storeError(error, 'failed');
    }
  }

  async estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }> {
    const storage = (globalThis as { readonly navigator?: Partial<Navigator> }).navigator?.storage;
    if (storage === undefined || typeof storage.estimate !== 'function') return {};
    const { usage, quota } = await storage.estimate();
    return { ...(usage !== undefined && { usedBytes: usage }), ...(quota !== undefined && { quotaBytes: quota }) };
  }

  close(): Promise<void> {
    this.database.close();
    return Promise.resolve();
  }
}

class IndexedDbTransaction implements TableTransaction {
  constructor(private readonly transaction: IDBTransaction) {}

  async get<T extends TableName>(table: T, key: Key): Promise<TableRows[T] | undefined> {
    return (await resultOf(this.transaction.objectStore(table).get(keyOf(key)) as IDBRequest<unknown>)) as
      TableRows[T] | undefined;
  }

  async all<T extends TableName>(table: T, prefix?: readonly (string | number)[]): Promise<TableRows[T][]> {
    // An array sorts behind every number and string: what begins with the prefix ends before it.
    const range = prefix && IDBKeyRange.bound([...prefix], [...prefix, []]);
    return (await resultOf(this.transaction.objectStore(table).getAll(range) as IDBRequest<unknown>)) as TableRows[T][];
  }

  put<T extends TableName>(table: T, key: Key, row: TableRows[T]): void {
    quiet(this.writable(table).put(row, keyOf(key)));
  }

  delete(table: TableName, key: Key): void {
    quiet(this.writable(table).delete(keyOf(key)));
  }

  clear(table: TableName): void {
    quiet(this.writable(table).clear());
  }

  deleteUpTo(table: TableName, prefix: readonly (string | number)[], lastInclusive: number): void {
    quiet(this.writable(table).delete(IDBKeyRange.bound([...prefix], [...prefix, lastInclusive])));
  }

  private writable(table: TableName): IDBObjectStore {
    return this.transaction.objectStore(table);
  }
}

function keyOf(key: Key): IDBValidKey {
  return typeof key === 'string' ? key : [...key];
}

/** The end of the transaction tells. */
function quiet<T>(request: IDBRequest<T>): void {
  resultOf(request).catch(() => undefined);
}

function storeError(error: unknown, otherwise: 'denied' | 'failed'): StoreError {
  if (error instanceof StoreError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  const message = error instanceof Error ? error.message : 'the database failed';
  const code = name === 'QuotaExceededError' ? 'full' : name === 'VersionError' ? 'newer_layout' : otherwise;
  return new StoreError(code, message, { cause: error });
}
