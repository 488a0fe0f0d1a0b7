import { MemoryTables } from './memory-tables.js';
import type { Store } from './store.js';
import { TableStore } from './table-store.js';

/** A store that is gone with its process: for tests, for Node without a folder, and where storage is denied. */
export function openMemoryStore(nowMs: () => number = Date.now): Store {
  return new TableStore(new MemoryTables(), nowMs);
}
