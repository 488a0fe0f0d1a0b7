import { createSyncline } from '@syncline/client/browser';
import { counter, defineSchema, newId, register, set, text, toOne } from '@syncline/client';
import { createSynclineHooks, SynclineProvider } from '@syncline/react';

const schema = defineSchema({
  collections: {
    people: { name: register<string>() },
    cards: {
      title: register<string>(),
      body: text(),
      votes: counter(),
      tags: set<string>(),
      assignee: toOne('people'),
    },
  },
});
const client = createSyncline({ schema, url: 'http://127.0.0.1:7447', workspace: 'demo', actor: 'Ada' });
const { useLiveQuery, useOptimisticUpdates } = createSynclineHooks<typeof schema>();

export function TypedApp() {
  return (
    <SynclineProvider client={client}>
      <TypedCards />
    </SynclineProvider>
  );
}

function TypedCards() {
  const { rows } = useLiveQuery({
    collection: 'cards',
    where: { title: 'Plan' },
    include: { who: { via: 'assignee' } },
  });
  const { mutate } = useOptimisticUpdates();
  return (
    <>
      {rows.map(({ id, fields, include }) => (
        <button key={id} onClick={() => mutate((tx) => tx.increment(id, 'votes'))}>
          {fields.title} {include.who[0]?.fields.name} {String(fields.votes)} {fields.tags.join(', ')}
        </button>
      ))}
      <button onClick={() => mutate((tx) => tx.create('cards', newId(), { title: 'Plan', tags: ['new'] }))}>New</button>
    </>
  );
}
