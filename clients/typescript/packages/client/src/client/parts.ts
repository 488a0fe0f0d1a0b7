import type { SynclineOptions } from '../api.js';
import type { Platform } from '../platform.js';
import type { CreateLiveQueries } from '../query/query.js';
import type { Replica } from '../replica/replica.js';
import type { SchemaDefinition } from '../schema.js';
import type { Store } from '../store/store.js';
import type { Transport } from '../transport/transport.js';

/** What an entry (browser.ts, node.ts, a test) puts together. */
export interface ClientParts {
  readonly platform: Platform;
  /** Opened before `ready`. Falls back to memory by itself when storage is denied. */
  readonly openStore: (options: SynclineOptions) => Promise<Store>;
  readonly createTransport: (options: SynclineOptions) => Transport;
  readonly createReplica: (workspace: string, schema: SchemaDefinition | undefined) => Replica;
  readonly createLiveQueries: CreateLiveQueries;
  /** Under which name tabs find each other; default: by url, workspace and profile, alone with a store in memory. */
  readonly tabScope?: (options: SynclineOptions) => string;
}
