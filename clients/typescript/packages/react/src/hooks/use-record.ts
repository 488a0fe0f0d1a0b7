import { useMemo } from 'react';
import type { UseRecord } from '../api.js';
import { useSyncline } from '../provider.js';
import { useObservable } from './use-observable.js';

/** One record, live; undefined while there is none. */
export const useRecord: UseRecord = (id) => {
  const client = useSyncline();
  return useObservable(useMemo(() => client.record(id), [client, id]));
};
