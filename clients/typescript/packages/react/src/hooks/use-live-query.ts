import type { IncludeSpec, Query, QueryResult } from '@syncline/client';
import { useMemo } from 'react';
import { useSyncline } from '../provider.js';
import { decodeArgument, encodeArgument } from './argument.js';
import { useObservable } from './use-observable.js';

/** The result of a query, live. The query may be written in place; rows that did not change stay the same objects. */
export function useLiveQuery<I extends IncludeSpec = Record<never, never>>(query: Query<I>): QueryResult<I> {
  const client = useSyncline();
  const key = encodeArgument(query);
  const live = useMemo(() => client.query(decodeArgument<Query<I>>(key)), [client, key]);
  return useObservable(live);
}
