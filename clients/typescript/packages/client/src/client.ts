import type { Syncline, SynclineOptions } from './api.js';
import type { Platform } from './platform.js';
import type { CreateLiveQueries } from './query/query.js';
import type { CreateReplica } from './replica/replica.js';
import type { Store } from './store/store.js';
import type { Transport } from './transport/transport.js';

/** What an entry (browser.ts, node.ts, a test) puts together. */
export interface ClientParts {
  readonly platform: Platform;
  /** Opened before `ready`. Falls back to memory by itself when storage is denied. */
  readonly openStore: (options: SynclineOptions) => Promise<Store>;
  readonly createTransport: (options: SynclineOptions) => Transport;
  readonly createReplica: CreateReplica;
  readonly createLiveQueries: CreateLiveQueries;
}

/** The composition root. Entries export `createSyncline = (options) => assemble(options, parts)`. */
export type Assemble = (options: SynclineOptions, parts: ClientParts) => Syncline;

/** What `./browser` and `./node` export. */
export type CreateSyncline = (options: SynclineOptions) => Syncline;
