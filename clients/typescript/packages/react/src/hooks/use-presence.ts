import type { UsePresence } from '../api.js';
import { useSyncline } from '../provider.js';
import { useObservable } from './use-observable.js';

/** Who is connected. */
export const usePresence: UsePresence = () => useObservable(useSyncline().presence);
