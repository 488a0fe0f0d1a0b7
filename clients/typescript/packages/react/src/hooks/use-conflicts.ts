import type { ConflictFilter, Conflicts } from '@syncline/client';
import { useMemo } from 'react';
import type { UseConflicts } from '../api.js';
import { useSyncline } from '../provider.js';
import { decodeArgument, encodeArgument } from './argument.js';
import { useObservable } from './use-observable.js';

/** Live conflicts, newest first, and decisions on them. */
export const useConflicts: UseConflicts = (filter) => {
  const client = useSyncline();
  const key = encodeArgument(filter ?? {});
  const items = useObservable(useMemo(() => client.conflicts.list(decodeArgument<ConflictFilter>(key)), [client, key]));
  const functions = useMemo<Pick<Conflicts, 'get' | 'resolve' | 'defer' | 'assign' | 'reopen'>>(
    () => ({
      get: (id) => client.conflicts.get(id),
      resolve: (detail, decision) => client.conflicts.resolve(detail, decision),
      defer: (id, remindAt) => client.conflicts.defer(id, remindAt),
      assign: (id, assignee) => client.conflicts.assign(id, assignee),
      reopen: (id) => client.conflicts.reopen(id),
    }),
    [client],
  );
  return useMemo(() => ({ items, ...functions }), [items, functions]);
};
