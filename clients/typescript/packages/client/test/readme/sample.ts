import { createSyncline, newId } from '@syncline/client/node';

const client = createSyncline({
  url: process.env['SYNCLINE_URL'] ?? 'http://127.0.0.1:7447',
  workspace: 'demo',
  actor: 'Ada',
  storage: { folder: '.board' }, // In a browser: IndexedDB, by itself.
});
await client.ready; // What is kept on this device can be read; nothing waits for the network.

const list = client.query({ collection: 'cards', orderBy: [{ field: 'title' }] });
const show = () =>
  console.log(list.getSnapshot().rows.map(({ record }) => `${record.fields['title']} (${record.sync})`));
list.subscribe(show); // Own edits in the same moment, others' as they come.

const id = newId();
const made = client.mutate((tx) => tx.create('cards', id, { title: 'Water the plants' }));
await made.saved; // On this device: it survives a crash, and is sent when there is a network.
const { outcome } = await made.settled; // applied, merged or conflicted: the server's word.
console.log(outcome);
await client.close();
