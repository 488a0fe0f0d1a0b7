import { counter, defineSchema, register, set, text, toOne, newId } from '@syncline/client';
import { createSyncline } from '@syncline/client/node';

const schema = defineSchema({
  collections: {
    people: { name: register<string>() },
    cards: {
      title: register<string>(),
      body: text(),
      votes: counter({ onClash: 'settle', provisional: 'max' }),
      tags: set<string>(),
      assignee: toOne('people'),
    },
  },
});
const client = createSyncline({ schema, url: 'http://127.0.0.1:7447', workspace: 'demo', actor: 'Ada' });
await client.ready;

client.mutate((tx) => tx.create('cards', newId(), { title: 'Water the plants', tags: ['home'], votes: 1 }));
const list = client.query({
  collection: 'cards',
  where: { field: 'tags', op: 'contains', value: 'home' },
  include: { who: { via: 'assignee' } },
});
for (const { fields, include } of list.getSnapshot().rows) {
  console.log(fields.title?.toUpperCase(), Number(fields.votes) + 1, include.who[0]?.fields.name ?? 'nobody');
}
await client.close();
