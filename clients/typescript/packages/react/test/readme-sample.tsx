import { createSyncline } from '@syncline/client/browser';
import { ConnectionStatus, SynclineProvider, SyncMark, useLiveQuery, useOptimisticUpdates } from '@syncline/react';
import '@syncline/react/themes.css';

const client = createSyncline({ url: 'http://127.0.0.1:7447', workspace: 'demo', actor: 'Ada' });

export function App() {
  return (
    <SynclineProvider client={client} theme="modern">
      <Cards />
      <ConnectionStatus />
    </SynclineProvider>
  );
}

function Cards() {
  const { rows } = useLiveQuery({ collection: 'cards', orderBy: [{ field: 'title' }] });
  const { mutate } = useOptimisticUpdates();
  return rows.map(({ record }) => (
    <button key={record.id} onClick={() => mutate((tx) => tx.increment(record.id, 'votes'))}>
      {String(record.fields['title'])} {String(record.fields['votes'] ?? 0)} <SyncMark recordId={record.id} />
    </button>
  ));
}
