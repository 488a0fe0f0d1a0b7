import { useMemo } from 'react';
import type { OptimisticUpdates, UseOptimisticUpdates } from '../api.js';
import { useSyncline } from '../provider.js';
import { useObservable } from './use-observable.js';

/** Writes, which show at once, and what became of them. */
export const useOptimisticUpdates: UseOptimisticUpdates = () => {
  const client = useSyncline();
  const queue = useObservable(client.queue);
  const rejected = useObservable(client.rejected);
  const undoable = useObservable(client.undoable);
  const functions = useMemo<Pick<OptimisticUpdates, 'mutate' | 'undo' | 'redo' | 'rejectedOperations'>>(
    () => ({
      mutate: (build, options) => client.mutate(build, options),
      undo: () => client.undo(),
      redo: () => client.redo(),
      rejectedOperations: client.rejected,
    }),
    [client],
  );
  return useMemo(
    () => ({ ...functions, queue, rejected, canUndo: undoable.undo, canRedo: undoable.redo }),
    [functions, queue, rejected, undoable],
  );
};
