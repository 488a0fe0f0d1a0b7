/** React bindings of the Syncline client. Styles: `@syncline/react/themes.css`. */
export type * from './api.js';
export { SynclineProvider, useSyncline } from './provider.js';
export { useConflicts } from './hooks/use-conflicts.js';
export { useConnection } from './hooks/use-connection.js';
export { useLiveQuery } from './hooks/use-live-query.js';
export { useNotices } from './hooks/use-notices.js';
export { useObservable } from './hooks/use-observable.js';
export { useOptimisticUpdates } from './hooks/use-optimistic-updates.js';
export { usePresence } from './hooks/use-presence.js';
export { useRecord } from './hooks/use-record.js';
export { useTextField } from './hooks/use-text-field.js';
export { createSynclineHooks } from './typed-hooks.js';
export { ConflictInbox } from './components/conflict-inbox.js';
export { ConnectionStatus } from './components/connection-status.js';
export { DiffView } from './components/diff-view.js';
export { Notices } from './components/notices.js';
export { RejectedOperations } from './components/rejected-operations.js';
export { SyncMark } from './components/sync-mark.js';
