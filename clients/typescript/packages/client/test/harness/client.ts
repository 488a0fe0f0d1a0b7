import type { SynclineOptions, Syncline } from '../../src/api.js';
import { assemble } from '../../src/client.js';
import type { ClientParts } from '../../src/client/parts.js';
import { nodePlatform } from '../../src/platform/node.js';
import { createReplica } from '../../src/replica/core.js';
import { openMemoryStore } from '../../src/store/memory.js';
import type { LiveQueries } from '../../src/query/query.js';
import { createNodeTransport } from '../../src/transport/node.js';
import { nextChain } from '../../src/wire/chain.js';
import { encodeOperation } from '../../src/wire/operation.js';

/** Parts of a client in Node with whatever a test puts in their place. */
export function testParts(own: Partial<ClientParts> = {}): ClientParts {
  const platform = own.platform ?? nodePlatform();
  return {
    platform,
    openStore: () => Promise.resolve(openMemoryStore()),
    createTransport: (options) =>
      createNodeTransport({
        url: options.url,
        workspace: options.workspace,
        clientName: options.clientName ?? 'test',
        actor: options.actor,
        ...(options.credentials && { credentials: options.credentials }),
        clock: platform.clock,
      }),
    createReplica: (workspace, schema) => createReplica(workspace, encodeOperation, nextChain, schema),
    createLiveQueries: () => noQueries,
    ...own,
  };
}

const noQueries = { query: undefined, changed: () => undefined, close: () => undefined } as unknown as LiveQueries;

/** A client that needs no queries. */
export function testClient(options: SynclineOptions, own: Partial<ClientParts> = {}): Syncline {
  return assemble(options, testParts(own));
}

/** Resolves when a condition holds; looked at whenever something changes, and often. */
export async function until(holds: () => boolean, what: string, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`it never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
