import type { Observable } from '@syncline/client';
import { useSyncExternalStore } from 'react';

/** What an observable of the client shows. Its snapshots are cached, so this is safe in concurrent rendering. */
export function useObservable<T>(observable: Observable<T>): T {
  return useSyncExternalStore(observable.subscribe, observable.getSnapshot, observable.getSnapshot);
}
