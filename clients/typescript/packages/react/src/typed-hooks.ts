import type { SchemaDefinition } from '@syncline/client';
import type { SynclineHooks } from './api.js';
import { useLiveQuery } from './hooks/use-live-query.js';
import { useOptimisticUpdates } from './hooks/use-optimistic-updates.js';
import { useRecord } from './hooks/use-record.js';
import { useTextField } from './hooks/use-text-field.js';
import { useSyncline } from './provider.js';

const HOOKS = { useSyncline, useLiveQuery, useRecord, useOptimisticUpdates, useTextField };

/**
 * The hooks with the types of a schema: `createSynclineHooks<typeof schema>()`, once, beside the schema. They are the
 * same functions as without one; the client of the provider around them has to be made with that schema.
 */
export function createSynclineHooks<S extends SchemaDefinition>(): SynclineHooks<S> {
  return HOOKS as unknown as SynclineHooks<S>;
}
