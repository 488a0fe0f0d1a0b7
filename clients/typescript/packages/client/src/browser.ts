/** The client for browsers: gRPC-Web, state in IndexedDB, one connection for all tabs. */
import type { SynclineOptions } from './api.js';
import { creator, type CreateSyncline } from './client.js';
import type { ClientParts } from './client/parts.js';
import { browserPlatform } from './platform/browser.js';
import { createLiveQueries } from './query/live-queries.js';
import { createReplica } from './replica/core.js';
import { openIndexedDbStore } from './store/indexeddb.js';
import type { Store } from './store/store.js';
import { StoreError } from './store/store-error.js';
import { createWebTransport } from './transport/web.js';
import { nextChain } from './wire/chain.js';
import { encodeOperation } from './wire/operation.js';

export * from './index.js';

/** A client of one workspace. */
export const createSyncline: CreateSyncline = creator(browserParts);

/** What a client in a browser is made of. */
export function browserParts(): ClientParts {
  const platform = browserPlatform();
  return {
    platform,
    openStore,
    createTransport: (options) =>
      createWebTransport({
        url: options.url,
        workspace: options.workspace,
        clientName: options.clientName ?? 'browser',
        actor: options.actor,
        ...(options.credentials && { credentials: options.credentials }),
        clock: platform.clock,
      }),
    createReplica: (workspace, schema) => createReplica(workspace, encodeOperation, nextChain, schema),
    createLiveQueries,
  };
}

async function openStore(options: SynclineOptions): Promise<Store> {
  if (options.storage === 'memory') return inMemory();
  try {
    return await openIndexedDbStore(`syncline/${options.url}/${options.workspace}/${options.profile ?? 'default'}`);
  } catch (error) {
    // Denied, as in some private windows: the client works and says that nothing outlives the tab. What a newer
    // version wrote is left alone, and a store that contradicts itself is not passed over in silence.
    if (error instanceof StoreError && (error.code === 'denied' || error.code === 'failed')) return inMemory();
    throw error;
  }
}

async function inMemory(): Promise<Store> {
  const { openMemoryStore } = await import('./store/memory.js');
  return openMemoryStore();
}
