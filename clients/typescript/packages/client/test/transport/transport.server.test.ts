import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomUUID } from 'node:crypto';
import type { Frame } from '../../src/domain/change.js';
import type { Operation } from '../../src/domain/operation.js';
import { createNodeTransport } from '../../src/transport/node.js';
import { createWebTransport } from '../../src/transport/web.js';
import type { Transport } from '../../src/transport/transport.js';
import { decodeOperation, encodeOperation } from '../../src/wire/operation.js';
import { nextChain } from '../../src/wire/chain.js';
import type { Clock } from '../../src/platform.js';
import { serverAvailable, TestServer } from '../harness/server.js';

const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

function operation(replicaId: string, counter: number, epoch: string): Operation {
  return {
    dot: { replicaId, counter },
    context: { epoch, baseSeq: 0, extras: [] },
    mutations: [
      {
        collectionId: 'cards',
        recordId: `card-${counter}`,
        action: { type: 'create', fields: new Map([['title', { kind: 'string', value: `card ${counter}` }]]) },
      },
    ],
    correlationId: 'c',
    dependsOn: [],
    actor: 'ann',
    clientTimeMs: 1_700_000_000_123,
  };
}

describe.skipIf(!serverAvailable()).each([
  ['gRPC', createNodeTransport],
  ['gRPC-Web', createWebTransport],
])('%s against the real server', (name, createTransport) => {
  let server: TestServer;
  let transport: Transport;
  const { signal } = new AbortController();
  const workspace = `w-${name.toLowerCase()}`;

  beforeAll(async () => {
    server = await TestServer.start();
    await server.createWorkspace(workspace);
    transport = createTransport({ url: server.url, workspace, clientName: 'test', actor: 'ann', clock });
  });
  afterAll(async () => {
    transport.close();
    await server.stop();
  });

  it('submits saved bytes, follows the feed with its chain, and asks for receipts', async () => {
    const replica = randomUUID();
    const head = await transport.head(signal);
    const first = encodeOperation(operation(replica, 1, head.epoch));
    expect(encodeOperation(decodeOperation(first))).toEqual(first);
    const { receipts, headSeq } = await transport.submit([first], signal);
    expect(receipts[0]?.outcome).toEqual({ type: 'applied', seq: headSeq });
    const again = await transport.submit([first], signal);
    expect(again.receipts[0]?.outcome).toEqual({ type: 'applied', seq: headSeq });

    const feed = await transport.openFeed(head, signal);
    const frames = feed.frames[Symbol.asyncIterator]();
    expect((await frames.next()).value).toMatchObject({ type: 'opened', headSeq });
    const changes = (await frames.next()).value;
    expect(changes).toMatchObject({ type: 'changes', fromSeqExclusive: head.seqInclusive });
    if (changes?.type === 'changes') {
      const [change] = changes.changes;
      expect(change?.dot).toEqual({ replicaId: replica, counter: 1 });
      expect(nextChain(head.chain, change?.operationHash ?? new Uint8Array())).toEqual(change?.chain);
      expect(change?.chain).toEqual(changes.cursor.chain);
    }
    feed.close();

    const asked = await transport.receipts(
      [
        { replicaId: replica, counter: 1 },
        { replicaId: replica, counter: 2 },
      ],
      signal,
    );
    expect(asked.map((receipt) => receipt.outcome.type)).toEqual(['applied', 'not_settled']);
    const loaded: Frame[] = [];
    const loading = await transport.openFeed('snapshot', signal);
    for await (const frame of loading.frames) {
      loaded.push(frame);
      if (frame.type === 'loading_finished') break;
    }
    loading.close();
    expect(loaded[0]).toMatchObject({
      type: 'opened',
      server: { features: expect.arrayContaining(['FEED_SNAPSHOT']) },
    });
    expect(loaded[1]).toMatchObject({ type: 'loading_begun', fromScratch: true });
    const entered = loaded.flatMap((frame) => (frame.type === 'records_entered' ? frame.records : []));
    expect(entered.map((record) => record.recordId)).toContain('card-1');
    expect((await transport.schema(signal)).collections.get('cards')?.get('title')?.kind).toBe('register');
  });

  it('heartbeats: measures the link, is present, and leaves', async () => {
    const heartbeats = await transport.startHeartbeats(randomUUID(), () => 0, signal);
    const reports = heartbeats.reports[Symbol.asyncIterator]();
    const { value } = await reports.next();
    expect(value).toMatchObject({ heartbeatIntervalMs: 15_000 });
    expect((await transport.presence(signal)).map((row) => row.connectionId)).toContain(heartbeats.connectionId);
    heartbeats.heartbeat();
    for (;;) {
      const next = await reports.next();
      if (next.value !== 'lost' && next.value?.roundTripMs !== undefined) break;
    }
    await heartbeats.close();
  });

  it('says why a call failed', async () => {
    const elsewhere = createTransport({ url: server.url, workspace: 'nowhere', clientName: 't', actor: 'a', clock });
    await expect(elsewhere.head(signal)).rejects.toMatchObject({
      kind: 'not_found',
      refusal: { reason: 'UNKNOWN_WORKSPACE', metadata: { workspace_id: 'nowhere' } },
    });
    elsewhere.close();
    const nobody = createTransport({ url: 'http://127.0.0.1:9', workspace, clientName: 't', actor: 'a', clock });
    await expect(nobody.head(signal)).rejects.toMatchObject({ kind: 'unreachable' });
    nobody.close();
  });

  it('tells a killed server from the end of a feed', async () => {
    const feed = await transport.openFeed('snapshot', signal);
    const frames = feed.frames[Symbol.asyncIterator]();
    await frames.next();
    await server.kill();
    await expect(
      (async () => {
        for (;;) if ((await frames.next()).done === true) return;
      })(),
    ).rejects.toMatchObject({ kind: 'unreachable' });
    await server.restart();
    expect((await transport.head(signal)).workspaceId).toBe(workspace);
  });
});
