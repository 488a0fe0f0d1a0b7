import type { CollectionId, IncludeSpec, Query, QueryResult, Untyped } from '@syncline/client';
import { useMemo } from 'react';
import type { UseLiveQuery } from '../api.js';
import { useSyncline } from '../provider.js';
import { decodeArgument, encodeArgument } from './argument.js';
import { useObservable } from './use-observable.js';

/** The result of a query, live. The query may be written in place; rows that did not change stay the same objects. */
export const useLiveQuery: UseLiveQuery = <C extends CollectionId, const I extends IncludeSpec<Untyped, C>>(
  query: Query<I, Untyped, C>,
): QueryResult<I, Untyped, C> => {
  const client = useSyncline();
  const key = encodeArgument(query);
  const live = useMemo(() => client.query(decodeArgument<Query<I, Untyped, C>>(key)), [client, key]);
  return useObservable<QueryResult<I, Untyped, C>>(live);
};
