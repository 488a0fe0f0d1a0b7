/** The client for Node: gRPC with streams both ways, state in memory or in a folder. */
import type { SynclineOptions } from './api.js';
import { creator, type CreateSyncline } from './client.js';
import type { ClientParts } from './client/parts.js';
import { nodePlatform } from './platform/node.js';
import { createLiveQueries } from './query/live-queries.js';
import { createReplica } from './replica/core.js';
import { openMemoryStore } from './store/memory.js';
import type { Store } from './store/store.js';
import { createNodeTransport } from './transport/node.js';
import { nextChain } from './wire/chain.js';
import { encodeOperation } from './wire/operation.js';

export * from './index.js';

/** A client of one workspace. */
export const createSyncline: CreateSyncline = creator(nodeParts);

/** What a client in Node is made of. */
export function nodeParts(): ClientParts {
  const platform = nodePlatform();
  return {
    platform,
    openStore,
    createTransport: (options) =>
      createNodeTransport({
        url: options.url,
        workspace: options.workspace,
        clientName: options.clientName ?? 'node',
        actor: options.actor,
        ...(options.credentials && { credentials: options.credentials }),
        clock: platform.clock,
      }),
    createReplica: (workspace, schema) => createReplica(workspace, encodeOperation, nextChain, schema),
    createLiveQueries,
  };
}

async function openStore({ storage }: SynclineOptions): Promise<Store> {
  if (typeof storage !== 'object') return openMemoryStore();
  // Only who keeps state in a folder needs what that takes.
  const { openFileStore } = await import('./store/file.js');
  return openFileStore(storage.folder);
}
