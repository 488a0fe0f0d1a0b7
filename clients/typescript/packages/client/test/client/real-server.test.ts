import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Syncline } from '../../src/api.js';
import { testClient, until } from '../harness/client.js';
import { serverAvailable, TestServer } from '../harness/server.js';

describe.skipIf(!serverAvailable())('a client and the real server', () => {
  let server: TestServer;
  const clients: Syncline[] = [];

  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
    await server.stop();
  });

  async function workspace(): Promise<string> {
    const id = `w-${randomUUID()}`;
    await server.createWorkspace(id);
    return id;
  }

  async function client(workspaceId: string, actor = 'ann'): Promise<Syncline> {
    const made = testClient({ url: server.url, workspace: workspaceId, actor });
    clients.push(made);
    await made.ready;
    return made;
  }

  it('shows an edit at once, saves it, settles it, and another client sees it', async () => {
    const id = await workspace();
    const [ann, ben] = [await client(id), await client(id, 'ben')];
    await until(() => ann.connection.getSnapshot().feed.caughtUp, 'ann is caught up');
    const made = ann.mutate((tx) => {
      tx.create('cards', 'card-1', { title: 'one', votes: 1 });
    });
    expect(ann.record('card-1').getSnapshot()).toMatchObject({ fields: { title: 'one' }, sync: 'unsaved' });
    expect(await made.saved).toEqual({ durability: 'memory' });
    expect(await made.settled).toMatchObject({ outcome: 'applied', conflictIds: [], remaining: [] });
    expect(ann.record('card-1').getSnapshot()?.sync).toBe('synced');
    await until(() => ben.record('card-1').getSnapshot() !== undefined, 'ben sees the card');
    expect(ben.record('card-1').getSnapshot()?.fields).toMatchObject({ title: 'one' });
    await ann.queue.drained();
    expect(ann.connection.getSnapshot()).toMatchObject({ state: 'online', transport: 'up', role: 'leader' });
  });
});
