import { useMemo } from 'react';
import type { UseConnection } from '../api.js';
import { useSyncline } from '../provider.js';
import { useObservable } from './use-observable.js';

/** The connection's state, and what can be asked of it. */
export const useConnection: UseConnection = () => {
  const client = useSyncline();
  const snapshot = useObservable(client.connection);
  const functions = useMemo(
    () => ({
      goOnline: () => {
        client.connection.goOnline();
      },
      goOffline: () => {
        client.connection.goOffline();
      },
      pause: () => {
        client.queue.pause();
      },
      resume: () => {
        client.queue.resume();
      },
    }),
    [client],
  );
  return useMemo(() => ({ ...snapshot, ...functions }), [snapshot, functions]);
};
